"""One place made as another by an executor: compared once, then a job of copies, then one of deletes.

What is to be done is written down before the first copy, and that is what is done, by later runs too: so that the
pieces of a job that goes on are those it began with.

Its one invariant: nothing is deleted before all copies are done, and nothing that the source has by then.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Unpack

from objstore._distributed.actions import Actions
from objstore._distributed.manifest import JobError, Manifest, place
from objstore._distributed.whole_objects import ALL, PIECE, JobOptions, Totals, carry_out, copied, deleted, pieces_of
from objstore.exceptions import NotFoundError, ObjectChangedError
from objstore.operations.functions import sync as compared
from objstore.store import LocalStore, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from objstore.operations.comparing import Compare
    from objstore.results import Piece
    from objstore.types import SyncResult


def sync(
    source: Store,
    target: Store,
    *,
    prefix: str | None = None,
    to_prefix: str | None = None,
    delete: bool = False,
    compare: Compare = "time",
    bytes: int = PIECE,
    **job: Unpack[JobOptions],
) -> SyncResult:
    """Make one place as another, as `objstore.sync` does: workers copy to it what it lacks, and what has changed.

    The places are compared here, once, before the first copy. With a manifest, later runs do what is left of what was
    found then, whatever has come to either place since.

    Args:
        source: A store.
        target: A store.
        prefix: Which objects of the source; their paths count from behind it.
        to_prefix: What stands in front of these paths at the target.
        delete: Whether what only the target has is deleted, once all copies are done.
        compare: As of `objstore.sync`.
        bytes: As of `copy`.
        job: As of `run`; `progress` is told of the copies, then of the deletes. The manifest may not lie in a target
            of which objects are deleted.

    Returns:
        How many objects were copied, deleted, and the same, and the bytes copied, with what earlier runs have done.

    Raises:
        ObjectChangedError: A copy is not of the size that was found, or what is to be deleted is in the source now.
        ValueError: As of `objstore.sync`; or the manifest lies where objects are deleted.
        JobError: As of `run`.
    """
    ways = _Ways(source, target, _front(source, prefix), _front(target, to_prefix))
    manifest = job.get("manifest")
    if delete and manifest is not None:
        _check_apart(manifest, _address(target, to_prefix))
    found = compared(source, target, prefix=prefix, to_prefix=to_prefix, delete=delete, compare=compare, dry_run=True)
    rule = f"by {compare}{', with deletes' if delete else ''}"
    with _kept(manifest) as kept:
        return _carry_out(ways, Actions(kept, f"{ways} {rule}", found), bytes, job)


class _Ways(NamedTuple):
    """From where to where: the stores, and what stands in front of the paths, which are keys as they are."""

    source: Store
    target: Store
    prefix: str
    to_prefix: str

    def __str__(self) -> str:
        """Return what they are called in every process."""
        return f"sync from {place(self.source)} {self.prefix!r} to {place(self.target)} {self.to_prefix!r}"


def _front(store: Store, prefix: str | None) -> str:
    return store.path(store.full_prefix(prefix))


def _address(store: Store, prefix: str | None) -> str:
    return store.provider.address + store.full_prefix(prefix)


def _check_apart(manifest: Manifest, target: str) -> None:
    """Raise if a manifest would be deleted with what the source does not have."""
    if _address(manifest.store, manifest.path).startswith(target):
        raise ValueError(f"the manifest {manifest.path!r} lies in the target, of which objects are deleted: move it")


@contextmanager
def _kept(manifest: Manifest | None) -> Iterator[Manifest]:
    """Give the place of what there is to do: the manifest's, or one for the time of this call."""
    if manifest is not None:
        yield manifest
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Manifest(LocalStore(folder), "sync")


def _carry_out(ways: _Ways, actions: Actions, most: int, job: JobOptions) -> SyncResult:
    """Copy, then delete."""
    copies = pieces_of(ways.source, actions.objects("copy", ways.prefix), most)
    done = carry_out(_Copy(ways), f"copies of {ways}", copies, _part(job, "copies"))
    planned, gone = actions.result, Totals(0, 0)
    if planned.deleted:
        deletes = pieces_of(ways.target, actions.objects("delete", ways.to_prefix), ALL)
        gone = carry_out(_Delete(ways), f"deletes of {ways}", deletes, _part(job, "deletes"))
    result = planned._replace(copied=done.objects, deleted=gone.objects, bytes=done.size)
    if result != planned:
        raise JobError(f"{actions} says {planned}, and {result} is what was done")
    return result


def _part(job: JobOptions, name: str) -> JobOptions:
    """Return how a part of the job is carried out: with a manifest of its own, where the job has one."""
    manifest = job.get("manifest")
    return job if manifest is None else {**job, "manifest": Manifest(manifest.store, f"{manifest.path}/{name}")}


# --- what a worker does with a piece


@dataclass(frozen=True)
class _Copy:
    """Copies a piece."""

    ways: _Ways

    def __call__(self, piece: Piece) -> Totals:
        source, target, prefix, to_prefix = self.ways
        paths = [to_prefix + each.path.removeprefix(prefix) for each in piece.slices]
        return copied(source.with_raw_keys(), target.with_raw_keys(), piece.slices, paths)


@dataclass(frozen=True)
class _Delete:
    """Deletes a piece of the target, if the source has none of it."""

    ways: _Ways

    def __call__(self, piece: Piece) -> Totals:
        source, target, prefix, to_prefix = self.ways
        paths = [prefix + each.path.removeprefix(to_prefix) for each in piece.slices]
        _check_gone(source.with_raw_keys(), paths)
        return deleted(target.with_raw_keys(), piece.slices)


def _check_gone(source: Store, paths: list[str]) -> None:
    """Raise if the source has objects that it did not have when the places were compared."""
    for path, found in zip(paths, source.head_many(paths, on_error="return"), strict=True):
        if not isinstance(found, Exception):
            raise ObjectChangedError(
                f"{path!r} is in the source by now, and the plan said to delete it from the target",
                hint="Compare again: without a manifest, or with one at another path.",
                path=path,
            )
        if not isinstance(found, NotFoundError):
            raise found
