"""The picture: for each row how many times as fast as obstore, and as cheap, everybody is, with the bars marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from bench.bars import SUBJECT, Figure
from bench.rows import Row

REFERENCE = "obstore"
LEFT_EDGE = 0.125
OURS = "#2a7f9e"
MARKS = {
    "tensorstore": ("s", "#7a5195"),
    "pycurl": ("^", "#58853a"),
    "opendal": ("v", "#b5772f"),
    "boto3": ("X", "0.6"),
    "floor": ("D", "0.2"),
    "wrk": ("d", "0.2"),
}
PANELS: tuple[tuple[str, str, Callable[[Figure], float]], ...] = (
    ("times as fast as obstore (wall time)", "obstore in wall time", lambda figure: figure.wall),
    ("times as cheap as obstore (CPU time)", "of obstore's CPU", lambda figure: figure.cpu),
)

Measured = Mapping[str, Mapping[str, Figure]]


def draw(rows: Sequence[Row], figures: Measured, into: Path) -> None:
    """Draw the rows in which obstore was measured; rows without it have no ratio."""
    shown = [row for row in reversed(rows) if REFERENCE in figures.get(row.name, {})]
    if not shown:
        return
    figure, panels = pyplot.subplots(1, 2, figsize=(14, 1.6 + 0.42 * len(shown)), sharey=True, layout="constrained")
    for axes, (label, bar_text, metric) in zip(panels, PANELS, strict=True):
        for height, row in enumerate(shown):
            _draw_row(axes, height, row, figures[row.name], metric)
            _draw_bars(axes, height, row, bar_text)
        _dress(axes, label)
    panels[0].set_yticks(range(len(shown)), [row.title for row in shown])
    _legend(figure, panels)
    figure.savefig(into, dpi=110)
    pyplot.close(figure)


def _draw_row(
    axes: Axes, height: int, row: Row, measured: Mapping[str, Figure], metric: Callable[[Figure], float]
) -> None:
    reference = metric(measured[REFERENCE])
    if SUBJECT in measured:
        ratio = reference / metric(measured[SUBJECT])
        axes.barh(height, ratio - 1, left=1, height=0.5, color=OURS, label=SUBJECT)
        axes.annotate(
            f"{ratio:.1f}", (1.01, height), xycoords=("axes fraction", "data"), va="center", color=OURS, weight="bold"
        )
    for peer, (marker, colour) in MARKS.items():
        if peer in measured:
            ratio = max(reference / metric(measured[peer]), LEFT_EDGE)
            axes.plot(ratio, height, marker, color=colour, markersize=5.5, label=peer, clip_on=False, zorder=3)


def _draw_bars(axes: Axes, height: int, row: Row, text: str) -> None:
    for bar in row.bars:
        if bar.text.endswith(text):
            axes.plot([bar.goal] * 2, [height - 0.36, height + 0.36], color="#c0392b", linewidth=2.5, label="bar")


def _dress(axes: Axes, label: str) -> None:
    axes.axvline(1, color="0.4", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.set_xlim(left=LEFT_EDGE)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.set_xlabel(f"{label}\nmedians, best mode of each; at the left edge: {LEFT_EDGE:g} or less")
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Drawing, panels: Sequence[Axes]) -> None:
    known: dict[str, Artist] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    order = [label for label in (SUBJECT, "bar", *MARKS) if label in known]
    figure.legend([known[label] for label in order], order, loc="outside upper center", ncols=len(order), frameon=False)
