"""What is behind the beginnings of objects and ranges that are too large for one request.

A provider that is asked for beginnings stops after the first bytes of what is too large. The rest is read here, by
several requests at a time, into the memory where all of it is to be.

Its one invariant: all bytes are of the version of the object that its beginning was of; where its reply has no strong
validator, all is read again by one request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore._core import Buffer, Bytes
from objstore.exceptions import GenericError
from objstore.interface.values import ANY, PACED
from objstore.interface.versions import can_pin, pinned
from objstore.operations.pieces import changed, check_version, is_cut_anew, parts_of, read_into, whole_of
from objstore.operations.progress import onward, settle
from objstore.operations.requested import check_e_tag
from objstore.operations.results import part_size

if TYPE_CHECKING:
    from objstore.interface.provider import Fetch
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Conditions, Read, Reads, Seen, Sums
    from objstore.operations.sums import Whole
    from objstore.plans.effects import Plan
    from objstore.types import Progress


class Rests:
    """The rests of some of many reads, read one after the other.

    Args:
        store: Where they are.
        reads: What was asked for.
        fetch: What brought the beginnings.
        most_in_flight: How many requests may be in flight.
        progress: Is told of the requests, those of the beginnings included.
        version: The version that was asked for.
    """

    def __init__(
        self,
        store: BaseStore,
        reads: Reads,
        fetch: Fetch,
        most_in_flight: int,
        progress: Progress | None,
        version: str | None = None,
    ) -> None:
        self._store = store
        self._reads = reads
        self._fetch = fetch
        self.most_in_flight = most_in_flight
        self._progress = progress
        self._version = version
        self._requests = self._bytes = 0

    @property
    def progress(self) -> Progress | None:
        """What is to be told of the beginnings: the rests that have been read count too."""
        return onward(self._progress, self._requests, self._bytes)

    def check(self, index: int) -> None:
        """Raise if what came of a read is not of the version that was asked for."""
        check_e_tag(self._store, self._reads, self._fetch, index)

    def read(self, index: int, beginning: Bytes, seen: Seen, sums: Sums | None) -> Plan[Bytes]:
        """Read what is behind a beginning, and return all.

        Args:
            index: Which of the reads it is.
            beginning: What has come; where the read has a target, it is there.
            seen: What the reply told of the object.
            sums: The checksum of the beginning, and what the reply told of that of the object.

        Raises:
            ObjectChangedError: The object has been replaced.
            IntegrityError: It is damaged.
        """
        size = seen.meta["size"]
        if size < 0:  # nobody knows where it ends
            return (yield from self._by_one(index, seen))
        read, path = self._reads[index], self._store.path(self._reads.keys[index])
        start = max(read.range.start, 0)
        end = size if read.range.end < 0 else min(read.range.end, size)
        if end - start < len(beginning):
            raise changed(path)
        buffer, whole = _room(read, end - start, beginning)
        here = len(beginning) if can_pin(seen) else 0
        part = part_size(end - start, self._store.provider.most_compared) if here else end - start
        share = yield from self._take_share(self.most_in_flight // 2)
        try:
            sum_of_all = None
            if end - start == size and here:
                sum_of_all = yield from self._sum_of_all(read.key, path, seen, beginning, sums, share)
            yield from read_into(
                self._store.provider,
                read.key,
                start,
                buffer,
                here,
                part,
                pinned(seen, self._version),
                path,
                self._told(),
                sum_of_all,
                most_in_flight=share,
            )
        finally:
            yield from self._give_back()
        self._requests += len(parts_of(start + here, end, part))
        self._bytes += end - start - here
        return whole

    def _take_share(self, share: int) -> Plan[int]:
        """Return how many requests may be in flight for one of the reads: a share while others go on, or all."""
        if self.most_in_flight == PACED or self._fetch.over:
            return self.most_in_flight
        share = max(share, 1)
        yield from self._fetch.limit(self.most_in_flight - share)
        return share

    def _give_back(self) -> Plan[None]:
        """Let the others have all again."""
        if self.most_in_flight != PACED:
            yield from self._fetch.limit(self.most_in_flight)

    def _by_one(self, index: int, seen: Seen) -> Plan[Bytes]:
        """Read all of a range or an object by one request: of the same version only where others go with it."""
        together = self._reads.one_object or self._reads.e_tags is not None
        conditions = pinned(seen, self._version) if together else ANY
        share = yield from self._take_share(1)
        try:
            return (yield from self._read_one(index, conditions, share))
        finally:
            yield from self._give_back()

    def _read_one(self, index: int, conditions: Conditions, share: int) -> Plan[Bytes]:
        fetch = yield from self._store.provider.fetch(
            self._reads[index : index + 1], conditions=conditions, most_in_flight=share
        )
        try:
            yield from settle(fetch, self._told())
            check_version(fetch, self._store.path(self._reads.keys[index]))
            return fetch.take(0)
        finally:
            self._requests += 1
            self._bytes += fetch.bytes_received
            fetch.close()

    def compare(self, index: int, body: Bytes, seen: Seen, sums: Sums | None) -> Plan[Bytes]:
        """Return an object that came whole, with a checksum of those of its parts: got anew, if it is damaged.

        Args:
            index: Which of the reads it is.
            body: What has come; where the read has a target, it is there.
            seen: What the reply told of the object.
            sums: What it told of its checksum; None where that was told to an earlier try, that broke off.

        Raises:
            ObjectChangedError: The object has been replaced.
            IntegrityError: It is damaged, got anew either.
        """
        yield from self._take_share(1)
        try:
            return (yield from self._compared(index, body, seen, sums))
        finally:
            yield from self._give_back()

    def _compared(self, index: int, body: Bytes, seen: Seen, sums: Sums | None) -> Plan[Bytes]:
        read, provider, path = self._reads[index], self._store.provider, self._store.path(self._reads.keys[index])
        conditions = pinned(seen, self._version)
        most = min(self.most_in_flight, 1)  # where there is a bound: others are compared beside this one
        whole = yield from whole_of(provider, read.key, path, conditions, sums, most_in_flight=most)
        if whole is None:
            return body
        whole.add(0, whole.digest(0, body, None))
        if (yield from is_cut_anew(provider, read.key, conditions, whole, most_in_flight=most)):
            whole.add(0, whole.digest(0, body, None))
        if not whole.is_damaged:
            return body
        buffer, anew = _room(read, seen.meta["size"], Bytes())
        part = part_size(len(buffer), provider.most_compared) if can_pin(seen) else len(buffer)
        whole.forget()
        yield from read_into(provider, read.key, 0, buffer, 0, part, conditions, path, None, whole, most_in_flight=most)
        return anew

    def _sum_of_all(
        self, key: str, path: str, seen: Seen, beginning: Bytes, sums: Sums | None, share: int
    ) -> Plan[Whole | None]:
        """Return what the pieces of a whole object are to add up to, where the service tells it or is to be asked."""
        conditions = pinned(seen, self._version)
        whole = yield from whole_of(self._store.provider, key, path, conditions, sums, most_in_flight=share)
        if whole is not None:
            whole.add(0, whole.digest(0, beginning, sums))
        return whole

    def _told(self) -> Progress | None:
        fetch = self._fetch
        done, size = fetch.settled + self._requests, fetch.bytes_received + self._bytes
        return onward(self._progress, done, size, fetch.total - fetch.settled)


def _room(read: Read, size: int, beginning: Bytes) -> tuple[Buffer, Bytes]:
    """Return the memory where all is to go, with its beginning in it."""
    if read.target is None:
        return Buffer.allocate(size, beginning)
    if size > read.target.length:
        raise GenericError(f"{size} bytes of {read.key!r} do not fit in a buffer of {read.target.length}")
    view = memoryview(read.target.buffer)[read.target.start : read.target.start + size]
    return Buffer(view, writable=True), Bytes(view)
