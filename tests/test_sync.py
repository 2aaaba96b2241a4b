"""What sync relies on: the order of listings, the rule of times, little memory, and what ends it early."""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import objstore
from objstore import exceptions
from objstore._core import Listing
from objstore.interface.values import ListQuery, Page
from objstore.operations import ordered, syncing
from objstore.operations.comparing import is_newer
from objstore.operations.ordered import Entry
from objstore.plans.effects import Plan
from objstore.providers.memory import Memory
from objstore.store import LocalStore, MemoryStore
from objstore.types import SyncAction, SyncResult

# --- the order of listings


class Unordered(Memory):
    """A memory whose listings have no order."""

    lists_by_bytes = False

    def list_page(self, query: ListQuery) -> Plan[Page]:
        """Read one page of a listing: 40 keys of a shuffled order."""
        page = yield from super().list_page(ListQuery(prefix=query.prefix))
        metas = page.objects.objects()
        random.Random(5).shuffle(metas)
        start = int(query.token or 0)
        token = str(start + 40) if start + 40 < len(metas) else ""
        return Page(Listing.of(metas[start : start + 40]), [], token)


class Liar(Unordered):
    """The same, and it promises that they have."""

    lists_by_bytes = True


class Stammerer(Memory):
    """A memory that lists a key twice."""

    def list_page(self, query: ListQuery) -> Plan[Page]:
        """Read one page of a listing."""
        page = yield from super().list_page(query)
        metas = page.objects.objects()
        return Page(Listing.of([*metas, metas[-1]]), [], "")


def store_on(kind: type[Memory], bodies: dict[str, bytes]) -> MemoryStore:
    store = MemoryStore()
    store.provider = kind()
    store.put_many(bodies)
    return store


def content(store: MemoryStore) -> dict[str, bytes]:
    paths = [meta["path"] for meta in store.list().collect()]
    return dict(zip(paths, map(bytes, store.get_many(paths)), strict=True))


BODIES = {f"{number % 7}/{number % 3}-\u00e9\U0001f600/{number:03}": b"%03d" % number for number in range(300)}


@pytest.mark.parametrize("run", [7, 50, 1000])
@pytest.mark.parametrize("kinds", [(Unordered, Memory), (Memory, Unordered), (Unordered, Unordered)])
def test_listings_without_an_order_are_sorted(
    monkeypatch: pytest.MonkeyPatch, kinds: tuple[type[Memory], type[Memory]], run: int
) -> None:
    monkeypatch.setattr(ordered, "RUN", run)
    source = store_on(kinds[0], BODIES)
    some = dict([*BODIES.items()][::2])
    target = store_on(kinds[1], some | {"surplus": b"1", "z": b"2"})
    assert source.sync(target, delete=True, compare="size") == SyncResult(150, 2, 150, 450)
    assert sorted(target.provider._keys.in_order()) == sorted(BODIES)
    actions = [*source.sync(target, dry_run=True, compare="size")]
    assert actions == [SyncAction("same", path, 3) for path in sorted(BODIES)]


@pytest.mark.parametrize("kind", [Liar, Stammerer])
@pytest.mark.parametrize("is_source", [False, True])
def test_a_listing_that_breaks_its_promise_is_an_error(kind: type[Memory], is_source: bool) -> None:
    odd, plain = store_on(kind, BODIES), store_on(Memory, {"surplus": b"1", "zz": b"2"})
    source, target = (odd, plain) if is_source else (plain, odd)
    before = set(target.provider._keys.in_order())
    with pytest.raises(exceptions.CorruptResponseError, match=r"in the order of its keys|comes again"):
        source.sync(target, delete=True)
    assert before <= set(target.provider._keys.in_order())


# --- memory


NOW = datetime.now(UTC)


class Endless(Memory):
    """A memory that lists very many objects which it makes up."""

    count = 40_000  # of which the rows alone would take 10 MB

    def list_page(self, query: ListQuery) -> Plan[Page]:
        """Read one page of a listing."""
        start = int(query.token or 0)
        meta = {"size": 1, "last_modified": NOW, "e_tag": None, "version": None}
        names = [{**meta, "path": f"some/longer/path/{number:09}"} for number in range(start, start + 1000)]
        token = str(start + 1000) if start + 1000 < self.count else ""
        return Page(Listing.of(names), [], token)  # type: ignore[arg-type]
        yield


def test_many_objects_take_the_memory_of_a_few() -> None:
    source, target = store_on(Endless, {}), store_on(Endless, {})
    tracemalloc.start()
    try:
        result = source.sync(target, compare="size")
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()
    assert result == SyncResult(0, 0, Endless.count, 0)


def test_fifty_thousand_copies() -> None:
    bodies = {f"a/{number:06}": b"1" for number in range(50_000)}
    source, target = store_on(Memory, bodies), store_on(Memory, {})
    assert source.sync(target) == SyncResult(50_000, 0, 0, 50_000)
    assert source.sync(target, compare="size").same == 50_000


