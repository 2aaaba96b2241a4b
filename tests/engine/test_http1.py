"""HTTP/1.1 as the engine speaks it on connections of its own: what is sent, byte for byte, and all forms of replies."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from objstore._core import Buffer, ClientSettings, Reply, engine_info, origin_info
from objstore.http.retry import CURL_ROWS
from objstore.plans.run import run
from tests.conftest import BY_CURL
from tests.engine.client import SETTINGS, SOON, Server, at_best, batch, new_batch, settle, wait_until
from tests.engine.raw import Answer, Raw, answering, ends, sends
from tests.engine.server import certificate
from tests.engine.test_replies import ask, head, refused
from tests.faults.content import content

WEIRD = 8  # CURLE_WEIRD_SERVER_REPLY
RECEIVING = 56  # CURLE_RECV_ERROR


def in_pieces(data: bytes, cuts: list[int]) -> Answer:
    """Send bytes in pieces that arrive one by one."""

    def answer(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            connection.sendall(data[start:end])
            time.sleep(0.001)

    return answer


# --- what is sent


@pytest.mark.parametrize(("own", "sent"), [(None, "X-All: 1"), ([b"X-All: 2", b"X-One: 3"], "X-All: 2\r\nX-One: 3")])
def test_the_request_is_what_it_should_be(own: list[bytes] | None, sent: str) -> None:
    with answering(sends(head("Content-Length: 2") + b"ok")) as raw:
        made = new_batch(raw.origin, "GET", SETTINGS, headers=[b"X-All: 1"])
        made.add(b"/a%20b?c=d", 5, 7, headers=own)
        made.seal()
        run(settle(made))
    host = raw.origin.removeprefix("http://")
    assert raw.heads == [
        f"GET /a%20b?c=d HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tests\r\nAccept: */*\r\n"
        f"Range: bytes=5-6\r\n{sent}\r\n\r\n".encode()
    ]


def test_the_callers_fields_take_the_place_of_the_usual_ones() -> None:
    given = [
        b"host: example.com",
        b"User-agent: mine",
        b"ACCEPT: text/plain",
        b"X-Empty;",
        b"X-Left-Out:",
        b"Content-Type: ",
    ]
    with answering(sends(head("Content-Length: 2") + b"ok")) as raw:
        made = new_batch(raw.origin, "PUT", SETTINGS, headers=given)
        made.add(b"/a", body=Buffer(b""))
        made.seal()
        assert run(settle(made)) == {}
    expected = (
        b"PUT /a HTTP/1.1\r\nhost: example.com\r\nUser-agent: mine\r\nACCEPT: text/plain\r\nX-Empty:\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    if BY_CURL:  # which has its own order, and writes Host in its own letters
        assert [sorted(head.lower().splitlines()) for head in raw.heads] == [sorted(expected.lower().splitlines())]
    else:
        assert raw.heads == [expected]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://LOCALHOST:{port}", "localhost:{port}"),
        ("http://127.0.0.1:{port}", "127.0.0.1:{port}"),
        ("http://[::1]:{port}", "[::1]:{port}"),
    ],
)
def test_the_host_is_named_as_it_is_signed(origin: str, host: str) -> None:
    family = socket.AF_INET6 if "::1" in origin else socket.AF_INET
    with answering(sends(head("Content-Length: 2") + b"ok"), family) as raw:
        port = raw.origin.rpartition(":")[2]
        assert run(settle(batch(origin.format(port=port), ["/a"]))) == {}
    assert f"Host: {host.format(port=port)}\r\n".encode() in raw.heads[0]


@pytest.mark.parametrize("door", ["origin", "tls_origin"])
@pytest.mark.parametrize("size", [0, 1, 16 << 10, (16 << 10) + 1, 9_000_001])
@pytest.mark.parametrize("from_file", [False, True])
def test_every_byte_of_a_body_arrives(server: Server, tmp_path: Path, door: str, size: int, from_file: bool) -> None:
    body = random.Random(size).randbytes(size)
    file = tmp_path / "body"
    file.write_bytes(b"before" + body + b"behind")
    made = new_batch(getattr(server, door), "PUT", SETTINGS)
    with file.open("rb") as opened:
        for index in range(3):
            made.add(f"/5/{index}?digest=1".encode(), body=(opened.fileno(), 6, size) if from_file else Buffer(body))
        made.seal()
        assert run(settle(made)) == {}
    digest = hashlib.sha256(body).hexdigest().encode()
    assert [bytes(found or b"") for found in made.bodies()] == [digest] * 3
    assert made.bytes_sent == 3 * size


# --- replies in pieces

REPLIES = {
    "length": head("Content-Length: 10", 'ETag: "a"') + b"0123456789",
    "lower case": head("content-length:10") + b"0123456789",
    "chunks": head("Transfer-Encoding: chunked") + b"4\r\n0123\r\n6;name=value\r\n456789\r\n0\r\n\r\n",
    "chunks in capitals, with a trailer": head("transfer-encoding: Chunked")
    + b"00A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
    "folded": head("Content-Length:\r\n 10", "X-Long: a\r\n\tb\r\n  c") + b"0123456789",
    "interim": head(status="103 Early Hints") + head("Content-Length: 10") + b"0123456789",
    "bare line feeds": head("Content-Length: 10").replace(b"\r\n", b"\n") + b"0123456789",
    "HTTP/1.0": head("Content-Length: 10").replace(b"HTTP/1.1", b"HTTP/1.0") + b"0123456789",
    "no reason": head("Content-Length: 10", status="200 ") + b"0123456789",
}


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_the_same_in_whatever_pieces_it_comes(name: str) -> None:
    reply = REPLIES[name]
    every_byte = list(range(1, len(reply)))
    at_random = [sorted(random.Random(seed).sample(every_byte, 5)) for seed in range(5)]
    for cuts in ([], every_byte, *at_random):
        body, answer = ask(in_pieces(reply, cuts), keep_head=True)
        assert body == b"0123456789", (cuts, answer)
        assert answer.content_length in (10, -1)


def test_a_folded_field_is_one_field() -> None:
    _, reply = ask(sends(REPLIES["folded"]), keep_head=True)
    assert reply.headers["x-long"].split() == ["a", "b", "c"]


@pytest.mark.parametrize(
    "reply",
    [
        head(status="204 No Content"),
        head("Content-Length: 0"),
        head("Transfer-Encoding: chunked") + b"0\r\n\r\n",
    ],
)
def test_a_reply_without_a_body_leaves_the_connection_for_the_next(reply: bytes) -> None:
    with answering(sends(reply)) as raw:
        made = batch(raw.origin, ["/a", "/b", "/c"], method="DELETE", most_in_flight=1)
        before = engine_info()["connections"]
        assert run(settle(made)) == {}
    assert engine_info()["connections"] - before == 1


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_the_reply_to_a_head_has_no_body_whatever_it_says(method: str) -> None:
    reply = head("Content-Length: 7") if method == "HEAD" else head("Content-Length: 7", status="304 Not Modified")
    with answering(sends(reply)) as raw:
        made = batch(raw.origin, ["/a", "/b"], method=method, most_in_flight=1)
        failed = run(settle(made))
    assert len(failed) == (0 if method == "HEAD" else 2)
    assert len(raw.heads) == 2


# --- connections


def connections_for(answer: Answer, count: int = 4, settings: ClientSettings = SETTINGS) -> int:
    """Return how many connections so many requests take, one after the other."""
    with answering(answer) as raw:
        before = engine_info()["connections"]
        for index in range(count):
            assert run(settle(batch(raw.origin, [f"/{index}"], settings=settings))) == {}
    return int(engine_info()["connections"] - before)


@pytest.mark.parametrize(
    ("lines", "version", "connections"),
    [
        ([], "1.1", 1),
        (["Connection: close"], "1.1", 4),
        (["Connection: Keep-Alive, Close"], "1.1", 4),
        ([], "1.0", 4),
        (["Connection: keep-alive"], "1.0", 1),
        (["Connection: keep-alive"], "1.1", 1),
    ],
)
def test_a_connection_lasts_as_long_as_the_server_says(lines: list[str], version: str, connections: int) -> None:
    reply = head("Content-Length: 2", *lines).replace(b"HTTP/1.1", f"HTTP/{version}".encode()) + b"ok"
    assert connections_for(sends(reply)) == connections


def test_a_connection_is_not_kept_where_that_is_not_wanted() -> None:
    assert (
        connections_for(sends(head("Content-Length: 2") + b"ok"), 3, ClientSettings(user_agent="t", reuse=False)) == 3
    )


@at_best
def test_an_idle_connection_is_not_used_for_longer_than_allowed(server: Server) -> None:
    settings = ClientSettings(user_agent="t", max_idle=1)
    before = engine_info()["connections"]
    for pause in (0.2, 1.2, 0):
        assert run(settle(batch(server.origin, ["/5/a"], settings=settings))) == {}
        time.sleep(pause)
    assert engine_info()["connections"] - before == 2


@pytest.mark.own_http("it has rules of its own for the connections that settings may share")
def test_stores_that_connect_alike_share_connections_and_others_do_not(server: Server) -> None:
    def connections(settings: Callable[[], ClientSettings]) -> int:
        before = engine_info()["connections"]
        for _ in range(3):
            assert run(settle(batch(server.tls_origin, ["/5/a"], settings=settings()))) == {}
        return int(engine_info()["connections"] - before)

    assert connections(lambda: ClientSettings(user_agent="one", verify=False, connect_timeout=40)) == 1
    assert connections(lambda: ClientSettings(user_agent="two", verify=False, connect_timeout=40)) == 0
    assert connections(lambda: ClientSettings(user_agent="two", verify=False, connect_timeout=50)) == 1
    wary = batch(server.tls_origin, ["/5/a"], settings=ClientSettings(user_agent="two", connect_timeout=50))
    assert list(run(settle(wary))) == [0]


def test_the_wait_is_for_the_reply_and_not_for_the_connection() -> None:
    def shake_hands_slowly(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        time.sleep(1)
        with certificate().wrap_socket(connection, server_side=True) as secure:
            secure.recv(4096)
            time.sleep(0.05)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=shake_hands_slowly, args=(listener,))
        serving.start()
        origin = f"https://127.0.0.1:{listener.getsockname()[1]}"
        begun = time.monotonic()
        assert run(settle(batch(origin, ["/"]))) == {}
        took = time.monotonic() - begun
        serving.join()
    seen = origin_info(origin)
    assert seen is not None
    assert 0.05 <= seen["least_wait"] <= took - 1


def test_what_one_connection_brings_is_known_of_long_replies() -> None:
    def answer(connection: socket.socket) -> None:
        long = raw.heads[-1].startswith(b"GET /long")
        size = (1 << 20) if long else 1000
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        connection.sendall(bytes(size // 2))
        time.sleep(0.1 * long)
        connection.sendall(bytes(size // 2))

    with answering(answer) as raw:
        rates = []
        for target in ("/short", "/long"):
            begun = time.monotonic()
            assert run(settle(batch(raw.origin, [target]))) == {}
            seen = origin_info(raw.origin)
            assert seen is not None
            rates.append(seen["connection_bytes_per_second"])
    assert rates[0] is None
    assert (1 << 20) / (time.monotonic() - begun) <= rates[1] <= (1 << 20) / 0.09


@pytest.mark.own_http("it does not tell the kernel how much is expected")
@at_best
def test_the_kernel_holds_much_of_a_large_body_and_no_byte_waits_for_others() -> None:
    size, held = 8 << 20, []
    trickled, paused, filled = threading.Event(), threading.Event(), threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
        reply = head(f"Content-Length: {size}") + content(0, size)
        for at in range(0, 16_000, 1000):  # far less than is expected, and not a stall all the same
            connection.sendall(reply[at : at + 1000])
            time.sleep(0.2)
        trickled.set()
        assert paused.wait(SOON)
        connection.settimeout(0.3)  # nobody reads: what can be sent is what the kernels hold
        sent = 16_000
        with suppress(TimeoutError):
            while sent < len(reply):
                sent += connection.send(reply[sent : sent + 10_000])
        held.append(sent)
        filled.set()
        connection.settimeout(None)
        connection.sendall(reply[sent:])

    with answering(answer) as raw:
        made = new_batch(raw.origin, "GET", ClientSettings(user_agent="t", stall_timeout=2.5))
        made.add(b"/a", 0, size)
        made.seal()
        made.start()
        while not trickled.is_set():
            assert not made.wait(0.05), made.failures()[0].error
        paused.set()
        assert filled.wait(SOON)
        assert run(settle(made)) == {}
        assert made.bodies() == [content(0, size)]
    assert held[0] > 1 << 20


def test_every_redirect_is_followed_by_itself(server: Server) -> None:
    settings = ClientSettings(user_agent="t", redirects="http,https")
    before = engine_info()["connections"]
    for hops in (1, 0, 3):
        server.control("forget")
        made = batch(server.origin, [f"/5/a?hops={hops}"], settings=settings)
        assert run(settle(made)) == {}
        assert made.reply(0).attempts == 1
        assert len(server.seen()["requests"]) == hops + 1
    assert engine_info()["connections"] - before <= 1  # by libcurl none, where an earlier test has left one


def test_a_server_that_a_redirect_leads_back_to_gets_what_is_its() -> None:
    raws: list[Raw] = []

    def answer(connection: socket.socket) -> None:
        target = raws[0].heads[-1].split(b" ")[1]
        onward = {b"/a": f"{there}/b/./c?d=e f#g", b"/b/./c?d=e+f": f"//{here}/x", b"/x": "y?z", b"/y?z": "?z=../"}
        if target in onward:
            connection.sendall(head(f"Location: {onward[target]}", "Content-Length: 4", status="302 Found") + b"away")
        else:
            connection.sendall(head("Content-Length: 2") + b"ok")

    with answering(answer) as raw:
        raws.append(raw)
        here = raw.origin.removeprefix("http://")
        there = raw.origin.replace("127.0.0.1", "localhost")
        made = new_batch(raw.origin, "GET", ClientSettings(user_agent="t", redirects="http"), headers=[b"X-Mine: 1"])
        made.add(b"/a", 0, 2)
        made.seal()
        assert run(settle(made)) == {}
    assert made.bodies() == [b"ok"]
    assert [(head.split(b" ")[1], b"X-Mine" in head) for head in raw.heads] == [
        (b"/a", True),
        (b"/b/./c?d=e+f", False),
        (b"/x", True),
        (b"/y?z", True),
        (b"/y?z=../", True),
    ]
    assert all(b"Range: bytes=0-1\r\n" in head for head in raw.heads)


def test_an_idle_connection_that_the_server_closed_is_seen(server: Server) -> None:
    made = batch(server.origin, [f"/5/{index}?delay=0.01" for index in range(8)])
    assert run(settle(made)) == {}
    server.control("hang-up")
    wait_until(lambda: server.seen()["open"] == 0)
    made = batch(server.origin, [f"/5/{index}" for index in range(8)])
    assert run(settle(made)) == {}
    assert {made.reply(index).attempts for index in range(8)} == {1}


# --- uploads that are answered early


def after_part(reply: bytes, size: int, then: Callable[[socket.socket], None]) -> Answer:
    """Read `size` bytes of the request's body, reply, go on, and close: what is left of the body is no request."""

    def answer(connection: socket.socket) -> None:
        connection.recv(size, socket.MSG_WAITALL)
        connection.sendall(reply)
        then(connection)
        connection.close()

    return answer


