"""Operations that go on at the same time: supplied as there is room, counted, and what came of them in order.

Where nobody says how many, the pace of the services does, and the memory of those whose bytes go through this machine.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from objstore._core import memory_limit
from objstore.exceptions import BaseError
from objstore.interface.values import FIRST
from objstore.operations.objects import DEFAULT_CHUNK
from objstore.operations.outcomes import Counted, OnError, check_on_error, numbered
from objstore.operations.progress import Tally
from objstore.plans.effects import Wait
from objstore.plans.several import Several

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from objstore.interface.provider import Provider, Share
    from objstore.operations.requested import Groups
    from objstore.plans.effects import Plan
    from objstore.types import Progress

T = TypeVar("T")
R = TypeVar("R")

Expected: TypeAlias = tuple[type[Exception], ...]

EXPECTED: Expected = (BaseError, OSError)
"""What may go wrong with one object, and takes the place of its result where errors are returned."""

IN_MEMORY = 256 << 20
"""How many bytes of objects that go through this machine are in its memory, beyond the beginning of each."""

CARRIED = 8 << 20
"""How much one takes at the most, about: its beginning, and a part that is read while another is written."""

LATELY = 32
"""How many sizes are remembered: the next object may be as large as the largest of these."""

PARTS = 3
"""How many parts of each are in flight at the most: its share, as others are under way beside it."""


class Room:
    """How many objects are under way at a time, and how much of them is in memory.

    Twice as many as a service has use for: with some waiting, it is seen whether more bring more.

    Args:
        asked: How many the caller wants at the most; 0: as many as pay off.
        target: Where they go.
        source: Where they are read, to go through this machine's memory; None: they do not.
    """

    def __init__(self, asked: int, target: Provider, source: Provider | None = None) -> None:
        self._asked = asked
        self._target = target
        self._source = source
        self._sizes: deque[int] = deque(maxlen=LATELY)
        self._held = 0
        self._waiting: deque[tuple[int, Future[None]]] = deque()

    @property
    def most(self) -> int:
        """How many may be under way now."""
        if self._asked:
            return self._asked
        writes = 2 * self._target.pace.writes
        if self._source is None:
            return writes
        return min(max(writes, 2 * self._source.pace.reads), self._fitting)

    @property
    def _fitting(self) -> int:
        """How many have their beginnings in memory, whatever comes, and most likely all they need."""
        if self._waiting:
            return 1
        fit = self._most_held // max(max(self._sizes, default=CARRIED), 1)
        return max(min(fit, memory_limit() // FIRST), 1)

    @property
    def _most_held(self) -> int:
        return min(IN_MEMORY, memory_limit())

    def holding(self, size: int | None, plan: Plan[T]) -> Plan[T]:
        """Carry out a plan that holds an object of this size, once there is room for it; one has it in any case."""
        held = CARRIED if size is None else min(size, CARRIED)
        self._sizes.append(held)
        yield from self._take(held)
        try:
            return (yield from plan)
        finally:
            self._held -= held
            self._invite()

    def _take(self, size: int) -> Plan[None]:
        turn: Future[None] = Future()
        self._waiting.append((size, turn))
        self._invite()
        try:
            if not turn.done():
                yield Wait(turn)
        except BaseException:
            if not turn.cancel() and not turn.cancelled():
                self._held -= size
            self._invite()
            raise

    def _invite(self) -> None:
        """Let those in that there is room for, who waited longest first."""
        while self._waiting and (not self._held or self._held + self._waiting[0][0] <= self._most_held):
            size, turn = self._waiting.popleft()
            if turn.set_running_or_notify_cancel():
                self._held += size
                turn.set_result(None)


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


def kept_of(on_error: OnError) -> Expected:
    """Return which errors take the place of results."""
    check_on_error(on_error)
    return EXPECTED if on_error == "return" else ()


class Transfers(Generic[T, R]):
    """Operations on many items.

    Args:
        groups: The items.
        read: Checks a group of them, before any of it is begun.
        begin: Makes the plan of one, given its share of the requests, and what it tells of how far it is.
        kept: The errors that take the place of results; any other is raised.
        progress: Is told of all of them.
        room: How many are under way at the most.
    """

    def __init__(
        self,
        groups: Groups[Any],
        read: Callable[[list[Any]], list[T]],
        begin: Callable[[T, Share, Progress | None], Plan[R]],
        kept: Expected,
        progress: Progress | None,
        room: Room,
    ) -> None:
        self._room = room
        self._several: Several[R] = Several(self._next, room.most)
        self._share = shared(self._several)
        self._groups = groups
        self._read = read
        self._begin = begin
        self._kept = kept
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
        if isinstance(result, Exception) and not isinstance(result, self._kept):
            raise result
        self._results[number] = result
        self._tally.end(number)
        self._several.allow(self._room.most)
