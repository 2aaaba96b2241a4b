"""Objects that take one request for all of them, of which little is in memory: no reply tells their versions apart, or
the server knows no ranges."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import objstore
from objstore.disk import unnamed
from objstore.exceptions import CorruptResponseError, ObjectChangedError
from objstore.operations.targets import Target
from objstore.store import HTTPStore, MemoryStore
from tests.engine.raw import answering, sends
from tests.shelf import Shelf, serving

MIB = 1 << 20
SIZE = 12 * MIB
KINDS: dict[str, dict[str, Any]] = {
    "weak": {"validators": ("weak",)},
    "untold": {"validators": ()},
    "fresh": {"validators": ("fresh",)},
    "whole": {"ranges": False},
    "dated": {"validators": ("time",), "ranges": False},
    "sizeless": {"validators": ("weak",), "ranges": False, "chunked": True},
}


@pytest.fixture(params=["engine", "curl"])
def carrier(request: pytest.FixtureRequest) -> Iterator[str]:
    before = objstore.engine_info()["http"]
    objstore.configure(http=request.param)
    yield request.param
    objstore.configure(http=before)


def download(store: HTTPStore, folder: Path) -> bytes:
    store.download("k", folder / "x", chunk_size=MIB)
    return (folder / "x").read_bytes()


def stream(store: HTTPStore, folder: Path) -> bytes:
    return b"".join(store.get("k", options={"read_ahead": 4 * MIB}))


def awaited(store: HTTPStore, folder: Path) -> bytes:
    async def read() -> bytes:
        return b"".join([chunk async for chunk in await store.get_async("k")])

    return asyncio.run(read())


def copy(store: HTTPStore, folder: Path) -> bytes:
    target = MemoryStore()
    store.copy("k", "x", to_store=target)
    return bytes(target.get("x").bytes())


def file(store: HTTPStore, folder: Path) -> bytes:
    with store.open("k") as opened:
        return b"".join(iter(lambda: opened.read(700_000), b""))


def back(store: HTTPStore, folder: Path) -> bytes:
    """Read some of it, then all of it."""
    with store.open("k") as opened:
        some = opened.read(10 * MIB)
        opened.seek(0)
        body = opened.read()
    assert body.startswith(some)
    return body


READS = [download, stream, awaited, copy, file, back]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("read", READS)
def test_all_of_it_is_read_though_it_breaks_off(read: Callable[..., bytes], kind: str, tmp_path: Path) -> None:
    with serving(Shelf(SIZE, **KINDS[kind])) as shelf:
        store = shelf.http()
        store.get_range("k", start=0, length=1)  # so that it is known whether there are ranges
        shelf.cuts = 1
        assert read(store, tmp_path) == shelf.version(1)


@pytest.mark.parametrize("kind", ["weak", "sizeless"])
@pytest.mark.parametrize("read", [download, stream])
def test_all_of_it_is_read_by_either(read: Callable[..., bytes], kind: str, carrier: str, tmp_path: Path) -> None:
    with serving(Shelf(SIZE, **KINDS[kind])) as shelf:
        assert read(shelf.http(), tmp_path) == shelf.version(1)


def test_a_stream_holds_little(carrier: str) -> None:
    with serving(Shelf(SIZE, validators=("weak",))) as shelf:
        come = [0]
        result = shelf.http().get(
            "k", options={"read_ahead": 4 * MIB}, progress=lambda done, total, moved: come.append(moved)
        )
        given = 0
        for chunk in result:
            given += len(chunk)
            assert max(come) - given <= 8 * MIB
        assert given == SIZE


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_read_in_order_holds_little(kind: str) -> None:
    with serving(Shelf(2 * SIZE, **KINDS[kind])) as shelf, shelf.http().open("k") as opened:
        before, asked, held = objstore.engine_info()["memory"], shelf.gets, []
        while opened.read(700_000):
            held.append(objstore.engine_info()["memory"] - before)
        assert max(held) <= SIZE
        assert shelf.gets <= asked + 1


def test_a_download_writes_what_comes(carrier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    write = Target.write

    def noted(target: Target, data: Any, at: int) -> None:
        written.append((at, len(data)))
        write(target, data, at)

    monkeypatch.setattr(Target, "write", noted)
    with serving(Shelf(SIZE, validators=("weak",))) as shelf:
        shelf.http().download("k", tmp_path / "x", chunk_size=MIB)
    assert written == [(at, MIB) for at in range(0, SIZE, MIB)]


def test_a_size_that_nobody_tells_is_found_out_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unnamed, "IN_MEMORY", 4 * MIB)
    with serving(Shelf(SIZE, **KINDS["sizeless"])) as shelf:
        store, before = shelf.http(), objstore.engine_info()["memory"]
        result = store.get("k")
        assert result.meta["size"] == SIZE
        assert objstore.engine_info()["memory"] <= before + 8 * MIB
        assert b"".join(result) == shelf.version(1)
        assert shelf.gets == 2  # a range of it, and all of it
        assert download(store, tmp_path) == shelf.version(1)


@pytest.mark.parametrize("kind", ["whole", "dated", "sizeless"])
def test_to_go_back_takes_one_request_more_and_little_memory(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unnamed, "IN_MEMORY", 4 * MIB)
    with serving(Shelf(SIZE, **KINDS[kind])) as shelf:
        store, before = shelf.http(), objstore.engine_info()["memory"]
        body = shelf.version(1)
        with store.open("k") as opened:
            asked = shelf.gets
            for at in (SIZE - 1000, 5, 7 * MIB, 0, SIZE - 100_000):
                opened.seek(at)
                assert opened.read(70_000) == body[at : at + 70_000]
            assert shelf.gets <= asked + (kind != "sizeless")
            assert objstore.engine_info()["memory"] <= before + 8 * MIB


def test_where_the_disk_is_full_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unnamed, "IN_MEMORY", 4 * MIB)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda buffering: io.FileIO("/dev/full", "r+"))
    with serving(Shelf(SIZE, **KINDS["whole"])) as shelf, shelf.http().open("k") as opened:
        opened.seek(SIZE // 2)
        with pytest.raises(OSError, match=r"No space left .* set TMPDIR .* or download") as failed:
            opened.read(10)
    assert failed.value.errno == errno.ENOSPC


def test_a_zip_file_of_a_server_without_ranges_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its index is at the end: all of it is read for that, and once."""
    monkeypatch.setattr(unnamed, "IN_MEMORY", MIB)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in "abc":
            archive.writestr(name, name * MIB)
    body = packed.getvalue()
    head = b'HTTP/1.1 200 OK\r\nETag: W/"a"\r\nContent-Length: %d\r\n\r\n' % len(body)
    with answering(sends(head + body)) as raw:
        store = HTTPStore(raw.origin, client_options={"allow_http": True})
        with store.open("k.zip") as opened, zipfile.ZipFile(opened) as archive:
            assert [archive.read(name) for name in "cab"] == [name.encode() * MIB for name in "cab"]
        assert len(raw.heads) <= 2  # the first finds out the size


