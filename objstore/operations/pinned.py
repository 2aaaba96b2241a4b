"""One version of an object, read in ranges.

Its one invariant: all bytes are of one version of the object, that of the first reply; once it is replaced, reading
raises ObjectChangedError.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from objstore._core import Buffer, Bytes
from objstore.exceptions import InvalidRangeError, PreconditionError, WrongSizeError
from objstore.interface.values import ANY, WHOLE, Conditions, Range
from objstore.interface.versions import can_pin, is_same, pinned
from objstore.operations.ahead import READ_AHEAD
from objstore.operations.following import Following, Single, flows_for, following
from objstore.operations.moment import Moment
from objstore.operations.pieces import changed, is_cut_anew, read_into, told_of
from objstore.operations.sums import Whole

if TYPE_CHECKING:
    from objstore.interface.provider import Flows, Provider
    from objstore.interface.values import Fetched, Sums
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta

PART = 4 << 20
"""What one request of a large read brings."""

FOLLOWING = 2 << 20
"""The same, of what is fetched before it is asked for."""

STREAMED = 1 << 20
"""The same, of the one request that an object takes of which nothing tells the version."""

FAR = 0.0005
"""Where a reply takes so many seconds, it is worth it to fetch more than is asked for,"""

FOLLOWED, FROM_BEGINNING = 8 << 20, 2 << 20
"""once so many bytes have been read one after the other; less of them, where these are the first of the object."""


class Pinned:
    """One version of an object, to be read in ranges, by several threads if need be.

    Where a reply has no strong validator, nothing tells one version from another, and a server may know no ranges: then
    one request brings all of it. Reads that go on from each other from its beginning take what that brings, and little
    of it is in memory; any other read has all of it read, if it is large into a file without a name. That has to be
    what they were given.

    Where the service tells the checksum of the object, reads from its beginning that go on from each other are compared
    with it when they reach the end.

    Args:
        provider: Where the object is.
        key: Its key.
        path: Its path, for errors.
        size: The size of the object: of a version that has another, nothing is read.
        conditions: Which version is meant; None until the first read says.
        whole: What all of it is to add up to, where that is known.
        at: Where a piece begins that is here already.
        piece: That piece of this version, at its beginning or its end.
        all: All of this version, where it is here.
    """

    def __init__(
        self,
        provider: Provider,
        key: str,
        path: str,
        size: int,
        conditions: Conditions | None,
        whole: Whole | None = None,
        at: int = 0,
        piece: Bytes | None = None,
        all: Bytes | None = None,
    ) -> None:
        self.path = path
        self.size = size
        self.conditions = conditions
        self._sum_of_all = whole
        self._provider = provider
        self._key = key
        self._lock = Lock()
        self._whole = all
        self._following: Following | None = None
        self._single: Single | None = None
        self._is_free = False  # nobody reads of that at the moment
        self._end = self._in_turn = 0  # where the last read ended, and how many bytes went on from each other
        self._at = at
        self._piece = Bytes() if piece is None else self._checked(piece)
        self.asked = Moment()

    def _checked(self, piece: Bytes) -> Bytes:
        """Return the piece, as far as it may be used; none of it where it is damaged, so that it is got again."""
        assert self.conditions is not None
        assert self.conditions.expected is not None
        if len(piece) == self.size and not can_pin(self.conditions.expected):
            self._whole = piece
        if not can_pin(self.conditions.expected):
            return Bytes()
        whole = self._sum_of_all
        if whole is not None and piece and self._at == 0:
            self._begin_sum(whole, piece)
            if whole.is_damaged:
                return Bytes()
        return piece

    def _begin_sum(self, whole: Whole, piece: Bytes, sums: Sums | None = None) -> None:
        """Make a piece the first of those that the sum of all is made of."""
        whole.forget()
        whole.add(0, whole.digest(0, piece, sums))

    @property
    def meta(self) -> ObjectMeta:
        """What the reply told that this version is of."""
        assert self.conditions is not None
        assert self.conditions.expected is not None
        return self.conditions.expected.meta

    def anew(self) -> Plan[Pinned]:
        """Return the same version, to be read from its beginning."""
        assert self.conditions is not None
        sums = None if self._sum_of_all is None else self._sum_of_all.told
        whole = yield from told_of(self._provider, self._key, self.path, self.conditions, sums)
        made = Pinned(self._provider, self._key, self.path, self.size, self.conditions, whole, all=self._whole)
        made.asked = self.asked
        return made

    @property
    def e_tag(self) -> str | None:
        """The ETag that pins the version, once it is known, if it is strong."""
        return None if self.conditions is None else self.conditions.if_match

    @property
    def piece(self) -> tuple[int, Bytes]:
        """The piece that came along when the object was opened, and where it begins; it serves reads here, too."""
        return self._at, self._piece

    @property
    def wait_is_worth(self) -> float:
        """How many bytes come in the time that a reply takes to begin, from afar; near by, none."""
        return self._provider.pace.wait_is_worth

    def close(self) -> None:
        """Let go of what is in memory."""
        self._whole = None
        self._piece = Bytes()
        for ahead in (self._following, self._single):
            if ahead is not None:
                ahead.close()

    def fetch(self, at: int, buffer: Buffer) -> Plan[None]:
        """Fetch what is at this place into the whole of a buffer.

        Raises:
            ObjectChangedError: The object has been replaced.
            IntegrityError: All of the object has been read, and is damaged.
        """
        if self._sum_of_all is not None and at == 0:
            self._sum_of_all.forget()
        following = self._take_following(at, len(buffer))
        if following is None:
            yield from self._fetch(at, buffer)
            return
        yield from following.fill(buffer, 0, self._sum_from(following.come))
        self._following = following
        if following.at == self.size and self._sum_of_all is not None and self.conditions is not None:
            yield from is_cut_anew(self._provider, self._key, self.conditions, self._sum_of_all)
            self._sum_of_all.check()

    def is_ahead(self, at: int) -> bool:
        """Tell whether what is at this place has been fetched before it is asked for, or is under way."""
        following = self._following
        return following is not None and following.at == at

    def _take_following(self, at: int, size: int) -> Following | None:
        """Return what fetches ahead of reads that go on from each other, where they do, and what they read is far."""
        with self._lock:
            following, self._following = self._following, None
            self._in_turn = self._in_turn + size if at == self._end else size
            self._end = at + size
        if following is not None and following.at != at:
            following.close()
            following = None
        if following is None and self._goes_on(at, size) and self._provider.pace.wait >= FAR:
            following = self._follow(at)
        return following

    def _goes_on(self, at: int, size: int) -> bool:
        """Tell whether reads go on from each other for long."""
        before = self._in_turn - size
        return before >= (FROM_BEGINNING if at - before <= len(self._piece) else FOLLOWED)

    def _follow(self, at: int) -> Following | None:
        """Return what fetches ahead from a place on; nothing where it takes the whole object to read any of it."""
        if self.conditions is None or self._flows() is not None:
            return None
        span = Range(at, self.size)
        return following(self._provider, self._key, self.path, self.conditions, span, FOLLOWING, READ_AHEAD)

    def _sum_from(self, at: int) -> Whole | None:
        """Return what the pieces are to add up to, where the one at this place goes on from the others."""
        whole = self._sum_of_all
        return whole if whole is not None and whole.end == at and not whole.is_damaged else None

    def _fetch(self, at: int, buffer: Buffer) -> Plan[None]:
        filled = self._from_piece(at, buffer)
        if self.conditions is None:
            filled = yield from self._pin(at, buffer)
        assert self.conditions is not None
        if filled < self.size and self._flows() is not None:
            yield from self._fetch_singly(at, buffer)
        elif filled < len(buffer):
            whole = self._sum_of_all
            if whole is not None and whole.end != at + filled and not whole.is_damaged:
                whole = None
            yield from read_into(
                self._provider, self._key, at, buffer, filled, PART, self.conditions, self.path, whole=whole
            )

    def _flows(self) -> Flows | None:
        """Return what reads the object, where that takes one request for all of it."""
        assert self.conditions is not None
        assert self.conditions.expected is not None
        return flows_for(self._provider, self._key, self.conditions.expected)

    def _fetch_singly(self, at: int, buffer: Buffer) -> Plan[None]:
        """Fetch what is at this place, where all of it takes one request: of what that brings, as long as reads go on
        from each other from the beginning; else out of all of it."""
        single = self._take_single(at)
        if single is None:
            memoryview(buffer)[:] = memoryview((yield from self._all()))[at : at + len(buffer)]
        else:
            yield from single.fill(buffer, 0)
            self._is_free = True
        if self._single is not None and self._whole is not None:
            self._single.check(self._whole)

    def _take_single(self, at: int) -> Single | None:
        """Return what reads a large object from its beginning on, if it stands here and nobody else uses it."""
        with self._lock:
            if self._single is None and self._begins(at) and self._whole is None and self.size > FOLLOWED:
                self._single, self._is_free = self._begin_single(at), True
            if self._single is None or not self._is_free or self._single.at != at or self._whole is not None:
                return None
            self._is_free = False
            return self._single

    def _begins(self, at: int) -> bool:
        """Tell whether a read begins at the beginning, or goes on from the piece that is here of that."""
        return at == 0 or (self._at == 0 and at == len(self._piece))

    def _begin_single(self, at: int) -> Single:
        assert self.conditions is not None
        span = Range(at, self.size)
        single = following(self._provider, self._key, self.path, self.conditions, span, STREAMED, READ_AHEAD)
        assert isinstance(single, Single)
        return single

    def _from_piece(self, at: int, buffer: Buffer) -> int:
        """Fill a buffer as far as the bytes are here already; return how far that is."""
        if at < self._at:
            return 0
        here = self._piece[at - self._at : at - self._at + len(buffer)]
        memoryview(buffer)[: len(here)] = here
        if at == 0 and here and self._sum_of_all is not None:
            self._begin_sum(self._sum_of_all, here)
        return len(here)

    def _pin(self, at: int, buffer: Buffer) -> Plan[int]:
        """Read the beginning of a buffer, and stay with the version of the object that it came from."""
        size = min(len(buffer), PART)
        try:
            fetched = yield from self._provider.fetch_one(self._key, Range(at, at + size), ANY)
        except InvalidRangeError as error:
            raise self._wrong_size(at, error.status) from error
        if len(fetched.body) < size or fetched.meta["size"] != self.size:
            raise self._wrong_size(at)
        memoryview(buffer)[:size] = fetched.body[:size]
        with self._lock:
            if self.conditions is None:
                self.conditions = pinned(fetched.seen)
                self._sum_of_all = self._first_sum(at, fetched, size)
                self._whole = fetched.body[:size] if size == self.size and not can_pin(fetched.seen) else None
        assert self.conditions.expected is not None
        if not is_same(fetched.seen, self.conditions.expected):
            raise changed(self.path)
        return size

    def _first_sum(self, at: int, fetched: Fetched, size: int) -> Whole | None:
        """Return what the pieces are to add up to, of which this one is the first."""
        whole = Whole.of(self.path, fetched.sums)
        if whole is not None and at == 0 and len(fetched.body) == size:
            self._begin_sum(whole, fetched.body, fetched.sums)
        return whole

    def _wrong_size(self, at: int, status: int | None = None) -> WrongSizeError:
        return WrongSizeError(
            f"the range of {self.path!r} from {at} on is not as it was opened: the object has no {self.size} bytes",
            hint="Give no size, or the right one.",
            path=self.path,
            status=status,
        )

    def _all(self) -> Plan[Bytes]:
        """Return the whole object, read by one request."""
        if (here := self._whole) is not None:
            return here
        with self._lock:
            idle, self._is_free = self._single if self._is_free else None, False
        if idle is not None:
            idle.close()
        whole = yield from self._read_singly()
        with self._lock:
            self._whole = self._whole or whole
            return self._whole

    def _read_singly(self) -> Plan[Bytes]:
        """Read all of it by one request: what is large, into a file without a name."""
        flows = self._flows()
        assert flows is not None
        assert self.conditions is not None
        assert self.conditions.expected is not None
        flow = yield from flows.flow(self._key, WHOLE, self.conditions, piece=STREAMED, window=2 * STREAMED)
        try:
            size, whole = yield from flow.measure(self.conditions.expected, keep=True)
        except PreconditionError as error:
            raise changed(self.path, error.status) from error
        finally:
            flow.close()
        if whole is None or size != self.size:
            raise changed(self.path)
        return whole


def pin(provider: Provider, key: str, path: str, piece: Range) -> Plan[Pinned]:
    """Ask for an object as it is now, and for a piece of it along with that, where that costs no other request.

    Args:
        provider: Where the object is.
        key: Its key.
        path: Its path, for errors.
        piece: Which piece, at its beginning or its end.

    Raises:
        NotFoundError: There is no such object.
    """
    asked = Moment()
    found = yield from provider.look(key, ANY, piece)
    size = found.meta["size"]
    start, end = piece.within(size)
    body = found.body if len(found.body) == end - start else None
    conditions = pinned(found.seen)
    whole = yield from told_of(provider, key, path, conditions, found.sums)
    made = Pinned(provider, key, path, size, conditions, whole, start, body, found.whole)
    made.asked = asked
    return made
