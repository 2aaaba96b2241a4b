"""Jobs on whole objects: cut to pieces by bytes, carried out to the end, and added up.

Objects stay whole: a piece is a group of them, of so many bytes, or one that is larger. What was written is looked at
before a piece counts as done, and what the pieces come to is compared with the plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Required, TypedDict

from objstore._distributed.job import Job
from objstore._distributed.manifest import JobError
from objstore.exceptions import ObjectChangedError
from objstore.interface.values import PACED
from objstore.operations.objects import not_gone, raise_first
from objstore.operations.slices import Cutter, Slice
from objstore.plans.run import run
from objstore.results import Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from objstore._distributed.engines import ExecutorInput
    from objstore._distributed.manifest import Manifest
    from objstore.store import Store
    from objstore.types import Listed, Progress

PIECE = 64 << 20
"""How many bytes a piece of a transfer has: what is done again when a worker is lost."""

MOST_OBJECTS = 1000
"""How many objects a piece has at the most."""

ALL = 1 << 62
"""The size of pieces of which only the number of objects counts."""


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


def carry_out(function: Callable[[Piece], Totals], name: str, pieces: Iterator[Piece], job: JobOptions) -> Totals:
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


def pieces_of(store: Store, objects: Iterable[Slice], most: int) -> Iterator[Piece]:
    """Put whole objects together to pieces of so many bytes at the most."""
    return (Piece(store, number, slices) for number, slices in enumerate(_grouped(objects, most)))


def _grouped(objects: Iterable[Slice], most: int) -> Iterator[tuple[Slice, ...]]:
    groups = _Groups(most)
    yield from groups.add(objects)
    yield from groups.end()


# --- what a worker does with a piece


def copied(source: Store, target: Store, objects: Sequence[Slice], paths: Sequence[str]) -> Totals:
    """Copy objects to paths of another store, and ask it for them; raise if one is of another size than planned."""
    listed: list[Listed] = [{"path": each.path, "size": each.size} for each in objects]
    source.copy_many([*zip(listed, paths, strict=True)], to_store=target)
    metas = target.head_many(paths)
    for each, meta in zip(objects, metas, strict=True):
        if meta["size"] != each.size:
            raise ObjectChangedError(
                f"the copy of {each.path!r} has {meta['size']} bytes, and the plan said {each.size}",
                hint="Something wrote to it, or to its source, meanwhile: plan again.",
                path=each.path,
            )
    return Totals(len(metas), sum(meta["size"] for meta in metas))


def deleted(store: Store, objects: Sequence[Slice]) -> Totals:
    """Delete objects; some may be gone, for the piece may have been begun before."""
    keys = store.keys([each.path for each in objects])
    raise_first(not_gone(run(store.provider.delete(keys, most_in_flight=PACED))), len(keys))
    return Totals(len(keys), sum(each.end - each.start for each in objects))
