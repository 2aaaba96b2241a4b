"""Copies between stores: on the server between buckets of one service, through this machine otherwise."""

from __future__ import annotations

import random

import pytest

from objstore import exceptions
from objstore.store import MemoryStore, Store
from tests.conformance.conftest import Bucket, Face, Mode, Told

ATTRIBUTES = {"Content-Type": "text/plain", "own": "value"}


@pytest.mark.needs("attributes")
async def test_to_another_bucket(store: Face, other_store: Store) -> None:
    await store.put("a", b"body", attributes=ATTRIBUTES)
    await store.copy("a", "b/c", to_store=other_store)
    result = other_store.get("b/c")
    assert bytes(result.bytes()) == b"body"
    assert result.attributes["Content-Type"] == "text/plain"
    assert (await store.head("a"))["size"] == 4


@pytest.mark.parametrize("size", [0, 10, 12_000_001])
async def test_to_and_from_the_memory(bucket: Bucket, mode: Mode, size: int) -> None:
    store, memory, body = bucket.open(), MemoryStore(), random.Random(size).randbytes(size)
    store.put("a", body, attributes=ATTRIBUTES)
    told = Told()
    await mode(store).copy("a", "there", to_store=memory, progress=told)
    assert memory.get("there").bytes() == body
    assert told.calls[-1][2] == size
    await mode(memory).copy("there", "back", to_store=store)
    result = store.get("back")
    assert result.bytes() == body
    assert {name: result.attributes[name] for name in ATTRIBUTES} == ATTRIBUTES
    if size > 10:
        assert bucket.unfinished() == []


@pytest.mark.needs("copies that replace nothing")
async def test_what_exists_is_not_replaced(store: Face, other_store: Store) -> None:
    await store.put("a", b"new")
    for target in (other_store, MemoryStore()):
        target.put("b", b"old")
        with pytest.raises(exceptions.AlreadyExistsError):
            await store.copy("a", "b", overwrite=False, to_store=target)
        assert target.get("b").bytes() == b"old"


async def test_what_does_not_exist(store: Face, other_store: Store) -> None:
    for target in (other_store, MemoryStore()):
        with pytest.raises(exceptions.NotFoundError):
            await store.copy("nothing", "b", to_store=target)
        assert target.list().collect() == []
