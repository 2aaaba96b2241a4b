"""A server in this process that answers what is quick by itself, and leaves every try of all else to the test."""

from __future__ import annotations

import random
import socket
import ssl
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from objstore._core import Batch, Buffer, ClientSettings, Tally, engine_info
from objstore.plans.effects import Background, Plan
from objstore.plans.run import run
from tests.engine.client import PATIENT, SOON, new_batch, settle, wait_until

HEDGING = ClientSettings(user_agent="tests", hedge=True, **PATIENT)
BODY = b"abcdef" * 100


def reply(body: bytes = BODY, *lines: str, status: int = 200, tag: str = '"1"', length: int = -1) -> bytes:
    """Return a reply whose body is as long as it says, or of another length."""
    size = len(body) if length < 0 else length
    head = [f"HTTP/1.1 {status} Said", f"Content-Length: {size}", f"ETag: {tag}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


@dataclass(slots=True)
class Tried:
    """One try of a request, on its connection."""

    connection: socket.socket
    head: str
    over: threading.Event = field(default_factory=threading.Event)

    def send(self, data: bytes) -> None:
        """Send a part of the reply, if anybody is left to take it."""
        with suppress(OSError):
            self.connection.sendall(data)

    def answer(self, data: bytes) -> None:
        """Send the rest of the reply; the connection goes on."""
        self.send(data)
        self.over.set()

    def end(self, *, reset: bool = False) -> None:
        """Close the connection."""
        with suppress(OSError):
            if reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
        self.over.set()

    def is_dropped(self) -> bool:
        """Wait until the client has closed the connection; False where it says something instead."""
        self.connection.settimeout(SOON)
        try:
            return self.connection.recv(1) == b""
        except ConnectionError:
            return True


@dataclass(slots=True)
class Twice:
    """The running server."""

    origin: str
    settings: ClientSettings = HEDGING
    counts: Counter[str] = field(default_factory=Counter)
    """How many requests have come for each target."""
    tries: dict[str, list[Tried]] = field(default_factory=lambda: defaultdict(list))
    quick: Callable[[str], Iterable[bytes]] = lambda _: [reply()]
    """The pieces of what is answered to a target."""
    tally: Tally = field(default_factory=Tally)

    def ask(self, count: int = 64, method: str = "GET") -> None:
        """Send so many requests that are answered at once."""
        made = new_batch(self.origin, method, self.settings, hedged=True, tally=self.tally)
        for index in range(count):
            made.add(f"/quick/{index}".encode())
        made.seal()
        assert run(settle(made)) == {}

    def tried(self, target: str, count: int) -> Tried:
        """Return the last of so many tries of a request; quick ones earn it meanwhile, where it is to be a hedge."""

        def came() -> bool:
            if 0 < len(self.tries[target]) < count:
                self.ask(16)
            return len(self.tries[target]) >= count

        wait_until(came)
        return self.tries[target][count - 1]


@contextmanager
def twice(tls: ssl.SSLContext | None = None, **settings: Any) -> Iterator[Twice]:
    """Run the server until the block is left."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        hedging = ClientSettings(user_agent="tests", hedge=True, **PATIENT, **settings) if settings else HEDGING
        server = Twice(f"http://{address}" if tls is None else f"https://{address}", hedging)
        accepting = threading.Thread(target=_accept, args=(listener, server, tls), daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for tried in [each for tries in server.tries.values() for each in tries]:
                tried.end()
            accepting.join()


def _accept(listener: socket.socket, server: Twice, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve, args=(connection, server, tls), daemon=True).start()


def _serve(connection: socket.socket, server: Twice, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        connection = connection if tls is None else tls.wrap_socket(connection, server_side=True)
    with connection, suppress(OSError, ValueError):
        while head := _head(connection):
            target = urlsplit(head.split(" ", 2)[1]).path  # without the server, of which a proxy is told
            server.counts[target] += 1
            if target.startswith("/quick"):
                for piece in server.quick(target):
                    only_head = piece.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                    connection.sendall(only_head if head.startswith("HEAD") else piece)
            else:
                tried = Tried(connection, head)
                server.tries[target].append(tried)
                tried.over.wait()


def _head(connection: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = connection.recv(1 << 16)
        if not more:
            return ""
        head += more
    return head.decode()


def body_of(target: str) -> bytes:
    """Return a body of its own for a target."""
    return (target.encode() * 600)[:600]


def stutters(target: str, slowness: int = 1) -> Iterator[bytes]:
    """Answer now at once and now late, as a whole, or stalled in the head or in the body; now and then, break off."""
    whole = reply(body_of(target))
    cut = random.choice([0, 0, 20, len(whole) - 400])
    yield whole[:cut]
    time.sleep(slowness * random.choice([0] * 12 + [0.002, 0.004, 0.008, 0.016]))
    if random.random() < 0.02:
        raise ConnectionError
    yield whole[cut:]


def hammer(server: Twice, drive: Callable[[Plan[None]], object], rounds: int = 100) -> None:
    """Read into memory of ours, round after round, and now and then end that in the middle. What is wanted is there,
    and when a batch has ended, nobody writes to what it was given. Where the machine is too busy for anything to be
    late, the rounds go on with more lateness."""
    left = []
    for count in range(8 * rounds):
        if count >= rounds and server.tally.counts()["hedges"]:
            break
        server.quick = partial(stutters, slowness=2 ** (count // rounds))
        memory = bytearray(40 * 600)
        made = new_batch(server.origin, "GET", server.settings, hedged=True, each=True, tally=server.tally)
        names = [f"/quick/{count}/{index}" for index in range(40)]
        for index, name in enumerate(names):
            made.add(name.encode(), out=Buffer(memory, writable=True), out_start=600 * index, out_length=600)
        made.seal()
        drive(persist(made, 25 if count % 3 == 2 else 40, background=count % 2 == 1))
        if count % 3 != 2:
            assert bytes(memory) == b"".join(map(body_of, names))
        memory[:] = bytes(len(memory))
        left.append(memory)
    assert engine_info()["in_flight"] == 0
    assert not any(map(any, left))


def persist(made: Batch, wanted: int, background: bool) -> Plan[None]:
    """Wait until so many requests have succeeded, and try again what fails; then end the others."""
    succeeded = 0
    try:
        while succeeded < wanted:
            yield Background(made) if background else made
            succeeded += len(made.finished())
            for failed in made.failures():
                made.retry(failed.index)
    finally:
        made.close()
