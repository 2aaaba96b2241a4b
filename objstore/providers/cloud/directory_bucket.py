"""The primitive operations on a directory bucket (S3 Express One Zone), where they are not those of other buckets.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html

Its one invariant: what such a bucket has not is refused before anything is sent, and never left out in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from objstore._core import Buffer, encode_path
from objstore.exceptions import (
    InvalidPathError,
    NotFoundError,
    NotSupportedError,
    PreconditionError,
)
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.interface.values import ANY, LOCKS, WriteOptions
from objstore.providers.cloud.bucket import Bucket
from objstore.providers.cloud.checksums import ALGORITHMS, encoded
from objstore.providers.cloud.shared_uploads import SharedUploads, UploadOfMany
from objstore.providers.conditional_headers import write_error, write_headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore._core import Reply
    from objstore.interface.provider import Provider, Share
    from objstore.interface.values import ListQuery, Page
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.upload import Begun
    from objstore.types import PutMode, PutResult, UploadPart

CHECKSUM = "crc32"
"""What sums up what is written, if no setting says otherwise, as in the SDKs."""

CLASS = "EXPRESS_ONEZONE"
"""The storage class of all that is there."""


class DirectoryBucket(Bucket):
    """A directory bucket.

    Args:
        by_key: The same bucket, spoken to by our own key: copies take no session.
        zone: The host of its zone; None: it is meant by an access point, which no copy can name.
        drops_tags: Whether tags are left out of writes, instead of refused.
        **options: As of `Bucket`.
    """

    lists_from_anywhere = False
    lists_in_order = False
    lists_by_bytes = False
    lists_any_prefix = False

    def __init__(self, *arguments: Any, by_key: Bucket, zone: str | None, drops_tags: bool, **options: Any) -> None:
        super().__init__(*arguments, tagging=False, **options)
        self._by_key = by_key
        self._zone = zone
        self._drops_tags = drops_tags

    # --- what it has not

    def tag_headers(self, options: WriteOptions) -> dict[str, str]:
        """Refuse tags."""
        if options.tags and not self._drops_tags:
            raise self._lacks("tags", "Store what they say as attributes, or give disable_tagging=True to drop them.")
        return {}

    def object_headers(self, options: WriteOptions) -> dict[str, str]:
        """Refuse locks, and classes of other buckets."""
        if lock := next((name for name in LOCKS if name in options.attributes), None):
            raise self._lacks(f"object locks, and so no {lock}", "Leave it out.")
        if (kind := options.attributes.get("Storage-Class", CLASS)) != CLASS:
            raise self._lacks(f"class {kind!r}", f"Leave Storage-Class out: it is {CLASS}.")
        return super().object_headers(options)

    versions = None

    def version_query(self, version: str) -> list[tuple[str, str]]:
        """Refuse versions."""
        raise self._lacks(f"versions, so there is no {version!r} of an object", "Leave version out.")

    def _lacks(self, what: str, hint: str) -> NotSupportedError:
        store = self.service.dialect.store
        text = f"The bucket {self.service.bucket!r} is a directory bucket, which has no {what}"
        return NotSupportedError(text, hint=hint, store=store, bucket=self.service.bucket)

    # --- listings

    def list_page(self, query: ListQuery, first: Reply | None = None) -> Plan[Page]:
        """Read one page of a listing (ListObjectsV2)."""
        self._check(query)
        return super().list_page(query, first)

    def list_target(self, query: ListQuery) -> bytes:
        """Return path and query of a page of a listing."""
        self._check(query)
        return super().list_target(query)

    def _check(self, query: ListQuery) -> None:
        """Raise if a listing is of what such buckets do not list."""
        if query.offset:
            hint = "List without an offset, and leave out what you do not want."
            raise self._lacks("order of keys, and so lists none from an offset on", hint)
        if query.prefix and not query.prefix.endswith("/"):
            hint = "List a folder: a prefix that ends with a slash, as of by='segment'."
            raise self._lacks(f"listing of {query.prefix!r}, but of whole folders alone", hint)

    # --- writes

    def _begin_summed(self, key: str, options: WriteOptions) -> Plan[Begun]:
        """Begin a multipart upload: each part has a checksum, the whole one of these."""
        announced = {} if self._checksum is None else {"x-amz-checksum-algorithm": self._checksum.name}
        return self._begin(key, options, announced)

    @property
    def shared_uploads(self) -> SharedUploads:
        """The uploads by many hands."""
        return SharedUploads(self, self.start_upload, self._checksum, _InSequence)

    def proof(self, body: bytes) -> dict[str, str]:
        """Return the header that vouches for the body of a DeleteObjects: there is no MD5 here."""
        algorithm = self._checksum or ALGORITHMS[CHECKSUM]
        return {algorithm.header: encoded(algorithm.compute([body]))}

    # --- copies

    def can_copy_from(self, origin: Provider) -> bool:
        """Tell whether the other is a directory bucket in the same zone, known by the same key."""
        if not isinstance(origin, DirectoryBucket) or self._zone is None or origin._zone != self._zone:
            return False
        mine, theirs = self._by_key.service, origin._by_key.service
        return mine is theirs or mine.identity.is_same_as(theirs.identity)

    def copy(
        self, source: str, target: str, *, mode: PutMode, origin: Provider, share: Share, size: int | None
    ) -> Plan[None]:
        """Copy an object here, by our own key."""
        return self._by_key.copy(source, target, mode=mode, origin=origin, share=share, size=size)

    def copy_if(
        self, source: str, target: str, e_tag: str, *, mode: PutMode, origin: Provider, share: Share
    ) -> Plan[None]:
        """Copy an object here, if its ETag is still this one."""
        return self._by_key.copy_if(source, target, e_tag, mode=mode, origin=origin, share=share)

    def copy_onto_itself(self, key: str, options: WriteOptions) -> Plan[None]:
        """Copy an object onto itself, by our own key."""
        return self._by_key.copy_onto_itself(key, options)

    def rename(self, source: str, target: str, *, mode: PutMode) -> Plan[None]:
        """Rename an object in one step (RenameObject); a try that is repeated is known by its token.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html
        """
        if slash := next((key for key in (source, target) if key.endswith("/")), None):
            raise InvalidPathError(f"A directory bucket renames no object that ends with a slash: {slash!r}")
        options = WriteOptions(mode=mode)
        condition = write_headers(options)
        yield from self.service.refresh()
        named = {"x-amz-rename-source": encode_path(source).decode(), "x-amz-client-token": str(uuid4())}
        shape = Shape("PUT", {**self.change_headers, **named, **condition})
        exchange = Exchange(
            self.service, shape, lambda _: target, detail=lambda _: f" from {source!r}", safe=True, keep_head=True
        )
        exchange.add(self.target(target, [("renameObject", "")]), body=Buffer(b""))
        try:
            yield from exchange.only()
        except NotFoundError as error:
            if error.code == "NoSuchBucket":
                raise
            if not isinstance(mode, str):  # which of the two is missing, no answer tells
                yield from self.head(source, ANY)
                raise write_error(error, options) from None
            error.path = self.service.path(source)
            raise
        except PreconditionError as error:
            raise write_error(error, options) from None


class _InSequence(UploadOfMany):
    """An upload whose parts are numbered one after the other, from 1."""

    def complete_of(self, parts: Sequence[UploadPart]) -> Plan[PutResult]:
        """Make an object of parts, none of which is left out."""
        gap = next((at for at, part in enumerate(parts, 1) if part.number != at), None)
        if gap is not None:
            raise NotSupportedError(
                f"The part {gap} is missing: those of an upload to a directory bucket are 1, 2, 3 and so on",
                hint="Send it, or number the parts anew.",
            )
        return super().complete_of(parts)
