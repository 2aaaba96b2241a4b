"""An open file: fsspec's own, over ranges that are read in parallel where they are large, and parts sent while more is
written.

Reads are by a cache, of ours or of fsspec's, as the caller chooses: some ask from several threads at once.

Its one invariant: what is written is there as a whole once the file is closed without an error, or it is not there.
"""

from __future__ import annotations

import errno
import io
import os
from functools import partial
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any

from fsspec.asyn import AbstractAsyncStreamedFile
from fsspec.caching import caches
from fsspec.spec import AbstractBufferedFile

from objstore._core import Buffer
from objstore._fsspec.listing import is_only_folder
from objstore._fsspec.read_ahead import ReadAhead
from objstore.exceptions import AlreadyExistsError, NotFoundError
from objstore.interface.values import FIRST_BYTE
from objstore.operations.arguments import check_at_least
from objstore.operations.blocks import first_piece, has_index
from objstore.operations.column_reads import ColumnReads
from objstore.operations.files import TextObjectWriter
from objstore.operations.pinned import Pinned, pin
from objstore.operations.reader import READ_BUFFER
from objstore.operations.window import LEAST_AHEAD
from objstore.operations.writer import PARTS_IN_FLIGHT, WRITE_BUFFER, Writer, writer
from objstore.plans.run import arun, run

if TYPE_CHECKING:
    from objstore._fsspec.filesystem import FileSystem
    from objstore.interface.values import Range
    from objstore.plans.effects import Plan
    from objstore.store import Store
    from objstore.types import Attributes, PutMode

READ_SIZE = 5 << 20
"""What fsspec's own caches read at a time."""

LINE = 8 << 10
MODES = ("rb", "wb", "xb", "ab")
COPIED = 16 << 20
"""How much of a file that is appended to is read at a time."""


