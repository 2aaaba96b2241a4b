"""What is measured over a network, as data: its profiles, the rows, and what is set by hand."""

from __future__ import annotations

from bench.net.network import Profile
from bench.rows import Row

PROFILES = (
    Profile("near", 2, 10_000),
    Profile("region", 20, 2_000),
    Profile("far", 80, 1_000, loss_ppm=1_000),
)

OBSTORE_TASKS = 256
LARGE, LARGE_BYTES = "large", 1 << 28

ROWS = (
    Row("many_1k", "2,000 objects of 1 KiB", "many", "plain", count=2_000, concurrency=OBSTORE_TASKS, each=1 << 10),
    Row("many_64k", "2,000 objects of 64 KiB", "many", "plain", count=2_000, concurrency=OBSTORE_TASKS, each=1 << 16),
    Row("ranges", "1,000 ranges of 64 KiB of 256 MiB", "ranges", "plain", each=1 << 16, per_call=1_000, key=LARGE),
    Row("whole", "one object of 256 MiB", "whole", "plain", key=LARGE),
    Row("whole_paced", "the same, 50 MB/s a connection", "whole", "paced", key=LARGE),
    Row("stream", "the same as a stream", "stream", "plain", key=LARGE),
    Row("stream_paced", "as a stream, 50 MB/s a connection", "stream", "paced", key=LARGE),
    Row("file", "as a file, 1 MiB at a time", "file", "plain", key=LARGE),
    Row("many_1k_tls", "2,000 x 1 KiB by TLS", "many", "tls", count=2_000, concurrency=OBSTORE_TASKS, each=1 << 10),
    Row("whole_tls", "256 MiB by TLS", "whole", "tls", key=LARGE),
)

BY_HAND = (16, 64, 256, 512)
"""Requests in flight: max_concurrency of get_many, to which ranges and the parts of a large object are given one by
one."""

OF_ONE = "whole", "stream", "file"
"""All of one object: at once, or one piece after the other."""

CURLS = {"many": (16, 64), "ranges": (16, 64), **dict.fromkeys(OF_ONE, (1, 4, 16))}
"""How many curls side by side share the work: with others it took longer on each of the networks."""

DEFAULT, OBSTORE, CURL = "default", "obstore", "curl"


def ways_of(row: Row) -> tuple[str, ...]:
    """Return in which ways a row is measured."""
    return DEFAULT, OBSTORE, *map(str, BY_HAND), *(f"{CURL} {count}" for count in CURLS[row.operation])
