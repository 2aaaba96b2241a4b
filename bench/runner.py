"""Runs the rows: every peer and mode once a round, one after the other, each in a process of its own.

Rounds go around all peers of a row, each starting one further, so that what drifts on the machine drifts for all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from bench import data
from bench.peers import PEERS, Mode, Peer
from bench.rows import Row
from bench.samples import Job, Sample
from bench.site import HERE, Site

WORKER_SECONDS = 180
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


@dataclass(slots=True)
class Entry:
    """One mode of one peer in one row, with what was measured of it."""

    peer: Peer
    mode: Mode
    samples: list[Sample] = field(default_factory=list)
    failure: str | None = None
    wire: tuple[int, int] | None = None
    """Requests and bytes that the server counted in the audited pass."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for."""

    rows: Sequence[Row]
    peers: frozenset[str]
    rounds: int
    quick: bool


def run(site: Site, plan: Plan, say: Callable[[str], None]) -> Iterator[tuple[Row, list[Entry]]]:
    """Yield each row of the plan with its entries, measured."""
    for row in plan.rows:
        entries = [Entry(peer, mode) for peer in PEERS if peer.name in plan.peers for mode in peer.modes_for(row)]
        say(f"{row.name}: {len(entries)} modes")
        _rounds(site, plan, row, entries)
        if row.audit and not plan.quick:
            _audit(site, plan, row, entries)
        yield row, entries


def _rounds(site: Site, plan: Plan, row: Row, entries: list[Entry]) -> None:
    for turn in range(min(plan.rounds, row.rounds or plan.rounds)):
        shift = turn % len(entries)
        for entry in entries[shift:] + entries[:shift]:
            if entry.failure is None and turn < entry.peer.rounds:
                _measure(site, plan, row, entry, row.door, entry.samples)


def _audit(site: Site, plan: Plan, row: Row, entries: list[Entry]) -> None:
    """Run each mode once more against a server that counts; for a put, check the sum of the bytes that arrived."""
    assert row.audit is not None
    for entry in entries:
        if entry.failure is not None or entry.peer.name == "floor":
            continue
        before = _counted(site, row)
        _measure(site, plan, row, entry, row.audit, [])
        after = _counted(site, row)
        entry.wire = after[0] - before[0], after[1] - before[1]
        if row.operation == "put":
            _check_sum(site, row, entry, after[2] - before[2])


def _counted(site: Site, row: Row) -> tuple[int, int, int]:
    if row.operation == "put":
        stats = site.stats(str(row.audit))
        return stats["writes"], stats["body_bytes"], stats["body_sum"]
    return *site.nginx.wire(), 0


def _check_sum(site: Site, row: Row, entry: Entry, arrived: int) -> None:
    expected = data.body_sum(site.files, row.key) + data.body_sum(site.files, "warm")
    if arrived != expected:
        entry.failure = f"bytes that arrived sum to {arrived}, not {expected}"


def _measure(site: Site, plan: Plan, row: Row, entry: Entry, door: str, into: list[Sample]) -> None:
    job = Job(
        row.name, plan.quick, entry.peer.name, entry.mode.name, site.url(door), str(site.certificate), str(site.files),
        str(site.floor),
    )  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.worker"], input=json.dumps(asdict(job)), cwd=HERE.parent,
            env=environment(site), capture_output=True, text=True, timeout=WORKER_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        entry.failure = f"not done in {WORKER_SECONDS} s"
        return
    if done.stdout:  # what a library does at exit is not measured here
        into.append(Sample(**json.loads(done.stdout.splitlines()[-1])))
    else:
        entry.failure = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]


def environment(site: Site) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    return env | {"TENSORSTORE_CA_BUNDLE": str(site.certificate)}
