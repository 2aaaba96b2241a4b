"""From samples to medians, spreads and verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.bars import Bar, Figure, Figures
from bench.rows import Row
from bench.runner import Entry


@dataclass(frozen=True, slots=True)
class Line:
    """One mode of one peer in one row: wall seconds and CPU microseconds of a request, as medians."""

    peer: str
    mode: str
    by_hand: bool
    wall: float
    fastest: float
    slowest: float
    cpu: float
    memory: float
    requests: int
    bytes: int
    rounds: int
    wire: tuple[int, int] | None

    @property
    def rate(self) -> float:
        """Requests a second."""
        return 1 / self.wall

    @property
    def throughput(self) -> float:
        """Bytes a second."""
        return self.bytes / self.requests / self.wall


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar and what was reached; None where a peer that it needs was not measured."""

    bar: Bar
    reached: float | None

    @property
    def met(self) -> bool | None:
        return None if self.reached is None else self.bar.met(self.reached)


def line(entry: Entry) -> Line:
    """Return the medians of an entry that has samples."""
    walls = [sample.wall / sample.requests for sample in entry.samples]
    return Line(
        peer=entry.peer.name,
        mode=entry.mode.name,
        by_hand=entry.mode.by_hand,
        wall=median(walls),
        fastest=min(walls),
        slowest=max(walls),
        cpu=median(sample.cpu / sample.requests * 1e6 for sample in entry.samples),
        memory=median(sample.memory for sample in entry.samples),
        requests=entry.samples[0].requests,
        bytes=entry.samples[0].bytes,
        rounds=len(walls),
        wire=entry.wire,
    )


def lines(entries: Iterable[Entry]) -> list[Line]:
    return [line(entry) for entry in entries if entry.samples and entry.failure is None]


def figures(row: Row, row_lines: Sequence[Line]) -> dict[str, Figure]:
    """Return each peer's best of each metric over its documented modes."""
    ideal = row.delay / row.concurrency if row.delay else None
    by_peer: dict[str, list[Line]] = {}
    for each in row_lines:
        if not each.by_hand:
            by_peer.setdefault(each.peer, []).append(each)
    return {
        peer: Figure(min(x.wall for x in mine), min(x.cpu for x in mine), min(x.memory for x in mine), ideal)
        for peer, mine in by_peer.items()
    }


def verdicts(row: Row, all_figures: Figures) -> list[Verdict]:
    return [Verdict(bar, bar.reached(all_figures, row.name)) for bar in row.bars]
