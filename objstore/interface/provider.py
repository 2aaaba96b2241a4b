"""What a store needs of a provider: a few primitive plans, and the values that go in and come out.

Keys here are whole keys: the store's prefix has been put in front. `operations` builds every public operation from
these primitives, for any provider alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import repeat
from typing import NamedTuple, Protocol, overload

from objstore._core import Buffer, Bytes, Listing
from objstore.exceptions import BaseError, GenericError
from objstore.plans.effects import Plan
from objstore.settings.options import RetryOptions, Settings, Table
from objstore.settings.urls import Scheme
from objstore.types import ObjectMeta, PutMode, PutResult

RESERVED = (
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Type",
    "Cache-Control",
    "Storage-Class",
)
"""The attributes that services know; all others are the user's own metadata."""


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


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold for a read, and which version is meant."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None
    version: str | None = None


ANY = Conditions()


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What is stored with an object, and what it may replace."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    mode: PutMode = "overwrite"


class Fetched(NamedTuple):
    """The answer to one read: the metadata, what range the body is, and the body (empty for a HEAD)."""

    meta: ObjectMeta
    attributes: dict[str, str]
    range: tuple[int, int]
    body: Bytes


class Page(NamedTuple):
    """A page of a listing, and the token of the next; an empty token ends it."""

    objects: Listing
    common_prefixes: list[str]
    token: str


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which keys to list: those that begin with a prefix, after an offset; all of them or one level."""

    prefix: str = ""
    delimiter: str = ""
    offset: str = ""
    token: str = ""


class Source(NamedTuple):
    """The bytes to send, of one object or part: a buffer, or a stretch of an open file (descriptor, offset, length)."""

    data: Buffer | tuple[int, int, int]
    size: int


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
    """

    __slots__ = ("keys", "ranges", "targets")

    def __init__(
        self, keys: Sequence[str], ranges: Sequence[Range], targets: Sequence[Target | None] | None = None
    ) -> None:
        self.keys = keys
        self.ranges = ranges
        self.targets = targets

    @classmethod
    def of(cls, key: str, ranges: Sequence[Range], targets: Sequence[Target | None] | None = None) -> Reads:
        """Return reads of one object."""
        return cls([key] * len(ranges), ranges, targets)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Read: ...
    @overload
    def __getitem__(self, index: slice) -> Reads: ...
    def __getitem__(self, index: int | slice) -> Read | Reads:
        if isinstance(index, slice):
            return Reads(self.keys[index], self.ranges[index], self.targets and self.targets[index])
        return Read(self.keys[index], self.ranges[index], self.targets[index] if self.targets else None)

    def __iter__(self) -> Iterator[Read]:
        return map(Read, self.keys, self.ranges, self.targets or repeat(None))


class Exchange(Protocol):
    """Many requests under way, each retried by itself."""

    errors: dict[int, BaseError]
    """The requests that failed for good, by index."""

    @property
    def total(self) -> int:
        """How many requests there are."""

    @property
    def settled(self) -> int:
        """How many of them are done or have failed for good."""

    @property
    def over(self) -> bool:
        """Whether all are."""

    @property
    def bytes_received(self) -> int:
        """How many bytes of bodies have come."""

    @property
    def bytes_sent(self) -> int:
        """How many bytes of bodies were sent by requests that ended well."""

    def news(self, within: float | None = None) -> Plan[None]:
        """Wait until something has changed that the caller may act on, or `within` seconds have passed."""

    def close(self) -> None:
        """End what is still under way."""


class Fetch(Exchange, Protocol):
    """Many reads under way."""

    @property
    def mixed(self) -> bool:
        """Whether replies were of different versions of an object, or of another than the one asked for."""

    def finished(self) -> list[int]:
        """Return the indexes of the reads that ended well since the last call (where `each` was asked for)."""

    def take(self, index: int) -> Bytes:
        """Return the body of a read that ended well, and let go of it."""

    def bodies(self) -> list[Bytes | None]:
        """Return all bodies in order, None for the reads that failed."""


