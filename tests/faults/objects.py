"""A faultless S3 service in memory, as far as the faults need one: single objects, ranges, multipart, a one-page list.

Nothing is signed or authorised here; the real servers check that. A key that nobody wrote holds the generated content.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from hashlib import md5
from itertools import accumulate, count, pairwise
from urllib.parse import unquote
from xml.sax.saxutils import escape
from zlib import crc32

from tests.faults.content import content
from tests.faults.scenario import Reply, asked_range

GENERATED_SIZE = 1 << 20
QUOTE = {'"': "&quot;"}
COPY_LIMIT = 5 << 30
MD5 = re.compile("[0-9a-f]{32}")
LAST_MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came, and what it means."""

    operation: str
    path: str  # /bucket/key, decoded
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """A status, headers, and a body that is read piece by piece, so that it may be larger than memory."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    length: int = 0
    read: Callable[[int, int], bytes] = lambda start, end: b""


def text(status: int, body: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with `body`, as XML unless the headers say otherwise."""
    data = body.encode()
    return Response(status, {"Content-Type": "application/xml", **(headers or {})}, len(data), lambda a, b: data[a:b])


def error(status: int, code: str) -> Response:
    """Return S3's error document."""
    return text(status, f"<Error><Code>{code}</Code><Message>{code}</Message><RequestId>1</RequestId></Error>")


@dataclass(frozen=True, slots=True)
class Object:
    """The size, the ETag and the bytes of one object."""

    size: int
    etag: str
    read: Callable[[int, int], bytes]


def stored(data: bytes, etag: str | None = None) -> Object:
    """Return the object that holds `data`."""
    return Object(len(data), etag or f'"{md5(data).hexdigest()}"', lambda start, end: data[start:end])


def generated(reply: Reply) -> Object:
    """Return the object that a key holds which nobody wrote."""
    return of_version(GENERATED_SIZE if reply.size is None else reply.size, reply.version or 1)


@cache
def of_version(size: int, version: int) -> Object:
    """Return the object of a size: one and the same, so that its checksums are made once."""
    return Object(size, f'"generated-v{version}"', lambda start, end: content(start, end, version))


def digest(algorithm: str, data: bytes) -> bytes:
    """Return a checksum."""
    return crc32(data).to_bytes(4, "big") if algorithm == "crc32" else hashlib.new(algorithm, data).digest()


@lru_cache(maxsize=16)
def checksum_of_parts(found: Object, algorithm: str, parts: tuple[int, ...]) -> dict[str, str]:
    """Return the headers with the checksum of those of the parts."""
    ends = [*accumulate(parts)]
    assert ends[-1] == found.size
    sums = [digest(algorithm, found.read(start, end)) for start, end in pairwise([0, *ends])]
    told = b64encode(digest(algorithm, b"".join(sums))).decode()
    return {f"x-amz-checksum-{algorithm}": f"{told}-{len(ends)}", "x-amz-checksum-type": "COMPOSITE"}


@lru_cache(maxsize=16)
def checksum(found: Object, algorithm: str) -> dict[str, str]:
    """Return the headers with the checksum of the whole object."""
    told = b64encode(digest(algorithm, found.read(0, found.size))).decode()
    return {f"x-amz-checksum-{algorithm}": told, "x-amz-checksum-type": "FULL_OBJECT"}


def told(found: Object, span: tuple[int, int], reply: Reply) -> dict[str, str]:
    """Return what a reply tells of the checksum: of a part of the object, nothing."""
    if reply.parts and span == (0, found.size):
        return checksum_of_parts(found, reply.algorithm, (*reply.parts,))
    return checksum(found, reply.algorithm) if reply.checksum and span == (0, found.size) else {}


def spoilt(found: Object, start: int, reply: Reply) -> Callable[[int, int], bytes]:
    """Return what reads the bytes of an object from there on, with what `reply` does to them."""

    def read(a: int, b: int) -> bytes:
        piece = found.read(start + reply.shift + a, start + reply.shift + b)
        if not reply.spoil or reply.holds is None or not a <= reply.holds - start < b:
            return piece
        changed = bytearray(piece)
        changed[reply.holds - start - a] ^= 1
        return bytes(changed)

    return read


