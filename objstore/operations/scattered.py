"""Ranges of one object that come together, put where they are wanted as they come; what is between them is dropped.

Its one invariant: no more is held of what is not in its place than a few pieces of a reply, or `HELD` of many replies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore._core import Bytes
from objstore.interface.values import PACED
from objstore.interface.versions import is_same
from objstore.operations.get_many import all_of
from objstore.operations.pieces import changed
from objstore.operations.progress import news, tell
from objstore.operations.rest import Rests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.provider import Flow, Flows
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Conditions, Range, Reads, Target
    from objstore.operations.coalesce import Merged
    from objstore.plans.effects import Plan
    from objstore.types import Progress

PIECE = 1 << 20
"""How much of the reply comes at a time."""


HELD = 64 << 20
"""How much of what is to be copied may be in memory besides, in flight or come."""


def one_by_one(
    store: BaseStore,
    reads: Reads,
    merged: Merged,
    wanted: Sequence[Target],
    conditions: Conditions,
    progress: Progress | None,
) -> Plan[list[Bytes] | None]:
    """Read ranges by several requests, and copy what each brings that is not where it is wanted once it is here.

    Returns None where nothing tells whether the replies are of the same version of the object.
    """
    parts, ranges_in = [Bytes()] * len(wanted), merged.ranges_in()
    fetch = yield from store.provider.fetch(
        reads, conditions=conditions, most_in_flight=PACED, each=True, window=HELD, beginnings=True
    )
    rests = Rests(store, reads, fetch, PACED, progress, conditions.version)
    try:
        while True:
            over = fetch.over  # asked first: what ends after this is taken in the next round
            tell(fetch, rests.progress)
            done = fetch.finished()
            for error in fetch.errors.values():
                raise error
            if fetch.mixed:
                raise changed(store.path(reads.keys[0]))
            if fetch.unversioned:
                return None
            for index in done:
                body = yield from all_of(fetch, rests, index)
                for number in ranges_in[index]:
                    _, offset, length = merged.places[number]
                    part = body[offset : offset + length]
                    parts[number] = part if reads[index].target is not None else wanted[number].fill(part)
            if over:
                return parts
            yield from news(fetch, progress)
    finally:
        fetch.close()


def scatter(
    flows: Flows, key: str, path: str, span: Range, conditions: Conditions, places: Places, progress: Progress | None
) -> Plan[list[Bytes]]:
    """Read what one request brings to where ranges of it are wanted, and return them as views of that.

    Args:
        flows: Reads the object.
        key: Its key.
        path: Its path, for errors.
        span: What is asked for: all of the object, or from the first range to the last.
        conditions: Which version is meant.
        places: Where the ranges are wanted.
        progress: Is told of the request.
    """
    flow = yield from flows.flow(key, span, conditions, piece=PIECE, window=2 * PIECE)
    try:
        yield from _put(flow, path, max(span.start, 0), conditions, places, progress)
    finally:
        flow.close()
    return places.views()


def _put(
    flow: Flow, path: str, first: int, conditions: Conditions, places: Places, progress: Progress | None
) -> Plan[None]:
    """Put what comes in its places, until all has come; a try that breaks off is begun anew, and so is that."""
    while True:
        over = flow.over  # asked first: what comes after this is put there in the next round
        while (found := flow.piece()) is not None:
            at, piece, seen = found
            if seen is not None and conditions.expected is not None and not is_same(seen, conditions.expected):
                raise changed(path)
            places.put(first + at, piece, anew=at == 0)
        for error in flow.errors.values():
            raise error
        tell(flow, progress)
        if over:
            return
        yield from news(flow, progress)


class Places:
    """Where ranges of an object are wanted that comes from the front.

    Args:
        ranges: The ranges, in any order; they may overlap.
        targets: Where the bytes of each go.
    """

    def __init__(self, ranges: Sequence[Range], targets: Sequence[Target]) -> None:
        self._wanted = [*zip(ranges, targets, strict=True)]
        self._sorted = sorted(range(len(ranges)), key=ranges.__getitem__, reverse=True)
        self._begin()

    def _begin(self) -> None:
        self._coming = [*self._sorted]  # the next one is the last
        self._begun: list[int] = []
        self._end = 0

    def put(self, at: int, piece: Bytes, *, anew: bool) -> None:
        """Put what follows, or comes anew from the front, where it is wanted."""
        if anew:
            self._begin()
        self._end = end = at + len(piece)
        while self._coming and self._wanted[self._coming[-1]][0].start < end:
            self._begun.append(self._coming.pop())
        for index in self._begun:
            _copy(at, piece, *self._wanted[index])
        self._begun = [index for index in self._begun if self._wanted[index][0].end > end]

    def views(self) -> list[Bytes]:
        """Return the ranges, as far as the object goes."""
        return [self._view(*wanted) for wanted in self._wanted]

    def _view(self, range: Range, target: Target) -> Bytes:
        size = max(min(range.end, self._end) - range.start, 0)
        return Bytes(memoryview(target.buffer)[target.start : target.start + size])


def _copy(at: int, piece: Bytes, range: Range, target: Target) -> None:
    """Copy what of a range is in a piece of its object that lies at a place."""
    start, end = max(range.start, at), min(range.end, at + len(piece))
    if start < end:
        into = target.start - range.start
        memoryview(target.buffer)[into + start : into + end] = piece[start - at : end - at]
