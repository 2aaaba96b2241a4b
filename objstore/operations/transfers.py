"""Operations that go on at the same time: supplied as there is room, counted, and what came of them in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from objstore.exceptions import BaseError
from objstore.operations.outcomes import Counted, OnError, numbered
from objstore.operations.progress import Tally
from objstore.plans.several import Several

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.operations.requested import Groups
    from objstore.plans.effects import Plan
    from objstore.types import Progress

T = TypeVar("T")
R = TypeVar("R")

AT_A_TIME = 32
"""How many objects are under way, where nobody says how many."""

READ_AHEAD = 8 << 20
PARTS = 3
"""How much of each object that has to be carried is in memory: its share, as others are under way beside it."""


class Transfers(Generic[T, R]):
    """Operations on many items.

    Args:
        groups: The items.
        read: Checks a group of them, before any of it is begun.
        begin: Makes the plan of one, given what it tells of how far it is.
        on_error: What an error does.
        progress: Is told of all of them.
    """

    def __init__(
        self,
        groups: Groups[Any],
        read: Callable[[list[Any]], list[T]],
        begin: Callable[[T, Progress | None], Plan[R]],
        on_error: OnError,
        progress: Progress | None,
    ) -> None:
        self._groups = groups
        self._read = read
        self._begin = begin
        self._on_error = on_error
        self._tally = Tally(progress)
        self._left: deque[T] = deque()
        self._results: dict[int, R | Exception] = {}
        self._begun = 0

    def run(self, most: int) -> Plan[list[Any]]:
        """Carry out all of them, so many at a time; return the results in order."""
        yield from Several(self._next, most).each(self._take)
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
        return self._begin(self._left.popleft(), self._tally.of(self._begun - 1))

    def _take(self, number: int, result: R | Exception) -> None:
        if isinstance(result, BaseError):
            result = numbered(result, number)
        if isinstance(result, Exception) and not (self._on_error == "return" and isinstance(result, EXPECTED)):
            raise result
        self._results[number] = result
        self._tally.end(number)


EXPECTED = (BaseError, OSError)
"""What may go wrong with one object, and takes the place of its result where errors are returned."""
