"""Bars: what objstore must reach in a row, computed from the medians of that row (and, once, of another)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

SUBJECT = "objstore"
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians of one peer in one row, each from the mode that is best at it."""

    wall: float
    """Seconds."""
    cpu: float
    """CPU microseconds a request."""
    memory: float
    """Bytes by which the peak of resident memory grew."""
    ideal: float | None
    """Seconds that in-flight and delay allow; None where the server does not delay."""


Figures = Mapping[str, Mapping[str, Figure]]
"""Row name, then peer name."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A goal: `reached` computes the value for a row, or None where a peer of it was not measured."""

    text: str
    goal: float
    unit: str
    at_most: bool
    reached: Callable[[Figures, str], float | None]

    def met(self, value: float) -> bool:
        return value <= self.goal if self.at_most else value >= self.goal


def faster(peer: str, factor: float) -> Bar:
    return Bar(f"{factor:g} x {peer} in wall time", factor, "x", False, _ratio(peer, lambda figure: figure.wall))


def cheaper(peer: str, factor: float) -> Bar:
    return Bar(f"1/{factor:g} of {peer}'s CPU", factor, "x", False, _ratio(peer, lambda figure: figure.cpu))


def cpu_at_most(microseconds: float) -> Bar:
    return Bar(f"{microseconds:g} us of CPU a request", microseconds, "us", True, _own(lambda figure: figure.cpu))


def memory_at_most(mebibytes: float) -> Bar:
    return Bar(f"{mebibytes:g} MiB of memory", mebibytes, "MiB", True, _own(lambda figure: figure.memory / MIB))


def of_ideal(share: float) -> Bar:
    return Bar(
        f"{share:.0%} of in-flight / delay", share, "", False,
        _own(lambda figure: figure.ideal and figure.ideal / figure.wall),
    )  # fmt: skip


def of_floor(share: float) -> Bar:
    return Bar(f"{share:.0%} of raw sockets", share, "", False, _ratio("floor", lambda figure: figure.wall))


def cpu_within(other_row: str, factor: float) -> Bar:
    text = f"CPU a request within {factor:g} x of {other_row}"
    return Bar(text, factor, "x", True, _beside(other_row, lambda figure: figure.cpu))


def within(other_row: str, factor: float) -> Bar:
    return Bar(f"within {factor:g} x of {other_row}", factor, "x", True, _beside(other_row, lambda figure: figure.wall))


def _beside(other_row: str, metric: Callable[[Figure], float]) -> Callable[[Figures, str], float | None]:
    def reached(figures: Figures, row: str) -> float | None:
        here, there = figures[row].get(SUBJECT), figures.get(other_row, {}).get(SUBJECT)
        return metric(here) / metric(there) if here and there else None

    return reached


def _ratio(peer: str, metric: Callable[[Figure], float]) -> Callable[[Figures, str], float | None]:
    def reached(figures: Figures, row: str) -> float | None:
        ours, theirs = figures[row].get(SUBJECT), figures[row].get(peer)
        return metric(theirs) / metric(ours) if ours and theirs else None

    return reached


def _own(metric: Callable[[Figure], float | None]) -> Callable[[Figures, str], float | None]:
    def reached(figures: Figures, row: str) -> float | None:
        ours = figures[row].get(SUBJECT)
        return metric(ours) if ours else None

    return reached
