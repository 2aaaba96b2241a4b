"""What a file holds of the object that it reads: the blocks last fetched, and how much the next fetch is to bring.

Formats keep what tells of their content at a file's beginning, at its end and in between, and go to and fro: a few
blocks are held, and what is read near the end brings the end as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from objstore._core import Bytes

MOST_AHEAD = 32 << 20
"""The most that sequential reads fetch ahead: they begin with the buffer's size and double it."""

LEAST_AHEAD = 128 << 10
"""What reads here and there fetch at the least: it takes no longer than a request does."""

TAIL = 128 << 10
"""How much stays of a block that sequential reads have come to the end of: who looks for the end of a line or a record
goes back a little."""

HELD = 4
"""How many blocks are held, the last one and others that are no larger than the buffer."""


class Block:
    """Bytes of the object, from a place on."""

    __slots__ = ("at", "end", "memory")

    def __init__(self) -> None:
        self.memory = bytearray()  # used again for the next one: fresh memory costs more than the copy out of it
        self.at = self.end = 0

    def tail(self, at: int) -> bytes:
        """Return what stays of it while reading goes on at this place: nothing, unless it ends there."""
        size = min(TAIL, at - self.at) if self.end == at else 0
        return bytes(memoryview(self.memory)[at - self.at - size : at - self.at]) if size else b""

    def prepare(self, start: int, end: int, tail: bytes) -> memoryview:
        """Return the memory to be filled with what is between two places, behind what was in front of it."""
        size = len(tail) + end - start
        if size > len(self.memory):
            self.memory = bytearray(size)
        self.memory[: len(tail)] = tail
        self.at, self.end = start - len(tail), start
        return memoryview(self.memory)[len(tail) : size]

    def has(self, at: int) -> bool:
        """Tell whether the byte at this place is here."""
        return self.at <= at < self.end


class Blocks:
    """The blocks of one reader.

    Args:
        buffer_size: What the first small read fetches, in bytes.
        size: The size of the object.
        piece: Where a piece of the object begins that is here already, and its bytes.
    """

    def __init__(self, buffer_size: int, size: int, piece: tuple[int, Bytes | bytes] = (0, b"")) -> None:
        self._buffer_size = buffer_size
        self._least = min(LEAST_AHEAD, buffer_size)
        self._size = size
        self._window = 0
        self._end = 0  # of what was last fetched: who reads on from there reads sequentially
        self._last = Block()
        self._others: list[Block] = []
        at, here = piece
        if here:
            self._last.at, self._last.memory = at, bytearray(here)
            self.filled(at, len(here), max(buffer_size // 2, len(here)))

    def clear(self) -> None:
        """Let go of all of them."""
        self._last, self._others = Block(), []

    def ready(self, at: int) -> int:
        """Return how many bytes are here already, from this place on."""
        if not self._last.has(at):
            found = next((block for block in self._others if block.has(at)), None)
            if found is None:
                return 0
            self._others.remove(found)
            self._hold()
            self._last = found
        return self._last.end - at

    def view(self, at: int, size: int) -> memoryview:
        """Return bytes that `ready` has just told of."""
        start = at - self._last.at
        return memoryview(self._last.memory)[start : start + size]

    def line(self, at: int, most: int) -> int:
        """Return how many of the bytes that are here, and of `most`, are left of the line."""
        start = at - self._last.at
        stop = start + min(most, self.ready(at))
        return (self._last.memory.find(b"\n", start, stop) + 1 or stop) - start

    def window(self, at: int) -> int:
        """Return how much a read at this place fetches at the least.

        It doubles where reads go on from each other, and halves where they do not: those want less and less besides.
        """
        if not self._window:
            return self._buffer_size
        if at == self._end:
            return min(self._window * 2, max(self._buffer_size, MOST_AHEAD))
        return max(min(self._window // 2, self._buffer_size), self._least)

    def begin(self, at: int) -> tuple[int, memoryview]:
        """Return where a new last block begins, that has this place, and its memory, to be filled."""
        start, end = at, min(at + self.window(at), self._size)
        tail = b""
        if at == self._end:
            tail = self._last.tail(at)
        else:
            self._hold()
            self._last = self._others.pop(0) if len(self._others) >= HELD else Block()
            if end - at < self._least:
                start = max(end - self._least, 0)
        return start, self._last.prepare(start, end, tail)

    def filled(self, start: int, size: int, window: int) -> None:
        """Note that the last block is there."""
        self._last.end = start + size
        self.fetched(start, size, window)

    def fetched(self, start: int, size: int, window: int) -> None:
        """Note what has been fetched, and the window that it was by."""
        self._window, self._end = window, start + size

    def _hold(self) -> None:
        """Put the last block to the others, if it is worth it."""
        if 0 < self._last.end - self._last.at <= self._buffer_size + TAIL:
            self._others.append(self._last)
