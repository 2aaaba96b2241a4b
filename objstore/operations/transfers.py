"""Operations that go on at the same time: supplied as there is room, counted, and what came of them in order."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from objstore.exceptions import BaseError
from objstore.operations.objects import DEFAULT_CHUNK
from objstore.operations.outcomes import Counted, OnError, numbered
from objstore.operations.progress import Tally
from objstore.plans.several import Several

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from objstore.interface.provider import Share
    from objstore.operations.requested import Groups
    from objstore.plans.effects import Plan
    from objstore.types import Progress

T = TypeVar("T")
R = TypeVar("R")

AT_A_TIME = 32
"""How many objects are under way that go through this machine's memory, where nobody says how many."""

MANY_AT_A_TIME = 128
"""How many others are: requests are sent at the pace of the service."""

PARTS = 3
"""How many parts of each are in flight at the most: its share, as others are under way beside it."""


def shared(several: Several[Any]) -> Share:
    """Return the share of each of several objects: a request each, and more for large ones while there is room."""

    @contextmanager
    def share(size: int | None, most: int) -> Iterator[int]:
        more = several.take_room(most - 1) if size is None or size > DEFAULT_CHUNK else 0
        try:
            yield 1 + more
        finally:
            several.give_room(more)

    return share


class Transfers(Generic[T, R]):
    """Operations on many items.

    Args:
        groups: The items.
        read: Checks a group of them, before any of it is begun.
        begin: Makes the plan of one, given its share of the requests, and what it tells of how far it is.
        on_error: What an error does.
        progress: Is told of all of them.
        most: How many requests are in flight at the most.
    """

    def __init__(
        self,
        groups: Groups[Any],
        read: Callable[[list[Any]], list[T]],
        begin: Callable[[T, Share, Progress | None], Plan[R]],
        on_error: OnError,
        progress: Progress | None,
        most: int,
    ) -> None:
        self._several: Several[R] = Several(self._next, most)
        self._share = shared(self._several)
        self._groups = groups
        self._read = read
        self._begin = begin
        self._on_error = on_error
        self._tally = Tally(progress)
        self._left: deque[T] = deque()
        self._results: dict[int, R | Exception] = {}
        self._begun = 0

    def run(self) -> Plan[list[Any]]:
        """Carry out all of them; return the results in order."""
        yield from self._several.each(self._take)
        self._tally.tell()
        return [self._results[number] for number in range(self._begun)]

    def _next(self) -> Plan[Plan[R] | None]:
        """Return the next one."""
        while not self._left:
            if self._groups.over:
                return None
            group = yield from self._groups.next()
            with Counted(self._begun):
                self._left.extend(self._read(group))
            self._tally.total += len(self._left)
        self._begun += 1
        return self._begin(self._left.popleft(), self._share, self._tally.of(self._begun - 1))

    def _take(self, number: int, result: R | Exception) -> None:
        if isinstance(result, BaseError):
            result = numbered(result, number)
        if isinstance(result, Exception) and not (self._on_error == "return" and isinstance(result, EXPECTED)):
            raise result
        self._results[number] = result
        self._tally.end(number)


EXPECTED = (BaseError, OSError)
"""What may go wrong with one object, and takes the place of its result where errors are returned."""
