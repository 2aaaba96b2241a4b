"""Many objects in one call: head_many and put_many."""

from __future__ import annotations

import io
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from objstore import exceptions
from tests.conformance.conftest import BODIES, MANY, SMALL, Face, Mode, Told

SIZE = len(SMALL)
FEW, FEW_BODIES = MANY[:100], BODIES[:100]

# --- head_many


async def test_head_many(library: Face) -> None:
    metas = await library.head_many(iter(FEW))
    assert [meta["path"] for meta in metas] == FEW
    assert [meta["size"] for meta in metas] == [len(body) for body in FEW_BODIES]
    assert metas[3] == await library.head(FEW[3])
    assert await library.head_many([]) == []


async def test_head_many_with_errors(library: Face) -> None:
    metas = await library.head_many(["small", "missing", "empty"], on_error="return", max_concurrency=1)
    assert [metas[0]["size"], metas[2]["size"]] == [SIZE, 0]
    assert isinstance(metas[1], exceptions.NotFoundError)
    with pytest.raises(exceptions.NotFoundError, match="'missing'"):
        await library.head_many(["small", "missing"])


async def test_head_many_tells_its_progress(library: Face) -> None:
    told = Told()
    await library.head_many(MANY[:50], progress=told)
    assert told.calls[-1][:2] == (50, 50)


# --- put_many


async def test_put_many(store: Face) -> None:
    results = await store.put_many(((f"{number}", body) for number, body in enumerate(FEW_BODIES)), max_concurrency=7)
    assert await store.get_many([f"{number}" for number in range(100)]) == FEW_BODIES
    heads = await store.head_many(["7", "8"])
    assert results[7:9] == [{"e_tag": meta["e_tag"], "version": meta["version"]} for meta in heads]


async def test_put_many_of_a_mapping(store: Face, tmp_path: Path, large: bytes) -> None:
    (tmp_path / "data").write_bytes(SMALL)
    (tmp_path / "empty").touch()
    items = {
        "bytes": SMALL,
        "nothing": b"",
        "numpy": np.frombuffer(SMALL, np.float32),
        "path": tmp_path / "data",
        "empty path": str(tmp_path / "empty"),
        "BytesIO": io.BytesIO(SMALL),
        "iterator": iter([SMALL[:5], SMALL[5:]]),
        "large iterator": iter([large[:7_000_000], large[7_000_000:]]),
        "large": large,
    }
    await store.put_many(items)
    bodies = await store.get_many(items)
    assert bodies == [SMALL, b"", SMALL, SMALL, b"", SMALL, SMALL, large, large]


async def test_put_many_of_more_files_than_may_be_open(store: Face, tmp_path: Path) -> None:
    files = {f"{number:03}": tmp_path / f"{number}" for number in range(300)}
    for path, file in files.items():
        file.write_text(path)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = Told()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit[0], open_files() + 290), limit[1]))
    try:
        results = await store.put_many(files, progress=told, max_concurrency=8)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    told.check(300, 900)
    assert len({result["e_tag"] for result in results}) == 300
    assert await store.get_many(files) == [path.encode() for path in files]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_put_many_of_nothing(store: Face) -> None:
    assert await store.put_many([]) == []
    assert await store.put_many({}) == []


@pytest.mark.needs("attributes")
async def test_put_many_with_attributes(store: Face) -> None:
    await store.put_many({"a": b"1", "b": b"2"}, attributes={"contenttype": "text/x-test", "mine": "1"})
    for path in ("a", "b"):
        attributes = (await store.get(path)).attributes
        assert (attributes["Content-Type"], attributes["mine"]) == ("text/x-test", "1")


@pytest.mark.needs("conditions", "conditions of writes")
async def test_put_many_creates(store: Face) -> None:
    await store.put("b", b"old")
    results = await store.put_many({"a": b"new", "b": b"new", "c": b"new"}, mode="create", on_error="return")
    assert isinstance(results[1], exceptions.AlreadyExistsError)
    assert await store.get_many(["a", "b", "c"]) == [b"new", b"old", b"new"]
    with pytest.raises(exceptions.AlreadyExistsError, match="'b'"):
        await store.put_many({"d": b"new", "b": b"new"}, mode="create")
    assert isinstance(results[1], FileExistsError)


async def test_put_many_tells_its_progress(store: Face) -> None:
    told = Told()
    await store.put_many({f"{number}": SMALL for number in range(50)}, progress=told)
    told.check(50, 50 * SIZE)


async def test_put_many_checks_before_it_sends(store: Face, mode: Mode, tmp_path: Path) -> None:
    for wrong in [("../b", b""), ("", b""), ("b", tmp_path / "missing"), ("b", 5)]:
        with pytest.raises((ValueError, OSError, TypeError)):
            await store.put_many([("a", b""), wrong])
    assert await mode(store.list()).collect() == []
