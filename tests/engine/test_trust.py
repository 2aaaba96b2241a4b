"""Whom connections trust: the authorities are read once, and nobody trusts those of another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from objstore._core import ClientSettings
from objstore.plans.run import run
from tests.engine.client import PATIENT, SETTINGS, Server, batch, released, settle
from tests.tls_proxy import Proxy, fronting, write_certificate

MANY = 100
"""Connections at once: more than one of libcurl's multis has."""


@pytest.fixture
def secure(server: Server, tmp_path: Path) -> Iterator[Proxy]:
    with fronting(server.origin, tmp_path) as proxy:
        yield proxy


def trusting(file: Path) -> ClientSettings:
    return ClientSettings(user_agent="tests", ca_file=str(file), **PATIENT)


def test_the_authorities_are_read_once(server: Server, secure: Proxy) -> None:
    settings = trusting(secure.certificates)
    assert run(settle(batch(secure.url, ["/1/first"], settings=settings))) == {}
    secure.certificates.unlink()
    targets = [f"/1/{number}?held=1" for number in range(MANY)]
    freed = released(server, MANY)
    assert run(settle(batch(secure.url, targets, settings=settings, most_in_flight=MANY))) == {}
    freed.join()


@pytest.mark.parametrize("verify", [True, False])
def test_nobody_trusts_the_authorities_of_another(secure: Proxy, tmp_path: Path, verify: bool) -> None:
    ours = trusting(secure.certificates) if verify else SETTINGS
    (tmp_path / "others").mkdir()
    theirs = trusting(write_certificate(["localhost"], tmp_path / "others"))
    for _ in range(3):  # with a session to resume, too
        assert run(settle(batch(secure.url, ["/1/a", "/1/b"], settings=ours))) == {}
        failed = run(settle(batch(secure.url, ["/1/c"], settings=theirs)))
        assert "certificate" in failed[0].error


@pytest.mark.own_http("libcurl holds for a day what it has read")
def test_a_file_that_was_replaced_is_read_anew(secure: Proxy, tmp_path: Path) -> None:
    file = tmp_path / "trusted.pem"
    (tmp_path / "others").mkdir()
    others = write_certificate(["localhost"], tmp_path / "others")
    file.write_bytes(others.read_bytes())
    assert "certificate" in run(settle(batch(secure.url, ["/1/a"], settings=trusting(file))))[0].error
    file.write_bytes(secure.certificates.read_bytes() + others.read_bytes())
    assert run(settle(batch(secure.url, ["/1/b"], settings=trusting(file)))) == {}


@pytest.mark.own_http("libcurl holds for a day what it has read")
def test_no_session_goes_on_that_began_under_a_file_that_was_replaced(secure: Proxy, tmp_path: Path) -> None:
    file = tmp_path / "trusted.pem"
    (tmp_path / "others").mkdir()
    file.write_bytes(secure.certificates.read_bytes())
    settings = ClientSettings(user_agent="tests", ca_file=str(file), reuse=False, **PATIENT)
    for _ in range(2):
        assert run(settle(batch(secure.url, ["/1/a"], settings=settings))) == {}
    file.write_bytes(write_certificate(["localhost"], tmp_path / "others").read_bytes())
    assert "certificate" in run(settle(batch(secure.url, ["/1/b"], settings=settings)))[0].error


def test_a_file_without_authorities_is_named(secure: Proxy) -> None:
    settings = trusting(secure.certificates)
    secure.certificates.write_bytes(b"")
    failed = run(settle(batch(secure.url, ["/1/a"], settings=settings)))
    assert secure.certificates.name in failed[0].error
