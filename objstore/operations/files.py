"""Objects as Python file objects, for all that reads and writes files: `open`.

A reader is an ``io.BufferedReader`` over `ObjectReader`, a raw file that reads ahead and in parallel; text is wrapped
in an ``io.TextIOWrapper``. All of it blocks: for asyncio there are the files of `open_reader_async`.

Its one invariant: an object appears when its file is closed in good order. An exception inside ``with``, and a file
that is dropped without being closed, leave no object.
"""

from __future__ import annotations

import io
import os
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, SupportsIndex, TypeAlias, overload

from objstore._core import Buffer
from objstore.exceptions import AlreadyExistsError, NotFoundError
from objstore.operations.column_reads import ColumnReads, Layouts
from objstore.operations.objects import head
from objstore.operations.pieces import changed
from objstore.operations.reader import READ_BUFFER, Reader, open_object
from objstore.operations.writer import PARTS_IN_FLIGHT, WRITE_BUFFER, Writer, writer
from objstore.plans.run import run

if TYPE_CHECKING:
    from objstore.interface.store import BaseStore
    from objstore.types import Attributes, PutMode
    from objstore.types import Buffer as BufferLike

SMALL = 64 << 10
"""Reads up to this size go through the buffer of ``io.BufferedReader``, larger ones to their place at once."""

BinaryReadMode: TypeAlias = Literal["rb", "br"]
BinaryWriteMode: TypeAlias = Literal["wb", "bw", "xb", "bx"]
TextMode: TypeAlias = Literal["r", "rt", "tr", "w", "wt", "tw", "x", "xt", "tx"]


class RawObjectReader(io.RawIOBase):
    """The raw file below an `ObjectReader`."""

    mode = "rb"

    def __init__(self, reader: Reader) -> None:
        self.name = reader.path
        self.size = reader.size
        self.wanted = 0  # how many bytes whoever fills a buffer has come for; 0: all of it
        self._reader = reader

    @property
    def e_tag(self) -> str | None:
        """The ETag of the version that is read."""
        return self._reader.e_tag

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: BufferLike, /) -> int:
        """Read into a writable buffer, as much as it takes, unless the object ends before; return how much."""
        if not self.wanted:
            return run(self._reader.fill(Buffer(buffer, writable=True)))
        size = run(self._reader.fill_for(memoryview(buffer), self.wanted))
        self.wanted = max(self.wanted - size, 0)
        return size

    def readall(self) -> bytes:
        """Read to the end of the object."""
        return run(self._reader.read(-1, bytes))

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, counted from the beginning (0), from here (1) or from the end (2); return where that is."""
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        """Return the place where the next read begins."""
        self._reader.check_open()
        return self._reader.at

    def close(self) -> None:
        """Close the file and let go of what has been fetched."""
        self._reader.close()
        super().close()


class ObjectReader(io.BufferedReader):
    """An object open for reading.

    Reads of more than 64 KiB go straight to their destination, in parallel ranges.
    """

    raw: RawObjectReader

    def __init__(self, reader: Reader, store: BaseStore) -> None:
        super().__init__(RawObjectReader(reader), SMALL)
        self._opened = store, reader.path, reader.buffer_size
        self._columns = ColumnReads(store, reader.path, reader.pinned, reader.account, Layouts())

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]:
        """Pickle as the place in a version of the object: who unpickles it opens it anew."""
        return _reopen, (*self._opened, self.size, self.e_tag, self.tell())

    @property
    def size(self) -> int:
        """The size of the object in bytes."""
        return self.raw.size

    @property
    def e_tag(self) -> str | None:
        """The ETag of the version that is read, if it is strong; where the size was given, after the first read."""
        return self.raw.e_tag

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, or to the end of the object.

        Raises:
            ObjectChangedError: The object has been replaced.
        """
        if size is not None and 0 <= size <= SMALL:
            self.raw.wanted = size
            data = super().read(size)
            self.raw.wanted = 0
            return data
        left = max(self.size - self.tell(), 0)
        buffer, content = Buffer.of_bytes(left if size is None or size < 0 else min(size, left))
        super().readinto(buffer)
        return content

    def read_buffer(self, size: int = -1) -> bytes | memoryview:
        """Read as pyarrow does: of a Parquet file, columns that it will ask for next come along."""
        return self._columns.read(self, size)

    def close(self) -> None:
        """Close the file and let go of what has been fetched."""
        self._columns.close()
        super().close()

    def readinto(self, buffer: BufferLike, /) -> int:
        """Read into a writable buffer, as much as it takes, unless the object ends before; return how much."""
        size = memoryview(buffer).nbytes
        self.raw.wanted = size if size <= SMALL else 0
        read = super().readinto(buffer)
        self.raw.wanted = 0
        return read


