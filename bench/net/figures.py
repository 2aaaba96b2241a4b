"""What was measured of a row over one network, and how it stands beside the bars."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from bench.net.rows import CURL, DEFAULT, OBSTORE

MOST_OF_BEST, LEAST_OF_OBSTORE, LEAST_OF_LINE = 1.3, 2, 0.9


@dataclass(frozen=True, slots=True)
class Took:
    """How many seconds the calls of one way took, one after the other; none, if they failed."""

    calls: list[float]
    way: str = ""

    @property
    def later(self) -> float:
        """The median of those that follow the first."""
        return statistics.median(self.calls[1:]) if self.calls else float("inf")

    def __str__(self) -> str:
        """Return the first, and what the later ones took."""
        return f"{self.calls[0]:.2f} {self.later:.2f} s" if self.calls else "failed"


@dataclass(frozen=True, slots=True)
class Figures:
    """The ways of a row: by default, by obstore, by the best number of curls, and by the best that is set by hand.

    Args:
        line: How many seconds its bytes alone take.
    """

    default: Took
    obstore: Took
    curls: Took
    by_hand: Took
    line: float

    @classmethod
    def of(cls, seconds: dict[str, list[float]], line: float) -> Figures:
        """Make them of what each way took."""
        took = {way: Took(calls, way) for way, calls in seconds.items()}
        curls = min((each for way, each in took.items() if way.startswith(CURL)), key=lambda each: each.later)
        by_hand = min((each for way, each in took.items() if way.isdigit()), key=lambda each: each.later)
        return cls(took[DEFAULT], took[OBSTORE], curls, by_hand, line)

    @property
    def of_best(self) -> float:
        """How many times as long as the best by hand the default takes."""
        return self.default.later / self.by_hand.later

    @property
    def speed(self) -> tuple[float, float, float]:
        """How many times as long as the default obstore, curls and the line take."""
        return tuple(each / self.default.later for each in (self.obstore.later, self.curls.later, self.line))  # type: ignore[return-value]

    @property
    def reaches_others(self) -> bool:
        """Whether it is as fast as it is to be, beside them."""
        obstore, curls, line = self.speed
        return obstore >= LEAST_OF_OBSTORE or max(curls, line) >= LEAST_OF_LINE

    @property
    def reaches_best(self) -> bool:
        """Whether it is as fast as it is to be, beside what is set by hand."""
        return self.of_best <= MOST_OF_BEST
