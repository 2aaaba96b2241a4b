"""Reads that are to be of one version of an object: every reply is compared, and what is of another is found out.

Where a server refuses the condition that pins the version, the reads go on without it, and the comparison is all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.http.exchange import Exchange
from objstore.interface.versions import can_pin, is_same, strong
from objstore.providers.conditional_headers import IF_MATCH, unconditional
from objstore.providers.many import rest_of, seen_by
from objstore.providers.preconditions import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from objstore._core import Reply
    from objstore.http.service import Service
    from objstore.http.shape import Shape
    from objstore.interface.values import Conditions, Reads, Seen
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta


class Conditional(Exchange):
    """Reads under way that name the version they mean, and do so no more where the server refuses that."""

    _goes_on_without = False

    def _decide(self, reply: Reply) -> Plan[None]:
        refused = IF_MATCH in self._shape.headers and self._service.may_refuse_condition(reply, self._shape.method)
        if refused and self.begin_anew(unconditional(self._shape)):
            self._goes_on_without = True
        else:
            yield from super()._decide(reply)

    def news(self, within: float | None = None) -> Plan[None]:
        """Wait until something has changed; remember a server that refuses the condition and serves without it."""
        yield from super().news(within)
        if self._goes_on_without and self.batch.settled > len(self.errors):
            self._service.takes_if_match = False


class OneVersion(Conditional):
    """Many reads of one object under way.

    Args:
        service: Where they go.
        shape: What they share.
        reads: What is read.
        conditions: Which version is meant.
        meta: Reads the metadata of a key out of a reply, given the size of the object.
        each: Whether the caller takes one after another.
        most_in_flight: How many are in flight.
        window: How many bytes may have come and not been taken.
        cut_over: Of larger ranges only the beginning is read; 0: all of all is.
    """

    def __init__(
        self,
        service: Service,
        shape: Shape,
        reads: Reads,
        conditions: Conditions,
        meta: Callable[[str, Reply, int], ObjectMeta],
        *,
        each: bool,
        most_in_flight: int,
        window: int,
        cut_over: int,
    ) -> None:
        self._wanted = conditions.if_match
        self._expected = conditions.expected
        self._reads = reads
        self._meta = meta
        self._each = each
        self._differs = False
        self.unversioned = False
        super().__init__(
            service,
            shape,
            reads.keys.__getitem__,
            keep_head=True,
            background=each,
            each=each,
            most_in_flight=most_in_flight,
            window=window,
            sums=reads.sums,
            cut_over=cut_over,
            hedged=True,
        )

    def _open_batch(self) -> None:
        super()._open_batch()
        if (tag := strong(self._wanted)) is not None:
            self.batch.pin(tag)

    # --- which version

    @property
    def mixed(self) -> bool:
        """Whether replies were of different versions, or of another than the one that is meant."""
        if not self._each and self.batch.total:
            self._compare(range(self.batch.total) if self.batch.unsure else [0])
        return self._differs or super().mixed

    def finished(self) -> list[int]:
        """Return the indexes of the requests that ended well since the last call."""
        indexes = super().finished()
        self._compare(indexes)
        return indexes

    def rest(self, index: int) -> Seen | None:
        """Return what is known of the object of which a read brought only the beginning, None where it brought all."""
        return rest_of(self, index, self._reads.keys[index], self._meta)

    def _compare(self, indexes: Iterable[int]) -> None:
        """Compare replies that came with what is expected: the first, where nothing is."""
        for index in indexes:
            if self.batch.succeeded(index):
                found = self.told(index)
                known = self._expected or found
                if known.meta["size"] < 0:  # a whole object that comes in chunks names none
                    known = known._replace(meta={**known.meta, "size": found.meta["size"]})
                self._expected = known
                self._differs |= not is_same(found, known) or self._is_unlike_pinned(found)
                self.unversioned |= not can_pin(found)

    def told(self, index: int) -> Seen:
        """Return what the reply to a read that ended well tells of the object."""
        return seen_by(self.batch.reply(index), self._reads.keys[index], self._meta)

    def _is_unlike_pinned(self, found: Seen) -> bool:
        """Tell whether a reply that no condition kept to the pinned ETag has another."""
        wanted = None if IF_MATCH in self._shape.headers else self._wanted
        return wanted is not None and not matches(found.meta["e_tag"], wanted)