def joined(parts: list[Object]) -> Object:
    """Return the object that parts make, with S3's ETag where theirs are MD5 sums."""
    sums = [part.etag.strip('"') for part in parts]
    digest = md5(b"".join(map(bytes.fromhex, sums))).hexdigest() if all(map(MD5.fullmatch, sums)) else "copied"
    starts = list(accumulate((part.size for part in parts), initial=0))

    def read(start: int, end: int) -> bytes:
        return b"".join(
            part.read(max(start - begun, 0), min(end - begun, part.size))
            for begun, part in zip(starts, parts, strict=False)
            if begun < end and begun + part.size > start
        )

    return Object(starts[-1], f'"{digest}-{len(parts)}"', read)


class Objects:
    """The stored objects and the unfinished uploads. Not thread-safe: the server locks."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.uploads: dict[str, dict[int, Object]] = {}
        self.upload_ids = count(1)

    def answer(self, request: Request, reply: Reply) -> Response:
        """Carry the operation out and return its true response, but for the sizes and ranges that `reply` bends."""
        if request.operation in ("get", "head", "head-part"):
            return self.get(request, reply)
        if request.operation == "attributes":
            return self.attributes(request, reply)
        name = request.operation.replace("-", "_")
        if name in ("copy", "part_copy"):
            copying: Callable[[Request, Reply], Response] = getattr(self, name)
            return copying(request, reply)
        handler: Callable[[Request], Response] = getattr(self, name)
        return handler(request)

    def get(self, request: Request, reply: Reply) -> Response:
        found = self.objects.get(request.path) or generated(reply)
        headers = {"ETag": found.etag, "Last-Modified": LAST_MODIFIED, "Accept-Ranges": "bytes"}
        if request.headers.get("if-match", found.etag) not in (found.etag, "*"):
            return error(412, "PreconditionFailed")
        if request.headers.get("if-none-match") in (found.etag, "*"):
            return Response(304, headers)
        if "partNumber" in request.query and reply.parts:
            asked = [*pairwise([0, *accumulate(reply.parts)])][int(request.query["partNumber"]) - 1]
            return self.part_of(found, asked, headers | {"x-amz-mp-parts-count": str(len(reply.parts))}, reply)
        asked = None if reply.ignore_range else asked_range(request.headers.get("range"), found.size)
        if asked is None:
            told_of_all = told(found, (0, found.size), replace(reply, checksum=reply.checksum or reply.of_wholes))
            return Response(200, headers | told_of_all, found.size, spoilt(found, 0, reply))
        return self.part_of(found, asked, headers, reply)

    def attributes(self, request: Request, reply: Reply) -> Response:
        """Tell of the parts, two on a page; of an object without any, the sizes are missing."""
        found = self.objects.get(request.path) or generated(reply)
        after = int(request.headers.get("x-amz-part-number-marker", 0))
        page = [*enumerate(reply.parts, 1)][after : after + 2]
        parts = "".join(f"<Part><PartNumber>{n}</PartNumber><Size>{size}</Size></Part>" for n, size in page)
        more = str(after + 2 < len(reply.parts)).lower()
        body = f"<ObjectParts><IsTruncated>{more}</IsTruncated>{parts}</ObjectParts>"
        tag = "<ETag>{}</ETag>".format(found.etag.strip('"'))
        document = f"<GetObjectAttributesResponse>{tag}{body}</GetObjectAttributesResponse>"
        return text(200, document, {"Last-Modified": LAST_MODIFIED})

    def part_of(self, found: Object, asked: tuple[int, int], headers: dict[str, str], reply: Reply) -> Response:
        start, end = max(0, asked[0] - reply.widen), min(found.size, asked[1] + reply.widen)
        if start >= end:
            return error(416, "InvalidRange")
        headers |= {"Content-Range": f"bytes {start}-{end - 1}/{found.size}"} | told(found, (start, end), reply)
        return Response(206, headers, end - start - reply.shorten, spoilt(found, start, reply))

    def refused(self, request: Request) -> Response | None:
        """Return what a write or a delete is answered whose condition does not hold."""
        there = self.objects.get(request.path)
        if there is not None and request.headers.get("if-none-match") == "*":
            return error(412, "PreconditionFailed")
        wanted = request.headers.get("if-match")
        if wanted is None or (there is not None and there.etag == wanted):
            return None
        return error(404, "NoSuchKey") if there is None else error(412, "PreconditionFailed")

    def put(self, request: Request) -> Response:
        if refused := self.refused(request):
            return refused
        self.objects[request.path] = stored(request.body)
        return Response(200, {"ETag": self.objects[request.path].etag})

    def source(self, request: Request, reply: Reply) -> Object:
        """Return the object that a copy is of."""
        path = "/" + unquote(request.headers["x-amz-copy-source"].lstrip("/"))
        return self.objects.get(path) or generated(reply)

    def copy(self, request: Request, reply: Reply) -> Response:
        found = self.source(request, reply)
        if refused := self.refused(request):
            return refused
        if found.size > COPY_LIMIT:
            return error(400, "InvalidRequest")
        self.objects[request.path] = found
        return text(200, f"<CopyObjectResult><ETag>{found.etag}</ETag></CopyObjectResult>")

    def part_copy(self, request: Request, reply: Reply) -> Response:
        found = self.source(request, reply)
        if request.headers.get("x-amz-copy-source-if-match", found.etag) != found.etag:
            return error(412, "PreconditionFailed")
        if request.query["uploadId"] not in self.uploads:
            return error(404, "NoSuchUpload")
        asked = asked_range(request.headers.get("x-amz-copy-source-range"), found.size)
        start, end = asked or (0, found.size)
        if end - start > COPY_LIMIT:
            return error(400, "InvalidRequest")
        part = Object(end - start, f'"{start}-{end}"', lambda a, b: found.read(start + a, start + b))
        self.uploads[request.query["uploadId"]][int(request.query["partNumber"])] = part
        return text(200, f"<CopyPartResult><ETag>{escape(part.etag, QUOTE)}</ETag></CopyPartResult>")

    def delete(self, request: Request) -> Response:
        if refused := self.refused(request):
            return refused
        self.objects.pop(request.path, None)
        return Response(204)

    def delete_many(self, request: Request) -> Response:
        keys = re.findall(r"<Key>([^<]*)</Key>", request.body.decode())
        for key in keys:
            self.objects.pop(f"{request.path.rstrip('/')}/{key}", None)
        rows = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        return text(200, f"<DeleteResult>{rows}</DeleteResult>")

    def list(self, request: Request) -> Response:
        folder = request.path.rstrip("/") + "/"
        prefix = request.query.get("prefix", "")
        rows = [
            f"<Contents><Key>{escape(path.removeprefix(folder))}</Key><Size>{found.size}</Size><ETag>{found.etag}</ETag>"
            "<LastModified>2025-01-01T00:00:00.000Z</LastModified></Contents>"
            for path, found in sorted(self.objects.items())
            if path.startswith(folder + prefix)
        ]
        return text(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(rows)}</ListBucketResult>")

    def create(self, request: Request) -> Response:
        upload = f"upload-{next(self.upload_ids)}"
        self.uploads[upload] = {}
        result = f"<UploadId>{upload}</UploadId>"
        kind = {name: request.headers[name] for name in ("x-amz-checksum-type",) if name in request.headers}
        return text(200, f"<InitiateMultipartUploadResult>{result}</InitiateMultipartUploadResult>", kind)

    def part(self, request: Request) -> Response:
        if request.query["uploadId"] not in self.uploads:
            return error(404, "NoSuchUpload")
        part = stored(request.body)
        self.uploads[request.query["uploadId"]][int(request.query["partNumber"])] = part
        return Response(200, {"ETag": part.etag})

    def list_parts(self, request: Request) -> Response:
        if request.query["uploadId"] not in self.uploads:
            return error(404, "NoSuchUpload")
        return text(200, "<ListPartsResult></ListPartsResult>")

    def complete(self, request: Request) -> Response:
        if refused := self.refused(request):
            return refused
        parts = self.uploads.pop(request.query["uploadId"], None)
        if parts is None:
            return error(404, "NoSuchUpload")
        self.objects[request.path] = joined([parts[number] for number in sorted(parts)])
        etag = escape(self.objects[request.path].etag, QUOTE)
        return text(200, f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>")

    def abort(self, request: Request) -> Response:
        self.uploads.pop(request.query["uploadId"], None)
        return Response(204)
