"""What many reads ask for, and where their bytes go, checked before anything is sent."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from objstore._core import Buffer
from objstore.exceptions import InvalidRangeError, PreconditionError
from objstore.interface.values import WHOLE, Range, Read, Reads, Target
from objstore.operations.buffers import writable
from objstore.operations.outcomes import Counted
from objstore.plans.effects import Call

if TYPE_CHECKING:
    from objstore.interface.provider import Fetch
    from objstore.interface.store import BaseStore
    from objstore.plans.effects import Plan
    from objstore.types import Request


AT_A_TIME = 4096
"""How many requests are read of an iterator before they are sent."""

T = TypeVar("T")


class Groups(Generic[T]):
    """Requests in groups, each to be sent at once: what is all there is one group, and checked as a whole before any of
    it is sent; an iterator is read as its requests are sent.

    Args:
        items: The requests.
        weigh: Tells for how many a request counts.
    """

    def __init__(self, items: Iterable[T], weigh: Callable[[T], int] = lambda _: 1) -> None:
        check_several(items)
        self.over = False
        self._blocks = not isinstance(items, Collection)
        self._iterator = iter(items)
        self._weigh = weigh

    def next(self) -> Plan[list[T]]:
        """Return the next group."""
        if self._blocks:
            some: list[T] = yield Call(self._take, settle=True)
            return some
        self.over = True
        return [*self._iterator]

    def _take(self) -> list[T]:
        some: list[T] = []
        weight = 0
        for item in self._iterator:
            some.append(item)
            weight += self._weigh(item)
            if weight >= AT_A_TIME:
                return some
        self.over = True
        return some


class Asked:
    """What many reads ask for, in groups.

    Args:
        store: Where it is.
        requests: A path each, or ``(path, start, end)``, or ``(path, start, end, e_tag)``.
        out: Where the bytes go, if that is given.
    """

    def __init__(self, store: BaseStore, requests: Iterable[Request], out: Any) -> None:
        self._store = store
        self._whole: Reads | None = None
        self._groups = Groups(requests)
        self._before = 0
        if out is not None:
            self._whole = with_targets(read_requests(store, requests), out)
        elif isinstance(requests, Collection):
            self._whole = read_requests(store, requests)

    @property
    def over(self) -> bool:
        """Whether all of it has been given."""
        return self._groups.over

    def next(self) -> Plan[Reads]:
        """Return the next reads."""
        if self._whole is not None:
            self._groups.over = True
            return self._whole
        group = yield from self._groups.next()
        with Counted(self._before):
            reads = read_requests(self._store, group)
        self._before += len(reads)
        return reads


def read_requests(store: BaseStore, requests: Iterable[Request]) -> Reads:
    """Return the requests of a bulk read, checked."""
    paths: list[str] = []
    ranges: list[Range] = []
    e_tags: dict[int, str] = {}
    for request in requests:
        if isinstance(request, str):
            paths.append(request)
            ranges.append(WHOLE)
        else:
            path, span, e_tag = _ranged(request, len(paths))
            if e_tag is not None:
                e_tags[len(paths)] = e_tag
            paths.append(path)
            ranges.append(span)
    keys = store.keys(paths)
    return Reads(keys, ranges, e_tags=[*map(e_tags.get, range(len(paths)))] if e_tags else None)


def two_of(pair: Any, what: str) -> tuple[Any, Any]:
    """Return the two items of a pair.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"{pair!r} is no pair of {what}")
    return pair[0], pair[1]


def check_several(paths: object) -> None:
    if isinstance(paths, str):
        raise TypeError(f"{paths!r} is one path: give a list, [{paths!r}]")
    try:
        iter(paths)  # type: ignore[call-overload]
    except TypeError:
        raise TypeError(f"{paths!r} is of the type {type(paths).__name__}: give a list, or another iterable") from None


