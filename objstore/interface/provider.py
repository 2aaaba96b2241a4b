"""What a store needs of a provider: a few primitive plans, of which `operations` makes every public operation."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol, TypeAlias

from objstore.interface.values import (
    ANY,
    FIRST_BYTE,
    Conditions,
    Fetched,
    FormTerms,
    ListQuery,
    Pace,
    Page,
    Range,
    Reads,
    Seen,
    Source,
    Sums,
    UrlTerms,
    WriteOptions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from objstore._core import Bytes
    from objstore.exceptions import BaseError
    from objstore.plans.effects import Plan
    from objstore.types import (
        BucketMeta,
        ObjectMeta,
        ObjectVersion,
        PutMode,
        PutResult,
        SignedPost,
        StoreStats,
        UploadPart,
    )


class OutOfReachError(Exception):
    """A service cannot read what it is to copy from elsewhere: whoever asked has to carry it."""


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

    @property
    def unversioned(self) -> bool:
        """Whether replies had no strong validator, and may be of different versions (known after `mixed`)."""

    def finished(self) -> list[int]:
        """Return the indexes of the reads that ended well since the last call (where `each` was asked for)."""

    def sums(self, index: int) -> Sums | None:
        """Return the checksum of the body of a read that ended well, where it was summed up and is not yet taken."""

    @property
    def cuts(self) -> int:
        """How many reads have brought only the beginning of what was asked for (where `beginnings` was asked for)."""

    def rest(self, index: int) -> Seen | None:
        """Return what is known of the object of which a read that ended well brought only the beginning, else None."""

    @property
    def of_parts(self) -> int:
        """How many reads have brought a whole object with a checksum of those of its parts, which nobody has compared
        (where `beginnings` was asked for)."""

    def whole(self, index: int) -> tuple[Seen, Sums | None] | None:
        """Return what the reply to such a read tells of the object, None for all others."""

    def widen(self, window: int) -> None:
        """Set how many bytes may have come and not been taken from now on."""

    def limit(self, most: int) -> Plan[None]:
        """Have no more requests than `most` in flight from now on, and come back when it is so."""

    def told(self, index: int) -> Seen:
        """Return what the reply to a read that ended well tells of the object (where `told` was asked for); a size of
        -1 is one that it does not tell."""

    def take(self, index: int) -> Bytes:
        """Return the body of a read that ended well, and let go of it."""

    def bodies(self) -> list[Bytes | None]:
        """Return all bodies in order, None for the reads that failed."""


class Flow(Exchange, Protocol):
    """One read under way whose body is given while it comes, piece by piece."""

    def piece(self) -> tuple[int, Bytes, Seen | None] | None:
        """Return the next piece, if one is here, and let go of it.

        Returns:
            Where in the body it lies, in bytes; its bytes; and what its reply tells of the object, where it is the
            first piece of one: each try begins anew. The last piece comes once the whole reply is known to be right.
        """

    def widen(self, window: int) -> None:
        """Set how many bytes may have come and not been taken from now on."""

    def measure(self, expected: Seen, *, keep: bool) -> Plan[tuple[int, Bytes | None]]:
        """Read to the end, and return how much that is; with all of it, if it is to be kept: what is large, in a file.

        Raises:
            ObjectChangedError: It is not of the version that is expected, as far as replies tell.
            OSError: There is no room for it.
        """


class Flows(Protocol):
    """Reads of objects that cannot be read by several requests, however large they are."""

    def is_needed(self, key: str, seen: Seen) -> bool:
        """Tell whether an object, as a reply told of it, cannot be read in ranges of one version."""

    def gives_only_wholes(self, reads: Reads, conditions: Conditions) -> Plan[bool]:
        """Tell whether all of an object comes, whichever of these ranges of it are asked for."""

    def flow(self, key: str, range: Range, conditions: Conditions, *, piece: int, window: int) -> Plan[Flow]:
        """Begin to read an object or a range.

        Args:
            key: Its key.
            range: What of it is read.
            conditions: Which version is meant.
            piece: How large pieces are, in bytes.
            window: How many bytes may have come and not been taken.
        """


class Upload(Exchange, Protocol):
    """The parts of one multipart upload under way. Parts count from 0 here."""

    def renew(self) -> Plan[None]:
        """Sign what is sent from now on afresh, if it is time to: whoever has the parts may be slow."""

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


class SharedUploads(Protocol):
    """Uploads whose parts come from many hands: all that these share is the key and the upload's id.

    Parts count from 1 here.
    """

    def start(self, key: str, options: WriteOptions) -> Plan[str]:
        """Begin an upload; return its id."""

    def put_part(self, key: str, upload_id: str, number: int, part: Source) -> Plan[UploadPart]:
        """Send a part."""

    def parts(self, key: str, upload_id: str) -> Plan[list[UploadPart]]:
        """Return the parts that are there, by number."""

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadPart], options: WriteOptions) -> Plan[PutResult]:
        """Make an object of parts that are in order."""

    def abort(self, key: str, upload_id: str) -> Plan[None]:
        """Drop an upload and its parts."""


class Buckets(Protocol):
    """The bucket that a provider is of, as such, and those beside it."""

    def create(self, *, exist_ok: bool) -> Plan[None]:
        """Make the bucket; one that is there already and the caller's may be all right."""

    def delete(self) -> Plan[None]:
        """Delete the bucket, which has to be empty."""

    def all(self) -> Plan[list[BucketMeta]]:
        """List all buckets of the account."""


