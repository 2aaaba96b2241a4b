"""Objects of Google Cloud Storage: read by its XML API, written in one request by its JSON API.

Reads name every condition and version in headers and the query, and their replies tell all there is to know. Bodies
come as they are stored: a request that does not take gzip would have them unpacked, of another size than the object's.

https://cloud.google.com/storage/docs/xml-api/get-object-download
https://cloud.google.com/storage/docs/json_api/v1/objects/insert
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from objstore._core import Buffer, Reply
from objstore.disk.descriptors import cut_short
from objstore.exceptions import (
    BaseError,
    CorruptResponseError,
    NotFoundError,
    NotSupportedError,
    ObjectChangedError,
    RequestTimeoutError,
)
from objstore.http.client import header_lines
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.interface.values import WriteOptions
from objstore.plans.effects import Call
from objstore.providers.cloud.documents import Documents
from objstore.providers.cloud.gcs_resource import (
    condition_headers,
    e_tag,
    generation_match,
    put_result_of,
    read_document,
    resource,
    with_generation,
)
from objstore.providers.cloud.gcs_sums import CheckedPuts, crc_behind, hash_header, text_of
from objstore.providers.cloud.upload import begin
from objstore.providers.conditional_headers import as_kind
from objstore.providers.one_version import OneVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore.http.service import Service
    from objstore.interface.provider import PutMany
    from objstore.interface.values import Conditions, Fetched, Range, Source
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta, PutResult

ACCEPT = {"Accept-Encoding": "gzip"}
"""What every read says: bodies as they are stored (https://cloud.google.com/storage/docs/transcoding)."""

KMS = "x-goog-encryption-kms-key-name"
"""The header that names a key of the key management service (https://cloud.google.com/storage/docs/encryption)."""

OVERWRITE = WriteOptions()
NONE: Mapping[str, str] = MappingProxyType({})


class EncryptionKeys(NamedTuple):
    """What objects are encrypted with.

    Args:
        headers: Those with the caller's own key.
        kms: The name of a key of the key management service; empty for none.
    """

    headers: Mapping[str, str] = NONE
    kms: str = ""


OWN_KEYS = EncryptionKeys()

_STORED = "x-goog-stored-content-length"


class Pinned(OneVersion):
    """Many reads of one object: its generation keeps them to one version, and is gone where another took its place.

    Args:
        now_at: Asks what is there now.
        *arguments: As for the class.
        **options: As for the class.
    """

    def __init__(self, now_at: Callable[[str], Plan[Fetched]], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._now_at = now_at

    def _open_batch(self) -> None:
        Exchange._open_batch(self)  # the ETags of replies are not those that are known here

    def _decide(self, reply: Reply) -> Plan[None]:
        yield from super()._decide(reply)
        error = self.errors.get(reply.index)
        if isinstance(error, NotFoundError):
            self.errors[reply.index] = yield from replaced_or_gone(error, self._now_at(self._reads.keys[reply.index]))


class Insert(NamedTuple):
    """One request that writes an object."""

    target: bytes
    shape: Shape
    body: Buffer | tuple[int, int, int]


class Objects(Documents):
    """The objects of a bucket.

    Args:
        service: Where they are, and how requests for them are signed and judged.
        api: The path of the service below its origin, percent-encoded, without a trailing slash.
        bucket: The bucket's name.
        content_type: The Content-Type of objects that are written without one; empty for none.
        keys: What objects are encrypted with, where not by Google's own keys.
    """

    def __init__(
        self, service: Service, api: str, bucket: str, content_type: str = "", keys: EncryptionKeys = OWN_KEYS
    ) -> None:
        self.bucket = bucket
        self.api = api
        self.key_headers = keys.headers
        self.kms_query = [("kmsKeyName", keys.kms)] if keys.kms else []
        self._content_type = {"Content-Type": content_type} if content_type else {}
        super().__init__(
            service,
            f"{api}/{quote(bucket, safe='')}",
            read_headers={**ACCEPT, **keys.headers},
            write_headers={**self._content_type, **keys.headers, **({KMS: keys.kms} if keys.kms else {})},
        )

    def object_target(self, key: str, query: Sequence[tuple[str, str]] = (), tail: str = "") -> bytes:
        """Return path and query of an object in the JSON API; of all objects, where there is no key."""
        objects = f"{self.api}/storage/v1/b/{quote(self.bucket, safe='')}/o"
        path = f"{objects}/{quote(key, safe='')}{tail}" if key else objects
        return path.encode() + self._tail(query)

    def upload_target(self, query: Sequence[tuple[str, str]]) -> bytes:
        """Return path and query of an upload."""
        return f"{self.api}/upload/storage/v1/b/{quote(self.bucket, safe='')}/o".encode() + self._tail(query)

    # --- reading

    def one_version(self, *arguments: Any, **options: Any) -> OneVersion:
        """Return many reads of one object."""
        return Pinned(self.now_at, *arguments, **options)

    def _reading(self, method: str, conditions: Conditions, ranges: Sequence[Range]) -> tuple[Shape, bytes]:
        """Return the shape of requests that read ranges, and the query of their targets.

        One that names no version has a query that no other has: what everybody may read comes out of a cache, an hour
        old, whatever the request says (https://cloud.google.com/storage/docs/caching).
        """
        shape = Shape(method, {**self.read_headers, **condition_headers(conditions)})
        name = self.service.dialect.version_query
        query = (name, conditions.version) if conditions.version else ("objstore", secrets.token_hex(8))
        return shape, self._tail([query])

    def read_one(
        self, method: str, key: str, range: Range, conditions: Conditions, *, brief: bool = False
    ) -> Plan[Reply]:
        """Send one request that reads; a generation that was there before may have been replaced."""
        try:
            return (yield from super().read_one(method, key, range, conditions, brief=brief))
        except NotFoundError as error:
            if conditions.expected is None:
                raise
            raise (yield from replaced_or_gone(error, self.now_at(key))) from None

    def head(self, key: str, conditions: Conditions) -> Plan[Fetched]:
        """Read what is known about one object; by a GET, where the server has no HEAD."""
        try:
            return (yield from super().head(key, conditions))
        except NotSupportedError as error:
            if error.status != 501:
                raise
            return (yield from self.look(key, conditions))

    def meta(self, key: str, reply: Reply, size: int) -> ObjectMeta:
        """Return the metadata of an object of a size, which must be that of what is stored."""
        stored = reply.headers.get(_STORED, "")
        if size >= 0 and stored.isdecimal() and int(stored) != size:
            raise CorruptResponseError(
                f"GET {key!r} failed: the service sent {size} bytes, and {stored} are stored: it has unpacked them",
                hint="Store the object without the Content-Encoding that its type contradicts.",
                store=self.service.dialect.store,
                path=self.service.path(key),
            )
        meta = super().meta(key, reply, size)
        return {**meta, "e_tag": e_tag(meta["version"])} if meta["version"] else meta

    # --- writing in one request

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[PutMany]:
        """Begin to write many objects, each in one request."""
        return (yield from self.checked_puts(items, options, most_in_flight))

    def checked_puts(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, most_in_flight: int
    ) -> Plan[CheckedPuts]:
        """Begin to write many objects, each in one request; the checksums of what was sent are kept."""
        options = with_generation(options)
        self.check(options.attributes)
        yield from self.service.refresh()
        shared = Shape("POST", {})
        exchange = CheckedPuts(self.service, shared, items, options, self.put_result, self.now_at, most_in_flight)
        exchange.crcs = []
        try:
            for key, source in items:
                exchange.crcs.append(crc_behind(source))
                insert = yield from self._insert(key, source, options, exchange.crcs[-1])
                exchange.add(insert.target, shape=insert.shape, body=insert.body)
        except BaseException:
            exchange.close()
            raise
        exchange.seal()
        return exchange

    def check(self, attributes: Mapping[str, str]) -> None:
        """Raise if an attribute could not be read again: it comes back as a header.

        Raises:
            ValueError: It is not ASCII, or has a character that no header can have.
        """
        [*header_lines({self._header(name): value for name, value in attributes.items()})]
        for name, value in attributes.items():
            if not value.isascii():
                raise ValueError(f"the attribute {name!r} = {value!r} is not ASCII, and services mangle it: encode it")

    def described(self, options: WriteOptions) -> dict[str, Any]:
        """Return the description of an object to be written."""
        return resource({**self._content_type, **options.attributes})

    def _insert(self, key: str, source: Source, options: WriteOptions, crc: bytes) -> Plan[Insert]:
        """Return the request that writes an object: its bytes alone, where there is no more to say of it."""
        described = self.described(options)
        content_type = described.get("contentType", "")
        if described.keys() <= {"contentType"}:
            return self.insert_bare(key, source, crc, options)
        query = self._naming(key, options)
        boundary = secrets.token_hex(16)
        content = yield from bytes_of(source)
        body = Buffer(_related(boundary, {**described, "crc32c": text_of(crc)}, content_type, content))
        shape = Shape("POST", {"Content-Type": f"multipart/related; boundary={boundary}", **self.key_headers})
        return Insert(self.upload_target([("uploadType", "multipart"), *query]), shape, body)

    def begin_by_xml(self, key: str, options: WriteOptions) -> Plan[str]:
        """Begin an upload in parts by the XML API, and return its id."""
        return (yield from begin(self, key, self.object_headers(options))).id

    def insert_bare(self, key: str, source: Source, crc: bytes, options: WriteOptions = OVERWRITE) -> Insert:
        """Return the request that writes the bytes of an object alone, and perhaps their type."""
        content_type = self.described(options).get("contentType", "")
        headers = {**({"Content-Type": content_type} if content_type else {}), **hash_header(crc), **self.key_headers}
        target = self.upload_target([("uploadType", "media"), *self._naming(key, options)])
        return Insert(target, Shape("POST", headers), source.data)

    def _naming(self, key: str, options: WriteOptions) -> list[tuple[str, str]]:
        return [("name", key), ("fields", "crc32c,etag,generation"), *self.kms_query, *generation_match(options)]

    def own_shape(self, shared: Shape, source: Source) -> Shape | None:
        """Return the shape of a PUT with a body, whose checksum is told."""
        return replace(shared, headers={**shared.headers, **hash_header(crc_behind(source))})

    def put_result(self, reply: Reply) -> PutResult:
        """Return the result of a write."""
        return put_result_of(read_document(bytes(reply.body), "the description of an object"))

    def ask(
        self,
        method: str,
        target: bytes,
        key: str,
        *,
        headers: Mapping[str, str] = NONE,
        body: bytes = b"",
        safe: bool = True,
        detail: str = "",
        within: float | None = None,
    ) -> Plan[dict[str, Any]]:
        """Send a request of the JSON API, and return the document that answers it, within so many seconds if wanted."""
        yield from self.service.refresh()
        shape = Shape(method, {"Content-Type": "application/json", **headers})
        exchange = Exchange(
            self.service, shape, lambda _: key, detail=lambda _: detail, safe=safe, patient=True, keep_head=True
        )
        exchange.add(target, body=Buffer(body))
        if within is None:
            return read_document(bytes((yield from exchange.only()).body), "a description")
        yield from exchange.finish_within(within)
        if not (exchange.errors or exchange.batch.succeeded(0)):
            raise RequestTimeoutError(f"{method} {key!r}{detail} was not answered within {within:.0f} seconds")
        return read_document(bytes(exchange.reply().body), "a description")


def replaced_or_gone(error: NotFoundError, now: Plan[Fetched]) -> Plan[BaseError]:
    """Say why there is no such generation any more: by what is there now."""
    try:
        yield from now
    except BaseError:
        return error
    return as_kind(ObjectChangedError, error)


def bytes_of(source: Source) -> Plan[Any]:
    """Return the bytes of a source; those of a file are read by a thread that may wait for them."""
    if not isinstance(source.data, tuple):
        return source.data
    return (yield Call(partial(_read, *source.data)))


def _read(descriptor: int, offset: int, length: int) -> bytes:
    content = bytearray()
    while len(content) < length:
        piece = os.pread(descriptor, length - len(content), offset + len(content))
        if not piece:
            raise cut_short()
        content += piece
    return bytes(content)


def _related(boundary: str, described: Mapping[str, Any], content_type: str, content: Any) -> bytes:
    """Return the body of a request with the description of an object and its bytes (RFC 2387)."""
    head = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(described)}\r\n"
        f"--{boundary}\r\nContent-Type: {content_type or 'application/octet-stream'}\r\n\r\n"
    )
    return b"".join([head.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
