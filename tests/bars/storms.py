"""Faults that pass: many reads through resets and 503, an outage, and a server that says how long to wait."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

from tests.bars.figures import Figures
from tests.bars.library import Library
from tests.faults.client import FaultServer
from tests.faults.content import content

AT_ONCE = 64
EACH = 1 << 16  # bytes of an object of the storms
MILD, HEAVY, CALM, OUTAGE = 4000, 1000, 500, 200  # reads; the faults are the same in every run


class Read(NamedTuple):
    """How one read ended: its bytes, or None, and the seconds it took."""

    body: bytes | None
    seconds: float


def mild_storm(library: Library, server: FaultServer) -> Figures:
    return storm(library, server, "storm", MILD)


def heavy_storm(library: Library, server: FaultServer) -> Figures:
    return storm(library, server, "heavy-storm", HEAVY)


def busy_storm(library: Library, server: FaultServer) -> Figures:
    return storm(library, server, "busy-storm", MILD)


def heavy_busy_storm(library: Library, server: FaultServer) -> Figures:
    return storm(library, server, "heavy-busy-storm", HEAVY)


def storm(library: Library, server: FaultServer, scenario: str, count: int) -> Figures:
    """Read through faults. What these cost is what the client waits between a reply and the next request, seen at the
    server; less what it waits where nothing is wrong, because the machine is busy.
    """
    store = library.store(server)
    read_many(library, store, "calm", CALM, times=2)
    reads = read_many(library, store, scenario, count)
    seen = server.requests(f"{scenario}/")
    return {
        "lost": sum(read.body is None for read in reads),
        "wrong": sum(read.body not in (None, content(0, EACH)) for read in reads),
        "more requests": len(seen) / count - 1,
        "p99 of the pauses": max(0.0, p99(seen) - p99(server.requests("calm/"))),
    }


def outage(library: Library, server: FaultServer) -> Figures:
    """Read while every reply is 503, and then when none is."""
    store = library.store(server)
    read_many(library, store, "busy-always", OUTAGE)
    recovered = read_many(library, store, "calm", OUTAGE)
    return {
        "requests a read": len(server.requests("busy-always/")) / OUTAGE,
        "well 2 s after it": sum(read.body is not None and read.seconds < 2 for read in recovered) / OUTAGE,
    }


def retry_after(library: Library, server: FaultServer) -> Figures:
    """Read from a server that asks to wait for two seconds."""
    library.whole(library.store(server), "busy-for-two-seconds/a")
    first, second = (request["time"] for request in server.requests("busy-for-two-seconds/"))
    return {"waited": second - first}


def read_many(library: Library, store: Any, scenario: str, count: int, times: int = 1) -> list[Read]:
    """Read so many keys of a scenario, 64 at once; each so many times in turn."""
    free = asyncio.Semaphore(AT_ONCE)

    async def read(key: str) -> Read:
        async with free:
            begun = time.monotonic()
            try:
                for _ in range(times):
                    body = await library.whole_async(store, key)
            except Exception:
                return Read(None, time.monotonic() - begun)
            return Read(body, time.monotonic() - begun)

    async def main() -> list[Read]:
        return await asyncio.gather(*(read(f"{scenario}/b{number}") for number in range(count)))

    return asyncio.run(main())


def p99(requests: list[dict[str, Any]]) -> float:
    """Return the seconds that passed between the end of a reply and the next request for the same key, all together.

    Of a hundred keys all but one took no more.
    """
    pauses: dict[str, float] = {}
    ended: dict[str, float] = {}
    for request in requests:
        key = request["path"]
        pauses[key] = pauses.get(key, 0.0) + max(0.0, request["time"] - ended.get(key, request["time"]))
        ended[key] = request.get("ended", request["time"])
    return sorted(pauses.values())[int(len(pauses) * 0.99)]
