"""What an operation may ask of the world: the effects that a plan yields.

An operation is a plan: a generator that yields effects and returns its value. It neither blocks nor awaits; `plans.run`
drives it in either way. Cleanup is ordinary Python inside the plan (``try``/``finally``): a cancelled or interrupted
operation is thrown its exception at the ``yield`` where it waits.

Besides the effects here, a plan may yield a `Batch`: start it if it has not been started, and come back when it has
news.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from objstore._core import Batch

if TYPE_CHECKING:
    from concurrent.futures import Future

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Background:
    """Like a bare `Batch`, but helper threads work on it while the caller does something else between two waits."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Sleep:
    """Come back after a number of seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function that may block, or that returns an awaitable; come back with its result.

    Args:
        function: Takes no arguments. Asynchronously it runs in a thread, unless `quick`.
        quick: It does not block: it returns at once, perhaps an awaitable.
        settle: A cancelled task waits for its end: it is short, and uses what the plan lets go of next.
    """

    function: Callable[[], Any]
    quick: bool = False
    settle: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Come back when a future of another thread or task is done, with its result."""

    future: Future[Any]


@dataclass(frozen=True, slots=True)
class Beside:
    """Come back at once, while another plan is driven to its end: in a thread, or as a task of the event loop.

    Args:
        begin: Makes the plan. Nobody learns of its end.
    """

    begin: Callable[[], Plan[None]]


class AnyOf:
    """Come back once one of several effects, or more, has come to its end: the effects of plans that go on at once.

    Attributes:
        asked: What is to be performed, by the number of its plan; whoever performs it takes it from here.
        answers: What came of it: the number, the value, and the error, if there was one.
        performer: What whoever performs it keeps from one time to the next.
        ends: Whether nothing is waited for but for what cannot be broken off.
    """

    def __init__(self) -> None:
        self.asked: dict[int, Effect] = {}
        self.answers: list[tuple[int, Any, Exception | None]] = []
        self.performer: Any = None
        self.ends = False


Effect: TypeAlias = Batch | Background | Sleep | Call | Wait | Beside | AnyOf
Plan: TypeAlias = Generator[Effect, Any, T]


def is_over(plan: Plan[Any]) -> bool:
    """Return whether a plan has ended, one way or another."""
    return plan.gi_frame is None  # type: ignore[attr-defined]  # a plan is a generator of Python's own


class Busy(Protocol):
    """An object whose operations must come one after the other."""

    _busy: bool


B = TypeVar("B", bound=Busy)


def alone(plan: Callable[Concatenate[B, P], Plan[T]]) -> Callable[Concatenate[B, P], Plan[T]]:
    """Make an operation refuse to begin while another one of the same object is under way.

    Raises:
        RuntimeError: Another one is.
    """

    @wraps(plan)
    def guarded(self: B, /, *args: P.args, **kwargs: P.kwargs) -> Plan[T]:
        if self._busy:
            raise RuntimeError(f"another operation on {self!r} is under way: wait for its end before the next")
        self._busy = True
        try:
            return (yield from plan(self, *args, **kwargs))
        finally:
            self._busy = False

    return guarded
