"""A soak: mixed work with faults, cancels and forks, for minutes; descriptors, threads and memory must be flat.

Work is done in rounds, the same mix in each, by several threads and by tasks that are cancelled; after each round, when
nothing is under way, what the process holds is counted. Over the last two thirds of the time a line is drawn through
the counts: it must not rise by more than SLACK.

Usage: python -m tests.soak [MINUTES]
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from objstore import engine_info
from objstore.exceptions import BaseError
from objstore.store import S3Store
from tests.faults.client import FaultServer, fault_server
from tests.servers import S3Server, rclone

FAULTY = (
    "plain", "storm", "busy-twice", "cut-by-fin", "cut-by-reset", "reset-first", "fin-first", "short-range", "not-http",
    "replaced-in-body", "ignored-range", "extra-bytes", "two-lengths", "throttled-once", "missing", "flipped-bit",
)  # fmt: skip
THREADS, ACTIONS, TASKS = 4, 40, 40  # of a round
PARTS = 11 << 20  # bytes of an upload in parts
SAY_EVERY = 30.0  # seconds
PAGE = os.sysconf("SC_PAGE_SIZE")


class Held(NamedTuple):
    """What the process holds at a moment."""

    seconds: float
    connections: float
    descriptors: float
    threads: float
    mebibytes: float


SLACK = Held(0, connections=16, descriptors=1, threads=0.5, mebibytes=8)
"""How much the line may rise: idle connections are kept, and the more so the more were ever used at once; the
allocator's pages move. A leak of one in ten rounds shows in the ten minutes.
"""


def main(minutes: float) -> int:
    """Work for so long; return 1 if something grew."""
    begun, counts = time.monotonic(), list[Held]()
    with fault_server() as faults, rclone() as server:
        work = Work(faults, server)
        while time.monotonic() - begun < 60 * minutes:
            work.round(len(counts))
            counts.append(held(time.monotonic() - begun))
            if len(counts) == 1 or counts[-1].seconds // SAY_EVERY > counts[-2].seconds // SAY_EVERY:
                print(told(counts[-1]), flush=True)
    rises = [rise(counts, name) for name in Held._fields[1:]]
    grew = [name for name, by, most in zip(Held._fields[1:], rises, SLACK[1:], strict=True) if by > most]
    print(f"{len(counts)} rounds; rise over the last two thirds:", told(Held(counts[-1].seconds, *rises)))
    print(f"NOT FLAT: {', '.join(grew)}" if grew else "flat")
    return bool(grew)


def told(count: Held) -> str:
    return (
        f"{count.seconds:5.0f} s  {count.connections:6.1f} connections  {count.descriptors:5.1f} other descriptors  "
        f"{count.threads:4.1f} threads  {count.mebibytes:6.1f} MiB"
    )


def held(seconds: float) -> Held:
    """Count what this process holds (proc(5)), less the memory that the engine keeps for reuse, up to its bound."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE - engine_info()["idle_memory"]
    descriptors = [name for entry in os.scandir("/proc/self/fd") if (name := target(entry.path))]
    sockets = sum(name.startswith("socket:") for name in descriptors)
    return Held(seconds, sockets, len(descriptors) - sockets, len(os.listdir("/proc/self/task")), resident / (1 << 20))


def target(path: str) -> str:
    """Return what a descriptor is; empty if it is closed meanwhile, as that of the listing is."""
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""


def rise(counts: Sequence[Held], name: str) -> float:
    """Return by how much the straight line through the last two thirds of the counts rises (least squares)."""
    late = [count for count in counts if count.seconds > counts[-1].seconds / 3]
    times, values = [count.seconds for count in late], [getattr(count, name) for count in late]
    middle, mean = sum(times) / len(late), sum(values) / len(late)
    spread = sum((at - middle) ** 2 for at in times) or 1.0
    slope = sum((at - middle) * (value - mean) for at, value in zip(times, values, strict=True)) / spread
    return float(slope * (times[-1] - times[0]))


