"""The fake on loopback: both APIs over HTTP, and faults on demand."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.gcs.objects import (
    GRAIN,
    SMALLEST_PART,
    STANDARD,
    Bucket,
    Multipart,
    RefusedError,
    Service,
    Session,
    Stored,
    check_sum,
)


class Answer(NamedTuple):
    """The answer to a request."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})


class Fault(NamedTuple):
    """What happens to the next request whose line matches.

    Args:
        line: What is looked for in its method and target.
        answer: What it is answered by, unread; None: nothing, the connection ends.
        acts: Whether it is carried out all the same.
        keeps: How many bytes of its body are taken.
    """

    line: str
    answer: Answer | None = None
    acts: bool = False
    keeps: int | None = None


class Call(NamedTuple):
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes

    @property
    def line(self) -> str:
        """Method, path and query."""
        return f"{self.method} {self.path}?{'&'.join(f'{name}={value}' for name, value in self.query.items())}"


def error(status: int, reason: str, **headers: str) -> Answer:
    """Return an error of the JSON API, for a `Fault`."""
    return Answer(status, json.dumps(RefusedError(status, reason).json()).encode(), headers)


class StrictServer:
    """The fake, running.

    Args:
        token: The token that every request must carry; None: none.
    """

    name = "strictgcs"

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.service = Service()
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.endpoint = ""

    def make_bucket(self, bucket: str) -> str:
        """Create a bucket, and return its name."""
        self.service.buckets[bucket] = Bucket()
        return bucket

    def lines(self, part: str = "") -> list[str]:
        """Return method and target of the requests that came, those with a text in them."""
        return [call.line for call in self.calls if part in call.line]

    def answer(self, call: Call) -> Answer | None:
        """Answer a request; None: not at all."""
        self.calls.append(call)
        fault = next((fault for fault in self.faults if fault.line in call.line), None)
        if fault is None:
            return self._act(call)
        self.faults.remove(fault)
        if fault.acts:
            self._act(call)
        if fault.keeps is not None:
            at = int(re.match(r"bytes (\d+)-", call.headers["Content-Range"])[1])  # type: ignore[index]
            session = self.service.sessions[call.query["upload_id"]]
            assert at == len(session.data)
            session.data += call.body[: fault.keeps]
        return fault.answer

    def _act(self, call: Call) -> Answer:
        xml = not call.path.startswith(("/storage/", "/upload/", "/batch/", "/download/"))
        try:
            if self.token is not None and call.headers["Authorization"] != f"Bearer {self.token}":
                raise RefusedError(401, "authError", "Invalid Credentials")
            with self.service.lock:
                return _xml(self.service, call) if xml else _json(self.service, call, self.endpoint)
        except RefusedError as refused:
            if xml:
                return Answer(refused.status, refused.xml().encode(), {"Content-Type": "application/xml"})
            return Answer(refused.status, json.dumps(refused.json()).encode(), {"Content-Type": "application/json"})


