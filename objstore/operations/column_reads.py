"""What pyarrow reads of an object: one place after the other, from several threads in turn.

pyarrow lets one thread at a time read a file written in Python. So that the columns of a Parquet file do not come one
after the other, such a file learns from the metadata that go through it where they are, and fetches them ahead. It is
`read_buffer` by which pyarrow reads, and nobody else.

Its one invariant: all bytes are of one version of the object.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol

from objstore.exceptions import PreconditionError
from objstore.interface.values import FIRST_BYTE, Range
from objstore.operations.columns import MARK, Layout, ReadAhead, Span, Usual, metadata_start, read_layout
from objstore.operations.pieces import changed
from objstore.operations.ranges import ranges_of
from objstore.operations.window import INDEX
from objstore.plans.run import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.store import BaseStore
    from objstore.operations.pinned import Pinned
    from objstore.operations.window import Account


LAYOUTS_KEPT, BYTES_KEPT = 1024, 16 << 20
"""Of how many Parquet files is remembered where their columns are and how they end, and how much of their ends."""


class Footer(NamedTuple):
    """What is known of a Parquet file: the ETag of which it is true, where the columns are, and how it ends."""

    e_tag: str
    layout: Layout
    tail: bytes


class Layouts:
    """What is known of the Parquet files that were read lately: pyarrow reads the metadata of a file, and opens it anew
    for its columns."""

    def __init__(self) -> None:
        self.usual = Usual()
        self._known: dict[str, Footer] = {}
        self._last: tuple[str, Pinned] | None = None
        self._lock = Lock()

    def of(self, path: str) -> Footer | None:
        """Return what is known of a file."""
        return self._known.get(path)

    def again(self, path: str) -> Pinned | None:
        """Return a file whose metadata were read last, if it was asked for just now."""
        last, pinned = self._last or ("", None)
        return pinned if last == path and pinned is not None and pinned.asked.is_fresh else None

    def read(self, path: str, pinned: Pinned) -> None:
        """Note that the metadata of a file have been read."""
        self._last = path, pinned

    def piece(self, path: str, unknown: Range) -> Range:
        """Return which piece to ask for as a file is opened: of one that is known, what is likely to be read."""
        known = self._known.get(path)
        if known is None:
            return unknown
        first = self.usual.first(known.layout)
        return FIRST_BYTE if first is None else Range(*first)

    def keep(self, path: str, known: Footer) -> None:
        """Remember what is known of a file, in the place of the oldest."""
        with self._lock:
            self._known.pop(path, None)
            self._known[path] = known
            while len(self._known) > LAYOUTS_KEPT or sum(len(each.tail) for each in self._known.values()) > BYTES_KEPT:
                del self._known[next(iter(self._known))]


class File(Protocol):
    """What is open for reading."""

    def tell(self) -> int:
        """Return the place where the next read begins."""

    def seek(self, offset: int, /) -> int:
        """Go to a place."""

    def read(self, size: int, /) -> bytes:
        """Read so many bytes."""


class ColumnReads:
    """What pyarrow reads of one file, with columns fetched ahead once it is known where they are.

    Args:
        store: Where the object is.
        path: Its path.
        pinned: The version of it that is read.
        account: What of the file has been fetched, and asked for.
        layouts: What is known of files read lately, and of this one once its metadata have been read.
        name: By which it is known there, the path if not given.
    """

    def __init__(
        self,
        store: BaseStore,
        path: str,
        pinned: Pinned,
        account: Account,
        layouts: Layouts,
        name: str | None = None,
    ) -> None:
        self._store = store
        self._path = path
        self._pinned = pinned
        self._account = account
        self._layouts = layouts
        self._name = name or path
        self._metadata_start: int | None = None
        self._mark = self._tail = b""
        self._ahead: ReadAhead | None = None
        known = layouts.of(self._name)
        if known is not None and known.e_tag == pinned.e_tag:
            self._begin(known).give(pinned.piece[0], memoryview(pinned.piece[1]))

    def _begin(self, known: Footer) -> ReadAhead:
        """Fetch columns ahead from now on."""
        self._tail = known.tail
        self._account.index_is(MARK + int.from_bytes(known.tail[-MARK:-4], "little"))
        self._ahead = ReadAhead(known.layout, self._fetch, self._account, self._layouts.usual)
        return self._ahead

    def read(self, file: File, size: int) -> bytes | memoryview:
        """Read so many bytes of a file, without a copy where they are here; all that is left where the size is -1."""
        start = file.tell()
        left = max(self._pinned.size - start, 0)
        end = start + (left if size < 0 else min(size, left))
        piece = self._take(start, end)
        if piece is not None:
            file.seek(end)
            return piece
        data = file.read(end - start)
        if self._ahead is None:
            self._look_for_metadata(start, data)
        return data

    def close(self) -> None:
        """Let go of what has been fetched ahead."""
        if self._ahead is not None:
            self._ahead.close()
        self._ahead, self._tail = None, b""

    def _take(self, start: int, end: int) -> memoryview | None:
        """Return a range that is known, or some columns; None where it is neither."""
        if self._ahead is None:
            return None
        at = self._pinned.size - len(self._tail)
        if start >= at:
            return memoryview(self._tail)[start - at : end - at]
        return self._ahead.take(start, end)

    def _look_for_metadata(self, start: int, data: bytes) -> None:
        """Learn where columns are, once the metadata of a Parquet file have been read."""
        size, end = self._pinned.size, start + len(data)
        if end == size and len(data) >= MARK:
            self._mark = data[-MARK:]
            self._metadata_start = metadata_start(self._mark, size)
        begin = self._metadata_start
        if begin is not None and start <= begin and end >= size - MARK:
            self._learn(begin, data[max(min(begin, size - INDEX) - start, 0) : size - MARK - start] + self._mark)

    def _learn(self, begin: int, tail: bytes) -> None:
        """Use the metadata that begin there, if anything keeps what is read ahead to the version."""
        e_tag = self._pinned.e_tag
        if e_tag is None:
            return
        layout = read_layout(tail[begin - self._pinned.size :])
        if layout is None:
            return
        known = Footer(e_tag, layout, tail)
        self._layouts.keep(self._name, known)
        self._layouts.read(self._name, self._pinned)
        self._begin(known)

    def _fetch(self, spans: Sequence[Span]) -> list[memoryview]:
        assert self._pinned.conditions is not None
        wanted = [Range(*span) for span in spans]
        try:
            found = run(ranges_of(self._store, self._path, wanted, self._pinned.conditions, 0))
        except PreconditionError as error:
            raise changed(self._pinned.path) from error
        return [memoryview(part) for part in found]
