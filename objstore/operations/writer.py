"""An object written like a file: collected into parts that are sent while more is written, made an object on closing.

Its one invariant: the object appears as a whole when the writer is closed, or not at all.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

from objstore.interface.values import Source, WriteOptions
from objstore.operations.arguments import check_at_least, read_write_options
from objstore.operations.buffers import bytes_of
from objstore.operations.naming import key_of
from objstore.operations.parts import Parts, begin_parts
from objstore.operations.sources import Joined, unfit
from objstore.plans.effects import Plan, alone
from objstore.plans.run import both, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from objstore.interface.store import BaseStore
    from objstore.types import Attributes, PutMode, PutResult
    from objstore.types import Buffer as BufferLike

WRITE_BUFFER = 10 << 20
"""What is collected before it is sent as a part, in bytes."""

PARTS_IN_FLIGHT = 12

SMALL = 64 << 10
"""What is less together is one piece."""

_open: WeakSet[Writer] = WeakSet()
"""The writers that have not been closed."""


class Writer:
    """The bytes of an object to be: those not sent yet, and the parts that are on their way.

    Args:
        store: Where to.
        path: Its path.
        options: What is stored with it, and what it may replace.
        part_size: The size of a part in bytes; an object of no more is sent in one request, as is any where the service
            takes no parts.
        most_in_flight: How many parts are on their way at a time.
    """

    def __init__(self, store: BaseStore, path: str, options: WriteOptions, part_size: int, most_in_flight: int) -> None:
        store.key(path)  # a path that is none is told of now
        self.path = path
        self.size = 0
        self.closed = False
        self.result: PutResult | None = None
        self._store = store
        self._provider = provider = store.provider
        self._options = options
        self._part_size = sys.maxsize if provider.most_parts == 1 else max(part_size, provider.smallest_part)
        self._most_in_flight = most_in_flight
        self._part = Joined(self._part_size)
        self._tail = bytearray()
        self._parts: Parts | None = None
        self._process = os.getpid()
        self._busy = False
        _open.add(self)

    def __repr__(self) -> str:
        """Return the path."""
        return f"{type(self).__name__}({self.path!r})"

    def check_open(self) -> None:
        """Raise if the file has been closed: as obstore an OSError, as Python's files a ValueError."""
        if self.closed:
            raise io.UnsupportedOperation(f"{self.path!r} has been closed: open it again to write it anew")

    @alone
    def write(self, data: BufferLike) -> Plan[int]:
        """Take bytes; send what has become a part. Whatever fails ends the upload."""
        self.check_open()
        view = _bytes_of(data)
        self.size += len(view)
        if len(self._tail) + len(view) < SMALL:
            self._tail += view
            return len(view)
        try:
            yield from self._end_tail()
            yield from self._collect(view if isinstance(view.obj, bytes) else memoryview(bytes(view)))
        except BaseException:
            yield from self.abort()
            raise
        return len(view)

    def close(self) -> Plan[None]:
        """Send the rest, and make an object of it all."""
        self.check_open()
        self.closed = True
        try:
            yield from self._end_tail()
            if self._parts is None:
                key = yield from key_of(self._store, self.path)
                self.result = yield from self._provider.put(key, self._next_source(), self._options)
            else:
                yield from self._send()
                yield from self._parts.settle()
                self.result = yield from self._parts.complete()
        except BaseException:
            yield from self.abort()
            raise

    def abort(self) -> Plan[None]:
        """Drop what has been written: no object appears."""
        self.closed = True
        self._part, self._tail = Joined(0), bytearray()
        parts, self._parts = self._parts, None
        if parts is not None:
            yield from parts.drop()

    def abandon(self, file: object) -> None:
        """Drop what has been written to a file that nobody has closed and nobody can any more, and warn of it.

        A forked child does not own the file.
        """
        if not self.closed and self._process == os.getpid():
            run(self.abort())
            warnings.warn(
                f"{file!r} was never closed: nothing has been written", ResourceWarning, stacklevel=2, source=file
            )

    def _end_tail(self) -> Plan[None]:
        """Make one piece of the small ones."""
        tail, self._tail = self._tail, bytearray()
        yield from self._collect(memoryview(tail))

    def _collect(self, left: memoryview) -> Plan[None]:
        """Take bytes that are not going to change; a part is sent when it is known not to be the last."""
        while len(left):
            if len(self._part) == self._next_size():
                yield from self._send()
            some = left[: self._next_size() - len(self._part)]
            yield from self._part.add(some)
            left = left[len(some) :]

    def _next_size(self) -> int:
        return self._part_size if self._parts is None else self._parts.next_size

    def _next_source(self) -> Source:
        """Return what is to be sent, and collect anew."""
        part, self._part = self._part, Joined(self._part_size)
        return part.source()

    def _send(self) -> Plan[None]:
        """Send what is a part now; the first one begins the upload."""
        source = self._next_source()
        if self._parts is None:
            key = yield from key_of(self._store, self.path)
            self._parts = yield from begin_parts(
                self._provider, key, self._options, self._part_size, self._most_in_flight
            )
        yield from self._parts.add(source)


def _bytes_of(data: BufferLike) -> memoryview:
    try:
        return bytes_of(data)
    except TypeError:
        raise unfit(data) from None


