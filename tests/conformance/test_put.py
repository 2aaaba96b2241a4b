"""Writing one object: every form of input, sizes around a part, and what goes wrong."""

from __future__ import annotations

import array
import asyncio
import gzip
import io
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objstore import Bytes, exceptions
from tests.conformance.conftest import SMALL, Bucket, Face, Mode
from tests.servers import S3Server

PART = 5 << 20


class Reader:
    """What can be read and nothing else."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self.file.read(min(size, 1000))


class Raw(io.RawIOBase):
    """A raw stream, which knows only how to fill a buffer."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self.file.readinto(buffer)


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    yield from (data[at : at + size] for at in range(0, len(data), size))


async def async_pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for piece in pieces(data, size):
        yield piece


async def produced(data: bytes) -> AsyncIterator[bytes]:
    """Yield what another task of the same event loop makes."""
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)

    async def produce() -> None:
        for piece in pieces(data, 100):
            await queue.put(piece)
        await queue.put(b"")

    task = asyncio.create_task(produce())
    while piece := await queue.get():
        yield piece
    await task


def same_memory(data: bytes) -> Iterator[memoryview]:
    buffer = bytearray(100)
    for piece in pieces(data, 100):
        buffer[: len(piece)] = piece
        yield memoryview(buffer)[: len(piece)]


def opened_at(path: Path, position: int) -> Any:
    file = path.open("rb")
    file.seek(position)
    return file


def read_from(file: io.BytesIO, position: int) -> io.BytesIO:
    file.seek(position)
    return file


def gzipped(path: Path) -> Any:
    path.write_bytes(gzip.compress(SMALL))
    return gzip.open(path)


def spooled() -> Any:
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115
    file.write(b"..." + SMALL)
    file.seek(3)
    return file


FORMS: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda path: SMALL,
    "bytearray": lambda path: bytearray(SMALL),
    "memoryview": lambda path: memoryview(b"." + SMALL)[1:],
    "Bytes": lambda path: Bytes(SMALL),
    "numpy uint8": lambda path: np.frombuffer(SMALL, np.uint8),
    "numpy float64, two dimensions": lambda path: np.frombuffer(SMALL, np.float64).reshape(8, 16),
    "array of int": lambda path: array.array("i", SMALL),
    "str path": str,
    "Path": lambda path: path,
    "file": lambda path: path.open("rb"),
    "unbuffered file": lambda path: path.open("rb", buffering=0),
    "BytesIO": lambda path: io.BytesIO(SMALL),
    "BytesIO from its position": lambda path: read_from(io.BytesIO(b"..." + SMALL), 3),
    "spooled file from its position": lambda path: spooled(),
    "gzip file": lambda path: gzipped(path),
    "raw stream": lambda path: Raw(SMALL),
    "buffered raw stream": lambda path: io.BufferedReader(Raw(SMALL)),
    "reader": lambda path: Reader(SMALL),
    "iterator": lambda path: pieces(SMALL),
    "iterator with empty pieces": lambda path: iter([b"", SMALL[:5], b"", b"", SMALL[5:], b""]),
    "list of buffers": lambda path: [SMALL[:7], bytearray(SMALL[7:100]), memoryview(SMALL)[100:]],
    "iterator that uses its memory again": lambda path: same_memory(SMALL),
    "async iterator": lambda path: async_pieces(SMALL),
    "async iterator bound to its loop": lambda path: produced(SMALL),
}


@pytest.mark.parametrize("form", FORMS)
async def test_forms_of_input(store: Face, mode: Mode, tmp_path: Path, form: str) -> None:
    path = tmp_path / "data"
    path.write_bytes(SMALL)
    file = FORMS[form](path)
    try:
        result = await store.put("object", file)
    finally:
        if isinstance(file, io.IOBase):
            file.close()
    assert await mode(await store.get("object")).bytes() == SMALL
    assert result["e_tag"] == (await store.head("object"))["e_tag"]
    assert set(result) == {"e_tag", "version"}


EMPTY: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda path: b"",
    "memoryview": lambda path: memoryview(b""),
    "numpy": lambda path: np.zeros(0),
    "path": lambda path: path,
    "BytesIO": lambda path: io.BytesIO(),
    "iterator": lambda path: iter([]),
    "iterator of nothing": lambda path: iter([b"", b""]),
    "async iterator": lambda path: async_pieces(b""),
}


