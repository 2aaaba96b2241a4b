"""The results as text for the terminal and as a record for latest.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from bench.bars import Figure
from bench.rows import Row
from bench.runner import Entry
from bench.summary import Line, Verdict

_LARGE = frozenset({"whole", "put", "list"})
_HEAD = ("peer", "mode", "median", "min .. max", "rate", "CPU", "memory", "on the wire", "x obstore", "x tensorstore")


def table(row: Row, lines: Sequence[Line], figures: dict[str, Figure]) -> str:
    """Return one row of the issue's table as an aligned table: a line for each peer and mode."""
    cells = [_HEAD] + [
        (
            each.peer,
            each.mode + (" (by hand)" if each.by_hand else ""),
            _seconds(each.wall * each.requests),
            f"{_seconds(each.fastest * each.requests)} .. {_seconds(each.slowest * each.requests)}",
            _rate(row, each),
            _cpu(row, each),
            f"{each.memory / (1 << 20):,.0f} MiB" if each.memory else "",
            f"{each.wire[0]:,} req, {each.wire[1] / 1e6:,.1f} MB" if each.wire else "",
            _ratio(figures.get("obstore"), each),
            _ratio(figures.get("tensorstore"), each),
        )
        for each in lines
    ]
    return f"{row.title}\n{_aligned(cells)}"


def failures(entries: Iterable[Entry]) -> str:
    return "\n".join(f"  {e.peer.name}, {e.mode.name}: {e.failure}" for e in entries if e.failure is not None)


def bars(row_verdicts: Iterable[Verdict]) -> str:
    """Return one line for each bar: what is asked, what was reached, met or not."""
    words = {True: "met", False: "NOT MET", None: "not measured"}
    return "\n".join(f"  bar: {verdict.bar.text}: {_reached(verdict)}{words[verdict.met]}" for verdict in row_verdicts)


def record(
    row: Row, entries: Sequence[Entry], lines: Sequence[Line], row_verdicts: Sequence[Verdict]
) -> dict[str, Any]:
    """Return a row as plain values: medians, spreads, every sample, every bar."""
    samples = {(e.peer.name, e.mode.name): [asdict(sample) for sample in e.samples] for e in entries}
    return {
        "name": row.name,
        "title": row.title,
        "lines": [asdict(each) | {"samples": samples[each.peer, each.mode]} for each in lines],
        "failures": {f"{e.peer.name}, {e.mode.name}": e.failure for e in entries if e.failure is not None},
        "bars": [
            {"text": v.bar.text, "goal": v.bar.goal, "unit": v.bar.unit, "reached": v.reached, "met": v.met}
            for v in row_verdicts
        ],
    }


def _aligned(cells: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  " + "  ".join(
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )  # fmt: skip


def _seconds(value: float) -> str:
    return f"{value:.3f} s"


def _rate(row: Row, each: Line) -> str:
    if row.operation == "list":
        return ""
    return f"{each.throughput / 1e9:.2f} GB/s" if row.operation in _LARGE else f"{each.rate:,.0f}/s"


def _cpu(row: Row, each: Line) -> str:
    return _seconds(each.cpu / 1e6) if row.operation in _LARGE else f"{each.cpu:.1f} us"


def _ratio(reference: Figure | None, each: Line) -> str:
    return f"{reference.wall / each.wall:.2f}" if reference else ""


def _reached(verdict: Verdict) -> str:
    return "" if verdict.reached is None else f"{verdict.reached:.2f} {verdict.bar.unit}".rstrip() + ", "