def _reopen(store: BaseStore, path: str, buffer_size: int, size: int, e_tag: str | None, at: int) -> ObjectReader:
    """Open the object of a pickled file, where that was; raise if it is another object by now."""
    file = ObjectReader(run(open_object(store, path, buffer_size)), store)
    if file.size != size or (e_tag is not None and file.e_tag != e_tag):
        file.close()
        raise changed(path)
    file.seek(at)
    return file


class ObjectWriter(io.BufferedIOBase):
    """An object open for writing; it appears when the file is closed, unless there was an exception inside ``with``."""

    def __init__(self, writer: Writer, mode: str) -> None:
        self.name = writer.path
        self.mode = mode
        self._writer = writer
        self._turn = RLock()  # threads that write one file do so one after the other
        self._dropped = False  # by what wraps it, which will still flush and close it, and must not fail at that

    def __repr__(self) -> str:
        """Return the path."""
        return f"{type(self).__name__}({self.name!r})"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]:
        """Refuse: two would write one object."""
        raise TypeError(f"{self!r} is open for writing and cannot be pickled: open it where it is written")

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: BufferLike, /) -> int:
        """Write bytes; return how many. They are sent when they fill a part, or when the file is closed."""
        if self._dropped:
            return memoryview(data).nbytes
        with self._turn:
            return run(self._writer.write(data))

    def tell(self) -> int:
        """Return how many bytes have been written."""
        return self._writer.size

    def flush(self) -> None:
        """Do nothing: an object appears as a whole, when its file is closed."""
        if not self._writer.closed:
            super().flush()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._writer.closed and not self._dropped

    def close(self) -> None:
        """Send the rest: now the object appears. Closing twice does nothing.

        Raises:
            AlreadyExistsError: The mode is ``"x"`` and it exists.
            BaseError: It could not be sent; there is no object.
        """
        self._dropped = False
        if not self._writer.closed:
            run(self._writer.close())

    def abort(self) -> None:
        """Close the file without an object: what has been written is dropped."""
        run(self._writer.abort())

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file, or drop what has been written if there was an exception."""
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        """Drop what has been written, if the file was never closed."""
        self._writer.abandon(self)

    def _dealloc_warn(self, source: object) -> None:
        """Be told that what wrapped this file is being dropped, and would close it next (see ``io.TextIOWrapper``)."""
        self._dropped = not self._writer.closed
        self._writer.abandon(source)


class TextObjectWriter(io.TextIOWrapper):
    """An object open for writing text; it appears as that of an `ObjectWriter` does."""

    def __init__(self, target: Any, encoding: str | None, errors: str | None, newline: str | None) -> None:
        target.seekable = lambda: True  # a wrapper asks how far it is, for the mark of UTF-16, only of what says so
        super().__init__(target, encoding, errors, newline)
        del target.seekable

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file, or drop what has been written if there was an exception."""
        if kind is not None:
            self.abort()
        self.close()

    def abort(self) -> None:
        """Close the file without an object: what has been written is dropped."""
        self.buffer.abort()  # type: ignore[attr-defined]


class _Mode(NamedTuple):
    """What a file is opened for: ``r``, ``w`` or ``x``, as text or not."""

    action: str
    text: bool


def _read_mode(mode: str) -> _Mode:
    action, kind = mode.strip("bt"), mode.strip("rwxa+")
    if "a" in mode or "+" in mode:
        raise ValueError(
            f"mode = {mode!r}: an object is written as a whole, it cannot be appended to or changed in place; "
            "read it, and write it anew"
        )
    if sorted(mode) != sorted(action + kind) or action not in ("r", "w", "x") or kind not in ("", "b", "t"):
        raise ValueError(f"mode = {mode!r}: give 'r', 'w' or 'x', and 'b' for bytes")
    return _Mode(action, kind != "b")


