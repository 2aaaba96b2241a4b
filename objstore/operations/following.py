"""The parts of one version of an object, one after the other, fetched before they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore._core import Buffer, Bytes
from objstore.interface.values import PACED, Range, Reads
from objstore.operations.ahead import Ahead
from objstore.operations.pieces import changed, check_version, parts_of
from objstore.operations.progress import news, tell

if TYPE_CHECKING:
    from objstore.interface.provider import Fetch, Provider
    from objstore.interface.values import Conditions
    from objstore.operations.sums import Whole
    from objstore.plans.effects import Plan
    from objstore.types import Progress


class Following:
    """What follows on a place in an object.

    Args:
        provider: Where the object is.
        key: Its key.
        path: Its path, for errors.
        conditions: Which version is meant.
        span: From where to where.
        part: How much one request brings, in bytes.
        most: How many bytes are fetched before they are asked for at the most.
        progress: Is told of the parts.
    """

    def __init__(
        self,
        provider: Provider,
        key: str,
        path: str,
        conditions: Conditions,
        span: Range,
        part: int,
        most: int,
        progress: Progress | None = None,
    ) -> None:
        self.at, self.end = span
        self._provider = provider
        self._key = key
        self._path = path
        self._conditions = conditions
        self._part = part
        self._ahead = Ahead(part, most, lambda: provider.pace)
        self._progress = progress
        self._fetch: Fetch | None = None
        self._arrived: set[int] = set()
        self._given = 0
        self._left = Bytes()  # of the part that was given last, what is in front of `at`

    @property
    def come(self) -> int:
        """Up to where the object has been taken."""
        return self.at + len(self._left)

    def fill(self, buffer: Buffer, start: int, whole: Whole | None = None) -> Plan[None]:
        """Read what follows into a buffer, from a place in it on, until it is full."""
        view = memoryview(buffer)[start:]
        while len(view):
            if not len(self._left):
                self._left = yield from self.part(whole)
                self.at -= len(self._left)
            size = min(len(self._left), len(view))
            view[:size] = self._left[:size]
            self._left, view = self._left[size:], view[size:]
            self.at += size

    def part(self, whole: Whole | None = None) -> Plan[Bytes]:
        """Return the next part, waiting for it.

        Args:
            whole: What the pieces of the object are to add up to, where they go on from others.
        """
        fetch = yield from self._begin(whole)
        self._look(fetch)
        if self._given and self._ahead.asked(here=self._given in self._arrived):
            fetch.widen(self._ahead.window)
        while self._given not in self._arrived:
            yield from news(fetch, self._progress)
            self._look(fetch)
        return self._take(fetch, whole)

    def _begin(self, whole: Whole | None) -> Plan[Fetch]:
        if self._fetch is None:
            self._ahead.begin()
            reads = Reads.of(
                self._key,
                parts_of(self.at, self.end, self._part),
                sums=None if whole is None else whole.by_engine,
            )
            self._fetch = yield from self._provider.fetch(
                reads, conditions=self._conditions, most_in_flight=PACED, each=True, window=self._ahead.window
            )
        return self._fetch

    def _look(self, fetch: Fetch) -> None:
        """Note what has arrived, and check all of it before any is given."""
        tell(fetch, self._progress)
        self._arrived.update(fetch.finished())
        check_version(fetch, self._path)

    def _take(self, fetch: Fetch, whole: Whole | None) -> Bytes:
        sums, part = fetch.sums(self._given), fetch.take(self._given)
        self._given += 1
        if len(part) != min(self._part, self.end - self.at):
            raise changed(self._path)
        if whole is not None:
            whole.add(self.at, whole.digest(self.at, part, sums))
        self.at += len(part)
        if self.at == self.end:
            self._ahead.end()
        return part

    def close(self) -> None:
        """Stop what is still under way."""
        self._left = Bytes()
        if self._fetch is not None:
            self._fetch.close()
        self._ahead.end()
