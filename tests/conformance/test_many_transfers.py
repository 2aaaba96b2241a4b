"""Many objects copied, uploaded from a folder and downloaded to one; and whether an object is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from objstore import exceptions
from objstore.operations import folders
from objstore.store import LocalStore, MemoryStore, Store
from objstore.types import Transfer
from tests.conformance.conftest import Face, Mode, Told

BODIES = {f"data/{number // 7}/{number:03}": b"%d" % number * 3 for number in range(40)}
SIZE = sum(map(len, BODIES.values()))


@pytest.fixture
def filled(store: Face) -> Face:
    store.target.put_many(BODIES)
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files."""
    LocalStore(tmp_path / "from", mkdir=True).put_many(BODIES)
    return tmp_path / "from"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


async def content(store: Store | Face, mode: Mode) -> dict[str, bytes]:
    face = mode(store.target if isinstance(store, Face) else store)
    paths = [meta["path"] for meta in await mode(face.list()).collect()]
    return dict(zip(paths, map(bytes, await face.get_many(paths)), strict=True))


async def test_exists(filled: Face) -> None:
    assert await filled.exists("data/0/003") is True
    assert await filled.exists("data/0/nothing") is False
    assert await filled.exists("data/0") is False
    with pytest.raises(exceptions.InvalidPathError):
        await filled.exists("a//b")


# --- copies


async def test_copies_within_a_store(filled: Face, mode: Mode) -> None:
    told = Told()
    results = await filled.copy_many({path: f"copy/{path}" for path in BODIES}, progress=told)
    assert results == [None] * len(BODIES)
    assert await content(filled, mode) == BODIES | {f"copy/{path}": body for path, body in BODIES.items()}
    assert told.calls[-1][:2] == (40, 40)


async def test_copies_to_another_store_and_back(filled: Face, mode: Mode, other_store: Store) -> None:
    memory = MemoryStore()
    for target in (other_store, memory):
        await filled.copy_many(iter([*zip(BODIES, BODIES, strict=True)]), to_store=target, max_concurrency=5)
        assert await content(target, mode) == BODIES
    told = Told()
    await mode(memory).copy_many({path: f"back/{path}" for path in BODIES}, to_store=filled.target, progress=told)
    assert [bytes(body) for body in await filled.get_many([f"back/{path}" for path in BODIES])] == [*BODIES.values()]
    on_the_server = isinstance(filled.target, MemoryStore)
    assert told.calls[-1] == (40, 40, 0 if on_the_server else SIZE)


async def test_errors_of_copies_say_which_they_are(filled: Face, mode: Mode) -> None:
    pairs = [("data/0/001", "a"), ("missing", "b"), ("data/0/002", "c")]
    results = await filled.copy_many(pairs, on_error="return")
    assert [results[0], results[2]] == [None, None]
    assert isinstance(results[1], exceptions.NotFoundError)
    assert results[1].index == 1
    with pytest.raises(exceptions.NotFoundError) as caught:
        await filled.copy_many(pairs, max_concurrency=1)
    assert caught.value.index == 1
    for wrong, error in [(["a"], TypeError), ([("a", "b"), ("a", "b/")], exceptions.InvalidPathError)]:
        with pytest.raises(error):
            await filled.copy_many(wrong)
    assert await filled.exists("b") is False


async def test_copies_that_replace_nothing(mode: Mode) -> None:
    store = MemoryStore()
    store.put_many({"a": b"1", "b": b"2"})
    (result,) = await mode(store).copy_many([("a", "b")], overwrite=False, on_error="return")
    assert isinstance(result, exceptions.AlreadyExistsError)


# --- uploads


async def test_upload_of_a_folder(store: Face, mode: Mode, folder: Path) -> None:
    told = Told()
    results = await store.upload_many(folder, progress=told)
    assert results == [Transfer(folder / path, path, len(body)) for path, body in BODIES.items()]
    assert await content(store, mode) == BODIES
    assert told.calls[-1] == (40, 40, SIZE)
    await store.upload_many(str(folder / "data"), "further/down/")
    assert (await store.get_many(["further/down/0/003"])) == [BODIES["data/0/003"]]


