"""The primitive operations over HTTP, in S3's dialect or one near it.

This is the only module that makes requests to an object store. What differs between services is in the `Dialect` and
the `Service`; what every operation shares (ranges, parts, batches) is above, in `_ops` and `_bulk`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from objstore import exceptions as errors
from objstore._core import Buffer, Bytes, Listing, Reply, encode_path
from objstore._effects import Plan, Sleep
from objstore._http import http_date, parse_http_date
from objstore._retry import Failure, Row
from objstore._xml import Element, build, parse
from objstore.exceptions import BaseError, CorruptResponseError
from objstore.providers.exchange import Exchange, Shape
from objstore.providers.provider import (
    ANY,
    RESERVED,
    WHOLE,
    Conditions,
    Fetched,
    ListQuery,
    Page,
    Provider,
    Range,
    Read,
    Source,
    WriteOptions,
)
from objstore.providers.service import Service
from objstore.signing.sigv4 import UNSIGNED_PAYLOAD, canonical_query
from objstore.types import ObjectMeta, PutResult

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
EPOCH = datetime.fromtimestamp(0, UTC)


class Cloud:
    """A bucket of a service that speaks S3's dialect of HTTP and XML.

    Args:
        service: Where it is, and how requests to it are signed and judged.
        base: The path of the bucket, percent-encoded, without a trailing slash; empty where the host names it.
        bucket: The bucket's name.
        write_headers: Headers of every request that creates an object (encryption and the like).
        sign_payload: Whether to sign the bodies of objects: it takes a hash of every byte.
        tagging: Whether the service takes tags.
        bulk_delete: Whether the service deletes many objects by one request.
    """

    def __init__(
        self,
        service: Service,
        base: str,
        bucket: str,
        *,
        write_headers: Mapping[str, str],
        read_headers: Mapping[str, str],
        sign_payload: bool,
        tagging: bool,
        bulk_delete: bool,
    ) -> None:
        self.service = service
        self.most_parts = service.dialect.most_parts
        self.smallest_part = service.dialect.smallest_part
        self.lists_from_anywhere = True
        self._base = base.encode()
        self._bucket = bucket
        self._write_headers = write_headers
        self._read_headers = read_headers
        self._sign_payload = sign_payload
        self._tagging = tagging
        self._bulk_delete = bulk_delete

    @property
    def latency(self) -> float:
        """How long a reply has lately taken to begin, in seconds."""
        return self.service.latency

    # --- reading

    def fetch_one(self, key: str, range: Range, conditions: Conditions) -> Plan[Fetched]:
        """Read one object, or a range of it."""
        reply = yield from self._read_one("GET", key, range, conditions)
        meta = self._meta(key, reply)
        span = (reply.start, reply.end) if reply.start >= 0 else (0, meta["size"])
        if reply.start < 0 and range != WHOLE:
            span = _resolved(range, meta["size"])
        return Fetched(meta, self._attributes(reply), span, reply.body)

    def head(self, key: str, conditions: Conditions) -> Plan[Fetched]:
        """Read what is known about one object."""
        reply = yield from self._read_one("HEAD", key, WHOLE, conditions)
        meta = self._meta(key, reply)
        return Fetched(meta, self._attributes(reply), (0, meta["size"]), reply.body)

    def _read_one(self, method: str, key: str, range: Range, conditions: Conditions) -> Plan[Reply]:
        yield from self.service.refresh()
        shape = Shape(method, self._read_headers if conditions is ANY else self._condition_headers(conditions))
        exchange = Exchange(self.service, shape, lambda _: key, keep_head=True)
        exchange.add(self._target(key, self._version(conditions)), range)
        return (yield from _only(exchange))

    def fetch(
        self,
        reads: Sequence[Read],
        *,
        conditions: Conditions = ANY,
        most_in_flight: int,
        each: bool = False,
        window: int = 0,
    ) -> Plan[Exchange]:
        """Begin many reads."""
        yield from self.service.refresh()
        shape = Shape("GET", self._read_headers if conditions is ANY else self._condition_headers(conditions))
        exchange = Exchange(
            self.service,
            shape,
            lambda index: reads[index].key,
            background=each,
            each=each,
            most_in_flight=most_in_flight,
            window=window,
        )
        if conditions.if_match is not None:
            exchange.batch.pin(conditions.if_match)
        version = self._version(conditions)
        tail = b"?" + canonical_query(version).encode() if version else b""
        base, add = self._base + b"/", exchange.batch.add
        for key, (start, end), target in reads:  # thousands at a time: straight to the batch
            if target is None:
                add(base + encode_path(key) + tail, start, end)
            else:
                add(base + encode_path(key) + tail, start, end, None, None, None, *target)
        exchange.seal()
        return exchange

    def head_many(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[_HeadMany]:
        """Begin to read what is known about many objects."""
        yield from self.service.refresh()
        exchange = _HeadMany(self, keys, most_in_flight)
        for key in keys:
            exchange.add(self._target(key))
        exchange.seal()
        return exchange

    def _condition_headers(self, conditions: Conditions) -> dict[str, str]:
        headers = {
            "If-Match": conditions.if_match,
            "If-None-Match": conditions.if_none_match,
            "If-Modified-Since": conditions.if_modified_since and http_date(conditions.if_modified_since),
            "If-Unmodified-Since": conditions.if_unmodified_since and http_date(conditions.if_unmodified_since),
        }
        return {**self._read_headers, **{name: value for name, value in headers.items() if value}}

    def _version(self, conditions: Conditions) -> list[tuple[str, str]]:
        return [(self.service.dialect.version_query, conditions.version)] if conditions.version else []

    def _meta(self, key: str, reply: Reply) -> ObjectMeta:
        headers = reply.headers
        size = reply.total if reply.total >= 0 else reply.content_length
        return {
            "path": key,
            "last_modified": parse_http_date(headers.get("last-modified", "")) or EPOCH,
            "size": size if size >= 0 else len(reply.body),
            "e_tag": headers.get("etag"),
            "version": headers.get(self.service.dialect.version_header),
        }

    def _attributes(self, reply: Reply) -> dict[str, str]:
        dialect = self.service.dialect
        names = {self._header(name).lower(): name for name in RESERVED}
        skip = len(dialect.metadata)
        found = {names[name]: value for name, value in reply.headers.items() if name in names}
        own = {name[skip:]: value for name, value in reply.headers.items() if name.startswith(dialect.metadata)}
        return {**found, **own}

    def _header(self, attribute: str) -> str:
        """Return the header that carries a reserved attribute."""
        return self.service.dialect.storage_class if attribute == "Storage-Class" else attribute

    # --- writing

    def put(self, key: str, source: Source, options: WriteOptions) -> Plan[PutResult]:
        """Write one object in one request."""
        yield from self.service.refresh()
        exchange = Exchange(
            self.service,
            Shape("PUT", self._put_headers(options), self._payload_hash(source)),
            lambda _: key,
            safe=options.mode == "overwrite",
            keep_head=True,
        )
        exchange.add(self._target(key), body=source.data)
        try:
            reply = yield from _only(exchange)
        except BaseError as error:
            raise _write_error(error, options) from None
        return self._put_result(reply)

    def put_many(
        self, items: Sequence[tuple[str, Source]], options: WriteOptions, *, most_in_flight: int
    ) -> Plan[_PutMany]:
        """Begin to write many objects, each in one request."""
        yield from self.service.refresh()
        shared = Shape("PUT", self._put_headers(options), UNSIGNED_PAYLOAD)
        exchange = _PutMany(self, shared, items, options, most_in_flight)
        for key, source in items:
            own = shared._replace(payload_hash=self._payload_hash(source)) if self._sign_payload else None
            exchange.add(self._target(key), shape=own, body=source.data)
        exchange.seal()
        return exchange

    def _put_headers(self, options: WriteOptions) -> dict[str, str]:
        return {**self._object_headers(options), **_mode_headers(options)}

    def _object_headers(self, options: WriteOptions) -> dict[str, str]:
        """Return the headers with what is stored beside the bytes."""
        dialect = self.service.dialect
        headers = dict(self._write_headers)
        for name, value in options.attributes.items():
            if not value.isascii():
                raise ValueError(f"the attribute {name!r} = {value!r} is not ASCII, and services mangle it: encode it")
            headers[self._header(name) if name in RESERVED else dialect.metadata + name] = value
        if options.tags and self._tagging:
            headers[dialect.tags] = urlencode(options.tags, quote_via=quote)
        return headers

    def _payload_hash(self, source: Source) -> str:
        if not self._sign_payload:
            return UNSIGNED_PAYLOAD
        return _sha256(source)

    def _put_result(self, reply: Reply) -> PutResult:
        headers = reply.headers
        return {"e_tag": headers.get("etag"), "version": headers.get(self.service.dialect.version_header)}

    def begin_upload(self, key: str, options: WriteOptions, *, most_in_flight: int) -> Plan[_Upload]:
        """Begin a multipart upload (CreateMultipartUpload)."""
        _mode_headers(options)
        shape = Shape("POST", self._object_headers(options))
        target = self._target(key, [("uploads", "")])
        # the second is rclone's name for it
        roots = ("InitiateMultipartUploadResult", "InitiateMultipartUpload")
        root, _ = yield from self.document(shape, target, key, roots, safe=True)
        return _Upload(self, key, root.find_text("UploadId"), options, most_in_flight)

    # --- the rest

    def delete(self, keys: Sequence[str], *, most_in_flight: int) -> Plan[dict[str, BaseError]]:
        """Delete objects (DeleteObject, DeleteObjects); return what failed, by key."""
        if len(keys) == 1 or not self._bulk_delete:
            return (yield from self._delete_singly(keys, most_in_flight))
        return (yield from self._delete_in_bulk(keys, most_in_flight))

    def _delete_singly(self, keys: Sequence[str], most_in_flight: int) -> Plan[dict[str, BaseError]]:
        yield from self.service.refresh()
        exchange = Exchange(self.service, Shape("DELETE", {}), lambda index: keys[index], most_in_flight=most_in_flight)
        for key in keys:
            exchange.add(self._target(key))
        exchange.seal()
        yield from _finish(exchange)
        return {keys[index]: error for index, error in exchange.errors.items()}

    def _delete_in_bulk(self, keys: Sequence[str], most_in_flight: int) -> Plan[dict[str, BaseError]]:
        yield from self.service.refresh()
        size = self.service.dialect.delete_batch
        groups = [keys[i : i + size] for i in range(0, len(keys), size)]
        exchange = Exchange(
            self.service,
            Shape("POST", {}),
            lambda index: groups[index][0],
            detail=lambda index: f" and {len(groups[index]) - 1} more",
            most_in_flight=most_in_flight,
        )
        for group in groups:
            body = build("Delete", [*_objects(group), ("Quiet", "true")], namespace=NAMESPACE)
            digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
            headers = {"Content-MD5": digest, "Content-Type": "application/xml"}
            shape = Shape("POST", headers, hashlib.sha256(body).hexdigest())
            exchange.add(self._target("", [("delete", "")]), shape=shape, body=Buffer(body))
        exchange.seal()
        yield from _finish(exchange)
        failed = {key: error for index, error in exchange.errors.items() for key in groups[index]}
        for index in range(len(groups)):
            if index not in exchange.errors:
                failed |= self._undeleted(exchange.reply(index))
        return failed

    def _undeleted(self, reply: Reply) -> dict[str, BaseError]:
        """Return the errors in a DeleteObjects result, by key."""
        root = parse(bytes(reply.body), "DeleteResult")
        failed = {}
        for item in root.find_all("Error"):
            key, code = item.find_text("Key"), item.find_text("Code")
            row = self.service.dialect.codes.get(code, Row(errors.GenericError, "the server did not delete it"))
            failed[key] = row.error(
                f"DELETE {key!r} failed: {row.words} ({code}: {item.find_text('Message')})",
                store=self.service.dialect.store,
                path=self.service.path(key),
                status=reply.status,
                code=code,
            )
        return failed

    def can_copy_from(self, origin: Provider) -> bool:
        """Tell whether the other is a bucket of the same service, for the same account."""
        return isinstance(origin, Cloud) and self.service.is_same_as(origin.service)

    def copy(self, source: str, target: str, *, overwrite: bool, origin: Provider) -> Plan[None]:
        """Copy an object here (CopyObject)."""
        assert isinstance(origin, Cloud)
        headers = {
            **self._write_headers,
            self.service.dialect.copy_source: "/" + encode_path(f"{origin._bucket}/{source}").decode(),
        }
        if not overwrite:
            headers["If-None-Match"] = "*"
            yield from self._must_be_absent(target)
        shape = Shape("PUT", headers)
        try:
            yield from self.document(shape, self._target(target), source, ("CopyObjectResult",), safe=overwrite)
        except errors.PreconditionError as error:
            raise _as(errors.AlreadyExistsError, error) from None

    def _must_be_absent(self, key: str) -> Plan[None]:
        """Look before a copy that must not overwrite: many services ignore the condition on the copy itself."""
        try:
            yield from self.head(key, ANY)
        except errors.NotFoundError:
            return
        path = self.service.path(key)
        raise errors.AlreadyExistsError(f"{key!r} exists already", store=self.service.dialect.store, path=path)

    def rename(self, source: str, target: str, *, overwrite: bool) -> Plan[None]:
        """Copy an object and delete the old one: the service cannot rename."""
        yield from self.copy(source, target, overwrite=overwrite, origin=self)
        for error in (yield from self.delete([source], most_in_flight=1)).values():
            raise error

    def sign(
        self, method: str, keys: Sequence[str], expires_in: timedelta, response_headers: Mapping[str, str]
    ) -> Plan[list[str]]:
        """Return a URL for each key that carries its own signature."""
        yield from self.service.refresh()
        query = [(f"response-{name.lower()}", value) for name, value in response_headers.items()]
        paths = [(self._base + b"/" + encode_path(key)).decode() for key in keys]
        return [self.service.signed_url(method, path, query, expires_in) for path in paths]

    def list_page(self, query: ListQuery) -> Plan[Page]:
        """Read one page of a listing (ListObjectsV2)."""
        yield from self.service.refresh()
        exchange = Exchange(self.service, Shape("GET", {}), lambda _: query.prefix)
        exchange.add(self._list_target(query))
        reply = yield from _only(exchange)
        return _page(reply.body, query)

    def list_many(self, *, most_in_flight: int) -> Plan[_ListMany]:
        """Begin to read pages of listings, asked for one by one."""
        yield from self.service.refresh()
        return _ListMany(self, most_in_flight)

    def _list_target(self, query: ListQuery) -> bytes:
        parameters = [("list-type", "2"), ("encoding-type", "url"), ("prefix", query.prefix)]
        named = {"delimiter": query.delimiter, "start-after": query.offset, "continuation-token": query.token}
        parameters += [(name, value) for name, value in named.items() if value]
        return self._target("", parameters)

    # --- requests that answer with a document

    def document(
        self, shape: Shape, target: bytes, key: str, roots: tuple[str, ...], *, safe: bool, body: bytes = b""
    ) -> Plan[tuple[Element, Reply]]:
        """Send a request and return the document and the reply it came in; an error in a 200 is one like any other."""
        policy = self.service.policy
        begun, tries = policy.clock(), 0
        if body:
            shape = shape._replace(payload_hash=hashlib.sha256(body).hexdigest())
        while True:
            yield from self.service.refresh()
            exchange = Exchange(self.service, shape, lambda _: key, safe=safe, keep_head=True)
            exchange.add(target, body=Buffer(body))
            reply = yield from _only(exchange)
            tries += 1
            document = parse(bytes(reply.body), (*roots, "Error"))
            if document.tag != "Error":
                return document, reply
            failure = self._failure_in(document)
            wait = policy.delay(failure, tries, begun, safe=safe)
            if wait is None:
                raise self.service.error(reply, failure, shape.method, key)
            yield Sleep(wait)

    def _failure_in(self, document: Element) -> Failure:
        code = document.find_text("Code")
        row = self.service.dialect.codes.get(code, Row(errors.GenericError, "the server failed"))
        return Failure(row, code, document.find_text("Message"))

    def _target(self, key: str, query: Sequence[tuple[str, str]] = ()) -> bytes:
        """Return path and query of a key; of the bucket itself, where there is none."""
        path = self._base + b"/" + encode_path(key) if key else self._base or b"/"
        return path + b"?" + canonical_query(query).encode() if query else path


class _HeadMany(Exchange):
    """Many HEAD requests under way."""

    def __init__(self, cloud: Cloud, keys: Sequence[str], most_in_flight: int) -> None:
        shape = Shape("HEAD", cloud._read_headers)
        super().__init__(cloud.service, shape, lambda index: keys[index], keep_head=True, most_in_flight=most_in_flight)
        self._cloud = cloud
        self._keys = keys

    def metas(self) -> list[ObjectMeta | None]:
        """Return what is known about each object, in order; None where the question failed."""
        return [
            None if index in self.errors else self._cloud._meta(key, self.reply(index))
            for index, key in enumerate(self._keys)
        ]


class _ListMany(Exchange):
    """Pages of listings under way."""

    def __init__(self, cloud: Cloud, most_in_flight: int) -> None:
        super().__init__(
            cloud.service,
            Shape("GET", {}),
            lambda index: self._queries[index].prefix,
            background=True,
            each=True,
            most_in_flight=most_in_flight,
        )
        self._cloud = cloud
        self._queries: list[ListQuery] = []

    def ask(self, query: ListQuery) -> int:
        """Ask for one more page; return its index."""
        self._queries.append(query)
        self.add(self._cloud._list_target(query))
        return self.total - 1

    def page(self, index: int) -> Page:
        """Return a page that came, and let go of it."""
        return _page(self.take(index), self._queries[index])


class _PutMany(Exchange):
    """Many PUT requests under way."""

    def __init__(
        self,
        cloud: Cloud,
        shape: Shape,
        items: Sequence[tuple[str, Source]],
        options: WriteOptions,
        most_in_flight: int,
    ) -> None:
        super().__init__(
            cloud.service,
            shape,
            lambda index: items[index][0],
            safe=options.mode == "overwrite",
            keep_head=True,
            most_in_flight=most_in_flight,
        )
        self._cloud = cloud
        self._options = options

    def results(self) -> list[PutResult | None]:
        """Return the result of each write, in order; None where it failed."""
        return [
            None if index in self.errors else self._cloud._put_result(self.reply(index)) for index in range(self.total)
        ]

    def _error(self, reply: Reply, failure: Failure) -> BaseError:
        return _write_error(super()._error(reply, failure), self._options)


class _Upload(Exchange):
    """The parts of a multipart upload under way (UploadPart)."""

    def __init__(self, cloud: Cloud, key: str, upload_id: str, options: WriteOptions, most_in_flight: int) -> None:
        super().__init__(
            cloud.service,
            Shape("PUT", cloud._read_headers, UNSIGNED_PAYLOAD),
            lambda _: key,
            detail=lambda index: f" part {index + 1}",
            keep_head=True,
            background=True,
            each=True,
            most_in_flight=most_in_flight,
        )
        self._cloud = cloud
        self._key = key
        self._upload_id = upload_id
        self._options = options

    def add_part(self, part: Source) -> None:
        """Send one more part."""
        cloud = self._cloud
        query = [("partNumber", str(self.batch.total + 1)), ("uploadId", self._upload_id)]
        own = Shape("PUT", cloud._read_headers, _sha256(part)) if cloud._sign_payload else None
        self.add(cloud._target(self._key, query), shape=own, body=part.data)

    @property
    def unsettled(self) -> int:
        """How many parts are on their way."""
        return self.batch.total - self.batch.settled

    def complete(self) -> Plan[PutResult]:
        """Make an object of the parts (CompleteMultipartUpload)."""
        parts: list[tuple[str, Any]] = [
            ("Part", [("PartNumber", str(index + 1)), ("ETag", self.reply(index).headers.get("etag", ""))])
            for index in range(self.total)
        ]
        body = build("CompleteMultipartUpload", parts, namespace=NAMESPACE)
        shape = Shape("POST", {**_mode_headers(self._options), "Content-Type": "application/xml"})
        target = self._cloud._target(self._key, [("uploadId", self._upload_id)])
        try:
            root, reply = yield from self._cloud.document(
                shape, target, self._key, ("CompleteMultipartUploadResult",), safe=True, body=body
            )
        except BaseError as error:
            raise _write_error(error, self._options) from None
        return {**self._cloud._put_result(reply), "e_tag": root.find_text("ETag") or None}

    def abort(self) -> Plan[None]:
        """Drop the parts that the service has (AbortMultipartUpload)."""
        exchange = Exchange(self._cloud.service, Shape("DELETE", {}), lambda _: self._key)
        exchange.add(self._cloud._target(self._key, [("uploadId", self._upload_id)]))
        exchange.seal()
        yield from _finish(exchange)


def _only(exchange: Exchange) -> Plan[Reply]:
    """Send an exchange of one request and return its reply."""
    exchange.seal()
    yield from _finish(exchange)
    return exchange.reply()


def _finish(exchange: Exchange) -> Plan[None]:
    try:
        yield from exchange.finish()
    finally:
        exchange.close()


def _resolved(range: Range, size: int) -> tuple[int, int]:
    """Return the range of an object of `size` bytes that was asked for."""
    if range.start < 0:
        return max(size - range.end, 0), size
    return range.start, size if range.end < 0 else min(range.end, size)


def _mode_headers(options: WriteOptions) -> dict[str, str]:
    """Return the header that makes a write conditional."""
    mode = options.mode
    if mode == "overwrite":
        return {}
    if mode == "create":
        return {"If-None-Match": "*"}
    if not isinstance(mode, str) and mode.get("e_tag"):
        return {"If-Match": str(mode["e_tag"])}
    raise errors.NotSupportedError("An update needs the ETag it replaces", hint="Give mode={'e_tag': ...}.")


def _write_error(error: BaseError, options: WriteOptions) -> BaseError:
    """Say what a failed condition means for the write that carried it."""
    if options.mode == "create" and isinstance(error, errors.PreconditionError):
        return _as(errors.AlreadyExistsError, error)
    if not isinstance(options.mode, str) and isinstance(error, errors.NotFoundError):
        return _as(errors.PreconditionError, error)
    return error


def _as(kind: type[BaseError], error: BaseError) -> BaseError:
    """Return the same error as another kind."""
    fields = {name: getattr(error, name) for name in ("store", "path", "status", "code", "request_id", "attempts")}
    return kind(str(error), **fields)


def _sha256(source: Source) -> str:
    if isinstance(source.data, tuple):
        descriptor, offset, length = source.data
        return _sha256_of_file(descriptor, offset, length)
    return hashlib.sha256(memoryview(source.data)).hexdigest()


def _sha256_of_file(descriptor: int, offset: int, length: int) -> str:
    import os

    digest = hashlib.sha256()
    while length > 0:
        piece = os.pread(descriptor, min(length, 1 << 20), offset)
        if not piece:
            break
        digest.update(piece)
        offset += len(piece)
        length -= len(piece)
    return digest.hexdigest()


def _objects(keys: Sequence[str]) -> list[tuple[str, Any]]:
    return [("Object", [("Key", key)]) for key in keys]


def _page(body: Bytes, query: ListQuery) -> Page:
    """Read a ListBucketResult."""
    try:
        listing = Listing(body)
    except ValueError as reason:
        raise CorruptResponseError(
            f"Expected a listing of {query.prefix!r}, got {bytes(body[:80])!r}: {reason}", path=query.prefix
        ) from None
    if listing.token and listing.token == query.token:
        raise CorruptResponseError(f"The listing of {query.prefix!r} does not go on: the same token came twice")
    return Page(listing, listing.common_prefixes, listing.token)
