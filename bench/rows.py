"""What is measured, as data: one `Row` for each line of the table, with the bars that it must reach.

A row says what is asked and of which server; how a library is asked is the business of bench/peers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench import bars
from bench.bars import Bar
from bench.data import LARGE, PIECES


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: `count` operations of one kind against one door of the site."""

    name: str
    title: str
    operation: str
    """many, ranges, whole, serial, tasks, put, list or folder: a key of the peers' tables."""
    door: str
    """The server: a key of `Site.ports`."""
    count: int = 1
    """Operations inside the clock: requests for many, serial and tasks, calls for ranges."""
    concurrency: int = 64
    """Requests that may be in flight."""
    each: int = 1024
    """Bytes of each request."""
    per_call: int = 1
    """Ranges of each get_ranges call."""
    key: str = "big"
    """The object of ranges, whole and put."""
    variant: str = ""
    """memory or file for put; dicts, arrow or huge for list; sparse or random for ranges."""
    delay: float | None = None
    """The server's mean delay in seconds."""
    audit: str | None = None
    """The door of one more pass, outside the clock, that counts requests and bytes on the wire."""
    memory: int = 0
    """Bytes that a library has to allocate for the result: made ready before the clock starts."""
    rounds: int | None = None
    """At most so many rounds, where one takes long."""
    service: str = "s3"
    """Whose dialect is spoken: s3, gcs or azure."""
    peers: tuple[str, ...] = ()
    """Only these; empty: all that can."""
    bars: tuple[Bar, ...] = ()

    def quick(self) -> Row:
        """Return the row with a part of the work, for a glance."""
        large = self.operation in ("whole", "put")
        return replace(
            self,
            title=f"[a part of] {self.title}",
            count=max(1, self.count // 5),
            key="medium" if large else self.key,
            memory=self.memory // 4 if large else self.memory,
        )


CLOUDS = {"gcs": "Google", "azure": "Azure"}
CLOUD_PEERS = ("objstore", "obstore", "gcsfs", "adlfs", "google_storage", "azure_storage")

ROWS = (
    Row(
        "get_many", "get_many, 20,000 x 1 KiB, 64 connections", "many", "plain", count=20_000,
        memory=20 << 20,
        bars=(
            bars.faster("obstore", 2.5), bars.cheaper("obstore", 3.5), bars.cpu_at_most(20),
            bars.faster("tensorstore", 2),
        ),
    ),
    Row(
        "delay_400", "get_many, 25-75 ms away, 400 in flight", "many", "delayed", count=24_000, concurrency=400,
        delay=0.05, memory=24 << 20, rounds=3, bars=(bars.of_ideal(0.95), bars.cheaper("obstore", 3)),
    ),
    Row(
        "delay_1000", "get_many, 25-75 ms away, 1,000 in flight", "many", "delayed", count=60_000, concurrency=1_000,
        delay=0.05, memory=60 << 20, rounds=3, bars=(bars.of_ideal(0.95), bars.cheaper("obstore", 3)),
    ),
    Row(
        "delay_4000", "get_many, 100-300 ms away, 4,000 in flight", "many", "far", count=40_000, concurrency=4_000,
        delay=0.2, memory=40 << 20, rounds=3, bars=(bars.cpu_within("get_many", 3),),
    ),
    Row(
        "ranges_sparse", "get_ranges, 256 sparse x 4 KiB, repeated", "ranges", "plain", count=40, each=4096,
        per_call=256, key=PIECES, variant="sparse", audit="counted", bars=(bars.faster("obstore", 2.2),),
    ),
    Row(
        "ranges_random", "get_ranges, 20,000 random x 4 KiB of 1 GiB", "ranges", "plain", each=4096, per_call=20_000,
        key=PIECES, variant="random", audit="counted", memory=LARGE["big"], rounds=3, bars=(bars.faster("obstore", 2),),
    ),
    Row(
        "get_1gib", "get of 1 GiB", "whole", "plain", memory=LARGE["big"], rounds=3,
        bars=(bars.faster("obstore", 2.2), bars.cheaper("obstore", 3), bars.of_floor(0.9)),
    ),
    Row(
        "get_1gib_paced", "get of 1 GiB, 50 MB/s a connection", "whole", "paced", memory=LARGE["big"], rounds=2,
        peers=("objstore", "obstore"),
        bars=(bars.faster("obstore", 8),),
    ),
    Row(
        "serial", "one get_range after the other, 1 KiB", "serial", "plain", count=8_000, concurrency=1,
        bars=(bars.faster("obstore", 1.3),),
    ),
    Row(
        "tasks", "64 asyncio tasks, each get_range_async, 1 KiB", "tasks", "plain", count=20_000,
        bars=(bars.faster("obstore", 2.5),),
    ),
    Row(
        "put_memory", "put of 1 GiB from memory, to a sink", "put", "sink", variant="memory", rounds=3, audit="summing",
        bars=(bars.faster("obstore", 1), bars.cheaper("obstore", 2), bars.memory_at_most(12 * 5)),
    ),
    Row(
        "put_file", "put of 1 GiB from a file, to a sink", "put", "sink", variant="file", rounds=3, audit="summing",
        bars=(bars.faster("obstore", 1), bars.cheaper("obstore", 2), bars.memory_at_most(12 * 5)),
    ),
    Row(
        "list_dicts", "list of 100,000 keys, as dicts", "list", "plain", variant="dicts",
        bars=(bars.faster("obstore", 2),),
    ),
    Row(
        "list_arrow", "list of 100,000 keys, as Arrow", "list", "plain", variant="arrow",
        bars=(bars.faster("obstore", 2),),
    ),
    Row(
        "list_huge", "list of 600,000 keys, each page 50 ms away", "list", "huge", variant="huge", rounds=1,
        peers=("objstore", "obstore"), bars=(bars.faster("obstore", 10),),
    ),
    Row(
        "tls_many", "TLS: get_many, 20,000 x 1 KiB, 64 connections", "many", "tls", count=20_000, memory=20 << 20,
        rounds=3,
        bars=(bars.faster("obstore", 3),),
    ),
    Row(
        "tls_1gib", "TLS: get of 1 GiB", "whole", "tls", memory=LARGE["big"], rounds=3,
        bars=(bars.faster("obstore", 1),),
    ),
    Row(
        "folder", "2,000 x 1 KiB and 256 MiB into a folder, by 1 to 4 processes", "folder", "plain", count=2_000,
        key="medium", rounds=3,
    ),
    *(
        Row(
            f"{service}_many", f"{name}: get_many, 20,000 x 1 KiB, 64 connections", "many", "plain", count=20_000,
            memory=20 << 20, service=service, peers=CLOUD_PEERS,
            bars=(bars.within("get_many", 1.1), bars.faster("obstore", 2.5)),
        )
        for service, name in CLOUDS.items()
    ),
    *(
        Row(
            f"{service}_sparse", f"{name}: get_ranges, 256 sparse x 4 KiB, repeated", "ranges", "plain", count=40,
            each=4096, per_call=256, key=PIECES, variant="sparse", service=service, peers=CLOUD_PEERS,
            bars=(bars.within("ranges_sparse", 1.1), bars.faster("obstore", 2)),
        )
        for service, name in CLOUDS.items()
    ),
    *(
        Row(
            f"{service}_1gib", f"{name}: get of 1 GiB", "whole", "plain", memory=LARGE["big"], rounds=3,
            service=service, peers=CLOUD_PEERS,
            bars=(bars.within("get_1gib", 1.1), bars.faster("obstore", 2)),
        )
        for service, name in CLOUDS.items()
    ),
)  # fmt: skip
