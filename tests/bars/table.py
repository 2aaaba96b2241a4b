"""The rows, their bars, and why some rows are not here. The numbers are those of the table that set the bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.bars import endings, hostile, storms, waits
from tests.bars.figures import NONE, SECONDS, SHARE, Bar, Figures, at_least, at_most
from tests.bars.library import Library
from tests.faults.client import FaultServer


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what is done, how it is measured, and the bar of each figure.

    Args:
        waits: It mostly waits, so that it may run beside others.
        paced: Its figures are times, which a busy machine makes worse: what is short is measured once more.
    """

    number: int
    name: str
    measure: Callable[[Library, FaultServer], Figures]
    bars: Mapping[str, Bar]
    waits: bool = False
    paced: bool = False

    def shortcomings(self, figures: Figures) -> list[str]:
        """Return the names of the figures that are short of their bars, or missing."""
        return [name for name, bar in self.bars.items() if name not in figures or not bar.met(figures[name])]


ROWS = (
    Row(1, f"{storms.MILD:,} GETs of 64 KiB, 5% resets + 5% 503, 64 at once", storms.mild_storm, {
        "lost": NONE, "wrong": NONE, "more requests": at_most(0.115, SHARE), "p99 of the pauses": at_most(0.1, SECONDS),
    }, paced=True),
    Row(2, f"{storms.HEAVY:,} GETs, 30% + 30%", storms.heavy_storm, {
        "lost": NONE, "wrong": NONE, "p99 of the pauses": at_most(1.5, SECONDS),
    }, paced=True),
    Row(3, f"outage: {storms.OUTAGE} GETs, all 503", storms.outage, {
        "requests a read": at_most(2, "{:.1f}"), "well 2 s after it": at_least(0.99, SHARE),
    }, waits=True),
    Row(4, "Retry-After: 2", storms.retry_after, {"waited": at_least(2, SECONDS)}, waits=True),
    Row(5, "hostile replies: wrong and no error", hostile.silently_wrong, {"silently wrong": NONE}, waits=True),
    Row(6, "a flipped bit, and a checksum in the head", hostile.flipped_bit, {"found": at_least(1)}, waits=True),
    Row(7, "hostile replies: the process", hostile.deadly, {
        "crashes": NONE, "hangs": NONE, "most memory": at_most(128, "{:.0f} MiB"),
    }, waits=True),
    Row(8, "ranges of a replaced object, six times", hostile.mixed_versions, {"mixed": NONE}, waits=True),
    Row(9, "a stall is noticed", waits.stalls, {
        "before the reply": at_most(15, "{:.0f} s"), "in the body": at_most(12, "{:.0f} s"),
    }, waits=True, paced=True),
    Row(10, "an honest slow link, 450 kB in 45 s", waits.slow_link, {
        "right": at_least(1), "requests": at_most(1)
    }, waits=True),
    Row(11, "ExpiredToken, 401, skew, RequestTimeout, region 301 and 400", waits.recoveries, {
        "recovered": at_least(6), "more requests": at_most(1),
    }, waits=True),
    Row(14, "Complete, its reply lost", waits.lost_complete, {"success": at_least(1), "aborts": NONE}, waits=True),
    Row(15, "Ctrl-C in a stalled call", waits.interrupts, {"seconds": at_most(0.2, SECONDS)}, waits=True, paced=True),
    Row(16, f"exit in flight, {endings.EXITS} processes", endings.exits, {"crashes": NONE, "hangs": NONE}),
    Row(17, f"fork after use and in flight, {endings.FORKS} + {endings.FORKS_IN_FLIGHT}", endings.forks, {
        "hangs": NONE, "errors": NONE,
    }),
    Row(18, f"asyncio cancel, {waits.CANCELLED} reads and an upload", waits.cancels, {
        "sockets left": NONE, "aborts": at_least(1),
    }, paced=True),
    Row(22, f"{storms.MILD:,} GETs, 5% resets + 5% SlowDown", storms.busy_storm, {
        "lost": NONE, "wrong": NONE, "more requests": at_most(0.115, SHARE), "p99 of the pauses": at_most(0.1, SECONDS),
    }, paced=True),
    Row(23, f"{storms.HEAVY:,} GETs, 30% + 30% SlowDown", storms.heavy_busy_storm, {
        "lost": NONE, "wrong": NONE, "p99 of the pauses": at_most(1.5, SECONDS),
    }, paced=True),
    Row(21, "64 descriptors, 1,000 reads", endings.few_descriptors, {"read": at_least(1000)}),
)  # fmt: skip

LEFT_OUT = {
    "12, 13": "a credential that many wait for: the credentials' own work",
    "19": "memory while streams are paced: the work on networks",
    "20": "fuzzing, memory that runs out and the soak: ci/fuzz, ci/sanitize and ci/soak",
}