# --- times


@pytest.mark.parametrize(
    ("ours", "theirs", "newer"),
    [
        (10.5, 10.4, True),
        (10.5, 10.5, False),
        (10.5, 10.6, False),
        (10.0, 10.6, True),  # told in whole seconds: it may have been 10.9
        (10.0, 11.0, False),
        (10.5, 10.0, True),
        (0.0, 10.0, True),  # nobody knows
    ],
)
def test_what_may_have_been_modified_later(ours: float, theirs: float, newer: bool) -> None:
    assert is_newer(Entry("a", 1, ours), Entry("a", 1, theirs)) is newer


def test_a_file_that_was_modified_is_copied(tmp_path: Path) -> None:
    folder, store = LocalStore(tmp_path), MemoryStore()
    folder.put_many({"a": b"1", "b": b"2"})
    for name in "ab":
        os.utime(tmp_path / name, (time.time() - 100.5,) * 2)
    objstore.sync(tmp_path, store)
    assert objstore.sync(tmp_path, store) == SyncResult(0, 0, 2, 0)
    (tmp_path / "b").write_bytes(b"3")
    os.utime(tmp_path / "b", (time.time() + 100.5,) * 2)
    assert objstore.sync(str(tmp_path), store) == SyncResult(1, 0, 1, 1)
    assert content(store) == {"a": b"1", "b": b"3"}


# --- what ends it early


def test_nothing_is_deleted_where_a_copy_fails(tmp_path: Path) -> None:
    source, target = MemoryStore(), LocalStore(tmp_path, mkdir=True)
    source.put_many({"a": b"1", "b": b"2", "c": b"3"})
    (tmp_path / "b").mkdir()
    (tmp_path / "b/kept").write_bytes(b"4")
    with pytest.raises(exceptions.BaseError) as caught:
        source.sync(target, delete=True)
    assert caught.value.path == "b"
    assert content(target) == {"a": b"1", "b/kept": b"4", "c": b"3"}  # type: ignore[arg-type]


def test_broken_off_it_leaves_whole_objects_and_goes_on(tmp_path: Path) -> None:
    source = MemoryStore()
    bodies = {f"{number:03}": random.Random(number).randbytes(300_000) for number in range(20)}
    bodies["large"] = bytes(12_000_000)
    source.put_many(bodies)

    def interrupt(done: int, total: int, moved: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source.sync(tmp_path, progress=interrupt, max_concurrency=4)
    found = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert 0 < len(found) < len(bodies)
    assert found == {name: bodies[name] for name in found}
    result = source.sync(tmp_path)
    assert result.copied == len(bodies) - len(found)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == bodies


HOSTILE = ["../out", "a/../../out", "/etc/out", "a/./b", "a\0b", ".."]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_below_the_folder(tmp_path: Path, name: str) -> None:
    store = MemoryStore(raw_keys=True)
    store.put_many({"good": b"1", name: b"2"})
    with pytest.raises(exceptions.InvalidPathError):
        store.sync(tmp_path / "folder")
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["good"]


def test_where_case_does_not_count_no_new_file_replaces_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "folds_case", lambda folder: True)  # no such file system can be made without rights
    store = MemoryStore()
    store.put_many({"A": b"1", "B": b"2", "old": b"3"})
    (tmp_path / "old").write_bytes(b"older")

    def progress(done: int, total: int, moved: int) -> None:
        (tmp_path / "B").write_bytes(b"there by another name")

    with pytest.raises(exceptions.AlreadyExistsError) as caught:
        store.sync(tmp_path, progress=progress, max_concurrency=1)
    assert caught.value.path == "B"
    found = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert found == {"A": b"1", "B": b"there by another name", "old": b"3"}


def test_symlinks_lead_nowhere_else(tmp_path: Path) -> None:
    for name in ("outside", "folder"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder/a").symlink_to(tmp_path / "outside")
    store = MemoryStore()
    store.put_many({"a/b": b"1"})
    with pytest.raises(exceptions.PermissionDeniedError):
        store.sync(tmp_path / "folder")
    assert [*(tmp_path / "outside").iterdir()] == []


WRONG: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    ((5, MemoryStore()), {}, TypeError, "give a store, or the path"),
    ((MemoryStore(), "s3://bucket"), {}, ValueError, "from_url"),
    ((MemoryStore(), MemoryStore()), {"compare": "name"}, ValueError, "compare = 'name'"),
    ((MemoryStore(), MemoryStore()), {"max_concurrency": 0}, ValueError, "max_concurrency"),
    (("/nowhere/at/all", MemoryStore()), {}, exceptions.ConfigurationError, "/nowhere"),
]


@pytest.mark.parametrize(("places", "how", "error", "said"), WRONG)
def test_what_is_none(places: tuple[Any, ...], how: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        objstore.sync(*places, **how)
