"""What the engine makes of replies that break, lie or never end: an error for the one request, and never a wrong
byte."""

from __future__ import annotations

import resource
import socket
import threading
import time
from pathlib import Path

import pytest

from objstore._core import Buffer, ClientSettings, Reply
from objstore.plans.run import run
from tests.conftest import BY_CURL
from tests.engine.client import SETTINGS, SOON, Server, batch, new_batch, settle
from tests.engine.raw import Answer, answering, drips, ends, pours, resets, sends
from tests.faults.client import FaultServer
from tests.faults.content import content

WEIRD = 8  # CURLE_WEIRD_SERVER_REPLY
CUT = 18  # CURLE_PARTIAL_FILE
TOO_LONG = 23  # CURLE_WRITE_ERROR
EMPTY = 52  # CURLE_GOT_NOTHING
BROKEN = 56  # CURLE_RECV_ERROR


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def ask(answer: Answer, start: int = -1, end: int = -1, **options: object) -> tuple[bytes | None, Reply]:
    """Send one request; return the body where it succeeded, and the reply."""
    with answering(answer) as raw:
        made = new_batch(raw.origin, "GET", SETTINGS, **options)  # type: ignore[arg-type]
        made.add(b"/a", start, end)
        made.seal()
        failed = run(settle(made))
    body = made.bodies()[0]
    return (None if body is None else bytes(body)), failed.get(0) or made.reply(0)


def refused(answer: Answer, start: int = -1, end: int = -1) -> Reply:
    """Send one request that must fail."""
    body, reply = ask(answer, start, end)
    assert body is None
    return reply


# --- replies that break


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ends(b""), EMPTY),
        (resets(b""), BROKEN),
        (ends(head("Content-Length: 100") + b"x" * 99), CUT),
        (resets(head("Content-Length: 100") + b"x" * 99), BROKEN),
        (ends(head("Transfer-Encoding: chunked") + b"5\r\nabcde\r\n"), CUT),
        (ends(head("Transfer-Encoding: chunked") + b"5\r\nabc"), CUT),
        (ends(head("Transfer-Encoding: chunked") + b"zz\r\nabcde\r\n0\r\n\r\n"), BROKEN),
        (ends(head("Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFFFF\r\nabcde\r\n0\r\n\r\n"), BROKEN),
    ],
)
def test_a_broken_reply_fails(answer: Answer, code: int) -> None:
    assert refused(answer).curl_code == code


@pytest.mark.parametrize("status", [201, 202, 203, 204, 205, 207, 226, 299])
@pytest.mark.parametrize(("start", "end"), [(-1, -1), (0, -1), (0, 5), (-1, 5)])
def test_only_a_200_has_the_object(status: int, start: int, end: int) -> None:
    """What others have is no object, or not yet, or not as it is stored (RFC 9110, section 15.3)."""
    body = b"" if status in (204, 205) else b"later"
    answer = sends(head(*([f"Content-Length: {len(body)}"] if status != 204 else []), status=f"{status} Sure") + body)
    reply = refused(answer, start, end)
    assert (reply.status, reply.curl_code) == (status, 0)


@pytest.mark.parametrize(
    "cut", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", b"HTTP/1.1 200 OK\r\nCon"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_half_a_head_is_no_success(cut: bytes, method: str) -> None:
    with answering(ends(cut)) as raw:
        assert list(run(settle(batch(raw.origin, ["/a"], method=method)))) == [0]


@pytest.mark.parametrize("lines", [["Content-Type: text/plain"], ["Connection: close"]])
def test_a_body_whose_end_only_the_connection_tells_is_not_trusted(lines: list[str]) -> None:
    reply = refused(ends(head(*lines) + b"the first half of"))
    assert (reply.status, reply.curl_code) == (200, 1002)


def test_a_chunked_body_needs_no_length() -> None:
    chunked = head("Transfer-Encoding: chunked") + b"5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n"
    assert ask(sends(chunked))[0] == b"abcdefgh"


@pytest.mark.parametrize("name", ["cut-by-fin", "cut-by-reset"])
def test_a_cut_body_fails_with_what_came(fault_server: FaultServer, name: str) -> None:
    made = batch(fault_server.endpoint, [f"/bucket/{name}/a"])
    made.start()
    made.wait()
    (reply,) = made.failures()
    assert reply.curl_code in (CUT, BROKEN)
    made.retry(0)
    assert run(settle(made)) == {}
    assert made.bodies()[0] == content(0, 1 << 20)
    assert made.reply(0).attempts == 2


# --- replies that lie


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: -1"], b"abc"),
        (["Content-Length: abc"], b"abc"),
        (["Content-Length: 3", "Content-Length: 5"], b"abcde"),
        (["Content-Length: 99999999999999999999"], b"abc"),
        (["Content-Length: 3, 5"], b"abcde"),
    ],
)
def test_a_length_that_is_none_is_refused(lines: list[str], body: bytes) -> None:
    refused(ends(head(*lines) + body))


