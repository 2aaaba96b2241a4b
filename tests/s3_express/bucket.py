"""The objects of a directory bucket, as Amazon documents them: what it has not is refused.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.azure_fake import Reply

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
SUM = "x-amz-checksum-crc32"
KEPT = ("content-type", "content-encoding", "content-language", "content-disposition", "cache-control")


class RefusedError(Exception):
    """A request that is refused, by a status and a code."""

    def __init__(self, status: int, code: str, message: str = "no") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message


class Ask(NamedTuple):
    """A request for a key, or for the bucket."""

    method: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Stored(NamedTuple):
    """An object."""

    body: bytes
    tag: str
    told: Mapping[str, str]
    sum: str | None
    when: datetime


class Upload(NamedTuple):
    """An upload in parts."""

    parts: dict[int, bytes]
    told: Mapping[str, str]


class Directory:
    """A directory bucket.

    Args:
        page: How many entries a page of a listing has.
    """

    def __init__(self, page: int) -> None:
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, Upload] = {}
        self.tokens: set[str] = set()
        self.order: Callable[[str], object] = lambda name: hashlib.sha256(name.encode()).hexdigest()
        """By what names are sorted in listings."""

        self._page = page

    def answer(self, ask: Ask) -> Reply:
        """Answer a request."""
        if ask.key:
            return self._of_object(ask)
        if ask.method == "POST" and "delete" in ask.query:
            return self._delete_many(ask)
        if ask.method == "GET" and ask.query.get("list-type") == "2":
            return self._list(ask.query)
        raise RefusedError(501, "NotImplemented", f"{ask.method} {ask.query}")

    def _of_object(self, ask: Ask) -> Reply:
        _check(ask)
        for name, act in (("renameObject", self._rename), ("uploads", self._begin), ("uploadId", self._upload)):
            if name in ask.query:
                return act(ask)
        acts: dict[str, Callable[[Ask], Reply]] = {
            "GET": self._get,
            "HEAD": self._get,
            "PUT": self._put,
            "DELETE": self._delete,
        }
        return acts[ask.method](ask)

    # --- one object

    def _get(self, ask: Ask) -> Reply:
        found = self._found(ask.key)
        headers = {
            **found.told,
            "Accept-Ranges": "bytes",
            "ETag": found.tag,
            "Last-Modified": format_datetime(found.when, usegmt=True),
        }
        if not _is_wanted(ask.headers, found):
            return Reply(304, {**headers, "Content-Length": "0"})
        if found.sum and ask.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers |= {SUM: found.sum, "x-amz-checksum-type": "FULL_OBJECT"}
        if "range" not in ask.headers:
            return Reply(200, {**headers, "Content-Length": str(len(found.body))}, found.body)
        first, _, last = ask.headers["range"].removeprefix("bytes=").partition("-")
        size = len(found.body)
        start, end = (int(first), int(last or size)) if first else (max(size - int(last), 0), size)
        if start >= size:
            raise RefusedError(416, "InvalidRange")
        piece = found.body[start : end + 1]
        headers |= {"Content-Range": f"bytes {start}-{start + len(piece) - 1}/{size}"}
        return Reply(206, headers, piece)

    def _found(self, key: str) -> Stored:
        if key not in self.objects:
            raise RefusedError(404, "NoSuchKey")
        return self.objects[key]

    def _put(self, ask: Ask) -> Reply:
        if "x-amz-copy-source" in ask.headers:
            raise RefusedError(400, "InvalidRequest", "copies are not for sessions")
        self._meet(ask)
        tag = self.keep(ask.key, ask.body, ask.headers)
        return Reply(200, {"ETag": tag})

    def keep(self, key: str, body: bytes, headers: Mapping[str, str]) -> str:
        """Store an object, and return its ETag, which is no MD5."""
        when = datetime.now(UTC).replace(microsecond=0)
        stored = Stored(body, f'"{secrets.token_hex(9)}"', _kept(headers), headers.get(SUM), when)
        self.objects[key] = stored
        return stored.tag

    def _meet(self, ask: Ask) -> None:
        """Refuse a write or a delete whose condition does not hold."""
        there = self.objects.get(ask.key)
        if ask.headers.get("if-none-match") == "*" and there is not None:
            raise RefusedError(412, "PreconditionFailed")
        if "if-match" in ask.headers and (there is None or there.tag != ask.headers["if-match"]):
            raise RefusedError(412 if there else 404, "PreconditionFailed" if there else "NoSuchKey")

    def _delete(self, ask: Ask) -> Reply:
        self._meet(ask)
        self.objects.pop(ask.key, None)
        return Reply(204)

    def _rename(self, ask: Ask) -> Reply:
        source, token = unquote(ask.headers["x-amz-rename-source"]), ask.headers["x-amz-client-token"]
        if source.endswith("/") or ask.key.endswith("/"):
            raise RefusedError(400, "InvalidRequest")
        if token in self.tokens:
            return Reply(200)
        self._found(source)
        self._meet(ask)
        self.objects[ask.key] = self.objects.pop(source)
        self.tokens.add(token)
        return Reply(200)

    def copy(self, ask: Ask, source: Stored) -> Reply:
        """Make a copy of an object."""
        _check(ask)
        self._meet(ask)
        tag = self.keep(ask.key, source.body, source.told)
        return document("CopyObjectResult", f"<ETag>{escape(tag)}</ETag>")

    # --- uploads

    def _begin(self, ask: Ask) -> Reply:
        upload = secrets.token_hex(8)
        self.uploads[upload] = Upload({}, _kept(ask.headers))
        algorithm = ask.headers.get("x-amz-checksum-algorithm", "")
        told = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": "COMPOSITE"}
        body = f"<Bucket>b</Bucket><Key>{escape(ask.key)}</Key><UploadId>{upload}</UploadId>"
        return document("InitiateMultipartUploadResult", body, told)

    def _upload(self, ask: Ask) -> Reply:
        upload = self.uploads.get(ask.query["uploadId"])
        if upload is None:
            raise RefusedError(404, "NoSuchUpload")
        if ask.method == "PUT":
            upload.parts[int(ask.query["partNumber"])] = ask.body
            return Reply(200, {"ETag": _part_tag(ask.body)})
        if ask.method == "GET":
            rows = [f"<Part>{_part(*part)}</Part>" for part in sorted(upload.parts.items())]
            return document("ListPartsResult", "".join(rows))
        if ask.method == "DELETE":
            del self.uploads[ask.query["uploadId"]]
            return Reply(204)
        return self._complete(ask, upload)

    def _complete(self, ask: Ask, upload: Upload) -> Reply:
        listed = ElementTree.fromstring(ask.body).iter(f"{NAMESPACE}Part")
        told = {int(part.findtext(f"{NAMESPACE}PartNumber") or 0): part.findtext(f"{NAMESPACE}ETag") for part in listed}
        if [*told] != [*range(1, len(told) + 1)]:
            raise RefusedError(400, "InvalidPartOrder")
        parts = upload.parts
        if any(number not in parts or tag != _part_tag(parts[number]) for number, tag in told.items()):
            raise RefusedError(400, "InvalidPart")
        if "x-amz-checksum-type" in ask.headers and ask.headers["x-amz-checksum-type"] != "COMPOSITE":
            raise RefusedError(400, "BadDigest")
        self._meet(ask)
        tag = self.keep(ask.key, b"".join(parts[number] for number in told), upload.told)
        del self.uploads[ask.query["uploadId"]]
        return document("CompleteMultipartUploadResult", f"<ETag>{escape(tag)}</ETag>")

    # --- the bucket

    def _delete_many(self, ask: Ask) -> Reply:
        if SUM not in ask.headers:
            raise RefusedError(400, "InvalidRequest", "a checksum is missing")
        _check(ask)
        for key in ElementTree.fromstring(ask.body).iter(f"{NAMESPACE}Key"):
            self.objects.pop(key.text or "", None)
        return document("DeleteResult", "")

    def _list(self, query: Mapping[str, str]) -> Reply:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        unknown = "start-after" in query or delimiter not in ("", "/") or query.get("encoding-type") != "url"
        if unknown or (prefix and not prefix.endswith("/")):
            raise RefusedError(501, "NotImplemented", f"a listing by {dict(query)}")
        names: dict[str, bool] = {}
        for key in self.objects:
            if key.startswith(prefix):
                head, slash, _ = key[len(prefix) :].partition("/")
                below = bool(delimiter and slash)
                names[prefix + head + "/" if below else key] = below
        ordered = sorted(names, key=self.order)  # type: ignore[arg-type]
        begin = int(query.get("continuation-token", "token-0").removeprefix("token-"))
        page, end = ordered[begin : begin + self._page], begin + self._page
        rest = f"<NextContinuationToken>token-{end}</NextContinuationToken>" if end < len(ordered) else ""
        rows = [_prefix(name) if names[name] else _row(name, self.objects[name]) for name in page]
        truncated = f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated>"
        head = f"<Name>b</Name><Prefix>{quote(prefix)}</Prefix><EncodingType>url</EncodingType>{truncated}{rest}"
        return document("ListBucketResult", head + "".join(rows))


def _check(ask: Ask) -> None:
    """Refuse what directory buckets have not, and a body that its checksum does not fit."""
    for name in ("content-md5", "x-amz-tagging", "x-amz-server-side-encryption-customer-key", "x-amz-request-payer"):
        if name in ask.headers:
            raise RefusedError(501, "NotImplemented", name)
    if "versionId" in ask.query or "tagging" in ask.query:
        raise RefusedError(501, "NotImplemented")
    told = ask.headers.get(SUM)
    if told and told != _crc32(ask.body):
        raise RefusedError(400, "BadDigest")


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are kept with an object."""
    kept = {name: value for name, value in headers.items() if name in KEPT or name.startswith("x-amz-meta-")}
    return {"content-type": "binary/octet-stream", **kept}


