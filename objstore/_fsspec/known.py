"""What has just been told of paths: others ask several things of each file in a row.

Its one invariant: an answer is given once more at the most, to another question, and for a short while: who asks the
same again is told what is there now. Nothing is kept over a write.
"""

from __future__ import annotations

from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 10_000
"""Of how many paths something is kept."""


class Known:
    """Answers that each serve one more question.

    Args:
        seconds: For how long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._forgotten = 0.0
        self._told: dict[str, tuple[float, dict[str, Any]]] = {}

    def note(self, entries: Iterable[dict[str, Any]], asked: float) -> None:
        """Keep what was told of paths, which was asked for at this time; not what may be from before a write."""
        until = asked + self._seconds
        if asked <= self._forgotten:
            return
        new = {entry["name"]: (until, entry) for entry in islice(entries, MOST)}
        if len(self._told) + len(new) > MOST:
            self._told.clear()
        self._told.update(new)

    def take(self, name: str) -> dict[str, Any] | None:
        """Return what was told of a path, and keep it no longer."""
        until, entry = self._told.pop(name, (0.0, None))
        return entry if monotonic() < until else None

    def forget(self) -> None:
        """Keep nothing of what was asked for until now."""
        self._forgotten = monotonic()
        self._told.clear()
