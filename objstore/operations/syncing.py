"""One place made as another: what is new or has changed is copied, and where that is asked for, the rest deleted.

Its one invariant: nothing is deleted before all copies have succeeded; broken off anywhere, the target has whole
objects only, and the same call goes on with what is left.
"""

from __future__ import annotations

import json
import os
import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from objstore.exceptions import BaseError
from objstore.interface.store import BaseStore, store_of
from objstore.operations.bars import called, drawn
from objstore.operations.comparing import Compare, Comparison, Side, Step, SyncActions
from objstore.operations.copying import Way, copy_key, room_for
from objstore.operations.local_names import folds_case
from objstore.operations.objects import not_gone, raise_first
from objstore.operations.outcomes import in_flight_of
from objstore.operations.progress import Tally
from objstore.operations.transfers import EXPECTED, PARTS, Room, shared
from objstore.plans.effects import Call
from objstore.plans.several import Several
from objstore.types import SyncResult

if TYPE_CHECKING:
    from objstore.plans.effects import Plan
    from objstore.types import Progress

DELETED_AT_ONCE = 1000
IN_MEMORY = 4 << 20
"""How many bytes of names to be deleted are kept before they go to the disk."""


@overload
def sync(
    source: BaseStore | str | Path,
    target: BaseStore | str | Path,
    *,
    prefix: str | None = None,
    to_prefix: str | None = None,
    delete: bool = False,
    compare: Compare = "time",
    dry_run: Literal[False] = False,
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[SyncResult]: ...


@overload
def sync(
    source: BaseStore | str | Path,
    target: BaseStore | str | Path,
    *,
    prefix: str | None = None,
    to_prefix: str | None = None,
    delete: bool = False,
    compare: Compare = "time",
    dry_run: Literal[True],
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[SyncActions]: ...


@drawn
def sync(
    source: BaseStore | str | Path,
    target: BaseStore | str | Path,
    *,
    prefix: str | None = None,
    to_prefix: str | None = None,
    delete: bool = False,
    compare: Compare = "time",
    dry_run: bool = False,
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[Any]:
    """Make one place as another: copy to the target what it lacks, and what has changed.

    Broken off, it goes on where it ended when it is called again. It takes the same memory for any number of objects.
    Marks of folders, as consoles make them, are neither copied nor deleted. A local folder that is given as a path gets
    plain files; a LocalStore keeps attributes too.

    Args:
        source: A store, or the path of a local folder.
        target: A store, or the path of a local folder, which is made if it is missing.
        prefix: Which objects of the source; their paths count from behind it.
        to_prefix: What stands in front of these paths at the target.
        delete: Whether what only the target has is deleted, once all copies have succeeded.
        compare: What is copied beside what the target lacks. ``"time"``: objects of another size, and those that may
            have been modified after those at the target, by the times that both services tell; one in whole seconds may
            be any in that second, so an object is rather copied twice than not at all. ``"size"``: those of another
            size. ``"checksum"``: those of another size or with other bytes, by the checksums that both services tell of
            whole objects, or where these are not of one kind, by what is read of both.
        dry_run: Do nothing, and give what would be done.
        max_concurrency: How many requests are in flight at the most at the source and at the target, beside those that
            list: one for each object under way, and up to three for large ones while there is room. If not given, as
            many as the network has use for, and fit into memory where the bytes go through this machine.
        progress: True draws a bar; a function is called with how many objects are done, how many have been found so
            far, and the bytes copied.

    Returns:
        How many objects were copied, deleted, and the same, and the bytes copied. With `dry_run`, a stream of
        ``(action, path, size)``, to be iterated synchronously or asynchronously.

    Raises:
        ValueError: Source and target lie in each other; or all would be deleted, for the source is empty.
        CorruptResponseError: A listing that is in order by the service's promise is not.
        BaseError, OSError: The first error of an object; its notes count the others. What could be copied has been, and
            nothing has been deleted.
    """
    progress = called(progress)
    asked = in_flight_of(max_concurrency)
    if compare not in ("time", "size", "checksum"):
        raise ValueError(f"compare = {compare!r}: give 'time', 'size' or 'checksum'")
    here = _side(store_of(source), prefix)
    missing = dry_run and not isinstance(target, BaseStore) and not os.path.exists(target)
    there = None if missing else _side(store_of(target, mkdir=not dry_run), to_prefix)
    if there is not None and (here.address.startswith(there.address) or there.address.startswith(here.address)):
        raise ValueError(f"{here.address} and {there.address} lie in each other: give places that do not")
    comparison = Comparison(here, there, delete, compare)
    if there is None or dry_run:
        return SyncActions(comparison)
    plain = not isinstance(target, BaseStore)
    room = room_for(asked, here.store, there.store)
    way = Way(here.store, there.store, plain=plain, room=room)
    folds = not isinstance(target, BaseStore) and (yield Call(lambda: folds_case(Path(target))))
    fresh = way._replace(mode="create" if folds else "overwrite")
    return (yield from _Sync(comparison, way, fresh, here.prefix, there, progress, room, asked).run())


def _side(store: BaseStore, prefix: str | None) -> Side:
    return Side(store.with_raw_keys(), store.full_prefix(prefix))


class _Sync:
    """A sync under way.

    Args:
        comparison: What is to be done.
        way: How objects are copied.
        fresh: How those are that the target lacks: where names that differ in case are one file, none may replace it.
        prefix: What their keys begin with.
        target: Where they go.
        progress: Is told.
        room: How many are under way at the most.
        asked: How many requests the caller wants in flight at the most; 0: as many as pay off.
    """

    def __init__(
        self,
        comparison: Comparison,
        way: Way,
        fresh: Way,
        prefix: str,
        target: Side,
        progress: Progress | None,
        room: Room,
        asked: int,
    ) -> None:
        self._asked = asked
        self._room = room
        self._several: Several[int] = Several(self._next, room.most)
        share = shared(self._several)
        self._comparison = comparison
        self._way = way._replace(share=share, parts=PARTS)
        self._fresh = fresh._replace(share=share, parts=PARTS)
        self._prefix = prefix
        self._target = target
        self._tally = Tally(progress)
        self._begun = self._copied = self._same = self._bytes = self._failed = 0
        self._error: Exception | None = None
        self._surplus = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115

    def run(self) -> Plan[SyncResult]:
        """Copy, then delete."""
        try:
            yield from self._several.each(self._take)
            if self._error is not None:
                raise self._told(self._error)
            deleted = yield from self._delete()
        finally:
            self._comparison.close()
            self._surplus.close()
        self._tally.tell()
        return SyncResult(self._copied, deleted, self._same, self._bytes)

    def _next(self) -> Plan[Plan[int] | None]:
        """Return the plan of the next object of the source; note on the way what only the target has."""
        while (step := (yield from self._comparison.next())) is not None:
            self._tally.total += 1
            if step.ours is not None:
                self._begun += 1
                return self._copy(step, step.ours.size, self._begun - 1)
            self._surplus.write(json.dumps(step.name).encode() + b"\n")
        return None

    def _copy(self, step: Step, size: int, number: int) -> Plan[int]:
        """Copy an object if that is to be; return how many bytes it has, -1 if it is the same."""
        if (yield from self._comparison.is_same(step)):
            return -1
        keys = self._prefix + step.name, self._target.prefix + step.name
        way = self._fresh if step.theirs is None else self._way
        yield from copy_key(way._replace(size=size), *keys, self._tally.of(number))
        return size

    def _take(self, number: int, result: int | Exception) -> None:
        self._several.allow(self._room.most)
        if isinstance(result, Exception):
            if not isinstance(result, EXPECTED):
                raise result
            self._error = self._error or result
            self._failed += 1
            self._tally.end(number, 0)
            return
        self._copied += result >= 0
        self._same += result < 0
        self._bytes += max(result, 0)
        self._tally.end(number, max(result, 0))

    def _told(self, error: Exception) -> Exception:
        """Have an error say what else has failed."""
        if self._failed > 1:
            error.add_note(f"{self._failed - 1} more of {self._begun} objects could not be copied")
        return error

    def _delete(self) -> Plan[int]:
        """Delete what only the target has; return how many objects that were."""
        self._surplus.seek(0)
        failed: dict[str, BaseError] = {}
        total = 0
        provider = self._target.store.provider
        while names := (yield Call(lambda: [*islice(self._surplus, DELETED_AT_ONCE)], settle=True)):
            keys = [self._target.prefix + json.loads(name) for name in names]
            failed |= not_gone((yield from provider.delete(keys, most_in_flight=self._asked)))
            total += len(keys)
            self._tally.done += len(keys)
            self._tally.tell()
        raise_first(failed, total)
        return total
