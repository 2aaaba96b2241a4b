"""What the services that give out tokens have in common, in this process: how they are asked, and how they refuse."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from tests.listener import Listener

FORM = "application/x-www-form-urlencoded"
RequestT = TypeVar("RequestT", bound="Request")
Reply = tuple[int, dict[str, str], bytes]


class RefusedError(Exception):
    """What a service says instead of giving a token."""


def require(holds: bool, what: str) -> None:
    """Refuse, unless something holds."""
    if not holds:
        raise RefusedError(what)


@dataclass
class Request:
    """A request, as a service sees it."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def form(self) -> dict[str, str]:
        """Return the form."""
        require(self.method == "POST", "method")
        require(self.headers.get("content-type") == FORM, "content type")
        return {name: values[0] for name, values in parse_qs(self.body.decode(), strict_parsing=True).items()}


@contextmanager
def serving(
    answer: Callable[[RequestT], Reply],
    kind: type[RequestT],
    address: tuple[str, int],
    certificates: Path | None = None,
) -> Iterator[str]:
    """Serve at an address until the block is left; give its URL.

    Args:
        answer: Answers a request.
        kind: The class of requests.
        address: The address; port 0 for any.
        certificates: The file with certificate and key, to speak TLS.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_any(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, fields, reply = answer(kind(self.command, headers["host"], parts.path, query, headers, body))
            self.send_response(status)
            usual = {"Content-Type": "application/json", "Content-Length": str(len(reply))}
            for name, value in {**usual, **fields}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply)

        do_GET = do_POST = do_PUT = do_any  # noqa: N815  # the names are http.server's

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with Listener(address, Handler) as server:
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"{'https' if certificates else 'http'}://{address[0]}:{server.server_port}"
        server.shutdown()
