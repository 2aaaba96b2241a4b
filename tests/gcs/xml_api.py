"""The fake's XML API: reads and writes of objects, uploads in parts, listings."""

from __future__ import annotations

import gzip
import hashlib
import re
from datetime import datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.gcs.keys import check_key, key_of
from tests.gcs.messages import Answer, Call
from tests.gcs.objects import SMALLEST_PART, STANDARD, Multipart, RefusedError, Service, Stored, check_sum


def xml_api(service: Service, call: Call) -> Answer:
    bucket, _, name = call.path[1:].partition("/")
    bucket, name = unquote(bucket), unquote(name)
    place = service.bucket(bucket)
    if call.query.get("list-type") == "2":
        return _listing(service, call, bucket)
    if call.method in ("GET", "HEAD") and "uploadId" not in call.query:
        return read_object(place.find(name, call.query.get("generation")), call)
    if call.method == "POST" and "uploads" in call.query:
        id = service.new_id()
        service.multiparts[id] = Multipart(bucket, name, _described(call.headers), key_of(call))
        tags = f"<Bucket>{bucket}</Bucket><Key>{escape(name)}</Key><UploadId>{id}</UploadId>"
        return _document(f"<InitiateMultipartUploadResult>{tags}</InitiateMultipartUploadResult>")
    if "uploadId" not in call.query:
        return _change(service, call, bucket, name)
    upload = service.multiparts.get(call.query.get("uploadId", ""))
    if upload is None:
        raise RefusedError(404, "NoSuchUpload", "The requested upload was not found.")
    if call.method in ("PUT", "POST"):
        check_key(upload.key, call)
    if call.method == "PUT":
        check_sum(call.body, call.headers["x-goog-hash"])
        upload.parts[int(call.query["partNumber"])] = call.body
        return Answer(200, b"", {"ETag": _tag(call.body)})
    if call.method == "GET":
        return _parts(upload, int(call.query.get("part-number-marker", 0)))
    if call.method == "DELETE":
        del service.multiparts[call.query["uploadId"]]
        return Answer(204)
    return _complete(service, call, upload)


def _tag(part: bytes) -> str:
    return f'"{hashlib.md5(part).hexdigest()}"'


def _parts(upload: Multipart, marker: int) -> Answer:
    """Tell which parts there are, two at a time."""
    numbers = [number for number in sorted(upload.parts) if number > marker]
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{_tag(upload.parts[number])}</ETag>"
        f"<Size>{len(upload.parts[number])}</Size></Part>"
        for number in numbers[:2]
    )
    more = str(len(numbers) > 2).lower()
    return _document(f"<ListPartsResult><IsTruncated>{more}</IsTruncated>{rows}</ListPartsResult>")


def _complete(service: Service, call: Call, upload: Multipart) -> Answer:
    if any(name.lower().startswith(("if-", "x-goog-if-")) for name in call.headers):
        raise RefusedError(400, "InvalidArgument", "Preconditions are not supported.")
    if b"&quot;" in call.body:
        raise RefusedError(400, "MalformedCompleteMultipartUploadRequest", "ETags are quoted as they are.")
    told = [e.text for e in ElementTree.fromstring(call.body).iter() if e.tag.endswith("ETag")]
    numbers = [int(e.text or 0) for e in ElementTree.fromstring(call.body).iter() if e.tag.endswith("PartNumber")]
    if told != [_tag(upload.parts[number]) if number in upload.parts else None for number in numbers]:
        raise RefusedError(400, "InvalidPart", "One of the parts was not found.")
    data = [upload.parts[number] for number in numbers]
    if any(len(part) < SMALLEST_PART for part in data[:-1]):
        raise RefusedError(400, "EntityTooSmall", "A part is too small.")
    stored = service.write(upload.bucket, upload.name, b"".join(data), upload.described, None, upload.key)
    del service.multiparts[call.query["uploadId"]]
    result = f'<ETag>"0123-{len(numbers)}"</ETag>'
    answer = _document(f"<CompleteMultipartUploadResult>{result}</CompleteMultipartUploadResult>")
    return answer._replace(headers={**answer.headers, "x-goog-generation": str(stored.generation)})


def _document(text: str) -> Answer:
    return Answer(200, f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode(), {"Content-Type": "application/xml"})


def _described(headers: Message) -> dict[str, Any]:
    names = {header.lower(): name for name, header in STANDARD.items()}
    described = {names[name.lower()]: value for name, value in headers.items() if name.lower() in names}
    own = {name[12:].lower(): value for name, value in headers.items() if name.lower().startswith("x-goog-meta-")}
    return {**described, "metadata": own}


