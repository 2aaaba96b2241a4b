"""Where the columns of a Parquet file are, and which of them to fetch before they are asked for.

Its one invariant: what is fetched ahead is fetched once, and never more of it than half of what is asked for, or a few
KiB: see `Account`. Besides, the columns of row groups that are being read are, as many bytes as have been asked for.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from objstore.operations.ahead import Beyond
from objstore.operations.window import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAGIC = b"PAR1"
MARK = 8
"""How many bytes at the end of a file say how long its metadata are, and that it is one."""

MOST_AHEAD = 64 << 20
"""How many bytes are held at the most that nobody has asked for yet."""

BEGUN = 8
"""Of how many row groups columns are on their way to be read at a time: pyarrow has as many threads for it."""

MOST_AT_FIRST = 1 << 20
"""How large a column may be that comes as a file is opened."""

LATELY = 32 << 20
"""For about how many bytes of columns it counts whether they were asked for, once they had been fetched."""

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


def read_layout(metadata: bytes) -> Layout | None:
    """Return the layout that a file's metadata, with the 8 bytes behind them, describe; None where they are signed.

    Then columns may be encrypted, and pyarrow ends the process that asks where those are without their keys.

    Source: https://parquet.apache.org/docs/file-format/data-pages/encryption/
    """
    from pyarrow import BufferReader
    from pyarrow.parquet import read_metadata

    found = read_metadata(BufferReader(metadata))
    return Layout(found) if found.serialized_size == len(metadata) - MARK else None


class Usual:
    """Which columns were read of the last file: of the next one of a data set, the same are going to be."""

    def __init__(self) -> None:
        self.columns: frozenset[tuple[int, int]] = frozenset()
        self.of_all = False  # row groups
        self._account = Account()
        self._lock = Lock()

    def note(self, columns: Iterable[tuple[int, int]], *, of_all: bool) -> None:
        """Note what was read of a file."""
        self.columns, self.of_all = frozenset(columns), of_all

    def count(self, *, fetched: int = 0, asked: int = 0) -> None:
        """Count bytes of columns: lately, for many that were wanted long ago allow for none in vain now."""
        with self._lock:
            self._account.fetched += fetched
            self._account.asked += asked
            if self._account.asked > LATELY:
                self._account.fetched //= 2
                self._account.asked //= 2

    @property
    def left(self) -> int:
        """How many bytes may still be fetched in vain: half of those that were asked for of all files."""
        return self._account.left(self._account.share)

    def first(self, layout: Layout) -> Span | None:
        """Return what is read first of a file, if it is little; it counts as fetched."""
        first, last = min(self.columns, default=(0, sys.maxsize))
        if last >= layout.metadata.num_columns or not layout.metadata.num_row_groups:
            return None
        start, end = layout.span(Columns(0, first, last))
        if not 0 < end - start <= min(self.left, MOST_AT_FIRST):
            return None
        self.count(fetched=end - start)
        return start, end


class ReadAhead:
    """Fetches the columns that are being read for the row groups to come.

    pyarrow reads the columns of a file one after the other, row group by row group. Once one is read of a second row
    group, all columns read so far are fetched of those that have been begun and those behind them, side by side. Of the
    first one, those are that follow where columns are read as they follow each other. How many bytes are is for the
    file's account to say: a filter may leave out what comes next, and then no more is fetched than what is asked for.
    Of row groups that have been begun it leaves out nothing: they count as in vain only for each other.

    Args:
        layout: Where the columns are.
        fetch: Reads several ranges at once, and nothing besides.
        account: What of the file has been fetched, and asked for.
        usual: Which columns were read of the file before.
    """

    def __init__(
        self,
        layout: Layout,
        fetch: Callable[[Sequence[Span]], Sequence[memoryview]],
        account: Account,
        usual: Usual | None = None,
    ) -> None:
        self._layout = layout
        self._fetch = fetch
        self._account = account
        self._usual = usual or Usual()
        self._expected: frozenset[tuple[int, int]] = frozenset()  # which are as usual, once the first one was
        self._read: set[tuple[int, int]] = set()  # the columns that are being read,
        self._groups: set[int] = set()  # from which they have been read
        self._end = -1  # of the last one,
        self._row = 0  # and of how many bytes those are that it goes on from
        self._given: set[Span] = set()
        self._begun: set[Span] = set()  # of row groups that have been begun, fetched and not given
        self._here: dict[Span, memoryview] = {}
        self._beyond = Beyond()

    def take(self, start: int, end: int) -> memoryview | None:
        """Return a range, fetched along with others if it is not here; None if it is no column."""
        columns = self._layout.find(start, end)
        if columns is None:
            return None
        before = self._row if start == self._end else 0
        self._end, self._row = end, before + end - start
        self._account.asked += end - start
        self._usual.count(asked=end - start)
        if not self._read and columns[1:] in self._usual.columns:
            self._expected = self._usual.columns
        self._groups.add(columns.group)
        self._read.add(columns[1:])
        self._given.add((start, end))
        self._begun.discard((start, end))
        if (start, end) not in self._here:
            self._get((start, end), self._coming(columns, before))
        return self._here.pop((start, end))

    def give(self, start: int, piece: memoryview) -> None:
        """Take a column that came as the file was opened."""
        if self._layout.find(start, start + len(piece)) is not None:
            self._here[start, start + len(piece)] = piece

    def close(self) -> None:
        """Let go of what is here, whoever still has this object, as the traceback of an error has."""
        if self._read:
            self._usual.note(self._read, of_all=len(self._groups) == self._layout.metadata.num_row_groups)
        self._read.clear()
        self._here.clear()
        self._beyond.end()

    def _get(self, asked: Span, coming: Iterable[Span]) -> None:
        """Fetch a range, and of those that are to be read next as many as may be in vain."""
        self._account.fetched += asked[1] - asked[0]
        self._usual.count(fetched=asked[1] - asked[0])
        held = sum(map(len, self._here.values()))
        begun = self._granted(self._of_begun(), self._account.left(self._account.asked), held)
        self._begun.update(begun)
        left = self._account.left(self._account.share) + _size(self._begun)
        left = max(left, self._usual.left if self._expected else 0)
        spans = [asked, *begun, *self._granted(coming, left, held + _size(begun))]
        self._here.update(zip(spans, self._fetch(spans), strict=True))

    def _granted(self, coming: Iterable[Span], left: int, held: int) -> list[Span]:
        """Return those ranges that may be fetched in vain, if the process has memory for them beside what is held."""
        spans = [*_within(min(left, MOST_AHEAD - held), filter(self._is_new, coming))]
        size = _size(spans)
        if self._beyond.reach(held + size) < held + size:
            return []
        self._account.fetched += size
        self._usual.count(fetched=size)
        return spans

    def _is_new(self, span: Span) -> bool:
        return span not in self._here and span not in self._given and span not in self._begun

    def _coming(self, columns: Columns, before: int) -> Iterator[Span]:
        """Return which columns are to come after these."""
        last = self._layout.metadata.num_row_groups
        if len(self._groups) > 1 or (self._expected and self._usual.of_all):
            return self._of_groups(range(columns.group, last))
        return self._of_groups([columns.group]) if self._expected else self._beside(columns, before)

    def _of_begun(self) -> Iterator[Span]:
        """Return the columns of the last row groups that have been begun, where these are several."""
        return self._of_groups(sorted(self._groups)[-BEGUN:] if len(self._groups) > 1 else ())

    def _of_groups(self, groups: Iterable[int]) -> Iterator[Span]:
        """Yield the columns that have been read or are expected, of some row groups."""
        columns = sorted(self._read | self._expected)
        for number in groups:
            for first, last in columns:
                if last < self._layout.metadata.num_columns:
                    yield self._layout.span(Columns(number, first, last))

    def _beside(self, columns: Columns, before: int) -> Iterator[Span]:
        """Yield the columns that follow, half as many bytes as those that have been read as they follow each other."""
        following = range(columns.last + 1, self._layout.metadata.num_columns if before else 0)
        return _within(self._row // 2, (self._layout.chunk(columns.group, column) for column in following))


def _size(spans: Iterable[Span]) -> int:
    return sum(end - start for start, end in spans)


def _within(most: int, spans: Iterable[Span]) -> Iterator[Span]:
    """Yield ranges as long as all of them have so many bytes at the most."""
    for start, end in spans:
        most -= end - start
        if most < 0:
            return
        yield start, end