class BufferedFile(AbstractBufferedFile):  # type: ignore[misc]
    """A file that is open for reading or writing.

    Args:
        fs: Where it is.
        path: Its path.
        mode: ``"rb"``, ``"wb"``, ``"xb"`` for a file that must not exist yet, or ``"ab"`` to append: an object cannot
            grow, so all of it is read and written anew.
        block_size: How many bytes a small read fetches, 1 MiB at first; how many fsspec's caches read at a time, 5 MiB.
        autocommit: Whether closing it puts it in its place; else `commit` does.
        cache_type: Which of fsspec's caches is used for reading, in the place of our own: that holds the blocks last
            read, and reads ahead more and more where reads go on from each other, little where they do not.
        cache_options: Its options.
        buffer_size: The same as `block_size`; of a file that is written, the size of a part. Where a store takes no
            parts, all of it is in memory until it is closed.
        attributes: What to store with a file that is written.
        tags: Tags to give it, where the store keeps tags.
        size: The size of the file, if it is known: it need not be asked for. Of a file of another size, nothing is
            read.

    Raises:
        FileNotFoundError: It is to be read, and does not exist.
        FileExistsError: The mode is ``"xb"``, and it exists.
        PreconditionError: The mode is ``"ab"``, and somebody else has written to it meanwhile.
        ValueError: The mode is another, such as ``"r+b"``: an object cannot be changed in place.
    """

    cache: Any = None
    closed: bool
    _columns: ColumnReads | None = None

    def __init__(
        self,
        fs: FileSystem,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = None,
        autocommit: bool = True,
        cache_type: str = ReadAhead.name,
        cache_options: dict[str, Any] | None = None,
        *,
        buffer_size: int | None = None,
        attributes: Attributes | None = None,
        tags: dict[str, str] | None = None,
        size: int | None = None,
    ) -> None:
        _check_mode(mode)
        _check_reading(block_size, cache_type)
        if mode == "xb" and fs.exists(path):
            raise AlreadyExistsError(f"{fs.shown(path)!r} exists already", path=fs.shown(path))
        self._turn = RLock()  # threads that write one file do so one after the other
        before = run(_before(fs, path)) if mode == "ab" else None
        self._writer = None if mode == "rb" else _writer(fs, path, mode, buffer_size, attributes, tags, before)
        if mode == "rb":
            self._pinned = run(_pinned(fs, path, size))
            size = self._pinned.size
        usual = READ_BUFFER if cache_type == ReadAhead.name else READ_SIZE
        block = buffer_size or (block_size if isinstance(block_size, int) else None) or usual
        super().__init__(fs, path, mode, block, autocommit, cache_type, cache_options, size=size)
        if isinstance(self.cache, ReadAhead):
            self.cache.begin(self._pinned)
            named = fs.layouts, fs._strip_protocol(path)
            self._columns = ColumnReads(*_store_of(fs, path), self._pinned, self.cache.account, *named)
        if self._writer is not None and before is not None:
            self.loc = run(_copy(before, self._writer))

    def _fetch_range(self, start: int, end: int) -> bytes:
        """Read a range of the version of the file that was opened."""
        return run(_read(self._pinned, start, end))

    def read_buffer(self, size: int = -1) -> bytes | memoryview:
        """Read as pyarrow does: of a Parquet file, columns that it will ask for next come along."""
        if self._columns is None or self.closed:
            data: bytes = self.read(size)
            return data
        return self._columns.read(self, size)

    def readline(self, size: int | None = -1) -> bytes:
        """Return what is left of the line, with its end."""
        start = self.tell()
        line: bytes = self.readuntil(b"\n", LINE)
        if size is not None and 0 <= size < len(line):
            self.seek(start + size)
            return line[:size]
        return line

    def write(self, data: Any) -> int:
        """Write bytes; they are sent when they fill a part."""
        if self._writer is None or self.closed:
            raise io.UnsupportedOperation("this file is not open for writing")
        with self._turn:
            size = run(self._writer.write(data))
            self.loc += size
        return size

    def flush(self, force: bool = False) -> None:
        """Do nothing: an object is written as a whole, when the file is closed."""
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def close(self) -> None:
        """Close the file; what was written is put in its place, if it is to be at once."""
        if self.closed:
            return
        try:
            if self._writer is not None and self.autocommit and not self._writer.closed:
                self.commit()
        finally:
            if self._columns is not None:
                self._columns.close()
            if hasattr(self.cache, "close"):
                self.cache.close()
            self.cache = None
            self.closed = True

    def commit(self) -> None:
        """Put what was written in its place."""
        assert self._writer is not None
        run(self._writer.close())
        self.fs.invalidate_cache(self.path)

    def discard(self) -> None:
        """Throw away what was written."""
        if self._writer is not None:
            run(self._writer.abort())
        self.closed = True

    def __exit__(self, *error: object) -> None:
        """Close the file; after an error in the block, what was written is thrown away."""
        if self._writer is not None and error[0] is not None:
            self.discard()
        self.close()


class TextFile(TextObjectWriter):
    """A file that is open for writing text; after an error in a ``with`` block, it is not written."""

    def abort(self) -> None:
        """Throw away what was written."""
        self.buffer.discard()  # type: ignore[attr-defined]


class StreamedFile(AbstractAsyncStreamedFile):  # type: ignore[misc]
    """A file that is open for reading (``"rb"``) or writing (``"wb"``, ``"xb"``) in coroutines."""

    closed: bool
    _writer: Writer | None = None
    _pinned: Pinned | None = None

    @classmethod
    async def open(cls, fs: FileSystem, path: str, mode: str, size: int | None = None) -> StreamedFile:
        """Open a file."""
        _check_mode(mode)
        if mode == "ab":
            raise ValueError("mode = 'ab': files for coroutines are read, written or created; append with `open`")
        pinned = await arun(_pinned(fs, path, size)) if mode == "rb" else None
        file = cls(fs, path, mode, cache_type="none", size=None if pinned is None else pinned.size)
        file._pinned = pinned
        file._writer = None if mode == "rb" else _writer(fs, path, mode)
        return file

    def __del__(self) -> None:
        """Drop what has been written, if the file was never closed."""
        if self._writer is not None:
            self._writer.abandon(self)

    async def _fetch_range(self, start: int, end: int) -> bytes:
        assert self._pinned is not None
        return await arun(_read(self._pinned, start, end))

    async def write(self, data: Any) -> int:
        """Write bytes; they are sent when they fill a part."""
        if self._writer is None or self.closed:
            raise io.UnsupportedOperation("this file is not open for writing")
        size = await arun(self._writer.write(data))
        self.loc += size
        return size

    async def flush(self, force: bool = False) -> None:
        """Do nothing: an object is written as a whole, when the file is closed."""

    async def close(self) -> None:
        """Close the file; what was written is put in its place."""
        if self.closed:
            return
        self.closed = True
        if self._writer is not None and not self._writer.closed:
            await arun(self._writer.close())
            self.fs.invalidate_cache(self.path)

    async def __aexit__(self, *error: object) -> None:
        """Close the file; after an error in the block, what was written is thrown away."""
        if self._writer is not None and error[0] is not None:
            await arun(self._writer.abort())
        await self.close()


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise ValueError(
            f"mode = {mode!r}: give one of {', '.join(MODES)}; an object cannot be changed in place. "
            "Get it into a local file, change that, and put it back."
        )


