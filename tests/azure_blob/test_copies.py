"""Copies that Azurite does not make: across accounts and credentials, by URL, and in blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from objstore.exceptions import AlreadyExistsError, NotFoundError, ObjectChangedError
from objstore.providers.cloud import azure_copy
from objstore.store import AzureStore
from tests.azure_blob.objects import Container
from tests.azure_blob.opened import failure, through
from tests.azure_blob.server import Answer, Fault, StrictServer
from tests.tls_proxy import Proxy

BODY = bytes(range(256)) * 40
BESIDE: dict[str, Any] = {"attributes": {"mine": "1", "Content-Type": "text/x"}, "tags": {"t": "1 2"}}
SAS = {"account_key": None, "sas_key": "sv=2023-11-03&sp=r&sig=c2ln"}
TOKEN = {"account_key": None, "token": "t"}


@pytest.fixture
def source(strict: StrictServer, proxy: Proxy) -> AzureStore:
    strict.calls.clear()
    strict.make("from")
    store = through(proxy, "from")
    store.put("a b", BODY, **BESIDE)
    return store


@pytest.fixture
def target(strict: StrictServer, proxy: Proxy) -> Container:
    return strict.make("to")


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_copy, "MOST_AT_ONCE", 1000)
    monkeypatch.setattr(azure_copy, "COPIED_BLOCK", 3000)


def check_copied(container: Container) -> None:
    blob = container.blobs["b"]
    assert blob.data == BODY
    assert (blob.metadata, blob.headers["Content-Type"], blob.tags) == ({"mine": "1"}, "text/x", "t=1%202")


@pytest.mark.parametrize("credential", [{}, SAS, TOKEN], ids=["key", "signature", "token"])
def test_another_container_by_another_credential(
    strict: StrictServer, source: AzureStore, target: Container, proxy: Proxy, credential: dict[str, Any]
) -> None:
    there, here = through(proxy, "from", **credential), through(proxy, "to", **(TOKEN if not credential else {}))
    there.copy("a b", "b", to_store=here)
    check_copied(target)
    assert not strict.lines("GET /from/a b?=")
    (put,) = [call for call in strict.calls if call.method == "PUT" and call.path == "/to/b"]
    assert put.body == b""
    url = put.headers["x-ms-copy-source"]
    assert ("sig=" in url) == (credential is not TOKEN)
    assert put.headers.get("x-ms-copy-source-authorization") == ("Bearer t" if credential is TOKEN else None)
    here.copy("b", "b2", overwrite=False)
    refused = failure(there.copy, "a b", "b", to_store=here, overwrite=False)
    assert isinstance(refused, AlreadyExistsError)
    missing = failure(there.copy, "missing", "c", to_store=here)
    assert isinstance(missing, NotFoundError)
    assert missing.path == "missing"


@pytest.mark.parametrize("key", ["ü/%20", "a+b&c=d", "q?#[]@!$'()*,;:"])
@pytest.mark.parametrize("credential", [SAS, TOKEN], ids=["signature", "token"])
def test_odd_names_are_encoded_once(
    source: AzureStore, target: Container, proxy: Proxy, key: str, credential: dict[str, Any]
) -> None:
    source.put(key, BODY, **BESIDE)
    through(proxy, "from", **credential).copy(key, "b", to_store=through(proxy, "to"))
    check_copied(target)


def test_what_the_service_cannot_read_is_carried(
    strict: StrictServer, source: AzureStore, target: Container, proxy: Proxy
) -> None:
    here = through(proxy, "to", **TOKEN)
    strict.faults.append(Fault("PUT /to/b", Answer(403, b"", {"x-ms-error-code": "CannotVerifyCopySource"})))
    source.copy("a b", "b", to_store=here)
    assert target.blobs["b"].data == BODY
    assert target.blobs["b"].metadata == {"mine": "1"}


@pytest.mark.usefixtures("in_blocks")
def test_a_large_object_is_copied_in_blocks(
    strict: StrictServer, source: AzureStore, target: Container, proxy: Proxy
) -> None:
    there, here = through(proxy, "from", **TOKEN), through(proxy, "to")
    there.copy("a b", "b", to_store=here)
    check_copied(target)
    ranges = [call.headers["x-ms-source-range"] for call in strict.calls if "x-ms-source-range" in call.headers]
    assert sorted(ranges) == ["bytes=0-2999", "bytes=3000-5999", "bytes=6000-8999", "bytes=9000-10239"]
    refused = failure(there.copy, "a b", "b", to_store=here, overwrite=False)
    assert isinstance(refused, AlreadyExistsError)


@pytest.mark.usefixtures("in_blocks")
def test_blocks_are_of_one_version(strict: StrictServer, source: AzureStore, target: Container, proxy: Proxy) -> None:
    there, here = through(proxy, "from", **TOKEN), through(proxy, "to")
    strict.faults.append(Fault("blockid=", Answer(412, b"", {"x-ms-error-code": "SourceConditionNotMet"})))
    assert isinstance(failure(there.copy, "a b", "b", to_store=here, overwrite=False), ObjectChangedError)
    assert "b" not in target.blobs


def test_a_customers_key_copies_by_url(strict: StrictServer, target: Container, proxy: Proxy) -> None:
    key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    here = through(proxy, "to", encryption_key=key)
    here.put("a", BODY, **BESIDE)
    here.copy("a", "b")
    check_copied(target)
    assert here.get("b").bytes() == BODY


def test_versions_and_snapshots(strict: StrictServer, proxy: Proxy) -> None:
    container = strict.make("v", versioned=True)
    store = through(proxy, "v")
    first = store.put("a", b"first")
    assert first["version"] is not None
    strict.act(
        strict.calls[-1]._replace(
            query={"comp": "snapshot"}, headers={**strict.calls[-1].headers, "authorization": "Bearer t"}
        )
    )
    (moment,) = container.blobs["a"].snapshots
    second = store.put("a", b"second")
    for version, body in (
        (first["version"], b"first"),
        (second["version"], b"second"),
        (f"snapshot={moment}", b"first"),
    ):
        assert store.get("a", options={"version": version}).bytes() == body
        assert store.get("a", options={"version": version, "range": {"suffix": 2}}).bytes() == body[-2:]
        assert store.get("a", options={"version": version, "head": True}).meta["size"] == len(body)
    assert [meta["version"] for meta in store.list().collect()] == [second["version"]]
    assert isinstance(failure(store.get, "a", options={"version": "snapshot=2020-01-01T00:00:00Z"}), NotFoundError)
    refused = failure(store.delete, "a")
    assert (refused.code, refused.status) == ("SnapshotsPresent", 409)
    assert "snapshots first" in str(refused)
    assert store.get("a").bytes() == b"second"


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (5000 << 20, {"use_multipart": False}),
        (5000 << 20, {"chunk_size": 6000 << 20}),
        (4500 << 20, {"chunk_size": 4100 << 20}),
    ],
)
def test_what_is_too_large_for_a_request_is_not_sent(
    strict: StrictServer, proxy: Proxy, tmp_path: Path, size: int, options: dict[str, Any]
) -> None:
    strict.make("c")
    strict.calls.clear()
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(size + 1)
    with pytest.raises(ValueError, match=r"too many for one (request|block) of Azure.*smaller chunk_size"):
        through(proxy).put("a", tmp_path / "hole", **options)
    assert strict.calls == []


@pytest.mark.parametrize("tags", [{}, {"t": "1"}])
def test_tags_are_those_of_what_is_copied(
    strict: StrictServer, source: AzureStore, target: Container, proxy: Proxy, tags: dict[str, str]
) -> None:
    """They are read before, and go with the copy: of a version that has taken the place of that one, they are not."""
    written = source.put("a b", BODY, tags=tags)
    here = through(proxy, "to")
    source.copy("a b", "b", to_store=here)
    (put,) = [call for call in strict.calls if call.path == "/to/b"]
    assert put.headers.get("x-ms-source-if-match") == (written["e_tag"] if tags else None)
    changed = Answer(412, b"", {"x-ms-error-code": "SourceConditionNotMet"})
    for overwrite in (True, False):
        strict.faults.append(Fault("PUT /to/c", changed))
        assert isinstance(failure(source.copy, "a b", "c", to_store=here, overwrite=overwrite), ObjectChangedError)
    assert "c" not in target.blobs
