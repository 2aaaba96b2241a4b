"""Objects as files, in obstore's shape: readers and writers."""

from __future__ import annotations

import asyncio
import gc
import inspect
import io
import os
import random
import warnings
from contextlib import suppress
from typing import Any

import pytest

from objstore import AsyncReadableFile, AsyncWritableFile, Bytes, ReadableFile, WritableFile, exceptions
from objstore.file import FileBytes
from tests.conformance.conftest import SMALL, Bucket, Face, Mode

MIB = 1 << 20
LINES = b"one\r\n\n\xff\xfe three\n" + b"x" * 5000 + b"\nlast"


class File:
    """An open file in one mode: its methods are to be awaited in either."""

    def __init__(self, file: Any, mode: Mode) -> None:
        self.file = file
        self.mode = mode

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.file, name)

        async def call(*args: Any) -> Any:
            result = function(*args)
            return await result if inspect.isawaitable(result) else result

        return call

    async def __aenter__(self) -> File:
        assert self.file is (await self.file.__aenter__() if self.mode.is_async else self.file.__enter__())
        return self

    async def __aexit__(self, *error: Any) -> None:
        if self.mode.is_async:
            await self.file.__aexit__(*error)
        else:
            self.file.__exit__(*error)


async def reader(store: Face, path: str, **options: Any) -> File:
    return File(await store.open_reader(path, **options), store.mode)


def writer(store: Face, path: str, **options: Any) -> File:
    open_writer = store.target.open_writer_async if store.mode.is_async else store.target.open_writer
    return File(open_writer(path, **options), store.mode)


async def content(store: Face, path: str) -> Bytes:
    found: Bytes = await store.mode(await store.get(path)).bytes()
    return found


# --- reading


async def test_what_a_reader_is(library: Face, mode: Mode) -> None:
    file = await reader(library, "small")
    assert type(file.file) is (AsyncReadableFile if mode.is_async else ReadableFile)
    assert file.file.size == len(SMALL)
    assert (file.file.readable(), file.file.writable(), file.file.seekable()) == (True, False, True)
    assert "small" in repr(file.file)
    assert type(await file.read(3)) is FileBytes


@pytest.mark.parametrize("buffer_size", [1, 1000, MIB, 64 * MIB])
async def test_reads_of_all_kinds(library: Face, large: bytes, buffer_size: int) -> None:
    """The same as io.BytesIO, in whatever order."""
    file, model = await reader(library, "large", buffer_size=buffer_size), io.BytesIO(large)
    chance = random.Random(buffer_size)
    for _ in range(40):
        if chance.random() < 0.4:
            offset, whence = chance.choice([(chance.randrange(len(large) + 9), 0), (-chance.randrange(9999), 2)])
            assert await file.seek(offset, whence) == model.seek(offset, whence)
        size = int(10 ** chance.uniform(0, 6.5))
        assert await file.read(size) == model.read(size)
        assert await file.tell() == model.tell()
    assert await file.seek(-7 * MIB, os.SEEK_END) == model.seek(-7 * MIB, os.SEEK_END)
    assert await file.read() == model.read()


@pytest.mark.parametrize("size", [None, True])
@pytest.mark.parametrize("path", ["large", "small", "empty"])
async def test_read_all(library: Face, large: bytes, path: str, size: bool | None) -> None:
    expected = {"large": large, "small": SMALL, "empty": b""}[path]
    for arguments in ((), (None,), (-1,), (len(expected) + 5,)):
        file = await reader(library, path, size=size and len(expected))
        assert await file.read(*arguments) == expected
        assert await file.read(*arguments) == b""
        assert await file.readall() == b""
        await file.seek(1)
        assert await file.readall() == expected[1:]


async def test_read_past_the_end(library: Face) -> None:
    file = await reader(library, "small")
    assert await file.seek(len(SMALL) + 100) == len(SMALL) + 100
    assert await file.read(10) == b""
    assert await file.readline() == b""
    assert await file.readinto(bytearray(4)) == 0
    assert await file.tell() == len(SMALL) + 100


async def test_readinto(library: Face, large: bytes) -> None:
    file = await reader(library, "large")
    small, big = bytearray(10), bytearray(9 * MIB)
    for target in (small, big, small):
        at = await file.tell()
        assert await file.readinto(target) == len(target)
        assert target == large[at : at + len(target)]
    await file.seek(-4, os.SEEK_END)
    assert await file.readinto(small) == 4
    assert small[:4] == large[-4:]
    with pytest.raises((BufferError, TypeError, ValueError)):
        await file.readinto(b"read-only")


