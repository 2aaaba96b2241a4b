"""Figures and bars."""

from __future__ import annotations

from dataclasses import dataclass

Figures = dict[str, float]
"""What a row measured, by names that its bars have too."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure must reach, and how it is written."""

    goal: float
    form: str = "{:.0f}"
    at_most: bool = True

    def met(self, figure: float) -> bool:
        return figure <= self.goal if self.at_most else figure >= self.goal

    def __str__(self) -> str:
        sign = "=" if self.goal == 0 and self.at_most else "<=" if self.at_most else ">="
        return f"{sign} {self.form.format(self.goal)}"


def at_most(goal: float, form: str = "{:.0f}") -> Bar:
    return Bar(goal, form)


def at_least(goal: float, form: str = "{:.0f}") -> Bar:
    return Bar(goal, form, at_most=False)


NONE = Bar(0)
SECONDS = "{:.2f} s"
SHARE = "{:.1%}"
