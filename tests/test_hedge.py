"""The switch `hedge`: which operations of a store ask again for what is late, and what is seen of that."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import objstore
from objstore.store import S3Store
from objstore.types import RequestInfo
from tests.engine.client import at_best
from tests.faults.client import FaultServer, fault_server
from tests.faults.content import content
from tests.test_faults import store_on

SIZE = 65536
ALL = content(0, SIZE)
Read = Callable[[S3Store, str], Awaitable[object]]


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    """A server of its own: none is sent to one that wanted less lately."""
    with fault_server() as running:
        yield running


async def get(store: S3Store, path: str) -> bytes:
    return bytes(await (await store.get_async(path)).bytes_async())


async def get_into(store: S3Store, path: str) -> bytes:
    memory = bytearray(SIZE)
    await store.get_many_async([(path, 0, SIZE)], out=[memory])
    return bytes(memory)


async def get_range(store: S3Store, path: str) -> bytes:
    return bytes(await store.get_range_async(path, start=0, end=SIZE))


async def get_ranges(store: S3Store, path: str) -> bytes:
    halves = await store.get_ranges_async(path, starts=[0, SIZE // 2], ends=[SIZE // 2, SIZE], coalesce=0)
    return b"".join(map(bytes, halves))


async def get_many(store: S3Store, path: str) -> bytes:
    return bytes((await store.get_many_async([path]))[0])


async def iter_many(store: S3Store, path: str) -> bytes:
    return b"".join([bytes(body) async for _, body in store.iter_many([path])])


async def head(store: S3Store, path: str) -> bytes:
    assert (await store.head_async(path))["size"] == SIZE
    return ALL


async def head_many(store: S3Store, path: str) -> bytes:
    assert [meta["size"] for meta in await store.head_many_async([path])] == [SIZE]
    return ALL


async def read_meanwhile(store: S3Store, read: Read, path: str) -> object:
    """Read something while others are read that earn a hedge."""
    late = asyncio.create_task(read(store, path))
    while not late.done():
        await get_many(store, "calm/a")
        await head(store, "calm/a")
    return await late


def warmed(server: FaultServer, **options: Any) -> S3Store:
    """Return a store, with a server of which is known how soon it answers."""
    server.forget()
    store = store_on(server, **options)
    for _ in range(4):
        store.get_many(["calm/a"] * 32)
        store.head_many(["calm/a"] * 32)
    return store


@pytest.mark.parametrize("read", [get, get_into, get_range, get_ranges, get_many, iter_many, head, head_many])
def test_reads_are_hedged(server: FaultServer, read: Read) -> None:
    store = warmed(server, hedge=True)
    told: list[RequestInfo] = []
    objstore.configure(on_request=told.append)
    try:
        assert asyncio.run(read_meanwhile(store, read, "late-once/a")) == ALL
    finally:
        objstore.configure(on_request=None)
    connections = defaultdict(set)
    for each in server.requests("late-once/"):
        connections[each["method"], each["target"], each["headers"].get("range")].add(each["connection"])
    assert sorted(map(len, connections.values())) == [*[1] * (len(connections) - 1), 2]
    stats = store.stats()
    assert (stats["hedges"] > 0, stats["retries"], stats["errors"]) == (True, 0, {})
    assert {(each.status, each.attempt, each.error) for each in told} <= {(200, 1, None), (206, 1, None)}


def test_signatures_are_as_good_as_those_of_others(server: FaultServer) -> None:
    store = warmed(server, hedge=True)
    asyncio.run(read_meanwhile(store, get_range, "late-once/a"))
    first, second = [each["headers"]["authorization"] for each in server.requests("late-once/")]
    assert first == second


async def put(store: S3Store, path: str) -> None:
    await store.put_async(path, b"new")


async def delete(store: S3Store, path: str) -> None:
    await store.delete_async(path)


async def list_all(store: S3Store, path: str) -> None:
    await store.list(path).collect_async()


@pytest.mark.parametrize("change", [put, delete, list_all])
@at_best
def test_nothing_else_is(server: FaultServer, change: Read) -> None:
    store = warmed(server, hedge=True, first_byte_timeout=0.5)
    asyncio.run(read_meanwhile(store, change, "late-once/a"))
    asked = server.requests("late-once/") or [
        each for each in server.requests() if each["operation"] == "list"
    ]  # sent again when that was due, and not before
    assert asked[1]["time"] - asked[0]["time"] > 0.4
    assert store.stats()["retries"] == 1


@at_best
def test_none_without_the_switch(server: FaultServer) -> None:
    store = warmed(server, first_byte_timeout=0.5)
    assert asyncio.run(read_meanwhile(store, get_range, "late-once/a")) == ALL
    first, second = server.requests("late-once/")
    assert second["time"] - first["time"] > 0.4
    assert (store.stats()["hedges"], store.stats()["retries"]) == (0, 1)