class Upload(Exchange, Protocol):
    """The parts of one multipart upload under way. Parts count from 0 here."""

    def add_part(self, part: Source) -> None:
        """Send one more part."""

    def seal(self) -> None:
        """Say that this was the last part."""

    @property
    def unsettled(self) -> int:
        """How many parts are on their way."""

    def finished(self) -> list[int]:
        """Return the indexes of the parts that arrived since the last call."""

    def take(self, index: int) -> Bytes:
        """Let go of the memory of a part that arrived."""

    def complete(self) -> Plan[PutResult]:
        """Make an object of the parts, once all are there."""

    def abort(self) -> Plan[None]:
        """Drop the parts that the service has."""


class ListMany(Exchange, Protocol):
    """Pages of listings under way."""

    def ask(self, query: ListQuery) -> int:
        """Ask for one more page; return its index."""

    def finished(self) -> list[int]:
        """Return the indexes of the pages that came since the last call."""

    def page(self, index: int) -> Page:
        """Return a page that came, and let go of it."""


class Provider(Protocol):
    """The primitive operations of one bucket, or of whatever stands for it.

    Attributes:
        most_parts: How many parts an upload may have; 1: there are no uploads in parts.
        smallest_part: The least size of every part but the last, in bytes.
        lists_from_anywhere: Whether a listing that begins after an offset costs no more than one from the start.
    """

    most_parts: int
    smallest_part: int
    lists_from_anywhere: bool

    @property
    def latency(self) -> float:
        """How long a reply has lately taken to begin, in seconds."""

    def fetch_one(self, key: str, range: Range, conditions: Conditions) -> Plan[Fetched]:
        """Read one object, or a range of it; the body may go on behind the range, to the end of the object."""

    def head(self, key: str, conditions: Conditions) -> Plan[Fetched]:
        """Read what is known about one object."""

    def head_many(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[HeadMany]:
        """Begin to read what is known about many objects."""

    def fetch(
        self,
        reads: Reads,
        *,
        conditions: Conditions = ANY,
        most_in_flight: int,
        each: bool = False,
        window: int = 0,
    ) -> Plan[Fetch]:
        """Begin many reads."""

    def put(self, key: str, source: Source, options: WriteOptions) -> Plan[PutResult]:
        """Write one object in one request."""

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[PutMany]:
        """Begin to write many objects, each in one request."""

    def begin_upload(self, key: str, options: WriteOptions, *, most_in_flight: int) -> Plan[Upload]:
        """Begin a multipart upload."""

    def delete(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects; return what failed, by key."""

    def can_copy_from(self, origin: Provider) -> bool:
        """Return whether `copy` can take objects of another provider."""

    def copy(self, source: str, target: str, *, overwrite: bool, origin: Provider) -> Plan[None]:
        """Copy an object here, from this provider or another one that `can_copy_from` it."""

    def rename(self, source: str, target: str, *, overwrite: bool) -> Plan[None]:
        """Rename an object to another key."""

    def sign(
        self, method: str, keys: Sequence[str], expires_in: timedelta, response_headers: Mapping[str, str]
    ) -> Plan[list[str]]:
        """Return a URL for each key that is good for a while without a credential."""

    def list_page(self, query: ListQuery) -> Plan[Page]:
        """Read one page of a listing."""

    def list_many(self, *, most_in_flight: int) -> Plan[ListMany]:
        """Begin to read pages of listings, asked for one by one."""


class HeadMany(Exchange, Protocol):
    """Many questions about objects under way."""

    def metas(self) -> list[ObjectMeta | None]:
        """Return what is known about each object, in order; None where the question failed."""


class PutMany(Exchange, Protocol):
    """Many writes under way."""

    def results(self) -> list[PutResult | None]:
        """Return the result of each write, in order; None where it failed."""


@dataclass(frozen=True, slots=True)
class BucketKind:
    """Describe the stores of one cloud service.

    Args:
        table: Their settings.
        bucket: The setting that names the bucket.
        shown: The settings that the repr of a store shows.
        open: Makes the provider, of the settings, the retry options, the caller's source of credentials, the User-Agent
            and the prefix that the store puts in front of paths.
        scheme: What `settings.urls` calls them.
    """

    table: Table
    bucket: str
    shown: tuple[str, ...]
    open: Callable[[Settings, RetryOptions, Callable[[], object] | None, str, str], Provider]
    scheme: Scheme
