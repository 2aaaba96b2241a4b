"""The fake on loopback: both APIs over HTTP, and faults on demand."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from tests.gcs.keys import check_key, check_signature, key_of
from tests.gcs.messages import Answer, Call
from tests.gcs.objects import (
    GRAIN,
    Bucket,
    RefusedError,
    Service,
    Session,
    check_sum,
)
from tests.gcs.xml_api import read_object, xml_api
from tests.listener import Listener

BUCKETS_AT_ONCE = 3
"""How many buckets are on a page of a list of them."""


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
        self.hmac_key: tuple[str, str] | None = None
        """The HMAC key that every request must be signed by; None: none."""
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
        is_xml = not call.path.startswith(("/storage/", "/upload/", "/batch/", "/download/"))
        try:
            if self.hmac_key is not None:
                if not is_xml:
                    raise RefusedError(401, "authError", "The JSON API takes no HMAC keys")
                if "X-Goog-Signature" not in call.query:
                    check_signature(call, *self.hmac_key)
            if self.token is not None and call.headers["Authorization"] != f"Bearer {self.token}":
                raise RefusedError(401, "authError", "Invalid Credentials")
            with self.service.lock:
                return xml_api(self.service, call) if is_xml else _json(self.service, call, self.endpoint)
        except RefusedError as refused:
            if is_xml:
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
    if "project" not in call.query:
        raise RefusedError(400, "required", "Required parameter: project")
    if name in service.buckets:
        raise RefusedError(409, "conflict", "Your previous request to create the named bucket succeeded.")
    service.buckets[name] = Bucket()
    return _told({"name": name})


def _list_buckets(service: Service, call: Call) -> Answer:
    if "project" not in call.query:
        raise RefusedError(400, "required", "Required parameter: project")
    rest = sorted(name for name in service.buckets if name > call.query.get("pageToken", ""))
    page, more = rest[:BUCKETS_AT_ONCE], rest[BUCKETS_AT_ONCE:]
    items = [{"name": name, "timeCreated": datetime.now(UTC).isoformat()} for name in page]
    return _told({"items": items, **({"nextPageToken": page[-1]} if more else {})})


def _get_bucket(service: Service, call: Call, bucket: str) -> Answer:
    service.bucket(bucket)
    return _told({"name": bucket})


def _delete_bucket(service: Service, call: Call, bucket: str) -> Answer:
    kept = service.bucket(bucket)
    if any(kept.live(name) for name in kept.generations):
        raise RefusedError(409, "conflict", "The bucket you tried to delete is not empty.")
    del service.buckets[bucket]
    return Answer(204)


def _list(service: Service, call: Call, bucket: str) -> Answer:
    return _told(service.bucket(bucket).list(call.query))


def _get(service: Service, call: Call, bucket: str, name: str) -> Answer:
    stored = service.bucket(bucket).find(name, call.query.get("generation"))
    return read_object(stored, call) if call.query.get("alt") == "media" else _told(stored.resource())


def _delete(service: Service, call: Call, bucket: str, name: str) -> Answer:
    service.bucket(bucket).check(name, call.query.get("ifGenerationMatch"))
    service.bucket(bucket).delete(name, call.query.get("generation"))
    return Answer(204)


def _permissions(service: Service, call: Call, bucket: str) -> Answer:
    """Tell which permissions are held of those asked for, which may come several times."""
    asked = [value for name, value in parse_qsl(call.target.partition("?")[2]) if name == "permissions"]
    return _told({"permissions": [name for name in asked if name in service.permissions]})


def _compose(service: Service, call: Call, bucket: str, name: str) -> Answer:
    """Make an object of others: https://cloud.google.com/storage/docs/json_api/v1/objects/compose."""
    document, place = json.loads(call.body), service.bucket(bucket)
    sources = document["sourceObjects"]
    if not 1 <= len(sources) <= 32:
        raise RefusedError(400, "invalid", "The number of source components must be between 1 and 32.")
    found = [place.find(each["name"], each.get("generation")) for each in sources]
    for each in found:
        check_key(each.key, call)
    data, match = b"".join(each.data for each in found), call.query.get("ifGenerationMatch")
    described = {**document["destination"], "kmsKeyName": call.query.get("kmsKeyName")}
    made = service.write(bucket, name, data, described, match, key_of(call))
    return _told({name: value for name, value in made.resource().items() if name != "md5Hash"})


def _rewrite(service: Service, call: Call, bucket: str, name: str, to_bucket: str, to: str) -> Answer:
    source = service.bucket(bucket).find(name, call.query.get("sourceGeneration"))
    token = call.query.get("rewriteToken")
    if token is not None and token not in service.rewrites:
        raise RefusedError(400, "invalid", "Invalid rewrite token")
    service.bucket(to_bucket).check(to, call.query.get("ifGenerationMatch"))
    check_key(source.key, call, "x-goog-copy-source-encryption-")
    done = service.rewrites.pop(token or "", 0) + service.rewritten_at_once
    if done < len(source.data):
        token = service.new_id()
        service.rewrites[token] = done
        return _told({"done": False, "rewriteToken": token})
    stored = service.write(
        to_bucket, to, source.data, {**source.described, **json.loads(call.body or b"{}")}, None, key_of(call)
    )
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
        service.sessions[id] = Session(bucket, name, described, match, key_of(call))
        return Answer(200, b"", {"Location": f"http://storage.example{call.path}?uploadType=resumable&upload_id={id}"})
    else:
        raise RefusedError(400, "invalid", "invalid uploadType")
    name = call.query.get("name") or described["name"]
    described, match = {**described, "kmsKeyName": call.query.get("kmsKeyName")}, call.query.get("ifGenerationMatch")
    return _told(service.write(bucket, name, data, described, match, key_of(call)).resource())


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
    check_key(session.key, call)
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
        session.made = service.write(session.bucket, session.name, data, session.described, match, session.key)
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
    ("GET /storage/v1/b", _list_buckets),
    (r"GET /storage/v1/b/([^/]+)", _get_bucket),
    (r"DELETE /storage/v1/b/([^/]+)", _delete_bucket),
    (f"GET {_B}", _list),
    (f"GET {_B}{_O}", _get),
    (f"GET /download{_B}{_O}", _get),
    (f"DELETE {_B}{_O}", _delete),
    (f"POST {_B}{_O}/compose", _compose),
    (r"GET /storage/v1/b/([^/]+)/iam/testPermissions", _permissions),
    (f"POST {_B}{_O}/rewriteTo/b/([^/]+)/o/([^/]+)", _rewrite),
    (f"POST /upload{_B}", _insert),
    (f"PUT /upload{_B}", _resumable),
    (f"DELETE /upload{_B}", _end_session),
    ("POST /batch/storage/v1", _batch),
]


# --- HTTP


def _call(method: str, target: str, headers: Message, body: bytes) -> Call:
    path, _, query = target.partition("?")
    return Call(method, target, path, dict(parse_qsl(query, keep_blank_values=True)), headers, body)


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