@pytest.mark.parametrize("buffer_size", [1, 7, MIB])
async def test_lines(store: Face, mode: Mode, buffer_size: int) -> None:
    await store.put("lines", LINES)
    expected = io.BytesIO(LINES).readlines()
    file = await reader(store, "lines", buffer_size=buffer_size)
    assert await file.readlines() == expected
    assert await file.readlines() == []
    await file.seek(0)
    assert [await file.readline() for _ in range(6)] == [*expected, b""]
    await file.seek(0)
    assert await mode.all(file.file) == expected
    for hint in (0, -1, 1, 5, 6, 9999):
        await file.seek(0)
        model = io.BytesIO(LINES)
        assert await file.readlines(hint) == model.readlines(hint)
        assert await file.tell() == model.tell()


@pytest.mark.parametrize("arguments", [(-5,), (-1, 1), (-len(SMALL) - 1, 2), (0, 5)])
async def test_seek_to_nowhere(library: Face, arguments: tuple[int, ...]) -> None:
    file = await reader(library, "small")
    with pytest.raises(ValueError, match=r"seek|whence"):
        await file.seek(*arguments)
    assert await file.tell() == 0


async def test_a_reader_of_nothing(library: Face) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        await reader(library, "missing")
    file = await reader(library, "missing", size=100)
    with pytest.raises(FileNotFoundError, match="missing"):
        await file.read()


@pytest.mark.parametrize("arguments", [{"buffer_size": 0}, {"size": -1}])
async def test_a_reader_cannot_be(library: Face, arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        await reader(library, "small", **arguments)


async def test_a_closed_reader(library: Face) -> None:
    async with await reader(library, "small") as file:
        assert file.file.closed is False
    assert file.file.closed is True
    file.file.close()
    for name in ("read", "readall", "readline", "readlines", "tell"):
        with pytest.raises(ValueError, match="closed"):
            await getattr(file, name)()
    with pytest.raises(ValueError, match="closed"):
        await file.seek(0)


@pytest.mark.parametrize("size", [None, True])
@pytest.mark.parametrize(
    "shorter_by", [pytest.param(0, marks=pytest.mark.needs("conditions of reads", "ETags within a second")), 15 * MIB]
)
async def test_an_object_replaced_while_it_is_read(
    store: Face, large: bytes, shorter_by: int, size: bool | None
) -> None:
    await store.put("object", large)
    file = await reader(store, "object", size=size and len(large))
    assert await file.read(10) == large[:10]
    await store.put("object", large[shorter_by:][::-1])
    assert await file.read(10) == large[10:20]  # which had come along
    for arguments in ((7 * MIB,), ()):
        await file.seek(6 * MIB)
        with pytest.raises(exceptions.ObjectChangedError, match="object"):
            await file.read(*arguments)
        assert await file.tell() == 6 * MIB


async def test_a_reader_of_another_size(library: Face) -> None:
    """What it names may have come from a listing, and be of another version, or of an encoded body."""
    for size in (10, len(SMALL) - 1, len(SMALL) + 1, 3 * len(SMALL)):
        file = await reader(library, "small", size=size)
        for kind in (exceptions.WrongSizeError, OSError):
            with pytest.raises(kind, match=r"the range of 'small'.*Give no size"):
                await file.read()
        assert await file.tell() == 0
    file = await reader(library, "small", size=len(SMALL))
    assert await file.read() == SMALL


# --- writing


async def test_what_a_writer_is(store: Face, mode: Mode) -> None:
    async with writer(store, "object") as file:
        assert type(file.file) is (AsyncWritableFile if mode.is_async else WritableFile)
        assert "object" in repr(file.file)
        assert (await file.closed()) is False
        assert (file.file.readable(), file.file.writable(), file.file.seekable()) == (False, True, False)
        assert await file.write(SMALL) == len(SMALL)
        assert await file.flush() is None
        with pytest.raises(exceptions.NotFoundError):
            await store.head("object")
    assert (await file.closed()) is True
    assert await content(store, "object") == SMALL


@pytest.mark.parametrize("piece", [999, 1 << 16, 7 * MIB, 21 * MIB])
@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 5 * MIB + 1, 17 * MIB])
async def test_write(store: Face, large: bytes, size: int, piece: int) -> None:
    async with writer(store, "object", buffer_size=1 if piece > MIB else 6 * MIB, max_concurrency=2) as file:
        for at in range(0, size, piece):
            await file.write(large[at : min(at + piece, size)])
    assert await content(store, "object") == large[:size]


