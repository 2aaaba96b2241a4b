"""Parquet files whose wanted columns are fetched all at once.

Through a file system, pyarrow reads one column chunk of a file after the other. Here the footer is read first, and then
every chunk that is wanted, side by side: two round trips, however many columns and row groups there are.

Its one invariant: footer and chunks are of one version of the object.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from typing import TYPE_CHECKING

from objstore.exceptions import GenericError, NotSupportedError, PreconditionError
from objstore.interface.values import Range
from objstore.interface.versions import can_pin
from objstore.operations.columns import MARK, Span, metadata_start, read_layout
from objstore.operations.pieces import changed
from objstore.operations.ranges import ranges_of
from objstore.plans.run import run
from objstore.settings.extras import missing

try:
    from pyarrow import PythonFile
    from pyarrow.parquet import ParquetFile
except ImportError as error:
    raise missing("objstore.parquet needs pyarrow", "pyarrow") from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from objstore.interface.values import Conditions
    from objstore.store import Store
    from objstore.types import Buffer, ObjectMeta

__all__ = ["open_parquet"]

FOOTER = 64 << 10
"""What is read for the footer at first, in bytes; few are longer."""


def open_parquet(
    store: Store, path: str, *, columns: Iterable[str] | None = None, row_groups: Iterable[int] | None = None
) -> ParquetFile:
    """Open a Parquet file, with the column chunks that are wanted in memory.

    ``open_parquet(store, path, columns=names).read(columns=names)`` reads them. What was not asked for can be read as
    well, but takes a request for each chunk.

    Args:
        store: Where it is.
        path: Its path.
        columns: The columns that are wanted; a name with fields below it stands for all of them. All, if not given.
        row_groups: The row groups that are wanted, by number. All, if not given.

    Raises:
        NotFoundError: There is no such object.
        GenericError: It is not a Parquet file.
        NotSupportedError: Its columns are encrypted.
        ObjectChangedError: It was replaced meanwhile.

    Source: https://parquet.apache.org/docs/file-format/
    """
    tail = store.get(path, options={"range": {"suffix": FOOTER}})
    seen = tail._conditions.expected
    if seen is None or not can_pin(seen):  # nothing would tell footer and chunks of two versions apart
        tail = store.get(path)
    pieces = _Pieces(store, tail.meta, tail._conditions, tail.range[0], tail.bytes())
    layout = read_layout(_metadata(pieces))
    if layout is None:
        raise NotSupportedError(f"The columns of {path!r} are encrypted", hint="Read it through store.open(path).")
    pieces.fetch(layout.wanted(columns, row_groups))
    return ParquetFile(PythonFile(pieces, mode="r"), metadata=layout.metadata, pre_buffer=False)


def _metadata(pieces: _Pieces) -> bytes:
    """Return the end of the file, from its metadata on."""
    size = pieces.size()
    start = metadata_start(bytes(pieces.view(max(size - MARK, 0), size)), size)
    if start is None:
        raise GenericError(f"{pieces.path!r} is not a Parquet file: it does not end as one", path=pieces.path)
    return bytes(pieces.view(start, size))


class _Pieces(io.RawIOBase):
    """A file of which some pieces are here; what is not is read when it is asked for."""

    mode = "rb"

    def __init__(self, store: Store, meta: ObjectMeta, conditions: Conditions, start: int, tail: Buffer) -> None:
        self.path = meta["path"]
        self._store = store
        self._size = meta["size"]
        self._conditions = conditions
        self._starts = [start]
        self._pieces = [memoryview(tail)]
        self._at = 0

    def fetch(self, ranges: Iterable[Span]) -> None:
        """Fetch ranges that are not here, all at once."""
        missing = [(start, end) for start, end in sorted({*ranges}) if self._here(start, end) is None]
        for (start, _), piece in zip(missing, self._read_ranges(missing), strict=True):
            index = bisect_right(self._starts, start)
            self._starts.insert(index, start)
            self._pieces.insert(index, piece)

    def _read_ranges(self, ranges: Sequence[Span]) -> list[memoryview]:
        if not ranges:
            return []
        wanted = [Range(*span) for span in ranges]
        try:
            found = run(ranges_of(self._store, self.path, wanted, self._conditions))
        except PreconditionError as error:
            raise changed(self.path) from error
        return [memoryview(part) for part in found]

    def _here(self, start: int, end: int) -> memoryview | None:
        """Return a range, if it is here."""
        index = bisect_right(self._starts, start) - 1
        if index < 0:
            return None
        begin, piece = self._starts[index], self._pieces[index]
        return piece[start - begin : end - begin] if end <= begin + len(piece) else None

    def view(self, start: int, end: int) -> memoryview:
        """Return a range, wherever it is."""
        here = self._here(start, end)
        return here if here is not None else self._read_ranges([(start, end)])[0]

    def size(self) -> int:
        """Return the size of the whole file."""
        return self._size

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the file."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Return the place where the next read begins."""
        return self._at

    def read_buffer(self, size: int = -1) -> memoryview:
        """Read without a copy: what pyarrow asks for where it can."""
        start = min(self._at, self._size)
        self._at = self._size if size < 0 else min(start + size, self._size)
        return self.view(start, self._at)

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, or to the end."""
        return bytes(self.read_buffer(-1 if size is None else size))
