"""The values that pass between operations and providers: ranges, conditions, what is read, written and listed.

Keys here are whole keys: the store's prefix has been put in front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, overload

from objstore._core import Buffer, Bytes, Listing
from objstore.exceptions import GenericError
from objstore.types import RestoreState, StoreStats

if TYPE_CHECKING:
    from objstore.types import ObjectMeta, PutMode

RESERVED = (
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Type",
    "Cache-Control",
    "Storage-Class",
)
"""The attributes that services know; all others are the user's own metadata."""

LOCKS = ("Object-Lock-Mode", "Object-Lock-Retain-Until-Date", "Object-Lock-Legal-Hold")
"""The attributes that keep an object from being deleted: no metadata, wherever they are not known."""

NOTHING: Mapping[str, str] = MappingProxyType({})

EPOCH = datetime.fromtimestamp(0, UTC)
"""The time in the metadata of an object of which nobody says when it was modified."""


ANY_SIZE = 1 << 62
"""What is larger than every object."""

PACED = 0
"""As many requests in flight as the pace of their origin allows."""

WITH_HEDGE = 2
"""How many requests may be in flight for one read: it, and where the settings say so, its hedge."""

DISTANT = 0.005
"""From how many seconds a reply on it is known what its bytes take, or at the least assumed."""


class Pace(NamedTuple):
    """What a network was lately seen to do.

    Args:
        wait: The least wait for a reply to begin, in seconds.
        bytes_per_second: What it delivers at the best.
        reads: How many reads are in flight at a time.
        most: How many may be, if that brings more.
        cost: What one more read costs where all are in flight, in seconds; None where that is not known.
        writes: How many writes are in flight at a time.
        alone: How many bytes a second one connection brings at the best; None where that is not known.
    """

    wait: float
    bytes_per_second: float
    reads: int
    most: int
    cost: float | None
    writes: int = 64
    alone: float | None = None

    @property
    def wait_is_worth(self) -> float:
        """How many bytes come in the time that a reply takes to begin, from afar; near by, none.

        No fewer than one connection brings: where no others were under way, that is all that is known.
        """
        return self.wait * max(self.bytes_per_second, self.alone or 0) if self.wait >= DISTANT else 0


AT_HAND = Pace(0.0, 1e9, 64, 64, 0.0)
"""Of what is on this machine."""

FAST = Pace(0.001, 1e9, 64, 64, None)
"""What is assumed before anything was seen: little is lost by asking for each thing by itself."""


class Range(NamedTuple):
    """A half-open range of an object in bytes. ``start`` alone: to its end; ``end`` alone: its last; -1: absent."""

    start: int = -1
    end: int = -1

    def within(self, size: int) -> tuple[int, int]:
        """Return which bytes of an object of `size` bytes it means."""
        if self.start >= 0:
            return self.start, size if self.end < 0 else min(self.end, size)
        return 0 if self.end < 0 else max(size - self.end, 0), size


WHOLE = Range()
FIRST = 4 << 20
"""The first read of an object whose size nobody knows: what is smaller comes at once."""
FIRST_BYTE = Range(0, 1)


class Seen(NamedTuple):
    """What a reply tells of an object.

    Args:
        meta: Its metadata.
        settled: Whether one version alone has this time of modification: the reply was made so much later that none
            has been written in the same second since.
    """

    meta: ObjectMeta
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold for a read, and which version is meant.

    With `expected`, every reply is compared with what an earlier one said of the object.
    """

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None
    version: str | None = None
    expected: Seen | None = None


ANY = Conditions()


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What is stored with an object, and what it may replace."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    mode: PutMode = "overwrite"


class UrlTerms(NamedTuple):
    """What signed URLs are good for.

    Args:
        method: The HTTP method.
        expires_in: For how long; None for as long as the credential.
        response_headers: What the service is to answer in place of what is stored with the object.
        headers: Headers that whoever uses them has to send, with these values.
        query: Further parameters.
    """

    method: str
    expires_in: timedelta | None
    response_headers: Mapping[str, str] = NOTHING
    headers: Mapping[str, str] = NOTHING
    query: Mapping[str, str] = NOTHING

    def parameters(self) -> list[tuple[str, str]]:
        """Return the parameters of URLs, as services in Amazon's manner have them."""
        answers = [(f"response-{name.lower()}", value) for name, value in self.response_headers.items()]
        return [*answers, *self.query.items()]


class FormTerms(NamedTuple):
    """What a signed form is good for.

    Args:
        expires_in: For how long; None for as long as the credential.
        conditions: What must hold of its fields, as policies say it.
        fields: Further fields, with the values that they are to have.
    """

    expires_in: timedelta | None
    conditions: Sequence[Mapping[str, str] | Sequence[str | int]]
    fields: Mapping[str, str]


