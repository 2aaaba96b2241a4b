"""What a file holds of the object that it reads: the blocks last fetched, and how much the next fetch is to bring.

Formats keep what tells of their content at a file's beginning, at its end and in between, and go to and fro: blocks are
held, and what is read near the end brings the end as a whole.

Reads that go on from each other fetch more and more. Others fetch little more than what they ask for, unless those
before them found what they wanted next to each other.

Its one invariant: of a file whose reader does not begin at its beginning, no more is fetched than what it asks for and
half of that again, or `SPARE`. It has an index, as that at the end of a Parquet file, and leaves out what it does not
want.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.interface.values import Range
from objstore.operations.ahead import Beyond

if TYPE_CHECKING:
    from objstore._core import Bytes

MOST_AHEAD = 32 << 20
"""The most that sequential reads fetch ahead: they begin with the buffer's size and double it."""

LEAST_AHEAD = 128 << 10
"""What comes of a file as it is opened; and how near to each other reads are that may be served by one fetch."""

INDEX = 64 << 10
"""What comes of a file's end where its index is there: what pyarrow reads of a Parquet file first."""

SPARE = 48 << 10
"""How much may be fetched in vain of a file that has an index, however little is asked for."""

UNSPARED = 96 << 10
"""What is taken off from the half of what is asked for, before that is more than `SPARE`: an index is larger than what
is wanted of it, and often comes twice."""

CLOSE = 16 << 10
"""What reads here and there fetch at the least, where no index tells what is wanted: headers are followed by others."""

TAIL = 128 << 10
"""How much stays of a block that sequential reads have come to the end of: who looks for the end of a line or a record
goes back a little."""

HELD, HELD_BYTES = 32, 4 << 20
"""How many blocks are held besides the last one, and about how much memory they have."""


INDEXED = (".npz", ".orc", ".parq", ".parquet", ".pq", ".zip")
"""How the names of files end that have an index at their end."""


