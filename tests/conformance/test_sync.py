"""One place made as another: sync between stores and local folders, on each server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from objstore import exceptions
from objstore.store import LocalStore, MemoryStore, Store
from objstore.types import SyncAction, SyncResult
from tests.conformance.conftest import BODIES as LISTED
from tests.conformance.conftest import MANY, Bucket, Face, Mode, Told

BODIES = {f"d/{number // 7}-x/{number:03}": b"%03d" % number for number in range(30)} | {"d/0": b"zero", "d/0.x": b""}
SIZE = sum(map(len, BODIES.values()))
COUNT = len(BODIES)


def content(store: Store, prefix: str = "") -> dict[str, bytes]:
    paths = [meta["path"] for meta in store.list(prefix).collect()]
    return dict(zip(paths, map(bytes, store.get_many(paths)), strict=True))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def filled(store: Face) -> Face:
    store.target.put_many(BODIES)
    return store


async def test_from_a_store_to_a_folder_and_back(filled: Face, mode: Mode, tmp_path: Path, other_store: Store) -> None:
    told = Told()
    result = await filled.sync(tmp_path / "new/folder", progress=told)
    assert result == SyncResult(COUNT, 0, 0, SIZE)
    assert tree(tmp_path / "new/folder") == BODIES
    assert told.calls[-1] == (COUNT, COUNT, SIZE)
    result = await mode(LocalStore(tmp_path / "new/folder")).sync(other_store, to_prefix="below/here")
    assert result == SyncResult(COUNT, 0, 0, SIZE)
    assert content(other_store) == {f"below/here/{path}": body for path, body in BODIES.items()}


async def test_what_is_left_is_done_and_nothing_twice(filled: Face, mode: Mode, other_store: Store) -> None:
    assert await filled.sync(other_store, compare="size") == SyncResult(COUNT, 0, 0, SIZE)
    assert content(other_store) == BODIES
    assert await filled.sync(other_store, compare="size") == SyncResult(0, 0, COUNT, 0)
    other_store.delete(["d/0-x/003", "d/2-x/015"])
    other_store.put("d/1-x/008", b"another size")
    assert await filled.sync(other_store, compare="size") == SyncResult(3, 0, COUNT - 3, 9)
    assert content(other_store) == BODIES


async def test_only_what_is_asked_for_is_deleted(filled: Face, mode: Mode, other_store: Store) -> None:
    other_store.put_many({"kept": b"1", "t/surplus": b"2", "t/x/surplus": b"3", "t/0": b"old!"})
    how: dict[str, Any] = {"prefix": "d", "to_prefix": "t", "compare": "size", "max_concurrency": 4}
    await filled.sync(other_store, **how)
    right = {f"t{path[1:]}": body for path, body in BODIES.items()}
    surplus = {"kept": b"1", "t/surplus": b"2", "t/x/surplus": b"3"}
    right["t/0"] = b"old!"  # of the same size, and so taken for the same
    assert content(other_store) == right | surplus
    actions = await mode.all(await filled.sync(other_store, delete=True, dry_run=True, **how))
    assert [action for action in actions if action.action != "same"] == [
        SyncAction("delete", "surplus", 1),
        SyncAction("delete", "x/surplus", 1),
    ]
    assert sum(action.action == "same" for action in actions) == COUNT
    assert content(other_store) == right | surplus
    assert await filled.sync(other_store, delete=True, **how) == SyncResult(0, 2, COUNT, 0)
    assert content(other_store) == right | {"kept": b"1"}


async def test_a_dry_run_does_nothing(filled: Face, mode: Mode, tmp_path: Path) -> None:
    actions = await mode.all(await filled.sync(tmp_path / "new", dry_run=True))
    assert [action.path for action in actions] == sorted(BODIES)
    assert {action.action for action in actions} == {"copy"}
    assert sum(action.size for action in actions) == SIZE
    assert [*tmp_path.iterdir()] == []


async def test_more_than_a_page(library: Face, mode: Mode) -> None:
    memory = MemoryStore()
    memory.put_many({f"{path.removeprefix('many/')}": body for path, body in zip(MANY, LISTED, strict=True)})
    memory.put("0500/object", b"another size")
    actions = await mode.all(await library.sync(memory, prefix="many", compare="size", delete=True, dry_run=True))
    assert [action.path for action in actions] == [path.removeprefix("many/") for path in MANY]
    assert [action.path for action in actions if action.action != "same"] == ["0500/object"]


async def test_by_checksum(filled: Face, other_store: Store) -> None:
    other_store.put_many(BODIES | {"d/0": b"ZERO"})
    assert await filled.sync(other_store, compare="checksum") == SyncResult(1, 0, COUNT - 1, 4)
    assert content(other_store) == BODIES


async def test_a_place_in_itself(filled: Face, mode: Mode, tmp_path: Path) -> None:
    for how in ({}, {"to_prefix": "d/below"}, {"prefix": "d/0-x", "to_prefix": "d"}):
        with pytest.raises(ValueError, match="lie in each other"):
            await filled.sync(filled.target, **how)
    assert await filled.sync(filled.target, prefix="d", to_prefix="dd") == SyncResult(COUNT, 0, 0, SIZE)


async def test_an_empty_source_deletes_nothing(filled: Face, mode: Mode) -> None:
    with pytest.raises(ValueError, match="delete_prefix"):
        await mode(MemoryStore()).sync(filled.target, delete=True)
    actions = await mode(MemoryStore()).sync(filled.target, delete=True, dry_run=True)
    with pytest.raises(ValueError, match="delete_prefix"):
        await mode.all(actions)
    assert content(filled.target) == BODIES
    assert await mode(MemoryStore()).sync(filled.target) == SyncResult(0, 0, 0, 0)


async def test_a_service_copies_its_objects_itself(bucket: Bucket, mode: Mode) -> None:
    store, other = bucket.open(), bucket.open(prefix="other")
    store.put("from/large", bytes(3_000_000))
    assert await mode(store).sync(other, prefix="from") == SyncResult(1, 0, 0, 3_000_000)
    await mode(store).copy_many([("from/large", "another")])
    assert store.stats()["bytes_received"] + other.stats()["bytes_received"] < 1_000_000
    assert store.head("other/large")["size"] == store.head("another")["size"] == 3_000_000


@pytest.mark.needs("attributes")
async def test_attributes_go_along_between_stores(store: Face, mode: Mode, tmp_path: Path) -> None:
    await store.put("a", b"1", attributes={"Content-Type": "text/x-test"})
    memory = MemoryStore()
    await store.sync(memory)
    assert memory.get("a").attributes["Content-Type"] == "text/x-test"
    await mode(memory).sync(tmp_path / "plain")
    await mode(memory).sync(LocalStore(tmp_path / "store", mkdir=True))
    assert LocalStore(tmp_path / "plain").get("a").attributes == {}
    assert LocalStore(tmp_path / "store").get("a").attributes["Content-Type"] == "text/x-test"


@pytest.mark.needs("raw keys")
async def test_keys_that_are_no_paths(raw_store: Face, mode: Mode, tmp_path: Path) -> None:
    odd = {"a//b": b"1", "a/": b"not empty", "/c": b"2", "a/d": b"3"}
    await raw_store.put_many({**odd, "mark/": b""})
    memory = MemoryStore(raw_keys=True)
    await mode(raw_store.target).sync(memory)
    assert content(memory) == odd
    with pytest.raises(exceptions.InvalidPathError) as caught:
        await raw_store.sync(tmp_path)
    assert "2 more of 4 objects" in caught.value.__notes__[0]
    assert tree(tmp_path) == {"a/d": b"3"}
