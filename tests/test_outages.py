"""Servers that are down for a while: nothing is lost, little is sent meanwhile, and what cannot be helped ends soon."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from objstore.exceptions import BaseError
from objstore.http.retry import CURL_ROWS
from objstore.store import HTTPStore
from tests.engine.client import SOON
from tests.engine.raw import Raw, answering, resets, sends

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
DOWN = b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def down() -> Iterator[tuple[Raw, threading.Event]]:
    """Run a server that is down until the event is set."""
    back = threading.Event()
    with answering(lambda connection: connection.sendall(OK if back.is_set() else DOWN)) as raw:
        yield raw, back


@contextmanager
def down_for(requests: int) -> Iterator[Raw]:
    """Run a server that fails so many requests, and no more."""
    left = iter(range(requests))
    with answering(lambda connection: connection.sendall(OK if next(left, None) is None else DOWN)) as raw:
        yield raw


def store_at(raw: Raw) -> HTTPStore:
    return HTTPStore(raw.origin, client_options={"allow_http": True})


def test_a_batch_waits_for_a_server_that_is_down() -> None:
    with down_for(237) as raw:  # each request once, the retries that the budget pays for, and one that finds it so
        assert store_at(raw).get_many([f"{index}" for index in range(200)]) == [b"1"] * 200
    assert len(raw.heads) == 437


def test_tasks_wait_for_a_server_that_is_down() -> None:
    async def read(store: HTTPStore) -> list[bytes]:
        return [bytes(await found.bytes_async()) for found in await asyncio.gather(*map(store.get_async, "a" * 200))]

    with down_for(237) as raw:
        assert asyncio.run(read(store_at(raw))) == [b"1"] * 200
    assert len(raw.heads) == 437


def test_who_was_to_find_the_server_back_may_be_cancelled() -> None:
    async def read(store: HTTPStore, raw: Raw, back: threading.Event) -> None:
        tasks = [asyncio.create_task(store.get_async("a")) for _ in range(60)]
        while len(raw.heads) < 60 + 35:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # by now all but one wait for another
        back.set()
        for task in tasks[1:-1]:
            task.cancel()
        async with asyncio.timeout(SOON):
            await asyncio.gather(tasks[0], tasks[-1])

    with down() as (raw, back):
        asyncio.run(read(store_at(raw), raw, back))


def test_where_nobody_is_there_most_of_a_batch_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CURL_ROWS, 7, CURL_ROWS[7]._replace(patience=0))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store = HTTPStore(f"http://127.0.0.1:{port}", client_options={"allow_http": True})
    found = store.get_many([f"{index}" for index in range(2000)], on_error="return")
    assert all(isinstance(error, BaseError) and error.maybe_applied is False for error in found)
    assert sum(error.attempts or 0 for error in found if isinstance(error, BaseError)) < 1000
    assert f"'1999' failed: {CURL_ROWS[7].words}" in str(found[-1])


def test_where_no_time_is_given_one_reset_is_that_of_one_request() -> None:
    def answer(connection: socket.socket) -> None:
        (resets(b"") if b"/bad" in raw.heads[-1] else sends(OK))(connection)

    with answering(answer) as raw:
        store = HTTPStore(raw.origin, client_options={"allow_http": True}, retry_config={"retry_timeout": 0})
        found = store.get_many(["warm", "bad", *"a" * 50], on_error="return", max_concurrency=1)
    assert [isinstance(each, BaseError) for each in found] == [False, True, *[False] * 50]
