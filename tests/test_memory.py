"""The memory as a store: two hands at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from objstore import exceptions
from objstore._core import Gathered
from objstore.plans import work
from objstore.providers import memory
from objstore.store import MemoryStore
from objstore.types import Buffer


class Interrupted:
    """A lock; when it is first let go of, somebody else comes in between."""

    def __init__(self, lock: Any, between: Callable[[], None]) -> None:
        self.lock = lock
        self.between: Callable[[], None] | None = between

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()
        between, self.between = self.between, None
        if between is not None:
            between()


@pytest.mark.parametrize("overwrite", [False, True])
def test_nobody_comes_in_the_middle_of_a_rename(overwrite: bool) -> None:
    """Neither is what another call puts in the old place lost, nor can another call rename the same value."""
    store = MemoryStore()
    store.put_many({"a": b"1", "other": b"2"})

    def between() -> None:
        with pytest.raises(exceptions.NotFoundError):
            store.rename("a", "again", overwrite=overwrite)
        store.rename("other", "a", overwrite=overwrite)

    store.provider._lock = Interrupted(store.provider._lock, between)  # type: ignore[assignment]
    store.rename("a", "b", overwrite=overwrite)
    assert [meta["path"] for meta in store.list().collect()] == ["a", "b"]
    assert store.get_many(["a", "b"]) == [b"2", b"1"]


def test_a_rename_that_is_refused_changes_nothing() -> None:
    store = MemoryStore()
    store.put_many({"a": b"1", "b": b"2"})
    with pytest.raises(exceptions.AlreadyExistsError):
        store.rename("a", "b", overwrite=False)
    assert store.get_many(["a", "b"]) == [b"1", b"2"]


def test_a_part_of_another_size_than_is_told_is_refused() -> None:
    upload = MemoryStore().begin_upload("key")
    part = upload.put_part(1, b"whole")
    with pytest.raises(exceptions.GenericError, match="not there as it is told"):
        upload.complete([part._replace(size=2)])


def test_of_many_who_complete_one_upload_one_is_told_so() -> None:
    store = MemoryStore()
    for _ in range(50):
        upload = store.begin_upload("key")
        part = upload.put_part(1, b"once")
        with ThreadPoolExecutor(4) as pool:
            ended = [pool.submit(upload.complete, [part]) for _ in range(4)]
        assert sorted(type(each.exception()).__name__ for each in ended) == ["NoneType", *["NotFoundError"] * 3]


def test_of_many_who_delete_one_version_one_is_told_so() -> None:
    store = MemoryStore()
    for _ in range(50):
        e_tag = store.put("key", b"1")["e_tag"]
        with ThreadPoolExecutor(4) as pool:
            ended = [pool.submit(store.delete, "key", if_match=e_tag) for _ in range(4)]
        assert sorted(type(each.exception()).__name__ for each in ended) == ["NoneType", *["NotFoundError"] * 3]


WAYS: dict[str, Callable[[MemoryStore, bytes], Coroutine[Any, Any, object]]] = {
    "in parts": lambda store, body: store.put_async("a", body),
    "in one": lambda store, body: store.put_async("a", body, chunk_size=len(body)),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_event_loop_has_its_turn_while_much_is_copied(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(work, "AT_A_TIME", 0)
    body = bytes(range(256)) * (64 << 12)
    store = MemoryStore()

    async def main() -> int:
        writing, turns = asyncio.create_task(WAYS[way](store, body)), 0
        while not writing.done():
            await asyncio.sleep(0)
            turns += 1
        await writing
        return turns

    assert asyncio.run(main()) > 10
    assert store.get("a").bytes() == body


def test_what_is_large_of_many_is_copied_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def gather(gathered: Gathered, data: Buffer) -> work.Work[None]:
        threads.append(threading.get_ident())
        return work.gather(gathered, data)

    monkeypatch.setattr(memory, "gather", gather)
    asyncio.run(MemoryStore().put_many_async({"a": bytes(2 << 20), "b": b"small"}))
    assert len(threads) == 1
    assert threading.get_ident() not in threads
