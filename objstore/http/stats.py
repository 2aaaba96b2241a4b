"""What the requests of one store have come to.

Its one invariant: what succeeds costs nothing here. Batches count for themselves, and add what they counted when they
are closed.
"""

from __future__ import annotations

from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING

from objstore._core import Tally, origin_info
from objstore.types import StoreStats

if TYPE_CHECKING:
    from objstore.exceptions import BaseError

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
"""The parts of all replies that began within the times of their names."""

_last_write = object()


def note_write() -> None:
    """Note that something may have been written by this process, before who writes is told."""
    global _last_write
    _last_write = object()  # a number would be counted up by two threads at once


def last_write() -> object:
    """Return what stands for the last write of this process: another object once there is another."""
    return _last_write


class Stats:
    """Counts of the requests to a service."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._errors: dict[str, int] = {}
        self._turn = Lock()

    def note_error(self, error: BaseError) -> None:
        """Count a request that failed for good."""
        kind = type(error).__name__
        with self._turn:
            self._errors[kind] = self._errors.get(kind, 0) + 1

    def report(self, origin: str) -> StoreStats:
        """Return what was counted, and what the engine knows of the origin by now."""
        counts = self.tally.counts()
        with self._turn:
            errors = dict(self._errors)
        return StoreStats(
            requests=counts["requests"],
            retries=counts["retries"],
            connections=counts["connections"],
            hedges=counts["hedges"],
            bytes_sent=counts["bytes_sent"],
            bytes_received=counts["bytes_received"],
            errors=errors,
            waits=percentiles(self.tally.waits()),
            origin=origin_info(origin),
        )


def percentiles(waits: list[tuple[float, int]]) -> dict[str, float]:
    """Return times that the named parts of all replies did not exceed.

    Args:
        waits: Times in rising order, and how many replies took no longer, but longer than the time before.
    """
    reached = [*accumulate(count for _, count in waits)]
    if not reached:
        return {}
    return {
        name: next(time for (time, _), count in zip(waits, reached, strict=True) if count >= part * reached[-1])
        for name, part in PERCENTILES.items()
    }
