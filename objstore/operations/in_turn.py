"""Files that are opened one after the other, as they were listed: those to come are opened before anybody asks.

pyarrow opens the files of a data set one by one, and each waits for a reply. Once some have been opened in the order of
a listing, half as many as those are opened along with the next one, at the same time.

Its one invariant: no more are opened in vain than half of those that were asked for; and what was opened ahead is given
once, to who goes on in that order, within `FRESH` seconds, in which this process wrote and listed nothing. It is held
within `configure(memory_limit=...)`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import islice, starmap
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from objstore.operations.ahead import Beyond
from objstore.operations.moment import Moment
from objstore.plans.once import Once
from objstore.plans.several import Several, given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from objstore.interface.provider import Provider
    from objstore.interface.values import Range
    from objstore.plans.effects import Plan

T = TypeVar("T")

MOST_AHEAD = 64
"""How many files are opened ahead at the most: each holds what came along."""

LISTINGS, MOST_LISTED = 4, 100_000
"""How many listings are remembered, and how many files of each."""

ROWS = 8
"""How many rows of files may be under way at a time, as those of threads that read a data set each."""


class Row(Generic[T]):
    """Files that are opened one after the other."""

    __slots__ = ("_held", "asked", "count", "here", "since")

    def __init__(self) -> None:
        self.count = self.since = 0  # how many have been opened, and since those ahead were
        self.here: dict[str, T] = {}  # opened ahead,
        self.asked = Moment()  # then
        self._held = Beyond()

    def go_on(self) -> None:
        """Note that the next one is opened; forget those that are no longer as good as if they were opened now."""
        self.count += 1
        self.since += 1
        if self.here and not self.asked.is_fresh:
            self.let_go()
            self.count = 1

    def let_go(self) -> None:
        """Hold nothing that was opened ahead."""
        self.here = {}
        self._held.end()

    def ahead(self) -> int:
        """Return how many to open ahead: half of those that were opened, and of those that are in so short a time."""
        age = self.asked.age
        return min(self.count // 2, int(self.since / 2 / age) if age else 0)

    def granted(self, names: Iterable[str], piece: Callable[[str], Range]) -> dict[str, Range]:
        """Return which files to open in the place of those that are here, and with which piece of each: as many as the
        process has memory for."""
        self.let_go()
        pieces: dict[str, Range] = {}
        size = 0
        for name in names:
            first = piece(name)
            size += first.end - max(first.start, 0)
            if self._held.reach(size) < size:
                break
            pieces[name] = first
        return pieces

    def keep(self, here: dict[str, T], asked: Moment) -> None:
        """Keep what was opened ahead."""
        self.here, self.asked, self.since = here, asked, 0


class InTurn(Generic[T]):
    """Opens files, and those that follow on them in a listing."""

    def __init__(self) -> None:
        self._lock, self._once = Lock(), Once()
        self._listings: deque[list[str]] = deque(maxlen=LISTINGS)
        self._rows: dict[str, Row[T]] = {}  # by the name of the file that is next

    def listed(self, names: Iterable[str]) -> None:
        """Note files in the place of the oldest listing: they may be opened in this order, anew."""
        listing = sorted(islice(names, MOST_LISTED))
        with self._lock:
            self._rows.clear()
            if len(listing) > 1 and listing not in self._listings:
                self._listings.append(listing)

    def forget(self) -> None:
        """Keep nothing that was opened ahead: something is going to be written."""
        with self._lock:
            self._rows.clear()

    def open(
        self,
        provider: Provider,
        name: str,
        piece: Callable[[str], Range],
        begin: Callable[[str, Range], Plan[T]],
    ) -> Plan[T]:
        """Open a file.

        Args:
            provider: Where it is.
            name: Its name, as it was listed.
            piece: Tells which piece of a file of this name is to come along.
            begin: Makes the plan that opens a file of this name with that.
        """
        if not provider.pace.wait:  # it is on this machine
            return (yield from begin(name, piece(name)))
        opened: list[T] = []

        def work() -> Plan[None]:
            pieces = {name: piece(name), **row.granted(following[: row.ahead()], piece)}
            opened.append((yield from self._together(row, pieces, begin)))

        row, following = self._row_of(name)
        row.go_on()
        if name not in row.here:
            yield from self._once.do(row, work)  # or it comes with what another thread opens
        return opened[0] if opened else row.here.pop(name, None) or (yield from begin(name, piece(name)))

    def look(
        self,
        provider: Provider,
        name: str,
        piece: Callable[[str], Range],
        begin: Callable[[str, Range], Plan[T]],
    ) -> Plan[T | None]:
        """Open a file that is asked about, ahead of who opens it next; None where there is no room for what comes
        along, or it is on this machine. The arguments are those of `open`."""
        row = Row[T]()
        pieces = row.granted([name], piece) if provider.pace.wait else {}
        if not pieces:
            return None
        asked = Moment()
        opened = yield from begin(name, pieces[name])
        row.keep({name: opened}, asked)
        with self._lock:
            self._rows[name] = row
        return opened

    def _row_of(self, name: str) -> tuple[Row[T], Sequence[str]]:
        """Return the row that a file goes on, which waits for the next one now, and what follows on it."""
        with self._lock:
            row = self._rows.pop(name) if name in self._rows else Row[T]()
            following = self._following(name)
            if following:
                self._rows[following[0]] = row
            if len(self._rows) > ROWS:
                del self._rows[next(iter(self._rows))]
            return row, following

    def _following(self, name: str) -> Sequence[str]:
        for listing in reversed(self._listings):
            index = bisect_right(listing, name)
            if index and listing[index - 1] == name:
                return listing[index : index + MOST_AHEAD]
        return ()

    def _together(self, row: Row[T], pieces: dict[str, Range], begin: Callable[[str, Range], Plan[T]]) -> Plan[T]:
        """Open files at the same time: the first is asked for, and errors of others are for who asks for those."""
        opened: dict[str, T | Exception] = {}
        names = [*pieces]
        asked = Moment()
        yield from Several(given(starmap(begin, pieces.items())), len(names)).each(
            lambda number, file: opened.__setitem__(names[number], file)
        )
        first = opened.pop(names[0])
        if isinstance(first, Exception):
            raise first
        row.keep({name: file for name, file in opened.items() if not isinstance(file, Exception)}, asked)
        return first
