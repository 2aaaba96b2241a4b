"""Files as sources and targets: a system that does less than it is asked for, and files that change under way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objstore import exceptions
from objstore.store import LocalStore, MemoryStore

DATA = bytes(range(251)) * 400
SLOWLY = 7001
"""How many bytes the system of these tests reads or writes at a time, as Linux does no more than 2 GiB."""


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryStore | LocalStore:
    return MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "root", mkdir=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").write_bytes(DATA)
    return tmp_path / "source"


WAYS_IN: dict[str, Callable[[Any, Path], object]] = {
    "put": lambda store, path: store.put("a", path),
    "put whole": lambda store, path: store.put("a", path, use_multipart=False),
    "put in parts": lambda store, path: store.put("a", path, use_multipart=True, chunk_size=1 << 20),
    "put a buffer": lambda store, path: store.put("a", path.read_bytes()),
    "put_many": lambda store, path: store.put_many({"a": path}),
    "upload": lambda store, path: store.upload(path, "a"),
}


@pytest.fixture
def little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pread, preadv, pwrite, copy_file_range = os.pread, os.preadv, os.pwrite, os.copy_file_range
    monkeypatch.setattr(os, "pread", lambda file, size, at: pread(file, min(size, SLOWLY), at))
    monkeypatch.setattr(os, "preadv", lambda file, views, at: preadv(file, [views[0][:SLOWLY]], at))
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: pwrite(file, memoryview(data)[:SLOWLY], at))
    monkeypatch.setattr(
        os,
        "copy_file_range",
        lambda source, target, size, *at: copy_file_range(source, target, min(size, SLOWLY), *at),
    )


@pytest.mark.usefixtures("little_at_a_time")
@pytest.mark.parametrize("way", WAYS_IN)
def test_all_is_read_and_written(store: Any, source: Path, tmp_path: Path, way: str) -> None:
    WAYS_IN[way](store, source)
    store.copy("a", "b")
    assert store.get("b").bytes() == DATA
    assert store.get_many(["b"]) == [DATA]
    for fsync in (False, True):
        store.download("b", tmp_path / "target", chunk_size=50_000, fsync=fsync)
        assert (tmp_path / "target").read_bytes() == DATA
    (tmp_path / "other").hardlink_to(tmp_path / "target")
    store.put("b", DATA[::-1])
    store.download("b", tmp_path / "target")
    assert (tmp_path / "other").read_bytes() == DATA[::-1]


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shorter(path: Path) -> None:
    os.truncate(path, 10)


def otherwise(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")


@pytest.mark.parametrize("change", [longer, shorter, otherwise])
@pytest.mark.parametrize("way", [way for way in WAYS_IN if way != "put a buffer"])
def test_a_file_that_changes_replaces_nothing(
    store: Any, source: Path, monkeypatch: pytest.MonkeyPatch, way: str, change: Callable[[Path], None]
) -> None:
    """It is noticed before the object appears: what was there stays."""
    store.put("a", b"old")

    def changing(name: str) -> None:
        function = getattr(os, name)

        def call(*arguments: Any) -> Any:
            done = function(*arguments)
            change(source)
            return done

        monkeypatch.setattr(os, name, call)

    for name in ("pread", "preadv", "copy_file_range"):
        changing(name)
    with pytest.raises(exceptions.SourceChangedError):
        WAYS_IN[way](store, source)
    monkeypatch.undo()
    assert store.get("a").bytes() == b"old"
    assert [meta["path"] for meta in store.list().collect()] == ["a"]


def test_of_many_only_the_one_that_changes_fails(store: Any, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", b"old")
    name = "preadv" if isinstance(store, MemoryStore) else "copy_file_range"
    function = getattr(os, name)
    monkeypatch.setattr(os, name, lambda *arguments: (otherwise(source), function(*arguments))[1])
    changed, done = store.put_many([("a", source), ("b", b"new")], on_error="return")
    assert isinstance(changed, exceptions.SourceChangedError)
    assert repr(str(source)) in str(changed)
    assert done["e_tag"] == store.head("b")["e_tag"]
    assert store.get_many(["a", "b"]) == [b"old", b"new"]
