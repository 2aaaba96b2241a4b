"""An object read in pieces: all of one version, and together what its checksum says.

Amazon tells the checksum of a whole object only of all of it, or by a HEAD; Google tells it with every range. Where a
service knows but a checksum of the checksums of parts, or none, there is nothing to compare, and nothing is summed up:
no reply tells where the parts begin, and to ask (GetObjectAttributes, or a HEAD for each part) is a request and a
permission that a read does not need.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import hashlib
from threading import Lock
from typing import TYPE_CHECKING

from objstore._core import checksum, combined_checksum
from objstore.exceptions import CorruptResponseError, InvalidRangeError, ObjectChangedError, PreconditionError
from objstore.interface.values import PACED, Range, Reads, Target
from objstore.interface.versions import is_same
from objstore.operations.progress import settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore._core import Buffer, Bytes
    from objstore.interface.provider import Fetch, Provider
    from objstore.interface.values import Conditions, Sums
    from objstore.plans.effects import Plan
    from objstore.types import Buffer as BufferLike
    from objstore.types import ObjectMeta, Progress

HASHES = ("sha1", "sha256")
"""What sums bytes up one after the other alone."""

MOST_PIECES = 64
"""How many pieces of one object are fetched at a time."""


class Whole:
    """The checksum of an object as far as its pieces go on from each other, and that of all of it.

    Args:
        path: Its path, for errors.
        size: Its size.
        algorithm: Which checksum.
        told: What the service tells of the whole object.
    """

    def __init__(self, path: str, size: int, algorithm: str, told: bytes) -> None:
        self.algorithm = algorithm
        self._path = path
        self._size = size
        self._told = told
        self._lock = Lock()
        self.forget()

    @classmethod
    def of(cls, path: str, sums: Sums | None) -> Whole | None:
        """Return what the pieces are to add up to, where the service tells it."""
        if sums is None or sums.whole is None or sums.size < 0:
            return None
        kind = Hashed if sums.algorithm in HASHES else cls
        return kind(path, sums.size, sums.algorithm, sums.whole)

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._begin()
            self.end = 0

    def _begin(self) -> None:
        self._sum = checksum(self.algorithm, b"")

    @property
    def by_engine(self) -> str | None:
        """By which checksum the engine sums up what comes; None: that is done here, once it is here."""
        return self.algorithm

    def digest(self, body: BufferLike, sums: Sums | None) -> BufferLike:
        """Return the checksum of a piece, which has been summed up as it came unless its replies told of another."""
        return sums.body if sums is not None and sums.algorithm == self.algorithm else checksum(self.algorithm, body)

    def add(self, start: int, length: int, digest: BufferLike) -> None:
        """Add a piece of the object; what does not go on from the others says nothing."""
        with self._lock:
            if start == self.end:
                self._take(digest, length)
                self.end += length

    def _take(self, digest: BufferLike, length: int) -> None:
        self._sum = combined_checksum(self.algorithm, self._sum, bytes(digest), length)

    @property
    def is_damaged(self) -> bool:
        """Whether all of the object is there, and is not what was stored."""
        with self._lock:
            return self.end == self._size and self._found() != self._told

    def _found(self) -> bytes:
        return self._sum

    def check(self) -> None:
        """Raise if all of the object is there, and is not what was stored."""
        if self.is_damaged:
            raise CorruptResponseError(
                f"GET {self._path!r} failed: the pieces do not add up to the checksum of the whole object "
                f"({self.algorithm}): one of them is damaged",
                hint="Get it again.",
                path=self._path,
            )


class Hashed(Whole):
    """The hash of an object, which nobody can make of those of its pieces: the digest of a piece is its bytes."""

    by_engine = None

    def _begin(self) -> None:
        self._hash = hashlib.new(self.algorithm, usedforsecurity=False)

    def digest(self, body: BufferLike, sums: Sums | None) -> BufferLike:
        """Return the piece."""
        return body

    def _take(self, digest: BufferLike, length: int) -> None:
        self._hash.update(digest)

    def _found(self) -> bytes:
        return self._hash.digest()


def whole_of(
    provider: Provider, key: str, meta: ObjectMeta, conditions: Conditions, sums: Sums | None
) -> Plan[Whole | None]:
    """Return what the pieces of an object are to add up to, where the service tells it or is to be asked.

    Args:
        provider: Where the object is.
        key: Its key.
        meta: What is known about it.
        conditions: Which version is meant.
        sums: What the first piece told.

    Raises:
        ObjectChangedError: It has been replaced.
    """
    if provider.asks_for_checksums and (sums is None or sums.whole is None):
        try:
            found = yield from provider.look(key, conditions)
        except PreconditionError as error:
            raise changed(meta["path"], error.status) from error
        if not is_same(found.meta, meta):
            raise changed(meta["path"])
        sums = found.sums
    return Whole.of(meta["path"], sums)


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
        CorruptResponseError: All of it is there, and is damaged.
    """
    for done, last in ((filled, start > 0), (0, True)):
        spans = parts_of(start + done, start + len(buffer), part)
        targets = [Target(buffer, span.start - start, span.end - span.start) for span in spans]
        reads = Reads.of(key, spans, targets, sums=None if whole is None else whole.by_engine)
        yield from _read(provider, reads, most_in_flight, conditions, path, progress, whole)
        if whole is None or not whole.is_damaged:
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
        whole.add(span.start, len(body), whole.digest(body, sums))


def check_version(fetch: Fetch, path: str) -> None:
    """Raise the first error of the parts of one object, or that they are not all of the version they should be."""
    for error in fetch.errors.values():
        if isinstance(error, PreconditionError | InvalidRangeError):
            raise changed(path, error.status) from error
        raise error
    if fetch.mixed:
        raise changed(path)


def changed(path: str, status: int | None = None) -> ObjectChangedError:
    """Return the error for an object that is not what it was: by its ETag, its time or its size."""
    return ObjectChangedError(
        f"{path!r} was replaced while it was being read", hint="Get it again.", path=path, status=status
    )
