"""A web server on loopback that gives the answers a test tells it to, for services that cannot be run here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from tests.listener import Listener


@dataclass(frozen=True)
class Answer:
    """What the server is to say."""

    status: int = 200
    body: Any = ""
    location: str = ""


@dataclass(frozen=True)
class Seen:
    """What it was asked."""

    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Site:
    """A web server on loopback that gives its answers in turn, the last one again and again."""

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Site]:
    """Run a site until the block is left."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            site.seen.append(Seen(self.path, {name.lower(): text for name, text in self.headers.items()}, body))
            answers = site.answers[urlsplit(self.path).path]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            text = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
            self.send_response(answer.status)
            if answer.location:
                self.send_header("Location", answer.location)
            self.send_header("Content-Type", "application/json" if text.startswith(b"{") else "text/html")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = Listener(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
