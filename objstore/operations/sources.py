"""What can be uploaded, cut into parts: memory, files, readers, iterators and async iterators.

A body gives one part after another. Parts of memory and of real files are not copied: the engine sends them from where
they are. The others are read a part at a time.

Its one invariant: a file that changes while it is being sent is noticed, and the upload fails.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from objstore._core import Buffer, Gathered
from objstore.disk.descriptors import write_all
from objstore.disk.held import GRANTED, Held
from objstore.disk.room import insist
from objstore.exceptions import SourceChangedError
from objstore.interface.values import Source
from objstore.operations.buffers import bytes_of, fault
from objstore.plans.effects import Call, Plan
from objstore.plans.work import AT_ONCE, gather, in_steps
from objstore.settings.masked import MOST_SHOWN, briefly

if TYPE_CHECKING:
    from objstore.types import PutInput

MOST_READ = 16 << 20
"""The most that a reader is asked for at a time, in bytes."""

IN_MEMORY = 32 << 20
"""How much is gathered in memory of what has to be sent by one request, as far as there may be so much."""

NOTHING = memoryview(b"")
END = object()


class Body(Protocol):
    """The bytes of an object to be written."""

    size: int | None
    """How many there are, if that is known before they are read."""

    in_memory: bool
    """Whether nothing was opened, so that there is nothing to close."""

    def next(self, size: int) -> Plan[Source | None]:
        """Return the next part, of exactly `size` bytes unless it is the last; None at the end."""

    def all(self) -> Plan[Source | None]:
        """Return all of it, which has to be sent by one request; None where it is empty."""

    def check(self) -> None:
        """Raise SourceChangedError if it is not what it was when it was opened."""

    def close(self) -> None:
        """Let go of what was opened."""


def open_body(file: PutInput) -> Body:
    """Return the body for whatever `put` takes.

    Raises:
        TypeError: It is nothing that can be uploaded.
        OSError: A path names no readable file.
    """
    if isinstance(file, str | Path):
        return _of_path(file)
    if isinstance(file, io.StringIO):
        return _Memory(file.read().encode())
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"{file!r} cannot be uploaded: open it in binary mode")
    if hasattr(file, "read"):
        return _of_reader(file)
    try:
        return _Memory(file)
    except (TypeError, BufferError):
        if fault(file) is not None:
            raise unfit(file) from None
    if isinstance(file, AsyncIterable):
        return Pieces(_AsyncPieces(aiter(file)))
    if isinstance(file, Iterable) and not isinstance(file, Mapping):
        return Pieces(_SyncPieces(iter(file)))
    raise unfit(file)


def opened_body(file: PutInput) -> Plan[Body]:
    """Return the same; where others have all descriptors at the moment, wait for one."""
    try:
        return open_body(file)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    return (yield from in_steps(insist(lambda: open_body(file))))


def unfit(file: object) -> TypeError:
    """Return the error for what cannot be uploaded."""
    reason = fault(file) or (
        "cannot be: give its .encode()"
        if isinstance(file, str)
        else "cannot be: give bytes or another buffer, a path, a binary file, or an iterable of buffers"
    )
    return TypeError(f"what is to be uploaded is of the type {type(file).__name__} and {reason}")


def check_file(path: str | Path) -> None:
    """Raise if a path names no regular file; a str may have been meant to be stored itself."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        if isinstance(path, str) and getattr(error, "errno", None) in _NO_NAME:
            raise _maybe_text(path, error) from None
        raise
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise ValueError(
            f"{str(path)!r} is not a regular file: open it and give the binary file, to be read to its end"
        )


_NO_NAME = (errno.ENOENT, errno.ENAMETOOLONG, errno.ENOTDIR, None)
"""What says that there is no file of a name; None, that it has a NUL in it."""


