"""A proxy between a client and a real HTTP server that breaks chosen replies: the server has done what it was asked, or
it has not, and the client is told so, or is not."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from tests.listener import Listener

Fault = Literal["refused", "busy", "broken", "lost", "hung up", "cut", "broken after all"]
"""What happens to a request. The first three never reach the server, the others do: no reply comes (RST or FIN), half
of one does, or one that says that the server failed."""

FAULTS: tuple[Fault, ...] = get_args(Fault)
WRITES = {"PUT", "POST", "DELETE"}
HOP = {"connection", "content-length", "transfer-encoding", "keep-alive"}


class Plan:
    """Which requests are broken, and how."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.disarm()

    def arm(self, fault: Fault, skip: int, times: int) -> None:
        """Let some requests pass, and break those after them."""
        with self._lock:
            self._fault, self._skip, self._times = fault, skip, times
            self.lost = 0

    def disarm(self) -> None:
        """Break no more."""
        with self._lock:
            self._fault, self._skip, self._times = None, 0, 0

    def next(self) -> Fault | None:
        """Return what is to happen to a request that has come."""
        with self._lock:
            if self._skip > 0:
                self._skip -= 1
                return None
            self._times -= 1
            return self._fault if self._times >= 0 else None

    def carried(self, content: bytes, start: int) -> bytes:
        """Return what comes of the bytes of a reply to a GET, which begin there in the object."""
        return content

    _fault: Fault | None
    lost = 0
    """How many writes the server has done since the plan was armed, of which the client was not told."""


class Handler(BaseHTTPRequestHandler):
    """One connection of the client, and the one to the server that goes with it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    plan: Plan
    server_address: tuple[str, int]

    def setup(self) -> None:
        super().setup()
        self.upstream = HTTPConnection(*self.server_address)

    def finish(self) -> None:
        self.upstream.close()
        with suppress(OSError):
            super().finish()

    def handle_request(self) -> None:
        """Pass one request on, or not."""
        with suppress(ConnectionError):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = self.plan.next()
            if fault == "refused":
                self.drop(reset=True)
            elif fault == "busy":
                self.say(503, "SlowDown")
            elif fault == "broken":
                self.say(500, "InternalError")
            else:
                self.pass_on(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815

    def pass_on(self, body: bytes, fault: Fault | None) -> None:
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            self.upstream.putheader(name, value)
        self.upstream.endheaders(body)
        reply = self.upstream.getresponse()
        content = reply.read()
        if self.command == "GET" and reply.status in (200, 206):
            start = reply.headers.get("Content-Range", "bytes 0-").removeprefix("bytes ").partition("-")[0]
            content = self.plan.carried(content, int(start))
        self.plan.lost += fault is not None and self.command in WRITES and reply.status < 300
        if fault in ("lost", "hung up"):
            self.drop(reset=fault == "lost")
        elif fault == "broken after all":
            self.say(500, "InternalError")
        else:
            self.give(reply, content, cut=fault == "cut")

    def give(self, reply: HTTPResponse, content: bytes, *, cut: bool) -> None:
        length = reply.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.headers.items():
            if name.lower() not in HOP:
                self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.drop(reset=False)

    def say(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def drop(self, *, reset: bool) -> None:
        """End the connection."""
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # close() would send nothing: rfile still holds the socket

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def faulty_proxy(endpoint: str, plan: Plan | None = None, kind: type[Handler] = Handler) -> Iterator[tuple[str, Plan]]:
    """Run a proxy before a server; yield its own endpoint, and what breaks its replies."""
    url, plan = urlsplit(endpoint), plan or Plan()
    handler = type("ProxyHandler", (kind,), {"plan": plan, "server_address": (url.hostname, url.port)})
    with Listener(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", plan
        finally:
            server.shutdown()
            thread.join()
