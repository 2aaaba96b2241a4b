"""Many reads of files under way: the engine's reader, driven by a few threads while somebody waits.

Its one invariant: nothing is read before somebody waits, and nothing after: a step ends with all its threads.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, suppress
from threading import Thread
from typing import TYPE_CHECKING

from objstore._core import Bytes, FileReads, may_have_threads
from objstore.disk.room import insist
from objstore.exceptions import BaseError
from objstore.interface.values import ANY, Conditions, Range, Read, Reads, Seen
from objstore.plans.effects import Call, Plan
from objstore.plans.work import AT_A_TIME, at_once
from objstore.providers.local.root import READ, STORE, Root, Version, as_error, check_key, reported
from objstore.providers.preconditions import begins_after_the_end, check_conditions, does_not_fit

if TYPE_CHECKING:
    from objstore.types import ObjectMeta

MOST_THREADS = 4
WORTH_A_THREAD = 4 << 20
"""How many bytes, and how many reads, keep a thread busy for longer than it takes to start one."""
READS_WORTH_A_THREAD = 128
UNBOUNDED = 1 << 62
LOOK = Range(0, 0)
"""The range of a read that brings metadata only."""


class Reading:
    """Many reads under way.

    Args:
        root: Where the files are.
        reads: What to read.
        conditions: What must hold for each.
        most_in_flight: How many threads may read.
        window: How many bytes a step may read, beyond those of one read for each thread; 0 for any number.
    """

    unversioned = False
    cuts = of_parts = 0

    def __init__(self, root: Root, reads: Reads, conditions: Conditions, most_in_flight: int, window: int) -> None:
        self.errors: dict[int, BaseError] = {}
        self.total = len(reads)
        self.settled = 0
        self.bytes_sent = 0
        self._root = root
        self._all = reads
        self._conditions = conditions
        self._most_threads = min(most_in_flight or MOST_THREADS, MOST_THREADS, _cores())
        self._window = window
        self._told = 0
        self._closed = False
        self._reads = FileReads()
        self._add(reads)

    def _add(self, reads: Reads) -> None:
        add, before, path = self._reads.add, None, b""
        for key, (start, end), target in reads:  # thousands at a time
            if key != before:
                check_key(key)
                before, path = key, key.encode()
            if target is None:
                add(path, start, end)
            else:
                add(path, start, end, *target)

    @property
    def over(self) -> bool:
        """Whether all are done."""
        return self.settled == self.total

    @property
    def bytes_received(self) -> int:
        """How many bytes have been read."""
        return self._reads.bytes_received

    @property
    def mixed(self) -> bool:
        """Whether reads of one object were of different versions of it."""
        return self._reads.mixed

    def sums(self, index: int) -> None:
        """Return no checksum: nobody tells one that it could be compared with."""

    def news(self, within: float | None = None) -> Plan[None]:
        """Read for a while."""
        yield Call(self._go_on, settle=True)

    def _go_on(self) -> None:
        if self.over or self._closed:
            return
        most = self.bytes_received + self._window if self._window else UNBOUNDED
        before = self.settled
        with reported(self._all[before].key):
            self._work(most)
        self.settled = self._reads.settled
        for index, code in self._reads.failures(before, self.settled):
            self._settle_failure(index, code)
        if self._conditions is not ANY:
            self._check(before)

    def _work(self, most: int) -> None:
        """Read in this thread, and in as many more as there is enough to do for."""
        helpers: list[Thread] = []
        try:
            with suppress(RuntimeError):  # the system gives no more threads
                while len(helpers) < self._worth() - 1:
                    helper = Thread(target=self._help, args=(most,), name="objstore-read", daemon=True)
                    helper.start()
                    helpers.append(helper)
            self._read(most)
        finally:
            for helper in helpers:
                helper.join()

    def _help(self, most: int) -> None:
        with suppress(OSError):  # it has claimed no read yet
            self._read(most)

    def _read(self, most: int) -> None:
        with ExitStack() as opened:
            root = at_once(insist(lambda: opened.enter_context(self._root.descriptor())))
            self._reads.work(root, most, AT_A_TIME, self._most_threads == 1)

    def _worth(self) -> int:
        """Return how many threads the reads that are left keep busy."""
        left = self.total - self.settled
        size = sum(max(end - start, 0) for start, end in self._all.ranges[self.settled : self.settled + 64])
        return max(1, min(self._most_threads, left, max(left // READS_WORTH_A_THREAD, size // WORTH_A_THREAD)))

    def _settle_failure(self, index: int, code: int) -> None:
        """Say what is wrong with a read; or do it the other way, where a path has to be resolved first."""
        read = self._all[index]
        if code in (errno.EXDEV, errno.ENOSYS, errno.EPERM, errno.EAGAIN, errno.EMFILE):
            try:
                code = self._read_resolved(index, read.key)
            except BaseError as error:
                self.errors[index] = error
                return
        if code:
            self.errors[index] = self._error(index, read, code)

    def _read_resolved(self, index: int, key: str) -> int:
        with reported(key):
            descriptor = at_once(insist(lambda: self._root.open(key.encode(), READ)))
            try:
                self._reads.work_on(index, descriptor)
            finally:
                os.close(descriptor)
        return next((code for _, code in self._reads.failures(index, index + 1)), 0)

    def _error(self, index: int, read: Read, code: int) -> BaseError:
        size = self.version(index).size
        if code == errno.ERANGE:
            return begins_after_the_end(STORE, read.key, read.range, size)
        if code == errno.EMSGSIZE and read.target is not None:
            return does_not_fit(read.key, size, read.target.length)
        error = as_error(read.key, code)
        error.__cause__ = OSError(code, os.strerror(code))
        return error

    def _check(self, start: int) -> None:
        """Check the conditions of what has been read: the very file that was read must meet them."""
        for index in range(start, self.settled):
            if index not in self.errors:
                version = self.version(index)
                try:
                    check_conditions(STORE, self._all[index].key, version.e_tag, version.time, self._conditions)
                except BaseError as error:
                    self.errors[index] = error

    def version(self, index: int) -> Version:
        """Return the version of what was read."""
        return Version(*self._reads.stat(index))

    def told(self, index: int) -> Seen:
        """Return what was known about the object when it was read."""
        return Seen(self.version(index).meta(self._all.keys[index]))

    def finished(self) -> list[int]:
        """Return the indexes of the reads that ended well since the last call."""
        indexes = [index for index in range(self._told, self.settled) if index not in self.errors]
        self._told = self.settled
        return indexes

    def rest(self, index: int) -> None:
        """Return None: every read brings all."""

    def whole(self, index: int) -> None:
        """Return None: no read comes with a checksum of those of parts."""

    def widen(self, window: int) -> None:
        """Set how many bytes a step may read from now on."""
        self._window = window

    def limit(self, most: int) -> Plan[None]:
        """Do nothing: there are no requests."""
        return
        yield

    def take(self, index: int) -> Bytes:
        """Return the body of a read, and let go of it."""
        return self._reads.take(index)

    def bodies(self) -> list[Bytes | None]:
        """Return all bodies in order, None for the reads that failed."""
        bodies = self._reads.bodies()
        for index in self.errors:
            bodies[index] = None
        return bodies

    def metas(self) -> list[ObjectMeta | None]:
        """Return what is known about each object, in order; None where the question failed."""
        return [
            None if index in self.errors else self.version(index).meta(key) for index, key in enumerate(self._all.keys)
        ]

    def close(self) -> None:
        """Read no more."""
        self._closed = True


def _cores() -> int:
    """Return how many threads of this process can work at a time: one, where there are to be no others."""
    if not may_have_threads():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
