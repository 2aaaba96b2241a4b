"""The peers and how each is asked, as data. The asking itself is one module for each, imported in the worker alone.

A mode is one way that a library documents for an operation. `by_hand` marks what a user would have to build around it:
shown, but no bar is computed from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rows import Row

Work = Callable[[Any], Any]
"""Takes the input of an operation and returns its result; called once to warm up and once inside the clock.

many, serial, tasks: keys -> buffers     ranges: lists of starts -> lists of buffers     whole: key -> buffer
put: bytes or path -> None               list: prefix -> (number of keys, first, last)
folder: (key, size) pairs and a folder -> None
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a worker sends its requests."""

    row: Row
    url: str
    certificate: Path
    """The CA to trust where the url is https."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to ask: `name` is the key of the peer module's WORKS."""

    name: str
    by_hand: bool = False
    variants: tuple[str, ...] = ()
    """Only for rows of these variants; empty: for all."""
    least_in_flight: int = 0
    most_in_flight: int = 1 << 20

    def fits(self, row: Row) -> bool:
        return (not self.variants or row.variant in self.variants) and (
            self.least_in_flight <= row.concurrency <= self.most_in_flight
        )


@dataclass(frozen=True, slots=True)
class Peer:
    """A library, or the floor, with its modes for each operation."""

    name: str
    distribution: str | None
    """Its name in the package index; None: it is a program of ours."""
    modes: Mapping[str, tuple[Mode, ...]]
    doors: frozenset[str] = frozenset()
    """Servers that it can be pointed at; empty: all."""
    service: str = ""
    """The only service that it speaks to; empty: all."""
    share: int = 1
    """It is given one in so many of a row's requests, because it is slow."""
    rounds: int = 5
    copies: int = 1
    """How many copies of a large object it holds at its peak: so much memory is made ready before the clock starts."""

    def modes_for(self, row: Row) -> tuple[Mode, ...]:
        if (self.doors and row.door not in self.doors) or (row.peers and self.name not in row.peers):
            return ()
        if self.service and row.service != self.service:
            return ()
        return tuple(mode for mode in self.modes.get(row.operation, ()) if mode.fits(row))


def _modes(**names: str) -> dict[str, tuple[Mode, ...]]:
    return {operation: tuple(Mode(name) for name in text.split(", ")) for operation, text in names.items()}


_OPEN = frozenset({"plain", "paced", "counted", "delayed", "far", "sink", "summing"})

PEERS = (
    Peer(
        "objstore", None,
        _modes(
            many="get_many", ranges="get_ranges", whole="get", serial="get_range", tasks="tasks", put="put",
        ) | {
            "list": (
                Mode("collect", variants=("dicts",)), Mode("arrow", variants=("arrow",)),
                Mode("64 at a time", variants=("huge",)),
            ),
            "folder": tuple(Mode(f"{count} processes") for count in (1, 2, 3, 4)),
        },
    ),
    Peer(
        "obstore", "obstore",
        {
            "many": (
                Mode("tasks", most_in_flight=400),
                Mode("tasks", least_in_flight=1001),
                Mode("8 threads", most_in_flight=64),
                Mode("32 threads", most_in_flight=64),
                Mode("a thread each", least_in_flight=65, most_in_flight=1000),
            ),
            "ranges": (
                Mode("get_ranges"),
                Mode("get_ranges_async"),
                Mode("coalesce=0", variants=("random",)),
                Mode("8 threads of get_range", by_hand=True),
            ),
            "whole": (Mode("get"), Mode("16 x get_range", by_hand=True)),
            "serial": (Mode("get_range"),),
            "tasks": (Mode("tasks"),),
            "put": (Mode("put"), Mode("put_async")),
            "list": (
                Mode("collect", variants=("dicts", "huge")), Mode("pages", variants=("dicts",)),
                Mode("arrow collect", variants=("arrow",)), Mode("arrow pages", variants=("arrow",)),
            ),
        },
    ),
    Peer(
        "tensorstore", "tensorstore",
        _modes(many="http", whole="http", serial="http", tasks="http", ranges="http, Batch")
        | {"list": (Mode("s3", variants=("dicts",)),)},
        rounds=3, copies=3,
    ),
    Peer(
        "opendal", "opendal",
        {
            "many": (Mode("tasks", most_in_flight=400), Mode("8 threads", most_in_flight=64)),
            "whole": (Mode("read"),),
            "serial": (Mode("read"),),
            "tasks": (Mode("tasks"),),
            "list": (Mode("list", variants=("dicts",)),),
        },
        doors=_OPEN, rounds=2, copies=2,
    ),
    Peer(
        "boto3", "boto3",
        _modes(
            whole="get_object, download_fileobj", serial="get_object", put="upload_fileobj", folder="transfer manager",
        )
        | {
            "many": (Mode("16 threads", most_in_flight=64),),
            "list": (Mode("paginator", variants=("dicts",)),),
        },
        rounds=1, share=10,
    ),
    Peer(
        "pycurl", "pycurl",
        _modes(many="CurlMulti", ranges="CurlMulti", whole="perform", serial="perform"),
        rounds=2,
    ),
    Peer(
        "floor", None,
        _modes(many="many", ranges="many", whole="whole", serial="many", put="put"),
        doors=_OPEN,
    ),
    *(
        Peer(name, distribution, modes, service=service, rounds=1, share=10)
        for service, name, distribution, modes in (
            ("gcs", "gcsfs", "gcsfs", _modes(many="cat", ranges="cat_ranges", whole="cat_file")),
            ("azure", "adlfs", "adlfs", _modes(many="cat", ranges="cat_ranges", whole="cat_file")),
            (
                "gcs", "google_storage", "google-cloud-storage",
                _modes(many="8 threads", ranges="8 threads", whole="download_as_bytes"),
            ),
            (
                "azure", "azure_storage", "azure-storage-blob",
                _modes(many="8 threads", ranges="8 threads", whole="download_blob"),
            ),
        )
    ),
    Peer("s5cmd", None, _modes(folder="run"), doors=frozenset({"plain"})),
    Peer("wrk", None, _modes(many="many"), doors=frozenset({"tls"})),
)  # fmt: skip
