"""Processes that end with requests in flight, and processes that fork."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from tests.bars.children import children
from tests.bars.figures import Figures
from tests.bars.library import Library, right_bytes
from tests.faults.client import FaultServer

EXITS, FORKS, FORKS_IN_FLIGHT = 100, 100, 20
AT_ONCE = 4
LIMIT = 6.0  # seconds of a child's life


def exits(library: Library, server: FaultServer) -> Figures:
    """End processes while they read, in tasks and in daemon threads, some by an exception."""
    library.functions  # noqa: B018  imported once, used only by the children
    work = {str(number): partial(end_in_flight, library, server, number) for number in range(EXITS)}
    ends = children(work, at_once=AT_ONCE, limit=LIMIT)
    return {"crashes": sum(end.what == "crash" for end in ends.values()), "hangs": hangs(ends)}


def hangs(ends: dict[str, Any]) -> int:
    return sum(end.what == "hang" for end in ends.values())


def end_in_flight(library: Library, server: FaultServer, number: int) -> None:
    """Begin to read in both ways, and end the process soon."""
    chance = random.Random(number)
    store = library.store(server)

    def reading() -> None:
        with suppress(BaseException):
            while True:
                library.whole(store, f"plain/{number}")

    async def main() -> None:
        tasks = [asyncio.create_task(library.whole_async(store, f"plain/{n}")) for n in range(4)]
        await asyncio.sleep(chance.uniform(0.0, 0.05))
        if number % 2:
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115  what is planted is not to be read
            raise LookupError(f"planted, with {len(tasks)} tasks")

    for _ in range(2):
        threading.Thread(target=reading, daemon=True).start()
    time.sleep(chance.uniform(0.0, 0.05))
    asyncio.run(main())


def forks(library: Library, server: FaultServer) -> Figures:
    """Fork after use and while another thread reads; the children read too."""
    store, over = library.store(server), threading.Event()

    def reading() -> None:
        while not over.is_set():
            library.whole(store, "plain/thread")

    library.whole(store, "plain/before")
    asyncio.run(library.whole_async(store, "plain/before"))
    idle = fork_some(FORKS, partial(read_once, library, store))
    thread = threading.Thread(target=reading, daemon=True)
    thread.start()
    busy = fork_some(FORKS_IN_FLIGHT, partial(read_once, library, store))
    over.set()
    ends = [*idle.values(), *busy.values()]
    return {"hangs": hangs({**idle, **busy}), "errors": sum(end.what in ("error", "crash") for end in ends)}


def fork_some(count: int, function: Callable[[], None]) -> dict[str, Any]:
    """Fork so many children; the first three that hang are enough."""
    work = {f"{function} {number} of {count}": function for number in range(count)}
    return children(work, at_once=AT_ONCE, limit=LIMIT, fewest_hangs_to_stop=3)


def read_once(library: Library, store: Any) -> None:
    """Read in both ways; end with 0 if all is right."""
    try:
        both = library.whole(store, "plain/a"), asyncio.run(library.whole_async(store, "plain/a"))
    except BaseException:
        os._exit(1)
    os._exit(both != (right_bytes("whole"),) * 2)


def few_descriptors(library: Library, server: FaultServer) -> Figures:
    """Read 1,000 objects at once with 64 descriptors."""
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    store = library.store(server)

    async def main() -> list[Any]:
        reads = (library.whole_async(store, f"calm/{number}") for number in range(1000))
        return await asyncio.gather(*reads, return_exceptions=True)

    return {"read": sum(isinstance(read, bytes) for read in asyncio.run(main()))}