# --- replaced while it is read


@pytest.mark.parametrize("read", [download, copy])
def test_what_can_begin_anew_is_whole(read: Callable[..., bytes], tmp_path: Path) -> None:
    with serving(Shelf(SIZE, validators=(), replaced_after=2)) as shelf:
        have_second(shelf, "cuts")
        assert read(shelf.http(), tmp_path) == shelf.version(2)


@pytest.mark.parametrize("read", [stream, awaited, file])
def test_what_has_been_given_is_never_gone_on_from_by_others(read: Callable[..., bytes], tmp_path: Path) -> None:
    with serving(Shelf(SIZE, validators=(), replaced_after=2)) as shelf:
        have_second(shelf, "cuts")
        with pytest.raises(ObjectChangedError):
            read(shelf.http(), tmp_path)


def test_what_is_read_again_has_to_be_what_was_given() -> None:
    with serving(Shelf(SIZE, validators=(), replaced_after=2)) as shelf, shelf.http().open("k") as opened:
        opened.read(10 * MIB)
        opened.seek(5)
        with pytest.raises(ObjectChangedError):
            opened.read(10)


@pytest.mark.parametrize("kind", ["weak", "untold"])
def test_a_target_that_cannot_be_whole_is_as_it_was(kind: str, tmp_path: Path) -> None:
    with serving(Shelf(SIZE, **KINDS[kind], replaced_after=1, new_size=SIZE + 1)) as shelf:
        (tmp_path / "x").write_bytes(b"before")
        with pytest.raises(ObjectChangedError):
            shelf.http().download("k", tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == b"before"
        assert [*tmp_path.iterdir()] == [tmp_path / "x"]


def test_what_has_become_longer_is_read_no_further(tmp_path: Path) -> None:
    shelf = Shelf(SIZE, validators=(), ranges=False, replaced_after=1, new_size=4 * SIZE)
    have_second(shelf, "chunked")
    with serving(shelf), pytest.raises(ObjectChangedError):
        download(shelf.http(), tmp_path)
    assert not (tmp_path / "x").exists()


def have_second(shelf: Shelf, field: str) -> None:
    """Have a field of the shelf be true of the second body alone: it breaks off, or comes in chunks."""
    take = shelf.take

    def counting(method: str, headers: dict[str, str]) -> int:
        version = take(method, headers)
        setattr(shelf, field, int(shelf.gets == 2))
        return version

    shelf.take = counting  # type: ignore[method-assign]


# --- while nobody reads


def test_what_is_not_read_on_takes_nobodys_place(carrier: str) -> None:
    options: dict[str, Any] = {"allow_http": True, "max_connections": 1}
    with serving(Shelf(SIZE, validators=("weak",))) as shelf:
        store = HTTPStore(shelf.origin, client_options=options)
        streams = [iter(store.get("k", options={"read_ahead": 2 * MIB})) for _ in range(3)]
        begun = [next(each) for each in streams]
        assert store.head("k")["size"] == SIZE
        for first, each in zip(begun, streams, strict=True):
            assert first + b"".join(each) == shelf.version(1)
        assert objstore.engine_info()["origins"][shelf.origin]["in_flight"] == 0


def test_left_early_nothing_stays(carrier: str) -> None:
    with serving(Shelf(SIZE, validators=("weak",))) as shelf:
        store = shelf.http()
        for _ in range(3):
            stream = store.get("k").stream()
            next(stream)
            stream.close()
            with pytest.raises(ValueError, match="closed"):
                next(stream)
        assert objstore.engine_info()["origins"][shelf.origin]["in_flight"] == 0


# --- checksums of all of it


@pytest.mark.parametrize("right", [True, False])
def test_a_hash_of_the_whole_is_compared(right: bool, tmp_path: Path) -> None:
    body = bytes(6 * MIB)
    told = base64.b64encode(hashlib.sha256(body if right else b"").digest()).decode()
    head = f'HTTP/1.1 200 OK\r\nETag: W/"a"\r\nContent-Length: {len(body)}\r\nx-amz-checksum-sha256: {told}\r\n\r\n'
    with answering(sends(head.encode() + body)) as raw:
        store = HTTPStore(raw.origin, client_options={"allow_http": True}, retry_config={"max_retries": 0})
        if right:
            store.download("k", tmp_path / "x", chunk_size=MIB)
            assert (tmp_path / "x").read_bytes() == body
        else:
            with pytest.raises(CorruptResponseError, match="checksum"):
                store.download("k", tmp_path / "x", chunk_size=MIB)
            assert not (tmp_path / "x").exists()
