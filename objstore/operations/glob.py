"""Patterns of paths, as shells have them: which listings can hold a match, and whether a path is one.

Its one invariant: whatever `matches` accepts lies in the levels or below the beginning that a pattern names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_WILD = re.compile(r"[*?\[]")
_RANGE = re.compile(r"(.)(?:-(.))?", re.DOTALL)
_TOKEN = re.compile(r"\*+|\?|\[!?+\]?+[^\]]*\]|.", re.DOTALL)


def is_pattern(text: str) -> bool:
    """Tell whether a path has wildcards."""
    return _WILD.search(text) is not None


@dataclass(frozen=True)
class Segment:
    """A pattern for one segment of a path."""

    text: str

    @property
    def beginning(self) -> str:
        """What every match begins with."""
        wild = _WILD.search(self.text)
        return self.text if wild is None else self.text[: wild.start()]

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(_translated(self.text), re.DOTALL)

    def matches(self, name: str) -> bool:
        """Tell whether a segment of a path is a match."""
        return self._expression.fullmatch(name) is not None


@dataclass(frozen=True)
class Pattern:
    """A pattern for whole paths.

    Args:
        folder: What comes before the first segment with a wildcard: empty, or with a slash at its end.
        segments: The rest.
    """

    folder: str
    segments: tuple[Segment, ...]

    @classmethod
    def of(cls, text: str) -> Pattern:
        """Read a pattern.

        Raises:
            ValueError: It is empty, or has ``**`` within a segment.
        """
        if not isinstance(text, str):
            raise TypeError(f"the pattern {text!r} is of the type {type(text).__name__}: give a str")
        parts = text.removeprefix("/").split("/")
        if parts == [""]:
            raise ValueError("the pattern is empty: give '**' for all objects")
        if any("**" in part and part != "**" for part in parts):
            raise ValueError(f"{text!r} has '**' within a segment: give '*' there, or '**' between two slashes")
        plain = next((at for at, part in enumerate(parts) if _WILD.search(part)), len(parts) - 1)
        return cls("".join(f"{part}/" for part in parts[:plain]), tuple(map(Segment, parts[plain:])))

    @property
    def is_deep(self) -> bool:
        """Whether matches may lie at any depth."""
        return any(segment.text == "**" for segment in self.segments)

    @property
    def beginning(self) -> str:
        """What every match begins with."""
        return self.folder + ("" if self.segments[0].text == "**" else self.segments[0].beginning)

    @property
    def levels(self) -> Sequence[Segment]:
        """The patterns of the levels on the way to the objects."""
        return self.segments[:-1]

    @property
    def last(self) -> Segment:
        """The pattern of the objects' own names."""
        return self.segments[-1]

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        *upper, last = (segment.text for segment in self.segments)
        expression = "".join("(?:.*/)?" if text == "**" else _translated(text) + "/" for text in upper)
        return re.compile(
            re.escape(self.folder) + expression + (".+" if last == "**" else _translated(last)), re.DOTALL
        )

    def matches(self, path: str) -> bool:
        """Tell whether a path is a match."""
        return self._expression.fullmatch(path) is not None


def _translated(text: str) -> str:
    """Return the regular expression of one segment."""
    return "".join(map(_token, _TOKEN.findall(text)))


def _token(token: str) -> str:
    if token[0] == "*":
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if token[0] == "[" and token != "[":
        return _letters(token[1:-1])
    return re.escape(token)


def _letters(text: str) -> str:
    """Return the regular expression of one letter of those between brackets: a range that ends before it begins is
    empty, as in fnmatch (POSIX leaves it open)."""
    ranges = [(first, last or first) for first, last in _RANGE.findall(text.removeprefix("!"))]
    inside = "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in ranges if first <= last)
    if text[0] == "!":
        return f"[^/{inside}]"
    return f"(?!/)[{inside}]" if inside else "(?!)"