async def test_upload_of_a_pattern(store: Face, mode: Mode, folder: Path) -> None:
    results = await store.upload_many(folder / "data/*/*3", "found")
    right = {f"found/{path.removeprefix('data/')}": body for path, body in BODIES.items() if path.endswith("3")}
    assert await content(store, mode) == right
    assert [result.path for result in results] == [*right]
    assert [result.file.read_bytes() for result in results] == [*right.values()]


async def test_upload_of_a_pattern_from_here(mode: Mode, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "data")
    memory = MemoryStore()
    await mode(memory).upload_many("*/001")
    await mode(memory).upload_many("0/**", "deep")
    assert [meta["path"] for meta in memory.list().collect()][:3] == ["0/001", "deep/000", "deep/001"]


async def test_upload_of_pairs(store: Face, mode: Mode, folder: Path) -> None:
    one, two = folder / "data/0/001", str(folder / "data/0/002")
    await store.upload_many([(one, "a"), (two, "b")])
    await store.upload_many({two: "c"}, "in")
    assert await content(store, mode) == {
        "a": BODIES["data/0/001"],
        "b": BODIES["data/0/002"],
        "in/c": BODIES["data/0/002"],
    }


async def test_uploads_that_are_refused(store: Face, mode: Mode, folder: Path) -> None:
    for wrong, error in [
        ([(folder / "data/0/001", "a"), (folder / "missing", "b")], FileNotFoundError),
        ([(folder / "data/0/001", "a"), (folder / "data", "b")], IsADirectoryError),
        ([(folder / "data/0/001", "a"), (folder / "data/0/001", "../b")], exceptions.InvalidPathError),
        (folder / "missing", exceptions.ConfigurationError),
        (["a"], TypeError),
        (5, TypeError),
    ]:
        with pytest.raises(error):
            await store.upload_many(wrong)
    assert await content(store, mode) == {}


