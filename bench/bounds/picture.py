"""The picture: what was held at the most in each row, beside what it is to keep within."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

from bench.bounds.rows import Held, Row

COLOURS = {"objstore": "#2a7f9e", "obstore": "#c0392b"}
THICK = 0.36


def draw(rows: Sequence[Row], measured: Mapping[str, Mapping[str, Held | None]], into: Path) -> None:
    """Draw a panel for memory and one for descriptors."""
    panels = [[row for row in rows if bool(row.calls) == of_calls] for of_calls in (False, True)]
    labels = "peak of resident memory, MiB", "peak of descriptors"
    shape = 1, len(panels)
    figure, drawn = pyplot.subplots(*shape, figsize=(12, 2.6), layout="constrained", squeeze=False)
    for axes, some, label in zip(drawn[0], panels, labels, strict=True):
        for height, row in enumerate(reversed(some)):
            _draw_row(axes, height, row, measured[row.name])
        axes.set_yticks(range(len(some)), [row.title for row in reversed(some)])
        _dress(axes, label)
    handles, names = drawn[0][0].get_legend_handles_labels()
    known = dict(zip(names, handles, strict=True))
    figure.legend(known.values(), known.keys(), loc="outside upper center", ncols=len(known), frameon=False)
    figure.savefig(into, dpi=110)
    pyplot.close(figure)


def _draw_row(axes: Axes, height: int, row: Row, held: Mapping[str, Held | None]) -> None:
    for offset, (library, colour) in zip((THICK / 2, -THICK / 2), COLOURS.items(), strict=True):
        if (found := held[library]) is not None:
            axes.barh(height + offset, found.most, height=THICK, color=colour, label=library)
            axes.annotate(
                _said(row, found), (0, height + offset), xytext=(5, 0), textcoords="offset points", va="center",
                color="white", fontsize=9,
            )  # fmt: skip
    axes.plot(
        [row.bound] * 2, [height - 0.42, height + 0.42], color="0.2", linewidth=2, label="what it is to keep within"
    )


def _said(row: Row, found: Held) -> str:
    return f"{found.most:,}, {found.failed} calls failed" if row.calls else f"{found.most:,}"


def _dress(axes: Axes, label: str) -> None:
    axes.set_xlabel(label)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
