"""How many local files operations have open at a time: what waits for a descriptor waits, it does not fail.

Its one invariant: nobody who has a file open waits here for another one, so that those who wait are let in.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import time
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from objstore._core import drop_idle_connections
from objstore.plans.effects import Plan, Sleep

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from objstore.plans.work import Work

T = TypeVar("T")

PART = 8
"""Which part of the descriptors of this process is for files: connections and loops have most of the others."""

SHORTLY, AT_LAST = 0.005, 0.25
"""After how many seconds to look again at first, and later."""

PATIENCE = 10
"""For how many seconds to try again to open a file, where connections and others have all descriptors."""


def most_open() -> int:
    """Return how many files there may be open, by the limit of descriptors as it is now; one at the least."""
    return max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // PART, 2)


class _Room:
    """The files of this process that are open."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Count from nothing, as in a child process: whoever had files open is not in it, nor lets go of the lock."""
        self._lock = Lock()
        self.taken = 0

    def takes(self, files: int = 1) -> bool:
        """Let so many files in, if there is room for them."""
        with self._lock:
            if self.taken + files > most_open():
                return False
            self.taken += files
            return True

    def leave(self, files: int) -> None:
        """Let go of so many."""
        with self._lock:
            self.taken = max(self.taken - files, 0)  # in a child, what was taken before the fork is not counted


room = _Room()
os.register_at_fork(after_in_child=room.begin_anew)


class Place:
    """The places of some files: entered with what they are opened by, and left with it."""

    def __init__(self) -> None:
        self.files = 0

    def take(self, files: int = 1) -> Plan[None]:
        """Wait until there is room for the first files."""
        pause = SHORTLY
        while not self.more(files):
            yield Sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, AT_LAST)

    def more(self, files: int = 1) -> bool:
        """Tell whether there is room for so many more files, which it then has."""
        taken = room.takes(files)
        self.files += files if taken else 0
        return taken

    def __enter__(self) -> Place:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the places."""
        room.leave(self.files)
        self.files = 0


def insist(opening: Callable[[], T], closing: Callable[[], None] | None = None) -> Work[T]:
    """Open files; where others have all descriptors at the moment, close what has been opened, and try again soon."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return opening()
        except OSError as error:
            if error.errno != errno.EMFILE or time.monotonic() > until:
                raise
        if closing is not None:
            closing()
        drop_idle_connections()
        time.sleep(SHORTLY * random.uniform(0.5, 1))
        yield