def test_a_length_of_5_tib_takes_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reply = refused(ends(head(f"Content-Length: {5 << 40}") + b"x" * 1000))
    assert (reply.curl_code, reply.content_length) == (CUT, 5 << 40)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 << 10  # KiB


def part(claimed: str, body: bytes, *more: str) -> bytes:
    lines = [f"Content-Range: {claimed}", f"Content-Length: {len(body)}", *more]
    return head(*lines, status="206 Partial Content") + body


@pytest.mark.parametrize(
    "reply",
    [
        part("bytes 7-16/1000", b"x" * 10),
        part("bytes 10-19/1000", b"x" * 9),
        part("bytes 10-19/1000", b"x" * 11),
        part("bytes 10-18/1000", b"x" * 9),
        part("bytes 9-20/1000", b"x" * 12),
        part("bytes 10-25/1000", b"x" * 16),
        part("bytes 19-10/1000", b"x" * 10),
        part("bytes 10-", b"x" * 10),
        part("bytes */1000", b"x" * 10),
        part("items 10-19/1000", b"x" * 10),
        part("bytes 18446744073709551626-18446744073709551635/1000", b"x" * 10),
        part("bytes 10-9223372036854775807/1000", b"x" * 10),
        head("Content-Length: 10", status="206 Partial Content") + b"x" * 10,
        head("Content-Length: 5") + b"x" * 5,
        head("Content-Length: 10", status="204 No Content"),
    ],
)
def test_a_range_that_is_not_the_one_asked_for_is_refused(reply: bytes) -> None:
    refused(ends(reply), 10, 20)


@pytest.mark.parametrize(
    "reply",
    [
        part("bytes 10-19/1000", b"0123456789"),
        part("bytes 10-19/*", b"0123456789"),
        part("BYTES 10-19/1000", b"0123456789"),
        part("bytes 10-19/1000 ", b"0123456789"),
        head("Content-Range:bytes 10-19/1000", "Content-Length:10", status="206 Partial Content") + b"0123456789",
        head("content-range:\tbytes 10-19/1000", "content-length:\t10", status="206 Partial Content") + b"0123456789",
        head("Content-Length: 30") + b"x" * 10 + b"0123456789" + b"y" * 10,
        head("Content-Length: 20") + b"x" * 10 + b"0123456789",
        head("Transfer-Encoding: chunked") + b"14\r\n" + b"x" * 10 + b"0123456789\r\n0\r\n\r\n",
    ],
)
def test_a_range_that_is_the_one_asked_for_is_taken(reply: bytes) -> None:
    assert ask(sends(reply), 10, 20)[0] == b"0123456789"


def test_a_short_range_is_taken_at_the_end_of_the_object_only() -> None:
    assert ask(sends(part("bytes 10-14/15", b"01234")), 10, 20)[0] == b"01234"
    refused(sends(part("bytes 10-14/*", b"01234")), 10, 20)
    assert ask(sends(head("Content-Length: 15") + b"x" * 10 + b"01234"), 10, 20)[0] == b"01234"


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        (part("bytes 995-999/1000", b"01234"), True),
        (part("bytes 990-999/1000", b"0123456789"), False),
        (part("bytes 995-998/1000", b"0123"), False),
        (head("Content-Length: 9") + b"xxxx01234", True),
        (part("bytes 0-3/4", b"0123"), True),
    ],
)
def test_the_last_bytes(reply: bytes, right: bool) -> None:
    body, _ = ask(ends(reply), -1, 5)
    assert (body is not None) is right
    assert body in (None, b"01234", b"0123")


def test_a_part_in_place_of_the_whole_object_is_refused() -> None:
    refused(sends(part("bytes 0-9/1000", b"0123456789")))
    refused(sends(part("bytes 0-9/10", b"0123456789")))