def _maybe_text(path: str, error: OSError | ValueError) -> OSError | ValueError:
    """Return an error that says how a text is stored, without all of the text."""
    hint = "a str is a path: to store the text itself, give its .encode()"
    if not isinstance(error, OSError):
        return ValueError(f"{briefly(path)} is no name of a file; {hint}")
    shown = path if len(path) <= MOST_SHOWN else f"{path[:MOST_SHOWN]}..."
    return OSError(error.errno, f"{error.strerror}; {hint}", shown)


def _of_path(path: str | Path) -> Body:
    check_file(path)
    return _File(os.open(path, os.O_RDONLY | os.O_CLOEXEC), 0, str(path), owned=True)


def _of_reader(file: Any) -> Body:
    """Send a real file from its descriptor, from where it stands; read anything else.

    Only Python's own files are real ones: others (of gzip, for one) have the descriptor of what they read from.
    """
    raw = getattr(file, "raw", file)
    if isinstance(file, io.FileIO | io.BufferedReader | io.BufferedRandom) and isinstance(raw, io.FileIO):
        descriptor = file.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return _File(descriptor, file.tell(), str(file.name), owned=False)
    return Pieces(_Reader(file))


class _Memory:
    """A buffer."""

    in_memory = True

    def __init__(self, data: Any) -> None:
        self._view = bytes_of(data)
        self.size: int | None = len(self._view)
        self._at = 0

    def next(self, size: int) -> Plan[Source | None]:
        part = self._view[self._at : self._at + size]
        self._at += len(part)
        return Source(Buffer(part), len(part), stays=True) if len(part) else None
        yield

    def all(self) -> Plan[Source | None]:
        return self.next(max(len(self._view), 1))

    def check(self) -> None:
        """It cannot change unseen."""

    def close(self) -> None:
        """Nothing was opened."""


class _File:
    """A regular file, sent by the engine from its descriptor."""

    in_memory = False

    def __init__(self, descriptor: int, start: int, name: str, *, owned: bool) -> None:
        self._descriptor = descriptor
        self._name = name
        self._owned = owned
        self._at = start
        self._before = os.fstat(descriptor)
        self.size: int | None = max(self._before.st_size - start, 0)

    def next(self, size: int) -> Plan[Source | None]:
        length = min(size, self._before.st_size - self._at)
        part = Source((self._descriptor, self._at, length), length, self.check, stays=True)
        self._at += length
        return part if length > 0 else None
        yield

    def all(self) -> Plan[Source | None]:
        return self.next(self._before.st_size)

    def check(self) -> None:
        """Raise SourceChangedError if the file has changed since it was opened."""
        now = os.fstat(self._descriptor)
        if (now.st_size, now.st_mtime_ns) != (self._before.st_size, self._before.st_mtime_ns):
            raise SourceChangedError(f"{self._name!r} changed while it was being uploaded", hint="Upload it again.")

    def close(self) -> None:
        if self._owned:
            os.close(self._descriptor)


class Supply(Protocol):
    """What gives the pieces of a body."""

    def next(self, size: int) -> Plan[Any]:
        """Return the next piece, a buffer, of `size` bytes if that can be chosen; END at the end."""


