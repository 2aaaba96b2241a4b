"""Forked children: run some at once, and look how each ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

TICK = 0.005
PAGE = os.sysconf("SC_PAGE_SIZE")
MEMORY = 1 << 30  # bytes resident, from which on a child is killed


class End(NamedTuple):
    """How a child ended.

    Args:
        what: ``well``, ``error`` (another status than 0), ``crash`` (a signal), ``hang`` or ``memory`` (killed by us).
        memory: The most it had resident, in bytes.
    """

    what: str
    memory: int = 0

    @property
    def bad(self) -> bool:
        return self.what != "well"


def children(
    work: Mapping[str, Callable[[], None]], *, at_once: int, limit: float, fewest_hangs_to_stop: int = 1000
) -> dict[str, End]:
    """Call each function in a child and return how they ended."""
    waiting, running, ends = dict(work), {}, {}
    while running or waiting:
        if sum(end.what == "hang" for end in ends.values()) >= fewest_hangs_to_stop:
            waiting.clear()
        while waiting and len(running) < at_once:
            name, function = waiting.popitem()
            running[begin(function)] = name, time.monotonic()
        for pid, (name, begun) in list(running.items()):
            end = look(pid, kill="hang" if time.monotonic() - begun > limit else "memory" if is_large(pid) else "")
            if end:
                ends[name] = end
                del running[pid]
        time.sleep(TICK)
    return ends


def begin(function: Callable[[], None]) -> int:
    """Fork; the child calls the function and leaves by sys.exit, so that the interpreter takes itself apart."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        function()
        sys.exit(0)
    return pid


def look(pid: int, kill: str = "") -> End | None:
    """Return how the child ended, None if it has not; kill it for the reason that is given."""
    ended, status, usage = os.wait4(pid, os.WNOHANG)
    if ended:
        code = os.waitstatus_to_exitcode(status)
        return End("well" if code == 0 else "error" if code > 0 else "crash", usage.ru_maxrss << 10)
    if kill:
        os.kill(pid, signal.SIGKILL)
        return End(kill, os.wait4(pid, 0)[2].ru_maxrss << 10)
    return None


def is_large(pid: int) -> bool:
    """Whether a process has more memory resident than it may (proc(5), statm)."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE > MEMORY
    return False
