"""The fault server breaks what it is told to break, and nothing else. Seen through http.client, which hides nothing."""

import socket
import time
from contextlib import closing
from email.message import Message
from hashlib import md5
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.engine.client import wait_until
from tests.faults.client import FaultServer
from tests.faults.content import content

SIZE = 1 << 20


class Reply(NamedTuple):
    status: int
    headers: Message
    body: bytes


def ask(server: FaultServer, method: str, key: str, body: bytes = b"", **headers: str) -> Reply:
    """Send one request on a connection of its own and return the whole reply."""
    with closing(HTTPConnection(urlsplit(server.endpoint).netloc, timeout=5)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"/{server.bucket}/{key}", body, named)
        with connection.getresponse() as response:
            return Reply(response.status, response.headers, response.read())


def test_content_is_the_same_from_any_offset() -> None:
    whole = content(0, 1000)
    assert len(whole) == 1000
    assert all(content(start, end) == whole[start:end] for start in range(0, 40, 3) for end in range(start, 60, 7))
    assert content(0, 1000, version=2) != whole


@pytest.mark.parametrize(
    ("asked", "start", "end"), [("bytes=5-99", 5, 100), ("bytes=1048570-", 1048570, SIZE), ("bytes=-7", SIZE - 7, SIZE)]
)
def test_serves_ranges(fault_server: FaultServer, asked: str, start: int, end: int) -> None:
    reply = ask(fault_server, "GET", "plain/a", Range=asked)
    assert (reply.status, reply.headers["Content-Range"]) == (206, f"bytes {start}-{end - 1}/{SIZE}")
    assert reply.body == content(start, end)


def test_serves_head_and_preconditions(fault_server: FaultServer) -> None:
    head = ask(fault_server, "HEAD", "plain/a")
    assert (head.status, head.headers["Content-Length"]) == (200, str(SIZE))
    assert ask(fault_server, "GET", "plain/a", If_Match='"other"').status == 412
    assert ask(fault_server, "GET", "plain/a", If_None_Match=head.headers["ETag"]).status == 304
    assert ask(fault_server, "GET", "plain/a", Range="bytes=1048576-").status == 416


def test_keeps_what_is_put(fault_server: FaultServer) -> None:
    assert ask(fault_server, "PUT", "plain/b", b"data").headers["ETag"] == f'"{md5(b"data").hexdigest()}"'
    assert ask(fault_server, "PUT", "plain/b", b"other", If_None_Match="*").status == 412
    assert ask(fault_server, "GET", "plain/b").body == b"data"
    assert b"<Key>plain/b</Key>" in ask(fault_server, "GET", "?list-type=2&prefix=plain/").body
    assert ask(fault_server, "DELETE", "plain/b").status == 204
    assert ask(fault_server, "GET", "plain/b").body[:8] == content(0, 8)


def create_upload(server: FaultServer, key: str) -> str:
    reply = ask(server, "POST", f"{key}?uploads").body.decode()
    return reply.partition("<UploadId>")[2].partition("<")[0]


def test_multipart(fault_server: FaultServer) -> None:
    upload = create_upload(fault_server, "plain/c")
    for number, body in ((2, b"two"), (1, b"one")):
        assert ask(fault_server, "PUT", f"plain/c?partNumber={number}&uploadId={upload}", body).status == 200
    assert ask(fault_server, "POST", f"plain/c?uploadId={upload}", b"<CompleteMultipartUpload/>").status == 200
    reply = ask(fault_server, "GET", "plain/c")
    assert reply.headers["ETag"].endswith('-2"')
    assert reply.body == b"onetwo"
    assert ask(fault_server, "POST", f"plain/c?uploadId={upload}").status == 404


def test_lost_complete_is_carried_out(fault_server: FaultServer) -> None:
    upload = create_upload(fault_server, "lost-complete/a")
    ask(fault_server, "PUT", f"lost-complete/a?partNumber=1&uploadId={upload}", b"one")
    with pytest.raises(ConnectionResetError):
        ask(fault_server, "POST", f"lost-complete/a?uploadId={upload}")
    assert ask(fault_server, "GET", "lost-complete/a").body == b"one"