class Tags(Protocol):
    """The tags of objects that are there already."""

    def get(self, key: str, version: str | None = None) -> Plan[dict[str, str]]:
        """Return the tags of an object."""

    def put(self, key: str, tags: Mapping[str, str], version: str | None = None) -> Plan[None]:
        """Give an object tags in the place of those it has."""


class Forms(Protocol):
    """Forms that carry their own signature, for browsers to post objects by."""

    def sign(self, key: str, terms: FormTerms) -> Plan[SignedPost]:
        """Return where a form is to be posted, and its fields."""


class Versions(Protocol):
    """The versions of objects, in a bucket that keeps them."""

    def page(self, prefix: str, token: tuple[str, ...]) -> Plan[tuple[list[ObjectVersion], tuple[str, ...]]]:
        """Return a page of the versions of objects below a prefix, and the token of the next; an empty one ends it."""

    def delete(self, key: str, version: str) -> Plan[None]:
        """Delete one version for good; of a mark of deletion: the object is there again."""


class Parts(Protocol):
    """The parts that objects were made of, for checksums that are of those of parts."""

    def first(self, key: str, conditions: Conditions, sums: Sums) -> Plan[int | None]:
        """Return the size of the first part of an object, by one request; None where the service does not tell it.

        Raises:
            PreconditionError: It is not the object that the checksum was told of.
        """

    def all(self, key: str, conditions: Conditions, sums: Sums, *, most_in_flight: int) -> Plan[list[int] | None]:
        """Return the size of each part, by as many requests as it takes; None where the service does not tell them.

        No more than `most_in_flight` of them are in flight at a time.

        Raises:
            PreconditionError: It is not the object that the checksum was told of.
        """


class ListMany(Exchange, Protocol):
    """Pages of listings under way."""

    def ask(self, query: ListQuery) -> int:
        """Ask for one more page; return its index."""

    def finished(self) -> list[int]:
        """Return the indexes of the pages that came since the last call."""

    def page(self, index: int) -> Page:
        """Return a page that came, and let go of it."""


Share: TypeAlias = "Callable[[int | None, int], AbstractContextManager[int]]"
"""How many parts of an object, whose size may be known, are in flight: so many at the most, if others share with it."""


def alone(size: int | None, most: int) -> AbstractContextManager[int]:
    """Let an object have as many parts in flight as are any use to it."""
    return nullcontext(most)