@pytest.mark.parametrize("name", ["wrong-content-range", "short-range", "wide-range"])
def test_the_liars_of_the_fault_server(fault_server: FaultServer, name: str) -> None:
    made = new_batch(fault_server.endpoint, "GET", SETTINGS)
    for index in range(20):
        made.add(f"/bucket/{name}/a".encode(), 1000 * index, 1000 * index + 500)
    made.seal()
    assert len(run(settle(made))) == 20


def test_a_whole_object_in_place_of_a_range_is_cut_to_it(fault_server: FaultServer) -> None:
    memory = bytearray(8000)
    made = new_batch(fault_server.endpoint, "GET", SETTINGS)
    for index in range(20):
        made.add(b"/bucket/ignored-range/a", 50_000 * index, 50_000 * index + 400)
    out = Buffer(memory, writable=True)
    for index in range(20):
        start = 50_000 * index
        made.add(b"/bucket/ignored-range/a", start, start + 400, out=out, out_start=400 * index, out_length=400)
    made.add(b"/bucket/ignored-range/a", (1 << 20) - 9, -1)
    made.add(b"/bucket/ignored-range/a", -1, 9)
    made.seal()
    assert run(settle(made)) == {}
    bodies = [bytes(body or b"") for body in made.bodies()]
    expected = [content(50_000 * index, 50_000 * index + 400) for index in range(20)]
    assert bodies[:20] == bodies[20:40] == expected
    assert memory == b"".join(expected)
    assert bodies[40] == bodies[41] == content((1 << 20) - 9, 1 << 20)


def test_extra_bytes_are_not_taken_for_the_next_reply() -> None:
    smuggled = head("Content-Length: 5") + b"WRONG"
    with answering(sends(head("Content-Length: 5") + b"RIGHT" + smuggled)) as raw:
        made = batch(raw.origin, ["/a", "/b", "/c"], most_in_flight=1)
        assert run(settle(made)) == {}
    assert [bytes(body or b"") for body in made.bodies()] == [b"RIGHT"] * 3


# --- replies that are none, or never end


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 5000, b"\xff" * 100_000, b"HTTP/9.9 200 OK\r\n\r\n"]
)
def test_garbage_is_refused(data: bytes) -> None:
    assert refused(ends(data)).curl_code != 0


@pytest.mark.parametrize(
    "answer",
    [
        pours(head()[:-2], b"X-More: 1\r\n" * 1000),
        pours(head()[:-2] + b"X-Long: ", b"1" * 10_000),
        pours(b"", head(status="103 Early Hints") * 1000),
    ],
)
def test_an_endless_head_is_refused(answer: Answer) -> None:
    begun = time.monotonic()
    assert refused(answer).curl_code != 0
    assert time.monotonic() - begun < SOON


def test_a_ranged_reply_without_end_is_refused_early() -> None:
    begun = time.monotonic()
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    endless = head("Transfer-Encoding: chunked", "Content-Range: bytes 10-19/1000", status="206 Partial Content")
    assert refused(pours(endless, chunk), 10, 20).curl_code == TOO_LONG
    assert time.monotonic() - begun < SOON


def test_an_endless_error_document_is_kept_in_part_only() -> None:
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    document = head("Transfer-Encoding: chunked", status="500 Oops") + 100 * chunk
    reply = refused(ends(document + b"0\r\n\r\n"))
    assert reply.status == 500
    assert 256 << 10 <= len(reply.body) <= 1 << 20


@pytest.mark.parametrize(
    "answer",
    [
        drips(b"", head(status="103 Early Hints"), 0.1),
        drips(b"", head(status="100 Continue"), 0.1),
        drips(head()[:-2], b"X-More: 1\r\n", 0.1),
        drips(b"HTTP/1.1 200 OK\r\nX", b"x", 0.1),
    ],
)
def test_a_head_that_drips_is_ended_by_the_time_limits(answer: Answer) -> None:
    begun = time.monotonic()
    with answering(answer) as raw:
        settings = ClientSettings(user_agent="tests", first_byte_timeout=0.5, stall_timeout=0.5)
        failed = run(settle(batch(raw.origin, ["/a"], settings=settings)))
    assert failed[0].curl_code == 28
    assert time.monotonic() - begun < SOON