async def test_an_upload_leaves_out_what_leads_out_of_the_folder(store: Face, mode: Mode, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/own").write_text("own")
    (tmp_path / "folder/out").symlink_to(tmp_path / "secret")
    (tmp_path / "folder/all").symlink_to(tmp_path)
    (tmp_path / "folder/in").symlink_to("own")
    await store.upload_many(tmp_path / "folder")
    assert await content(store, mode) == {"in": b"own", "own": b"own"}


@pytest.mark.needs("attributes")
async def test_what_uploads_are_stored_with(store: Face, folder: Path) -> None:
    await store.upload_many(folder / "data/0", attributes={"Content-Type": "text/x-test"})
    assert (await store.get("003")).attributes["Content-Type"] == "text/x-test"


# --- downloads


async def test_download_of_a_prefix(filled: Face, tmp_path: Path) -> None:
    told = Told()
    results = await filled.download_many("data", tmp_path / "a/b", progress=told)
    right = {path.removeprefix("data/"): body for path, body in BODIES.items()}
    assert tree(tmp_path / "a/b") == right
    assert results == [Transfer(tmp_path / "a/b" / name, f"data/{name}", len(body)) for name, body in right.items()]
    assert told.calls[-1] == (40, 40, SIZE)
    await filled.download_many("", tmp_path / "all")
    assert tree(tmp_path / "all") == BODIES
    for file in (tmp_path / "all").rglob("*"):
        if file.is_file():
            assert os.listxattr(file) == []


async def test_download_of_a_pattern_and_of_paths(filled: Face, tmp_path: Path) -> None:
    await filled.download_many("data/*/*3", tmp_path / "pattern")
    assert tree(tmp_path / "pattern") == {
        path.removeprefix("data/"): body for path, body in BODIES.items() if path.endswith("3")
    }
    await filled.download_many(iter(["data/0/001", "data/1/007"]), tmp_path / "paths")
    assert sorted(tree(tmp_path / "paths")) == ["data/0/001", "data/1/007"]
    (tmp_path / "paths/data/0/001").write_text("old")
    await filled.download_many(["data/0/001"], tmp_path / "paths")
    assert tree(tmp_path / "paths")["data/0/001"] == BODIES["data/0/001"]


async def test_a_large_object_goes_both_ways(library: Face, tmp_path: Path, large: bytes, mode: Mode) -> None:
    (result,) = await library.download_many(["large"], tmp_path)
    assert result == Transfer(tmp_path / "large", "large", len(large))
    assert (tmp_path / "large").read_bytes() == large
    memory = MemoryStore()
    await mode(memory).upload_many(tmp_path)
    assert memory.get("large").bytes() == large


async def test_errors_of_downloads(filled: Face, tmp_path: Path) -> None:
    results = await filled.download_many(["data/0/001", "missing"], tmp_path, on_error="return")
    assert isinstance(results[1], exceptions.NotFoundError)
    assert results[1].index == 1
    with pytest.raises(exceptions.NotFoundError):
        await filled.download_many(["data/0/001", "missing"], tmp_path)
    assert sorted(tree(tmp_path)) == ["data/0/001"]


HOSTILE = ["../out", "a/../../out", "/etc/out", "a//b", "a/./b", "C:/out", "c:out", "a/", ".", "a\0b", "a/..", ".."]


@pytest.mark.parametrize("name", HOSTILE)
async def test_names_that_lead_elsewhere(mode: Mode, tmp_path: Path, name: str) -> None:
    store = MemoryStore(raw_keys=True)
    store.put_many({"good": b"1", name: b"2"})
    for what in ("", "*", "**", ["good", name]):
        if what == "*" and "/" in name:
            continue
        with pytest.raises(exceptions.InvalidPathError, match="cannot be the name of a local file"):
            await mode(store).download_many(what, tmp_path / "folder")
    assert [*tmp_path.rglob("*")] == []


@pytest.mark.parametrize("names", [["a", "a/b"], ["a/b/c", "a!", "a/b"], ["x/a/b", "x/a"]])
async def test_two_names_of_one_file(mode: Mode, tmp_path: Path, names: list[str]) -> None:
    store = MemoryStore()
    store.put_many(dict.fromkeys(names, b"1"))
    with pytest.raises(exceptions.InvalidPathError, match="cannot both be local files"):
        await mode(store).download_many("", tmp_path)
    with pytest.raises(exceptions.InvalidPathError, match="cannot both be local files"):
        await mode(store).download_many([*names, names[0]][-2:] * 2, tmp_path)
    assert [*tmp_path.rglob("*")] == []


async def test_names_that_differ_in_case(mode: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    store.put_many({"Data/a": b"1", "data/A": b"2"})
    await mode(store).download_many("", tmp_path / "both")
    assert len(tree(tmp_path / "both")) == 2
    monkeypatch.setattr(folders, "folds_case", lambda folder: True)  # no such file system can be made without rights
    with pytest.raises(exceptions.InvalidPathError, match="cannot both be local files"):
        await mode(store).download_many("", tmp_path / "one")
    assert [*(tmp_path / "one").rglob("*")] == []


async def test_a_symlink_leads_nowhere_else(mode: Mode, tmp_path: Path) -> None:
    store = MemoryStore()
    store.put_many({"a/b": b"1"})
    (tmp_path / "outside").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a").symlink_to(tmp_path / "outside")
    with pytest.raises(exceptions.PermissionDeniedError, match="leads out"):
        await mode(store).download_many("", tmp_path / "folder")
    assert [*(tmp_path / "outside").iterdir()] == []


@pytest.mark.needs("raw keys")
async def test_marks_of_folders_are_left_out(raw_store: Face, tmp_path: Path) -> None:
    await raw_store.put_many({"d/": b"", "d/a": b"1", "d/e/": b""})
    results = await raw_store.download_many("d/", tmp_path)
    assert [result.path for result in results] == ["d/a"]
    assert tree(tmp_path) == {"a": b"1"}


async def test_what_is_none(mode: Mode, tmp_path: Path) -> None:
    face: Any = mode(MemoryStore())
    for call in (
        lambda: face.download_many("", tmp_path, on_error="ignore"),
        lambda: face.download_many("", tmp_path, max_concurrency=0),
        lambda: face.upload_many(tmp_path, on_error="ignore"),
        lambda: face.copy_many({}, max_concurrency=0),
    ):
        with pytest.raises(ValueError, match=r"on_error|max_concurrency"):
            await call()
