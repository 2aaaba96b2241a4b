"""The slow tail, with `hedge` and without: python -m bench.tail

A server answers after 2 ms, and 1 request of 100 after 200 ms, by chance. Many small ranges are read, one by one and
32 at a time; printed are the times of the single reads, in ms, and how many requests came to the server.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from objstore.store import HTTPStore

READS, TASKS = 2_000, 32
SOON, LATE, OF = 0.002, 0.2, 100
REPLY = b'HTTP/1.1 206 Said\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/9\r\nETag: "1"\r\n\r\n12345'


async def serve(port: Connection) -> None:
    """Answer until whoever asked has gone; tell the port, and after each word how many requests have come."""
    came = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                came += 1
                await asyncio.sleep(LATE if random.random() * OF < 1 else SOON)
                writer.write(REPLY)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port.send(server.sockets[0].getsockname()[1])
        while await asyncio.to_thread(port.recv):
            port.send(came)


def served(port: Connection) -> None:
    """Run the server."""
    asyncio.run(serve(port))


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
    ours, theirs = get_context("spawn").Pipe()
    server = get_context("spawn").Process(target=served, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    print(f"{'':24} {'p50':>6} {'p95':>6} {'p99':>6} {'p99.9':>6}  requests for {READS} reads")
    before = 0
    for tasks, hedge in itertools.product((1, TASKS), (False, True)):
        store = HTTPStore(url, client_options={"allow_http": True, "hedge": hedge})
        took = asyncio.run(read(store, tasks))
        ours.send(True)
        came = ours.recv()
        at = (f"{1000 * took[int(part * READS)]:6.1f}" for part in (0.5, 0.95, 0.99, 0.999))
        print(f"{tasks:3} at a time, {'with' if hedge else 'without':8} {' '.join(at)}  {came - before}")
        before = came
    ours.send(False)
    server.join()


if __name__ == "__main__":
    sys.exit(main())
