"""What a file holds of the object that it reads: the blocks last fetched.

Formats keep what tells of their content at a file's beginning, at its end and in between, and go to and fro: blocks are
held, and what is read near the end brings the end as a whole. How much a fetch brings is for `Window` to say.

Its one invariant: what a block has is what the object has between two places, and nothing is taken from elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.interface.values import Range
from objstore.operations.ahead import Beyond
from objstore.operations.window import INDEX, LEAST_AHEAD, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore._core import Bytes
    from objstore.operations.window import Account

TAIL = 128 << 10
"""How much stays of a block that sequential reads have come to the end of: who looks for the end of a line or a record
goes back a little."""

HELD, HELD_BYTES = 32, 4 << 20
"""How many blocks are held besides the last one, and about how much memory they have."""


INDEXED = (".npz", ".orc", ".parq", ".parquet", ".pq", ".zip")
"""How the names of files end that have an index at their end."""


def first_piece(path: str, buffer_size: int) -> Range:
    """Return which piece of a file to ask for as it is opened: what is read of it first."""
    if has_index(path):
        return Range(end=min(INDEX, buffer_size))
    return Range(0, min(LEAST_AHEAD, buffer_size))


def has_index(path: str) -> bool:
    """Tell whether a file is one that has an index at its end, by its name."""
    return path.lower().endswith(INDEXED)


class Block:
    """Bytes of the object, from a place on."""

    __slots__ = ("at", "end", "memory", "unasked")

    def __init__(self) -> None:
        self.unasked = 0  # how many bytes nobody has asked for
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
        buffer_size: What sequential reads begin with, in bytes.
        size: The size of the object.
        piece: Where a piece of the object begins that is here already, and its bytes.
        worth: Tells how many bytes come in the time that a reply takes to begin.
    """

    def __init__(
        self,
        buffer_size: int,
        size: int,
        piece: tuple[int, Bytes | bytes] = (0, b""),
        worth: Callable[[], float] = lambda: 0,
    ) -> None:
        self._buffer_size = buffer_size
        self._size = size
        self._window = Window(buffer_size, size, worth)
        self._last = Block()
        self._beyond = Beyond()
        self._others: list[Block] = []
        at, here = piece
        self._in_turn = 0 if at else len(here)  # up to where all has come, from the beginning on
        if here:
            self._last.at, self._last.memory = at, bytearray(here)
            self._last.end = at + len(here)
            self._last.unasked = len(here)
            self._window.opened(at, len(here))

    @property
    def account(self) -> Account:
        """What has been fetched, and asked for."""
        return self._window.account

    def clear(self) -> None:
        """Let go of all of them."""
        self._last, self._others = Block(), []
        self._beyond.end()

    def ready(self, at: int) -> int:
        """Return how many bytes are here already, from this place on."""
        if not self._window.begun:
            self._begin_at(at)
        if not self._last.has(at):
            found = next((block for block in self._others if block.has(at)), None)
            if found is None:
                return 0
            self._others.remove(found)
            self._hold()
            self._last = found
        return self._last.end - at

    def _begin_at(self, at: int) -> None:
        """Note where the reader begins: what is here of the end, for which it has come, counts as asked for."""
        self._window.begin_at(at)
        if at > 0 and self._last.end == self._size and self._last.has(at):
            self._take_end()

    def _take_end(self) -> None:
        """Note that the end is here, and all of it is wanted."""
        self._window.take_end()
        self._ask(self._last, self._last.unasked)

    def _ask(self, block: Block, size: int) -> None:
        """Note that so many bytes of a block are asked for, unless they have been before."""
        asked = min(size, block.unasked)
        block.unasked -= asked
        self.account.asked += asked

    def end_of(self, at: int, size: int) -> memoryview:
        """Return what is here of the end of a range whose beginning is not: until the next block is begun.

        Nothing while all is read from its beginning on: what comes then is compared with the checksum of the object.
        """
        if at in (0, self._in_turn):
            return memoryview(b"")
        end = at + size
        for block in (self._last, *self._others):
            if at < block.at < end <= block.end:
                self._ask(block, end - block.at)
                return memoryview(block.memory)[: end - block.at]
        return memoryview(b"")

    def view(self, at: int, size: int, wanted: int | None = None) -> memoryview:
        """Return bytes that `ready` has just told of; a buffer takes more of them than are wanted."""
        self._ask(self._last, size)
        self._window.taken(at, size if wanted is None else min(size, wanted))
        start = at - self._last.at
        return memoryview(self._last.memory)[start : start + size]

    def goes_on(self, at: int) -> bool:
        """Tell whether a read goes on where the last one ended."""
        return self._window.goes_on(at)

    def line(self, at: int, most: int) -> int:
        """Return how many of the bytes that are here, and of `most`, are left of the line."""
        start = at - self._last.at
        stop = start + min(most, self.ready(at))
        return (self._last.memory.find(b"\n", start, stop) + 1 or stop) - start

    def is_direct(self, at: int, size: int, *, is_ahead: bool = False) -> bool:
        """Tell whether a read goes straight to its destination: it is large, and nothing is fetched besides, or is
        already."""
        if is_ahead and size >= LEAST_AHEAD:
            return True
        return self._window.is_direct(at, size) and not self._wants_all(at)

    def begin(self, at: int, size: int, *, is_ahead: bool = False) -> tuple[int, memoryview]:
        """Return where a new last block begins, for a read of so many bytes, and its memory, to be filled; no more than
        the buffer has, where what follows is fetched ahead anyway."""
        tail = b""
        if at == self._window.end:
            tail = self._last.tail(at)
        else:
            self._hold()
            self._last = self._fresh()
        start, end = self._stretch(at, size, is_ahead=is_ahead)
        self._window.go(at, size)
        return start, self._last.prepare(start, end, tail)

    def _stretch(self, at: int, size: int, *, is_ahead: bool) -> tuple[int, int]:
        """Return from where to where to fetch for a read of so many bytes."""
        if self._wants_all(at):
            return 0, self._size
        wanted = self._window.to_fetch(at, size)
        if is_ahead:
            wanted = min(wanted, max(size, self._buffer_size))
        return self._window.stretch(at, size, self._granted(size, wanted))

    def _wants_all(self, at: int) -> bool:
        """Tell whether a read here is to fetch all of the file: it is worth it, and the process has room for it."""
        return self._window.wants_all(at) and self._beyond.reach(self._size) >= self._size

    def _granted(self, size: int, amount: int) -> int:
        """Return how much to fetch for a read of so many bytes: beyond the buffer, what the process has for it."""
        most = max(size, self._buffer_size)
        if amount > most:
            most = max(most, self._buffer_size + self._beyond.reach(amount - self._buffer_size))
        return min(amount, most)

    def filled(self, start: int, size: int) -> None:
        """Note that the last block is there."""
        self._last.end = start + size
        self._last.unasked = size
        self._goes_on(start, size)
        self._window.came(start, size)
        if self._window.wants_end:
            self._take_end()

    def fetched(self, start: int, size: int) -> None:
        """Note that a read has been fetched to its destination."""
        self._goes_on(start, size)
        self._window.came_to_reader(start, size)

    def _goes_on(self, start: int, size: int) -> None:
        """Note up to where all has come, where what comes goes on from the beginning."""
        if start in (0, self._in_turn):
            self._in_turn = start + size

    def _hold(self) -> None:
        """Put the last block to the others, if it is worth it."""
        if 0 < self._last.end - self._last.at <= self._buffer_size + TAIL:
            self._others.append(self._last)
        else:
            self._beyond.end()

    def _fresh(self) -> Block:
        """Return a block to be filled: the oldest, where enough are held."""
        full = len(self._others) >= HELD or sum(len(block.memory) for block in self._others) > HELD_BYTES
        return self._others.pop(0) if full else Block()
