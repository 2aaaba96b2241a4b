"""How many bytes what is under way holds before anybody has asked for them, all of a process together.

Its one invariant: beyond what is always granted, no more than `configure(memory_limit=...)` says.
"""

from __future__ import annotations

import os
from threading import RLock

from objstore._core import memory_limit

GRANTED = 1 << 20
"""How many bytes of a body are in memory in any case."""


class _Process:
    """What the streams, files and bodies of this process hold together."""

    def __init__(self) -> None:
        self.free()
        self.held = 0
        self.spare = 0  # of it, what is beyond two parts of each stream
        self.of_files = 0  # of it, what is beyond the buffer of each file

    def free(self) -> None:
        """Have nobody count, as in a child process, where no other thread goes on."""
        self._lock = RLock()  # the collector may end a stream while another one counts

    @property
    def room(self) -> int:
        """How many bytes more there may be."""
        return max(memory_limit() - self.held, 0)

    def count(self, more: int, spare: int = 0, of_files: int = 0) -> None:
        """Count so many bytes, how many of them streams have to spare, and how many are of files."""
        with self._lock:
            self.held += more
            self.spare += spare
            self.of_files += of_files

    def grants(self, more: int, spare: int = 0, most_spare: int = 0) -> bool:
        """Count so many bytes, unless that would be more than there may be."""
        with self._lock:
            if self.held + more > memory_limit() or (spare and self.spare + spare > most_spare):
                return False
            self.count(more, spare)
            return True

    def grants_file(self, more: int, most: int) -> bool:
        """Count so many bytes of a file, unless that would be more than there may be."""
        with self._lock:
            if self.held + more > memory_limit() or self.of_files + more > most:
                return False
            self.count(more, of_files=more)
            return True


process = _Process()
os.register_at_fork(after_in_child=process.free)


class Held:
    """The bytes of one body that are in memory; they count for as long as somebody has this."""

    def __init__(self, size: int = 0) -> None:
        self.size = size
        process.count(size)

    def reaches(self, size: int) -> bool:
        """Tell whether so many bytes may be in memory, which then count: up to twice as many as are wanted."""
        for wanted in (2 * size, size):
            if size <= max(self.size, GRANTED):
                return True
            if process.grants(wanted - self.size):
                self.size = wanted
        return size <= self.size

    def end(self) -> None:
        """Have them count no more."""
        process.count(-self.size)
        self.size = 0

    def __del__(self) -> None:
        self.end()
