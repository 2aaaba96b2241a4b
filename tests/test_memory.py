"""The memory as a store: what is larger than one read brings, and two hands at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objstore import exceptions
from objstore.store import MemoryStore

LARGE = (2 << 30) + 10
"""More than Linux reads or writes at a time (read(2): 2,147,479,552 bytes)."""


def test_a_file_larger_than_one_read_brings(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGE)
        os.pwrite(file.fileno(), b"end", LARGE - 3)
    store = MemoryStore()
    store.put("a", tmp_path / "large", use_multipart=False)
    assert store.head("a")["size"] == LARGE
    assert store.get_range("a", start=LARGE - 5, length=5) == b"\0\0end"


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
