"""Transfers by a pool of processes: every object, with its attributes, and what was not so is an error."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from objstore._core import checksum as checksum_of
from objstore._distributed.manifest import place
from objstore.distributed import JobError, Manifest, checksum, copy, delete, download, head, upload
from objstore.exceptions import NotFoundError, ObjectChangedError
from objstore.store import LocalStore, MemoryStore, S3Store, Store
from tests.servers import S3Server

BODIES = {f"d/{number:03}": bytes([number]) * (number * 37) for number in range(60)} | {"large": b"x" * 300_000}
SIZE = sum(map(len, BODIES.values()))


def store_on(server: S3Server, name: str) -> S3Store:
    return S3Store(
        server.make_bucket("transfers"),
        prefix=name,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
    )


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        yield pool


@pytest.fixture
def source(rclone: S3Server, tmp_path: Path) -> S3Store:
    store = store_on(rclone, f"{tmp_path.name}-source")
    store.put_many(BODIES)
    return store


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(LocalStore(tmp_path / "job", mkdir=True), "manifest")


def content(store: Store) -> dict[str, bytes]:
    paths = [meta["path"] for page in store.list() for meta in page]
    return dict(zip(paths, map(bytes, store.get_many(paths)), strict=True))


def test_objects_are_copied_between_servers(source: S3Store, moto: S3Server, pool: Executor, tmp_path: Path) -> None:
    target = store_on(moto, tmp_path.name)
    told: list[tuple[int, int, int]] = []
    totals = copy(source, target, executor=pool, bytes=10_000, progress=lambda *each: told.append(each))
    assert totals == (61, SIZE)
    assert content(target) == BODIES
    assert told[-1][0] == told[-1][1] > 5
    assert told[-1][2] == SIZE


def test_attributes_come_along(pool: Executor, moto: S3Server, tmp_path: Path) -> None:
    source, target = LocalStore(tmp_path), store_on(moto, tmp_path.name)
    source.put("a", b"<p>", attributes={"Content-Type": "text/html", "kind": "page"})
    assert copy(source, target, executor=pool) == (1, 3)
    found = target.get("a").attributes
    assert (found["Content-Type"], found["kind"]) == ("text/html", "page")


def test_a_folder_goes_up_and_comes_down(rclone: S3Server, pool: Executor, tmp_path: Path) -> None:
    LocalStore(tmp_path / "from", mkdir=True).put_many(BODIES)
    store = store_on(rclone, tmp_path.name)
    assert upload(tmp_path / "from", store, "d", executor=pool) == (60, SIZE - 300_000)
    assert download(store, tmp_path / "to", store.list("d").collect()[:50], executor=pool)[0] == 50
    assert content(LocalStore(tmp_path / "to")) == dict([*BODIES.items()][:50])


def test_what_is_done_is_not_done_again(source: S3Store, pool: Executor, manifest: Manifest, tmp_path: Path) -> None:
    folder = tmp_path / "to"
    for _ in range(2):
        assert download(source, folder, executor=pool, manifest=manifest) == (61, SIZE)
    (folder / "large").unlink()
    assert download(source, folder, executor=pool, manifest=manifest) == (61, SIZE)
    assert not (folder / "large").exists()
    with pytest.raises(JobError, match=r"of another job: of copy from S3Store.* at http.* to LocalStore"):
        download(source, tmp_path / "elsewhere", executor=pool, manifest=manifest)


def test_objects_are_deleted(source: S3Store, pool: Executor) -> None:
    assert delete(source, ["d/000", "d/001", "d/missing"], executor=pool) == (3, 0)
    assert delete(source, "d", executor=pool) == (58, SIZE - 300_000 - 37)
    assert content(source) == {"large": BODIES["large"]}


def test_what_is_gone_counts_as_deleted_by_every_store(tmp_path: Path, pool: Executor) -> None:
    store = LocalStore(tmp_path)
    store.put("a", b"1")
    for _ in range(2):  # as a piece that is given out again
        assert delete(store, ["a", "missing"], executor=pool) == (2, 0)
    assert content(store) == {}


def test_metadata_comes_as_it_is_found(source: S3Store, pool: Executor) -> None:
    assert {meta["path"]: meta["size"] for meta in head(source, BODIES, executor=pool)} == {
        path: len(body) for path, body in BODIES.items()
    }
    assert len([*head(source, "d", executor=pool)]) == 60
    with pytest.raises(NotFoundError, match="missing"):
        [*head(source, ["missing"], executor=pool)]


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme"])
def test_objects_are_summed_up(tmp_path: Path, pool: Executor, algorithm: str) -> None:
    store = LocalStore(tmp_path)
    bodies = {**BODIES, "huge": bytes(range(256)) * (70 << 10), "none": b""}  # more than is read at a time
    store.put_many(bodies)
    found = [*checksum(store, algorithm=algorithm, executor=pool)]
    assert sorted(found) == sorted((path, checksum_of(algorithm, body)) for path, body in bodies.items())
    twice = [("none", 0), ("d/001", 37), ("d/001", 37)]
    assert [path for path, _ in checksum(store, twice, executor=pool)] == ["none", "d/001", "d/001"]


def test_no_checksum_of_such_a_name(pool: Executor) -> None:
    with pytest.raises(ValueError, match="no checksum 'md5'"):
        checksum(MemoryStore(), algorithm="md5", executor=pool)


def test_an_object_that_was_replaced_is_an_error(tmp_path: Path, pool: Executor, manifest: Manifest) -> None:
    source, target = LocalStore(tmp_path / "from", mkdir=True), LocalStore(tmp_path / "to", mkdir=True)
    source.put_many({"a": b"1", "b": b"22"})
    planned = source.list().collect()
    source.put("b", b"333")
    with pytest.raises(ObjectChangedError, match="'b' has 3 bytes, and the plan said 2") as error:
        copy(source, target, planned, executor=pool, manifest=manifest)
    assert "the manifest 'manifest' in" in error.value.__notes__[0]
    with pytest.raises(ObjectChangedError):
        [*checksum(source, planned, executor=pool)]


@pytest.mark.parametrize("requests", [[("a", 0, 5)], [("a", 5, 10)]])
def test_a_part_of_an_object_is_refused(tmp_path: Path, pool: Executor, requests: Any) -> None:
    with pytest.raises(ValueError, match=r"'a'.* is a part of an object"):
        copy(MemoryStore(), LocalStore(tmp_path), requests, executor=pool)
    with pytest.raises(ValueError, match=r"'a'.* is a part of an object"):
        delete(LocalStore(tmp_path), requests, executor=pool)


def test_a_copy_needs_sizes_and_another_store(tmp_path: Path, pool: Executor) -> None:
    with pytest.raises(ValueError, match="'a' tells no size"):
        copy(MemoryStore(), LocalStore(tmp_path), ["a"], executor=pool)
    with pytest.raises(ValueError, match="is the target too"):
        copy(LocalStore(tmp_path), LocalStore(tmp_path), executor=pool)


def test_stores_of_one_process_are_told_apart() -> None:
    source, target = MemoryStore(), MemoryStore()
    source.put_many(BODIES)
    with ThreadPoolExecutor(2) as executor:
        assert copy(source, target, executor=executor) == (61, SIZE)
        assert content(target) == BODIES
        with pytest.raises(ValueError, match="is the target too"):
            copy(source, source, executor=executor)


def test_what_a_store_is_called_holds_no_secret() -> None:
    keys = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "a-secret-key"}
    store = S3Store("bucket", region="us-east-1", endpoint="https://s3.example.com", **keys)
    assert place(store) == 'S3Store(bucket="bucket") at https://s3.example.com'


def test_nothing_to_do_is_done(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        assert copy(MemoryStore(), LocalStore(tmp_path), executor=executor) == (0, 0)
