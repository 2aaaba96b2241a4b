"""How far streams and files read ahead of those who take from them, each for itself and all of a process together.

A reader that finds nothing when it asks is faster than what comes: twice as much is fetched ahead. One that has found
all it asked for, for as long as what is ahead lasts, is slower: half of it will do. Where many wait because the line is
full, more ahead brings none of them more: beyond two parts each, all streams together hold what the line is worth.

Its one invariant: what somebody waits for is always granted; all beyond that only within `configure(memory_limit=...)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.disk.held import process
from objstore.interface.values import FIRST

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.interface.values import Pace

READ_AHEAD = 64 << 20
"""How many bytes a stream fetches at the most before they are asked for, where nobody says how many."""

SHARED = 64 << 20
"""How much all streams may hold beyond two parts each, on any line."""

LINES = 2
"""How much of what a line has under way at a time that may be, where it is more."""

AT_FIRST = 4
"""How many times what the line has under way at a time a stream may hold as it begins from afar: half of it is in
flight, and some of that comes out of turn."""

OF_FILES = 256 << 20
"""How much all files may hold beyond the buffer of each."""

LEAST_FIRST = 64 << 10
"""How much of an object comes at once, in any case."""

WAITS, LEAST_S = 4, 0.002
"""How many times the wait for a reply one request is to last at the least, and how many seconds."""

LEAST_PIECE = 1 << 20
"""The least that one request brings of what is fetched ahead: less would share a connection of HTTP/2 with others."""


def piece_of(part: int, pace: Pace) -> int:
    """Return how much of a part one request brings: little, where one connection takes long for it, and others can
    bring the rest meanwhile."""
    if pace.alone is not None:
        least = max(pace.alone * max(WAITS * pace.wait, LEAST_S), LEAST_PIECE)
        while part % 2 == 0 and part // 2 >= least:
            part //= 2
    return part


def first_of(read_ahead: int | None) -> int:
    """Return how much of an object comes before anybody has read of it: little, where it may hold little or memory is
    short."""
    most = min(process.room, FIRST if read_ahead is None else read_ahead)
    return FIRST if most >= FIRST else LEAST_FIRST


class Ahead:
    """What one stream may hold of what nobody has asked for yet: at first two parts, or what the line is worth; a piece
    where memory is short.

    Args:
        part: Two of these it may hold for as long as it lasts, as far as memory goes.
        piece: How much one request brings.
        most: How much it may hold at the most; a piece in any case.
        pace: Tells what the line was lately seen to do.
    """

    def __init__(self, part: int, piece: int, most: int, pace: Callable[[], Pace]) -> None:
        self.window = 0
        self._pace = pace
        self._least = 2 * part
        self._piece = piece
        self._most = max(most, piece)
        self._found = 0  # how many pieces in a row were there when they were asked for

    def begin(self) -> None:
        """Hold something from now on."""
        self.window = self._piece
        process.count(self._piece)
        self._set(self._least)
        self._set(max(self._least, int(AT_FIRST * self._pace().wait_is_worth)))

    def asked(self, *, here: bool) -> bool:
        """Note whether a piece was there when it was asked for; return whether the window is another now."""
        before = self.window
        self._found = self._found + 1 if here else 0
        if not here:
            self._set(2 * self.window)
        elif self._found * self._piece >= self.window:
            self._found = 0
            self._set(max(self.window // 2, min(self._least, self.window)))
        return self.window != before

    def end(self) -> None:
        """Give all back."""
        process.count(-self.window, -self._spare(self.window))
        self.window = 0

    def _set(self, window: int) -> None:
        window = min(window, self._most)
        more, spare = window - self.window, self._spare(window) - self._spare(self.window)
        if more <= 0:
            process.count(more, spare)
        elif not process.grants(more, spare, self._shared() if spare else 0):
            return
        self.window = window

    def _spare(self, window: int) -> int:
        """Return what of a window is beyond two parts."""
        return max(window - self._least, 0)

    def _shared(self) -> int:
        """Return how much all streams may hold beyond two parts each, on a line like this."""
        pace = self._pace()
        return max(SHARED, int(LINES * pace.wait * pace.bytes_per_second))

    def __del__(self) -> None:
        self.end()


class Beyond:
    """What one file holds beyond its buffer: the memory of its largest fetch, which serves again for the next."""

    def __init__(self) -> None:
        self.size = 0

    def reach(self, size: int) -> int:
        """Hold so many bytes, if there may be as many; return how many there are."""
        more = size - self.size
        if more > 0 and process.grants_file(more, OF_FILES):
            self.size = size
        return self.size

    def end(self) -> None:
        """Give all back."""
        process.count(-self.size, of_files=-self.size)
        self.size = 0

    def __del__(self) -> None:
        self.end()