def upload(answer: Answer, size: int, tmp_path: Path, from_file: bool) -> Reply:
    """Send one body; return the reply, failed or not."""
    file = tmp_path / "body"
    file.write_bytes(bytes(size))
    with answering(answer) as raw, file.open("rb") as opened:
        made = new_batch(raw.origin, "PUT", SETTINGS)
        made.add(b"/a", body=(opened.fileno(), 0, size) if from_file else Buffer(bytes(size)))
        made.seal()
        failed = run(settle(made))
    return failed.get(0) or made.reply(0)


SIZE = 30_000_000
DENIED = head("Content-Length: 6", status="403 Forbidden") + b"denied"


def close_in_time(connection: socket.socket) -> None:
    """Close as services do that have refused an upload: not before the client has had time to read."""
    connection.shutdown(socket.SHUT_WR)
    time.sleep(0.2)
    connection.close()


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize("then", [close_in_time, lambda connection: time.sleep(1)])
def test_an_upload_that_is_refused_early_ends_with_what_the_server_said(
    tmp_path: Path, from_file: bool, then: Callable[[socket.socket], None]
) -> None:
    begun = time.monotonic()
    reply = upload(after_part(DENIED, 1000, then), SIZE, tmp_path, from_file)
    assert (reply.status, bytes(reply.body), reply.curl_code) == (403, b"denied", 0)
    assert time.monotonic() - begun < SOON


