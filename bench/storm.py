"""Reads through a storm, beside obstore: python -m bench.storm [--rounds 3] [--gets 10000]

A server answers after 2 ms, and by chance with a 503 or by a reset: 5 % and 5 % of the requests, and 30 % and 30 %. A
number of objects are read, 64 at a time, by tasks and in bulk. Printed are the seconds of each round, the 99th
percentile of the single reads, in ms, how many failed for good, and how many requests came for each read.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import itertools
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.data import ACCESS_KEY_ID, BUCKET, REGION, SECRET_ACCESS_KEY
from bench.servers.chance import Chances, Served, served

GETS, TASKS, ROUNDS = 10_000, 64, 3
STORMS = (0.05, 0.3)
REPLY = (
    b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "1"\r\nLast-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n\r\n12345'
)


@dataclass(slots=True)
class Took:
    """How a round went."""

    seconds: float = 0
    each: list[float] = field(default_factory=list)
    lost: int = 0


Round = Callable[[int], Took]


def settings(url: str) -> dict[str, object]:
    """Return what both libraries are told."""
    return {
        "endpoint": url,
        "region": REGION,
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET_ACCESS_KEY,
        "client_options": {"allow_http": True},
    }


def by_tasks(get: Callable[[str], Awaitable[bytes]]) -> Round:
    """Return a round of reads by tasks, each of which reads one after the other."""

    async def read(gets: int) -> Took:
        took, keys = Took(), iter([f"key-{number}" for number in range(gets)])

        async def some() -> None:
            for key in keys:
                began = time.perf_counter()
                try:
                    assert await get(key) == b"12345"
                except Exception:
                    took.lost += 1
                took.each.append(time.perf_counter() - began)

        await asyncio.gather(*(some() for _ in range(TASKS)))
        return took

    return lambda gets: asyncio.run(read(gets))


def objstore_ways(url: str) -> dict[str, Round]:
    """Return how this library reads."""
    from objstore.store import S3Store

    store = S3Store(BUCKET, **settings(url))  # type: ignore[arg-type]

    async def get(key: str) -> bytes:
        return bytes(await (await store.get_async(key)).bytes_async())

    def in_bulk(gets: int) -> Took:
        bodies = store.get_many([f"key-{number}" for number in range(gets)], max_concurrency=TASKS, on_error="return")
        return Took(lost=sum(isinstance(body, Exception) or bytes(body) != b"12345" for body in bodies))

    return {"objstore, tasks": by_tasks(get), "objstore, get_many": in_bulk}


def obstore_ways(url: str) -> dict[str, Round]:
    """Return how obstore reads."""
    import obstore
    from obstore.store import S3Store

    store = S3Store(BUCKET, **settings(url))  # type: ignore[arg-type]

    async def get(key: str) -> bytes:
        return bytes(await (await obstore.get_async(store, key)).bytes_async())

    return {"obstore, tasks": by_tasks(get)}


def line(name: str, rounds: list[Took], server: Served, gets: int) -> str:
    """Return a line of the table."""
    seconds = " ".join(f"{took.seconds:6.2f}" for took in rounds)
    each = sorted(itertools.chain.from_iterable(took.each for took in rounds))
    late = f"{1000 * each[int(0.99 * len(each))]:8.0f}" if each else f"{'':8}"
    lost = sum(took.lost for took in rounds)
    return f"  {name:20} {seconds}  {late} {lost:6} {server.came() / gets / len(rounds):8.2f}"


def timed(way: Round, gets: int) -> Took:
    began = time.perf_counter()
    took = way(gets)
    took.seconds = time.perf_counter() - began
    return took


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.storm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--gets", type=int, default=GETS)
    asked = parser.parse_args()
    for share in STORMS:
        print(f"{share:.0%} by 503, {share:.0%} by reset: seconds, p99, lost, requests a read")
        with served(Chances(REPLY, busy=share, resets=share)) as server:
            ways = objstore_ways(server.url)
            if importlib.util.find_spec("obstore"):
                ways |= obstore_ways(server.url)
            else:
                print("  SKIPPED: obstore is not installed", file=sys.stderr)
            for name, way in ways.items():
                rounds = [timed(way, asked.gets) for _ in range(asked.rounds)]
                print(line(name, rounds, server, asked.gets), flush=True)


if __name__ == "__main__":
    sys.exit(main())
