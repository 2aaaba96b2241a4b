"""Servers that are slow, silent or of another opinion, and users who do not wait for them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bars.children import begin, look
from tests.bars.figures import Figures
from tests.bars.library import Library, right_bytes
from tests.faults.client import FaultServer
from tests.faults.content import content

RECOVERABLE = (
    "token-expired", "token-refused", "clock-skewed", "request-timeout", "region-moved", "region-malformed"
)  # fmt: skip
CANCELLED = 50
GRACE = 0.2  # seconds
LONGEST = 10.0  # seconds to wait for a child


def stalls(library: Library, server: FaultServer) -> Figures:
    """Read from a server that falls silent, before the reply and in its body."""
    store = library.store(server)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: library.whole(store, name), ("stall-first/a", "stall-in-body/a")))
    return {"before the reply": gap(server, "stall-first/"), "in the body": gap(server, "stall-in-body/")}


def gap(server: FaultServer, scenario: str) -> float:
    """Return the seconds between the first two requests; whole ones, as the bar has them."""
    first, second = (request["time"] for request in server.requests(scenario)[:2])
    return round(second - first)


def slow_link(library: Library, server: FaultServer) -> Figures:
    """Read a body that takes 45 s and never stalls: longer than obstore's limit for a whole request."""
    read = library.whole(library.store(server), "slow-link/a")
    return {"right": read == content(0, 450_000), "requests": len(server.requests("slow-link/"))}


def recoveries(library: Library, server: FaultServer) -> Figures:
    """Read where another credential, clock or region is wanted, or just another try."""
    recovered, more = 0, 0
    for scenario in RECOVERABLE:
        with suppress(Exception):
            provider = {"credential_provider": credentials()} if scenario.startswith("token") else {}
            recovered += library.whole(library.store(server, **provider), f"{scenario}/a") == right_bytes("whole")
            more = max(more, len(server.requests(scenario)) - 1)
    return {"recovered": recovered, "more requests": more}


def credentials() -> Callable[[], dict[str, Any]]:
    """Return a credential provider whose first token is stale, and all later ones fresh."""
    tokens = ["stale"]

    def provide() -> dict[str, Any]:
        return {
            "access_key_id": "id",
            "secret_access_key": "secret",
            "token": tokens.pop() if tokens else "fresh",
            "expires_at": datetime.now(UTC) + timedelta(hours=2),
        }

    return provide


def lost_complete(library: Library, server: FaultServer) -> Figures:
    """Upload parts; the reply to the last request is lost."""
    body, store = content(0, 12 << 20), library.store(server)
    done = False
    with suppress(Exception):
        library.functions.put(store, "lost-complete/a", body, use_multipart=True, chunk_size=5 << 20)
        done = library.whole(store, "lost-complete/a") == body
    return {"success": done, "aborts": count(server, "lost-complete/", "abort")}


def count(server: FaultServer, prefix: str, operation: str) -> int:
    return sum(request["operation"] == operation for request in server.requests(prefix))


def interrupts(library: Library, server: FaultServer) -> Figures:
    """Send SIGINT to a process that waits for a silent server, and measure how long it goes on waiting."""
    return {"seconds": max(interrupted(library, server, number) for number in range(3))}


def interrupted(library: Library, server: FaultServer, number: int) -> float:
    def waiting() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            library.whole(library.store(server), f"stall-first/{number}")
        os._exit(0)

    pid = begin(waiting)
    until(lambda: bool(server.requests(f"stall-first/{number}")))
    begun = time.monotonic()
    os.kill(pid, signal.SIGINT)
    while look(pid, "hang" if time.monotonic() - begun > LONGEST else "") is None:
        time.sleep(0.005)
    return time.monotonic() - begun


def until(condition: Callable[[], bool], seconds: float = LONGEST) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def cancels(library: Library, server: FaultServer) -> Figures:
    """Cancel tasks that wait for a silent server, and an upload."""
    store = library.store(server)

    async def reads() -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(library.whole_async(store, f"stall-first/{n}")) for n in range(CANCELLED)]
            while len(server.requests("stall-first/")) < CANCELLED:
                await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
        await asyncio.sleep(GRACE)
        return connections(server)

    async def upload() -> None:
        put = library.functions.put_async(
            store, "part-stalls/a", bytes(12 << 20), use_multipart=True, chunk_size=5 << 20
        )
        task = asyncio.ensure_future(put)
        while not count(server, "part-stalls/", "part"):
            await asyncio.sleep(0.05)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    left = asyncio.run(reads())
    asyncio.run(upload())
    until(lambda: count(server, "part-stalls/", "abort") > 0, 5)
    return {"sockets left": left, "aborts": count(server, "part-stalls/", "abort")}


def connections(server: FaultServer) -> int:
    """Return how many connections to the server are established from here (proc(5), /proc/net/tcp)."""
    peer, established = f"0100007F:{urlsplit(server.endpoint).port:04X}", "01"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2] == peer and row[3] == established for row in rows)
