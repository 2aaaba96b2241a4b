"""Many operations, or parts of one object, that a provider does by itself, one after the other, when it is waited for.

Its one invariant: nothing is done before somebody waits, and then for a tenth of a second or one operation, whichever
is more; so what has come is bounded by what was asked for, and a cancelled caller has nothing left running.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from objstore._core import Bytes
from objstore.exceptions import BaseError
from objstore.plans.effects import Call, Plan
from objstore.plans.work import AT_A_TIME, Work, in_steps

if TYPE_CHECKING:
    from objstore.interface.values import Source
    from objstore.types import ObjectMeta, PutResult


class Sequential:
    """Many operations under way.

    Args:
        work: Does the operation of an index.
        total: How many there are.
        sizes: How many bytes each of them sends.
        quick: Whether they do not block.
    """

    mixed = unversioned = False
    cuts = of_parts = 0

    def __init__(
        self, work: Callable[[int], object], total: int, sizes: Sequence[int] = (), *, quick: bool = False
    ) -> None:
        self.errors: dict[int, BaseError] = {}
        self.total = total
        self.bytes_received = 0
        self.bytes_sent = 0
        self._work = work
        self._sizes = sizes
        self._quick = quick
        self._results: list[object] = []
        self._untold: list[int] = []
        self._closed = False

    @property
    def settled(self) -> int:
        """How many are done."""
        return len(self._results)

    @property
    def over(self) -> bool:
        """Whether all are."""
        return self.settled == self.total

    def news(self, within: float | None = None) -> Plan[None]:
        """Do some of them."""
        yield Call(self._go_on, quick=self._quick, settle=not self._quick)

    def _go_on(self) -> None:
        until = time.monotonic() + AT_A_TIME
        while not (self.over or self._closed):
            self._do(self.settled)
            if time.monotonic() > until:
                return

    def _do(self, index: int) -> None:
        try:
            result = self._work(index)
        except BaseError as error:
            self.errors[index] = error
            self._results.append(None)
            return
        self._results.append(result)
        self._untold.append(index)
        self.bytes_received += len(result) if isinstance(result, Bytes) else 0
        self.bytes_sent += self._sizes[index] if self._sizes else 0

    def finished(self) -> list[int]:
        """Return the indexes of those that ended well since the last call."""
        indexes, self._untold = self._untold, []
        return indexes

    def sums(self, index: int) -> None:
        """Return no checksum: nobody tells one that it could be compared with."""

    def rest(self, index: int) -> None:
        """Return None: every read brings all."""

    def whole(self, index: int) -> None:
        """Return None: no read comes with a checksum of those of parts."""

    def widen(self, window: int) -> None:
        """Do nothing: nothing is read ahead."""

    def limit(self, most: int) -> Plan[None]:
        """Do nothing: there are no requests."""
        return
        yield

    def take(self, index: int) -> Bytes:
        """Return a body, and let go of it."""
        body, self._results[index] = self._results[index], None
        assert isinstance(body, Bytes)
        return body

    def bodies(self) -> list[Bytes | None]:
        """Return the bodies in order."""
        return [*self._results]  # type: ignore[list-item]

    def metas(self) -> list[ObjectMeta | None]:
        """Return the metadata in order."""
        return [*self._results]  # type: ignore[list-item]

    def results(self) -> list[PutResult | None]:
        """Return the results of the writes in order."""
        return [*self._results]  # type: ignore[list-item]

    def close(self) -> None:
        """Do no more."""
        self._closed = True


class SequentialParts:
    """The parts of one object to be.

    Args:
        write: Writes a part at its place in the object.
    """

    def __init__(self, write: Callable[[Source, int], Work[None]]) -> None:
        self.errors: dict[int, BaseError] = {}
        self.total = self.settled = self.bytes_received = self.bytes_sent = 0
        self._write_part = write
        self._waiting: deque[tuple[Source, int]] = deque()
        self._end = 0

    @property
    def unsettled(self) -> int:
        """How many parts are still to be written."""
        return len(self._waiting)

    @property
    def over(self) -> bool:
        """Whether none is."""
        return not self._waiting

    def renew(self) -> Plan[None]:
        """Nothing is signed here."""
        return
        yield

    def add_part(self, part: Source) -> None:
        """Take one more part."""
        self._waiting.append((part, self._end))
        self._end += part.size
        self.total += 1

    def seal(self) -> None:
        """It was the last."""

    def news(self, within: float | None = None) -> Plan[None]:
        """Write the parts that wait."""
        yield from in_steps(self._write())

    def _write(self) -> Work[None]:
        while self._waiting:
            yield from self._write_part(*self._waiting[0])
            part, _ = self._waiting.popleft()
            self.settled += 1
            self.bytes_sent += part.size

    def finished(self) -> list[int]:
        """Return nothing: no part keeps memory once it is written."""
        return []

    def take(self, index: int) -> Bytes:
        """Return nothing: parts bring no bodies."""
        return Bytes()
