"""Several plans driven at the same time, each to its own end.

Its one invariant: when it ends, in whatever way, none of the plans is still under way: what was begun has been cleaned
up by the plan that began it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from objstore.plans.effects import AnyOf

if TYPE_CHECKING:
    from objstore.plans.effects import Plan

T = TypeVar("T")
Supply: TypeAlias = "Callable[[], Plan[Plan[T] | None]]"


def given(plans: Iterator[Plan[T]]) -> Supply[T]:
    """Return what supplies plans that are at hand."""

    def supply() -> Plan[Plan[T] | None]:
        return next(plans, None)
        yield

    return supply


class Stopped(BaseException):
    """Thrown into a plan whose end nobody waits for any more."""


class Several(Generic[T]):
    """Plans that are driven at the same time.

    Args:
        supply: Returns the next plan, None at the end; it is asked when there is room for one.
        most: How many are under way at the most.
    """

    def __init__(self, supply: Supply[T], most: int) -> None:
        self._supply = supply
        self._over = False
        self._most = most
        self._taken = 0
        self._running: dict[int, Plan[T]] = {}
        self._count = 0
        self._ended: list[tuple[int, T | Exception]] = []
        self._effects = AnyOf()

    def each(self, take: Callable[[int, T | Exception], None]) -> Plan[None]:
        """Drive all of them, and tell of each that has ended: its number, and its value or its error.

        Args:
            take: Is told. What it raises ends the others.
        """
        try:
            while (yield from self._begin()):
                if not self._ended:
                    yield self._effects
                    answers, self._effects.answers = self._effects.answers, []
                    for number, value, error in answers:
                        self._step(number, value, error)
                self._tell(take)
        except GeneratorExit:
            self._close()
            raise
        except BaseException:
            yield from self._end()
            raise

    def take_room(self, most: int) -> int:
        """Have one that is under way count for more: for so many at the most, and as many as there is room for.

        Returns:
            How many more those are, until they are given back.
        """
        more = max(0, min(most, self._most - self._taken - len(self._running)))
        self._taken += more
        return more

    def give_room(self, more: int) -> None:
        """Give back what was taken."""
        self._taken -= more

    def allow(self, most: int) -> None:
        """Have so many under way at the most from now on."""
        self._most = most

    def _begin(self) -> Plan[bool]:
        """Begin as many as there is room for; tell whether any is under way."""
        while not (self._over or self._ended or len(self._running) + self._taken >= self._most):
            plan = yield from self._supply()
            if plan is None:
                self._over = True
            else:
                self._running[self._count] = plan
                self._count += 1
                self._step(self._count - 1, None, None)
        return bool(self._running or self._ended)

    def _tell(self, take: Callable[[int, T | Exception], None]) -> None:
        ended, self._ended = self._ended, []
        for number, value in ended:
            take(number, value)

    def _step(self, number: int, value: Any, error: Exception | None) -> None:
        """Drive a plan to its next effect, or to its end."""
        plan = self._running[number]
        try:
            self._effects.asked[number] = plan.send(value) if error is None else plan.throw(error)
            return
        except StopIteration as end:
            self._ended.append((number, end.value))
        except Exception as failure:
            self._ended.append((number, failure))
        del self._running[number]

    def _end(self) -> Plan[None]:
        """Break all of them off, and let them clean up."""
        self._effects.asked.clear()
        self._effects.ends = True
        yield self._effects
        while self._running:
            yield from _stopped(self._running.popitem()[1])

    def _close(self) -> None:
        """Break all of them off, where nothing can be waited for."""
        while self._running:
            with suppress(RuntimeError):  # one that wants to wait for its cleanup
                self._running.popitem()[1].close()


def _stopped(plan: Plan[Any]) -> Plan[None]:
    """Drive a plan to its end that is to do no more than to clean up."""
    with suppress(Stopped, StopIteration, Exception):
        effect = plan.throw(Stopped())
        while True:
            try:
                value = yield effect
            except Exception as error:
                effect = plan.throw(error)
            else:
                effect = plan.send(value)
