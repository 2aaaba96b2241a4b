"""What of a job is done, in numbered segments beside its target.

Its one invariant: a segment is created where none is, or not at all. So two runners of one job cannot both go on: the
second one is refused while the lease of the first lasts, and whoever comes too late with a segment has lost the job.

A plan is made as its pieces are taken, so nobody knows a digest of all of it: each piece has its own, of its bytes and
of the store that they are in; and each segment names the job, so that no other takes its pieces for its own.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from objstore.exceptions import AlreadyExistsError
from objstore.stores.base import LastingStore

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
        job: What is done to the pieces, and where to.

    Raises:
        JobError: Another runner keeps it, or it is of another job.
    """

    def __init__(self, manifest: Manifest, job: str) -> None:
        self._manifest = manifest
        self._job = job
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
        store, job, lease = self._manifest.store, self._job, 0.0
        paths = sorted(meta["path"] for page in store.list(self._manifest.path) for meta in page)
        for path, body in zip(paths, store.get_many(paths), strict=True):
            try:
                last = json.loads(bytes(body))
                self._done.update((number, (digest, size)) for number, digest, size in last["done"])
                self._number = int(path.rpartition("/")[2]) + 1
                job, lease = str(last["job"]), float(last["lease"])
            except (KeyError, TypeError, ValueError) as error:
                raise JobError(f"{self} has {path!r} in it, which is no segment: give it a path of its own") from error
        if job != self._job:
            raise JobError(f"{self} is of another job: of {job}, not of {self._job}. Give another path")
        if (left := lease - time.time()) > 0:
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
        lease = 0 if last else time.time() + LEASE
        segment = {"job": self._job, "runner": self._runner, "lease": lease, "done": done}
        self._create(f"{self._manifest.path}/{self._number:08}", json.dumps(segment).encode())
        self._number += 1
        self._new.clear()
        self._written = time.monotonic()

    def _create(self, path: str, segment: bytes) -> None:
        store = self._manifest.store
        try:
            store.put(path, segment, mode="create")
        except AlreadyExistsError as error:
            # It is ours where the answer to a first try was lost, and nobody else's: it names this runner.
            if store.get(path).bytes() != segment:
                raise JobError(f"{self} has been taken over by another runner") from error

    def check(self, count: int, size: int) -> None:
        """Raise if not all is recorded: so many pieces, of so many bytes together."""
        found = (len(self._done), sum(size for _, size in self._done.values()))
        if found != (count, size):
            raise JobError(f"{self} has {found[0]} pieces of {found[1]} bytes, the plan {count} of {size}")


def _digest(piece: Piece) -> tuple[str, int]:
    """Return what tells a piece from others, and its size."""
    return sha256(f"{place(piece.store)} {piece.slices!r}".encode()).hexdigest()[:32], piece.size


def place(store: object) -> str:
    """Return which store it is, in every process, and whatever keys it has been given by now."""
    if not isinstance(store, LastingStore):
        return f"{store!r} {id(store)}"  # of this process alone
    config: dict[str, object] = getattr(store, "config", {})
    urls = [str(value) for name, value in sorted(config.items()) if "endpoint" in name or "url" in name]
    servers = [url.partition("?")[0] for url in urls]  # what is behind that may be a secret
    return " at ".join([repr(store), *servers])