@overload
def open(
    store: BaseStore, path: str, mode: BinaryReadMode = "rb", *, buffer_size: int | None = None, size: int | None = None
) -> ObjectReader: ...


@overload
def open(
    store: BaseStore,
    path: str,
    mode: BinaryWriteMode,
    *,
    buffer_size: int | None = None,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    max_concurrency: int = PARTS_IN_FLIGHT,
) -> ObjectWriter: ...


@overload
def open(
    store: BaseStore,
    path: str,
    mode: TextMode,
    *,
    buffer_size: int | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    size: int | None = None,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    max_concurrency: int = PARTS_IN_FLIGHT,
) -> io.TextIOWrapper: ...


@overload
def open(
    store: BaseStore,
    path: str,
    mode: str,
    *,
    buffer_size: int | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    size: int | None = None,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    max_concurrency: int = PARTS_IN_FLIGHT,
) -> io.BufferedIOBase | io.TextIOWrapper: ...


def open(
    store: BaseStore,
    path: str,
    mode: str = "rb",
    *,
    buffer_size: int | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    size: int | None = None,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    max_concurrency: int = PARTS_IN_FLIGHT,
) -> Any:
    """Open an object as a Python file object.

    Args:
        store: Where it is.
        path: Its path.
        mode: ``"r"`` to read, ``"w"`` to write, ``"x"`` to create what must not exist; with ``"b"`` bytes, else text.
        buffer_size: What a small read fetches, 1 MiB; or the size of a part that is written, 10 MiB.
        encoding: How text is encoded: UTF-8 unless given.
        errors: What to do about text that cannot be encoded or decoded, as for the builtin ``open``.
        newline: How lines end, as for the builtin ``open``.
        size: The size of the object in bytes, to be read; if it is known, that saves a request. Of an object of another
            size, nothing is read: WrongSizeError.
        attributes: What to store with the object: Content-Type and the like, or metadata of your own.
        tags: Tags to give it, where the store keeps tags.
        max_concurrency: How many parts that are written are in flight.

    Returns:
        An ``io.BufferedReader``, an ``io.BufferedIOBase`` to write to, or an ``io.TextIOWrapper`` around either.

    Raises:
        ValueError: The mode is none, or an argument does not go with it.
        NotFoundError: There is no such object to be read.
        AlreadyExistsError: The mode is ``"x"`` and it exists; closing raises it if it has come to exist meanwhile.
    """
    action, text = _read_mode(mode)
    _refuse(mode, not text, encoding=encoding, errors=errors, newline=newline)
    _refuse(mode, action == "r", attributes=attributes, tags=tags)
    _refuse(mode, action != "r", size=size)
    encoding = encoding or "utf-8"
    if action == "r":
        window = READ_BUFFER if buffer_size is None else buffer_size
        reader = ObjectReader(run(open_object(store, path, window, size)), store)
        return io.TextIOWrapper(reader, encoding, errors, newline) if text else reader
    part_size = WRITE_BUFFER if buffer_size is None else buffer_size
    if action == "x":
        _check_absent(store, path)
    put_mode: PutMode = "create" if action == "x" else "overwrite"
    target = ObjectWriter(writer(store, path, attributes, tags, put_mode, part_size, max_concurrency), action + "b")
    return TextObjectWriter(target, encoding, errors, newline) if text else target


def _refuse(mode: str, unfit: bool, **arguments: object) -> None:
    """Raise ValueError if an argument is given that does not go with the mode."""
    for name, value in arguments.items():
        if unfit and value is not None:
            raise ValueError(f"mode = {mode!r} does not go with {name} = {value!r}")


def _check_absent(store: BaseStore, path: str) -> None:
    """Raise if an object that is to be created exists: now, not after all of it has been written."""
    with suppress(NotFoundError):
        run(head(store, path))
        raise AlreadyExistsError(f"{path!r} exists already", hint="Open it with 'w' to replace it.", path=path)
