"""Connections are made before there are requests for them, while ever more requests go on at a time."""

from __future__ import annotations

import os
import socket
import time
from itertools import count

import pytest

from objstore.plans.run import run
from tests.engine.client import batch, settle, wait_until
from tests.engine.raw import answering
from tests.engine.test_replies import head

FIRST, ANSWERED_AT_ONCE = 64, 8
MOST_REQUESTS = FIRST + ANSWERED_AT_ONCE  # at a time, while no other reply has come
AWAY_SECONDS = 0.05


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
