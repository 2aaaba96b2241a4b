"""Plans driven in the calling thread, and the two functions of an operation: one that blocks, one for coroutines.

Only here and in `event_loop` do sync and async differ.

Its one invariant: whatever ends a plan early (an error, Ctrl-C) is thrown into it where it waits, so that its cleanup
runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

from objstore._core import Batch, may_have_threads
from objstore.plans.effects import AnyOf, Background, Beside, Call, Effect, Plan, Sleep, Wait, is_over

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import CoroutineType, ModuleType

P = ParamSpec("P")
T = TypeVar("T")

SIGNAL_CHECK = 0.05
"""After how many seconds a blocked caller looks for Ctrl-C, as in the engine."""


Watch: TypeAlias = Callable[[str, tuple[Any, ...]], AbstractContextManager[object]]
"""What surrounds a call of an operation: is told its name and its arguments."""

_watching: list[Watch] = []  # one at the most


def set_watch(watch: Watch | None) -> None:
    """Have every call of an operation surrounded from now on, or none."""
    _watching[:] = [] if watch is None else [watch]


def both(plan: Callable[P, Plan[T]]) -> tuple[Callable[P, T], Callable[P, CoroutineType[Any, Any, T]]]:
    """Return an operation's two functions, the blocking function and the coroutine function.

    Of a plan with overloads take `blocking` and `awaitable`: mypy forgets overloads in a tuple.
    """
    return blocking(plan), awaitable(plan)


def blocking(plan: Callable[P, Plan[T]]) -> Callable[P, T]:
    """Return the blocking function of an operation."""

    @wraps(plan)
    def function(*args: P.args, **kwargs: P.kwargs) -> T:
        if not _watching and "progress" not in kwargs:
            return run(plan(*args, **kwargs))
        with _watched(plan.__name__, args):
            return run(_begun(plan, args, kwargs))

    _tell(function, plan)
    return function


def awaitable(plan: Callable[P, Plan[T]]) -> Callable[P, CoroutineType[Any, Any, T]]:
    """Return the coroutine function of an operation: it looks for the running event loop at its first step, never when
    it is called."""

    @wraps(plan)
    async def function(*args: P.args, **kwargs: P.kwargs) -> T:
        if not _watching and "progress" not in kwargs:
            result: T = await _event_loop().drive(plan(*args, **kwargs))
            return result
        with _watched(plan.__name__, args):
            watched: T = await _event_loop().drive(_begun(plan, args, kwargs))
            return watched

    function.__name__ += "_async"
    function.__qualname__ += "_async"
    _tell(function, plan)
    return function  # type: ignore[return-value]  # mypy takes what `async def` gives for a mere Coroutine


def _watched(name: str, args: tuple[Any, ...]) -> AbstractContextManager[object]:
    """Return what surrounds a call of an operation."""
    return _watching[0](name, args) if _watching else nullcontext()


def _begun(plan: Callable[..., Plan[T]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Plan[T]:
    """Begin a plan; one that knows how with a bar, where that is asked for."""
    begin: Callable[..., Plan[T]] = getattr(plan, "with_bar", plan) if kwargs.get("progress") is True else plan
    return begin(*args, **kwargs)


def _tell(function: Any, plan: Callable[..., Any]) -> None:
    """Have a function say, to `help` and the like, what its plan returns, and not that there is one.

    Signatures are read of the plan, which functions wrap, and so are its annotations.
    """
    result = str(plan.__annotations__.get("return", ""))
    if result.startswith("Plan["):
        plan.__annotations__["return"] = result.removeprefix("Plan[").removesuffix("]")
    function.__annotations__ = plan.__annotations__


async def arun(plan: Plan[T]) -> T:
    """Drive a plan to its end on the running event loop."""
    result: T = await _event_loop().drive(plan)
    return result


@cache
def _event_loop() -> ModuleType:
    from objstore.plans import event_loop

    return event_loop


def run(plan: Plan[T]) -> T:
    """Drive a plan to its end in the calling thread.

    Ctrl-C may come between any two steps: whatever is raised while the plan still runs is thrown into it.
    """
    value: Any = None
    thrown: BaseException | None = None
    while True:
        try:
            while True:  # inside: signals are looked for where a loop goes back
                try:
                    effect = plan.send(value) if thrown is None else plan.throw(thrown)
                except StopIteration as end:
                    thrown = None  # or this frame and the error would keep each other alive
                    result: T = end.value
                    return result
                value = None  # it may be large, and the plan has let go of it
                value, thrown = _perform(effect), None
        except BaseException as error:
            if is_over(plan):
                thrown = None
                raise
            thrown = error


def _perform(effect: Effect) -> Any:
    if isinstance(effect, Batch):
        if not effect.is_started:
            effect.start()
        return effect.wait(effect.wake_after)
    match effect:
        case Background(batch):
            if not batch.is_started:
                batch.start(background=True)
            return batch.wait(batch.wake_after)
        case Sleep(seconds):
            return time.sleep(seconds)
        case Call(function):
            result = function()
            return _await_here(result) if isinstance(result, Awaitable) else result
        case Wait(future):
            return _result(future)
        case Beside(begin):
            return _run_beside(begin())
        case AnyOf():
            return _perform_any(effect)


def _perform_any(several: AnyOf) -> None:
    from objstore.plans.blocked import Blocked

    if several.performer is None:
        several.performer = Blocked()
    several.performer.perform(several, _perform)


def _run_beside(plan: Plan[None]) -> None:
    """Drive a plan in a thread of its own; at once, where there are to be no threads."""
    if may_have_threads():
        threading.Thread(target=run, args=[plan], name="objstore-beside", daemon=True).start()
    else:
        run(plan)


def _await_here(awaitable: Awaitable[T]) -> T:
    """Run an awaitable of the user's to its end; in another thread, where there may be one: this may have a loop."""
    if not may_have_threads():
        alone: T = _event_loop().await_alone(awaitable)
        return alone
    future: Future[T] = _event_loop().begin_beside(awaitable)
    try:
        return _result(future)
    finally:
        future.cancel()


def _result(future: Future[T]) -> T:
    """Wait for a future. Look for signals now and then: one that comes just before the wait does not end it."""
    from concurrent.futures import wait as wait_for_any

    while not future.done():
        wait_for_any([future], SIGNAL_CHECK)
    return future.result()
