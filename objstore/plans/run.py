"""The two ways to wait: plans driven synchronously, and on asyncio.

This is the only module in which sync and async differ. `both` makes the two faces of an operation from its plan.

Its one invariant: whatever ends a plan early (an error, Ctrl-C, a cancelled task) is thrown into it where it waits, so
that its cleanup runs in both modes.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_any
from contextlib import suppress
from contextvars import copy_context
from functools import wraps
from inspect import GEN_CLOSED, getgeneratorstate
from types import CoroutineType
from typing import Any, ClassVar, ParamSpec, TypeVar
from weakref import WeakKeyDictionary, ref

from objstore._core import Batch, Channel
from objstore.plans.effects import Background, Call, Effect, Plan, Sleep, Wait

P = ParamSpec("P")
T = TypeVar("T")

SIGNAL_CHECK = 0.05
"""After how many seconds a blocked caller looks for Ctrl-C, as in the engine."""


def both(plan: Callable[P, Plan[T]]) -> tuple[Callable[P, T], Callable[P, CoroutineType[Any, Any, T]]]:
    """Return an operation's two faces, the blocking function and the coroutine function.

    Of a plan with overloads take `blocking` and `awaitable`: mypy forgets overloads in a tuple.
    """
    return blocking(plan), awaitable(plan)


def blocking(plan: Callable[P, Plan[T]]) -> Callable[P, T]:
    """Return the blocking function of an operation."""

    @wraps(plan)
    def face(*args: P.args, **kwargs: P.kwargs) -> T:
        return run(plan(*args, **kwargs))

    _tell(face, plan)
    return face


def awaitable(plan: Callable[P, Plan[T]]) -> Callable[P, CoroutineType[Any, Any, T]]:
    """Return the coroutine function of an operation: it looks for the running event loop at its first step, never when
    it is called."""

    @wraps(plan)
    async def face(*args: P.args, **kwargs: P.kwargs) -> T:
        return await arun(plan(*args, **kwargs))

    face.__name__ += "_async"
    face.__qualname__ += "_async"
    _tell(face, plan)
    return face  # type: ignore[return-value]  # mypy takes what `async def` gives for a mere Coroutine


def _tell(face: Any, plan: Callable[..., Any]) -> None:
    """Have a face say, to `help` and the like, what its plan returns, and not that there is one."""
    result = str(plan.__annotations__.get("return", "")).removeprefix("Plan[").removesuffix("]")
    face.__annotations__ = {**plan.__annotations__, "return": result}
    face.__signature__ = inspect.signature(plan).replace(return_annotation=result)


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
                value, thrown = _perform(effect), None
        except BaseException as error:
            if getgeneratorstate(plan) == GEN_CLOSED:
                thrown = None
                raise
            thrown = error


async def arun(plan: Plan[T]) -> T:
    """Drive a plan to its end on the running event loop."""
    value: Any = None
    thrown: BaseException | None = None
    while True:
        try:
            while True:
                try:
                    effect = plan.send(value) if thrown is None else plan.throw(thrown)
                except StopIteration as end:
                    thrown = None
                    result: T = end.value
                    return result
                value, thrown = await _perform_async(effect), None
        except BaseException as error:
            if getgeneratorstate(plan) == GEN_CLOSED:
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
            return _await_here(result) if inspect.isawaitable(result) else result
        case Wait(future):
            return _result(future)


async def _perform_async(effect: Effect) -> Any:
    match effect:
        case Batch():
            return await _Mailbox.of(asyncio.get_running_loop()).news(effect)
        case Background(batch):
            return await _Mailbox.of(asyncio.get_running_loop()).news(batch)
        case Sleep(seconds):
            return await asyncio.sleep(seconds)
        case Call(function, quick, settle):
            result = function() if quick else await (_settled(function) if settle else asyncio.to_thread(function))
            return await result if inspect.isawaitable(result) else result
        case Wait(future):
            return await asyncio.wrap_future(future)


async def _settled(function: Callable[[], T]) -> T:
    """Call a function in a thread; cancelled meanwhile, wait until it has returned."""
    running = asyncio.get_running_loop().run_in_executor(None, copy_context().run, function)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.exception()  # looked at, or asyncio would report it as lost
        raise


def _await_here(awaitable: Awaitable[T]) -> T:
    """Run an awaitable of the user's to its end, in another thread: this one may be inside an event loop.

    All run on one event loop, so that what they share (a queue, a session) belongs to a loop that stays.
    """

    async def wait() -> T:
        return await awaitable

    future = asyncio.run_coroutine_threadsafe(wait(), _side_loop())
    try:
        return _result(future)
    finally:
        future.cancel()


def _result(future: Future[T]) -> T:
    """Wait for a future. Look for signals now and then: one that comes just before the wait does not end it."""
    while not future.done():
        wait_for_any([future], SIGNAL_CHECK)
    return future.result()


_side: dict[str, asyncio.AbstractEventLoop] = {}


def _side_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop on which blocking operations await what users gave them."""
    known = _side.get("loop")
    if known is not None:
        return known
    made = asyncio.new_event_loop()
    loop = _side.setdefault("loop", made)
    if loop is made:
        threading.Thread(target=loop.run_forever, name="objstore-await", daemon=True).start()
    else:
        made.close()  # another thread was faster
    return loop


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_side.clear)


class _Mailbox:
    """What one event loop waits for: one reader for the news of all its batches.

    The loop keeps it, by its reader, and it keeps the futures and so the tasks; nothing else must, or a loop that is
    gone would be kept by what waited on it.
    """

    _all: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, ref[_Mailbox]]] = WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.channel = Channel()
        self.waiting: dict[int, asyncio.Future[None]] = {}
        self.begun = 0  # batches, in this turn of the loop
        loop.add_reader(self.channel.fileno(), self.deliver)

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> _Mailbox:
        """Return the mailbox of a loop; a forked child makes a new one."""
        known = cls._all.get(loop)
        mailbox = None if known is None else known()
        if mailbox is None or not mailbox.channel.alive:
            mailbox = cls(loop)
            cls._all[loop] = ref(mailbox)
        return mailbox

    def submit(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin what a task has started: at once if it is the first in this turn of the loop, else after the turn."""
        if self.begun == 0:
            self.channel.submit()
            loop.call_soon(self.end_turn)
        self.begun += 1

    def end_turn(self) -> None:
        """Begin what else was started."""
        if self.begun > 1:
            self.channel.submit()
        self.begun = 0

    def deliver(self) -> None:
        """Wake all whose batches have news."""
        for batch_id in self.channel.drain():
            future = self.waiting.get(batch_id)
            if future is not None:
                _wake(future)

    async def news(self, batch: Batch) -> None:
        """Wait until a batch has news, or its `wake_after` is over."""
        loop = asyncio.get_running_loop()
        future = self.waiting[batch.id] = loop.create_future()
        timer = None if batch.wake_after is None else loop.call_later(batch.wake_after, _wake, future)
        try:
            if not batch.is_started:
                batch.start(channel=self.channel)
                self.submit(loop)
            elif batch.needs_driver:
                raise RuntimeError(
                    "without helper threads (io_threads=0), what was begun synchronously cannot be awaited"
                )
            else:
                batch.report_to(self.channel)
            if not batch.has_news:
                await future
        finally:
            del self.waiting[batch.id]
            if timer is not None:
                timer.cancel()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
