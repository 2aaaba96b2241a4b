"""How much of a file the next fetch is to bring.

Reads that go on from each other fetch more and more. Others fetch little more than what they ask for, unless those
before them found what they wanted next to each other. Once they have waited as long as all of the file takes, all of it
is fetched: so who reads here and there never takes more than about twice the time that is possible.

Its one invariant: of a file whose reader does not begin at its beginning, no more is fetched than what it asks for and
half of that again, or `SPARE`, or `PAGE` for each read that asks for less. It has an index, as that at the end of a
Parquet file, and leaves out what it does not want.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_AHEAD = 32 << 20
"""The most that sequential reads fetch ahead: they begin with the buffer's size and double it."""

LEAST_AHEAD = 128 << 10
"""What comes of a file as it is opened; and how near to each other reads are that may be served by one fetch."""

INDEX = 64 << 10
"""What comes of a file's end where its index is there: what pyarrow reads of a Parquet file first."""

SPARE = 48 << 10
"""How much may be fetched in vain of a file that has an index, however little is asked for."""


CLOSE = 16 << 10
"""What reads here and there fetch at the least, where no index tells what is wanted: headers are followed by others."""

JUMPS = 3
"""How many more of them are to be expected: who jumps to and fro looks for what tells where the rest is."""

PAGE = 4 << 10
"""What any read fetches at the least: less is no quicker, and small reads are followed by others."""


class Account:
    """How many bytes of a file have been fetched, and how many of these somebody has asked for."""

    __slots__ = ("_of_index", "asked", "fetched")

    def __init__(self) -> None:
        self.fetched = self.asked = 0
        self._of_index = 0

    def index_is(self, size: int) -> None:
        """Note how large the index is: it was asked for as if it had `INDEX` bytes."""
        self._of_index = size

    @property
    def share(self) -> int:
        """How much of what is asked for may be fetched in vain besides; of an index, nothing else is wanted."""
        return self.asked // 2 - max(INDEX - self._of_index, 0) * 3 // 2

    def left(self, most: int) -> int:
        """Return how much may still be fetched in vain, where so much may be in all, or `SPARE`."""
        return max(SPARE, most) - (self.fetched - self.asked)


class Window:
    """What the next fetch of a file is to bring, by what has been read of it.

    Args:
        buffer_size: What sequential reads begin with, in bytes.
        size: The size of the object.
        worth: Tells how many bytes come in the time that a reply takes to begin.
    """

    def __init__(self, buffer_size: int, size: int, worth: Callable[[], float] = lambda: 0) -> None:
        self.account = Account()
        self.end = -1  # of the last fetch
        self._buffer_size = buffer_size
        self._least = self._near = min(LEAST_AHEAD, buffer_size)
        self._size = size
        self._indexed: bool | None = None  # nothing has been read yet
        self._of_end = 0  # how much comes of the end, where some of that is wanted
        self._worth = worth
        self._jumps = 0  # reads that went on from no other, and waited
        self._amount = 0  # of the last fetch
        self._start = self._first = self._reach = -1  # of fetches that go on from each other, see `go`

    # --- what is read

    def opened(self, at: int, size: int) -> None:
        """Note that a piece is here already."""
        self._start = self._reach = at
        self._first = at + size
        self.came(at, size)

    @property
    def begun(self) -> bool:
        """Whether anything has been read."""
        return self._indexed is not None

    def begin_at(self, at: int) -> None:
        """Note where the reader begins."""
        self._indexed = at > 0
        self._of_end = INDEX if self._indexed else self._least

    @property
    def wants_end(self) -> bool:
        """Whether the end is here now, of a file that has an index, and was not before."""
        return bool(self._indexed and self._of_end and self.end == self._size)

    def take_end(self) -> None:
        """Note that the end is here, and all of it is wanted."""
        self._of_end = 0

    def taken(self, at: int, size: int) -> None:
        """Note what the reader takes of what is here."""
        if self._start <= at <= self.end:
            self._reach = max(self._reach, at + size)

    def goes_on(self, at: int) -> bool:
        """Tell whether a read goes on where the last one ended."""
        return self._start < at == self._reach

    # --- what to fetch

    def is_direct(self, at: int, size: int) -> bool:
        """Tell whether a read goes straight to its destination: it is large, and nothing is fetched besides."""
        return size >= self._least and self.to_fetch(at, size) <= size

    def wants_all(self, at: int) -> bool:
        """Tell whether a read here, and those to be expected elsewhere, wait as long as all of the file takes."""
        if self._indexed or self.end < 0 or self._follows(at) or self._size > MOST_AHEAD:
            return False
        return self._size <= self._worth() * (self._jumps + JUMPS)

    def to_fetch(self, at: int, size: int) -> int:
        """Return how much a read fetches that asks for so many bytes, unless the object ends before."""
        wanted = self._following(at) if self._follows(at) else self._nearby(at)
        return max(min(wanted, size + self._spare(at, size)) if self._indexed else wanted, size)

    def _spare(self, at: int, size: int) -> int:
        """Return how much may come along with a read, of a file that has an index; more if it is close to the last."""
        gap = at - (self.end if at >= self.end else self._start)
        most = self.account.share if -size <= gap <= size // 2 else 0
        row = (self._reach - self._start) // 2 if at == self.end else 0
        return max(row, self.account.left(most), PAGE - size)

    def _follows(self, at: int) -> bool:
        """Tell whether a read goes on from the last one, or leaves out a little."""
        return self.end >= 0 and 0 <= at - self.end <= self._least

    def _precedes(self, at: int) -> bool:
        """Tell whether a read is of what is just before what was read last."""
        return 0 < self._start - at <= self._least

    def _following(self, at: int) -> int:
        """Return the window of a read that goes on from the last one: twice that."""
        least = self._buffer_size if at == self.end and self._amount >= self._least else 0
        return min(max(self._amount * 2, least), max(self._buffer_size, MOST_AHEAD))

    def _nearby(self, at: int) -> int:
        """Return the window of a read elsewhere: what reads close to each other came to lately."""
        if self.end < 0:
            return self._least if at else self._buffer_size
        if self._precedes(at):
            rest_of_index = self._indexed and self.end == self._size
            return 0 if rest_of_index else max(min(self._near * 2, self._least), self._start - at)
        near = (self._reach - self._start) * 2 if self._reach > self._first else self._near // 2
        return min(max(near, PAGE if self._indexed else CLOSE), self._least)

    def stretch(self, at: int, size: int, amount: int) -> tuple[int, int]:
        """Return from where to where to fetch so much for a read of `size` bytes: up to what is here, or to the end."""
        end = min(at + amount, self._size)
        if at == self.end:
            return at, end
        if self._precedes(at):
            end = max(min(end, self._start), at + size)
            return min(at, max(end - amount, 0)), end
        if end == self._size:
            return max(min(at, end - self._of_end), 0), end
        return at, end

    # --- what is fetched

    def go(self, at: int, size: int) -> None:
        """Note that a read of so many bytes is fetched, which may begin a row of those that go on from each other."""
        if not self._follows(at):
            self._jumps += 1
            self._near = self._nearby(at)
        if at != self.end:
            self._start = self._reach = at
            self._first = at + size

    def came(self, start: int, size: int) -> None:
        """Note that so many bytes have come."""
        grown = self._amount * 2 if self._follows(start) else 0
        self._amount = min(size, max(grown, self._buffer_size))
        self.end = start + size
        self.account.fetched += size

    def came_to_reader(self, start: int, size: int) -> None:
        """Note that a read has been fetched to its destination."""
        self.go(start, size)
        self.came(start, size)
        self._reach = self.end
        self.account.asked += size
