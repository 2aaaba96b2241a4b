"""Syncs by a pool of processes: what was found at first is what is done, once; and nothing else is deleted."""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import objstore
from objstore.distributed import JobError, Manifest, sync
from objstore.exceptions import NotFoundError, NotSupportedError, ObjectChangedError
from objstore.store import LocalStore, MemoryStore, S3Store
from objstore.types import SyncResult
from tests.servers import S3Server
from tests.test_transfers import BODIES, SIZE, content, manifest, pool, source, store_on

__all__ = ["manifest", "pool", "source"]


def at(store: S3Store | LocalStore | MemoryStore, prefix: str) -> dict[str, bytes]:
    return {path.removeprefix(f"{prefix}/"): body for path, body in content(store).items() if path.startswith(prefix)}


def test_a_place_is_made_as_another(source: S3Store, moto: S3Server, pool: Executor, tmp_path: Path) -> None:
    target = store_on(moto, tmp_path.name)
    target.put_many({"to/d/000": b"", "to/d/001": b"another size", "to/surplus": b"123", "beside": b"x"})
    told: list[tuple[int, int, int]] = []
    do = partial(sync, source, target, to_prefix="to", compare="size", executor=pool, bytes=10_000)
    assert do(progress=lambda *each: told.append(each)) == SyncResult(60, 0, 1, SIZE)
    assert (told[-1][0], told[-1][2]) == (told[-1][1], SIZE)
    assert told[-1][0] > 5
    assert at(target, "to") == {**BODIES, "surplus": b"123"}
    assert do(delete=True) == SyncResult(0, 1, 61, 0)
    assert at(target, "to") == BODIES
    assert target.get("beside").bytes() == b"x"


def test_a_part_of_a_store_is_made_as_a_part_of_another(source: S3Store, pool: Executor, tmp_path: Path) -> None:
    target = LocalStore(tmp_path / "to", mkdir=True)
    assert sync(source, target, prefix="d", to_prefix="e/f", executor=pool).copied == 60
    assert at(target, "e/f") == {path.removeprefix("d/"): body for path, body in BODIES.items() if path != "large"}
    assert objstore.sync(source, target, prefix="d", to_prefix="e/f", compare="size").copied == 0


def test_keys_are_taken_as_they_are(rclone: S3Server, pool: Executor, tmp_path: Path) -> None:
    source, target = MemoryStore(), MemoryStore()
    source.with_raw_keys().put_many({"a//b": b"1", "p/./c": b"2", "p//d\n": b"3"})
    target.with_raw_keys().put_many({"q/..": b"4"})
    with ThreadPoolExecutor(2) as executor:
        assert sync(source, target, executor=executor) == SyncResult(3, 0, 0, 3)
        assert sync(source, target, prefix="p", to_prefix="q", delete=True, executor=executor) == SyncResult(2, 1, 0, 2)
    found = {meta["path"] for meta in target.with_raw_keys().list().collect()}
    assert found == {"a//b", "p/./c", "p//d\n", "q/./c", "q//d\n"}


@pytest.mark.parametrize("compare", ["size", "checksum"])
def test_objects_are_compared_as_is_said(tmp_path: Path, pool: Executor, compare: Any) -> None:
    source, target = LocalStore(tmp_path / "from", mkdir=True), LocalStore(tmp_path / "to", mkdir=True)
    target.put("a", b"other")
    source.put("a", b"bytes")
    changed = compare == "checksum"
    assert sync(source, target, compare=compare, executor=pool) == (changed, 0, not changed, 5 * changed)


def test_what_was_found_at_first_is_done(tmp_path: Path, pool: Executor, manifest: Manifest) -> None:
    source, target = LocalStore(tmp_path / "from", mkdir=True), LocalStore(tmp_path / "to", mkdir=True)
    source.put_many({"a": b"1", "b": b"22", "c": b"333"})
    target.put_many({"c": b"444", "x": b"5", "y": b"66"})
    os.utime(tmp_path / "from" / "c", (1, 1))
    (tmp_path / "to" / "b").mkdir()  # no file can be put in its place: the second piece fails
    do = partial(sync, source, target, delete=True, executor=pool, manifest=manifest, bytes=1, most_in_flight=1)
    with pytest.raises(NotSupportedError, match="'b' cannot be written") as error:
        do()
    assert "the manifest 'manifest/copies' in" in error.value.__notes__[0]
    assert content(target) == {"a": b"1", "c": b"444", "x": b"5", "y": b"66"}
    (tmp_path / "to" / "b").rmdir()
    target.put("a", b"changed since")  # it is done, and stays as somebody else wants it
    target.put("z", b"new")  # nobody found it
    target.delete("y")
    source.put("d", b"new")
    for _ in range(2):
        assert do() == SyncResult(2, 2, 1, 3)
        assert content(target) == {"a": b"changed since", "b": b"22", "c": b"444", "z": b"new"}
    manifest = Manifest(manifest.store, "another")
    assert do(manifest=manifest) == SyncResult(2, 1, 2, 4)
    assert content(target) == {"a": b"1", "b": b"22", "c": b"444", "d": b"new"}


