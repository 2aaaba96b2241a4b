"""The two records that travel between the runner and a worker, as JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure and where."""

    row: str
    quick: bool
    peer: str
    mode: str
    url: str
    certificate: str
    files: str
    floor: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured."""

    wall: float
    """Seconds."""
    cpu: float
    """CPU seconds of this process, all threads, user and system."""
    requests: int
    bytes: int
    memory: int
    """Bytes by which the peak of resident memory grew inside the clock."""
