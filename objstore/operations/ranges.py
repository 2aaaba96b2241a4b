"""Ranges of one version of an object, read at once; where they are all of it, they are what its checksum says."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from objstore._core import Bytes
from objstore.exceptions import InvalidRangeError
from objstore.interface.values import PACED, WHOLE, WITH_HEDGE, Range, Reads
from objstore.interface.versions import is_same, pinned
from objstore.operations.coalesce import cheap_gap, single
from objstore.operations.coalesce import coalesce as coalesce_ranges
from objstore.operations.naming import readable_key_of
from objstore.operations.pieces import add_up, changed, is_cut_anew, told_of
from objstore.operations.progress import settle
from objstore.operations.requested import targets_of
from objstore.operations.rest import Rests
from objstore.operations.scattered import HELD, Places, one_by_one, scatter
from objstore.operations.sums import HASHES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.provider import Fetch
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Conditions, Sums, Target
    from objstore.operations.coalesce import Merged
    from objstore.operations.sums import Whole
    from objstore.plans.effects import Plan
    from objstore.types import Progress


def ranges_of(
    store: BaseStore,
    path: str,
    ranges: Sequence[Range],
    conditions: Conditions,
    coalesce: int = 1 << 20,
    progress: Progress | None = None,
    out: Any = None,
) -> Plan[list[Bytes]]:
    """Get ranges of the version of an object that the conditions mean."""
    pace = store.provider.pace
    merged = coalesce_ranges(ranges, min(coalesce, cheap_gap(pace, ranges)), single(pace, len(ranges)))
    key = yield from readable_key_of(store, path)
    if out is not None:
        wanted = targets_of(Reads.of(key, ranges), out)
        parts = yield from _put_ranges(store, key, path, ranges, merged, wanted, conditions, progress)
    else:
        reads, told, conditions = yield from _asked(store, key, path, merged.requests, None, conditions)
        bodies = yield from bodies_of(store, reads, PACED, conditions, progress, told)
        if len(bodies) < len(reads):
            bodies = yield from _bodies_of_one(store, reads, conditions)
        parts = merged.cut(bodies)
    if not all(parts):
        _check_begun(path, ranges, parts)
    return parts


def _asked(
    store: BaseStore,
    key: str,
    path: str,
    requests: Sequence[Range],
    targets: Sequence[Target | None] | None,
    conditions: Conditions,
) -> Plan[tuple[Reads, Sums | None, Conditions]]:
    """Return what to read for ranges, what is known of the checksum that they may add up to, and of which version."""
    told, sums = None, None
    if _may_be_all(requests):
        told, conditions = yield from _ask(store, key, path, conditions)
        sums = "" if told is None else _by_engine(told)
    lonely = len(requests) == 1
    reads = lone(store, key, requests[0], targets) if lonely else Reads.of(key, requests, targets, sums=sums)
    return reads, told, conditions


def _put_ranges(
    store: BaseStore,
    key: str,
    path: str,
    ranges: Sequence[Range],
    merged: Merged,
    wanted: Sequence[Target],
    conditions: Conditions,
    progress: Progress | None,
) -> Plan[list[Bytes]]:
    """Read ranges to where they are wanted: what one request brings of several by the way of no more memory than
    `HELD`, unless they may be all of an object, whose checksum is compared then."""
    flows, targets = store.provider.flows, merged.targets(wanted)
    if flows is not None and (yield from flows.gives_only_wholes(Reads.of(key, merged.requests), conditions)):
        return (yield from scatter(flows, key, path, WHOLE, conditions, Places(ranges, wanted), progress))
    reads, told, conditions = yield from _asked(store, key, path, merged.requests, targets, conditions)
    parts = None
    if reads.sums is None and merged.beside(targets) > HELD:
        parts = yield from one_by_one(store, reads, merged, wanted, conditions, progress)
    else:
        bodies = yield from bodies_of(store, reads, PACED, conditions, progress, told)
        if len(bodies) == len(reads):
            parts = _put_in_place(merged.cut(bodies), wanted, merged, targets)
    if parts is None:
        assert flows is not None  # whoever has none tells versions
        span = _span(merged.requests)
        parts = yield from scatter(flows, key, path, span, conditions, Places(ranges, wanted), None)
    return parts


def _put_in_place(
    parts: Sequence[Bytes], wanted: Sequence[Target], merged: Merged, targets: Sequence[Target | None]
) -> list[Bytes]:
    """Copy to where it is wanted what was not read to there."""
    return [
        target.fill(part) if targets[index] is None else part
        for part, target, (index, _, _) in zip(parts, wanted, merged.places, strict=True)
    ]


def _ask(store: BaseStore, key: str, path: str, conditions: Conditions) -> Plan[tuple[Sums | None, Conditions]]:
    """Return what is known of the checksum of an object, where that is to be asked for, and the version it is of."""
    if not store.provider.asks_for_checksums:
        return None, conditions
    found = yield from store.provider.look(key, conditions)
    if conditions.expected is not None and not is_same(found.seen, conditions.expected):
        raise changed(path)
    return found.sums, pinned(found.seen, conditions.version)


def _by_engine(told: Sums) -> str | None:
    """Return by which checksum the engine is to sum up ranges."""
    return None if told.parts or told.algorithm in HASHES else told.algorithm


def _may_be_all(requests: Sequence[Range]) -> bool:
    """Tell whether several ranges go on from each other, from the beginning of the object: one tells by itself."""
    return len(requests) > 1 and requests[0].start == 0 and all(one.end == two.start for one, two in pairwise(requests))


def lone(store: BaseStore, key: str, wanted: Range, targets: Sequence[Target | None] | None = None) -> Reads:
    """Return the read of one range; its reply is to tell the size of the object, all of which it may be: then it is
    compared."""
    told = store.provider.asks_for_checksums and wanted.start == 0
    return Reads([key], [wanted], targets, True, None, told)  # by position: in half the time, and this is at every call


def _check_begun(path: str, ranges: Sequence[Range], parts: Sequence[Bytes]) -> None:
    """Raise if a range begins after the end of the object, though the request that it was part of did not."""
    for range, part in zip(ranges, parts, strict=True):
        if range.end > range.start and not part:
            raise InvalidRangeError(f"the range of {path!r} from {range.start} begins after its end", path=path)


def bodies_of(
    store: BaseStore,
    reads: Reads,
    most_in_flight: int,
    conditions: Conditions,
    progress: Progress | None,
    told: Sums | None = None,
) -> Plan[list[Bytes | None]]:
    """Read ranges of one object and return them in order, or raise the first error; all again once, if damaged.

    Returns nothing where nothing tells whether several are of the same version of the object.

    Args:
        store: Where it is.
        reads: The ranges.
        most_in_flight: How many are in flight.
        conditions: Which version is meant.
        progress: Is told of the ranges.
        told: What is known of the checksum of the object; else, replies may tell.
    """
    for last in (False, True):
        fetch = yield from store.provider.fetch(
            reads, conditions=conditions, most_in_flight=most_in_flight, beginnings=True
        )
        try:
            yield from settle(fetch, progress)
            if fetch.errors:
                raise next(iter(fetch.errors.values()))
            if fetch.mixed:
                raise changed(store.path(reads.keys[0]))
            if fetch.unversioned and len(reads) > 1:
                break
            bodies = fetch.bodies()
            if fetch.cuts:
                yield from _read_rests(store, reads, fetch, bodies, conditions, progress)
            version = conditions
            if reads.told:
                told, version = yield from _asked_after(store, reads, fetch, conditions)
            whole = None
            if reads.sums is not None or told is not None:
                whole = yield from _whole(store, fetch, reads, bodies, version, told)
        finally:
            fetch.close()
        if whole is None or not whole.is_damaged:
            return bodies
        if last:
            whole.check()
    return []


def _asked_after(
    store: BaseStore, reads: Reads, fetch: Fetch, conditions: Conditions
) -> Plan[tuple[Sums | None, Conditions]]:
    """Return what is known of the checksum of an object, all of which came as one range whose reply told none, and the
    version that it is of."""
    seen, (start, end) = fetch.told(0), reads.ranges[0]
    sums = fetch.sums(0)
    if start or not 0 < seen.meta["size"] <= end or (sums is not None and sums.whole is not None):
        return None, conditions
    pin = pinned(seen, conditions.version)
    return (yield from _ask(store, reads.keys[0], store.path(reads.keys[0]), pin))


def _read_rests(
    store: BaseStore,
    reads: Reads,
    fetch: Fetch,
    bodies: list[Bytes | None],
    conditions: Conditions,
    progress: Progress | None,
) -> Plan[None]:
    """Put what is behind the beginnings of large ranges in their places."""
    rests = Rests(store, reads, fetch, PACED, progress, conditions.version)
    for index, body in enumerate(bodies):
        if body is not None and (seen := fetch.rest(index)) is not None:
            bodies[index] = yield from rests.read(index, body, seen, fetch.sums(index))


def _whole(
    store: BaseStore,
    fetch: Fetch,
    reads: Reads,
    bodies: Sequence[Bytes | None],
    conditions: Conditions,
    told: Sums | None,
) -> Plan[Whole | None]:
    """Return what ranges add up to, where they may be all of an object whose checksum is known."""
    key, provider = reads.keys[0], store.provider
    whole = yield from told_of(provider, key, store.path(key), conditions, told or fetch.sums(0))
    if whole is not None:
        add_up(whole, fetch, reads.ranges, bodies)
        if (yield from is_cut_anew(provider, key, conditions, whole)):
            add_up(whole, fetch, reads.ranges, bodies)
    return whole


def _bodies_of_one(store: BaseStore, reads: Reads, conditions: Conditions) -> Plan[list[Bytes | None]]:
    """Read ranges of one object by one request: nothing tells whether several are of the same version of it."""
    span = _span(reads.ranges)
    body = (yield from bodies_of(store, Reads.of(reads.keys[0], [span]), WITH_HEDGE, conditions, None))[0] or Bytes()
    return [body[range.start - span.start : range.end - span.start] for range in reads.ranges]


def _span(ranges: Sequence[Range]) -> Range:
    """Return from where to where ranges go."""
    return Range(min(range.start for range in ranges), max(range.end for range in ranges))
