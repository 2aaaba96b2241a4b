"""What is read is what its checksum says: damaged bodies are fetched again, and never handed out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objstore.exceptions import CorruptResponseError
from objstore.interface.values import ANY, WHOLE
from objstore.store import S3Store
from tests.faults.client import FaultServer
from tests.faults.content import content
from tests.test_faults import SIZE, store_on

RIGHT = content(0, SIZE)


def whole(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(store.get(key).bytes())


def whole_async(store: S3Store, key: str, folder: Path) -> bytes:
    async def read() -> bytes:
        return bytes(await (await store.get_async(key)).bytes_async())

    return asyncio.run(read())


def streamed(store: S3Store, key: str, folder: Path) -> bytes:
    return b"".join(bytes(piece) for piece in store.get(key).stream())


def many(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(store.get_many([key])[0])


def into_memory(store: S3Store, key: str, folder: Path) -> bytes:
    out = bytearray(SIZE)
    store.get_many([key], out=[out])
    return bytes(out)


def one_by_one(store: S3Store, key: str, folder: Path) -> bytes:
    return b"".join(bytes(body) for _, body in store.iter_many([key]))


def downloaded(store: S3Store, key: str, folder: Path) -> bytes:
    store.download(key, folder / "file")
    return (folder / "file").read_bytes()


def one_range(store: S3Store, key: str, folder: Path) -> bytes:
    return bytes(store.get_range(key, start=0, length=SIZE))


READS = (whole, whole_async, streamed, many, into_memory, one_by_one, downloaded, one_range)
each_read = pytest.mark.parametrize("read", READS)
Read = Callable[[S3Store, str, Path], bytes]


def bodies_asked(server: FaultServer, scenario: str) -> list[dict[str, str]]:
    """Return the range and the condition of each request for bytes; a download looks at the first one before."""
    headers = [entry["headers"] for entry in server.requests(scenario)]
    asked = [{name: each[name] for name in ("range", "if-match") if name in each} for each in headers]
    return [each for each in asked if each.get("range") != "bytes=0-0"]


@each_read
def test_a_damaged_body_is_fetched_again(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    assert read(store_on(fault_server), "flipped-once/a", tmp_path) == RIGHT
    first, second = bodies_asked(fault_server, "flipped-once")
    assert first.get("range") == second.get("range")


@each_read
def test_what_is_always_damaged_is_an_error(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    with pytest.raises(CorruptResponseError, match=r"'flipped-bit/a'.*damaged.*\(crc32\)") as failure:
        read(store_on(fault_server, retries=2), "flipped-bit/a", tmp_path)
    assert failure.value.attempts == 3
    assert not (tmp_path / "file").exists()


@each_read
def test_a_body_of_another_hash_is_an_error(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    with pytest.raises(CorruptResponseError, match=r"'wrong-hash/a'.*damaged.*\(sha256\)"):
        read(store_on(fault_server, retries=1), "wrong-hash/a", tmp_path)
    assert not (tmp_path / "file").exists()


@each_read
def test_a_body_of_two_tries_is_compared_as_one(fault_server: FaultServer, tmp_path: Path, read: Read) -> None:
    """The damage is in what came before the connection broke: all is fetched again, from the start."""
    assert read(store_on(fault_server), "flipped-then-cut/a", tmp_path) == RIGHT
    first, second, third = bodies_asked(fault_server, "flipped-then-cut")
    assert int(second["range"].removeprefix("bytes=").partition("-")[0]) > 0
    assert third == first


@pytest.mark.parametrize("scenario", ["composite-checksum", "composite-range"])
@each_read
def test_a_checksum_of_parts_says_nothing(fault_server: FaultServer, tmp_path: Path, read: Read, scenario: str) -> None:
    assert read(store_on(fault_server, retries=0), f"{scenario}/a", tmp_path) == RIGHT


def test_only_the_damaged_of_many_are_fetched_again(fault_server: FaultServer) -> None:
    keys = [f"plain/{number}" for number in range(20)]
    keys[7] = "flipped-once/7"
    assert store_on(fault_server).get_many(keys) == [RIGHT] * 20
    assert len(fault_server.requests()) == 21


def test_errors_of_many_are_in_their_places(fault_server: FaultServer) -> None:
    found = store_on(fault_server, retries=1).get_many(["plain/a", "flipped-bit/a"], on_error="return")
    assert found[0] == RIGHT
    assert isinstance(found[1], CorruptResponseError)


# --- who is asked for checksums


def asked(store: S3Store) -> dict[str, dict[str, str]]:
    """Return the headers that go with a GET and a HEAD of an object, by method."""
    provider: Any = store.provider
    return {method: dict(provider._reading(method, ANY, [WHOLE])[0].headers) for method in ("GET", "HEAD")}


@pytest.mark.parametrize(
    ("endpoint", "setting", "asks"),
    [
        (None, None, True),
        ("https://s3.eu-west-1.amazonaws.com", None, True),
        ("https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com", None, True),
        ("https://s3.cn-north-1.amazonaws.com.cn", None, True),
        ("https://account.r2.cloudflarestorage.com", None, False),
        ("https://storage.googleapis.com", None, False),
        ("https://amazonaws.com.example", None, False),
        (None, "when_required", False),
        ("https://ceph.example", "when_supported", True),
    ],
)
def test_who_is_asked(endpoint: str | None, setting: str | None, asks: bool) -> None:
    given = {"endpoint": endpoint, "response_checksum_validation": setting}
    config = {name: value for name, value in given.items() if value is not None}
    headers = asked(S3Store("bucket", region="eu-west-1", skip_signature=True, config=config))
    assert headers["GET"].get("x-amz-checksum-mode") == ("ENABLED" if asks else None)
    assert "x-amz-checksum-mode" not in headers["HEAD"]


@pytest.mark.parametrize(("setting", "asks"), [(None, False), ("when_required", False), ("when_supported", True)])
def test_a_request_of_its_own_is_only_sent_where_that_is_wanted(setting: str | None, asks: bool) -> None:
    config = {} if setting is None else {"response_checksum_validation": setting}
    provider: Any = S3Store("bucket", region="eu-west-1", skip_signature=True, config=config).provider
    assert provider.asks_for_checksums == asks


def test_the_environment_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
    assert asked(S3Store("bucket", region="eu-west-1", skip_signature=True)) == {"GET": {}, "HEAD": {}}


def test_the_question_is_sent_and_signed(fault_server: FaultServer) -> None:
    config = store_on(fault_server).config | {"response_checksum_validation": "when_supported"}
    store = S3Store(config=config, client_options={"allow_http": True})
    assert store.get("plain/a").bytes() == RIGHT
    headers = fault_server.requests("plain")[0]["headers"]
    assert headers["x-amz-checksum-mode"] == "ENABLED"
    assert "x-amz-checksum-mode" in headers["authorization"]