def read_object(stored: Stored, call: Call) -> Answer:
    """Read an object under conditions (RFC 9110, section 13), as it is stored or unpacked."""
    check_key(stored.key, call)
    _check(stored, call.headers)
    headers, data = stored.headers(), stored.data
    if headers.get("Content-Encoding") == "gzip" and "gzip" not in (call.headers["Accept-Encoding"] or ""):
        del headers["Content-Encoding"], headers["ETag"], headers["Accept-Ranges"]
        return Answer(200, gzip.decompress(data), headers)
    if call.headers["Range"] is None:
        return Answer(200, data, headers)
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers["Range"])
    assert found is not None
    size = len(data)
    start = int(found[1]) if found[1] else max(size - int(found[2]), 0)
    end = min(int(found[2]) + 1, size) if found[1] and found[2] else size
    if start >= size:
        raise RefusedError(416, "requestedRangeNotSatisfiable", "The requested range cannot be satisfied.")
    return Answer(206, data[start:end], {**headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"})


def _check(stored: Stored, headers: Message) -> None:
    generation = str(stored.generation)
    tags = {name: [tag.strip() for tag in (headers[name] or "").split(",")] for name in ("If-Match", "If-None-Match")}
    modified = stored.updated.replace(microsecond=0)
    if headers["x-goog-if-generation-match"] not in (None, generation):
        raise RefusedError(412, "conditionNotMet")
    if headers["x-goog-if-generation-not-match"] == generation:
        raise RefusedError(304, "notModified")
    if headers["If-Match"] is not None:
        if not {stored.xml_tag, "*"} & {*tags["If-Match"]}:
            raise RefusedError(412, "conditionNotMet")
    elif (since := _date(headers["If-Unmodified-Since"])) is not None and modified > since:
        raise RefusedError(412, "conditionNotMet")
    if headers["If-None-Match"] is not None:
        if {stored.xml_tag, "*"} & {*tags["If-None-Match"]}:
            raise RefusedError(304, "notModified")
    elif (since := _date(headers["If-Modified-Since"])) is not None and modified <= since:
        raise RefusedError(304, "notModified")


def _date(text: str | None) -> datetime | None:
    return None if text is None else parsedate_to_datetime(text)


# --- what HMAC keys have no other API for


def _change(service: Service, call: Call, bucket: str, name: str) -> Answer:
    """Write, copy or delete an object."""
    if call.method == "DELETE":
        service.bucket(bucket).check(name, call.headers["x-goog-if-generation-match"])
        service.bucket(bucket).delete(name)
        return Answer(204)
    match, described, data = call.headers["x-goog-if-generation-match"], _described(call.headers), call.body
    copied = call.headers["x-goog-copy-source"]
    if copied is not None:
        from_bucket, _, from_name = unquote(copied).partition("/")
        source = service.bucket(from_bucket).find(from_name, None)
        check_key(source.key, call, "x-goog-copy-source-encryption-")
        described, data = source.described, source.data
    else:
        check_sum(data, call.headers["x-goog-hash"])
    stored = service.write(bucket, name, data, described, match, key_of(call))
    headers = {"x-goog-generation": str(stored.generation), "ETag": stored.xml_tag}
    if copied is None:
        return Answer(200, b"", headers)
    answer = _document(f"<CopyObjectResult><ETag>{stored.xml_tag}</ETag></CopyObjectResult>")
    return answer._replace(headers={**answer.headers, **headers})


def _listing(service: Service, call: Call, bucket: str) -> Answer:
    """Return a page: offsets are exclusive here, and what is behind a prefix is one row of its own."""
    said = {"prefix": "prefix", "delimiter": "delimiter", "continuation-token": "pageToken"}
    asked = {name: call.query[told] for told, name in said.items() if told in call.query}
    after = call.query.get("start-after", "")
    found = service.bucket(bucket).list({**asked, "startOffset": after + "\0" if after else ""})
    rows = "".join(
        f"<Contents><Key>{quote(item['name'])}</Key><Generation>{item['generation']}</Generation>"
        f"<LastModified>{item['updated']}</LastModified><ETag>&quot;x&quot;</ETag><Size>{item['size']}</Size></Contents>"
        for item in found.get("items", [])
    )
    prefixes = [f"<CommonPrefixes><Prefix>{quote(name)}</Prefix></CommonPrefixes>" for name in found["prefixes"]]
    token = found.get("nextPageToken")
    more = "" if token is None else f"<NextContinuationToken>{escape(token)}</NextContinuationToken>"
    head = f"<EncodingType>url</EncodingType><IsTruncated>{str(token is not None).lower()}</IsTruncated>"
    return _document(f"<ListBucketResult>{head}{more}{rows}{''.join(prefixes)}</ListBucketResult>")
