"""`iter_many` keeps within its window where no reply tells how long its body is."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from weakref import ref

import pytest

from objstore import engine_info
from objstore.store import HTTPStore, MemoryStore
from tests.listener import Listener

MIB = 1 << 20
SIZE, WINDOW, COUNT = 24 * MIB, 32 * MIB, 12
BODY = b"0123456789abcdef" * (SIZE // 16)


class Together(BaseHTTPRequestHandler):
    """Answers the first of several at once, so that their bodies come beside each other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    chunked = True
    here: threading.Barrier

    def do_GET(self) -> None:
        try:
            self.here.wait(0.5)
        except threading.BrokenBarrierError:
            self.here.abort()
        self.send_response(200)
        self.send_header("ETag", '"same"')
        self.send_header("Transfer-Encoding" if self.chunked else "Connection", "chunked" if self.chunked else "close")
        self.end_headers()
        for at in range(0, SIZE, MIB // 4):
            piece = BODY[at : at + MIB // 4]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if self.chunked else piece)
        self.wfile.write(b"0\r\n\r\n" if self.chunked else b"")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(*, chunked: bool) -> Iterator[str]:
    handler = type("Handler", (Together,), {"chunked": chunked, "here": threading.Barrier(COUNT)})
    with Listener(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize("chunked", [True, False], ids=["chunks", "ends with the connection"])
def test_bodies_whose_length_nobody_tells_stay_within_the_window(chunked: bool) -> None:
    before, most, seen = int(engine_info()["memory"]), 0, 0
    with serving(chunked=chunked) as origin:
        store = HTTPStore(origin, client_options={"allow_http": True}, read_until_close=True)
        for _, body in store.iter_many([f"k{index}" for index in range(COUNT)], window=WINDOW):
            most = max(most, int(engine_info()["memory"]) - before)
            assert body == BODY
            seen += 1
            del body
            time.sleep(0.2)  # others come meanwhile
    assert seen == COUNT
    assert most <= WINDOW + 3 * SIZE  # one that is waited for, one that is here, and what a body grows by


def test_what_was_given_is_not_kept_while_the_next_one_is_looked_for() -> None:
    store = MemoryStore()
    store.put_many({"a": b"1", "b": b"2"})
    results = iter(store.iter_many(["a", "b"]))
    given = ref(next(results)[1])
    assert given() is None
    assert [bytes(body) for _, body in results] == [b"2"]


def test_what_was_given_is_not_kept_while_the_next_one_is_awaited() -> None:
    store = MemoryStore()
    store.put_many({"a": b"1", "b": b"2"})

    async def main() -> None:
        results = aiter(store.iter_many(["a", "b"]))
        given = ref((await anext(results))[1])
        assert given() is None
        assert [bytes(body) async for _, body in results] == [b"2"]

    asyncio.run(main())
