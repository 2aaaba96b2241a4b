"""Servers that take so many requests a second, real ones: what is sent to them, and what it leaves alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from objstore import engine_info
from objstore.store import S3Store
from tests.engine.client import wait_until
from tests.limited import Limit, Limited, limited

KEYS = [f"key-{number}" for number in range(600)]
A_SECOND, BURST = 300, 30
MOST = 1.5  # requests for each key; the first that are sent at once, most of which are refused, are a sixth
MOST_OF_TASKS = 2.5  # each is a call of its own: on a busy machine they come in crowds
KINDS = {
    "503 SlowDown": Limit(A_SECOND, BURST),
    "503 SlowDown, Retry-After": Limit(A_SECOND, BURST, headers=("Content-Type: application/xml", "Retry-After: 1")),
    "429": Limit(A_SECOND, BURST, status=429, refusal=b""),
}


def store_at(server: Limited) -> S3Store:
    return S3Store(
        "bucket",
        endpoint=server.url,
        region="us-east-1",
        access_key_id="key",
        secret_access_key="secret",
        client_options={"allow_http": True},
    )


def get_many(store: S3Store) -> None:
    assert len(store.get_many(KEYS)) == len(KEYS)


def by_tasks(store: S3Store) -> None:
    async def one(key: str) -> None:
        await (await store.get_async(key)).bytes_async()

    async def all_of_them() -> None:
        await asyncio.gather(*map(one, KEYS))

    asyncio.run(all_of_them())


def put_many(store: S3Store) -> None:
    store.put_many([(key, b"1") for key in KEYS])


CALLS: dict[str, tuple[str, Callable[[S3Store], None], float]] = {
    "get_many": ("reads", get_many, MOST),
    "tasks": ("reads", by_tasks, MOST_OF_TASKS),
    "put_many": ("writes", put_many, MOST),
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_read_with_few_requests_more(kind: str) -> None:
    with limited(reads=KINDS[kind]) as server:
        get_many(store_at(server))
        assert server.seen("reads").came <= MOST * len(KEYS)


@pytest.mark.parametrize("call", CALLS)
def test_whoever_sends_the_server_is_asked_little_more_than_it_takes(call: str) -> None:
    lane, send, most = CALLS[call]
    limit = Limit(A_SECOND, BURST)
    with limited(reads=limit, writes=limit) as server:
        send(store_at(server))
        assert server.seen(lane).came <= most * len(KEYS)


def test_ranges_are_read_where_less_than_one_is_to_be_in_flight() -> None:
    """It takes so few a second that the busiest machine sends more."""
    with limited(reads=Limit(30, 5)) as server:
        store = store_at(server)
        wait_until(lambda: bool(store.get_many(KEYS[:60])) and engine_info()["origins"][server.url]["reads"] == 1)
        assert [bytes(part) for part in store.get_ranges("key", starts=[0, 2], lengths=[1, 2])] == [b"1", b"34"]


def test_throttled_writes_leave_reads_alone() -> None:
    async def write(store: S3Store, until: asyncio.Event) -> None:
        while not until.is_set():
            await store.put_many_async([(key, b"1") for key in KEYS[:50]])
            await store.delete_async("key")
            await store.copy_async("key", "copy")

    async def read_beside(server: Limited) -> None:
        over = asyncio.Event()
        writing = [asyncio.create_task(write(store_at(server), over)) for _ in range(2)]
        while not server.seen("writes").refused:
            await asyncio.sleep(0.01)
        for _ in range(5):
            await store_at(server).get_many_async(KEYS)
        over.set()
        await asyncio.gather(*writing)

    with limited(writes=Limit(A_SECOND, BURST), reads=Limit(takes=0.01)) as server:
        asyncio.run(read_beside(server))
        assert server.seen("reads").most >= 60  # at a time
