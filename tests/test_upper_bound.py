"""`max_concurrency` bounds all requests of a call: for rests of large objects, questions and parts of files too."""

from __future__ import annotations

import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest

import objstore
from objstore._core import checksum
from objstore.http import exchange
from objstore.operations.objects import DEFAULT_CHUNK
from objstore.providers import requests
from objstore.store import HTTPStore, S3Store
from tests.engine.client import SOON, wait_until
from tests.engine.raw import answering
from tests.engine.test_replies import head
from tests.faulty_proxy import Handler, Plan, faulty_proxy
from tests.listener import Listener
from tests.servers import S3Server

pytestmark = pytest.mark.product("way")

K = TypeVar("K", bound="Counted")
MIB = 1 << 20
SIZE = 8 * MIB
LARGE = b"0123456789abcdef" * (SIZE // 16)
SMALL = b"small" * 20
PATHS = [f"{'large' if index in (3, 20) else 'small'}{index}" for index in range(24)]
AT_ONCE = 64
RIGHT = {index: LARGE if "large" in path else SMALL for index, path in enumerate(PATHS)}


class Counted(BaseHTTPRequestHandler):
    """Answers slowly, and counts how many at a time; it answers none before there have been as many as there may be."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bound: int
    change: threading.Condition
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
        with kind.change:
            kind.now += 1
            kind.most = max(kind.most, kind.now)
            kind.change.notify_all()
            kind.change.wait_for(lambda: kind.most >= kind.bound, SOON)
        time.sleep(0.005)
        with kind.change:
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


@cache
def told_of(body: bytes, *ends: int) -> str:
    parts = b"".join(checksum("crc32", body[start:end]) for start, end in pairwise(ends))
    return b64encode(checksum("crc32", parts)).decode()


class InParts(Counted):
    """Has objects of parts that are not equal, of which it tells one by one, and their checksum; no table of them."""

    @property
    def ends(self) -> list[int]:
        fifth = len(self.body) // 5
        return [0, fifth, 2 * fifth, 3 * fifth, 4 * fifth - 1, len(self.body)]

    @property
    def told(self) -> dict[str, str]:  # type: ignore[override]
        return {"x-amz-checksum-crc32": f"{told_of(self.body, *self.ends)}-5"}

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


@contextmanager
def serving(kind: type[K], bound: int) -> Iterator[tuple[str, type[K]]]:
    handler = type("Handler", (kind,), {"change": threading.Condition(), "bound": bound})
    with Listener(("127.0.0.1", 0), handler) as server:
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
    with serving(Counted, bound) as (origin, handler):
        store = HTTPStore(origin, client_options={"allow_http": True})
        found = dict(store.iter_many(PATHS, max_concurrency=bound))
    assert {index: bytes(body) for index, body in found.items()} == RIGHT
    assert handler.most == bound


def test_without_a_bound_small_objects_are_read_by_as_many_requests_as_the_pace_allows() -> None:
    """Though nobody knows their sizes before: what the window has room for."""
    with serving(Counted, AT_ONCE) as (origin, handler):
        store = HTTPStore(origin, client_options={"allow_http": True})
        found = dict(store.iter_many([f"small{index}" for index in range(2 * AT_ONCE)]))
    assert [*map(bytes, found.values())] == [SMALL] * (2 * AT_ONCE)
    assert handler.most == AT_ONCE


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
    with serving(InParts, bound) as (origin, handler):
        store = in_parts(origin)
        found = dict(store.iter_many(PATHS, max_concurrency=bound))
        assert handler.most == bound
        handler.most = 0
        assert [bytes(body) for body in store.get_many(PATHS, max_concurrency=bound)] == [*RIGHT.values()]
        assert handler.most == bound
    assert {index: bytes(body) for index, body in found.items()} == RIGHT


def test_questions_of_a_download_are_within_the_bound(tmp_path: Path) -> None:
    with serving(InParts, 1) as (origin, handler):
        in_parts(origin).download("large", tmp_path / "file", chunk_size=MIB, max_concurrency=2)
        assert (tmp_path / "file").read_bytes() == LARGE
    assert handler.most == 2


# --- many files and objects, large ones in parts

LARGE_FILE = bytes(2 * DEFAULT_CHUNK + 1)
NAMES = [f"{'large' if index in (0, 9) else 'small'}{index}" for index in range(15)]


class Count(Plan):
    """How many requests a server has at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.now = self.most = 0

    def add(self, more: int) -> None:
        with self.lock:
            self.now += more
            self.most = max(self.most, self.now)


class CountedHandler(Handler):
    """Counts a request until its reply is there; those for listings are beside the others."""

    plan: Count

    def handle_request(self) -> None:
        self.counts = "list-type=" not in self.path
        self.plan.add(self.counts)
        super().handle_request()

    do_GET = do_HEAD = do_PUT = do_POST = handle_request  # noqa: N815

    def give(self, reply: HTTPResponse, content: bytes, *, cut: bool) -> None:
        time.sleep(0.02)
        self.plan.add(-self.counts)
        super().give(reply, content, cut=cut)


@contextmanager
def counted_store(rclone: S3Server, bucket: str) -> Iterator[tuple[S3Store, Count]]:
    count = Count()
    rclone.make_bucket(bucket)
    keys = {"access_key_id": rclone.access_key_id, "secret_access_key": rclone.secret_access_key}
    with faulty_proxy(rclone.endpoint, count, CountedHandler) as (origin, _):
        yield S3Store(bucket, endpoint=origin, region=rclone.region, client_options={"allow_http": True}, **keys), count


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).write_bytes(LARGE_FILE if "large" in name else SMALL)
    return tmp_path


