"""One object to a file and back: download and upload, in parts, broken off and taken up again."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from objstore import exceptions
from tests.conformance.conftest import SMALL, Bucket, Face, Mode, Told

MIB = 1 << 20


class StoppedError(Exception):
    """The end of a download, brought about by its progress callback."""


def stop_after(parts: int) -> Callable[[int, int, int], None]:
    def progress(done: int, total: int, size: int) -> None:
        if done >= parts:
            raise StoppedError

    return progress


async def break_off(store: Face, target: Path, parts: int) -> None:
    """Begin to download the large object, and stop after some of its parts."""
    with pytest.raises(StoppedError):
        await store.download("large", target, chunk_size=MIB, max_concurrency=2, progress=stop_after(parts))


# --- download


@pytest.mark.parametrize("path", ["large", "small", "empty"])
async def test_download(library: Face, tmp_path: Path, large: bytes, path: str) -> None:
    meta = await library.download(path, tmp_path / "file")
    assert meta == await library.head(path)
    assert (tmp_path / "file").read_bytes() == {"large": large, "small": SMALL, "empty": b""}[path]
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("chunk_size", "max_concurrency"), [(MIB, 1), (MIB + 1, 3), (64 << 20, 100)])
async def test_download_in_other_parts(
    library: Face, tmp_path: Path, large: bytes, chunk_size: int, max_concurrency: int
) -> None:
    target = str(tmp_path / "file")
    await library.download("large", target, chunk_size=chunk_size, max_concurrency=max_concurrency)
    assert Path(target).read_bytes() == large


async def test_download_tells_its_progress(library: Face, tmp_path: Path, large: bytes) -> None:
    told = Told()
    await library.download("large", tmp_path / "file", chunk_size=MIB, progress=told)
    told.check(21, len(large))
    assert {done for done, _, _ in told.calls} - {0} == {*range(1, 22)}


async def test_download_replaces_a_file(library: Face, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old, and longer than the new one" * 1000)
    await library.download("small", target)
    assert target.read_bytes() == SMALL


async def test_a_failed_download_leaves_the_file_alone(library: Face, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(exceptions.NotFoundError, match="missing"):
        await library.download("missing", target)
    assert os.listdir(tmp_path) == ["file"]
    await break_off(library, target, 3)
    assert target.read_bytes() == b"old"


async def test_a_download_goes_on_where_it_broke_off(library: Face, tmp_path: Path, large: bytes) -> None:
    target = tmp_path / "file"
    await break_off(library, target, 5)
    assert not target.exists()
    told = Told()
    await library.download("large", target, chunk_size=MIB, progress=told)
    assert target.read_bytes() == large
    told.check(21, len(large))
    assert {done for done, _, _ in told.calls} - {5} == {*range(6, 22)}
    assert os.listdir(tmp_path) == ["file"]


async def test_a_download_broken_off_twice(library: Face, tmp_path: Path, large: bytes) -> None:
    target = tmp_path / "file"
    await break_off(library, target, 5)
    await break_off(library, target, 12)
    told = Told()
    await library.download("large", target, chunk_size=MIB, progress=told)
    assert target.read_bytes() == large
    assert {done for done, _, _ in told.calls} - {12} == {*range(13, 22)}


async def test_a_download_in_other_parts_begins_anew(library: Face, tmp_path: Path, large: bytes) -> None:
    target = tmp_path / "file"
    await break_off(library, target, 5)
    await library.download("large", target, chunk_size=3 * MIB)
    assert target.read_bytes() == large


@pytest.mark.needs("ETags within a second")
async def test_another_version_begins_anew(store: Face, tmp_path: Path, large: bytes) -> None:
    await store.put("large", large)
    await break_off(store, tmp_path / "file", 5)
    await store.put("large", large[::-1])
    await store.download("large", tmp_path / "file", chunk_size=MIB)
    assert (tmp_path / "file").read_bytes() == large[::-1]


@pytest.mark.needs("requests")
@pytest.mark.parametrize(
    "shorter_by",
    [pytest.param(0, marks=pytest.mark.needs("conditions of reads", "ETags within a second")), 100, 10 * MIB],
)
async def test_an_object_replaced_while_it_is_downloaded(
    store: Face, tmp_path: Path, large: bytes, shorter_by: int
) -> None:
    await store.put("object", large)
    target = tmp_path / "file"
    target.write_bytes(b"old")
    replaced = []

    def replace(*_: int) -> None:
        if not replaced:
            store.target.put("object", large[shorter_by:][::-1])
            replaced.append(True)

    with pytest.raises(exceptions.ObjectChangedError, match="object"):
        await store.download("object", target, chunk_size=MIB, max_concurrency=1, progress=replace)
    assert target.read_bytes() == b"old"
    await store.download("object", target, chunk_size=MIB)
    assert target.read_bytes() == large[shorter_by:][::-1]
    assert os.listdir(tmp_path) == ["file"]


async def test_downloads_of_the_same_to_the_same(library: Face, mode: Mode, tmp_path: Path, large: bytes) -> None:
    target = tmp_path / "file"

    def download() -> Any:
        return library.download("large", target, chunk_size=MIB)

    if mode.is_async:
        await asyncio.gather(*(download() for _ in range(4)))
    else:
        with ThreadPoolExecutor(4) as threads:
            for future in [threads.submit(mode.run, download()) for _ in range(4)]:
                future.result()
    assert target.read_bytes() == large
    assert os.listdir(tmp_path) == ["file"]


async def test_download_to_where_no_file_can_be(library: Face, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        await library.download("small", tmp_path / "nowhere" / "file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="folder"):
        await library.download("small", tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("arguments", [{"chunk_size": 0}, {"max_concurrency": 0}])
async def test_arguments_that_are_none(library: Face, tmp_path: Path, arguments: dict[str, int]) -> None:
    name = next(iter(arguments))
    with pytest.raises(ValueError, match=name):
        await library.download("small", tmp_path / "file", **arguments)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=name):
        await library.upload(tmp_path / "file", "small", **arguments)


# --- upload


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 5 * MIB + 1, 20 * MIB])
async def test_upload(store: Face, mode: Mode, tmp_path: Path, large: bytes, size: int) -> None:
    (tmp_path / "file").write_bytes(large[:size])
    result = await store.upload(str(tmp_path / "file"), "object", chunk_size=5 * MIB)
    assert set(result) == {"e_tag", "version"}
    assert await mode(await store.get("object")).bytes() == large[:size]


@pytest.mark.parametrize("size", [0, 10, 12 * MIB])
async def test_put_tells_its_progress(store: Face, large: bytes, size: int) -> None:
    told = Told()
    await store.put("object", large[:size], progress=told)
    assert told.calls == sorted(told.calls)
    done, total, sent = told.calls[-1]
    assert (done, sent) == (total, size)


@pytest.mark.needs("parts")
async def test_upload_tells_its_progress(store: Face, tmp_path: Path, large: bytes) -> None:
    (tmp_path / "file").write_bytes(large)
    calls: list[tuple[int, int, int]] = []
    await store.upload(tmp_path / "file", "object", chunk_size=5 * MIB, progress=lambda *call: calls.append(call))
    assert calls == sorted(calls)
    assert calls[-1] == (5, 5, len(large))


async def test_upload_tells_the_progress_of_one_part(store: Face, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(SMALL)
    calls: list[tuple[int, int, int]] = []
    await store.upload(tmp_path / "file", "object", progress=lambda *call: calls.append(call))
    assert calls[-1] == (1, 1, len(SMALL))


@pytest.mark.needs("attributes")
async def test_upload_with_attributes(store: Face, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(SMALL)
    await store.upload(tmp_path / "file", "object", attributes={"mine": "1"})
    assert (await store.get("object")).attributes["mine"] == "1"


@pytest.mark.needs("conditions")
async def test_upload_creates(store: Face, mode: Mode, tmp_path: Path, large: bytes) -> None:
    (tmp_path / "file").write_bytes(large)
    await store.put("object", b"old")
    with pytest.raises(exceptions.AlreadyExistsError, match="object"):
        await store.upload(tmp_path / "file", "object", mode="create")
    assert await mode(await store.get("object")).bytes() == b"old"


async def test_upload_of_what_is_no_file(store: Face, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        await store.upload(tmp_path / "missing", "object")
    with pytest.raises(IsADirectoryError):
        await store.upload(tmp_path, "object")
    with pytest.raises(exceptions.InvalidPathError):
        await store.upload(tmp_path / "missing", "")
    with pytest.raises(TypeError, match="BytesIO"):
        await store.upload(io.BytesIO(SMALL), "object")


async def test_an_upload_that_is_stopped_leaves_no_parts(
    bucket: Bucket, mode: Mode, tmp_path: Path, large: bytes
) -> None:
    (tmp_path / "file").write_bytes(large)
    store = mode(bucket.open())
    with pytest.raises(StoppedError):
        await store.upload(tmp_path / "file", "object", chunk_size=5 * MIB, progress=stop_after(1))
    assert bucket.unfinished() == []
    with pytest.raises(exceptions.NotFoundError):
        await store.head("object")


async def test_there_and_back(store: Face, tmp_path: Path, large: bytes) -> None:
    (tmp_path / "there").write_bytes(large)
    await store.upload(tmp_path / "there", "a/b c")
    await store.download("a/b c", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == large
