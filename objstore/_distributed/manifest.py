"""What of a job is done, in numbered segments beside its target.

Its one invariant: a segment is created where none is, or not at all. So two runners of one job cannot both go on: the
second one is refused while the lease of the first lasts, and whoever comes too late with a segment has lost the job.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from objstore.exceptions import AlreadyExistsError

if TYPE_CHECKING:
    from objstore.results import Piece
    from objstore.store import Store

LEASE = 60.0
"""For how many seconds a runner that says nothing more keeps others away."""

SEGMENT = 10.0
"""How many seconds of work a segment has at the most."""


class JobError(RuntimeError):
    """A job cannot go on, or begin."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a job says what of it is done: the store must be one that refuses to create what exists.

    Attributes:
        store: Where.
        path: The path above its segments.
    """

    store: Store
    path: str


class Record:
    """A manifest that this runner keeps.

    Args:
        manifest: Where it is.

    Raises:
        JobError: Another runner keeps it.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._runner = uuid.uuid4().hex
        self._done: dict[int, tuple[str, int]] = {}
        self._new: list[int] = []
        self._number = 0
        self._read()
        self.write()

    def __str__(self) -> str:
        """Return where it is."""
        return f"the manifest {self._manifest.path!r} in {self._manifest.store!r}"

    def _read(self) -> None:
        """Read the segments, of which the last one says whether somebody is at it."""
        store, last = self._manifest.store, None
        paths = sorted(meta["path"] for page in store.list(self._manifest.path) for meta in page)
        for path, body in zip(paths, store.get_many(paths), strict=True):
            try:
                last = json.loads(bytes(body))
                self._done.update((number, (digest, size)) for number, digest, size in last["done"])
                self._number = int(path.rpartition("/")[2]) + 1
            except (KeyError, TypeError, ValueError) as error:
                raise JobError(f"{self} has {path!r} in it, which is no segment: give it a path of its own") from error
        if last is not None and last["lease"] > time.time():
            left = last["lease"] - time.time()
            raise JobError(f"{self} is kept by another runner: its lease lasts {left:.0f} seconds unless it is renewed")

    def has(self, piece: Piece) -> bool:
        """Tell whether a piece is done.

        Raises:
            JobError: What is done under its number is another piece.
        """
        if piece.number not in self._done:
            return False
        if self._done[piece.number] != _digest(piece):
            raise JobError(f"{self} is of another plan: its piece {piece.number} is not this one. Give another path")
        return True

    def add(self, piece: Piece) -> None:
        """Note that a piece is done; a segment is written every ten seconds."""
        self._done[piece.number] = _digest(piece)
        self._new.append(piece.number)
        self.renew()

    def renew(self) -> None:
        """Write a segment, if it is time to."""
        if time.monotonic() - self._written >= SEGMENT:
            self.write()

    def write(self, *, last: bool = False) -> None:
        """Write a segment; the last one lets others go on at once.

        Raises:
            JobError: Another runner has taken the job over.
        """
        done = [(number, *self._done[number]) for number in self._new]
        segment: dict[str, Any] = {"runner": self._runner, "lease": 0 if last else time.time() + LEASE, "done": done}
        path = f"{self._manifest.path}/{self._number:08}"
        try:
            self._manifest.store.put(path, json.dumps(segment).encode(), mode="create")
        except AlreadyExistsError as error:
            raise JobError(f"{self} has been taken over by another runner") from error
        self._number += 1
        self._new.clear()
        self._written = time.monotonic()

    def check(self, count: int, size: int) -> None:
        """Raise if not all is recorded: so many pieces, of so many bytes together."""
        found = (len(self._done), sum(size for _, size in self._done.values()))
        if found != (count, size):
            raise JobError(f"{self} has {found[0]} pieces of {found[1]} bytes, the plan {count} of {size}")


def _digest(piece: Piece) -> tuple[str, int]:
    """Return what tells a piece from others, and its size."""
    return sha256(repr(piece.slices).encode()).hexdigest()[:32], piece.size
