"""A connection that has something to say before it is asked is used no more: nobody gets the bytes of another key. And
what waits for a new connection takes an idle one.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from objstore._core import ClientSettings, engine_info
from objstore.plans.run import run
from tests.engine.client import SETTINGS, SOON, Server, batch, settle
from tests.engine.raw import Answer, Raw, answering
from tests.engine.server import certificate
from tests.engine.test_replies import head
from tests.tls_proxy import standing_in

SIZE = 50_000


def own(target: str) -> bytes:
    """Return the body of a key, which is no other's."""
    return (target.encode() + b" ") * (SIZE // (len(target) + 1))


def own_reply(target: str) -> bytes:
    return head(f"Content-Length: {len(own(target))}") + own(target)


def too_much(raws: list[Raw], excess: dict[str, Callable[[socket.socket], None]]) -> Answer:
    """Answer each key by its own bytes, and say more behind some."""

    def answer(connection: socket.socket) -> None:
        method, target, _ = raws[0].heads[-1].decode().split(" ", 2)
        if target in excess:
            excess[target](connection)
        elif method == "HEAD":
            connection.sendall(own_reply(target).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        else:
            connection.sendall(own_reply(target))

    return answer


def one_by_one(raw: Raw, count: int, method: str = "GET", settings: ClientSettings = SETTINGS) -> None:
    """Read so many keys by one connection at a time, and see that each gets its own bytes."""
    made = batch(
        raw.origin, [f"/k{index}" for index in range(count)], method=method, settings=settings, most_in_flight=1
    )
    failed = run(settle(made))
    for index, body in enumerate(made.bodies()):
        if index not in failed:
            assert bytes(body or b"") == (own(f"/k{index}") if method == "GET" else b""), index
    assert len(failed) <= 1


EXCESS = {
    "a whole reply": own_reply("/k7") + head("Content-Length: 5") + b"WRONG",
    "a reply of the same size": own_reply("/k7") * 2,
    "one byte": own_reply("/k7") + b"\n",
    "the body of a 304": head("Content-Length: 44", status="304 Not Modified") + head("Content-Length: 5") + b"WRONG",
    "the body of a 204": head(status="204 No Content") + head("Content-Length: 5") + b"WRONG",
    "chunks": head("Transfer-Encoding: chunked") + b"3\r\n/k7\r\n0\r\n\r\n" + own_reply("/k0"),
}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("name", ["a whole reply", "a reply of the same size", "one byte"])
def test_what_stands_behind_a_body_is_nobodys(name: str, tls: bool) -> None:
    raws: list[Raw] = []
    answer = too_much(raws, {"/k7": lambda connection: connection.sendall(EXCESS[name])})
    with answering(answer, tls=certificate() if tls else None) as raw:
        raws.append(raw)
        one_by_one(raw, 20)


@pytest.mark.parametrize("name", ["a whole reply", "a reply of the same size", "one byte"])
def test_what_stands_behind_a_body_that_came_through_a_proxy_is_nobodys(name: str, tmp_path: Path) -> None:
    raws: list[Raw] = []
    answer = too_much(raws, {"/k7": lambda connection: connection.sendall(EXCESS[name])})
    with answering(answer) as raw, standing_in({"example.com": raw.origin}, tmp_path) as proxy:
        raws.append(raw)
        settings = ClientSettings(user_agent="tests", verify=False, proxy=proxy.url)
        before = engine_info()["connections"]
        one_by_one(Raw("https://example.com"), 20, settings=settings)
        assert engine_info()["connections"] - before <= 3  # one that goes on, or one more where it is not to


@pytest.mark.parametrize("name", ["the body of a 304", "the body of a 204", "chunks"])
def test_what_stands_behind_an_end_is_nobodys(name: str) -> None:
    raws: list[Raw] = []
    answer = too_much(raws, {"/k7": lambda connection: connection.sendall(EXCESS[name])})
    with answering(answer) as raw:
        raws.append(raw)
        made = batch(raw.origin, [f"/k{index}" for index in range(20)], most_in_flight=1)
        run(settle(made))
    wrong = [index for index, body in enumerate(made.bodies()) if body is not None and body != own(f"/k{index}")]
    assert wrong in ([], [7])


def test_what_stands_behind_the_head_of_a_head_is_nobodys() -> None:
    raws: list[Raw] = []
    with_body = own_reply("/k7")
    with answering(too_much(raws, {"/k7": lambda connection: connection.sendall(with_body)})) as raw:
        raws.append(raw)
        one_by_one(raw, 20, "HEAD")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_what_comes_while_a_connection_is_idle_is_nobodys(tls: bool) -> None:
    raws: list[Raw] = []
    said = threading.Event()

    def later(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is said must have been sent
        connection.sendall(own_reply("/k7"))
        time.sleep(0.005)
        try:
            connection.sendall(own_reply("/wrong"))
        finally:
            said.set()  # the client may hang up at the first bytes

    with answering(too_much(raws, {"/k7": later}), tls=certificate() if tls else None) as raw:
        raws.append(raw)
        for target in ("/k6", "/k7", "/k8", "/k9") * 20:
            made = batch(raw.origin, [target])
            assert run(settle(made)) == {}
            assert made.bodies() == [own(target)]
            if target == "/k7":
                assert said.wait(SOON)
                said.clear()


def test_what_a_server_says_before_it_is_asked_is_no_reply() -> None:
    unasked = own_reply("/unasked")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(unasked)
                connection.recv(1)

        greeting = threading.Thread(target=greet)
        greeting.start()
        made = batch(f"http://127.0.0.1:{listener.getsockname()[1]}", ["/a"])
        # the kernel may have the greeting only after the request has left; then it is a reply like any other
        failed = run(settle(made))
        greeting.join()
    assert failed == {} or failed[0].curl_code == 8


def test_asking_costs_no_connection(server: Server) -> None:
    for origin in (server.origin, server.tls_origin):
        before = engine_info()["connections"]
        made = batch(origin, [f"/5/{index}" for index in range(200)], most_in_flight=1, settings=SETTINGS)
        assert run(settle(made)) == {}
        assert engine_info()["connections"] - before <= 1


@pytest.mark.skipif(os.environ.get("OBJSTORE_HTTP") == "curl", reason="libcurl keeps to the connection that it makes")
def test_what_waits_for_a_connection_takes_an_idle_one() -> None:
    """The server has one connection and takes no more, as where the first packet of a new one is lost."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        place = listener.getsockname()
        origin = f"http://127.0.0.1:{place[1]}"
        serving = threading.Thread(target=serve_one, args=(listener,), daemon=True)
        serving.start()
        assert not run(settle(batch(origin, ["/first"], settings=SETTINGS)))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(place)
        begun = time.monotonic()
        made = batch(origin, [f"/k{index}" for index in range(40)], settings=SETTINGS, most_in_flight=8)
        assert not run(settle(made))
        assert [bytes(body or b"") for body in made.bodies()] == [b"/k%d" % index for index in range(40)]
        assert time.monotonic() - begun < SOON  # the others would have waited for the limit, and failed


def serve_one(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        while asked := connection.recv(1 << 16):
            target = asked.split(b" ", 2)[1]
            connection.sendall(head(f"Content-Length: {len(target)}") + target)