def test_nothing_is_deleted_that_the_source_has_by_now(tmp_path: Path, pool: Executor, manifest: Manifest) -> None:
    source, target = LocalStore(tmp_path / "from", mkdir=True), LocalStore(tmp_path / "to", mkdir=True)
    source.put("p/a", b"1")
    target.put_many({"x": b"2", "y": b"3"})
    do = partial(sync, source, target, prefix="p", delete=True, executor=pool, manifest=manifest)
    source.put("p/blocked", b"")
    (tmp_path / "to" / "blocked").mkdir()
    with pytest.raises(NotSupportedError, match="'blocked' cannot be written"):
        do()
    (tmp_path / "to" / "blocked").rmdir()
    source.put("p/y", b"new")
    with pytest.raises(ObjectChangedError, match="'p/y' is in the source by now"):
        do()
    assert content(target) == {"a": b"1", "blocked": b"", "x": b"2", "y": b"3"}


def test_nothing_is_deleted_before_all_is_copied(tmp_path: Path, manifest: Manifest) -> None:
    source, target = MemoryStore(), LocalStore(tmp_path / "to", mkdir=True)
    source.put_many({"a": b"1", "b": b"2"})
    target.put("x", b"")
    with ThreadPoolExecutor(1) as executor:

        class Broken(ThreadPoolExecutor):
            def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
                source.delete("b")
                return executor.submit(function, *arguments, **keywords)

        with Broken(1) as broken, pytest.raises(NotFoundError):
            sync(source, target, delete=True, executor=broken, manifest=manifest)
    assert "x" in content(target)


def test_another_job_is_refused(tmp_path: Path, pool: Executor, manifest: Manifest) -> None:
    source, target = LocalStore(tmp_path / "from", mkdir=True), LocalStore(tmp_path / "to", mkdir=True)
    source.put("a", b"1")
    sync(source, target, executor=pool, manifest=manifest)
    others: list[dict[str, Any]] = [{"to_prefix": "p"}, {"delete": True}, {"compare": "size"}]
    for other in others:
        with pytest.raises(JobError, match=r"the plan 'manifest/actions' in .* is of another job, not of sync from"):
            sync(source, target, executor=pool, manifest=manifest, **other)
    assert content(target) == {"a": b"1"}


def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path: Path, pool: Executor) -> None:
    source, target = LocalStore(tmp_path / "from", mkdir=True), LocalStore(tmp_path / "to", mkdir=True)
    target.put("a", b"1")
    do = partial(sync, source, target, delete=True, executor=pool)
    with pytest.raises(ValueError, match="would delete all there is"):
        do()
    with pytest.raises(ValueError, match="lie in each other"):
        sync(target, target, to_prefix="below", executor=pool)
    with pytest.raises(ValueError, match="'time', 'size' or 'checksum'"):
        do(compare="name")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the manifest 'jobs/a' lies in the target"):
        do(manifest=Manifest(target, "jobs/a"))
    assert content(target) == {"a": b"1"}


def test_a_plan_that_was_cut_is_refused(tmp_path: Path, pool: Executor, manifest: Manifest) -> None:
    source, target = LocalStore(tmp_path / "from", mkdir=True), LocalStore(tmp_path / "to", mkdir=True)
    source.put_many({"a": b"1", "b": b"22"})
    sync(source, target, executor=pool, manifest=manifest)
    lines = manifest.store.get("manifest/actions").bytes().to_bytes().splitlines(keepends=True)
    manifest.store.put("manifest/actions", b"".join(lines[:-1]))
    with pytest.raises(JobError, match=r"'manifest/actions' in .* ends early"):
        sync(source, target, executor=pool, manifest=manifest)


def test_a_lost_worker_is_replaced_in_either_part(source: S3Store, tmp_path: Path) -> None:
    target = LocalStore(tmp_path / "to", mkdir=True)
    target.put("surplus", b"")
    made: list[Executor] = []

    def make() -> Executor:
        made.append(ProcessPoolExecutor(2, mp_context=get_context("forkserver")))
        if len(made) % 2:
            with pytest.raises(BrokenExecutor):
                made[-1].submit(os._exit, 1).result()
        return made[-1]

    assert sync(source, target, delete=True, executor=make, bytes=10_000) == SyncResult(61, 1, 0, SIZE)
    assert content(target) == BODIES
    assert len(made) == 4
