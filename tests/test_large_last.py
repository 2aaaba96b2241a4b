"""What is large among many others, and comes slowly when these have come: the rest is read by several requests."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from objstore._core import Batch, Buffer, checksum
from objstore.exceptions import BaseError, IntegrityError, ObjectChangedError, PermissionDeniedError
from objstore.store import HTTPStore, S3Store
from tests.engine.client import SETTINGS, SOON, new_batch, wait_until
from tests.faults.content import content
from tests.listener import Listener

SIZE = 12 << 20
SLOWLY = SIZE // 3
"""How much of a body comes before it comes more slowly."""
SMALL = b"small" * 20
PATHS = [f"small{index}" for index in range(40)]
ASKS = [("large", 0, SIZE), ("large", 7, SIZE - 3), ("large", 7, None), ("large", 7, SIZE + 99)]


@cache
def large() -> bytes:
    return content(0, SIZE)


class Slow(BaseHTTPRequestHandler):
    """Sends long bodies slowly, and for as long as it takes until another request asks for the rest."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    told: dict[str, str] = {"ETag": '"same"', "Accept-Ranges": "bytes"}  # noqa: RUF012
    told_of_all: dict[str, str] = {}  # noqa: RUF012
    rest_status = 206
    asked: list[str | None]
    rest_asked: threading.Event

    def do_GET(self) -> None:
        body = large() if "large" in self.path else SMALL
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if "ETag" in self.told else None
        start, end = (int(span[1]), int(span[2] or len(body)) + 1) if span else (0, len(body))
        if "large" in self.path:
            self.asked.append(self.headers.get("If-Match"))
        if self.headers.get("If-Match"):
            self.rest_asked.set()
            if self.rest_status != 206:
                self.send_error(self.rest_status)
                return
        self.send_head(start, min(end, len(body)), len(body) if span else None)
        self.send(body[start:end])

    def send_head(self, start: int, end: int, size: int | None) -> None:
        self.send_response(200 if size is None else 206)
        if size is not None:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        for name, value in (self.told | (self.told_of_all if size is None else {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()

    def send(self, body: bytes) -> None:
        at = 0
        until = time.monotonic() + SOON
        while len(body) > SIZE // 2 and at < len(body) and not self.rest_asked.is_set() and time.monotonic() < until:
            step = 16 << 10 if at < SLOWLY else 1 << 10
            self.wfile.write(body[at : at + step])
            at += step
            time.sleep(0.002)
        self.wfile.write(body[at:])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def slow() -> type[Slow]:
    return type("Handler", (Slow,), {"asked": [], "rest_asked": threading.Event()})


@pytest.fixture
def origin(slow: type[Slow]) -> Iterator[str]:
    with Listener(("127.0.0.1", 0), slow) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def store(origin: str) -> HTTPStore:
    return HTTPStore(origin, client_options={"allow_http": True})


def came_in_parts(slow: type[Slow], objects: int = 1) -> bool:
    """Tell whether the rest of each was asked for by several requests, pinned to its version."""
    return slow.asked.count(None) == objects and slow.asked.count('"same"') > objects


@pytest.mark.parametrize("place", [0, 20, 40])
def test_an_object_among_many(store: HTTPStore, slow: type[Slow], place: int) -> None:
    paths = [*PATHS[:place], "large", *PATHS[place:]]
    found = store.get_many(paths)
    assert found.pop(place) == large()
    assert found == [SMALL] * len(PATHS)
    assert came_in_parts(slow)


def test_several_objects_among_many(store: HTTPStore, slow: type[Slow]) -> None:
    found = store.get_many(["large1", *PATHS, "large2", "large3"])
    assert found == [large(), *[SMALL] * len(PATHS), large(), large()]
    assert slow.asked.count(None) == 3
    assert '"same"' in slow.asked


@pytest.mark.parametrize("ask", ASKS)
def test_ranges_among_many(store: HTTPStore, slow: type[Slow], ask: tuple[str, int, int | None]) -> None:
    assert store.get_many([*PATHS, ask])[-1] == large()[ask[1] : ask[2]]
    assert came_in_parts(slow)


@pytest.mark.parametrize("ask", ["large", *ASKS])
def test_into_buffers(store: HTTPStore, slow: type[Slow], ask: Any) -> None:
    _, start, end = (ask, 0, None) if isinstance(ask, str) else ask
    out = [bytearray(len(SMALL)), bytearray(SIZE + 100)]
    assert store.get_many(["small", ask], out=out)[1] == large()[start:end]
    assert out[1][: len(large()[start:end])] == large()[start:end]
    assert came_in_parts(slow)


@pytest.mark.parametrize("window", [1, 256 << 20])
def test_one_after_the_other(store: HTTPStore, slow: type[Slow], window: int) -> None:
    found = dict(store.iter_many([*PATHS, "large"], window=window))
    assert found.pop(len(PATHS)) == large()
    assert found == dict.fromkeys(range(len(PATHS)), SMALL)
    assert came_in_parts(slow)


def test_awaited(store: HTTPStore, slow: type[Slow]) -> None:
    async def awaited() -> bool:
        found = await store.get_many_async([*PATHS, "large"])
        return found[-1] == large()

    assert asyncio.run(awaited())
    assert came_in_parts(slow)


def test_a_range_and_ranges(store: HTTPStore, slow: type[Slow]) -> None:
    assert store.get_range("large", start=3, end=SIZE) == large()[3:]
    assert came_in_parts(slow)
    slow.asked.clear()
    slow.rest_asked.clear()
    assert store.get_ranges("large", starts=[0, 9], ends=[5, SIZE], coalesce=0) == [large()[:5], large()[9:]]
    assert '"same"' in slow.asked


@pytest.mark.parametrize("body", [large, lambda: b"another"], ids=["whole", "damaged"])
def test_all_of_an_object_is_compared_with_its_checksum(
    origin: str, slow: type[Slow], body: Callable[[], bytes]
) -> None:
    slow.told_of_all = {"x-amz-checksum-crc32": b64encode(checksum("crc32", body())).decode()}
    store = S3Store("bucket", endpoint=origin, skip_signature=True, client_options={"allow_http": True})
    found: list[Any] = store.get_many(["large"], on_error="return")
    assert found == [large()] if body is large else isinstance(found[0], IntegrityError)
    assert '"same"' in slow.asked


@pytest.fixture(params=[(403, PermissionDeniedError), (412, ObjectChangedError)], ids=["refused", "replaced"])
def error(request: pytest.FixtureRequest, slow: type[Slow]) -> type[BaseError]:
    """Return the error of an object of which the server gives no rest."""
    kind: type[BaseError]
    slow.rest_status, kind = request.param
    return kind


def test_an_error_of_the_rest_is_raised(store: HTTPStore, error: type[BaseError]) -> None:
    with pytest.raises(error) as raised:
        store.get_many(["small", "large", *PATHS])
    assert raised.value.index == 1


def test_an_error_of_the_rest_takes_the_place_of_the_object(store: HTTPStore, error: type[BaseError]) -> None:
    found: list[Any] = store.get_many(["large", *PATHS], on_error="return")
    assert isinstance(found[0], error)
    assert found[1:] == [SMALL] * len(PATHS)


def soon_fast(slow: type[Slow]) -> None:
    """Have the rest come at once after a while, in which it would have been asked for."""
    threading.Timer(0.4, slow.rest_asked.set).start()


@pytest.mark.parametrize(
    "told", [{}, {"ETag": 'W/"weak"', "Accept-Ranges": "bytes"}, {"ETag": '"same"', "Accept-Ranges": "none"}]
)
def test_what_cannot_be_pinned_or_divided_is_read_on(store: HTTPStore, slow: type[Slow], told: dict[str, str]) -> None:
    slow.told = told
    soon_fast(slow)
    assert store.get_many([*PATHS, "large"])[-1] == large()
    assert slow.asked == [None]


def test_where_no_more_requests_may_be_in_flight_it_is_read_on(store: HTTPStore, slow: type[Slow]) -> None:
    soon_fast(slow)
    assert store.get_many(["large"], max_concurrency=1) == [large()]
    assert slow.asked == [None]


def cut_behind(least: int, origin: str) -> Batch:
    """Return a batch whose body was cut when so much of it had come."""
    made = new_batch(origin, "GET", SETTINGS, most_in_flight=1, cut_over=32 << 20, cut_to=1 << 20)
    made.add(b"/large")
    made.seal()
    made.start(background=True)
    wait_until(lambda: made.bytes_received > least)
    made.limit(2)
    made.wait()
    assert made.cut(0)
    return made


def test_what_has_come_stays_where_it_is_if_it_is_much(origin: str) -> None:
    made = cut_behind(SIZE // 4, origin)
    beginning = made.take(0)
    buffer, whole = Buffer.allocate(SIZE, beginning)
    assert buffer.address == Buffer(beginning).address
    assert whole[: len(beginning)] == large()[: len(beginning)]
    larger, whole = Buffer.allocate(4 * SIZE, beginning)
    assert larger.address != buffer.address
    assert whole[: len(beginning)] == beginning
    made.close()
