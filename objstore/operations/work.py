"""Work on many objects cut into pieces, which are read anywhere: by other processes, on other machines.

A piece is small and picklable: a store, and which bytes of which objects. Its one invariant: what it reads is of the
version that was planned, or an error; for it names the ETag of each object, where whoever planned knew it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from objstore._core import Bytes
from objstore.exceptions import InvalidRangeError
from objstore.interface.values import WHOLE, Range, Reads
from objstore.operations.arguments import check_at_least
from objstore.operations.bars import called, drawn
from objstore.operations.listing import list as list_objects
from objstore.operations.outcomes import in_flight_of
from objstore.operations.pieces import changed
from objstore.operations.progress import settle
from objstore.operations.requested import opaque, targets_of
from objstore.operations.results import ListStream, Stream
from objstore.operations.slices import AT_A_TIME, UNKNOWN, Cutter, Exact, Grouping, Slice, given, in_groups, of_meta
from objstore.plans.run import both

if TYPE_CHECKING:
    import builtins

    from objstore.interface.provider import Fetch
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Target
    from objstore.operations.arguments import By
    from objstore.operations.shards import ShardInput
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta, Progress


@dataclass(frozen=True, slots=True)
class Piece:
    """A share of the work: some bytes of some objects of a store.

    Attributes:
        store: Where they are.
        number: Which one it is, from 0 on.
        slices: The bytes, in the order of the plan.
    """

    store: BaseStore
    number: int
    slices: tuple[Slice, ...]

    @property
    def size(self) -> int:
        """How many bytes it is."""
        return sum(each.end - each.start for each in self.slices)

    @drawn
    def _get_many(
        self, *, out: Any = None, max_concurrency: int | None = None, progress: Progress | bool | None = None
    ) -> Plan[list[Bytes]]:
        """Read all of it, in one call.

        Args:
            out: Where to put the bytes, as of `get_many`. Without, memory of their own.
            max_concurrency: How many requests are in flight at the most; as many as the network has use for if not
                given.
            progress: True draws a bar; a function is called ten times a second with how many are done, how many there
                are, and the bytes received.

        Returns:
            The bytes of each slice, in order.

        Raises:
            ObjectChangedError: An object has been replaced since the plan was made.
        """
        progress = called(progress)
        reads = self._reads(out)
        fetch = yield from self.store.provider.fetch(reads, most_in_flight=in_flight_of(max_concurrency))
        try:
            yield from settle(fetch, progress)
            return self._checked(fetch)
        finally:
            fetch.close()

    get_many, get_many_async = both(_get_many)

    def _reads(self, out: Any) -> Reads:
        """Return what to ask for; of empty objects no range, for they have none."""
        keys = self.store.keys([each.path for each in self.slices])
        ranges = [Range(each.start, each.end) for each in self.slices]
        targets: list[Target | None] | None = None
        if out is not None:
            targets = [target if target.length else None for target in targets_of(Reads(keys, ranges), out)]
        return Reads(keys, [range if range.end > range.start else WHOLE for range in ranges], targets, told=True)

    def _checked(self, fetch: Fetch) -> list[Bytes]:
        """Return what came, all of the versions that were planned."""
        for index, error in fetch.errors.items():
            if isinstance(error, InvalidRangeError):
                raise changed(self.slices[index].path, error.status) from error
            raise error
        bodies: list[Bytes] = []
        for index, (each, body) in enumerate(zip(self.slices, fetch.bodies(), strict=True)):
            if body is None or len(body) != each.end - each.start or _is_other(each, fetch.told(index).meta):
                raise changed(each.path)
            bodies.append(body)
        return bodies


def _is_other(planned: Slice, found: ObjectMeta) -> bool:
    """Tell whether a reply is of another version than the one that was planned, or says nothing that shows it."""
    other_size = planned.size != UNKNOWN and found["size"] not in (-1, planned.size)
    return other_size or (planned.e_tag is not None and opaque(found["e_tag"]) != opaque(planned.e_tag))


class PlanStream(Stream[Piece]):
    """The pieces of a plan, as they are made. Iterate it synchronously or asynchronously."""

    def __init__(self, store: BaseStore, source: _Slices, cutter: Cutter | None, parts: int) -> None:
        self._store = store
        self._source = source
        self._cutter = cutter
        self._parts = parts
        self._ready: deque[tuple[Slice, ...]] = deque()
        self._number = 0
        self._over = False

    def next_item(self) -> Plan[Piece | None]:
        """Return the next piece; None at the end."""
        if self._cutter is None:
            self._cutter = yield from self._even()
        while not self._ready and not self._over:
            some = yield from self._source.next_some()
            self._over = some is None
            self._ready.extend(self._cutter.end() if some is None else self._cutter.add(some))
        if not self._ready:
            return None
        self._number += 1
        return Piece(self._store, self._number - 1, self._ready.popleft())

    def _even(self) -> Plan[Cutter]:
        """Return what cuts all there is into so many pieces: it has to be known first how much that is."""
        slices: list[Slice] = []
        while (some := (yield from self._source.next_some())) is not None:
            slices += some
        self._source = _Given(iter([slices]))
        total = sum(each.end - each.start for each in slices)
        return Exact(max(-(-total // self._parts), 1))


def plan(
    store: BaseStore,
    requests: str | Iterable[Any] | None = None,
    *,
    bytes: int | None = None,
    parts: int | None = None,
    shard: ShardInput | None = None,
    by: By = "segment",
) -> PlanStream:
    """Cut the work on many objects into pieces for many workers: by bytes, in order.

    Objects that are larger than a piece are cut into pieces of about the same size, small ones are put together.

    Args:
        store: Where they are.
        requests: What there is to read. A prefix, or None for all of the store: it is listed as pieces are taken, in
            constant memory. Or, without any request: metadata as listings give it, ``(path, size)``, or ``(path, start,
            end)``; or Arrow data with the columns ``path`` and either ``size`` or ``offset`` and ``length``, and if
            known ``e_tag``. Without an ETag, a replaced object is found out by its size alone, if that is told.
        bytes: How many bytes a piece has at the most; 1 GiB if not given.
        parts: How many pieces there are at the most, each of the same number of bytes; this keeps what there is to read
            in memory.
        shard: Only a stretch of the listing, as of `list`.
        by: How a prefix is meant, as of `list`.

    Returns:
        A stream of pieces, to be iterated synchronously or asynchronously.

    Raises:
        ValueError: Both bytes and parts are given, or a request has no size.
        InvalidPathError: What a listing found is no path: see `list`.
    """
    if bytes is not None and parts is not None:
        raise ValueError(f"bytes = {bytes} and parts = {parts}: give one of them")
    cutter = None if parts is not None else Grouping(check_at_least("bytes", 1 << 30 if bytes is None else bytes, 1))
    count = 0 if parts is None else check_at_least("parts", parts, 1)
    if requests is None or isinstance(requests, str):
        pages = list_objects(store, requests, chunk_size=AT_A_TIME, shard=shard, by=by)
        return PlanStream(store, _Listed(store, pages), cutter, count)
    if shard is not None:
        raise ValueError(f"shard = {shard!r}: only a listing has shards, and what there is to read is given")
    return PlanStream(store, _Given(_checked_paths(store, in_groups(given(requests)))), cutter, count)


# --- what there is to read


class _Slices:
    """What there is to read."""

    def next_some(self) -> Plan[builtins.list[Slice] | None]:
        """Return some more of it; None at the end."""
        raise NotImplementedError


class _Given(_Slices):
    """What the caller gave."""

    def __init__(self, groups: Iterator[builtins.list[Slice]]) -> None:
        self._groups = groups

    def next_some(self) -> Plan[builtins.list[Slice] | None]:
        """Return some more of it; None at the end."""
        return next(self._groups, None)
        yield


class _Listed(_Slices):
    """What a listing finds."""

    def __init__(self, store: BaseStore, pages: ListStream[Any]) -> None:
        self._store = store
        self._pages = pages

    def next_some(self) -> Plan[builtins.list[Slice] | None]:
        """Return the objects of the next page; None at the end."""
        page = yield from self._pages.next_item()
        if page is None:
            return None
        self._store.keys([meta["path"] for meta in page])
        return [*map(of_meta, page)]


def _checked_paths(store: BaseStore, groups: Iterable[builtins.list[Slice]]) -> Iterator[builtins.list[Slice]]:
    for group in groups:
        store.keys([each.path for each in group])
        yield group
