"""How far an operation is: waiting for many requests, and telling the caller meanwhile.

Everything that takes long has an argument `progress`; whatever it does, it is told in one shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from objstore._core import Batch
from objstore.plans.effects import Background

if TYPE_CHECKING:
    from objstore.interface.provider import Exchange
    from objstore.plans.effects import Effect, Plan
    from objstore.types import Progress

T = TypeVar("T")

TOLD_EVERY = 0.1
"""How often the caller is told while nothing ends, in seconds."""


def settle(exchange: Exchange, progress: Progress | None, *, past_errors: bool = False) -> Plan[None]:
    """Wait until every request is done, or until one has failed for good, unless the others are to go on."""
    within = None if progress is None else TOLD_EVERY
    while True:
        over = exchange.over  # asked first: what ends after this is told of in the next round
        if progress is not None:
            tell(exchange, progress)
        if over or (exchange.errors and not past_errors):
            return
        yield from exchange.news(within)


def news(exchange: Exchange, progress: Progress | None) -> Plan[None]:
    """Wait for news; where somebody wants to be told, not for long."""
    return exchange.news(None if progress is None else TOLD_EVERY)


def tell(exchange: Exchange, progress: Progress | None) -> None:
    """Tell how far the requests are."""
    if progress is not None:
        progress(exchange.settled, exchange.total, exchange.bytes_received + exchange.bytes_sent)


def told_of(plan: Plan[T], progress: Progress | None) -> Plan[T]:
    """Drive the plan of one request, and tell how much of its body is sent, as it is sent."""
    if progress is None:
        return (yield from plan)
    try:
        effect = next(plan)
        while True:
            batch = _soon(effect)
            try:
                value = yield effect
            except BaseException as error:
                effect = plan.throw(error)
                continue
            if batch is not None and batch.bytes_sent:
                progress(0, 1, batch.bytes_sent)
            effect = plan.send(value)
    except StopIteration as over:
        result: T = over.value
        return result
    finally:
        plan.close()


def _soon(effect: Effect) -> Batch | None:
    """Have what is waited for come back soon, if it is a batch; return that."""
    batch = effect.batch if isinstance(effect, Background) else effect
    if not isinstance(batch, Batch):
        return None
    batch.wake_after = TOLD_EVERY if batch.wake_after is None else min(batch.wake_after, TOLD_EVERY)
    return batch


def onward(progress: Progress | None, done: int, size: int, more: int = 0) -> Progress | None:
    """Return the callback of one stretch of work, with `done` requests of `size` bytes before it and `more` behind."""
    if progress is None:
        return None
    return lambda settled, total, moved: progress(done + settled, done + total + more, size + moved)


class Found:
    """Counts what a listing finds, whose end nobody knows, and tells of it."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._count = 0

    def add(self, count: int) -> None:
        """Tell of so many more."""
        self._count += count
        if self._progress is not None:
            self._progress(self._count, self._count, 0)


class Tally:
    """Counts how far operations are that go on at the same time, each of which tells how far it is itself."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._bytes: dict[int, int] = {}
        self._moved = 0
        self.total = self.done = 0

    @property
    def moved(self) -> int:
        """How many bytes they have moved."""
        return self._moved + sum(self._bytes.values())

    def of(self, number: int) -> Progress | None:
        """Return what one of them tells."""
        return None if self._progress is None else lambda _, __, moved: self._note(number, moved)

    def _note(self, number: int, moved: int) -> None:
        self._bytes[number] = moved
        self.tell()

    def end(self, number: int, size: int | None = None) -> None:
        """Note that one has ended, and if known how many bytes it has moved."""
        told = self._bytes.pop(number, 0)
        self._moved += told if size is None else size
        self.done += 1
        self.tell()

    def tell(self) -> None:
        """Tell the caller."""
        if self._progress is not None:
            self._progress(self.done, self.total, self.moved)
