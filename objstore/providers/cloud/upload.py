"""A multipart upload under way, in S3's dialect.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from objstore.exceptions import BaseError, CorruptResponseError, GenericError, NotFoundError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.http.xml import build, can_hold
from objstore.interface.values import ANY, WriteOptions
from objstore.plans.limits import within
from objstore.providers.cloud.checksums import WHOLE, encoded
from objstore.providers.conditional_headers import (
    LOOK_SECONDS,
    after_all,
    as_kind,
    what_is_there,
    write_error,
    write_headers,
)
from objstore.providers.many import why
from objstore.types import UploadPart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore._core import Bytes, Reply
    from objstore.interface.values import Source
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.checksums import Algorithm
    from objstore.providers.cloud.documents import Documents
    from objstore.types import PutResult

_MD5 = re.compile(r"[0-9a-f]{32}")

ABORT_SECONDS = 10.0
"""How long the failure of an upload, or the end of the interpreter, waits for the service to drop the parts."""

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")


class Begun(NamedTuple):
    """A multipart upload that has begun.

    Args:
        id: Its id.
        sums_whole: Whether the service compares a checksum of all bytes, not of those of the parts.
    """

    id: str
    sums_whole: bool


def begin(bucket: Documents, key: str, headers: Mapping[str, str]) -> Plan[Begun]:
    """Begin a multipart upload (CreateMultipartUpload).

    Args:
        bucket: Where to.
        key: The key of the object.
        headers: What is stored with it.
    """
    target = bucket.target(key, [("uploads", ""), *encoding(key)])
    # the second is rclone's name for it
    roots = ("InitiateMultipartUploadResult", "InitiateMultipartUpload")
    root, reply = yield from bucket.document(
        Shape("POST", headers), target, key, roots, safe=True, undo=partial(_end, bucket, key)
    )
    upload_id = root.find_text("UploadId")
    if not upload_id.strip():  # a part without one is an object, and to abort it would be to delete that
        raise CorruptResponseError(
            f"POST {key!r} failed: the reply does not name the upload that it has begun",
            store=bucket.service.dialect.store,
            path=bucket.service.path(key),
        )
    return Begun(upload_id, reply.headers.get("x-amz-checksum-type", "").upper() == WHOLE)


def _end(bucket: Documents, key: str, begun: bytes) -> Plan[None]:
    """Abort the multipart upload that a reply tells of."""
    upload_id = _UPLOAD_ID.search(begun)
    if upload_id:
        yield from Upload(bucket, key, upload_id[1].decode(), WriteOptions(), 1).abort()


def encoding(key: str) -> list[tuple[str, str]]:
    """Return the query that asks for a key to be percent-encoded in the reply, where a document cannot hold it."""
    return [] if can_hold(key) else [("encoding-type", "url")]


class Upload(Exchange):
    """The parts of a multipart upload under way (UploadPart)."""

    def __init__(
        self,
        bucket: Documents,
        key: str,
        upload_id: str,
        options: WriteOptions,
        most_in_flight: int,
        *,
        patient: bool = False,
        first: int = 1,
        algorithm: Algorithm | None = None,
        sums_whole: bool = False,
    ) -> None:
        super().__init__(
            bucket.service,
            bucket.put_shape(bucket.read_headers),
            lambda _: key,
            detail=lambda index: f" part {first + index}",
            keep_head=True,
            background=True,
            each=True,
            patient=patient,
            most_in_flight=most_in_flight,
        )
        self._bucket = bucket
        self._key = key
        self._upload_id = upload_id
        self._options = options
        self._first = first
        self._algorithm = algorithm
        self._sums_whole = sums_whole
        self._sizes: list[int] = []  # of the parts
        self._sources: dict[int, Source] = {}  # of those on their way

    def add_part(self, part: Source) -> None:
        """Send one more part."""
        self._sources[self.total] = part
        self._sizes.append(part.size)
        self.add(self.part_target(self.total), shape=self._bucket.own_shape(self._shape, part), body=part.data)

    def take(self, index: int) -> Bytes:
        """Let go of the memory of a part that arrived."""
        self._sources.pop(index, None)
        return super().take(index)

    def _decide(self, reply: Reply) -> Plan[None]:
        yield from super()._decide(reply)
        if reply.index in self.errors and reply.index in self._sources:
            self.errors[reply.index] = why(self.errors[reply.index], self._sources[reply.index])

    def part_target(self, index: int) -> bytes:
        """Return path and query of a part."""
        return self._bucket.target(self._key, [("partNumber", str(self._first + index)), ("uploadId", self._upload_id)])

    @property
    def unsettled(self) -> int:
        """How many parts are on their way."""
        return self.batch.total - self.batch.settled

    def part_tags(self) -> list[str]:
        """Return the ETags of the parts, which are all there."""
        return [self._bucket.written_tag(self.reply(index)) or "" for index in range(self.total)]

    def parts(self) -> list[UploadPart]:
        """Return the parts, which are all there."""
        return [
            UploadPart(
                self._first + index,
                tag,
                self._sizes[index] if self._sizes else 0,
                self._sum_of(index),
            )
            for index, tag in enumerate(self.part_tags())
        ]

    def _sum_of(self, index: int) -> str | None:
        """Return the checksum that went with a part."""
        if self._algorithm is None:
            return None
        made = self.body_sum(index)
        return self._own[index].headers[self._algorithm.header] if made is None else encoded(made)

    def complete(self) -> Plan[PutResult]:
        """Make an object of the parts."""
        return (yield from self.complete_of(self.parts()))

    def complete_of(self, parts: Sequence[UploadPart]) -> Plan[PutResult]:
        """Make an object of parts, whoever sent them (CompleteMultipartUpload)."""
        return (yield from self._bucket.ended(self._key, self._options, self.end(parts)))

    def end(self, parts: Sequence[UploadPart]) -> Plan[PutResult]:
        """Send the request that makes an object of parts."""
        told = [("Part", self._described(part)) for part in parts]
        headers = {**self._bucket.read_headers, **write_headers(self._options), "Content-Type": "application/xml"}
        if self._algorithm is not None and self._sums_whole:
            headers |= self._algorithm.told_of_whole(parts)
        shape = Shape("POST", headers)
        try:
            root, reply = yield from self._bucket.document(
                shape,
                self._target(encoding(self._key)),
                self._key,
                ("CompleteMultipartUploadResult",),
                safe=True,
                patient=True,
                body=build("CompleteMultipartUpload", told, namespace=NAMESPACE),
            )
        except BaseError as error:
            if not (_names_no_upload(error) or error.maybe_applied):
                raise write_error(error, self._options) from None
            return (yield from self._look(error, [part.e_tag for part in parts]))
        return (yield from self._made(reply, root.find_text("ETag") or None))

    def _made(self, reply: Reply, tag: str | None) -> Plan[PutResult]:
        """Return the object that the service says that it has made."""
        return {"e_tag": tag, "version": reply.headers.get(self._bucket.service.dialect.version_header)}
        yield

    def _described(self, part: UploadPart) -> list[tuple[str, Any]]:
        """Return what the service is told of a part."""
        told = [("PartNumber", str(part.number)), ("ETag", part.e_tag)]
        if self._algorithm is None or part.checksum is None:
            return told
        return [*told, (self._algorithm.element, part.checksum)]

    def _target(self, query: list[tuple[str, str]]) -> bytes:
        return self._bucket.target(self._key, [("uploadId", self._upload_id), *query])

    def _look(self, error: BaseError, tags: list[str]) -> Plan[PutResult]:
        """Return the object if a try was carried out, and only its reply was lost; else raise what is known."""
        failed = self.ended(error) if _names_no_upload(error) else error
        if not failed.maybe_applied:
            raise failed from None
        was_lost = error.maybe_applied
        try:
            found = yield from what_is_there(self._bucket.head(self._key, ANY))
        except BaseError:
            raise write_error(failed, self._options) from None
        mine = found is not None and found["e_tag"] is not None and found["e_tag"] == _tag_of(tags)
        if found is not None and mine and was_lost and (yield from self.is_ours(error)):
            return {"e_tag": found["e_tag"], "version": found["version"]}
        raise after_all(write_error(failed, self._options), self._options, found) from None

    def ended(self, error: BaseError) -> BaseError:
        """Return the error of an upload that is no more, which may have become an object."""
        failed = as_kind(GenericError, error, "The upload has ended: see what is there, and write it again.")
        failed.maybe_applied = True
        return failed

    def is_ours(self, error: BaseError) -> Plan[bool]:
        """Tell whether it was this upload that made an object of these parts, of which a try may have been carried out.

        Where anybody may overwrite, whoever did wrote the same. Where one alone may win, another may have written the
        same bytes; but nobody else knows this upload: that it has ended shows that it became an object.
        """
        return self._options.mode == "overwrite" or _names_no_upload(error) or (yield from self._has_ended())

    def _has_ended(self) -> Plan[bool]:
        """Ask whether the service knows the upload no more (ListParts)."""
        shape = Shape("GET", self._bucket.read_headers)
        target = self._target([("max-parts", "1"), *encoding(self._key)])
        try:
            question = self._bucket.document(shape, target, self._key, ("ListPartsResult",), safe=True)
            yield from within(LOOK_SECONDS, question)
        except BaseError as error:
            return _names_no_upload(error)
        return False

    def abort(self) -> Plan[None]:
        """Drop the parts that the service has (AbortMultipartUpload)."""
        exchange = Exchange(self._bucket.service, Shape("DELETE", self._bucket.change_headers), lambda _: self._key)
        exchange.add(self._target([]))
        yield from exchange.finish_within(ABORT_SECONDS)


def _names_no_upload(error: BaseError) -> bool:
    """Tell whether the service says that there is no such upload; it may say so without a code."""
    return isinstance(error, NotFoundError) and error.code in ("NoSuchUpload", None)


def _tag_of(tags: list[str]) -> str | None:
    """Return the ETag that an object of parts has, where theirs are MD5 sums: the sum of those, and how many.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    sums = [tag.strip('"') for tag in tags]
    if not all(map(_MD5.fullmatch, sums)):
        return None
    digest = hashlib.md5(b"".join(map(bytes.fromhex, sums)), usedforsecurity=False).hexdigest()
    return f'"{digest}-{len(sums)}"'
