"""An object read like a file: from any place, ahead of what is asked for, in parallel ranges where it is much."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeVar

from objstore._core import Buffer, FileBytes
from objstore.operations.arguments import check_at_least
from objstore.operations.blocks import Blocks, first_piece
from objstore.operations.buffers import writable
from objstore.operations.naming import readable_key_of
from objstore.operations.pinned import Pinned, pin
from objstore.plans.effects import Plan, alone
from objstore.plans.run import arun, both, run

if TYPE_CHECKING:
    from typing import Self

    from objstore.interface.store import BaseStore
    from objstore.interface.values import Range
    from objstore.operations.window import Account
    from objstore.types import Buffer as BufferLike

READ_BUFFER = 1 << 20
"""What the second of small reads that go on from each other fetches, in bytes."""

LINE = 8 << 10
"""What is asked for where a line begins whose length nobody knows."""

B = TypeVar("B", bytes, FileBytes)


class Reader:
    """A place in an object, and the block of bytes around it that has been fetched.

    Args:
        pinned: The version of the object that is read.
        buffer_size: What small reads that go on from each other fetch at first, in bytes.
    """

    def __init__(self, pinned: Pinned, buffer_size: int) -> None:
        self.path = pinned.path
        self.size = pinned.size
        self.at = 0
        self.closed = False
        self.pinned = pinned
        self.buffer_size = buffer_size
        self._blocks = Blocks(buffer_size, pinned.size, pinned.piece, lambda: pinned.wait_is_worth)

    @property
    def e_tag(self) -> str | None:
        """The ETag that pins the version that is read, once that is known."""
        return self.pinned.e_tag

    @property
    def account(self) -> Account:
        """What has been fetched, and asked for."""
        return self._blocks.account

    def check_open(self) -> None:
        """Raise ValueError if the file has been closed."""
        if self.closed:
            raise ValueError(f"{self.path!r} has been closed: open it again")

    def close(self) -> None:
        """Close the file and let go of what has been fetched."""
        self.closed = True
        self.pinned.close()
        self._blocks.clear()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the object, counted from its beginning, from here or from its end; return where that is."""
        self.check_open()
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}
        if whence not in bases:
            raise ValueError(f"whence = {whence!r}: give os.SEEK_SET, os.SEEK_CUR or os.SEEK_END")
        if bases[whence] + offset < 0:
            raise ValueError(f"seek to {bases[whence] + offset}, which is before the beginning of {self.path!r}")
        self.at = bases[whence] + offset
        return self.at

    def left(self, size: int | None) -> int:
        """Return how many bytes a read of `size` gets; None and negative sizes mean all."""
        left = max(self.size - self.at, 0)
        return left if size is None or size < 0 else min(size, left)

    def _take(self, size: int) -> memoryview:
        """Return bytes that are here already, and go behind them."""
        taken = self._blocks.view(self.at, size)
        self.at += size
        return taken

    # --- plans

    def read(self, size: int | None, kind: type[B]) -> Plan[B]:
        """Read so many bytes, or to the end; return what they are wanted as."""
        self.check_open()
        size = self.left(size)
        if size <= self._blocks.ready(self.at):
            return kind(self._take(size))
        buffer, content = Buffer.of_bytes(size, kind)
        yield from self.fill(buffer)
        return content

    def fill(self, buffer: Buffer) -> Plan[int]:
        """Read into a buffer, as much as it takes unless the object ends before; return how much."""
        self.check_open()
        view = memoryview(buffer)[: self.left(len(buffer))]
        here = min(self._blocks.ready(self.at), len(view))
        view[:here] = self._blocks.view(self.at, here)
        yield from self._fill_rest(here, view)
        self.at += len(view)
        return len(view)

    def _fill_rest(self, here: int, view: memoryview) -> Plan[None]:
        """Read into a view what is to be behind its beginning, which is here; and not again what is here of its end."""
        start = self.at + here
        rest = self._without_end(start, view[here:])
        if rest and self._blocks.is_direct(start, len(rest), is_ahead=self.pinned.is_ahead(start)):
            if self.at == 0:  # all of it again, where it may be all: what is damaged then is got anew
                start, rest = 0, view
            yield from self._fetch(start, Buffer(rest, writable=True))
        elif rest:
            yield from self._load(start, len(rest))
            rest[:] = self._blocks.view(start, len(rest))

    def _without_end(self, at: int, view: memoryview) -> memoryview:
        """Fill in what is here of the end of a view; return what is before that."""
        end = self._blocks.end_of(at, len(view))
        rest = len(view) - len(end)
        view[rest:] = end
        return view[:rest]

    def fill_for(self, view: memoryview, wanted: int) -> Plan[int]:
        """Read into a buffer what is here of the bytes that somebody wants, or some; return how many."""
        self.check_open()
        left = self.left(wanted)
        if not self._blocks.ready(self.at) and left:
            yield from self._load(self.at, left - len(self._blocks.end_of(self.at, left)))
        size = self.left(len(view) if self._blocks.goes_on(self.at) else wanted)
        size = min(size, self._blocks.ready(self.at))
        view[:size] = self._blocks.view(self.at, size, wanted)
        self.at += size
        return size

    def readline(self, size: int | None = -1) -> Plan[bytes]:
        """Read up to the end of the line, or so many bytes of it."""
        self.check_open()
        most = self.left(size)
        pieces: list[bytes] = []
        while most > 0 and not (pieces and pieces[-1].endswith(b"\n")):
            if not self._blocks.ready(self.at):
                yield from self._load(self.at, min(most, LINE))
            pieces.append(bytes(self._take(self._blocks.line(self.at, most))))
            most -= len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readlines(self, hint: int | None = -1) -> Plan[list[bytes]]:
        """Read all lines, or as many as have `hint` bytes."""
        least = sys.maxsize if hint is None or hint <= 0 else hint
        lines: list[bytes] = []
        while least > 0 and (line := (yield from self.readline())):
            lines.append(line)
            least -= len(line)
        return lines

    def _load(self, at: int, size: int) -> Plan[None]:
        """Fetch a block for a read of so many bytes at this place."""
        start, memory = self._blocks.begin(at, size, is_ahead=self.pinned.is_ahead(at))
        yield from self.pinned.fetch(start, Buffer(memory, writable=True))
        self._blocks.filled(start, len(memory))

    def _fetch(self, at: int, buffer: Buffer) -> Plan[None]:
        """Fetch what is at this place into the whole of a buffer."""
        yield from self.pinned.fetch(at, buffer)
        self._blocks.fetched(at, len(buffer))


