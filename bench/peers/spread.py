"""Spreads single calls over tasks or threads, the way users of a library without batch calls do it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.peers import Work


def in_tasks(fetch: Callable[[Any], Awaitable[Any]], tasks: int) -> Work:
    """Return a work that awaits `fetch(input)` in so many asyncio tasks, each taking the next input."""
    runner = asyncio.Runner()

    async def work(inputs: Sequence[Any]) -> list[Any]:
        results: list[Any] = [None] * len(inputs)
        waiting = iter(enumerate(inputs))

        async def task() -> None:
            for index, value in waiting:
                results[index] = await fetch(value)

        await asyncio.gather(*(task() for _ in range(tasks)))
        return results

    return lambda inputs: runner.run(work(inputs))


def in_threads(fetch: Callable[[Any], Any], threads: int) -> Work:
    """Return a work that calls `fetch(input)` in so many threads, each taking the next input."""
    pool = ThreadPoolExecutor(threads)

    def work(inputs: Sequence[Any]) -> list[Any]:
        results: list[Any] = [None] * len(inputs)
        waiting = iter(enumerate(inputs))

        def thread(_: int) -> None:
            for index, value in waiting:
                results[index] = fetch(value)

        list(pool.map(thread, range(threads)))
        return results

    return work