def _ranged(request: Any, index: int) -> tuple[str, Range, str | None]:
    e_tag: str | None = None
    try:
        if len(request) == 4:
            *request, e_tag = request
            if e_tag is not None and not isinstance(e_tag, str):
                raise ValueError
        path, start, end = request
        first, last = operator.index(start), -1 if end is None else operator.index(end)
    except ValueError:
        raise ValueError(f"{request!r} is no request: {_SHAPES}") from None
    except TypeError:
        raise TypeError(f"{request!r} is no request: {_SHAPES} in whole bytes") from None
    if end is not None and last <= first:
        message = f"Invalid range: {request!r} is empty or reversed, end must be after start"
        raise InvalidRangeError(message, path=path, index=index)
    if first < 0:
        message = f"Invalid range: {request!r} begins before the object"
        raise InvalidRangeError(message, path=path, index=index)
    return path, WHOLE if e_tag is not None and (first, last) == (0, -1) else Range(first, last), e_tag


_SHAPES = "give a path, (path, start, end) or (path, start, end, e_tag)"


def check_e_tag(store: BaseStore, reads: Reads, fetch: Fetch, index: int) -> None:
    """Raise if a reply is not of the version that was asked for."""
    wanted = None if reads.e_tags is None else reads.e_tags[index]
    if wanted is None:
        return
    found, path = fetch.told(index).meta["e_tag"], store.path(reads.keys[index])
    if opaque(found) != opaque(wanted):
        raise PreconditionError(f"{path!r} has the ETag {found}, not {wanted}", path=path, index=index)


def opaque(e_tag: str | None) -> str:
    """Return an ETag without its quotes: some servers leave them out where they list (rclone)."""
    return (e_tag or "").strip('"')


def with_targets(reads: Reads, out: Any) -> Reads:
    """Say for each read where its bytes go."""
    return Reads(reads.keys, reads.ranges, targets_of(reads, out), e_tags=reads.e_tags)


def targets_of(reads: Reads, out: Any) -> list[Target]:
    """Return where the bytes of each read go; none of them overlap.

    Raises:
        ValueError: They do not fit, they would overlap, or what is given cannot be written to.
    """
    if not isinstance(out, list | tuple):
        if not _has_strides(out):
            return _side_by_side(reads, _writable(out))
        out = [*out]
    buffers = [*map(_writable, out)]  # first: of an array in another order, the number of rows says nothing
    if len(out) != len(reads):
        raise ValueError(f"there are {len(out)} buffers in out for {len(reads)} requests")
    targets = [Target(buffer, 0, _room(read, len(buffer))) for read, buffer in zip(reads, buffers, strict=True)]
    _check_apart(targets)
    return targets


def _check_apart(targets: list[Target]) -> None:
    """Raise if what one read may write is where another writes, too: of one, the bytes would be lost."""
    places = sorted((buffer.address, length, index) for index, (buffer, _, length) in enumerate(targets) if length)
    for (at, length, index), (following, _, other) in pairwise(places):
        if following < at + length:
            first, second = sorted((index, other))
            raise ValueError(f"out[{first}] and out[{second}] share memory: give each request a buffer of its own")


def _has_strides(out: Any) -> bool:
    """Tell whether an array has rows that do not lie one behind the other: each takes the bytes of one request."""
    if getattr(out, "ndim", 1) < 2:
        return False
    try:
        Buffer(out)
    except (TypeError, ValueError, BufferError):
        return True
    return False


def _writable(data: Any) -> Buffer:
    try:
        return writable(data)
    except TypeError as error:
        raise ValueError(f"out: {error}") from None


def _room(read: Read, room: int) -> int:
    """Return how many bytes a read may write, checked against what it asks for."""
    wanted = _length(read)
    if wanted is not None and wanted > room:
        raise ValueError(f"{wanted} bytes of {read.key!r} do not fit in a buffer of {room}")
    return room if wanted is None else wanted


def _length(read: Read) -> int | None:
    return read.range.end - read.range.start if read.range.end >= 0 else None


def _side_by_side(reads: Reads, out: Buffer) -> list[Target]:
    targets, at = [], 0
    for read in reads:
        length = _length(read)
        if length is None:
            raise ValueError(
                f"one buffer for all needs every length, that of {read.key!r} is open: give (path, start, end), "
                "or a buffer for each request"
            )
        targets.append(Target(out, at, length))
        at += length
    if at > len(out):
        raise ValueError(f"out has {len(out)} bytes, the requests ask for {at}")
    return targets