def open_object(
    store: BaseStore, path: str, buffer_size: int = READ_BUFFER, size: int | None = None, *, piece: Range | None = None
) -> Plan[Reader]:
    """Begin to read an object; a request asks for its size and a piece of it, unless the size is known."""
    check_at_least("buffer_size", buffer_size, 1)
    key = yield from readable_key_of(store, path)
    if size is not None:
        return Reader(Pinned(store.provider, key, path, check_at_least("size", size, 0), None), buffer_size)
    first = first_piece(path, buffer_size) if piece is None else piece
    return Reader((yield from pin(store.provider, key, path, first)), buffer_size)


# --- the two faces, in obstore's shape


class _File:
    """What both faces share: what waits for nothing, and the plans."""

    def __init__(self, reader: Reader) -> None:
        self._busy = False
        self._reader = reader

    def __repr__(self) -> str:
        """Return the path."""
        return f"{type(self).__name__}({self._reader.path!r})"

    @property
    def size(self) -> int:
        """The size of the object in bytes."""
        return self._reader.size

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._reader.closed

    def close(self) -> None:
        """Let go of what has been fetched; reading raises ValueError from now on."""
        self._reader.close()

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return False."""
        return False

    def seekable(self) -> bool:
        """Return True."""
        return True

    @alone
    def _read(self, size: int | None = None, /) -> Plan[FileBytes]:
        """Read so many bytes, or to the end of the object.

        Raises:
            ObjectChangedError: The object has been replaced.
        """
        return (yield from self._reader.read(size, FileBytes))

    @alone
    def _readall(self) -> Plan[FileBytes]:
        """Read to the end of the object."""
        return (yield from self._reader.read(-1, FileBytes))

    @alone
    def _readinto(self, buffer: BufferLike, /) -> Plan[int]:
        """Read into a writable buffer; return how many bytes: as many as it takes, unless the object ends before."""
        return (yield from self._reader.fill(writable(buffer)))

    @alone
    def _readline(self) -> Plan[FileBytes]:
        r"""Read up to and with the next ``\n``."""
        return FileBytes((yield from self._reader.readline()))

    @alone
    def _readlines(self, hint: int | None = -1, /) -> Plan[list[FileBytes]]:
        """Read lines: all, or as many as have `hint` bytes."""
        return [*map(FileBytes, (yield from self._reader.readlines(hint)))]

    @alone
    def _seek(self, offset: int, whence: int = os.SEEK_SET, /) -> Plan[int]:
        """Go to a place, counted from the beginning (0), from here (1) or from the end (2); return where that is."""
        return self._reader.seek(offset, whence)
        yield

    @alone
    def _tell(self) -> Plan[int]:
        """Return the place where the next read begins."""
        self._reader.check_open()
        return self._reader.at
        yield


class ReadableFile(_File):
    """An object open for reading, as a file of `FileBytes`. `open` gives one that is a Python file object."""

    read = both(_File._read)[0]
    readall = both(_File._readall)[0]
    readinto = both(_File._readinto)[0]
    readline = both(_File._readline)[0]
    readlines = both(_File._readlines)[0]
    seek = both(_File._seek)[0]
    tell = both(_File._tell)[0]

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def __iter__(self) -> Self:
        """Return itself: it iterates over its lines."""
        return self

    def __next__(self) -> FileBytes:
        """Return the next line."""
        line = self.readline()
        if not line:
            raise StopIteration
        return line


class AsyncReadableFile(_File):
    """An object open for reading, as a file of `FileBytes` whose methods are to be awaited, one after the other."""

    read = both(_File._read)[1]
    readall = both(_File._readall)[1]
    readinto = both(_File._readinto)[1]
    readline = both(_File._readline)[1]
    readlines = both(_File._readlines)[1]
    seek = both(_File._seek)[1]
    tell = both(_File._tell)[1]

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def __aiter__(self) -> Self:
        """Return itself: it iterates over its lines."""
        return self

    async def __anext__(self) -> FileBytes:
        """Return the next line."""
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line


def open_reader(
    store: BaseStore, path: str, *, buffer_size: int = READ_BUFFER, size: int | None = None
) -> ReadableFile:
    """Open an object for reading, as a file in obstore's shape; `open` gives a Python file object.

    Small reads that go on from each other fetch `buffer_size` bytes, then twice as many each time, up to 32 MiB; others
    little more than they ask for, or all of a file that takes no longer than they wait. Large ones come in parallel
    ranges.

    Args:
        store: Where it is.
        path: Its path.
        buffer_size: How much small reads that go on from each other fetch at first, in bytes.
        size: The size of the object in bytes, if it is known: that saves a request. Of an object of another size,
            nothing is read: WrongSizeError.

    Raises:
        NotFoundError: There is no such object; with `size` given, the first read says so.
    """
    return ReadableFile(run(open_object(store, path, buffer_size, size)))


async def open_reader_async(
    store: BaseStore, path: str, *, buffer_size: int = READ_BUFFER, size: int | None = None
) -> AsyncReadableFile:
    """Open an object for reading, as a file in obstore's shape whose methods are to be awaited.

    Small reads that go on from each other fetch `buffer_size` bytes, then twice as many each time, up to 32 MiB; others
    little more than they ask for, or all of a file that takes no longer than they wait. Large ones come in parallel
    ranges.

    Args:
        store: Where it is.
        path: Its path.
        buffer_size: How much small reads that go on from each other fetch at first, in bytes.
        size: The size of the object in bytes, if it is known: that saves a request. Of an object of another size,
            nothing is read: WrongSizeError.

    Raises:
        NotFoundError: There is no such object; with `size` given, the first read says so.
    """
    return AsyncReadableFile(await arun(open_object(store, path, buffer_size, size)))
