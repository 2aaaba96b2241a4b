"""A server in this process that answers every request by a function on the bare connection."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = Callable[[socket.socket], None]


@dataclass(frozen=True, slots=True)
class Raw:
    """The running server."""

    origin: str
    heads: list[bytes] = field(default_factory=list)
    """The heads of the requests, as they came."""
    connections: list[socket.socket] = field(default_factory=list)
    """Those that were accepted, closed ones too."""


@contextmanager
def answering(answer: Answer, family: int = socket.AF_INET, tls: ssl.SSLContext | None = None) -> Iterator[Raw]:
    """Run the server until the block is left. After `answer` the connection goes on, unless that closed it."""
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((host, 0), family=family) as listener:
        raw = Raw(f"{'http' if tls is None else 'https'}://{host}:{listener.getsockname()[1]}")
        accepting = threading.Thread(target=_accept, args=(listener, answer, raw, tls), daemon=True)
        accepting.start()
        yield raw
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


@contextmanager
def crowded(answer: bytes, seconds: float) -> Iterator[Raw]:
    """Run a server that has one connection at a time, for one request that takes so many seconds.

    The kernel lets two more wait and does not answer others.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        raw = Raw(f"http://127.0.0.1:{listener.getsockname()[1]}")
        serving = threading.Thread(target=_serve_in_turn, args=(listener, answer, seconds, raw.heads), daemon=True)
        serving.start()
        yield raw
        listener.shutdown(socket.SHUT_RDWR)
        serving.join()


def _serve_in_turn(listener: socket.socket, answer: bytes, seconds: float, heads: list[bytes]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                if head := _head(connection):
                    heads.append(head)
                    time.sleep(seconds)
                    connection.sendall(answer)


def _accept(listener: socket.socket, answer: Answer, raw: Raw, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            raw.connections.append(connection)
            threading.Thread(target=_serve, args=(connection, answer, raw.heads, tls), daemon=True).start()


def _serve(connection: socket.socket, answer: Answer, heads: list[bytes], tls: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        connection = connection if tls is None else tls.wrap_socket(connection, server_side=True)
    with connection, suppress(OSError):
        while head := _head(connection):
            heads.append(head)
            answer(connection)


def _head(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = connection.recv(1)
        if not more:
            return b""
        head += more
    return head


def sends(data: bytes) -> Answer:
    """Send bytes and wait for the next request."""
    return lambda connection: connection.sendall(data)


def ends(data: bytes) -> Answer:
    """Send bytes, then FIN."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


def resets(data: bytes) -> Answer:
    """Send bytes, then RST."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        time.sleep(0.02)  # else the reset overtakes the bytes
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return answer


def drips(data: bytes, drop: bytes, pause: float) -> Answer:
    """Send bytes, then a drop of others after each pause, for ever."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        while True:
            time.sleep(pause)
            connection.sendall(drop)

    return answer


def pours(data: bytes, more: bytes) -> Answer:
    """Send bytes, then others for ever, as fast as they are taken."""
    return drips(data, more, 0)
