"""What an object is to add up to, and what its pieces do: by the checksum of its bytes, or of those of its parts.

Nothing is asked here. The checksums of pieces are combined where that can be done (CRCs); hashes are made of the bytes,
in their order.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from itertools import accumulate, pairwise
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeAlias

from objstore._core import checksum, combined_checksum
from objstore.exceptions import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.values import Sums
    from objstore.types import Buffer as BufferLike

Digest: TypeAlias = "list[tuple[BufferLike, int]]"
"""What is added of a piece: the checksums of stretches of it, or these themselves where a hash is made of them, with
their lengths."""

HASHES = ("sha1", "sha256")
"""What sums bytes up one after the other alone."""


class Running(Protocol):
    """A checksum of what has been added so far."""

    def add(self, stretch: BufferLike, length: int) -> None:
        """Add a stretch by its checksum, or by its bytes."""

    def digest(self) -> bytes:
        """Return it."""


class Combined:
    """A CRC, made of those of stretches."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._value = checksum(algorithm, b"")

    def add(self, stretch: BufferLike, length: int) -> None:
        """Add a stretch by its checksum."""
        self._value = combined_checksum(self._algorithm, self._value, bytes(stretch), length)

    def digest(self) -> bytes:
        """Return it."""
        return self._value


class Hash:
    """A hash, which nobody can make of those of stretches."""

    def __init__(self, algorithm: str) -> None:
        self._hash = hashlib.new(algorithm, usedforsecurity=False)

    def add(self, stretch: BufferLike, length: int) -> None:
        """Add a stretch by its bytes."""
        self._hash.update(stretch)

    def digest(self) -> bytes:
        """Return it."""
        return self._hash.digest()


class Whole:
    """The checksum of an object as far as its pieces go on from each other, and that of all of it.

    Args:
        path: Its path, for errors.
        sums: What the service tells of the whole object.
    """

    is_sure = True
    """Whether another sum is a sign of damage, and of nothing else."""

    def __init__(self, path: str, sums: Sums) -> None:
        self.algorithm = sums.algorithm
        self.combines = sums.algorithm not in HASHES
        self.end = 0
        self.path = path
        self.told = sums
        self._lock = Lock()
        self._begin()

    @classmethod
    def of(cls, path: str, sums: Sums | None) -> Whole | None:
        """Return what the pieces are to add up to, where the service tells the checksum of all bytes."""
        if sums is None or sums.whole is None or sums.size < 0 or sums.parts:
            return None
        return cls(path, sums)

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._begin()
            self.end = 0

    def _begin(self) -> None:
        self._running = self._new()

    def _new(self) -> Running:
        return Combined(self.algorithm) if self.combines else Hash(self.algorithm)

    @property
    def by_engine(self) -> str | None:
        """By which checksum the engine sums up what comes; None: that is done here, once it is here."""
        return self.algorithm if self.combines else None

    def digest(self, start: int, body: BufferLike, sums: Sums | None) -> Digest:
        """Return what is to be added of a piece: where it was summed up as it came, its replies tell that."""
        if sums is not None and sums.algorithm == self.algorithm and self.by_engine is not None:
            return [(sums.body, len(memoryview(body)))]
        return [self._stretch(memoryview(body))]

    def _stretch(self, body: memoryview) -> tuple[BufferLike, int]:
        return (checksum(self.algorithm, body) if self.combines else body), len(body)

    def add(self, start: int, digest: Digest) -> None:
        """Add a piece of the object; what does not go on from the others says nothing."""
        with self._lock:
            if start == self.end:
                for stretch, length in digest:
                    if self.end >= 0:
                        self._take(stretch, length)

    def _take(self, stretch: BufferLike, length: int) -> None:
        self._running.add(stretch, length)
        self.end += length

    @property
    def is_damaged(self) -> bool:
        """Whether all of the object is there, and does not add up to what the service tells."""
        with self._lock:
            return self.end == self.told.size and self._found() != self.told.whole

    def _found(self) -> bytes:
        return self._running.digest()

    def check(self) -> None:
        """Raise if all of the object is there, and is not what was stored."""
        if self.is_damaged:
            raise IntegrityError(
                f"GET {self.path!r} failed: the pieces do not add up to the checksum of the whole object "
                f"({self.algorithm}): one of them is damaged",
                hint="Get it again.",
                path=self.path,
            )


class OfParts(Whole):
    """The checksum of those of the parts that an object was made of, one behind the other.

    Args:
        path: Its path, for errors.
        sums: What the service tells of the whole object.
        sizes: The sizes of its parts.
        is_sure: Whether these are known, or only likely.
    """

    by_engine = None  # pieces go over the ends of parts

    def __init__(self, path: str, sums: Sums, sizes: Sequence[int], *, is_sure: bool) -> None:
        self._ends = [*accumulate(sizes)]
        self.is_sure = is_sure
        super().__init__(path, sums)

    def _begin(self) -> None:
        super()._begin()
        self._digests = [self._running.digest() for end in self._ends if end == 0]

    def digest(self, start: int, body: BufferLike, sums: Sums | None) -> Digest:
        """Return what is to be added of a piece: stretches of it, each of one part."""
        view = memoryview(body)
        first, last = bisect_right(self._ends, start), bisect_left(self._ends, start + len(view))
        inner = [end - start for end in self._ends[first:last]]
        return [self._stretch(view[begin:end]) for begin, end in pairwise([0, *inner, len(view)])]

    def _take(self, stretch: BufferLike, length: int) -> None:
        super()._take(stretch, length)
        while len(self._digests) < len(self._ends) and self.end >= self._ends[len(self._digests)]:
            if self.end > self._ends[len(self._digests)]:
                self.end = -1  # it was cut by other sizes, which others have changed meanwhile: it says nothing
                return
            self._digests.append(self._running.digest())
            self._running = self._new()

    def _found(self) -> bytes:
        whole = self._new()
        told = b"".join(self._digests)
        whole.add(checksum(self.algorithm, told) if self.combines else told, len(told))
        return whole.digest()

    def settle(self, sizes: Sequence[int] | None) -> bool:
        """Learn the sizes of the parts, where these were but likely: None, if nobody tells them.

        Returns:
            Whether they are others, so that all has to be added anew.
        """
        ends = None if sizes is None else [*accumulate(sizes)]
        self.is_sure = ends is not None
        if ends == self._ends:
            return False
        with self._lock:
            self._ends = ends or self._ends
            self._begin()
            self.end = 0
        return ends is not None


def equal_parts(size: int, first: int, count: int) -> list[int] | None:
    """Return the sizes of so many parts that are all as large as the first, but the last: None where that cannot be."""
    if not (count - 1) * first < size <= count * first:
        return None
    return [*[first] * (count - 1), size - (count - 1) * first]
