"""What a sync has found to be done, as an object: written once, and read by each run.

Its one invariant: it is there whole or not at all, for it is created by one write, which ends with the comparison.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from objstore._distributed.manifest import JobError, Manifest
from objstore.exceptions import AlreadyExistsError
from objstore.operations.slices import AT_A_TIME, Slice
from objstore.types import SyncResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from objstore.types import SyncAction

READ_AT_A_TIME = 1 << 20
"""How many bytes of it are read at a time."""


END = "end"
"""What the last line begins with."""


class Actions:
    """What there is to do: the name of the job, a line for each action that changes something, and what they come to.

    Args:
        manifest: The path above it.
        job: What is made as what, and how.
        found: The actions, which are taken unless an earlier run has written them.

    Attributes:
        result: What they come to; known once the objects of an action have been read.

    Raises:
        JobError: What is written there is of another job.
    """

    result: SyncResult

    def __init__(self, manifest: Manifest, job: str, found: Iterable[SyncAction]) -> None:
        self._store = manifest.store
        self._path = f"{manifest.path}/actions"
        self._job = job
        if not self._store.exists(self._path):
            self._write(found)
        next(self._read(), None)

    def __str__(self) -> str:
        """Return where it is."""
        return f"the plan {self._path!r} in {self._store!r}"

    def _write(self, found: Iterable[SyncAction]) -> None:
        try:
            self._store.put(self._path, _lines(self._job, found), mode="create")
        except AlreadyExistsError:
            return  # another runner was sooner: both do the same, and the manifests let one of them

    def objects(self, action: str, front: str) -> Iterator[Slice]:
        """Yield the objects of an action, with something in front of their paths.

        Raises:
            JobError: Not all of it is there.
        """
        line: list[Any] = []
        for line in self._read():
            if line[0] == action:
                yield Slice(front + line[1], 0, line[2], None, line[2])
        if line[:1] != [END]:
            raise JobError(f"{self} ends early. Give another path")
        self.result = SyncResult(*line[1:])

    def _read(self) -> Iterator[Any]:
        """Yield the lines behind the first, which has to name the job."""
        with self._store.open_reader(self._path) as reader:
            if json.loads(bytes(reader.readline())) != self._job:
                raise JobError(f"{self} is of another job, not of {self._job}. Give another path")
            while lines := reader.readlines(READ_AT_A_TIME):
                yield from (json.loads(bytes(line)) for line in lines)


def _lines(job: str, found: Iterable[SyncAction]) -> Iterator[bytes]:
    """Yield the lines, many at a time."""
    counts, size, actions = {"copy": 0, "delete": 0, "same": 0}, 0, iter(found)
    yield _line(job)
    while some := [*islice(actions, AT_A_TIME)]:
        for each in some:
            counts[each.action] += 1
            size += each.size if each.action == "copy" else 0
        yield b"".join(_line(each) for each in some if each.action != "same")
    yield _line((END, *SyncResult(counts["copy"], counts["delete"], counts["same"], size)))


def _line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"
