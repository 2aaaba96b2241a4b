"""Connections are made before there are requests for them, while ever more requests go on at a time."""

from __future__ import annotations

import os
import socket
import threading
import time
from itertools import count

import pytest

from objstore._core import origin_info
from objstore.plans.run import run
from objstore.store import S3Store
from tests.engine.client import batch, settle, wait_until
from tests.engine.raw import answering, resets
from tests.engine.test_replies import head

FIRST, ANSWERED_AT_ONCE = 64, 8
MOST_REQUESTS = FIRST + ANSWERED_AT_ONCE  # at a time, while no other reply has come
AWAY_SECONDS = 0.05
FEW = 8


@pytest.mark.skipif(os.environ.get("OBJSTORE_HTTP") == "curl", reason="libcurl makes a connection for each request")
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
