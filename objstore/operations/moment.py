"""Whether what was asked a moment ago is as good as if it were asked now."""

from __future__ import annotations

from time import monotonic

from objstore.http.stats import last_write

FRESH = 0.25
"""For how many seconds it is, while this process writes nothing: who is faster gains by it."""


class Moment:
    """When something was asked."""

    __slots__ = ("_at", "_written")

    def __init__(self) -> None:
        self._at = monotonic()
        self._written = last_write()

    @property
    def age(self) -> float:
        """How long it is ago, in parts of `FRESH`."""
        return (monotonic() - self._at) / FRESH

    @property
    def is_fresh(self) -> bool:
        """Whether what was asked then is as good as if it were asked now."""
        return self.age < 1 and last_write() is self._written