class Pieces:
    """Whatever comes in pieces of any size, gathered into parts.

    Args:
        pieces: Gives them.
        size: How many bytes there are, if that is known.
    """

    in_memory = False

    def __init__(self, pieces: Supply, size: int | None = None) -> None:
        self.size = size
        self._pieces = pieces
        self._left = NOTHING  # of the last piece
        self._ended = False
        self._file: IO[bytes] | None = None  # of what is sent by one request, and large,
        self._held = Held()  # and what is not

    def next(self, size: int) -> Plan[Source | None]:
        part = Joined(size)
        while len(part) < size and not self._ended:
            yield from part.add((yield from self._some(size - len(part))))  # with no name: the next takes its place
        return part.source() if len(part) else None

    def all(self) -> Plan[Source | None]:
        """Return all of it; what is large is in a file that has no name, so that it can be sent again."""
        part = Joined(self.size or 0)
        if self.size is None or self.size <= IN_MEMORY:
            yield from self._gather(part)
        begun = part.source() if len(part) else None
        if self._ended:
            return begun
        return (yield from self._spooled(NOTHING if begun is None else memoryview(cast("Buffer", begun.data))))

    def _gather(self, part: Joined) -> Plan[None]:
        """Put together what comes, for as long as that may be in memory."""
        while not self._ended and len(part) < IN_MEMORY and self._held.reaches(len(part)):
            at_a_time = max(len(part), GRANTED)
            yield from part.add((yield from self._some(IN_MEMORY - len(part), at_a_time)))

    def _spooled(self, some: memoryview) -> Plan[Source | None]:
        """Put what has come, and what comes, into a file."""
        yield from in_steps(insist(self._open, self.close))
        assert self._file is not None
        descriptor, size = self._file.fileno(), 0
        while len(some) or not self._ended:
            yield from in_steps(write_all(descriptor, some, size))
            size += len(some)
            some = yield from self._some(MOST_READ)
            self._held.end()
        return Source((descriptor, 0, size), size, stays=True) if size else None

    def _open(self) -> None:
        from tempfile import TemporaryFile

        self._file = TemporaryFile(buffering=0)  # noqa: SIM115, it is closed with the body

    def _some(self, most: int, at_a_time: int = MOST_READ) -> Plan[memoryview]:
        """Return what comes next; nothing at the end."""
        if not len(self._left):
            piece = yield from self._pieces.next(min(most, at_a_time, MOST_READ))
            self._ended = piece is END
            self._left = NOTHING if self._ended else _lasting(piece)
        some, left = self._left[:most], self._left[most:]
        self._left = left if len(left) else NOTHING  # an empty slice would hold all of it
        return some

    def check(self) -> None:
        """It cannot change unseen."""

    def close(self) -> None:
        """Let go of the memory, and of the file, if there is one."""
        self._held.end()
        if self._file is not None:
            self._file.close()
            self._file = None


def _lasting(piece: Any) -> memoryview:
    """Return the bytes of a piece; a copy, if whoever gave it may write to it again."""
    try:
        view = bytes_of(piece)
    except TypeError:
        raise unfit(piece) from None
    return view if view.readonly else memoryview(bytes(view))


class Joined:
    """The bytes of one part to be: what is one piece stays where it is, several are put one behind the other.

    Args:
        expected: How many bytes there are going to be, or fewer.
    """

    def __init__(self, expected: int) -> None:
        self._alone = NOTHING
        self._several = Gathered(expected)

    def __len__(self) -> int:
        return len(self._alone) + len(self._several)

    def add(self, piece: memoryview) -> Plan[None]:
        """Take one more piece, which is not going to change."""
        if not len(self):
            self._alone = piece
            return
        alone, self._alone = self._alone, NOTHING
        for each in (alone, piece):
            if len(each) <= AT_ONCE:
                self._several.add(each)
            else:
                yield from in_steps(gather(self._several, each))

    def source(self) -> Source:
        """Return them, to be sent."""
        data = self._alone if len(self._alone) else self._several.take()
        return Source(Buffer(data), len(data))


class _SyncPieces:
    """The next of an iterator."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator

    def next(self, size: int) -> Plan[Any]:
        return (yield Call(lambda: next(self._iterator, END)))


class _AsyncPieces:
    """The next of an async iterator."""

    def __init__(self, iterator: AsyncIterator[Any]) -> None:
        self._iterator = iterator

    def next(self, size: int) -> Plan[Any]:
        return (yield Call(lambda: anext(self._iterator, END), quick=True))


class _Reader:
    """The next read of a file-like object."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def next(self, size: int) -> Plan[Any]:
        return (yield Call(lambda: self._read(size)))

    def _read(self, size: int) -> Any:
        piece = self._file.read(size)
        if piece is None:
            raise BlockingIOError(errno.EAGAIN, "The file has nothing to read yet: give one that waits")
        return piece if len(piece) else END
