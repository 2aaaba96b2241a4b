"""An object read in pieces: all of one version, and together what its checksum says.

Amazon tells the checksum of a whole object only of all of it, or by a HEAD; Google tells it with every range. Where a
service knows but a checksum of the checksums of parts, that is compared where the sizes of the parts are known: no
reply tells them, so they are asked for where questions of their own are wanted.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from objstore.exceptions import InvalidRangeError, ObjectChangedError, PreconditionError
from objstore.interface.values import PACED, Range, Reads, Target
from objstore.interface.versions import is_same
from objstore.operations.progress import settle
from objstore.operations.sums import OfParts, Whole, equal_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore._core import Buffer, Bytes
    from objstore.interface.provider import Exchange, Fetch, Parts, Provider
    from objstore.interface.values import Conditions, Sums
    from objstore.plans.effects import Plan
    from objstore.types import Progress

T = TypeVar("T")

MOST_PIECES = 64
"""How many pieces of one object are fetched at a time."""


def whole_of(
    provider: Provider,
    key: str,
    path: str,
    conditions: Conditions,
    sums: Sums | None,
    *,
    most_in_flight: int = PACED,
) -> Plan[Whole | None]:
    """Return what the pieces of an object are to add up to, where the service tells it or is to be asked.

    Args:
        provider: Where the object is.
        key: Its key.
        path: Its path, for errors.
        conditions: Which version is meant, as a reply told it.
        sums: What the first piece told.
        most_in_flight: How many questions may be in flight.

    Raises:
        ObjectChangedError: It has been replaced.
    """
    if provider.asks_for_checksums and (sums is None or sums.whole is None):
        try:
            found = yield from provider.look(key, conditions)
        except PreconditionError as error:
            raise changed(path, error.status) from error
        assert conditions.expected is not None
        if not is_same(found.seen, conditions.expected):
            raise changed(path)
        sums = found.sums
    return (yield from told_of(provider, key, path, conditions, sums, most_in_flight=most_in_flight))


def told_of(
    provider: Provider,
    key: str,
    path: str,
    conditions: Conditions,
    sums: Sums | None,
    *,
    most_in_flight: int = PACED,
) -> Plan[Whole | None]:
    """Return what the pieces of an object are to add up to, where a service has told that.

    Where that is of the checksums of parts, a request asks where these end, if that is wanted: how large the first one
    is, and most likely all others are. What is one part alone needs no question.

    Raises:
        ObjectChangedError: It has been replaced.
    """
    if sums is None or not sums.parts or sums.whole is None:
        return Whole.of(path, sums)
    if sums.parts == 1:
        return OfParts(path, sums, [sums.size], is_sure=True)
    first = yield from _asked(provider, path, lambda parts: parts.first(key, conditions, sums))
    if first is None:
        return None
    sizes = equal_parts(sums.size, first, sums.parts)
    if sizes is not None:
        return OfParts(path, sums, sizes, is_sure=sums.parts == 2)
    sizes = yield from _asked(
        provider, path, lambda parts: parts.all(key, conditions, sums, most_in_flight=most_in_flight)
    )
    return None if sizes is None else OfParts(path, sums, sizes, is_sure=True)


def is_cut_anew(
    provider: Provider, key: str, conditions: Conditions, whole: Whole, *, most_in_flight: int = PACED
) -> Plan[bool]:
    """Tell whether all of an object has to be added up again, by other parts than were likely.

    Where it does not add up, the service is asked for the parts. Without an answer, nothing is compared.

    Raises:
        ObjectChangedError: It has been replaced.
    """
    if not isinstance(whole, OfParts) or whole.is_sure or not whole.is_damaged:
        return False
    sums = whole.told
    sizes = yield from _asked(
        provider, whole.path, lambda parts: parts.all(key, conditions, sums, most_in_flight=most_in_flight)
    )
    return whole.settle(sizes)


def _asked(provider: Provider, path: str, ask: Callable[[Parts], Plan[T | None]]) -> Plan[T | None]:
    """Ask a service for the parts of an object, where that is wanted."""
    parts = provider.parts if provider.asks_for_checksums else None
    if parts is None:
        return None
    try:
        return (yield from ask(parts))
    except PreconditionError as error:
        raise changed(path, error.status) from error


def parts_of(start: int, end: int, size: int) -> list[Range]:
    """Cut a range into parts of a size."""
    return [Range(at, min(at + size, end)) for at in range(start, end, size)]


def read_into(
    provider: Provider,
    key: str,
    start: int,
    buffer: Buffer,
    filled: int,
    part: int,
    conditions: Conditions,
    path: str,
    progress: Progress | None = None,
    whole: Whole | None = None,
    *,
    most_in_flight: int = PACED,
) -> Plan[None]:
    """Read the rest of a buffer from the object, as parallel ranges of one version; twice, if it is damaged.

    Args:
        provider: Where the object is.
        key: Its key.
        start: Where in the object the buffer begins.
        buffer: Where the bytes are to go.
        filled: How many bytes of it are there already.
        part: The size of a range.
        conditions: Which version is meant.
        path: Its path, for errors.
        progress: Is told of the ranges.
        whole: What the pieces of the object are to add up to, where they go on from others.
        most_in_flight: How many of them may be in flight.

    Raises:
        ObjectChangedError: It has been replaced.
        IntegrityError: All of it is there, and is damaged.
    """
    for done, last in ((filled, start > 0), (0, True)):
        spans = parts_of(start + done, start + len(buffer), part)
        targets = [Target(buffer, span.start - start, span.end - span.start) for span in spans]
        reads = Reads.of(key, spans, targets, sums=None if whole is None else whole.by_engine)
        yield from _read(provider, reads, most_in_flight, conditions, path, progress, whole)
        if whole is None:
            return
        anew = yield from is_cut_anew(provider, key, conditions, whole, most_in_flight=most_in_flight)
        if anew and start == 0:
            whole.add(0, whole.digest(0, buffer, None))
        if not whole.is_damaged:
            return
        if last:
            whole.check()
        whole.forget()  # nobody knows which piece it is: all of them again
        progress = None


def _read(
    provider: Provider,
    reads: Reads,
    most_in_flight: int,
    conditions: Conditions,
    path: str,
    progress: Progress | None,
    whole: Whole | None,
) -> Plan[None]:
    """Read pieces of an object to where they are to be."""
    fetch = yield from provider.fetch(reads, conditions=conditions, most_in_flight=most_in_flight)
    try:
        yield from settle(fetch, progress)
        check_version(fetch, path)
        bodies = fetch.bodies()
        if any(len(body or b"") != end - start for body, (start, end) in zip(bodies, reads.ranges, strict=True)):
            raise changed(path)
        if whole is not None:
            add_up(whole, fetch, reads.ranges, bodies)
    finally:
        fetch.close()


def add_up(whole: Whole, fetch: Fetch, spans: Sequence[Range], bodies: Sequence[Bytes | None]) -> None:
    """Add pieces that have all come to the others of their object."""
    for index, (span, body) in enumerate(zip(spans, bodies, strict=True)):
        assert body is not None
        sums = None if fetch.rest(index) else fetch.sums(index)  # of a beginning alone, it is not that of the body
        whole.add(span.start, whole.digest(span.start, body, sums))


def check_version(fetch: Fetch, path: str) -> None:
    """Raise the first error of the parts of one object, or that they are not all of the version they should be."""
    check_errors(fetch, path)
    if fetch.mixed:
        raise changed(path)


def check_errors(exchange: Exchange, path: str) -> None:
    """Raise the first error of reads that are to go on with one version of an object."""
    for error in exchange.errors.values():
        if isinstance(error, PreconditionError | InvalidRangeError):
            raise changed(path, error.status) from error
        raise error


def changed(path: str, status: int | None = None) -> ObjectChangedError:
    """Return the error for an object that is not what it was: by its ETag, its time or its size."""
    return ObjectChangedError(
        f"{path!r} was replaced while it was being read", hint="Get it again.", path=path, status=status
    )
