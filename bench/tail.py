"""The slow tail, with `hedge` and without: python -m bench.tail

A server answers after 2 ms, and 1 request of 100 after 200 ms, by chance. Many small ranges are read, one by one and
32 at a time; printed are the times of the single reads, in ms, and how many requests came to the server.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time

from bench.servers.chance import Chances, served
from objstore.store import HTTPStore

READS, TASKS = 2_000, 32
REPLY = b'HTTP/1.1 206 Said\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/9\r\nETag: "1"\r\n\r\n12345'


async def read(store: HTTPStore, tasks: int) -> list[float]:
    """Return how long each read took, so many of them at a time."""
    left = itertools.repeat(None, READS)
    took: list[float] = []

    async def some() -> None:
        for _ in left:
            began = time.perf_counter()
            await store.get_range_async("a", start=0, end=5)
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(some() for _ in range(tasks)))
    return sorted(took)


def main() -> None:
    """Print the table."""
    print(f"{'':24} {'p50':>6} {'p95':>6} {'p99':>6} {'p99.9':>6}  requests for {READS} reads")
    with served(Chances(REPLY, lates=0.01)) as server:
        for tasks, hedge in itertools.product((1, TASKS), (False, True)):
            store = HTTPStore(server.url, client_options={"allow_http": True, "hedge": hedge})
            took = asyncio.run(read(store, tasks))
            at = (f"{1000 * took[int(part * READS)]:6.1f}" for part in (0.5, 0.95, 0.99, 0.999))
            print(f"{tasks:3} at a time, {'with' if hedge else 'without':8} {' '.join(at)}  {server.came()}")


if __name__ == "__main__":
    sys.exit(main())