def _check_reading(block_size: object, cache_type: object) -> None:
    if isinstance(block_size, int):
        check_at_least("block_size", block_size, 0)
    if cache_type not in caches:
        raise ValueError(f"cache_type = {cache_type!r}: give one of {', '.join(filter(None, caches))}")


def _pinned(fs: FileSystem, path: str, size: int | None) -> Plan[Pinned]:
    """Begin to read a file; a request asks for its size, its version and its beginning, unless the size is known."""
    store, key = _store_of(fs, path)
    if size is not None:
        return Pinned(store.provider, store.key(key), fs.shown(path), size, None)
    name = fs._strip_protocol(path)
    try:
        if has_index(name):
            return (yield from fs.in_turn.open(store.provider, name, partial(_piece, fs), partial(_begin, fs)))
        return (yield from _begin(fs, name, _piece(fs, name)))
    except NotFoundError:
        if (yield from is_only_folder(fs, path)):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), fs.shown(path)) from None
        raise


def _piece(fs: FileSystem, path: str) -> Range:
    """Return which piece of a file to ask for as it is opened."""
    return fs.layouts.piece(path, first_piece(path, LEAST_AHEAD))


def _begin(fs: FileSystem, path: str, piece: Range) -> Plan[Pinned]:
    """Ask for the version of a file and a piece of it, unless that was read just now and none is to come along.

    Who asks next whether it is a file is told so.
    """
    store, name = _store_of(fs, path)
    again = fs.layouts.again(path) if piece == FIRST_BYTE else None
    if again is not None:
        return (yield from again.anew())
    asked = monotonic()
    pinned = yield from pin(store.provider, store.key(name), fs.shown(path), piece)
    fs.listed.note([{"name": path, "type": "file"}], asked)  # pyarrow asks, and opens it anew
    return pinned


def _store_of(fs: FileSystem, path: str) -> tuple[Store, str]:
    """Return the store that a file is in, and its path there."""
    bucket, name = fs._split_file(path)
    return fs._construct_store(bucket), name


def _before(fs: FileSystem, path: str) -> Plan[Pinned | None]:
    """Return a file that is going to be appended to, None where there is none yet."""
    try:
        return (yield from _pinned(fs, path, None))
    except NotFoundError:
        return None


def _copy(source: Pinned, target: Writer) -> Plan[int]:
    """Write all of a file into another; return how much that is."""
    for start in range(0, source.size, COPIED):
        yield from target.write((yield from _read(source, start, start + COPIED)))
    return source.size


def _read(source: Pinned, start: int, end: int) -> Plan[bytes]:
    """Read a range of the version of a file that was opened."""
    size = max(min(end, source.size) - start, 0)
    buffer, content = Buffer.of_bytes(size)
    if size:
        yield from source.fetch(start, buffer)
    return content


def _writer(
    fs: FileSystem,
    path: str,
    mode: str,
    buffer_size: int | None = None,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    before: Pinned | None = None,
) -> Writer:
    """Return the writer of a file; of one that is appended to, in the place of what is there now."""
    store, key = _store_of(fs, path)
    put_mode: PutMode = "create" if mode == "xb" or (mode == "ab" and before is None) else "overwrite"
    if before is not None and before.e_tag is not None:
        put_mode = {"e_tag": before.e_tag}
    size = buffer_size or WRITE_BUFFER
    return writer(store, key, attributes, tags, put_mode, size, PARTS_IN_FLIGHT)