def carried(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return attributes as a copy takes them over: a lock is of the object that was locked, a class of its store."""
    return {name: value for name, value in attributes.items() if name not in (*LOCKS, "Storage-Class")}


class Sums(NamedTuple):
    """The checksum of the body of a reply; that of the whole object, and its size, where the reply tells them.

    With `parts`, that of the object is one of the checksums of so many parts, one behind the other.
    """

    algorithm: str
    body: bytes
    whole: bytes | None
    size: int
    parts: int = 0


class Fetched(NamedTuple):
    """The answer to one read: the metadata, what range the body is, the body (empty for a HEAD), and its checksum.

    Of an archived object, a HEAD tells how far it is restored. Where a service has `told` all that it knows of the
    checksum of the object, it need not be asked for more. `settled` is as of what is `seen`. `whole` is all of the
    object, where it took that to learn its size.
    """

    meta: ObjectMeta
    attributes: dict[str, str]
    range: tuple[int, int]
    body: Bytes
    sums: Sums | None = None
    restore: RestoreState | None = None
    told: bool = False
    settled: bool = False
    whole: Bytes | None = None

    @property
    def seen(self) -> Seen:
        """What the reply tells of the object."""
        return Seen(self.meta, self.settled)


class Page(NamedTuple):
    """A page of a listing, and the token of the next; an empty token ends it."""

    objects: Listing
    common_prefixes: list[str]
    token: str


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which keys to list: those that begin with a prefix, after an offset; all of them or one level.

    A page has as many as the service likes, or at the most `limit` where services can be told: who wants to know
    whether there is any does not wait for a thousand.
    """

    prefix: str = ""
    delimiter: str = ""
    offset: str = ""
    token: str = ""
    limit: int = 0

    @property
    def limited(self) -> str:
        """The limit as it is sent, empty where there is none."""
        return str(self.limit) if self.limit else ""


def unchanging() -> None:
    """Check what cannot change unseen."""


class Source(NamedTuple):
    """The bytes to send, of one object or part: a buffer, or a stretch of an open file (descriptor, offset, length).

    `check` raises SourceChangedError once they are not what they were. Whoever makes an object of them calls it when
    they are sent, and before the object appears, where that is in his hands. What `stays` is there for as long as the
    whole upload takes, so that to send it once more takes no memory.
    """

    data: Buffer | tuple[int, int, int]
    size: int
    check: Callable[[], None] = unchanging
    stays: bool = False


class Target(NamedTuple):
    """Where a body is to be written: a buffer, from an offset on, at most so many bytes."""

    buffer: Buffer
    start: int
    length: int

    def fill(self, body: Bytes) -> Bytes:
        """Copy a body there, and return it as a view of it.

        Raises:
            GenericError: It does not fit.
        """
        if len(body) > self.length:
            raise GenericError(f"{len(body)} bytes do not fit in a buffer of {self.length}")
        view = memoryview(self.buffer)[self.start : self.start + len(body)]
        view[:] = body
        return Bytes(view)


class Read(NamedTuple):
    """One of many reads: a key, a range, and where the body is to go (None: to memory of its own)."""

    key: str
    range: Range = WHOLE
    target: Target | None = None


class Reads(Sequence[Read]):
    """Many reads, kept as columns: a hundred thousand objects of one kind would keep the garbage collector busy.

    Args:
        keys: The key of each.
        ranges: The range of each.
        targets: Where the body of each is to go; None: all to memory of their own.
        one_object: Whether they are of one object, and so are to be of one version of it.
        sums: By which checksum bodies are summed up, where they are going to be all of an object; by the one that
            replies tell, where it is empty.
        told: Whether what the replies tell of the objects is kept.
        e_tags: Which version each is to be of; None: of any. Whoever asks compares that with what replies tell.
    """

    __slots__ = ("e_tags", "keys", "one_object", "ranges", "sums", "targets", "told")

    def __init__(
        self,
        keys: Sequence[str],
        ranges: Sequence[Range],
        targets: Sequence[Target | None] | None = None,
        one_object: bool = False,
        sums: str | None = None,
        told: bool = False,
        e_tags: Sequence[str | None] | None = None,
    ) -> None:
        self.told = told or e_tags is not None
        self.e_tags = e_tags
        self.keys = keys
        self.ranges = ranges
        self.targets = targets
        self.one_object = one_object
        self.sums = sums

    @classmethod
    def of(
        cls,
        key: str,
        ranges: Sequence[Range],
        targets: Sequence[Target | None] | None = None,
        *,
        sums: str | None = None,
        told: bool = False,
    ) -> Reads:
        """Return reads of one object."""
        return cls([key] * len(ranges), ranges, targets, one_object=True, sums=sums, told=told)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Read: ...
    @overload
    def __getitem__(self, index: slice) -> Reads: ...
    def __getitem__(self, index: int | slice) -> Read | Reads:
        if isinstance(index, slice):
            targets = self.targets and self.targets[index]
            return Reads(
                self.keys[index],
                self.ranges[index],
                targets,
                one_object=self.one_object,
                sums=self.sums,
                told=self.told,
                e_tags=self.e_tags and self.e_tags[index],
            )
        return Read(self.keys[index], self.ranges[index], self.targets[index] if self.targets else None)

    def __iter__(self) -> Iterator[Read]:
        return map(Read, self.keys, self.ranges, self.targets or repeat(None))


def no_requests() -> StoreStats:
    """Return what the requests of a store have come to that sends none."""
    return StoreStats(
        requests=0, retries=0, connections=0, hedges=0, bytes_sent=0, bytes_received=0, errors={}, waits={}, origin=None
    )
