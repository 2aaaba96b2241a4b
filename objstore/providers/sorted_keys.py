"""Keys in order, at a cost that follows from what has changed since somebody last looked.

Its one invariant: `in_order` gives every key that was added and not removed, once.
"""

from __future__ import annotations

from bisect import bisect_left


class SortedKeys:
    """A set of keys that is rarely looked at in order, and then often page by page."""

    def __init__(self) -> None:
        self._sorted: list[str] = []
        self._added: set[str] = set()
        self._removed: set[str] = set()

    def add(self, key: str) -> None:
        """Add a key that is not there."""
        if key in self._removed:
            self._removed.remove(key)
        else:
            self._added.add(key)

    def remove(self, key: str) -> None:
        """Remove a key that is there."""
        if key in self._added:
            self._added.remove(key)
        else:
            self._removed.add(key)

    def in_order(self) -> list[str]:
        """Return the keys in the order of their characters, which is that of their UTF-8 too."""
        if self._removed:
            self._sorted = [key for key in self._sorted if key not in self._removed]
            self._removed.clear()
        if self._added:
            self._sorted += sorted(self._added)
            self._sorted.sort()  # two runs in order are merged
            self._added.clear()
        return self._sorted


def first_behind(keys: list[str], prefix: str, start: int) -> int:
    """Return the index of the first of sorted keys behind all that begin with a prefix, of which one is at `start`."""
    step = 1
    while start + step < len(keys) and keys[start + step].startswith(prefix):
        step *= 2
    return bisect_left(keys, True, start, min(start + step, len(keys)), key=lambda key: not key.startswith(prefix))
