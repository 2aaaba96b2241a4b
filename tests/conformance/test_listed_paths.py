"""Paths that a listing gives: each is that of its own object, or it is refused; none names another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from objstore import exceptions
from objstore.operations.results import ListStream
from objstore.settings.paths import Keys
from tests.conformance.conftest import Face, Mode

pytestmark = pytest.mark.needs("raw keys")

PLAIN = ["d", "d/x", "lead", "e/f", "both"]
ODD = ["d/", "/lead", "e//f", "/both/", "e/f/", "lone/", "/alone"]
KEYS = sorted(PLAIN + ODD)


async def fill(raw_store: Face) -> Face:
    """Write objects whose bytes are their keys; return the store that takes paths."""
    await raw_store.put_many((key, key.encode()) for key in KEYS)
    return raw_store.mode(plain_twin(raw_store.target))


def plain_twin(store: Any, prefix: str | None = None) -> Any:
    """Return the same store, but one whose paths are not raw, and are behind a prefix."""
    twin = store.with_raw_keys()
    twin._keys = Keys(prefix)
    return twin


def reads(store: Face, path: str, file: Path) -> list[Callable[[], Awaitable[Any]]]:
    """Return all ways to read an object."""
    return [
        lambda: store.get(path),
        lambda: store.get_range(path, start=0, end=1),
        lambda: store.get_ranges(path, starts=[0], ends=[1]),
        lambda: store.head(path),
        lambda: store.download(path, file),
        lambda: store.open_reader(path),
        lambda: store.open_reader(path, size=1),
        lambda: store.get_many([path]),
        lambda: store.head_many([path]),
    ]


async def paths(stream: ListStream[Any], mode: Mode) -> list[str]:
    return [meta["path"] for meta in await mode(stream).collect()]


async def test_a_listing_leaves_nothing_out(raw_store: Face, mode: Mode) -> None:
    store = await fill(raw_store)
    assert await paths(store.list(), mode) == KEYS
    assert await paths(store.list("d"), mode) == ["d/", "d/x"]


async def test_every_listed_path_reads_its_own_object_or_none(raw_store: Face, mode: Mode, tmp_path: Path) -> None:
    store = await fill(raw_store)
    file = tmp_path / "file"
    for path in KEYS:
        for read in reads(store, path, file):
            if path in ODD:
                with pytest.raises(exceptions.InvalidPathError, match="raw_keys") as refused:
                    await read()
                assert refused.value.path == path
            else:
                await read()
        if path in PLAIN:
            assert await mode(await store.get(path)).bytes() == path.encode()
            assert file.read_bytes() == path.encode()


@pytest.mark.parametrize("path", ODD)
async def test_a_listed_path_changes_no_other_object(raw_store: Face, mode: Mode, tmp_path: Path, path: str) -> None:
    store = await fill(raw_store)
    (tmp_path / "file").write_bytes(b"new")
    for call in (
        lambda: store.put(path, b"new"),
        lambda: store.upload(tmp_path / "file", path),
        lambda: write(store, path, b"new"),
        lambda: write(store, path, bytes(12 << 20)),
        lambda: store.put_many({path: b"new"}),
        lambda: store.delete(path),
        lambda: store.delete(["d", path]),
        lambda: store.copy(path, "new"),
        lambda: store.copy("d/x", path),
        lambda: store.rename(path, "new"),
        lambda: store.rename("d/x", path),
        lambda: store.get_many(KEYS),
    ):
        with pytest.raises(exceptions.InvalidPathError, match="raw_keys"):
            await call()
    assert await paths(raw_store.list(), mode) == KEYS
    assert await raw_store.get_many(KEYS) == [key.encode() for key in KEYS]


async def write(store: Face, path: str, body: bytes) -> None:
    """Write an object as a file."""
    if store.mode.is_async:
        async with store.target.open_writer_async(path) as file:
            await file.write(body)
    else:
        with store.target.open_writer(path) as file:
            file.write(body)


async def test_a_prefix_of_the_store_changes_nothing_of_it(raw_store: Face, mode: Mode) -> None:
    await raw_store.put_many((f"some/prefix/{key}", key.encode()) for key in KEYS)
    store = mode(plain_twin(raw_store.target, "some/prefix"))
    assert await paths(store.list(), mode) == KEYS
    for path in KEYS:
        if path in ODD:
            with pytest.raises(exceptions.InvalidPathError, match="raw_keys"):
                await store.get(path)
        else:
            assert await mode(await store.get(path)).bytes() == path.encode()
    assert await mode(await store.get("/d/x")).bytes() == b"d/x"


async def test_a_typed_path_still_loses_its_slashes(raw_store: Face, mode: Mode) -> None:
    await raw_store.put("a/b", b"1")
    store = mode(plain_twin(raw_store.target))
    for path in ("/a/b", "a/b/", "/a/b/"):
        assert await mode(await store.get(path)).bytes() == b"1"
        await store.put(path, b"1")
        await write(store, path, b"1")
    assert await paths(raw_store.list(), mode) == ["a/b"]


@pytest.mark.needs("offsets")
@pytest.mark.parametrize("path", KEYS)
async def test_a_listing_goes_on_behind_any_listed_path(raw_store: Face, mode: Mode, path: str) -> None:
    store = await fill(raw_store)
    rest = KEYS[KEYS.index(path) + 1 :]
    assert await paths(store.list(offset=path), mode) == rest
    assert await paths(store.list(offset=path, by="string"), mode) == rest


async def test_a_common_prefix_keeps_the_slash_that_tells_it_from_another(raw_store: Face, mode: Mode) -> None:
    store = await fill(raw_store)
    assert (await store.list_with_delimiter())["common_prefixes"] == ["/", "d", "e", "lone"]
    assert (await store.list_with_delimiter("e"))["common_prefixes"] == ["e//", "e/f"]
    with pytest.raises(exceptions.InvalidPathError, match="raw_keys"):
        await store.list_with_delimiter("e//")


@pytest.mark.parametrize("prefix", ["/lead", "/lead/", "e//", "/both/"])
async def test_a_prefix_that_is_another_one_is_not_deleted(raw_store: Face, mode: Mode, prefix: str) -> None:
    store = await fill(raw_store)
    with pytest.raises(exceptions.InvalidPathError, match="raw_keys"):
        await store.delete_prefix(prefix)
    assert await paths(raw_store.list(), mode) == KEYS


@pytest.mark.needs("signed URLs")
async def test_a_url_of_a_listed_path_is_not_of_another_object(raw_store: Face, mode: Mode) -> None:
    store = await fill(raw_store)
    for path in ODD:
        for method in ("GET", "PUT", "DELETE"):
            with pytest.raises(exceptions.InvalidPathError, match="raw_keys"):
                await store.sign(method, path, timedelta(seconds=9))
    assert isinstance(await store.sign("GET", "/d", timedelta(seconds=9)), str)