@pytest.mark.parametrize("bound", [1, 2, 5])
@pytest.mark.parametrize("way", ["upload_many", "copy_many", "download_many", "sync", "sync of stores"])
def test_parts_of_many_files_keep_within_the_bound(files: Path, rclone: S3Server, way: str, bound: int) -> None:
    buckets = (f"{end}-{way.replace(' ', '-').replace('_', '-')}-{bound}" for end in ("from", "to"))
    with (
        counted_store(rclone, next(buckets)) as (source, read),
        counted_store(rclone, next(buckets)) as (target, written),
    ):
        if way == "upload_many":
            target.upload_many(files, max_concurrency=bound)
        elif way == "sync":
            objstore.sync(files, target, max_concurrency=bound)
        else:
            source.upload_many(files, max_concurrency=1)
            read.most = 0
        if way == "download_many":
            source.download_many(NAMES, files / "down", max_concurrency=bound)
            target.upload_many(files / "down", max_concurrency=1)
        elif way == "copy_many":
            source.copy_many([(name, name) for name in NAMES], to_store=target, max_concurrency=bound)
        elif way == "sync of stores":
            objstore.sync(source, target, max_concurrency=bound)
        most = read.most, written.most
        assert target.get_many(NAMES) == [LARGE_FILE if "large" in name else SMALL for name in NAMES]
    assert min(bound, 2) <= max(most) <= bound


COPIED = b'<CopyObjectResult><ETag>"1"</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></CopyObjectResult>'


@pytest.mark.parametrize("way", ["copy_many", "upload_many"])
def test_without_a_bound_as_many_are_asked_for_at_once_as_the_pace_allows(tmp_path: Path, way: str) -> None:
    names = [f"n{number:03d}" for number in range(AT_ONCE)]
    body = COPIED if way == "copy_many" else b""

    def answer(connection: socket.socket) -> None:
        wait_until(lambda: len(raw.heads) >= AT_ONCE)
        connection.sendall(head(f"Content-Length: {len(body)}", 'ETag: "1"') + body)

    with answering(answer) as raw:
        store = S3Store("bucket", endpoint=raw.origin, skip_signature=True, client_options={"allow_http": True})
        if way == "copy_many":
            store.copy_many([(name, f"to/{name}") for name in names])
        else:
            for name in names:
                (tmp_path / name).write_bytes(b"")
            store.upload_many(tmp_path)
    assert len(raw.heads) == (2 if way == "copy_many" else 1) * AT_ONCE  # who looks first, and none is asked for again
