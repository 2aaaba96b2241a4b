"""Where the columns of a Parquet file are, and which of them to fetch before they are asked for.

Its one invariant: what is fetched ahead is fetched once, and never more of it than a window that only use makes grow.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAGIC = b"PAR1"
MARK = 8
"""How many bytes at the end of a file say how long its metadata are, and that it is one."""

FIRST_WINDOW = 8 << 20
MOST_AHEAD = 64 << 20

Span = tuple[int, int]


class Columns(NamedTuple):
    """Columns side by side in one row group, from the first to the last."""

    group: int
    first: int
    last: int


class Layout:
    """Where the column chunks of a Parquet file are.

    Args:
        metadata: Those that pyarrow reads.

    Source: https://parquet.apache.org/docs/file-format/
    """

    def __init__(self, metadata: Any) -> None:
        self.metadata = metadata

    def chunk(self, group: int, column: int) -> Span:
        """Return where a column chunk begins and ends."""
        chunk = self.metadata.row_group(group).column(column)
        start = min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)), default=0)
        return start, start + chunk.total_compressed_size

    def span(self, columns: Columns) -> Span:
        """Return where columns side by side begin and end."""
        return self.chunk(columns.group, columns.first)[0], self.chunk(columns.group, columns.last)[1]

    def find(self, start: int, end: int) -> Columns | None:
        """Return the columns that a range is, if it is some columns of one row group and nothing else."""
        groups, columns = range(self.metadata.num_row_groups), range(self.metadata.num_columns)
        group = bisect_right(groups, start, key=lambda index: self.chunk(index, 0)[0]) - 1
        if group < 0:
            return None
        first = bisect_right(columns, start, key=lambda index: self.chunk(group, index)[0]) - 1
        last = bisect_left(columns, end, key=lambda index: self.chunk(group, index)[1])
        found = Columns(group, first, last)
        return found if 0 <= first <= last < len(columns) and self.span(found) == (start, end) else None

    def wanted(self, columns: Iterable[str] | None, row_groups: Iterable[int] | None) -> Iterator[Span]:
        """Yield where the chunks of some columns begin and end; a name with fields below it stands for all of them."""
        schema = self.metadata.schema
        names = None if columns is None else [*columns]
        indexes = [
            index
            for index in range(self.metadata.num_columns)
            if names is None or _is_below(schema.column(index).path, names)
        ]
        for group in range(self.metadata.num_row_groups) if row_groups is None else row_groups:
            yield from (self.chunk(group, index) for index in indexes)


def _is_below(column: str, names: Sequence[str]) -> bool:
    return any(column == name or column.startswith(f"{name}.") for name in names)


def metadata_start(mark: bytes, size: int) -> int | None:
    """Return where the metadata of a file begin, as its last 8 bytes say; None if it is no Parquet file."""
    start = size - MARK - int.from_bytes(mark[:4], "little")
    return start if mark[4:] == MAGIC and start >= len(MAGIC) else None


def read_layout(metadata: bytes) -> Layout:
    """Return the layout that a file's metadata, with the 8 bytes behind them, describe."""
    from pyarrow import BufferReader
    from pyarrow.parquet import read_metadata

    return Layout(read_metadata(BufferReader(metadata)))


class ReadAhead:
    """Fetches the columns that are being read for the row groups to come.

    pyarrow reads the columns of a file one after the other, row group by row group. Once a column is read of a second
    row group, all columns read so far are fetched of that one and those behind it, side by side, up to a window. It
    doubles when all that was fetched has been used; what has not been used counts against it.

    Args:
        layout: Where the columns are.
        fetch: Reads several ranges at once.
    """

    def __init__(self, layout: Layout, fetch: Callable[[Sequence[Span]], Sequence[memoryview]]) -> None:
        self._layout = layout
        self._fetch = fetch
        self._read: dict[tuple[int, int], int] = {}  # the columns that are being read, and the row group it began with
        self._given: set[Span] = set()
        self._here: dict[Span, memoryview] = {}
        self._window = 0

    def take(self, start: int, end: int) -> memoryview | None:
        """Return a range, if it is here or worth fetching along with others; None if it is to be read by itself."""
        if (start, end) not in self._here:
            columns = self._layout.find(start, end)
            if columns is not None and self._read.setdefault(columns[1:], columns.group) != columns.group:
                self._fetch_from(columns.group)
        self._given.add((start, end))
        return self._here.pop((start, end), None)

    def _fetch_from(self, group: int) -> None:
        """Fetch the columns that have been read, of this row group and those behind it."""
        unused = sum(map(len, self._here.values()))
        if not unused:
            self._window = min(max(self._window * 2, FIRST_WINDOW), MOST_AHEAD)
        spans = [*self._coming(group, self._window - unused)]
        if spans:
            self._here.update(zip(spans, self._fetch(spans), strict=True))

    def _coming(self, group: int, most: int) -> Iterator[Span]:
        """Yield what is to be read next and is not here, as long as it is within a number of bytes."""
        for number in range(group, self._layout.metadata.num_row_groups):
            for first, last in sorted(self._read):
                span = self._layout.span(Columns(number, first, last))
                if span not in self._here and span not in self._given:
                    most -= span[1] - span[0]
                    if most < 0:
                        return
                    yield span
