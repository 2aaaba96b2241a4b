"""`max_concurrency` bounds `iter_many` while what is behind the beginnings of large objects is read, too."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from objstore.http import exchange
from objstore.providers import requests
from objstore.store import HTTPStore

MIB = 1 << 20
SIZE = 24 * MIB
LARGE = b"0123456789abcdef" * (SIZE // 16)
SMALL = b"small"
PATHS = [f"{'large' if index in (3, 20) else 'small'}{index}" for index in range(60)]


class Counted(BaseHTTPRequestHandler):
    """Answers slowly, and counts how many it answers at a time."""

    protocol_version = "HTTP/1.1"
    lock: threading.Lock
    now = most = 0

    def do_GET(self) -> None:
        kind = type(self)
        with kind.lock:
            kind.now += 1
            kind.most = max(kind.most, kind.now)
        time.sleep(0.02)
        with kind.lock:
            kind.now -= 1
        self.answer(LARGE if "large" in self.path else SMALL)

    def answer(self, body: bytes) -> None:
        start, end = 0, len(body)
        if asked := self.headers.get("Range"):
            first, last = asked.removeprefix("bytes=").split("-")
            start, end = int(first), min(int(last) + 1 if last else end, end)
        self.send_response(206 if asked else 200)
        self.send_header("ETag", '"same"')
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(body)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        self.wfile.write(body[start:end])

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """A body that is read no further is no error."""


@contextmanager
def serving() -> Iterator[tuple[str, type[Counted]]]:
    handler = type("Handler", (Counted,), {"lock": threading.Lock()})
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler
        finally:
            server.shutdown()


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BEGINNING", MIB // 4)
    monkeypatch.setattr(requests, "LARGE", MIB // 16)
    monkeypatch.setattr(requests, "MOST_LARGE", MIB)


@pytest.mark.parametrize("bound", [1, 2, 5])
def test_rests_are_read_beside_others_within_the_bound(bound: int) -> None:
    with serving() as (origin, handler):
        store = HTTPStore(origin, client_options={"allow_http": True})
        found = dict(store.iter_many(PATHS, max_concurrency=bound))
    assert {index: bytes(body) for index, body in found.items()} == {
        index: LARGE if "large" in path else SMALL for index, path in enumerate(PATHS)
    }
    assert handler.most == bound
