"""A service that answers as a test says, for what Azurite does not do, and keeps what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import NamedTuple

from tests.listener import Listener


class Asked(NamedTuple):
    """A request."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """What is answered; None as a body closes the connection after the request, without a word."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes | None = b""


class Fake:
    """The service: `answers` gives a reply to each request."""

    def __init__(self, answers: Callable[[Asked], Reply]) -> None:
        self.answers = answers
        self.asked: list[Asked] = []
        self.url = ""


@contextmanager
def fake_azure(answers: Callable[[Asked], Reply]) -> Iterator[Fake]:
    """Run a service until the block is left."""
    fake = Fake(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            fake.asked.append(asked)
            reply = fake.answers(asked)
            if reply.body is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = Listener(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