def test_a_connection_that_breaks_under_an_upload_is_an_error(tmp_path: Path) -> None:
    reply = upload(after_part(b"", 1000, lambda connection: connection.close()), SIZE, tmp_path, False)
    assert reply.curl_code in (52, 55, 56)
    assert reply.status == 0


def test_an_upload_that_succeeds_early_is_sent_to_its_end(tmp_path: Path) -> None:
    came = []

    def rest(connection: socket.socket) -> None:
        time.sleep(0.1)
        came.append(len(connection.recv(SIZE - 1000, socket.MSG_WAITALL)))

    reply = upload(after_part(head("Content-Length: 2") + b"ok", 1000, rest), SIZE, tmp_path, False)
    assert (reply.status, reply.curl_code) == (200, 0)
    wait_until(lambda: came == [SIZE - 1000])  # the kernel had taken all; the server was still reading


def test_an_upload_that_succeeds_early_and_then_breaks_is_an_error(tmp_path: Path) -> None:
    reply = upload(after_part(head("Content-Length: 2") + b"ok", 1000, close_in_time), SIZE, tmp_path, False)
    assert reply.curl_code == 55


def test_a_file_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(bytes(1000))
    with answering(after_part(head("Content-Length: 0"), 1001, lambda _: None)) as raw, file.open("rb") as opened:
        made = new_batch(raw.origin, "PUT", SETTINGS)
        made.add(b"/a", body=(opened.fileno(), 0, 1001))
        made.seal()
        assert run(settle(made))[0].curl_code == 42


