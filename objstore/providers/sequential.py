"""Many operations that a provider does by itself, one after the other, when it is waited for.

Its one invariant: nothing is done before somebody waits, and then for a tenth of a second or one operation, whichever
is more; so what has come is bounded by what was asked for, and a cancelled caller has nothing left running.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from objstore._core import Bytes
from objstore.exceptions import BaseError
from objstore.plans.effects import Call, Plan
from objstore.plans.work import AT_A_TIME

if TYPE_CHECKING:
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
