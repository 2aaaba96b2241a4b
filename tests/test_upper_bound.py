"""`max_concurrency` bounds all requests of a call: those for the rests of large objects too, and questions."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest

from objstore._core import checksum
from objstore.http import exchange
from objstore.providers import requests
from objstore.store import HTTPStore, S3Store

K = TypeVar("K", bound="Counted")
MIB = 1 << 20
SIZE = 24 * MIB
LARGE = b"0123456789abcdef" * (SIZE // 16)
SMALL = b"small" * 20
PATHS = [f"{'large' if index in (3, 20) else 'small'}{index}" for index in range(60)]
RIGHT = {index: LARGE if "large" in path else SMALL for index, path in enumerate(PATHS)}


class Counted(BaseHTTPRequestHandler):
    """Answers slowly, and counts how many it answers at a time."""

    protocol_version = "HTTP/1.1"
    lock: threading.Lock
    now = most = 0
    told: dict[str, str] = {}  # noqa: RUF012  # what a reply with all of an object tells

    @property
    def body(self) -> bytes:
        return LARGE if "large" in self.path else SMALL

    def do_GET(self) -> None:
        self.count()
        self.answer(self.body)

    def count(self) -> None:
        kind = type(self)
        with kind.lock:
            kind.now += 1
            kind.most = max(kind.most, kind.now)
        time.sleep(0.02)
        with kind.lock:
            kind.now -= 1

    def answer(self, body: bytes) -> None:
        start, end = 0, len(body)
        if asked := self.headers.get("Range"):
            first, last = asked.removeprefix("bytes=").split("-")
            start, end = int(first), min(int(last) + 1 if last else end, end)
        self.send_response(206 if asked else 200)
        self.send_header("ETag", '"same"')
        for name, value in ({} if asked else self.told).items():
            self.send_header(name, value)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(body)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        self.wfile.write(body[start:end])

    def log_message(self, *args: object) -> None:
        pass


class InParts(Counted):
    """Has objects of parts that are not equal, of which it tells one by one, and their checksum; no table of them."""

    @property
    def ends(self) -> list[int]:
        fifth = len(self.body) // 5
        return [0, fifth, 2 * fifth, 3 * fifth, 4 * fifth - 1, len(self.body)]

    @property
    def told(self) -> dict[str, str]:  # type: ignore[override]
        parts = b"".join(checksum("crc32", self.body[start:end]) for start, end in pairwise(self.ends))
        return {"x-amz-checksum-crc32": f"{b64encode(checksum('crc32', parts)).decode()}-5"}

    def do_GET(self) -> None:
        if "attributes" not in self.path:
            super().do_GET()
            return
        self.count()
        self.send_error(501)

    def do_HEAD(self) -> None:
        self.count()
        number = parse_qs(urlsplit(self.path).query).get("partNumber", [""])[0]
        start, end = self.ends[int(number) - 1 : int(number) + 1] if number else (0, len(self.body))
        self.send_response(206 if number else 200)
        of_part = {"Content-Range": f"bytes {start}-{end - 1}/{len(self.body)}", "x-amz-mp-parts-count": "5"}
        for name, value in (of_part if number else self.told).items():
            self.send_header(name, value)
        self.send_header("ETag", '"same"')
        self.send_header("Content-Length", str(end - start))
        self.end_headers()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """A body that is read no further is no error."""


@contextmanager
def serving(kind: type[K]) -> Iterator[tuple[str, type[K]]]:
    handler = type("Handler", (kind,), {"lock": threading.Lock()})
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
    with serving(Counted) as (origin, handler):
        store = HTTPStore(origin, client_options={"allow_http": True})
        found = dict(store.iter_many(PATHS, max_concurrency=bound))
    assert {index: bytes(body) for index, body in found.items()} == RIGHT
    assert handler.most == bound


def in_parts(origin: str) -> S3Store:
    return S3Store(
        "bucket",
        endpoint=origin,
        skip_signature=True,
        response_checksum_validation="when_supported",
        client_options={"allow_http": True},
    )


@pytest.mark.parametrize("bound", [1, 2, 5])
def test_questions_about_parts_are_within_the_bound(bound: int) -> None:
    with serving(InParts) as (origin, handler):
        store = in_parts(origin)
        found = dict(store.iter_many(PATHS, max_concurrency=bound))
        assert handler.most == bound
        handler.most = 0
        assert [bytes(body) for body in store.get_many(PATHS, max_concurrency=bound)] == [*RIGHT.values()]
        assert handler.most == bound
    assert {index: bytes(body) for index, body in found.items()} == RIGHT


def test_questions_of_a_download_are_within_the_bound(tmp_path: Path) -> None:
    with serving(InParts) as (origin, handler):
        in_parts(origin).download("large", tmp_path / "file", chunk_size=MIB, max_concurrency=2)
        assert (tmp_path / "file").read_bytes() == LARGE
    assert handler.most == 2