# --- large bodies


@pytest.mark.parametrize("door", ["origin", "tls_origin"])
def test_every_byte_of_large_bodies_comes(server: Server, door: str) -> None:
    size = 20_000_000
    made = new_batch(getattr(server, door), "GET", SETTINGS, most_in_flight=4)
    memory = bytearray(size)
    out = Buffer(memory, writable=True)
    for framing in ("length", "chunked"):
        made.add(f"/{size}/a?framing={framing}".encode())
    made.add(f"/{size}/b".encode(), out=out)
    made.add(f"/{size}/c?ranges=0".encode(), 7, size - 7)
    made.seal()
    assert run(settle(made)) == {}
    whole = content(0, size)
    bodies = made.bodies()
    assert bodies[0] == bodies[1] == bodies[2] == memory == whole
    assert bodies[3] == whole[7:-7]


# --- replies that are none


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n", WEIRD),
        (b"HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 0\r\n\r\n", WEIRD),
        (b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n", WEIRD),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", WEIRD),
        (b"HTTP/1.1 099 Early\r\n\r\n", WEIRD),
        (b"ICY 200 OK\r\n\r\n", WEIRD),
        (head("Transfer-Encoding: gzip") + b"ok", WEIRD),
        (head("Transfer-Encoding: chunked") + b"\r\n", RECEIVING),
        (head("Transfer-Encoding: chunked") + b"-1\r\n", RECEIVING),
        (head("Transfer-Encoding: chunked") + b"2\r\nokX\r\n0\r\n\r\n", RECEIVING),
        (head("Transfer-Encoding: chunked") + b"1;" + b"x" * 5000, RECEIVING),
        (head("Transfer-Encoding: chunked") + b"0" * 5000, RECEIVING),
        (head("Transfer-Encoding: chunked") + b"0\r\n" + b"X: 1\r\n" * 60_000, RECEIVING),
    ],
)
def test_what_is_no_reply_is_refused(reply: bytes, code: int) -> None:
    # libcurl has words of its own for a reply that is not HTTP at all
    assert CURL_ROWS[refused(ends(reply)).curl_code] == CURL_ROWS[code]
