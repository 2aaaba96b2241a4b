"""Transfers of many objects by an executor: jobs whose functions are the calls that a store has.

Objects stay whole: a piece is a group of them, of so many bytes, or one that is larger. What was written is looked at
before a piece counts as done, and what the pieces come to is compared with the plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Required, TypedDict, TypeVar, Unpack, cast

from objstore._core import checksum as checksum_of
from objstore._distributed.job import Job
from objstore._distributed.manifest import JobError, place
from objstore.exceptions import ObjectChangedError
from objstore.operations.slices import UNKNOWN, Cutter, Slice
from objstore.results import Piece
from objstore.store import LocalStore, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from objstore._distributed.engines import ExecutorInput
    from objstore._distributed.manifest import Manifest
    from objstore.types import ObjectMeta, Progress

T = TypeVar("T")

PIECE = 64 << 20
"""How many bytes a piece of a transfer has: what is done again when a worker is lost."""

MOST_OBJECTS = 1000
"""How many objects a piece has at the most."""

READ_AT_A_TIME = 16 << 20
"""How many bytes a worker sums up at a time."""

ALL = 1 << 62


class JobOptions(TypedDict, total=False):
    """How a job is carried out: as of `run`."""

    executor: Required[ExecutorInput]
    manifest: Manifest | None
    most_in_flight: int
    new_executors: int
    progress: Progress | bool | None


class Totals(NamedTuple):
    """What a job has come to, with what earlier runs of it had done."""

    objects: int
    size: int


def copy(
    source: Store, target: Store, requests: Any = None, *, bytes: int = PIECE, **job: Unpack[JobOptions]
) -> Totals:
    """Copy many objects to another store, each to its own path: on the server where the service can.

    Args:
        source: Where they are.
        target: Where the copies go.
        requests: Which: a prefix, None for all, or what tells paths and sizes, as of `store.plan`.
        bytes: How many bytes a worker is given at a time; one object is never cut.
        job: As of `run`: executor, manifest, most_in_flight, new_executors, progress.

    Returns:
        How many objects and bytes there are.

    Raises:
        ObjectChangedError: A copy is not of the size that was planned.
        JobError: As of `run`.
    """
    if place(source) == place(target):
        raise ValueError(f"{source!r} is the target too: each object would be copied to where it is")
    return _all(_Copy(target), f"copy from {place(source)} to {place(target)}", _pieces(source, requests, bytes), job)


def upload(
    folder: str | Path, store: Store, requests: Any = None, *, bytes: int = PIECE, **job: Unpack[JobOptions]
) -> Totals:
    """Upload the files of a folder that all workers see, each to the path that it has below the folder.

    Args:
        folder: The folder.
        store: Where to.
        requests: Which files, as of `copy`.
        bytes: As of `copy`.
        job: As of `run`.

    Returns:
        How many files and bytes there are.

    Raises:
        ObjectChangedError: An object is not of the size that its file had.
        JobError: As of `run`.
    """
    return copy(LocalStore(folder), store, requests, bytes=bytes, **job)


def download(
    store: Store, folder: str | Path, requests: Any = None, *, bytes: int = PIECE, **job: Unpack[JobOptions]
) -> Totals:
    """Download many objects to a folder that all workers see, each to its path below the folder.

    Args:
        store: Where they are.
        folder: The folder; it is made if it is missing.
        requests: Which, as of `copy`.
        bytes: As of `copy`.
        job: As of `run`.

    Returns:
        How many objects and bytes there are.

    Raises:
        ObjectChangedError: A file is not of the size that was planned.
        JobError: As of `run`.
    """
    return copy(store, LocalStore(folder, mkdir=True), requests, bytes=bytes, **job)


def delete(store: Store, requests: Any, **job: Unpack[JobOptions]) -> Totals:
    """Delete many objects; one that is not there is no error.

    Args:
        store: Where they are.
        requests: Which: a prefix, or paths, or metadata as listings give it, or Arrow data as of `store.plan`.
        job: As of `run`.

    Returns:
        How many objects there were, and bytes as far as they were told.

    Raises:
        JobError: As of `run`.
    """
    return _all(_delete, f"delete in {place(store)}", _pieces(store, _sized(requests), ALL), job)


def head(store: Store, requests: Any, **job: Unpack[JobOptions]) -> Iterator[ObjectMeta]:
    """Get the metadata of many objects, as it comes.

    Args:
        store: Where they are.
        requests: Which, as of `delete`.
        job: As of `run`. With a manifest, what earlier runs gave is not given again.

    Returns:
        An iterator of metadata, in the order in which it comes.

    Raises:
        NotFoundError: An object does not exist.
        JobError: As of `run`.
    """
    pieces = _pieces(store, _sized(requests), ALL)
    return _each(Job(_head, f"head in {place(store)}", pieces, **job))


def checksum(
    store: Store,
    requests: Any = None,
    *,
    algorithm: str = "crc64nvme",
    bytes: int = PIECE,
    **job: Unpack[JobOptions],
) -> Iterator[tuple[str, bytes]]:
    """Read many objects and sum each up.

    Args:
        store: Where they are.
        requests: Which, as of `copy`.
        algorithm: ``crc32``, ``crc32c`` or ``crc64nvme``.
        bytes: As of `copy`.
        job: As of `run`. With a manifest, what earlier runs gave is not given again.

    Returns:
        An iterator of ``(path, checksum)``, in the order in which they come.

    Raises:
        ObjectChangedError: An object was replaced since it was planned.
        ValueError: There is no such algorithm.
        JobError: As of `run`.
    """
    checksum_of(algorithm, b"")
    pieces = _pieces(store, requests, bytes)
    return _each(Job(partial(_checksum, algorithm), f"{algorithm} in {place(store)}", pieces, **job))


# --- the jobs


def _all(function: Callable[[Piece], Totals], name: str, pieces: Iterator[Piece], job: JobOptions) -> Totals:
    """Carry a job out to its end, and add up what its pieces are."""
    planned: list[Totals] = []

    def counted() -> Iterator[Piece]:
        for piece in pieces:
            objects, size = planned.pop() if planned else (0, 0)
            planned.append(Totals(objects + len(piece.slices), size + piece.size))
            yield piece

    for piece, value in Job(function, name, counted(), **job).results():
        if value != (len(piece.slices), piece.size):
            raise JobError(f"piece {piece.number} is {len(piece.slices)} objects of {piece.size} bytes, not {value}")
    return planned.pop() if planned else Totals(0, 0)


def _each(job: Job[list[T]]) -> Iterator[T]:
    """Carry a job out while its results are taken."""
    for piece, values in job.results():
        if len(values) != len(piece.slices):
            raise JobError(f"piece {piece.number} has {len(piece.slices)} objects, and {len(values)} results")
        yield from values


# --- what is in them


class _Groups(Cutter):
    """Puts whole objects together."""

    def _add(self, slice: Slice) -> Iterator[tuple[Slice, ...]]:
        if slice.start or slice.end != max(slice.size, 0):
            raise ValueError(f"{slice!r} is a part of an object: give whole objects, (path, size)")
        if self._size + slice.size > self._most:
            yield from self.end()
        yield from self._put(slice)
        if len(self._piece) >= MOST_OBJECTS:
            yield from self.end()


def _pieces(store: Store, requests: Any, most: int) -> Iterator[Piece]:
    """Plan pieces of whole objects."""
    return (Piece(store, number, slices) for number, slices in enumerate(_groups(store, requests, most)))


def _groups(store: Store, requests: Any, most: int) -> Iterator[tuple[Slice, ...]]:
    groups = _Groups(most)
    for piece in store.plan(requests, bytes=ALL):
        yield from groups.add(piece.slices)
    yield from groups.end()


def _sized(requests: Any) -> Any:
    """Return requests of which nobody needs a size, with none."""
    if isinstance(requests, str) or hasattr(requests, "__arrow_c_stream__") or hasattr(requests, "__arrow_c_array__"):
        return requests
    return (Slice(each, 0, 0, None, UNKNOWN) if isinstance(each, str) else each for each in requests)


# --- what a worker does with a piece


@dataclass(frozen=True)
class _Copy:
    """Copies a piece."""

    target: Store

    def __call__(self, piece: Piece) -> Totals:
        cast("Store", piece.store).copy_many([(each.path, each.path) for each in piece.slices], to_store=self.target)
        return _arrived(self.target, piece.slices)


def _arrived(store: Store, slices: Sequence[Slice]) -> Totals:
    """Ask the store for what it has been given; raise if it is of another size."""
    metas = store.head_many([each.path for each in slices])
    for each, meta in zip(slices, metas, strict=True):
        if meta["size"] != each.size:
            raise ObjectChangedError(
                f"the copy of {each.path!r} has {meta['size']} bytes, and the plan said {each.size}",
                hint="Something wrote to it, or to its source, meanwhile: plan again.",
                path=each.path,
            )
    return Totals(len(metas), sum(meta["size"] for meta in metas))


def _delete(piece: Piece) -> Totals:
    cast("Store", piece.store).delete([each.path for each in piece.slices])
    return Totals(len(piece.slices), piece.size)


def _head(piece: Piece) -> list[ObjectMeta]:
    return cast("Store", piece.store).head_many([each.path for each in piece.slices])


def _checksum(algorithm: str, piece: Piece) -> list[tuple[str, bytes]]:
    sums: list[tuple[str, bytes]] = []
    for part in cast("Store", piece.store).plan(piece.slices, bytes=READ_AT_A_TIME):
        for each, body in zip(part.slices, part.get_many(), strict=True):
            before = checksum_of(algorithm, b"") if each.start == 0 else sums.pop()[1]
            sums.append((each.path, checksum_of(algorithm, body, before)))
    return sums
