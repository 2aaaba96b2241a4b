"""Transfers of many objects by an executor: jobs on whole objects whose functions are the calls that a store has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from objstore._core import checksum as checksum_of
from objstore._distributed.job import Job
from objstore._distributed.manifest import JobError, place
from objstore._distributed.whole_objects import ALL, PIECE, JobOptions, Totals, carry_out, copied, deleted, pieces_of
from objstore.operations.slices import UNKNOWN, Slice
from objstore.store import LocalStore, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from objstore.results import Piece
    from objstore.types import ObjectMeta

T = TypeVar("T")

READ_AT_A_TIME = 16 << 20
"""How many bytes a worker sums up at a time."""


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
    return carry_out(
        _Copy(target), f"copy from {place(source)} to {place(target)}", _pieces(source, requests, bytes), job
    )


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
    return carry_out(_delete, f"delete in {place(store)}", _pieces(store, _sized(requests), ALL), job)


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


def _each(job: Job[list[T]]) -> Iterator[T]:
    """Carry a job out while its results are taken."""
    for piece, values in job.results():
        if len(values) != len(piece.slices):
            raise JobError(f"piece {piece.number} has {len(piece.slices)} objects, and {len(values)} results")
        yield from values


# --- what is in them


def _pieces(store: Store, requests: Any, most: int) -> Iterator[Piece]:
    """Plan pieces of whole objects."""
    return pieces_of(store, (each for piece in store.plan(requests, bytes=ALL) for each in piece.slices), most)


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
        return copied(cast("Store", piece.store), self.target, piece.slices, [each.path for each in piece.slices])


def _delete(piece: Piece) -> Totals:
    return deleted(cast("Store", piece.store), piece.slices)


def _head(piece: Piece) -> list[ObjectMeta]:
    return cast("Store", piece.store).head_many([each.path for each in piece.slices])


def _checksum(algorithm: str, piece: Piece) -> list[tuple[str, bytes]]:
    sums: list[tuple[str, bytes]] = []
    for part in cast("Store", piece.store).plan(piece.slices, bytes=READ_AT_A_TIME):
        for each, body in zip(part.slices, part.get_many(), strict=True):
            before = checksum_of(algorithm, b"") if each.start == 0 else sums.pop()[1]
            sums.append((each.path, checksum_of(algorithm, body, before)))
    return sums