class Provider(Protocol):
    """The primitive operations of one bucket, or of whatever stands for it.

    Attributes:
        most_parts: How many parts an upload may have; 1: there are no uploads in parts.
        smallest_part: The least size of every part but the last, in bytes.
        lists_from_anywhere: Whether a listing that begins after an offset costs no more than one from the start.
        lists_in_order: Whether listings come in an order of their keys, and may begin behind one of them.
        lists_any_prefix: Whether a listing may have any prefix, not a folder alone.
        lists_by_bytes: Whether the service promises that listings come in the order of the bytes of their keys.
        has_outer_slashes: Whether keys may begin or end with a slash, as those of files cannot.
        has_locks: Whether objects can be locked against being deleted, by attributes.
        asks_for_checksums: Whether it is worth a request (`look`) to learn the checksum of an object that is going to
            be read in pieces.
        tells_of_wholes: Whether the service tells the checksum of an object only to who asks for all of it.
        most_compared: The largest range whose checksum the service tells, in bytes: pieces of objects are no larger.
    """

    most_parts: int
    smallest_part: int
    lists_from_anywhere: bool
    lists_in_order: bool
    lists_by_bytes: bool
    lists_any_prefix: bool
    has_outer_slashes: bool
    has_locks: bool
    asks_for_checksums: bool
    tells_of_wholes: bool
    most_compared: int

    @property
    def address(self) -> str:
        """What stands in front of its keys, for no other place the same."""

    @property
    def pace(self) -> Pace:
        """What the way to it was lately seen to do."""

    def stats(self) -> StoreStats:
        """Return what its requests have come to."""

    @property
    def shared_uploads(self) -> SharedUploads | None:
        """The uploads by many hands; None where there are no uploads in parts."""

    @property
    def buckets(self) -> Buckets | None:
        """The buckets of the account; None where they cannot be made or listed."""

    @property
    def tags(self) -> Tags | None:
        """The tags of its objects; None where none are kept."""

    @property
    def forms(self) -> Forms | None:
        """The forms by which browsers may write here; None where there are none."""

    @property
    def versions(self) -> Versions | None:
        """The versions of its objects; None where the service has no such thing."""

    @property
    def parts(self) -> Parts | None:
        """The parts that its objects were made of; None where the service tells nothing of them."""

    @property
    def flows(self) -> Flows | None:
        """What reads objects of which nothing tells the version; None where there are no such objects."""

    def fetch_one(self, key: str, range: Range, conditions: Conditions, *, brief: bool = False) -> Plan[Fetched]:
        """Read one object, or a range of it; the body may go on behind the range, to the end of the object.

        With `brief`, it may be but the beginning of the range, where more of the object follows and it comes slowly.
        """

    def head(self, key: str, conditions: Conditions) -> Plan[Fetched]:
        """Read what is known about one object."""

    def look(
        self, key: str, conditions: Conditions, piece: Range = FIRST_BYTE, *, measured: bool = True
    ) -> Plan[Fetched]:
        """Read what is known about one object that is going to be read: as the reads themselves will tell it.

        The body is a piece of the object, at its beginning or its end, where that tells as much as other requests do.
        A size that no reply tells is found out by reading all of it; unless it is to be `measured`, it is then -1.
        """

    def head_many(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[HeadMany]:
        """Begin to read what is known about many objects."""

    def look_many(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[HeadMany]:
        """Begin to read what is known about many objects that are going to be read."""

    def fetch(
        self,
        reads: Reads,
        *,
        conditions: Conditions = ANY,
        most_in_flight: int,
        each: bool = False,
        window: int = 0,
        beginnings: bool = False,
    ) -> Plan[Fetch]:
        """Begin many reads.

        Args:
            reads: What to read.
            conditions: What must hold for each.
            most_in_flight: How many requests may be in flight.
            each: Whether the caller takes one after another.
            window: How many bytes may have come and not been taken; 0 for any number.
            beginnings: Whether of what is too large for one request only the beginning is to be read.
        """

    def put(self, key: str, source: Source, options: WriteOptions) -> Plan[PutResult]:
        """Write one object in one request, and check its source: before it appears, where that is possible."""

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[PutMany]:
        """Begin to write many objects, each in one request."""

    def begin_upload(self, key: str, options: WriteOptions, *, most_in_flight: int) -> Plan[Upload]:
        """Begin a multipart upload."""

    def delete(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects; return what failed, by key."""

    def delete_if(self, key: str, e_tag: str) -> Plan[None]:
        """Delete one object, if its ETag is still this one.

        Raises:
            PreconditionError: It is another.
            NotFoundError: There is no such object, where the service says so.
            NotSupportedError: The service has no known way to see to that.
        """

    def remove_directories(self, prefix: str) -> Plan[None]:
        """Delete the directories that begin with a prefix, where there are such things beside objects."""

    def can_copy_from(self, origin: Provider) -> bool:
        """Return whether `copy` can take objects of another provider."""

    def copy(
        self, source: str, target: str, *, mode: PutMode, origin: Provider, share: Share, size: int | None
    ) -> Plan[None]:
        """Copy an object here, from this provider or another one that `can_copy_from` it.

        Args:
            source: Its key.
            target: The key of the copy.
            mode: What the copy may replace.
            origin: Where the object is.
            share: Tells how many parts of it are in flight.
            size: How many bytes it had when it was listed; None: nobody knows.

        Raises:
            OutOfReachError: The service cannot read it there, or see to what it may replace.
            NotSupportedError: It has no known way to see to what the copy may replace.
        """

    def copy_if(
        self, source: str, target: str, e_tag: str, *, mode: PutMode, origin: Provider, share: Share
    ) -> Plan[None]:
        """Copy an object as `copy` does, if its ETag is still this one.

        Raises:
            PreconditionError: It is another.
            OutOfReachError: The service cannot see to that.
        """

    def rename(self, source: str, target: str, *, mode: PutMode) -> Plan[None]:
        """Rename an object to another key."""

    def sign(self, keys: Sequence[str], terms: UrlTerms) -> Plan[list[str]]:
        """Return a URL for each key that is good without a credential: for a while, or as long as the credential."""

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
        """Return the result of each write, in order; None where it failed, or its source had changed meanwhile."""
