"""The blobs of a container, one by one: read, written by one request, and deleted.

What Azure adds to the requests that all stores on HTTP share: ranges of last bytes have to be asked for by the size,
and directories, which some accounts have, are not objects.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from objstore.credentials.azure import AccountKey, SharedAccess
from objstore.credentials.token import AccessToken
from objstore.exceptions import (
    BaseError,
    InvalidPathError,
    InvalidRangeError,
    NotFoundError,
    NotSupportedError,
    ObjectChangedError,
    PreconditionError,
)
from objstore.http.shape import Shape
from objstore.interface.values import ANY, FIRST_BYTE, WHOLE, Conditions, Fetched, Range, Reads, UrlTerms, WriteOptions
from objstore.interface.versions import pinned
from objstore.providers.cloud.azure_documents import is_directory
from objstore.providers.cloud.azure_sums import asked, most_compared, told
from objstore.providers.cloud.documents import Documents
from objstore.providers.cloud.tags import Tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore._core import Reply
    from objstore.credentials.storage_account import StorageAccount
    from objstore.http.service import Service
    from objstore.interface.provider import Fetch, PutMany
    from objstore.interface.values import Source
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta

GONE = "BlobNotFound"

SNAPSHOT = "snapshot="
"""What stands in front of the time of a snapshot where one is asked for as a version."""

MOST_AT_ONCE = 5000 << 20
"""The most that one request writes or copies, in bytes (Put Blob, Put Blob From URL)."""

COPY_LIFE = timedelta(days=1)
"""For how long the service may read what it is to copy, if the credential lasts so long."""

PINNED_TRIES = 3
"""How often the last bytes of an object are asked for that is replaced between the question for its size and that."""


class Blobs(Documents):
    """The blobs of a container.

    Args:
        service: Where they are, and how requests to it are signed and judged.
        base: The path of the container, percent-encoded.
        identity: Who we are, as the service knows it.
        key_headers: The headers with the caller's own encryption key.
        default_type: The Content-Type of what is written without one.
        tagging: Whether the account takes tags.
        checksum: Which checksum to send with what is written, and to ask for of what is read; None for none.
    """

    has_outer_slashes = True

    def __init__(
        self,
        service: Service,
        base: str,
        identity: StorageAccount,
        *,
        key_headers: Mapping[str, str],
        default_type: str | None,
        tagging: bool,
        checksum: str | None,
    ) -> None:
        named = {service.dialect.written["Content-Type"]: default_type} if default_type else {}
        super().__init__(
            service, base, read_headers=key_headers, write_headers={**key_headers, **named}, tagging=tagging
        )
        self.identity = identity
        self.checksum = checksum
        self.most_compared = most_compared(checksum)
        self.takes_batches = True  # some accounts refuse them

    @property
    def tags(self) -> Tags | None:
        """The tags of its blobs, where the account keeps some."""
        return tags_of(self) if self._tagging else None

    # --- reading

    def fetch_one(
        self, key: str, range: Range, conditions: Conditions, *, brief: bool = False, measured: bool = True
    ) -> Plan[Fetched]:
        """Read one object, or a range of it."""
        if range.start >= 0 or range == WHOLE:
            fetched = yield from super().fetch_one(key, range, conditions, brief=brief, measured=measured)
            self._check_answered(key, fetched, conditions)
            return fetched
        for last in (False,) * (PINNED_TRIES - 1) + (True,):
            found = (yield from self.head(key, conditions)).seen
            size = found.meta["size"]
            start, end = range.within(size)
            narrow = Range(start, end) if end > start else WHOLE
            try:
                fetched = yield from super().fetch_one(key, narrow, pinned(found, conditions.version))
                if fetched.meta["size"] != size:
                    raise self._other_size(key, size, fetched.meta["size"])
                return fetched
            except (PreconditionError, InvalidRangeError):
                if last:
                    raise
        raise AssertionError

    def head(self, key: str, conditions: Conditions) -> Plan[Fetched]:
        """Read what is known about one object."""
        found = yield from super().head(key, conditions)
        self._check_answered(key, found, conditions)
        return found

    def _check_answered(self, key: str, found: Fetched, conditions: Conditions) -> None:
        """Refuse what is of no version where one was asked for: a service without versions answers with the blob."""
        asked_for = conditions.version
        if asked_for is None or asked_for.startswith(SNAPSHOT) or found.meta["version"] is not None:
            return
        raise NotSupportedError(
            f"{key!r} was asked for as its version {asked_for!r}, and came as none: the service keeps no versions",
            hint=f"Leave version out, or write {SNAPSHOT + asked_for!r} if it is the time of a snapshot.",
            store=self.service.dialect.store,
            path=self.service.path(key),
        )

    def _other_size(self, key: str, head: int, get: int) -> ObjectChangedError:
        path, store = self.service.path(key), self.service.dialect.store
        return ObjectChangedError(f"{key!r} has {head} bytes by HEAD, and {get} by GET", store=store, path=path)

    def _reading(self, method: str, conditions: Conditions, ranges: Sequence[Range]) -> tuple[Shape, bytes]:
        """Return the shape of requests that read ranges, and the query of their targets."""
        shape, tail = super()._reading(method, conditions, ranges)
        sums = asked(self.checksum, ranges) if method == "GET" else {}
        return (replace(shape, headers={**shape.headers, **sums}) if sums else shape), tail

    def version_query(self, version: str) -> list[tuple[str, str]]:
        """Return what a request has in its query that is for a version of an object, or for a snapshot of it."""
        moment = version.removeprefix(SNAPSHOT)
        return [("snapshot", moment)] if moment != version else super().version_query(version)

    def look(
        self, key: str, conditions: Conditions, piece: Range = FIRST_BYTE, *, measured: bool = True
    ) -> Plan[Fetched]:
        """Read what is known about one object that is going to be read: a HEAD tells the same size, and it takes one to
        know where the end of a blob begins."""
        if piece == FIRST_BYTE or piece.start < 0:
            return (yield from self.head(key, conditions))
        return (yield from self.look_by_get(key, conditions, piece, measured=measured))

    def meta(self, key: str, reply: Reply, size: int) -> ObjectMeta:
        """Return the metadata of an object of a size; a directory is none."""
        if is_directory(reply):
            raise NotFoundError(
                f"{key!r} is a directory", store=self.service.dialect.store, path=self.service.path(key), status=404
            )
        return super().meta(key, reply, size)

    def _attributes(self, reply: Reply) -> dict[str, str]:
        """Return the attributes that a reply tells; a tier that nobody has set is none, as a GET does not tell it."""
        found = super()._attributes(reply)
        if reply.headers.get("x-ms-access-tier-inferred") == "true":
            found.pop("Storage-Class", None)
        return found

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
        """Begin many reads."""
        for key in reads.keys:
            _check(key)
        return (
            yield from super().fetch(
                reads,
                conditions=conditions,
                most_in_flight=most_in_flight,
                each=each,
                window=window,
                beginnings=beginnings,
            )
        )

    def path(self, key: str) -> bytes:
        """Return the path of a key, percent-encoded; of the container itself, where there is none."""
        _check(key)
        return super().path(key)

    # --- writing

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[PutMany]:
        """Begin to write many objects, each in one request (Put Blob)."""
        for key, source in items:
            check_size(key, source.size, MOST_AT_ONCE, "one request")
        return (yield from super().put_many(items, options, most_in_flight=most_in_flight))

    def own_shape(self, shared: Shape, source: Source) -> Shape | None:
        """Return the shape of a PUT that tells the checksum of its body, where that is wanted."""
        headers = told(self.checksum, source)
        return replace(shared, headers={**shared.headers, **headers}) if headers else None

    def put_headers(self, options: WriteOptions) -> dict[str, str]:
        """Return the headers of a write (Put Blob)."""
        return {"x-ms-blob-type": "BlockBlob", **super().put_headers(options)}

    def delete_singly(self, keys: Sequence[str], most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects, each by a request of its own; return what failed, by key. What is missing is deleted."""
        failed = yield from super().delete_singly(keys, most_in_flight)
        return {key: error for key, error in failed.items() if error.code != GONE}

    def authorized(self, key: str) -> str:
        """Return the URL of a blob for the service to read: with the signature that lets it, where we have that."""
        url = f"{self.service.origin}{self.path(key).decode()}"
        signer = self.identity.signer(Shape("GET", {}), self.service.host, {})
        shared = isinstance(self.identity.credentials.current, SharedAccess)
        return f"{url}?{signer.query.decode()}" if signer is not None and shared else url

    def readable(self, key: str) -> dict[str, str]:
        """Return the headers that name a blob for the service to read as anybody would, and let it do so."""
        name, credential = self.service.dialect.copy_source, self.identity.credentials.current
        if isinstance(credential, AccountKey):
            left = COPY_LIFE if credential.expires_at is None else credential.expires_at - datetime.now(UTC)
            terms = UrlTerms("GET", min(left, COPY_LIFE))
            return {name: self.service.signed_url(self.path(key).decode(), [], terms)}
        url = {name: self.authorized(key)}
        if isinstance(credential, AccessToken):
            return {**url, f"{name}-authorization": f"Bearer {credential.token}"}
        return url


def tags_of(blobs: Blobs) -> Tags:
    """Return the tags of the blobs of a container."""
    return Tags(blobs, ("comp", "tags"), "Tags")


def check_size(key: str, size: int, most: int, what: str) -> None:
    """Raise if so many bytes are more than the service takes at once."""
    if size > most:
        raise ValueError(
            f"{size} bytes of {key!r} are too many for {what} of Azure: {most} are the most. "
            "Give a smaller chunk_size, and leave use_multipart=False out."
        )


_DOTS = re.compile(r"(^|/)\.\.?(/|$)")


def _check(key: str) -> None:
    """Raise if the service would take a key for another, as it may where it reads the URL of one."""
    if "\\" in key:
        raise InvalidPathError(f"{key!r} has a backslash, which Azure takes for a slash", hint="Use another character.")
    if ("./" in key or key.endswith(".")) and _DOTS.search(key):
        raise InvalidPathError(f"{key!r} has a segment of dots, which URLs of Azure cannot have", hint="Rename it.")
