"""The engine as a reader of the same bytes, on connections that go on as long as it lets them."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from objstore._core import ClientSettings
from objstore.plans.run import run
from tests.engine.client import batch, new_batch, settle
from tests.engine.server import certificate
from tests.fuzz.grammar import Reply
from tests.fuzz.judges import Read

PATIENCE = 0.05
"""After how many seconds without a next request a server ends a connection: what waits for more then learns that there
is no more. What was complete is as complete as before, so nothing depends on it."""

SETTINGS = ClientSettings(user_agent="fuzz", verify=False, first_byte_timeout=20, stall_timeout=20)


class Engine:
    """The engine and the server that it asks."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.origin = f"{'http' if tls is None else 'https'}://127.0.0.1:{listener.getsockname()[1]}"
        self._listener = listener
        self._tls = tls
        self._pieces: list[bytes] = []
        self._closes = False
        self._sent = threading.Event()
        self._count = 0

    def read(self, reply: Reply, *, closes: bool) -> Read:
        """Have the engine read a reply to a GET, and wait until all of it has been sent."""
        self._pieces, self._closes = reply.pieces, closes
        self._sent.clear()
        made = new_batch(self.origin, "GET", SETTINGS)
        made.add(b"/reply", *(reply.range or (-1, -1)))
        made.seal()
        failed = run(settle(made))
        self._sent.wait(20)
        if not failed:
            return Read(made.reply(0).status, bytes(made.bodies()[0] or b""))
        failure = failed[0]
        if failure.error is None and failure.status >= 300:
            return Read(failure.status, bytes(failure.body))
        return Read(None, why=failure.error or f"{failure.status} is not believed")

    def reads_its_own(self) -> bool:
        """Tell whether what is read next is what was asked for."""
        self._count += 1
        own = f"/own/{self._count}"
        made = batch(self.origin, [own], settings=SETTINGS)
        return run(settle(made)) == {} and made.bodies() == [own.encode()]

    # --- the server

    def serve(self) -> None:
        """Serve one connection after the other until the listener is shut down."""
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError):
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = plain if self._tls is None else self._tls.wrap_socket(plain, server_side=True)
            with connection:
                while (head := self._head(connection)) and self._answer(connection, head):
                    pass

    def _head(self, connection: socket.socket) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (more := connection.recv(4096)):
                return b""
            head += more
        return head

    def _answer(self, connection: socket.socket, head: bytes) -> bool:
        """Answer a request; tell whether the connection goes on."""
        target = head.split(b" ", 2)[1]
        if target != b"/reply":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))
            return True
        goes_on = not self._closes
        try:
            for piece in self._pieces:
                connection.sendall(piece)
            if not goes_on:
                connection.shutdown(socket.SHUT_WR)
        finally:
            self._sent.set()
        if goes_on and not _is_asked(connection):
            connection.shutdown(socket.SHUT_WR)
        return True


@contextmanager
def engine(*, tls: bool = False) -> Iterator[Engine]:
    """Run the server until the block is left."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Engine(listener, certificate() if tls else None)
        serving = threading.Thread(target=made.serve, daemon=True)
        serving.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
        serving.join()


def _is_asked(connection: socket.socket) -> bool:
    """Tell whether something has come, after some patience."""
    poll = select.poll()  # select knows no descriptor above 1,023
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(PATIENCE * 1000))