# --- connections


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_connection_that_dies_when_idle_costs_no_failure(method: str, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(bytes(100_000))
    body_size = 100_000 if method == "PUT" else 0
    closed = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(body_size, socket.MSG_WAITALL)
        connection.sendall(head("Content-Length: 2") + b"ok")
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with answering(answer) as raw, file.open("rb") as opened:
        for body in (Buffer(bytes(100_000)), (opened.fileno(), 0, 100_000)) * 5:
            made = new_batch(raw.origin, method, SETTINGS)
            made.add(b"/a", body=body if body_size else None)
            made.seal()
            assert run(settle(made)) == {}
            assert made.reply(0).attempts == 1
            assert closed.wait(SOON)
            closed.clear()


@pytest.mark.parametrize("close", [ends(b""), resets(b"")])
@pytest.mark.parametrize(("safe", "failures", "sent"), [(True, 0, 3), (False, 1, 2)])
@pytest.mark.parametrize("body_size", [0, 10, 100_000])
@pytest.mark.parametrize("proxied", [False, True])
def test_what_a_used_connection_has_taken_is_sent_again_only_if_that_does_no_harm(
    close: Answer, safe: bool, failures: int, sent: int, body_size: int, proxied: bool
) -> None:
    def answer(connection: socket.socket) -> None:
        warm = raw.heads[-1].startswith(b"GET") or len(raw.heads) == 3
        connection.recv(0 if raw.heads[-1].startswith(b"GET") else body_size, socket.MSG_WAITALL)
        (sends(head("Content-Length: 2") + b"ok") if warm else close)(connection)

    with answering(answer) as raw:
        settings = ClientSettings(user_agent="t", proxy=raw.origin if proxied else "")
        assert run(settle(batch(raw.origin, ["/warm"], settings=settings))) == {}
        made = new_batch(raw.origin, "PUT", settings, safe=safe)
        made.add(b"/a", body=Buffer(bytes(body_size)))
        made.seal()
        failed = run(settle(made))
    assert (len(failed), len(raw.heads)) == (failures, sent)
    reply = made.reply(0)
    silent = safe and (proxied or BY_CURL)  # libcurl does not tell how often it has sent
    assert reply.lost is not silent
    assert reply.attempts == (2 if safe and not silent else 1)


@pytest.mark.own_http("how much of a request it has sent is not known")
def test_what_a_used_connection_has_not_taken_whole_is_sent_again_in_any_case() -> None:
    def answer(connection: socket.socket) -> None:
        if len(raw.heads) != 2:
            connection.recv(0 if len(raw.heads) == 1 else 50_000_000, socket.MSG_WAITALL)
            connection.sendall(head("Content-Length: 2") + b"ok")
        else:
            resets(b"")(connection)

    with answering(answer) as raw:
        assert run(settle(batch(raw.origin, ["/warm"]))) == {}
        made = new_batch(raw.origin, "PUT", SETTINGS, safe=False)
        made.add(b"/a", body=Buffer(bytes(50_000_000)))
        made.seal()
        assert run(settle(made)) == {}
    assert (made.reply(0).attempts, made.reply(0).lost) == (2, False)


def test_many_connections_that_died_when_idle_cost_no_failure(server: Server) -> None:
    for background in (False, True):
        for targets in ([f"/5/{index}?delay=0.05" for index in range(64)], ["/5/a"]):
            made = batch(server.origin, targets)
            assert run(settle(made, background=background)) == {}
            assert {made.reply(index).attempts for index in range(made.total)} <= {1, 2}
            server.control("hang-up")


def test_a_refused_connection_fails_at_once() -> None:
    with answering(ends(b"")) as raw:
        pass
    begun = time.monotonic()
    failed = run(settle(batch(raw.origin, ["/a", "/b"])))
    assert {reply.curl_code for reply in failed.values()} == {7}
    assert raw.origin.removeprefix("http://").split(":")[0] in (failed[0].error or "")
    assert time.monotonic() - begun < SOON


def test_an_unknown_host_fails_alone(server: Server) -> None:
    failed = run(settle(batch("http://no-such-host.invalid", ["/a"])))
    assert failed[0].curl_code == 6
    assert run(settle(batch(server.origin, ["/5/a"]))) == {}


def test_tls_is_spoken_and_a_stranger_is_not_trusted(server: Server) -> None:
    assert run(settle(batch(server.tls_origin, [f"/5/{index}" for index in range(20)]))) == {}
    wary = ClientSettings(user_agent="tests", ca_file="/dev/null")
    failed = run(settle(batch(server.tls_origin, ["/5/a"], settings=wary)))
    assert failed[0].curl_code in (60, 77)
