"""How far streams read ahead of those who take from them, each for itself and all of a process together.

A reader that finds nothing when it asks is faster than what comes: twice as much is fetched ahead. One that has found
all it asked for, for as long as what is ahead lasts, is slower: half of it will do.

Its one invariant: what somebody waits for is always granted; all beyond that only within `configure(memory_limit=...)`.
"""

from __future__ import annotations

from threading import RLock

from objstore._core import memory_limit


class _Process:
    """What the streams of this process hold together."""

    def __init__(self) -> None:
        self._lock = RLock()  # the collector may end a stream while another one counts
        self.held = 0

    def count(self, more: int, most: int | None = None) -> bool:
        """Count so many bytes, unless that would be more than there may be."""
        with self._lock:
            if most is not None and self.held + more > most:
                return False
            self.held += more
            return True


process = _Process()


class Ahead:
    """What one stream may hold of what nobody has asked for yet: at first two parts, or one where memory is short.

    Args:
        part: How much one request brings.
        most: How much it may hold at the most; a part in any case.
    """

    def __init__(self, part: int, most: int) -> None:
        self.window = 0
        self._part = part
        self._most = max(most, part)
        self._found = 0  # how many parts in a row were there when they were asked for

    def begin(self) -> None:
        """Hold something from now on."""
        self.window = self._part
        process.count(self._part)
        self._set(2 * self._part)

    def asked(self, *, here: bool) -> bool:
        """Note whether a part was there when it was asked for; return whether the window is another now."""
        before = self.window
        self._found = self._found + 1 if here else 0
        if not here:
            self._set(2 * self.window)
        elif self._found * self._part >= self.window:
            self._found = 0
            self._set(max(self.window // 2, min(2 * self._part, self.window)))
        return self.window != before

    def end(self) -> None:
        """Give all back."""
        process.count(-self.window)
        self.window = 0

    def _set(self, window: int) -> None:
        window = min(window, self._most)
        if window < self.window or process.count(window - self.window, memory_limit()):
            if window < self.window:
                process.count(window - self.window)
            self.window = window

    def __del__(self) -> None:
        self.end()
