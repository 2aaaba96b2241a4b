"""The objects below a prefix in the order of the bytes of their names, whatever the order of the listing.

A listing that a service promises in that order is passed on page by page. Any other (of WebDAV, of accounts with
directories) is sorted in temporary files: runs that fit in memory, which are then merged.

Its one invariant: names ascend, and none comes twice; what is in memory does not grow with the listing.
"""

from __future__ import annotations

import heapq
import json
import tempfile
from collections import deque
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from objstore.exceptions import CorruptResponseError
from objstore.interface.values import ListQuery
from objstore.operations.pages import OneAfterTheOther, SideBySide
from objstore.plans.effects import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from objstore.interface.provider import Provider
    from objstore.operations.results import Rows
    from objstore.plans.effects import Plan

RUN = 100_000
"""How many objects are sorted in memory at a time."""

AT_A_TIME = 1000
PAGES_IN_FLIGHT = 8


class Entry(NamedTuple):
    """An object of a listing.

    Args:
        name: Its key, behind the prefix.
        size: Its size in bytes.
        modified: When it was modified, in seconds since 1970; 0 where nobody says so.
    """

    name: str
    size: int
    modified: float

    @property
    def is_mark(self) -> bool:
        """Whether it is but the mark of a folder, as consoles make them."""
        return self.size == 0 and self.name[-1:] in ("", "/")


class Ordered:
    """The objects below a prefix, in order; marks of folders are left out.

    Args:
        provider: Where they are.
        prefix: What their keys begin with.
    """

    def __init__(self, provider: Provider, prefix: str) -> None:
        self._in_order = provider.lists_by_bytes
        self._prefix = prefix
        self._rows = _rows_of(provider, ListQuery(prefix=prefix))
        self._runs: list[BinaryIO] = []
        self._sorted: Iterator[Entry] | None = None
        self._here: deque[Entry] = deque()
        self._last: str | None = None
        self._over = False

    def peek(self) -> Plan[Entry | None]:
        """Return the next object, which stays the next; None at the end."""
        while not (self._here or self._over):
            some = (yield from self._page()) if self._in_order else (yield from self._merged())
            self._over = some is None
            self._here.extend(entry for entry in self._checked(some or []) if not entry.is_mark)
        return self._here[0] if self._here else None

    def take(self) -> None:
        """Go on to the one after it."""
        self._here.popleft()

    def close(self) -> None:
        """Let go of the temporary files."""
        for run in self._runs:
            run.close()

    __del__ = close

    def _checked(self, entries: list[Entry]) -> Iterator[Entry]:
        """Yield objects, each behind the one before it."""
        for entry in entries:
            if self._last is not None and entry.name <= self._last:
                raise CorruptResponseError(
                    f"The listing of {self._prefix!r} is not in the order of its keys: {entry.name!r} comes behind "
                    f"{self._last!r}",
                    path=self._prefix + entry.name,
                )
            self._last = entry.name
            yield entry

    def _page(self) -> Plan[list[Entry] | None]:
        rows = yield from self._rows()
        if rows is None:
            return None
        cut = len(self._prefix)
        return [
            Entry(meta["path"][cut:], meta["size"], meta["last_modified"].timestamp())
            for meta in rows.page.objects(stop=rows.size)
        ]

    def _merged(self) -> Plan[list[Entry] | None]:
        if self._sorted is None:
            self._sorted = yield from self._sort()
        merged = self._sorted
        some: list[Entry] = yield Call(lambda: [*islice(merged, AT_A_TIME)], settle=True)
        return some or None

    def _sort(self) -> Plan[Iterator[Entry]]:
        """Read the whole listing into runs that are in order, and return how they go on together."""
        run: list[Entry] = []
        while (page := (yield from self._page())) is not None:
            run += page
            if len(run) >= RUN:
                full, run = run, []
                self._runs.append((yield Call(lambda full=full: _written(full), settle=True)))  # type: ignore[misc]
        run.sort()
        return heapq.merge(*map(_read, self._runs), run, key=attrgetter("name"))


def _rows_of(provider: Provider, query: ListQuery) -> Callable[[], Plan[Rows | None]]:
    """Return how to get the pages of a listing: several at a time, where that costs little more."""
    if provider.lists_from_anywhere:
        return SideBySide(provider, query, PAGES_IN_FLIGHT).next_page
    return OneAfterTheOther(provider, query).next_rows


def _written(run: list[Entry]) -> BinaryIO:
    """Write objects to a temporary file, in order."""
    run.sort()
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
    file.writelines(json.dumps(entry).encode() + b"\n" for entry in run)
    file.seek(0)
    return file


def _read(lines: Iterable[bytes]) -> Iterator[Entry]:
    return (Entry(*json.loads(line)) for line in lines)