@pytest.mark.parametrize("use_multipart", [None, True, False])
@pytest.mark.parametrize("form", EMPTY)
async def test_nothing(store: Face, tmp_path: Path, form: str, use_multipart: bool | None) -> None:
    path = tmp_path / "data"
    path.touch()
    await store.put("object", EMPTY[form](path), use_multipart=use_multipart)
    assert (await store.head("object"))["size"] == 0


async def test_a_file_is_sent_from_its_position(store: Face, mode: Mode, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(SMALL)
    for position, buffering in ((0, -1), (1, -1), (1023, -1), (1024, -1), (2000, -1), (7, 0)):
        with path.open("rb", buffering=buffering) as file:
            file.seek(position)
            await store.put("object", file)
        assert await mode(await store.get("object")).bytes() == SMALL[position:]


async def test_a_file_partly_read(store: Face, mode: Mode, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(SMALL)
    with path.open("rb") as file:
        file.read(10)
        await store.put("object", file)
    assert await mode(await store.get("object")).bytes() == SMALL[10:]


# --- sizes and parts


@pytest.mark.parametrize("use_multipart", [None, True, False])
@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART + 1])
async def test_sizes_around_a_part(
    store: Face, mode: Mode, server: object, large: bytes, size: int, use_multipart: bool | None
) -> None:
    result = await store.put("object", large[:size], use_multipart=use_multipart)
    assert await mode(await store.get("object")).bytes() == large[:size]
    if isinstance(server, S3Server):
        in_parts = use_multipart or (use_multipart is None and size > PART)
        assert parts(result) == (max(-(-size // PART), 1) if in_parts else 0)


def parts(result: dict[str, str]) -> int:
    """Return in how many parts an object was sent: S3 counts them in its ETag, 0 for a single request."""
    return int(result["e_tag"].strip('"').partition("-")[2] or 0)


@pytest.mark.needs("requests", "parts", "ETags that count parts")
@pytest.mark.parametrize(
    ("size", "use_multipart", "wanted"), [(PART - 1, None, 0), (PART + 1, None, 2), (0, True, 1), (2 * PART, False, 0)]
)
async def test_sizes_of_iterators(
    store: Face, large: bytes, size: int, use_multipart: bool | None, wanted: int
) -> None:
    data = pieces(large[:size], PART // 3)
    assert parts(await store.put("object", data, use_multipart=use_multipart)) == wanted
    assert (await store.head("object"))["size"] == size


@pytest.mark.parametrize("piece", [3_000_000, PART, 1 << 30])
@pytest.mark.parametrize("make", [pieces, async_pieces])
async def test_a_large_iterator(store: Face, mode: Mode, large: bytes, make: Callable[..., Any], piece: int) -> None:
    data = large[: 2 * PART + 1]
    await store.put("object", make(data, piece))
    assert await mode(await store.get("object")).bytes() == data


@pytest.mark.parametrize("position", [0, 12_345])
async def test_a_large_file(store: Face, mode: Mode, tmp_path: Path, large: bytes, position: int) -> None:
    path = tmp_path / "data"
    path.write_bytes(large)
    with opened_at(path, position) as file:
        await store.put("object", file)
    assert await mode(await store.get("object")).bytes() == large[position:]


@pytest.mark.needs("ETags of uploads in parts")
@pytest.mark.parametrize("size", [0, 1, PART + 1])
async def test_the_e_tag_of_an_upload_in_parts(store: Face, large: bytes, size: int) -> None:
    result = await store.put("object", large[:size], use_multipart=True)
    assert result["e_tag"] == (await store.head("object"))["e_tag"]


async def test_a_large_buffer_of_wide_items(store: Face, mode: Mode, large: bytes) -> None:
    values = np.frombuffer(large[: 2 * PART + 8], np.float64)
    await store.put("object", values, max_concurrency=1)
    assert await mode(await store.get("object")).bytes() == values.tobytes()


async def test_other_part_sizes(store: Face, mode: Mode, large: bytes) -> None:
    data = large[: 2 * PART + 1]
    for chunk_size, max_concurrency in ((1000, 1), (6 << 20, 2), (1 << 30, 100)):
        await store.put("object", data, chunk_size=chunk_size, max_concurrency=max_concurrency)
        assert await mode(await store.get("object")).bytes() == data


# --- what goes wrong


@pytest.mark.parametrize(
    "arguments", [{"chunk_size": 0}, {"max_concurrency": 0}, {"mode": "append"}, {"mode": {"tag": 1}}]
)
async def test_arguments_that_are_none(store: Face, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        await store.put("object", b"x", **arguments)
    with pytest.raises(exceptions.NotFoundError):
        await store.head("object")


@pytest.mark.parametrize("data", [None, 5, 1.5, object(), memoryview(SMALL)[::2], [1, 2], ["text"], [None]])
async def test_what_cannot_be_uploaded(store: Face, data: Any) -> None:
    with pytest.raises(TypeError, match="what is to be uploaded is of the type"):
        await store.put("object", data)
    with pytest.raises(exceptions.NotFoundError):
        await store.head("object")


async def test_a_text_file_cannot_be_uploaded(store: Face, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("äöü")
    with (tmp_path / "text").open() as file, pytest.raises(TypeError, match="binary"):
        await store.put("object", file)


async def test_a_file_that_is_none(store: Face, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await store.put("object", tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        await store.put("object", tmp_path)
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        with pytest.raises(ValueError, match="pipe"):
            await store.put("object", tmp_path / "pipe")
    finally:
        os.close(writer)


def failing(data: bytes) -> Iterator[bytes]:
    yield data
    raise RuntimeError("no more")


async def async_failing(data: bytes) -> AsyncIterator[bytes]:
    yield data
    raise RuntimeError("no more")


@pytest.mark.parametrize("make", [failing, async_failing])
@pytest.mark.parametrize("size", [10, 3 * PART])
async def test_an_iterator_that_fails(store: Face, large: bytes, make: Callable[[bytes], Any], size: int) -> None:
    with pytest.raises(RuntimeError, match="no more"):
        await store.put("object", make(large[:size]))
    with pytest.raises(exceptions.NotFoundError):
        await store.head("object")


async def test_a_failed_upload_leaves_no_parts(bucket: Bucket, mode: Mode, large: bytes) -> None:
    with pytest.raises(RuntimeError, match="no more"):
        await mode(bucket.open()).put("object", failing(large[: 3 * PART]))
    assert bucket.unfinished() == []


async def stuck(data: bytes) -> AsyncIterator[bytes]:
    yield data
    await asyncio.sleep(60)


def interrupted(data: bytes) -> Iterator[bytes]:
    yield data
    raise KeyboardInterrupt


async def test_an_upload_cut_short_leaves_no_parts(bucket: Bucket, mode: Mode, large: bytes) -> None:
    store = mode(bucket.open())
    if mode.is_async:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(store.put("object", stuck(large[: 3 * PART])), 0.3)
    else:
        with pytest.raises(KeyboardInterrupt):
            await store.put("object", interrupted(large[: 3 * PART]))
    assert bucket.unfinished() == []
    with pytest.raises(exceptions.NotFoundError):
        await store.head("object")


@pytest.mark.needs("parts")
async def test_a_file_that_changes_while_it_is_sent(store: Face, tmp_path: Path, large: bytes) -> None:
    path = tmp_path / "data"
    path.write_bytes(large)
    with pytest.raises(exceptions.SourceChangedError):
        await store.upload(path, "object", chunk_size=PART, progress=lambda *_: path.write_bytes(large[::-1]))
    with pytest.raises(exceptions.NotFoundError):
        await store.head("object")


@pytest.mark.needs("requests")
async def test_of_many_files_one_that_changes_while_it_is_sent(store: Face, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(SMALL)

    def change(*_: int) -> None:
        path.write_bytes(SMALL[::-1])

    with pytest.raises(exceptions.SourceChangedError):
        await store.put_many({"a": path, "b": SMALL}, progress=change)
    # other keys: a server may still be at what the first call has broken off
    changed, result = await store.put_many({"c": path, "d": SMALL}, progress=change, on_error="return")
    assert isinstance(changed, exceptions.SourceChangedError)
    assert set(result) == {"e_tag", "version"}


async def test_descriptors_are_closed(store: Face, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(SMALL)
    await store.put("object", tmp_path / "data")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        await store.put("object", tmp_path / "data")
        with pytest.raises(FileNotFoundError):
            await store.put_many([("a", tmp_path / "data"), ("b", tmp_path / "missing")])
    assert len(os.listdir("/proc/self/fd")) <= before + 2
