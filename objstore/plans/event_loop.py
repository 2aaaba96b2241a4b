"""Plans driven on asyncio: what `run` is for blocking callers, `drive` is for coroutines.

It is imported when the first coroutine runs: asyncio takes longer to import than all of the library.

Its one invariant: whatever ends a plan early (an error, a cancelled task) is thrown into it where it waits, so that its
cleanup runs.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary, ref

from objstore._core import Batch, Channel, engine_info, may_have_threads
from objstore.plans.effects import AnyOf, Background, Beside, Call, Effect, Plan, Sleep, Wait, is_over

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


async def drive(plan: Plan[T]) -> T:
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
                performed = _news(effect) if isinstance(effect, Batch) else _perform_async(effect)
                value = None  # it may be large, and the plan has let go of it
                value, thrown = await performed, None
        except BaseException as error:
            if is_over(plan):
                thrown = None
                raise
            thrown = error


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("the coroutines of objstore need asyncio: in trio, await them by trio-asyncio") from None


def _news(batch: Batch) -> Coroutine[Any, Any, None]:
    loop = _running_loop()
    try:
        mailbox = _Mailbox.of(loop)
    except OSError:
        return _news_later(batch, loop)
    return mailbox.news(batch, loop)


SCARCE_SECONDS = 30.0
"""How long a loop waits for a descriptor that others may give back."""


async def _news_later(batch: Batch, loop: asyncio.AbstractEventLoop) -> None:
    """Wait for news where there is no descriptor to hear of it by, while other loops, or requests, hold some."""
    until = loop.time() + SCARCE_SECONDS
    while True:
        await asyncio.sleep(0.01)
        try:
            mailbox = _Mailbox.of(loop)
        except OSError:
            if loop.time() > until or not (_Mailbox.others() or engine_info()["in_flight"]):
                raise
        else:
            return await mailbox.news(batch, loop)


async def _perform_async(effect: Effect) -> Any:
    match effect:
        case Batch():
            return await _news(effect)
        case Background(batch):
            return await _news(batch)
        case Sleep(seconds):
            return await asyncio.sleep(seconds)
        case Call(function, quick, settle):
            result = function() if quick else await _beside_the_loop(function, settle)
            return await result if isinstance(result, Awaitable) else result
        case Wait(future):
            return await asyncio.wrap_future(future)
        case Beside(begin):
            task = _running_loop().create_task(drive(begin()))
            _beside.add(task)  # the loop itself keeps tasks by weak references
            task.add_done_callback(_beside.discard)
            return None
        case AnyOf():
            return await _perform_any(effect)


async def _perform_any(several: AnyOf) -> None:
    """Perform the effects of several plans, each as a task, until one has its answer; at the end, none is left."""
    if several.performer is None:
        several.performer = {}
    tasks: dict[asyncio.Task[Any], int] = several.performer
    asked, several.asked = several.asked, {}
    for number, effect in asked.items():
        tasks[_running_loop().create_task(_perform_async(effect))] = number
    if several.ends:
        for task in tasks:
            task.cancel()
    if tasks:
        await asyncio.wait(tasks, return_when=asyncio.ALL_COMPLETED if several.ends else asyncio.FIRST_COMPLETED)
    for task in [task for task in tasks if task.done()]:
        number = tasks.pop(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            several.answers.append((number, None if error is not None else task.result(), error))


_beside: set[asyncio.Task[None]] = set()


async def _beside_the_loop(function: Callable[[], Any], settle: bool) -> Any:
    """Call a function in a thread; in this one, after all others have had their turn, where there are to be none."""
    if not may_have_threads():
        await asyncio.sleep(0)
        return function()
    return await (_settled(function) if settle else asyncio.to_thread(function))


async def _settled(function: Callable[[], T]) -> T:
    """Call a function in a thread; cancelled meanwhile, wait until it has returned."""
    running = _running_loop().run_in_executor(None, copy_context().run, function)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.exception()  # looked at, or asyncio would report it as lost
        raise


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

    @classmethod
    def others(cls) -> int:
        """Return how many loops have a mailbox."""
        return len(cls._all)

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

    async def news(self, batch: Batch, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until a batch has news, or its `wake_after` is over."""
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


def begin_beside(awaitable: Awaitable[T]) -> Future[T]:
    """Begin to run an awaitable of the user's in another thread: the caller's own may be inside an event loop.

    All run on one event loop, so that what they share (a queue, a session) belongs to a loop that stays.
    """

    async def wait() -> T:
        return await awaitable

    return asyncio.run_coroutine_threadsafe(wait(), _side_loop())


_side: dict[str, asyncio.AbstractEventLoop] = {}


def await_alone(awaitable: Awaitable[T]) -> T:
    """Run an awaitable of the user's to its end in this thread, where there are to be no others.

    All run on one event loop, one after the other.

    Raises:
        RuntimeError: The thread is inside an event loop.
    """

    async def wait() -> T:
        return await awaitable

    if _is_inside_a_loop():
        if asyncio.iscoroutine(awaitable):
            awaitable.close()
        raise RuntimeError(
            "without helper threads (io_threads=0), a blocking call inside an event loop cannot await what it was "
            "given: await the coroutine of the operation instead"
        )
    with _alone:
        if "alone" not in _side:
            _side["alone"] = asyncio.new_event_loop()
        return _side["alone"].run_until_complete(wait())


_alone = threading.Lock()


def _is_inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


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


def _begin_anew() -> None:
    """Forget the loops of the parent, and who was using them."""
    global _alone
    _side.clear()
    _alone = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