def first_piece(path: str, buffer_size: int) -> Range:
    """Return which piece of a file to ask for as it is opened: what is read of it first."""
    if path.lower().endswith(INDEXED):
        return Range(end=min(INDEX, buffer_size))
    return Range(0, min(LEAST_AHEAD, buffer_size))


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
    """

    def __init__(self, buffer_size: int, size: int, piece: tuple[int, Bytes | bytes] = (0, b"")) -> None:
        self._buffer_size = buffer_size
        self._least = self._near = min(LEAST_AHEAD, buffer_size)
        self._size = size
        self._indexed: bool | None = None  # nothing has been read yet
        self._of_end = 0  # how much comes of the end, where some of that is wanted
        self._window = 0  # of the last fetch
        self._start = self._first = self._reach = self._end = -1  # of fetches that go on from each other, see `_go`
        self._fetched = self._asked = 0  # how many bytes
        self._last = Block()
        self._beyond = Beyond()
        self._others: list[Block] = []
        at, here = piece
        if here:
            self._last.at, self._last.memory = at, bytearray(here)
            self._start = self._reach = at
            self._first = at + len(here)
            self.filled(at, len(here))

    def clear(self) -> None:
        """Let go of all of them."""
        self._last, self._others = Block(), []
        self._beyond.end()

    def ready(self, at: int) -> int:
        """Return how many bytes are here already, from this place on."""
        if self._indexed is None:
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
        self._indexed = at > 0
        self._of_end = INDEX if self._indexed else self._least
        if self._indexed and self._last.end == self._size and self._last.has(at):
            self._take_end()

    def _take_end(self) -> None:
        """Note that the end is here, and all of it is wanted."""
        self._of_end = 0
        self._ask(self._last.unasked)

    def _ask(self, size: int) -> None:
        """Note that so many bytes of the last block are asked for, unless they have been before."""
        asked = min(size, self._last.unasked)
        self._last.unasked -= asked
        self._asked += asked

    def view(self, at: int, size: int) -> memoryview:
        """Return bytes that `ready` has just told of."""
        self._ask(size)
        if self._start <= at <= self._end:
            self._reach = max(self._reach, at + size)
        start = at - self._last.at
        return memoryview(self._last.memory)[start : start + size]

    def goes_on(self, at: int) -> bool:
        """Tell whether a read goes on where the last one ended."""
        return self._start < at == self._reach

    def line(self, at: int, most: int) -> int:
        """Return how many of the bytes that are here, and of `most`, are left of the line."""
        start = at - self._last.at
        stop = start + min(most, self.ready(at))
        return (self._last.memory.find(b"\n", start, stop) + 1 or stop) - start

    def is_direct(self, at: int, size: int) -> bool:
        """Tell whether a read goes straight to its destination: it is large, and nothing is fetched besides."""
        return size >= self._least and self._to_fetch(at, size) <= size

    def _to_fetch(self, at: int, size: int) -> int:
        """Return how much a read fetches that asks for so many bytes, unless the object ends before."""
        wanted = self._following(at) if self._follows(at) else self._nearby(at)
        return max(min(wanted, size + self._spare(at, size)) if self._indexed else wanted, size)

    def _spare(self, at: int, size: int) -> int:
        """Return how much may come along with a read, of a file that has an index; more if it is close to the last."""
        gap = at - (self._end if at >= self._end else self._start)
        most = self._asked // 2 - UNSPARED if -size <= gap <= size // 2 else 0
        row = (self._reach - self._start) // 2 if at == self._end else 0
        return max(row, max(SPARE, most) - (self._fetched - self._asked))

    def _follows(self, at: int) -> bool:
        """Tell whether a read goes on from the last one, or leaves out a little."""
        return self._end >= 0 and 0 <= at - self._end <= self._least

    def _precedes(self, at: int) -> bool:
        """Tell whether a read is of what is just before what was read last."""
        return 0 < self._start - at <= self._least

    def _following(self, at: int) -> int:
        """Return the window of a read that goes on from the last one: twice that."""
        least = self._buffer_size if at == self._end and self._window >= self._least else 0
        return min(max(self._window * 2, least), max(self._buffer_size, MOST_AHEAD))

    def _nearby(self, at: int) -> int:
        """Return the window of a read elsewhere: what reads close to each other came to lately."""
        if self._end < 0:
            return self._least if at else self._buffer_size
        if self._precedes(at):
            return max(min(self._near * 2, self._least), self._start - at)
        near = (self._reach - self._start) * 2 if self._reach > self._first else self._near // 2
        return min(max(near, 0 if self._indexed else CLOSE), self._least)

    def begin(self, at: int, size: int) -> tuple[int, memoryview]:
        """Return where a new last block begins, for a read of so many bytes, and its memory, to be filled."""
        amount = self._granted(size, self._to_fetch(at, size))
        start, end = at, min(at + amount, self._size)
        tail = b""
        if at == self._end:
            tail = self._last.tail(at)
        else:
            start, end = self._around(at, size, amount)
            self._hold()
            self._last = self._fresh()
        self._go(at, size)
        return start, self._last.prepare(start, end, tail)

    def _granted(self, size: int, amount: int) -> int:
        """Return how much to fetch for a read of so many bytes: beyond the buffer, what the process has for it."""
        most = max(size, self._buffer_size)
        if amount > most:
            most = max(most, self._buffer_size + self._beyond.reach(amount - self._buffer_size))
        return min(amount, most)

    def _around(self, at: int, size: int, amount: int) -> tuple[int, int]:
        """Return from where to where to fetch for a read elsewhere: up to what is here, or to the end."""
        end = min(at + amount, self._size)
        if self._precedes(at):
            end = max(min(end, self._start), at + size)
            return min(at, max(end - amount, 0)), end
        if end == self._size:
            return max(min(at, end - self._of_end), 0), end
        return at, end

    def _go(self, at: int, size: int) -> None:
        """Note that a read of so many bytes is fetched, which may begin a row of those that go on from each other."""
        if not self._follows(at):
            self._near = self._nearby(at)
        if at != self._end:
            self._start = self._reach = at
            self._first = at + size

    def filled(self, start: int, size: int) -> None:
        """Note that the last block is there."""
        self._last.end = start + size
        self._last.unasked = size
        self._note(start, size)
        if self._indexed and self._of_end and self._end == self._size:
            self._take_end()

    def fetched(self, start: int, size: int) -> None:
        """Note that a read has been fetched to its destination."""
        self._go(start, size)
        self._note(start, size)
        self._reach = self._end
        self._asked += size

    def _note(self, start: int, size: int) -> None:
        grown = self._window * 2 if self._follows(start) else 0
        self._window = min(size, max(grown, self._buffer_size))
        self._end = start + size
        self._fetched += size

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
