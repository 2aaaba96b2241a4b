"""A multipart upload under way, in S3's dialect.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from objstore.exceptions import BaseError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.http.xml import build
from objstore.interface.values import ANY, Source, WriteOptions
from objstore.providers.conditional_headers import write_error, write_headers
from objstore.signing.sigv4 import UNSIGNED_PAYLOAD

if TYPE_CHECKING:
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.documents import Documents
    from objstore.types import PutResult

CHECKSUM = "x-amz-checksum-sha256"

_MD5 = re.compile(r"[0-9a-f]{32}")

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Upload(Exchange):
    """The parts of a multipart upload under way (UploadPart)."""

    def __init__(self, bucket: Documents, key: str, upload_id: str, options: WriteOptions, most_in_flight: int) -> None:
        super().__init__(
            bucket.service,
            Shape("PUT", bucket.read_headers, UNSIGNED_PAYLOAD),
            lambda _: key,
            detail=lambda index: f" part {index + 1}",
            keep_head=True,
            background=True,
            each=True,
            most_in_flight=most_in_flight,
        )
        self._bucket = bucket
        self._key = key
        self._upload_id = upload_id
        self._options = options
        self._sums: list[str | None] = []

    def add_part(self, part: Source) -> None:
        """Send one more part."""
        bucket = self._bucket
        query = [("partNumber", str(self.batch.total + 1)), ("uploadId", self._upload_id)]
        shape = bucket.shape_with(bucket.read_headers, part)
        self._sums.append(shape.headers.get(CHECKSUM))
        self.add(bucket.target(self._key, query), shape=shape, body=part.data)

    @property
    def unsettled(self) -> int:
        """How many parts are on their way."""
        return self.batch.total - self.batch.settled

    def complete(self) -> Plan[PutResult]:
        """Make an object of the parts (CompleteMultipartUpload)."""
        parts = [("Part", self._described(index)) for index in range(self.total)]
        body = build("CompleteMultipartUpload", parts, namespace=NAMESPACE)
        shape = Shape("POST", {**write_headers(self._options), "Content-Type": "application/xml"})
        target = self._bucket.target(self._key, [("uploadId", self._upload_id)])
        try:
            root, reply = yield from self._bucket.document(
                shape, target, self._key, ("CompleteMultipartUploadResult",), safe=True, body=body
            )
        except BaseError as error:
            done = (yield from self._already_complete()) if error.code == "NoSuchUpload" else None
            if done is None:
                raise write_error(error, self._options) from None
            return done
        return {**self._bucket.put_result(reply), "e_tag": root.find_text("ETag") or None}

    def _described(self, index: int) -> list[tuple[str, Any]]:
        """Return what the service is told of a part."""
        told = [("PartNumber", str(index + 1)), ("ETag", self.reply(index).headers.get("etag", ""))]
        checksum = self._sums[index]
        return told if checksum is None else [*told, ("ChecksumSHA256", checksum)]

    def _already_complete(self) -> Plan[PutResult | None]:
        """Return the object if it is of these parts: an earlier try was carried out, and only its reply was lost."""
        try:
            meta = (yield from self._bucket.head(self._key, ANY)).meta
        except BaseError:
            return None
        ours = self._tag_of_parts()
        return {"e_tag": ours, "version": meta["version"]} if ours is not None and meta["e_tag"] == ours else None

    def _tag_of_parts(self) -> str | None:
        """Return the ETag that an object of these parts has, where theirs are MD5 sums: the sum of those, and how many.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
        """
        tags = [self.reply(index).headers.get("etag", "").strip('"') for index in range(self.total)]
        if not all(map(_MD5.fullmatch, tags)):
            return None
        sums = b"".join(map(bytes.fromhex, tags))
        return f'"{hashlib.md5(sums, usedforsecurity=False).hexdigest()}-{len(tags)}"'

    def abort(self) -> Plan[None]:
        """Drop the parts that the service has (AbortMultipartUpload)."""
        exchange = Exchange(self._bucket.service, Shape("DELETE", {}), lambda _: self._key)
        exchange.add(self._bucket.target(self._key, [("uploadId", self._upload_id)]))
        yield from exchange.finish()
