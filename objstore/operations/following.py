"""What follows on a place in one version of an object, part by part, fetched before it is asked for.

By parallel ranges, where these can be told to be of one version; else by one request, however large the object is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore._core import Buffer, Bytes, checksum
from objstore.interface.values import PACED, WHOLE, Range, Reads
from objstore.interface.versions import is_same
from objstore.operations.ahead import Ahead, piece_of
from objstore.operations.pieces import changed, check_errors, check_version, parts_of
from objstore.operations.progress import news, tell
from objstore.operations.sums import Combined

if TYPE_CHECKING:
    from objstore.interface.provider import Fetch, Flow, Flows, Provider
    from objstore.interface.values import Conditions, Seen
    from objstore.operations.sums import Whole
    from objstore.plans.effects import Plan
    from objstore.types import Progress


def following(
    provider: Provider,
    key: str,
    path: str,
    conditions: Conditions,
    span: Range,
    part: int,
    most: int,
    progress: Progress | None = None,
) -> Following:
    """Return what follows on a place in the version of an object that a reply was of.

    Args:
        provider: Where the object is.
        key: Its key.
        path: Its path, for errors.
        conditions: Which version is meant, as a reply told it.
        span: From where to where.
        part: How much comes at a time, in bytes; less of it where a connection takes long for that.
        most: How many bytes are fetched before they are asked for at the most.
        progress: Is told of the parts.
    """
    assert conditions.expected is not None
    if flows_for(provider, key, conditions.expected) is not None:
        return Single(provider, key, path, conditions, span, part, part, most, progress)
    return Parallel(provider, key, path, conditions, span, part, piece_of(part, provider.pace), most, progress)


def flows_for(provider: Provider, key: str, seen: Seen) -> Flows | None:
    """Return what reads an object by one request, where several could not be told to be of one version."""
    flows = provider.flows
    return flows if flows is not None and flows.is_needed(key, seen) else None


class Following:
    """What follows on a place in an object."""

    def __init__(
        self,
        provider: Provider,
        key: str,
        path: str,
        conditions: Conditions,
        span: Range,
        part: int,
        piece: int,
        most: int,
        progress: Progress | None = None,
    ) -> None:
        self.at, self.end = span
        self._provider = provider
        self._key = key
        self._path = path
        self._conditions = conditions
        self._piece = piece
        self._ahead = Ahead(part, piece, most, lambda: provider.pace)
        self._progress = progress
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
        raise NotImplementedError

    def _taken(self, part: Bytes) -> Bytes:
        """Go behind a part."""
        self.at += len(part)
        if self.at == self.end:
            self._ahead.end()
        return part

    def close(self) -> None:
        """Stop what is still under way."""
        self._left = Bytes()
        self._ahead.end()


class Parallel(Following):
    """What follows on a place in an object, by several requests at a time."""

    _fetch: Fetch | None = None
    _given = 0

    def part(self, whole: Whole | None = None) -> Plan[Bytes]:
        """Return the next part, waiting for it."""
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
            self._arrived: set[int] = set()
            self._ahead.begin()
            reads = Reads.of(
                self._key,
                parts_of(self.at, self.end, self._piece),
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
        if len(part) != min(self._piece, self.end - self.at):
            raise changed(self._path)
        if whole is not None:
            whole.add(self.at, whole.digest(self.at, part, sums))
        return self._taken(part)

    def close(self) -> None:
        """Stop what is still under way."""
        super().close()
        if self._fetch is not None:
            self._fetch.close()


SUM = "crc64nvme"
"""By what it is told whether two tries have brought the same bytes."""


class Single(Following):
    """What follows on a place in an object, by one request; each try begins anew where one breaks off.

    Nothing in the replies tells whether they are of the same version. So what a new one brings of what has been given
    already is compared with that: where it is the same, all that is given is of the version of the last reply.
    """

    _flow: Flow | None = None
    _given: tuple[int, bytes] | None = None  # up to where parts have been given, and what they sum up to

    def part(self, whole: Whole | None = None) -> Plan[Bytes]:
        """Return the next part, waiting for it; the last one when nothing is left that could show it to be wrong."""
        flow = yield from self._begin()
        found = self._new_part(flow)
        if self.at > self._start and self._ahead.asked(here=found is not None):
            flow.widen(self._ahead.window)
        while found is None:
            if flow.over:
                found = self._new_part(flow)
                break
            yield from news(flow, self._progress)
            found = self._new_part(flow)
        if found is None or self.at + len(found) > self.end:
            check_errors(flow, self._path)
            raise changed(self._path)
        if self.at + len(found) == self.end:
            yield from self._finish(flow)
        if whole is not None:
            whole.add(self.at, whole.digest(self.at, found, None))
        self._sum.add(checksum(SUM, found), len(found))
        self._given = (self.at + len(found), self._sum.digest())
        return self._taken(found)

    def check(self, body: Bytes) -> None:
        """Raise if an object that has come otherwise is not the one of which parts have been given."""
        if self._given is not None and checksum(SUM, body[self._start : self._given[0]]) != self._given[1]:
            raise changed(self._path)

    def _begin(self) -> Plan[Flow]:
        if self._flow is None:
            expected, flows = self._conditions.expected, self._provider.flows
            assert expected is not None
            assert flows is not None
            self._start = self.at
            self._sum = Combined(SUM)  # of all that has been given,
            self._again = Combined(SUM)  # and of what comes again of it
            span = WHOLE if (self.at, self.end) == (0, expected.meta["size"]) else Range(self.at, self.end)
            self._ahead.begin()
            self._flow = yield from flows.flow(
                self._key, span, self._conditions, piece=self._piece, window=self._ahead.window
            )
        return self._flow

    def _new_part(self, flow: Flow) -> Bytes | None:
        """Return what has come that is new, if it is here."""
        tell(flow, self._progress)
        while (found := flow.piece()) is not None:
            at, part, seen = found
            if seen is not None:
                self._check_same(seen)
            if self._start + at == self.at:
                return part
            self._compare(at, part)
        return None

    def _check_same(self, seen: Seen) -> None:
        """Raise if a reply does not seem to be of the version that is meant; one that may be is compared anew."""
        assert self._conditions.expected is not None
        self._again = Combined(SUM)
        if not is_same(seen, self._conditions.expected):
            raise changed(self._path)

    def _compare(self, at: int, part: Bytes) -> None:
        """Compare what has come again with what was given."""
        self._again.add(checksum(SUM, part), len(part))
        end = self._start + at + len(part)
        if end > self.at or (end == self.at and self._again.digest() != self._sum.digest()):
            raise changed(self._path)

    def _finish(self, flow: Flow) -> Plan[None]:
        """Wait for the end of the reply whose last part is here; nothing may come behind that."""
        over = False
        while not over:
            over = flow.over  # asked first: what comes after this is seen in the next round
            if flow.piece() is not None:
                raise changed(self._path)
            check_errors(flow, self._path)
            if not over:
                yield from news(flow, self._progress)
        tell(flow, self._progress)

    def close(self) -> None:
        """Stop what is still under way."""
        super().close()
        if self._flow is not None:
            self._flow.close()
