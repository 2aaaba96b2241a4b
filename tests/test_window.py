"""`iter_many` keeps within its window, whatever it learns of sizes and when: by the heads of replies, or never."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from weakref import ref

import pytest

from objstore import engine_info
from objstore.store import HTTPStore, MemoryStore
from tests.engine.client import at_best, wait_until
from tests.listener import Listener

MIB = 1 << 20
SIZE, WINDOW, COUNT = 24 * MIB, 32 * MIB, 8
BODY = b"0123456789abcdef" * (SIZE // 16)
PATHS = ["first", "second", "third"]
CHUNKED, CLOSED, SIZED = "Transfer-Encoding: chunked", "Connection: close", f"Content-Length: {SIZE}"


class Together(BaseHTTPRequestHandler):
    """Answers the first of several at once, so that their bodies come beside each other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    framings: Sequence[str]
    breaks: bool
    here: threading.Barrier
    asked: Counter[str]

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        framing = self.framings[self.asked.total() % len(self.framings)]
        try:
            self.here.wait(0.5)
        except threading.BrokenBarrierError:
            self.here.abort()
        self.send_response(200)
        self.send_header("ETag", '"same"')
        self.send_header(*framing.split(": "))
        self.end_headers()
        chunked = framing == CHUNKED
        self.close_connection = framing == CLOSED or (self.breaks and self.asked[self.path] == 1)
        for at in range(0, SIZE // 2 if self.breaks and self.close_connection else SIZE, MIB // 4):
            piece = BODY[at : at + MIB // 4]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        self.wfile.write(b"0\r\n\r\n" if chunked and not self.close_connection else b"")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(framings: Sequence[str], asked: Counter[str], *, breaks: bool = False) -> Iterator[str]:
    given = {"framings": framings, "breaks": breaks, "here": threading.Barrier(COUNT), "asked": asked}
    handler = type("Handler", (Together,), given)
    with Listener(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize("framings", [(CHUNKED,), (CLOSED,), (CHUNKED, SIZED)], ids=" or ".join)
def test_bodies_whose_length_nobody_tells_stay_within_the_window(carrier: str, framings: Sequence[str]) -> None:
    before, most, seen, asked = int(engine_info()["memory"]), 0, 0, Counter[str]()
    with serving(framings, asked) as origin:
        store = HTTPStore(origin, client_options={"allow_http": True}, read_until_close=True)
        for _, body in store.iter_many([f"k{index}" for index in range(COUNT)], window=WINDOW):
            most = max(most, int(engine_info()["memory"]) - before)
            assert body == BODY
            seen += 1
            del body
            time.sleep(0.1)  # others come meanwhile
    assert seen == COUNT == asked.total()
    assert most <= WINDOW + 3 * SIZE  # one that is waited for, one that is here, and what a body grows by


def test_where_what_others_wait_for_breaks_off_they_go_on(carrier: str) -> None:
    asked = Counter[str]()
    with serving((CHUNKED,), asked, breaks=True) as origin:
        store = HTTPStore(origin, client_options={"allow_http": True})
        came = [index for index, body in store.iter_many(PATHS, window=WINDOW) if body == BODY]
    assert sorted(came) == [0, 1, 2]
    assert set(asked.values()) == {2}


# --- whose heads tell


SMALL = BODY[: 14 * MIB]
ROOM = 20 * MIB
"""For three of which nothing is known; and for one, once that is."""


@dataclass
class Bench:
    """A server of three objects of which one comes when there is no room for the others, whose heads have come.

    Args:
        breaks: Whether the connections of these end at first, while they wait for room.
    """

    breaks: bool = False
    origin: str = ""
    asked: Counter[str] = field(default_factory=Counter)

    def store(self, **limits: str) -> HTTPStore:
        """Return a store for it that tries nothing again."""
        options = {"allow_http": True, **limits}
        return HTTPStore(self.origin, client_options=options, retry_config={"max_retries": 0})

    def others_wait(self) -> bool:
        """Tell whether the others count for nothing."""
        return self.asked.total() == 3 and engine_info()["origins"][self.origin]["in_flight"] == 1


class Waiting(BaseHTTPRequestHandler):
    """One connection to it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bench: Bench

    def do_GET(self) -> None:
        bench = self.bench
        bench.asked[self.path] += 1
        if self.path == "/first":
            wait_until(bench.others_wait)
        self.send_response(200)
        self.send_header("ETag", '"same"')
        self.send_header("Content-Length", str(len(SMALL)))
        self.end_headers()
        self.close_connection = bench.breaks and self.path != "/first" and bench.asked[self.path] == 1
        self.wfile.write(SMALL[:1000] if self.close_connection else SMALL)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def bench(*, breaks: bool = False) -> Iterator[Bench]:
    made = Bench(breaks)
    with Listener(("127.0.0.1", 0), type("Handler", (Waiting,), {"bench": made})) as server:
        made.origin = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield made
        finally:
            server.shutdown()


@pytest.mark.parametrize("breaks", [False, True])
def test_what_there_is_no_room_for_waits_and_is_asked_for_once(carrier: str, breaks: bool) -> None:
    before, most, came = int(engine_info()["memory"]), 0, []
    with bench(breaks=breaks) as server:
        for index, body in server.store().iter_many(PATHS, window=ROOM):
            assert body == SMALL
            came.append(index)
            del body
            most = max(most, int(engine_info()["memory"]) - before)
    assert sorted(came) == [0, 1, 2]
    assert came[0] == 0
    assert server.asked == {"/first": 1, "/second": 1 + breaks, "/third": 1 + breaks}
    assert most <= ROOM + len(SMALL)


def test_left_early_what_waits_for_room_is_dropped(carrier: str) -> None:
    before = int(engine_info()["memory"])
    with bench() as server:
        results = iter(server.store().iter_many(PATHS, window=ROOM))
        assert next(results)[0] == 0
        results.close()  # type: ignore[attr-defined]
        assert engine_info()["origins"][server.origin]["in_flight"] == 0
        assert server.asked.total() == 3
    assert int(engine_info()["memory"]) <= before


@at_best
def test_no_time_limit_runs_while_a_reply_waits_for_room() -> None:
    with bench() as server:
        for index, body in server.store(stall_timeout="500ms").iter_many(PATHS, window=ROOM):
            assert body == SMALL
            del body
            if index == 0:  # of the others, one comes now
                time.sleep(1.2)


# --- what is kept


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