async def test_pieces_may_change_once_they_are_written(store: Face) -> None:
    for size in (10, MIB):
        piece = bytearray(b"a" * size)
        async with writer(store, "object") as file:
            await file.write(piece)
            await file.write(memoryview(piece).toreadonly())
            piece[:] = b"b" * size
            await file.write(memoryview(bytes(piece)).cast("H"))
            piece.clear()
        assert await content(store, "object") == b"a" * 2 * size + b"b" * size


@pytest.mark.needs("attributes")
async def test_write_with_attributes(store: Face) -> None:
    async with writer(store, "object", attributes={"Content-Type": "text/plain", "mine": "1"}) as file:
        await file.write(SMALL)
    attributes = (await store.get("object")).attributes
    assert attributes["Content-Type"] == "text/plain"
    assert attributes["mine"] == "1"


@pytest.mark.needs("conditions")
@pytest.mark.parametrize("size", [10, 12 * MIB])
async def test_a_writer_that_creates(store: Face, size: int) -> None:
    file = writer(store, "object", mode="create", buffer_size=5 * MIB)
    await file.write(bytes(size))
    await store.put("object", b"old")
    with pytest.raises(exceptions.AlreadyExistsError, match="object"):
        await file.close()
    assert (await file.closed()) is True
    assert await content(store, "object") == b"old"


async def test_write_what_is_no_buffer(store: Face) -> None:
    async with writer(store, "object") as file:
        for other in ("text", 5, [1], memoryview(b"abcd")[::2]):
            with pytest.raises(TypeError, match=r"buffer|in C order|give its \.encode"):
                await file.write(other)
        await file.write(b"a")
    assert await content(store, "object") == b"a"


async def test_a_closed_writer(store: Face) -> None:
    file = writer(store, "object")
    await file.close()
    assert await content(store, "object") == b""
    for name, arguments in [("write", (b"a",)), ("close", ()), ("flush", ())]:
        for kind in (OSError, ValueError):
            with pytest.raises(kind, match="closed"):
                await getattr(file, name)(*arguments)
    async with writer(store, "object") as file:
        await file.write(b"a")
        await file.close()
    assert await content(store, "object") == b"a"


@pytest.mark.parametrize("arguments", [{"buffer_size": 0}, {"max_concurrency": 0}, {"mode": "append"}])
async def test_a_writer_cannot_be(store: Face, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        writer(store, "object", **arguments)


async def test_an_exception_leaves_no_object_and_no_parts(bucket: Bucket, mode: Mode) -> None:
    store = mode(bucket.open())
    for size in (10, 12 * MIB):
        with suppress(ZeroDivisionError):
            async with writer(store, "object", buffer_size=5 * MIB) as file:
                await file.write(bytes(size))
                raise ZeroDivisionError
        assert (await file.closed()) is True
        with pytest.raises(exceptions.NotFoundError):
            await store.head("object")
        assert bucket.unfinished() == []


async def test_a_file_nobody_closes_leaves_no_object_and_no_parts(bucket: Bucket, mode: Mode) -> None:
    store = mode(bucket.open())
    for size in (10, 12 * MIB):
        file = writer(store, "object", buffer_size=5 * MIB)
        await file.write(bytes(size))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            del file
            gc.collect()
        assert [warning.category for warning in told] == [ResourceWarning]
        assert "object" in str(told[0].message)
        with pytest.raises(exceptions.NotFoundError):
            await store.head("object")
        assert bucket.unfinished() == []


async def test_a_cancelled_write_leaves_no_parts(bucket: Bucket, mode: Mode, large: bytes) -> None:
    if not mode.is_async:
        return
    store = mode(bucket.open())
    file = writer(store, "object", buffer_size=5 * MIB, max_concurrency=1)

    async def write_for_ever() -> None:
        while True:
            await file.write(large)

    task = asyncio.ensure_future(write_for_ever())
    while not bucket.has_parts("object") and not task.done():  # before that, nobody here knows the upload's id
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await file.closed()) is True
    assert bucket.unfinished() == []


async def test_from_one_file_to_another(store: Face, large: bytes) -> None:
    await store.put("from", large)
    async with await reader(store, "from") as source, writer(store, "to") as target:
        while piece := await source.read(3 * MIB):
            await target.write(piece)
    assert await content(store, "to") == large
