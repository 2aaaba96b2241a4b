"""Programs that end with transfers in flight, or use the engine at their end."""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import signal
import sys
import threading
import time

from objstore import _core
from objstore._core import Batch
from objstore.plans.run import arun, run
from tests.engine.client import SOON, batch, settle
from tests.engine.programs.asking import good, stalled

KEPT: list[Batch] = []
"""Batches that live until the interpreter takes this module apart."""


def endless(origin: str) -> Batch:
    return batch(origin, [f"/5000/{index}" for index in range(30_000)])


def exit_in_flight(origin: str, tls_origin: str, how: str) -> int | None:
    """End with transfers in flight: in daemon threads, in the background, in an event loop; stalled and busy; over
    TLS."""

    async def several() -> None:
        await asyncio.gather(*(arun(settle(stalled(one, 5))) for one in (origin, tls_origin)))

    plans = [settle(stalled(origin)), settle(endless(tls_origin)), settle(stalled(tls_origin), background=True)]
    for plan in plans:
        threading.Thread(target=run, args=(plan,), daemon=True).start()
    threading.Thread(target=asyncio.run, args=(several(),), daemon=True).start()
    KEPT.extend([stalled(origin), endless(tls_origin), stalled(origin)])
    for made in KEPT[:2]:
        made.start(background=True)
    KEPT[2].start()
    KEPT[2].wait(0.05)
    time.sleep(random.uniform(0.05, 0.15))
    if how == "raise":
        raise LookupError("planted")
    if how == "sys.exit":
        sys.exit(7)
    if how == "asyncio":
        asyncio.run(give_up_soon(origin))
    return None if how == "return" else 5


async def give_up_soon(origin: str) -> None:
    """Begin transfers and end the loop with an exception."""
    tasks = [asyncio.create_task(arun(settle(stalled(origin, 3)))) for _ in range(5)]
    await asyncio.sleep(0.05)
    raise LookupError(f"planted, with {len(tasks)} tasks")


CODES = {"return": 0, "raise": 1, "sys.exit": 7, "code": 5, "asyncio": 1}


def exit_many(origin: str, tls_origin: str, count: str) -> int | None:
    """Fork children that end with transfers in flight; print those that ended wrongly, and the longest life of one."""
    hows = [list(CODES)[number % len(CODES)] for number in range(int(count))]
    running: dict[int, tuple[str, float]] = {}
    wrong, longest = [], 0.0
    while hows or running:
        while hows and len(running) < 4:
            how = hows.pop()
            pid = os.fork()
            if pid == 0:
                return exit_in_flight(origin, tls_origin, how)
            running[pid] = how, time.monotonic()
        for pid, (how, begun) in list(running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            life = time.monotonic() - begun
            if not ended and life > SOON:
                os.kill(pid, signal.SIGKILL)
            if ended:
                del running[pid]
                longest = max(longest, life)
                if os.waitstatus_to_exitcode(status) != CODES[how]:
                    wrong.append((how, os.waitstatus_to_exitcode(status)))
        time.sleep(0.002)
    print(wrong, f"{longest:.2f}")
    return None


def exit_then_use(origin: str) -> None:
    """Use the engine in functions that run at exit, before and after its own."""

    def last() -> None:
        print("last", good(origin))

    shutdown = _core._shutdown  # type: ignore[attr-defined]
    atexit.unregister(shutdown)
    atexit.register(last)
    atexit.register(shutdown)
    atexit.register(lambda: print("first", good(origin)))
    print("main", good(origin))