def _told(document: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


# --- the JSON API


def _json(service: Service, call: Call, endpoint: str) -> Answer:
    for pattern, act in ROUTES:
        if found := re.fullmatch(pattern, f"{call.method} {call.path}"):
            if act is _resumable:
                return _resumable(service, call, endpoint, unquote(found[1]))
            return act(service, call, *map(unquote, found.groups()))
    raise RefusedError(404, "notFound", f"Not Found: {call.line}")


def _make_bucket(service: Service, call: Call) -> Answer:
    name = json.loads(call.body)["name"]
    service.buckets[name] = Bucket()
    return _told({"name": name})


def _list(service: Service, call: Call, bucket: str) -> Answer:
    return _told(service.bucket(bucket).list(call.query))


def _get(service: Service, call: Call, bucket: str, name: str) -> Answer:
    stored = service.bucket(bucket).find(name, call.query.get("generation"))
    return _read(stored, call) if call.query.get("alt") == "media" else _told(stored.resource())


def _delete(service: Service, call: Call, bucket: str, name: str) -> Answer:
    service.bucket(bucket).check(name, call.query.get("ifGenerationMatch"))
    service.bucket(bucket).delete(name)
    return Answer(204)


def _rewrite(service: Service, call: Call, bucket: str, name: str, to_bucket: str, to: str) -> Answer:
    source = service.bucket(bucket).find(name, call.query.get("sourceGeneration"))
    token = call.query.get("rewriteToken")
    if token is not None and token not in service.rewrites:
        raise RefusedError(400, "invalid", "Invalid rewrite token")
    service.bucket(to_bucket).check(to, call.query.get("ifGenerationMatch"))
    done = service.rewrites.pop(token or "", 0) + service.rewritten_at_once
    if done < len(source.data):
        token = service.new_id()
        service.rewrites[token] = done
        return _told({"done": False, "rewriteToken": token})
    stored = service.write(to_bucket, to, source.data, {**source.described, **json.loads(call.body or b"{}")}, None)
    return _told({"done": True, "resource": stored.resource()})


def _insert(service: Service, call: Call, bucket: str) -> Answer:
    """Write an object in one request, or begin a session."""
    place, kind = service.bucket(bucket), call.query.get("uploadType")
    if kind == "media":
        described, data = {"contentType": call.headers["Content-Type"]}, call.body
        check_sum(data, call.headers["x-goog-hash"])
    elif kind == "multipart":
        described, data = _related(call)
    elif kind == "resumable":
        described = json.loads(call.body or b"{}")
        name, match = call.query.get("name") or described["name"], call.query.get("ifGenerationMatch")
        place.check(name, match)
        id = service.new_id()
        service.sessions[id] = Session(bucket, name, described, match)
        return Answer(200, b"", {"Location": f"http://storage.example{call.path}?uploadType=resumable&upload_id={id}"})
    else:
        raise RefusedError(400, "invalid", "invalid uploadType")
    name = call.query.get("name") or described["name"]
    return _told(service.write(bucket, name, data, described, call.query.get("ifGenerationMatch")).resource())


def _related(call: Call) -> tuple[dict[str, Any], bytes]:
    """Take a multipart/related body apart, strictly."""
    boundary = re.fullmatch(r'multipart/related; boundary="?([^"]+)"?', call.headers["Content-Type"])
    if boundary is None:
        raise RefusedError(400, "invalid", "no boundary")
    mark = f"--{boundary[1]}".encode()
    begin, first, second, end = (b"\r\n" + call.body).split(b"\r\n" + mark)
    if begin or end not in (b"--\r\n", b"--"):
        raise RefusedError(400, "invalid", "malformed multipart body")
    head, _, described = first.partition(b"\r\n\r\n")
    kind, _, data = second.partition(b"\r\n\r\n")
    if b"application/json" not in head:
        raise RefusedError(400, "invalid", "no description")
    found: dict[str, Any] = json.loads(described)
    return {"contentType": kind.decode().partition(":")[2].strip(), **found}, data


def _resumable(service: Service, call: Call, endpoint: str, bucket: str) -> Answer:
    """Take bytes of a session, or tell how far it is."""
    session = service.sessions.get(call.query.get("upload_id", ""))
    if session is None:
        raise RefusedError(410, "gone", "The upload session has ended")
    found = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", call.headers["Content-Range"] or "")
    if found is None:
        raise RefusedError(400, "invalid", "Invalid Content-Range")
    if session.made is not None:
        return _told(session.made.resource())
    first, last, total = found.groups()
    if first is not None:
        if int(last) - int(first) + 1 != len(call.body) or (total == "*" and len(call.body) % GRAIN):
            raise RefusedError(400, "invalid", "Invalid size of a stretch")
        if int(first) != len(session.data):
            raise RefusedError(400, "invalid", "A stretch that does not follow")
        session.data += call.body
    if total == str(len(session.data)):
        data, match = bytes(session.data), session.if_generation_match
        check_sum(data, call.headers["x-goog-hash"])
        session.made = service.write(session.bucket, session.name, data, session.described, match)
        return _told(session.made.resource())
    return Answer(308, b"", {"Range": f"bytes=0-{len(session.data) - 1}"} if session.data else {})


def _end_session(service: Service, call: Call, bucket: str) -> Answer:
    service.sessions.pop(call.query.get("upload_id", ""), None)
    return Answer(499)


def _batch(service: Service, call: Call) -> Answer:
    boundary = re.search(r"boundary=(\S+)", call.headers["Content-Type"])
    assert boundary is not None
    parts = (b"\r\n" + call.body).split(f"\r\n--{boundary[1]}".encode())[1:-1]
    if not 0 < len(parts) <= 100:
        raise RefusedError(400, "invalid", "The batch request has too many calls")
    answers = []
    for part in reversed(parts):  # their order means nothing
        head, _, request = part.partition(b"\r\n\r\n")
        number = re.search(rb"Content-ID: <(.+?)>", head)
        line = re.match(rb"(\w+) (/\S+) HTTP/1.1\r\n", request)
        assert number is not None
        assert line is not None
        inner = _call(line[1].decode(), line[2].decode(), Message(), b"")
        try:
            answer = _json(service, inner, "")
        except RefusedError as refused:
            answer = Answer(refused.status, json.dumps(refused.json()).encode())
        answers.append(
            b"--answers\r\nContent-Type: application/http\r\nContent-ID: <response-%b>\r\n\r\n"
            b"HTTP/1.1 %d Answer\r\nContent-Type: application/json\r\n\r\n%b\r\n"
            % (number[1], answer.status, answer.body)
        )
    body = b"".join([*answers, b"--answers--\r\n"])
    return Answer(200, body, {"Content-Type": 'multipart/mixed; boundary="answers"'})


_B, _O = r"/storage/v1/b/([^/]+)/o", r"/([^/]+)"
ROUTES: list[tuple[str, Callable[..., Answer]]] = [
    ("POST /storage/v1/b", _make_bucket),
    (f"GET {_B}", _list),
    (f"GET {_B}{_O}", _get),
    (f"GET /download{_B}{_O}", _get),
    (f"DELETE {_B}{_O}", _delete),
    (f"POST {_B}{_O}/rewriteTo/b/([^/]+)/o/([^/]+)", _rewrite),
    (f"POST /upload{_B}", _insert),
    (f"PUT /upload{_B}", _resumable),
    (f"DELETE /upload{_B}", _end_session),
    ("POST /batch/storage/v1", _batch),
]


# --- the XML API


def _xml(service: Service, call: Call) -> Answer:
    bucket, _, name = call.path[1:].partition("/")
    bucket, name = unquote(bucket), unquote(name)
    place = service.bucket(bucket)
    if call.method in ("GET", "HEAD") and "uploadId" not in call.query:
        return _read(place.find(name, call.query.get("generation")), call)
    if call.method == "POST" and "uploads" in call.query:
        id = service.new_id()
        service.multiparts[id] = Multipart(bucket, name, _described(call.headers))
        tags = f"<Bucket>{bucket}</Bucket><Key>{escape(name)}</Key><UploadId>{id}</UploadId>"
        return _document(f"<InitiateMultipartUploadResult>{tags}</InitiateMultipartUploadResult>")
    upload = service.multiparts.get(call.query.get("uploadId", ""))
    if upload is None:
        raise RefusedError(404, "NoSuchUpload", "The requested upload was not found.")
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
    stored = service.write(upload.bucket, upload.name, b"".join(data), upload.described, None)
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


def _read(stored: Stored, call: Call) -> Answer:
    """Read an object under conditions (RFC 9110, section 13), as it is stored or unpacked."""
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


# --- HTTP


def _call(method: str, target: str, headers: Message, body: bytes) -> Call:
    path, _, query = target.partition("?")
    return Call(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers, body)


class Listener(ThreadingHTTPServer):
    """Takes as many connections at once as a client opens."""

    daemon_threads = True
    request_queue_size = 256


@contextmanager
def strict_server(token: str | None = None) -> Iterator[StrictServer]:
    """Run the fake until the block is left."""
    server = StrictServer(token)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def handle_one(self) -> None:
            if self.headers["Content-Length"] is None and self.command in ("POST", "PUT"):
                return self._send(Answer(411))
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            answer = server.answer(_call(self.command, self.path, self.headers, body))
            if answer is None:
                self.close_connection = True
                return None
            return self._send(answer)

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status not in (204, 304):
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD" and answer.status not in (204, 304):
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_one)
    with Listener(("127.0.0.1", 0), Handler) as http:
        server.endpoint = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
