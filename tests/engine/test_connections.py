"""Connections are made before there are requests for them, while ever more requests go on at a time."""

from __future__ import annotations

import os
import socket
import threading
import time
from itertools import count

import pytest

from objstore.plans.run import run
from tests.engine.client import batch, settle
from tests.engine.raw import answering
from tests.engine.server import certificate
from tests.engine.test_replies import head

FIRST, ANSWERED_AT_ONCE = 64, 8
AWAY_SECONDS = 0.05


@pytest.mark.skipif(os.environ.get("OBJSTORE_HTTP") == "curl", reason="libcurl makes a connection for each request")
def test_connections_are_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    context, made, asked_for, enough = certificate(), [], count(), threading.Event()
    shake_hands = context.wrap_socket

    def wrap_socket(connection: socket.socket, *, server_side: bool) -> socket.socket:
        time.sleep(AWAY_SECONDS)
        secure = shake_hands(connection, server_side=server_side)
        made.append(secure)
        if len(made) > FIRST:
            enough.set()
        return secure

    def answer(connection: socket.socket) -> None:
        time.sleep(AWAY_SECONDS)
        if next(asked_for) >= ANSWERED_AT_ONCE:
            enough.wait(30)
        connection.sendall(head("Content-Length: 2") + b"ok")

    monkeypatch.setattr(context, "wrap_socket", wrap_socket)
    with answering(answer, tls=context) as raw:
        asked = batch(raw.origin, [f"/{number}" for number in range(2_000)])
        failed = run(settle(asked))
    assert not failed
    assert enough.is_set()
    assert {bytes(body or b"") for body in asked.bodies()} == {b"ok"}