@atexit.register
def _abandon_all() -> None:
    """Drop what has been written to files that are open when the interpreter ends: after this, nothing can be sent."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("always", ResourceWarning)  # what is lost is not lost in silence
        for left in list(_open):
            with suppress(Exception):
                left.abandon(left)


def writer(
    store: BaseStore,
    path: str,
    attributes: Attributes | None,
    tags: Mapping[str, str] | None,
    mode: PutMode | None,
    buffer_size: int,
    max_concurrency: int,
) -> Writer:
    """Return the writer of an object; nothing is sent yet."""
    options = read_write_options(store.provider, attributes, tags, mode)
    check_at_least("buffer_size", buffer_size, 1)
    check_at_least("max_concurrency", max_concurrency, 1)
    return Writer(store, path, options, buffer_size, max_concurrency)


# --- the two faces, in obstore's shape


class _File:
    """What both faces share: what waits for nothing, and the plans."""

    def __init__(self, writer: Writer) -> None:
        self._busy = False
        self._writer = writer

    def __repr__(self) -> str:
        """Return the path."""
        return f"{type(self).__name__}({self._writer.path!r})"

    def __del__(self) -> None:
        """Drop what has been written, if the file was never closed."""
        self._writer.abandon(self)

    def readable(self) -> bool:
        """Return False."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return False."""
        return False

    @alone
    def _write(self, buffer: BufferLike, /) -> Plan[int]:
        """Write bytes; return how many. They are sent when they fill a part, or when the file is closed.

        Raises:
            OSError: The file has been closed.
            BaseError: An earlier part could not be sent; no object will appear.
        """
        return (yield from self._writer.write(buffer))

    @alone
    def _flush(self) -> Plan[None]:
        """Do nothing: an object appears as a whole, when its file is closed."""
        self._writer.check_open()
        return
        yield

    @alone
    def _close(self) -> Plan[None]:
        """Send the rest: now the object appears.

        Raises:
            OSError: The file has been closed already.
            AlreadyExistsError: The mode is ``"create"`` and it exists.
        """
        yield from self._writer.close()

    @alone
    def _leave(self, failed: bool) -> Plan[None]:
        """Close the file, or drop what has been written if there was an exception."""
        if failed:
            yield from self._writer.abort()
        elif not self._writer.closed:
            yield from self._writer.close()


_leave, _leave_async = both(_File._leave)


class WritableFile(_File):
    """An object open for writing; an exception inside ``with`` drops it. `open` gives one that is a Python file object.

    ``closed`` is a method, as obstore has it.
    """

    write = both(_File._write)[0]
    flush = both(_File._flush)[0]
    close = both(_File._close)[0]

    def closed(self) -> bool:
        """Tell whether it has been closed."""
        return self._writer.closed

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file, or drop what has been written if there was an exception."""
        _leave(self, kind is not None)


class AsyncWritableFile(_File):
    """An object open for writing, whose methods are to be awaited; an exception inside ``async with`` drops it."""

    write = both(_File._write)[1]
    flush = both(_File._flush)[1]
    close = both(_File._close)[1]

    async def closed(self) -> bool:
        """Tell whether it has been closed."""
        return self._writer.closed

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file, or drop what has been written if there was an exception."""
        await _leave_async(self, kind is not None)


def open_writer(
    store: BaseStore,
    path: str,
    *,
    attributes: Attributes | None = None,
    buffer_size: int = WRITE_BUFFER,
    tags: dict[str, str] | None = None,
    max_concurrency: int = PARTS_IN_FLIGHT,
    mode: PutMode | None = None,
) -> WritableFile:
    """Open an object for writing, as a file in obstore's shape; `open` gives a Python file object.

    A small object is sent when it is closed, a large one in parts while it is written. It appears when it is closed.

    Args:
        store: Where to.
        path: Its path.
        attributes: What to store with it: Content-Type and the like, or metadata of your own.
        buffer_size: The size of a part in bytes; more where the service wants larger ones.
        tags: Tags to give it, where the store keeps tags.
        max_concurrency: How many parts are in flight.
        mode: ``"overwrite"``, ``"create"``, or ``{"e_tag": ...}`` for the one version that may be replaced.
    """
    return WritableFile(writer(store, path, attributes, tags, mode, buffer_size, max_concurrency))


def open_writer_async(
    store: BaseStore,
    path: str,
    *,
    attributes: Attributes | None = None,
    buffer_size: int = WRITE_BUFFER,
    tags: dict[str, str] | None = None,
    max_concurrency: int = PARTS_IN_FLIGHT,
    mode: PutMode | None = None,
) -> AsyncWritableFile:
    """Open an object for writing, as a file whose methods are to be awaited; this function itself is not.

    A small object is sent when it is closed, a large one in parts while it is written. It appears when it is closed.

    Args:
        store: Where to.
        path: Its path.
        attributes: What to store with it: Content-Type and the like, or metadata of your own.
        buffer_size: The size of a part in bytes; more where the service wants larger ones.
        tags: Tags to give it, where the store keeps tags.
        max_concurrency: How many parts are in flight.
        mode: ``"overwrite"``, ``"create"``, or ``{"e_tag": ...}`` for the one version that may be replaced.
    """
    return AsyncWritableFile(writer(store, path, attributes, tags, mode, buffer_size, max_concurrency))