def test_replaced_complete_is_not_carried_out(fault_server: FaultServer) -> None:
    upload = create_upload(fault_server, "error-in-200/a")
    first = ask(fault_server, "POST", f"error-in-200/a?uploadId={upload}")
    assert (first.status, b"InternalError" in first.body) == (200, True)
    assert b"<CompleteMultipartUploadResult>" in ask(fault_server, "POST", f"error-in-200/a?uploadId={upload}").body


@pytest.mark.parametrize(
    ("scenario", "error"), [("reset-first", ConnectionResetError), ("fin-first", RemoteDisconnected)]
)
def test_ends_before_the_reply_once(fault_server: FaultServer, scenario: str, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        ask(fault_server, "GET", f"{scenario}/a")
    assert type(raised.value) is error
    assert ask(fault_server, "GET", f"{scenario}/a").body == content(0, SIZE)


def test_cuts_the_body_by_fin(fault_server: FaultServer) -> None:
    with pytest.raises(IncompleteRead) as cut:
        ask(fault_server, "GET", "cut-by-fin/a")
    assert cut.value.partial == content(0, 100_000)


def test_cuts_the_body_by_reset(fault_server: FaultServer) -> None:
    with pytest.raises(ConnectionResetError):
        ask(fault_server, "GET", "cut-by-reset/a")


@pytest.mark.parametrize("scenario", ["stall-first", "stall-in-body"])
def test_stalls(fault_server: FaultServer, scenario: str) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(fault_server.endpoint).port)) as connection:
        connection.sendall(f"GET /bucket/{scenario}/a HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: bool(fault_server.requests(scenario)))
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.makefile("rb").read()


def test_is_busy_twice(fault_server: FaultServer) -> None:
    assert [ask(fault_server, "GET", "busy-twice/a").status for _ in range(4)] == [503, 503, 200, 200]
    assert ask(fault_server, "GET", "busy-twice/b").status == 503


def test_lies_about_ranges(fault_server: FaultServer) -> None:
    asked = "bytes=1000-1999"
    assert (
        ask(fault_server, "GET", "wrong-content-range/a", Range=asked).headers["Content-Range"] == "bytes 7-16/1048576"
    )
    short = ask(fault_server, "GET", "short-range/a", Range=asked)
    assert (short.headers["Content-Range"], len(short.body)) == ("bytes 1000-1999/1048576", 997)
    assert ask(fault_server, "GET", "wide-range/a", Range=asked).body == content(900, 2100)
    ignored = ask(fault_server, "GET", "ignored-range/a", Range=asked)
    assert (ignored.status, len(ignored.body)) == (200, SIZE)


def test_replaces_the_object(fault_server: FaultServer) -> None:
    first, second = (ask(fault_server, "GET", "replaced-object/a") for _ in range(2))
    assert first.headers["ETag"] != second.headers["ETag"]
    assert (first.body, second.body) == (content(0, SIZE), content(0, SIZE, version=2))


def test_sends_headers_and_waits(fault_server: FaultServer) -> None:
    assert ask(fault_server, "GET", "retry-after/a").headers["Retry-After"] == "1"
    assert ask(fault_server, "GET", "redirected/a").headers["Location"].startswith("http://localhost:")
    assert ask(fault_server, "GET", "redirected/b").headers["Location"].rpartition(":")[2].endswith("/bucket/target")
    begun = time.monotonic()
    ask(fault_server, "GET", "slow-first-byte/a")
    assert time.monotonic() - begun >= 0.3


def test_list_gets_its_scenario_by_prefix(fault_server: FaultServer) -> None:
    assert b"log in" in ask(fault_server, "GET", "?list-type=2&prefix=list-html/").body


def test_tells_what_was_asked(fault_server: FaultServer) -> None:
    ask(fault_server, "PUT", "plain/d?x=1", b"data", X_Mine="yes")
    ask(fault_server, "GET", "plain/other")
    (seen,) = fault_server.requests("plain/d")
    assert (seen["method"], seen["target"], seen["operation"], seen["size"]) == ("PUT", "/bucket/plain/d?x=1", "put", 4)
    assert seen["headers"]["x-mine"] == "yes"
    fault_server.forget()
    assert fault_server.requests() == []
