"""HTTP/2, which libcurl speaks: many requests share a connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from objstore._core import ClientSettings
from objstore.plans.run import run
from tests.engine.client import PATIENT, batch, settle

connection = pytest.importorskip("h2.connection", reason="h2 is not installed")
config = pytest.importorskip("h2.config", reason="h2 is not installed")
events = pytest.importorskip("h2.events", reason="h2 is not installed")
REQUESTS = 350
EACH = 100  # requests at a time on one connection, as this server says


@contextmanager
def speaking() -> Iterator[tuple[str, list[socket.socket]]]:
    """Answer every request; yield the origin, and the connections that were accepted."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=REQUESTS) as listener:
        threading.Thread(target=_accept, args=(listener, accepted), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", accepted
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, accepted: list[socket.socket]) -> None:
    with suppress(OSError):
        while True:
            accepted.append(listener.accept()[0])
            threading.Thread(target=_serve, args=(accepted[-1],), daemon=True).start()


def _serve(client: socket.socket) -> None:
    server = connection.H2Connection(config.H2Configuration(client_side=False))
    server.initiate_connection()
    with client, suppress(OSError):
        client.sendall(server.data_to_send())
        while data := client.recv(1 << 16):
            for event in server.receive_data(data):
                if isinstance(event, events.RequestReceived):
                    server.send_headers(event.stream_id, [(":status", "200"), ("content-length", "2")])
                    server.send_data(event.stream_id, b"ok", end_stream=True)
            client.sendall(server.data_to_send())


def test_a_connection_is_made_where_all_others_are_full() -> None:
    settings = ClientSettings(user_agent="tests", http_version="2-prior", **PATIENT)
    with speaking() as (origin, accepted):
        asked = batch(origin, [f"/{number}" for number in range(REQUESTS)], settings=settings, most_in_flight=REQUESTS)
        assert run(settle(asked)) == {}
    assert {bytes(body or b"") for body in asked.bodies()} == {b"ok"}
    assert len(accepted) <= -(-REQUESTS // EACH)
