"""Names that a test makes up, with servers on several addresses of this machine behind them."""

from __future__ import annotations

import atexit
import os
import socket
import ssl
import subprocess
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

SOURCE = Path(__file__).with_suffix(".c")


@cache
def library() -> Path:
    """Build what is preloaded: `getaddrinfo` by a file."""
    folder = mkdtemp()
    atexit.register(rmtree, folder)
    built = Path(folder) / "hosts.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(built), str(SOURCE)], check=True)
    return built


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names of a program that is run with `environment`."""

    file: Path

    @property
    def environment(self) -> dict[str, str]:
        preloaded = filter(None, (os.environ.get("LD_PRELOAD"), str(library())))  # a sanitizer comes first
        return {"LD_PRELOAD": ":".join(preloaded), "HOSTS": str(self.file)}

    def say(self, *lines: str) -> None:
        """Let the names be these from now on."""
        aside = self.file.with_suffix(".new")
        aside.write_text("".join(f"{line}\n" for line in lines))
        aside.rename(self.file)

    @property
    def noted(self) -> Counter[str]:
        """How often each name was looked up, and how many threads were begun."""
        log = Path(f"{self.file}.log")
        return Counter(log.read_text().split() if log.exists() else [])


@dataclass(frozen=True, slots=True)
class Served:
    """Servers on several addresses, all at one port."""

    port: int
    connections: Counter[str] = field(default_factory=Counter)
    """How many each address has accepted."""
    late: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The addresses that were asked for what is late the first time."""

    def is_late(self, head: bytes, address: str) -> bool:
        """Tell whether this is the first request for what is late: it is never answered."""
        target = head.split(b" ", 2)[1].decode()
        if not target.startswith("/late"):
            return False
        self.late[target].append(address)
        return len(self.late[target]) == 1


@contextmanager
def serving(
    addresses: Sequence[str], together: int = 1, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Served]:
    """Answer every request with the address that it came to, once so many are there."""
    all_there = threading.Barrier(together)
    served: Served | None = None
    with ExitStack() as stack:
        for address in addresses:
            listener = stack.enter_context(socket.create_server((address, port)))
            port = listener.getsockname()[1]
            served = served or Served(port)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            threading.Thread(target=_accept, args=(listener, served, all_there, tls), daemon=True).start()
        assert served is not None
        yield served


def _accept(listener: socket.socket, served: Served, all_there: threading.Barrier, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            served.connections[listener.getsockname()[0]] += 1
            threading.Thread(target=_serve, args=(connection, served, all_there, tls), daemon=True).start()


def _serve(connection: socket.socket, served: Served, all_there: threading.Barrier, tls: ssl.SSLContext | None) -> None:
    address = connection.getsockname()[0].encode()
    with suppress(OSError):
        connection = connection if tls is None else tls.wrap_socket(connection, server_side=True)
        with connection:
            while head := connection.recv(1 << 16):
                if served.is_late(head, address.decode()):
                    continue
                with suppress(threading.BrokenBarrierError):
                    all_there.wait(60)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(address), address))


@contextmanager
def failing(address: str, port: int, answer: bytes) -> Iterator[None]:
    """Send the same to every request at an address, and close the connection."""
    with socket.create_server((address, port)) as listener:
        threading.Thread(target=_fail, args=(listener, answer), daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def _fail(listener: socket.socket, answer: bytes) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(1 << 16)
                connection.sendall(answer)


@contextmanager
def black_hole(address: str, port: int) -> Iterator[socket.socket]:
    """Have nobody answer at an address: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((address, port), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect((address, port))
        yield listener


def begin_to_answer(listener: socket.socket, tls: ssl.SSLContext) -> None:
    """Take the connections that wait in a queue from now on, as those that are served."""
    arguments = listener, Served(0), threading.Barrier(1), tls
    threading.Thread(target=_accept, args=arguments, daemon=True).start()