class Work:
    """The work of a round, on a server with faults and on one without."""

    def __init__(self, faults: FaultServer, server: S3Server) -> None:
        self.faults = faults
        self.faulty = store_on(faults, faults.bucket)
        self.sound = store_on(server, server.make_bucket("soak"))
        self.actions: tuple[Callable[[random.Random], None], ...] = (
            self.read, self.read_a_little, self.read_many, self.put, self.put_parts, self.write, self.list, self.delete,
        )  # fmt: skip

    def round(self, number: int) -> None:
        """Do the mix once, then forget what the servers were asked."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(self.act, (random.Random(f"{number} {index}") for index in range(ACTIONS))))
        asyncio.run(self.cancelled(random.Random(number)))
        self.fork()
        self.sound.delete_prefix("k")
        self.faults.forget()

    def act(self, chance: random.Random) -> None:
        with suppress(BaseError):
            chance.choice(self.actions)(chance)

    def key(self, chance: random.Random) -> str:
        return f"{chance.choice(FAULTY)}/{chance.randrange(1 << 30)}"

    def read(self, chance: random.Random) -> None:
        self.faulty.get(self.key(chance)).bytes()
        self.faulty.get_ranges(self.key(chance), starts=[0, 1000, 500_000], lengths=[10, 10, 10])

    def read_a_little(self, chance: random.Random) -> None:
        for _ in islice(self.faulty.get(self.key(chance)).stream(), 2):
            pass

    def read_many(self, chance: random.Random) -> None:
        self.faulty.get_many([self.key(chance) for _ in range(30)], max_concurrency=8)

    def put(self, chance: random.Random) -> None:
        self.sound.put(f"k{chance.randrange(100)}", bytes(chance.randrange(100_000)))
        self.faulty.put(f"lost-put/{chance.randrange(1 << 30)}", bytes(1000))

    def put_parts(self, chance: random.Random) -> None:
        scenario = chance.choice(
            ("part-fails-once", "part-forbidden", "lost-complete", "error-in-200", "denied-in-200")
        )
        self.faulty.put(f"{scenario}/{chance.randrange(1 << 30)}", bytes(PARTS))

    def write(self, chance: random.Random) -> None:
        """Write a file, every other time with an error of the caller's."""
        with suppress(LookupError), self.faulty.open(f"plain/{chance.randrange(1 << 30)}", "wb") as file:
            file.write(bytes(PARTS))
            if chance.random() < 0.5:
                raise LookupError("planted")

    def list(self, chance: random.Random) -> None:
        """List, sometimes not to the end."""
        for _ in islice(self.sound.list("k", chunk_size=10), chance.choice((1, None))):
            pass
        self.faulty.list(f"{chance.choice(('list-html', 'list-cut', 'list-loop'))}/").collect()

    def delete(self, chance: random.Random) -> None:
        self.sound.delete([f"k{chance.randrange(100)}" for _ in range(20)])
        self.faulty.copy(self.key(chance), f"error-in-200/{chance.randrange(1 << 30)}")

    async def cancelled(self, chance: random.Random) -> None:
        """Begin reads and uploads, on silent servers too, and cancel them soon."""
        reads = [self.faulty.get_many_async([self.key(chance), f"stall-first/{number}"]) for number in range(TASKS)]
        uploads = [self.faulty.put_async(f"part-stalls/{number}", bytes(PARTS)) for number in range(2)]
        tasks = [asyncio.ensure_future(one) for one in (*reads, *uploads)]
        await asyncio.sleep(chance.uniform(0, 0.3))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def fork(self) -> None:
        """Fork a child that reads, while a thread of ours does too."""
        thread = threading.Thread(target=self.act, args=(random.Random(0),))
        thread.start()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = len(self.faulty.get("plain/child").bytes()) != 1 << 20
            finally:
                os._exit(code)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
            raise RuntimeError("the child of a fork failed")
        thread.join()


def store_on(server: FaultServer | S3Server, bucket: str) -> S3Store:
    return S3Store(
        bucket,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
        retry_config={"max_retries": 4},
    )


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
