"""A faultless S3 service in memory, as far as the faults need one: single objects, ranges, multipart, a one-page list.

Nothing is signed or authorised here; the real servers check that. A key that nobody wrote holds the generated content.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import md5
from itertools import count
from xml.sax.saxutils import escape
from zlib import crc32

from tests.faults.content import content
from tests.faults.scenario import Reply

GENERATED_SIZE = 1 << 20
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
    version = reply.version or 1
    size = GENERATED_SIZE if reply.size is None else reply.size
    return Object(size, f'"generated-v{version}"', lambda start, end: content(start, end, version))


def checksum(found: Object) -> dict[str, str]:
    """Return the header with the checksum of the whole object."""
    return {"x-amz-checksum-crc32": b64encode(crc32(found.read(0, found.size)).to_bytes(4, "big")).decode()}


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return [start, end) of a Range header, cut to `size`; None where there is no header. Empty when unsatisfiable."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if not found:
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1 if last else size)


class Objects:
    """The stored objects and the unfinished uploads. Not thread-safe: the server locks."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.upload_ids = count(1)

    def answer(self, request: Request, reply: Reply) -> Response:
        """Carry the operation out and return its true response, but for the sizes and ranges that `reply` bends."""
        if request.operation in ("get", "head"):
            return self.get(request, reply)
        handler: Callable[[Request], Response] = getattr(self, request.operation.replace("-", "_"))
        return handler(request)

    def get(self, request: Request, reply: Reply) -> Response:
        found = self.objects.get(request.path) or generated(reply)
        headers = {"ETag": found.etag, "Last-Modified": LAST_MODIFIED, "Accept-Ranges": "bytes"}
        if request.headers.get("if-match", found.etag) not in (found.etag, "*"):
            return error(412, "PreconditionFailed")
        if request.headers.get("if-none-match") in (found.etag, "*"):
            return Response(304, headers)
        asked = None if reply.ignore_range else asked_range(request.headers.get("range"), found.size)
        if asked is None:
            return Response(200, headers | checksum(found) if reply.checksum else headers, found.size, found.read)
        return self.part_of(found, asked, headers, reply)

    def part_of(self, found: Object, asked: tuple[int, int], headers: dict[str, str], reply: Reply) -> Response:
        start, end = max(0, asked[0] - reply.widen), min(found.size, asked[1] + reply.widen)
        if start >= end:
            return error(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
        return Response(206, headers, end - start - reply.shorten, lambda a, b: found.read(start + a, start + b))

    def put(self, request: Request) -> Response:
        if request.headers.get("if-none-match") == "*" and request.path in self.objects:
            return error(412, "PreconditionFailed")
        self.objects[request.path] = stored(request.body)
        return Response(200, {"ETag": self.objects[request.path].etag})

    def copy(self, request: Request) -> Response:
        source = "/" + request.headers["x-amz-copy-source"].lstrip("/")
        self.objects[request.path] = self.objects.get(source) or generated(Reply())
        return text(200, f"<CopyObjectResult><ETag>{self.objects[request.path].etag}</ETag></CopyObjectResult>")

    def delete(self, request: Request) -> Response:
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
        return text(200, f"<InitiateMultipartUploadResult>{result}</InitiateMultipartUploadResult>")

    def part(self, request: Request) -> Response:
        if request.query["uploadId"] not in self.uploads:
            return error(404, "NoSuchUpload")
        self.uploads[request.query["uploadId"]][int(request.query["partNumber"])] = request.body
        return Response(200, {"ETag": stored(request.body).etag})

    def complete(self, request: Request) -> Response:
        parts = self.uploads.pop(request.query["uploadId"], None)
        if parts is None:
            return error(404, "NoSuchUpload")
        bodies = [parts[number] for number in sorted(parts)]
        digest = md5(b"".join(md5(body).digest() for body in bodies)).hexdigest()
        self.objects[request.path] = stored(b"".join(bodies), f'"{digest}-{len(bodies)}"')
        etag = escape(self.objects[request.path].etag, {'"': "&quot;"})
        return text(200, f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>")

    def abort(self, request: Request) -> Response:
        self.uploads.pop(request.query["uploadId"], None)
        return Response(204)
