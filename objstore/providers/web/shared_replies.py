"""Reads that share a reply: several ranges cut out of one whole object, for servers that know no ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import BaseError, InvalidRangeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore._core import Bytes
    from objstore.interface.provider import Fetch
    from objstore.interface.values import Range, Reads, Seen
    from objstore.plans.effects import Plan


class SharedReplies:
    """Many reads under way, some of which share a reply.

    Args:
        replies: The reads that are sent, under way.
        reads: The reads that were asked for.
        sources: For each of them the index of the reply that it is cut out of, and which range of that it is.
        each: Whether the caller takes one after another.
        lie_there: Whether the replies come to where the reads are to be.
    """

    def __init__(
        self, replies: Fetch, reads: Reads, sources: Sequence[tuple[int, Range]], *, each: bool, lie_there: bool
    ) -> None:
        self.errors: dict[int, BaseError] = {}
        self.total = len(reads)
        self._replies = replies
        self._reads = reads
        self._sources = sources
        self._each = each
        self._lie_there = lie_there
        self._shares: dict[int, list[int]] = {}
        for index, (reply, _) in enumerate(sources):
            self._shares.setdefault(reply, []).append(index)
        self._cut: dict[int, Bytes] = {}
        self._settled = 0

    @property
    def settled(self) -> int:
        """How many reads are done or have failed for good."""
        return self.total if self.over else self._settled

    @property
    def over(self) -> bool:
        """Whether all are."""
        return self._replies.over

    @property
    def bytes_received(self) -> int:
        """How many bytes of bodies have come."""
        return self._replies.bytes_received

    @property
    def bytes_sent(self) -> int:
        """None: reads have no bodies to send."""
        return 0

    @property
    def mixed(self) -> bool:
        """Whether replies were of different versions of an object."""
        return self._replies.mixed

    @property
    def unversioned(self) -> bool:
        """Whether replies had no strong validator."""
        return self._replies.unversioned

    def news(self, within: float | None = None) -> Plan[None]:
        """Wait until something has changed."""
        yield from self._replies.news(within)
        for reply, error in self._replies.errors.items():
            self.errors.update(dict.fromkeys(self._shares[reply], error))
        if self.over and not self._each:
            for reply, body in enumerate(self._replies.bodies()):
                if body is not None:
                    self._cut_up(reply, body)

    def finished(self) -> list[int]:
        """Return the indexes of the reads that ended well since the last call."""
        indexes = []
        for reply in self._replies.finished():
            indexes += self._cut_up(reply, self._replies.take(reply))
        self._settled += len(indexes)
        return indexes

    def _cut_up(self, reply: int, body: Bytes) -> list[int]:
        """Cut the reads that share a reply out of its body; return the indexes of those that are in it."""
        for index in self._shares[reply]:
            key, _, target = self._reads[index]
            wanted = self._sources[index][1]
            start, end = wanted.within(len(body))
            if wanted.start >= 0 and start >= len(body):
                message = f"the range of {key!r} begins at {start}, the object has {len(body)} bytes"
                self.errors[index] = InvalidRangeError(message, path=key)
                continue
            part = body[start:end]
            self._cut[index] = part if target is None or self._lie_there else target.fill(part)
        return [index for index in self._shares[reply] if index in self._cut]

    def sums(self, index: int) -> None:
        """Return no checksum: a whole reply has been compared with what it told."""

    cuts = of_parts = 0

    def rest(self, index: int) -> None:
        """Return None: every read brings all."""

    def whole(self, index: int) -> None:
        """Return None: no read comes with a checksum of those of parts."""

    def widen(self, window: int) -> None:
        """Set how many bytes may have come and not been taken from now on."""
        self._replies.widen(window)

    def limit(self, most: int) -> Plan[None]:
        """Have no more requests than `most` in flight from now on, and come back when it is so."""
        return self._replies.limit(most)

    def told(self, index: int) -> Seen:
        """Return what the reply that a read is cut out of tells of the object."""
        return self._replies.told(self._sources[index][0])

    def take(self, index: int) -> Bytes:
        """Return the body of a read that ended well, and let go of it."""
        return self._cut.pop(index)

    def bodies(self) -> list[Bytes | None]:
        """Return all bodies in order, None for the reads that failed."""
        return [self._cut.get(index) for index in range(self.total)]

    def close(self) -> None:
        """End what is still under way."""
        self._replies.close()
