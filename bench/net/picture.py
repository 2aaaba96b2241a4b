"""The picture: for each network and row how long a call takes by default, and by others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

from bench.net.figures import Figures
from bench.net.network import Profile
from bench.rows import Row

OURS = "#2a7f9e"
MARKS = {"by hand": ("o", OURS), "obstore": ("X", "#c0392b"), "curls": ("^", "#58853a"), "the line alone": ("|", "0.2")}

Measured = Mapping[str, Mapping[str, Figures]]


def draw(profiles: Sequence[Profile], rows: Sequence[Row], measured: Measured, into: Path) -> None:
    """Draw a panel for each network."""
    shape = 1, len(profiles)
    figure, panels = pyplot.subplots(
        *shape, figsize=(5 * len(profiles), 1.6 + 0.4 * len(rows)), sharey=True, layout="constrained", squeeze=False
    )
    for axes, profile in zip(panels[0], profiles, strict=True):
        for height, row in enumerate(reversed(rows)):
            _draw_row(axes, height, measured[profile.name][row.name])
        _dress(axes, profile)
    panels[0][0].set_yticks(range(len(rows)), [row.title for row in reversed(rows)])
    handles, labels = panels[0][0].get_legend_handles_labels()
    known = dict(zip(labels, handles, strict=True))
    figure.legend(known.values(), known.keys(), loc="outside upper center", ncols=len(known), frameon=False)
    figure.savefig(into, dpi=110)
    pyplot.close(figure)


def _draw_row(axes: Axes, height: int, figures: Figures) -> None:
    axes.barh(height, figures.default.later, height=0.5, color=OURS, alpha=0.5, label="objstore, nothing set")
    others = figures.by_hand.later, figures.obstore.later, figures.curls.later, figures.line
    for seconds, (label, (marker, colour)) in zip(others, MARKS.items(), strict=True):
        hollow = "none" if marker == "o" else colour
        axes.plot(seconds, height, marker, color=colour, markerfacecolor=hollow, markersize=8, label=label, ls="")


def _dress(axes: Axes, profile: Profile) -> None:
    loss = f", {profile.loss_ppm / 10_000} % lost" if profile.loss_ppm else ""
    axes.set_title(f"{profile.round_trip_ms} ms, {profile.mbit / 1000:g} Gbit/s{loss}")
    axes.set_xscale("log")
    axes.set_xlim(left=0.01)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} s")
    axes.set_xlabel("a call after the first, median")
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
