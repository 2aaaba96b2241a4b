"""Connections are made before there are requests for them, while ever more requests go on at a time; and where more are
open in all than may be in flight, those are closed that are not used.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from objstore._core import ClientSettings, origin_info
from objstore.plans.run import arun, run
from objstore.store import S3Store
from tests.conftest import BY_CURL
from tests.engine.client import PATIENT, SETTINGS, at_best, batch, settle, wait_until
from tests.engine.raw import Raw, answering, resets
from tests.engine.test_replies import head

FIRST, ANSWERED_AT_ONCE = 64, 8
MOST_REQUESTS = FIRST + ANSWERED_AT_ONCE  # at a time, while no other reply has come
AWAY_SECONDS = 0.05
THREADS, CAP = 6, 2
UNUSED_SECONDS = 1.1  # what has been idle for a second may be closed
LOOPS_KEPT_SECONDS = 20  # of those that nobody uses then, the connections are closed in any case
FEW = 8


@pytest.mark.skipif(BY_CURL, reason="libcurl makes a connection for each request")
def test_connections_are_made_ahead() -> None:
    asked_for = count()

    def answer(connection: socket.socket) -> None:
        if next(asked_for) < ANSWERED_AT_ONCE:
            time.sleep(AWAY_SECONDS)
        else:
            wait_until(lambda: len(raw.connections) > MOST_REQUESTS)
        connection.sendall(head("Content-Length: 2") + b"ok")

    with answering(answer) as raw:
        asked = batch(raw.origin, [f"/{number}" for number in range(1_000)])
        failed = run(settle(asked))
    assert not failed
    assert len(raw.connections) > MOST_REQUESTS
    assert {bytes(body or b"") for body in asked.bodies()} == {b"ok"}


# --- how many are open

by_wires = pytest.mark.skipif(BY_CURL, reason="libcurl keeps its own connections, 256 for each of its multi handles")


@pytest.fixture
def raw() -> Iterator[Raw]:
    """A server that answers its first requests when there are as many as threads."""
    made: list[Raw] = []

    def answer(connection: socket.socket) -> None:
        wait_until(lambda: len(made[0].heads) >= THREADS)
        connection.sendall(head("Content-Length: 2") + b"ok")

    with answering(answer) as served:
        made.append(served)
        yield served


def opened(raw: Raw) -> int:
    """Return how many connections are open."""
    return sum(connection.fileno() >= 0 for connection in raw.connections)


def ask_by_threads(raw: Raw, **options: int) -> None:
    """Send a request by each of so many threads at the same time, which all have loops of their own."""
    with ThreadPoolExecutor(THREADS) as threads:
        asked = [threads.submit(lambda: run(settle(batch(raw.origin, ["/"], **options)))) for _ in range(THREADS)]
    assert [each.result() for each in asked] == [{}] * THREADS


def ask_by_helper(raw: Raw, settings: ClientSettings = SETTINGS) -> None:
    """Send a request by a loop that no thread of ours has."""
    assert asyncio.run(arun(settle(batch(raw.origin, ["/"], settings=settings, most_connections=CAP)))) == {}


@by_wires
def test_a_loop_that_needs_a_connection_has_unused_ones_of_others_closed(raw: Raw) -> None:
    ask_by_threads(raw)
    assert opened(raw) == THREADS
    time.sleep(UNUSED_SECONDS)
    ask_by_helper(raw)
    wait_until(lambda: opened(raw) <= CAP)


@by_wires
@at_best
def test_unused_connections_of_all_loops_are_closed_though_nobody_needs_one(raw: Raw) -> None:
    del raw.heads[:]
    before = len(raw.connections)
    ask_by_threads(raw)

    def ask() -> int:
        assert run(settle(batch(raw.origin, ["/"], most_connections=CAP))) == {}
        return opened(raw)

    wait_until(lambda: ask() <= CAP, LOOPS_KEPT_SECONDS / 2)
    assert len(raw.connections) <= before + THREADS


@by_wires
@at_best
def test_threads_that_share_a_few_requests_keep_their_connections(raw: Raw) -> None:
    """However few are in flight at a time: a connection for each request would cost more."""
    del raw.heads[:]
    before = len(raw.connections)
    ask_by_threads(raw)
    for _ in range(10):
        ask_by_threads(raw, most_connections=CAP)
    assert len(raw.connections) <= before + THREADS


@by_wires
def test_an_idle_connection_of_a_helper_is_closed_in_time(raw: Raw) -> None:
    ask_by_threads(raw)
    before = len(raw.connections)
    ask_by_helper(raw, ClientSettings(user_agent="tests", verify=False, max_idle=1, **PATIENT))
    assert len(raw.connections) == before + 1
    wait_until(lambda: raw.connections[-1].fileno() < 0)


@pytest.mark.parametrize("ends", ["closed", "reset"])
def test_a_server_that_takes_few_connections_is_asked_by_as_many(ends: str) -> None:
    served: set[socket.socket] = set()
    serving = threading.Lock()

    def is_served(connection: socket.socket) -> bool:
        with serving:
            served.difference_update([one for one in served if one.fileno() < 0])
            if len(served) < FEW:
                served.add(connection)
            return connection in served

    def answer(connection: socket.socket) -> None:
        if is_served(connection):
            time.sleep(0.002)
            connection.sendall(head("Content-Length: 2", 'ETag: "a"') + b"ok")
        else:
            ended(connection)

    ended = socket.socket.close if ends == "closed" else resets(b"")
    with answering(answer) as raw:
        store = S3Store("bucket", endpoint=raw.origin, skip_signature=True, client_options={"allow_http": True})
        assert store.get_many([str(number) for number in range(500)]) == [b"ok"] * 500
        found = origin_info(raw.origin)
    assert found is not None
    assert found["reads"] < FIRST


@by_wires
def test_threads_of_which_one_may_ask_share_a_connection() -> None:
    def answer(connection: socket.socket) -> None:
        time.sleep(0.02)
        connection.sendall(head("Content-Length: 2") + b"ok")

    with answering(answer) as raw:
        ask_by_threads(raw, most_connections=1)
        assert len(raw.connections) == 1


class Few:
    """A server that serves two connections at a time, and others not before one of these has ended."""

    def __init__(self, *, refuses: bool) -> None:
        self.refuses = refuses
        self.served: set[socket.socket] = set()
        self.serving = threading.Lock()

    def serves(self, connection: socket.socket) -> bool:
        with self.serving:
            self.served.difference_update([one for one in self.served if one.fileno() < 0])
            if len(self.served) < CAP:
                self.served.add(connection)
            return connection in self.served

    def answer(self, connection: socket.socket) -> None:
        if self.refuses and not self.serves(connection):
            connection.close()
            return
        wait_until(lambda: self.serves(connection))
        wait_until(lambda: len(self.served) == CAP)
        connection.sendall(head("Content-Length: 2", 'ETag: "a"') + b"ok")


@by_wires
@pytest.mark.parametrize("refuses", [False, True], ids=["waits", "refuses"])
def test_a_loop_that_is_not_served_has_idle_connections_of_others_closed(refuses: bool) -> None:
    """Before the time for a first byte is over, or by the second try."""
    with answering(Few(refuses=refuses).answer) as raw, ThreadPoolExecutor(CAP) as threads:
        options, retry = {"allow_http": True}, {"max_retries": int(refuses)}
        store = S3Store("bucket", endpoint=raw.origin, skip_signature=True, client_options=options, retry_config=retry)
        assert list(threads.map(store.get_many, [["a"], ["b"]])) == [[b"ok"]] * CAP
        assert asyncio.run(store.get_many_async(["c"])) == [b"ok"]
