"""HTTP/2, which libcurl speaks: many requests share a connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import pytest

from objstore._core import Batch, Buffer, ClientSettings, Kind
from objstore.plans.run import run
from tests.engine.client import PATIENT, SOON, batch, new_batch, settle, wait_until

connection = pytest.importorskip("h2.connection", reason="h2 is not installed")
config = pytest.importorskip("h2.config", reason="h2 is not installed")
events = pytest.importorskip("h2.events", reason="h2 is not installed")
REQUESTS = 350
EACH = 100  # requests at a time on one connection, as this server says
SETTINGS = ClientSettings(user_agent="tests", http_version="2-prior", **PATIENT)
Together = Mapping[str, threading.Barrier]


@contextmanager
def speaking(**together: int) -> Iterator[tuple[str, list[socket.socket]]]:
    """Answer every request; yield the origin, and the connections that were accepted.

    Args:
        together: Requests below such a folder are answered when there is one on each of so many connections.
    """
    barriers = {folder: threading.Barrier(count) for folder, count in together.items()}
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=REQUESTS) as listener:
        threading.Thread(target=_accept, args=(listener, accepted, barriers), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", accepted
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, accepted: list[socket.socket], together: Together) -> None:
    with suppress(OSError):
        while True:
            accepted.append(listener.accept()[0])
            threading.Thread(target=_serve, args=(accepted[-1], together), daemon=True).start()


def _serve(client: socket.socket, together: Together) -> None:
    server = connection.H2Connection(config.H2Configuration(client_side=False))
    server.initiate_connection()
    with client, suppress(OSError, threading.BrokenBarrierError):
        client.sendall(server.data_to_send())
        while data := client.recv(1 << 16):
            for event in server.receive_data(data):
                if isinstance(event, events.RequestReceived):
                    folder = dict(event.headers)[b":path"].decode().split("/")[1]
                    if folder in together:
                        together[folder].wait(SOON)
                elif isinstance(event, events.DataReceived):
                    server.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, events.StreamEnded):
                    server.send_headers(event.stream_id, [(":status", "200"), ("content-length", "2")])
                    server.send_data(event.stream_id, b"ok", end_stream=True)
            client.sendall(server.data_to_send())


def test_a_connection_is_made_where_all_others_are_full() -> None:
    with speaking() as (origin, accepted):
        asked = batch(origin, [f"/{number}" for number in range(REQUESTS)], settings=SETTINGS, most_in_flight=REQUESTS)
        assert run(settle(asked)) == {}
    assert {bytes(body or b"") for body in asked.bodies()} == {b"ok"}
    assert len(accepted) <= -(-REQUESTS // EACH)


def ask_long(origin: str, folder: str, count: int, most: int = 1 << 40) -> None:
    """Ask for so many long ranges, where no more than `most` may be in flight in all."""
    long = new_batch(origin, settings=SETTINGS, most_in_flight=count, most_connections=most)
    for number in range(count):
        long.add(f"/{folder}/{number}".encode(), number << 21, number + 1 << 21)
    long.seal()
    run(settle(long))


def test_what_is_long_has_connections_of_its_own_that_stay_and_what_is_short_shares_one() -> None:
    with speaking(few=4, more=8) as (origin, accepted):
        for folder, count in (("few", 4), ("more", 8)):
            ask_long(origin, folder, count)
            assert len(accepted) == count
        assert run(settle(batch(origin, ["/"] * 50, settings=SETTINGS))) == {}
        assert len(accepted) == 9


def test_where_more_are_open_than_may_be_in_flight_those_that_are_unused_are_closed() -> None:
    def open_after_a_call() -> int:
        ask_long(origin, "alone", 8, most=8)
        return sum(client.fileno() >= 0 for client in accepted)

    with speaking(both=8, alone=8) as (origin, accepted):
        thread = threading.Thread(target=ask_long, args=(origin, "both", 4))
        thread.start()
        ask_long(origin, "both", 4)
        thread.join()
        assert open_after_a_call() in (8, 12)
        wait_until(lambda: open_after_a_call() == 8)
        assert len(accepted) == 12


def test_long_bodies_are_sent_side_by_side() -> None:
    with speaking(long=2) as (origin, _):
        sent = new_batch(origin, method="PUT", settings=SETTINGS)
        for number in range(2):
            sent.add(f"/long/{number}".encode(), body=Buffer(bytes(1 << 20)))
        sent.seal()
        assert run(settle(sent)) == {}


def test_what_is_not_read_on_holds_back_nothing_else() -> None:
    with speaking(stream=2) as (origin, _):
        streams = [Batch(Kind(origin, "GET", SETTINGS), window=1 << 16, piece=1 << 16) for _ in range(2)]
        for number, stream in enumerate(streams):
            stream.add(f"/stream/{number}".encode())
            stream.seal()
            stream.start(background=True)
        for stream in streams:
            assert run(settle(stream)) == {}
