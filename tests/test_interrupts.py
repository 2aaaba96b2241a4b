"""Whatever ends a plan early (a cancelled task, a time limit, Ctrl-C) is thrown in where it waits, and it cleans up."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from objstore.plans.effects import Call, Plan, Sleep, Wait
from objstore.plans.run import arun, run
from tests.engine.client import SOON


def stopped(steps: list[str], effect: Callable[[], Any]) -> Plan[None]:
    """Wait for an effect; note what ended that, and clean up by another effect."""
    try:
        yield effect()
    except BaseException as error:
        steps.append(type(error).__name__)
        raise
    finally:
        steps.append((yield Call(lambda: "cleaned")))
        yield Sleep(0.001)
        steps.append("slept")


async def never() -> None:
    await asyncio.Event().wait()


WAITS: dict[str, Callable[[], Any]] = {
    "sleep": lambda: Sleep(30),
    "wait": lambda: Wait(Future()),
    "awaitable": lambda: Call(never),
    "quick awaitable": lambda: Call(never, quick=True),
}


@pytest.mark.parametrize("effect", WAITS)
def test_a_cancelled_task_cleans_up(effect: str) -> None:
    steps: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(arun(stopped(steps, WAITS[effect])))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    begun = time.monotonic()
    asyncio.run(main())
    assert steps == ["CancelledError", "cleaned", "slept"]
    assert time.monotonic() - begun < SOON


@pytest.mark.parametrize("effect", WAITS)
def test_a_time_limit_of_asyncio_cleans_up(effect: str) -> None:
    steps: list[str] = []

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(arun(stopped(steps, WAITS[effect])), 0.02)

    asyncio.run(main())
    assert steps == ["CancelledError", "cleaned", "slept"]


@pytest.mark.parametrize("effect", WAITS)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_ctrl_c_cleans_up_at_once(effect: str, asynchronous: bool) -> None:
    steps: list[str] = []
    interrupted: list[float] = []

    def interrupt() -> None:
        interrupted.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def wait() -> object:
        threading.Timer(0.1, interrupt).start()
        return WAITS[effect]()

    plan = stopped(steps, wait)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(arun(plan)) if asynchronous else run(plan)
    assert steps == ["CancelledError" if asynchronous else "KeyboardInterrupt", "cleaned", "slept"]
    assert time.monotonic() - interrupted[0] < SOON


def test_ctrl_c_never_slips_past_the_cleanup() -> None:
    """Wherever between two effects it comes, the plan itself sees it, and can still wait in its cleanup."""
    ended: list[str] = []

    def plan() -> Plan[None]:
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0005, 0.002))
            while True:
                yield Call(int)
        except BaseException as error:
            ended.append(type(error).__name__)
            yield Call(int)
            raise

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    gc.collect()
    gc.disable()  # what is raised inside a finalizer is lost
    try:
        for _ in range(300):
            waiting = plan()
            with pytest.raises(KeyboardInterrupt):
                run(waiting)
            waiting.close()
    finally:
        gc.enable()
        signal.signal(signal.SIGALRM, before)
    assert ended == ["KeyboardInterrupt"] * 300