def _is_wanted(headers: Mapping[str, str], found: Stored) -> bool:
    """Tell whether a read is answered by the object, as its conditions say (RFC 9110, section 13.2.2)."""
    if "if-match" in headers:
        if headers["if-match"] not in ("*", found.tag):
            raise RefusedError(412, "PreconditionFailed")
    elif "if-unmodified-since" in headers and found.when > parsedate_to_datetime(headers["if-unmodified-since"]):
        raise RefusedError(412, "PreconditionFailed")
    if "if-none-match" in headers:
        return headers["if-none-match"] not in ("*", found.tag)
    since = headers.get("if-modified-since")
    return since is None or found.when > parsedate_to_datetime(since)


def _part(number: int, body: bytes) -> str:
    tag = escape(_part_tag(body))
    size, told = f"<Size>{len(body)}</Size>", f"<ChecksumCRC32>{_crc32(body)}</ChecksumCRC32>"
    return f"<PartNumber>{number}</PartNumber><ETag>{tag}</ETag>{size}{told}"


def _crc32(body: bytes) -> str:
    return b64encode(zlib.crc32(body).to_bytes(4)).decode()


def _part_tag(body: bytes) -> str:
    return f'"{hashlib.sha1(body).hexdigest()[:20]}"'


def _row(key: str, stored: Stored) -> str:
    told = f"<ETag>{escape(stored.tag)}</ETag><Size>{len(stored.body)}</Size>"
    return f"<Contents><Key>{quote(key)}</Key><LastModified>{stored.when:%FT%TZ}</LastModified>{told}</Contents>"


def _prefix(name: str) -> str:
    return f"<CommonPrefixes><Prefix>{quote(name)}</Prefix></CommonPrefixes>"


def document(root: str, inside: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer by a document."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE[1:-1]}">{inside}</{root}>'
    return Reply(200, {"Content-Type": "application/xml", **(headers or {})}, body.encode())


def query_of(text: str) -> dict[str, str]:
    """Return the parameters of a query."""
    return dict(parse_qsl(text, keep_blank_values=True))
