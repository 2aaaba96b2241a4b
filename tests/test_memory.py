"""The memory as a store: two hands at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from objstore import exceptions
from objstore.store import MemoryStore


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
