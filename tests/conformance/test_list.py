"""Listings: by whole segments, after an offset, in pages, one level, and of more keys than one request brings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from objstore import ListStream, exceptions
from tests.conformance.conftest import MANY, Face, Mode

PATHS = ["a!", "a/b!", "a/b/c", "a/b/d", "a/e", "a0", "ab/c", "b", "é/ü"]


async def filled(store: Face) -> Face:
    """Put the objects of PATHS, each as large as its path is long."""
    await store.put_many((path, b"x" * len(path)) for path in PATHS)
    return store


async def paths(store: Face, *arguments: Any, **options: Any) -> list[str]:
    return [meta["path"] for meta in await store.mode(store.list(*arguments, **options)).collect()]


async def test_list_all_in_order(store: Face) -> None:
    assert await paths(await filled(store)) == PATHS


async def test_list_nothing(store: Face, mode: Mode) -> None:
    assert await mode.all(store.list()) == []
    assert await paths(store, "nothing") == []
    assert await store.list_with_delimiter() == {"common_prefixes": [], "objects": []}


async def test_the_metadata_is_that_of_head(store: Face) -> None:
    await filled(store)
    for meta in await store.mode(store.list()).collect():
        head = await store.head(meta["path"])
        assert list(meta) == list(head)
        assert (meta["path"], meta["size"], meta["version"]) == (head["path"], head["size"], head["version"])
        assert abs((meta["last_modified"] - head["last_modified"]).total_seconds()) <= 1
        assert meta["last_modified"].utcoffset().total_seconds() == 0


@pytest.mark.needs("quotes in listings")
async def test_the_e_tag_is_that_of_head(store: Face) -> None:
    await filled(store)
    for meta in await store.mode(store.list()).collect():
        assert meta["e_tag"] == (await store.head(meta["path"]))["e_tag"]


@pytest.mark.parametrize(
    ("prefix", "wanted"),
    [
        (None, PATHS),
        ("", PATHS),
        ("/", PATHS),
        ("a", ["a/b!", "a/b/c", "a/b/d", "a/e"]),
        ("a/", ["a/b!", "a/b/c", "a/b/d", "a/e"]),
        ("/a/", ["a/b!", "a/b/c", "a/b/d", "a/e"]),
        ("/a/b/", ["a/b/c", "a/b/d"]),
        ("/a", ["a/b!", "a/b/c", "a/b/d", "a/e"]),
        ("a/b", ["a/b/c", "a/b/d"]),
        ("a/b/c", []),
        ("b", []),
        ("é", ["é/ü"]),
    ],
)
async def test_a_prefix_is_whole_segments(store: Face, prefix: str | None, wanted: list[str]) -> None:
    assert await paths(await filled(store), prefix) == wanted


@pytest.mark.needs("offsets")
@pytest.mark.needs("keys below keys")
async def test_an_object_is_not_below_itself(store: Face) -> None:
    for path in ("a", "a/b", "a/b/c"):
        await store.put(path, b"")
    assert await paths(store, "a") == ["a/b", "a/b/c"]
    assert await paths(store, "a/b") == ["a/b/c"]
    assert await paths(store, offset="a") == ["a/b", "a/b/c"]
    level = await store.list_with_delimiter("a")
    assert level["common_prefixes"] == [meta["path"] for meta in level["objects"]] == ["a/b"]


@pytest.mark.needs("offsets")
@pytest.mark.parametrize("offset", ["a", "a/b!", "a/b/bb", "a0", "b", "é/ü", "0", "~"])
async def test_an_offset_is_left_out_itself(store: Face, offset: str) -> None:
    assert await paths(await filled(store), offset=offset) == [path for path in PATHS if path > offset]


@pytest.mark.needs("offsets")
async def test_prefix_and_offset(store: Face) -> None:
    await filled(store)
    assert await paths(store, "a", offset="a/b/c") == ["a/b/d", "a/e"]
    assert await paths(store, "a", offset="0") == ["a/b!", "a/b/c", "a/b/d", "a/e"]
    assert await paths(store, "a", offset="b") == []


@pytest.mark.parametrize("prefix", ["a//b", "..", "a/../b", "a\nb"])
async def test_a_prefix_that_cannot_be_one(store: Face, prefix: str) -> None:
    with pytest.raises(exceptions.InvalidPathError):
        await store.mode(store.list(prefix)).collect()
    with pytest.raises(exceptions.InvalidPathError):
        await store.list_with_delimiter(prefix)


# --- the stream


@pytest.mark.parametrize(("chunk_size", "sizes"), [(1, [1] * 9), (4, [4, 4, 1]), (9, [9]), (50, [9]), (0, [1] * 9)])
async def test_pages(store: Face, mode: Mode, chunk_size: int, sizes: list[int]) -> None:
    await filled(store)
    pages = await mode.all(store.list(chunk_size=chunk_size))
    assert [len(page) for page in pages] == sizes
    assert [meta["path"] for page in pages for meta in page] == PATHS


async def test_list_async_is_list(store: Face) -> None:
    await filled(store)
    stream = store.target.list_async("a")
    assert isinstance(stream, ListStream)
    assert len(stream.collect()) == 4


async def test_collect_returns_what_is_left(store: Face, mode: Mode) -> None:
    await filled(store)
    stream = store.list(chunk_size=4)
    assert [meta["path"] for meta in await mode.next(stream)] == PATHS[:4]
    assert [meta["path"] for meta in await mode(stream).collect()] == PATHS[4:]
    assert await mode(stream).collect() == []
    assert await mode.all(stream) == []


async def test_a_stream_is_read_in_either_mode(library: Face, mode: Mode) -> None:
    stream = library.list("many", chunk_size=500)
    assert len(await mode.next(stream)) == 500
    if mode.is_async:
        assert len(next(stream)) == 500
        assert len(await anext(stream)) == 5
    else:
        assert len(await_one(stream)) == 500
        assert len(next(stream)) == 5


def await_one(stream: Any) -> Any:
    async def one() -> Any:
        return await anext(stream)

    return asyncio.run(one())


# --- more than one request brings


async def test_more_than_a_thousand(library: Face, mode: Mode) -> None:
    assert await paths(library, "many") == MANY
    pages = await mode.all(library.list("many"))
    assert [len(page) for page in pages] == [50] * 20 + [5]
    assert [meta["path"] for page in pages for meta in page] == MANY


@pytest.mark.needs("offsets")
async def test_an_offset_in_the_second_thousand(library: Face) -> None:
    assert await paths(library, "many", offset=MANY[999]) == MANY[1000:]
    assert await paths(library, "many", offset=MANY[3]) == MANY[4:]


async def test_more_than_a_thousand_prefixes(library: Face) -> None:
    level = await library.list_with_delimiter("many")
    assert level["common_prefixes"] == [path.removesuffix("/object") for path in MANY]
    assert level["objects"] == []


# --- one level


@pytest.mark.parametrize(
    ("prefix", "prefixes", "objects"),
    [
        (None, ["a", "ab", "é"], ["a!", "a0", "b"]),
        ("", ["a", "ab", "é"], ["a!", "a0", "b"]),
        ("a", ["a/b"], ["a/b!", "a/e"]),
        ("a/b/", [], ["a/b/c", "a/b/d"]),
        ("b", [], []),
        ("é", [], ["é/ü"]),
    ],
)
async def test_one_level(store: Face, prefix: str | None, prefixes: list[str], objects: list[str]) -> None:
    level = await (await filled(store)).list_with_delimiter(prefix)
    assert list(level) == ["common_prefixes", "objects"]
    assert level["common_prefixes"] == prefixes
    assert [meta["path"] for meta in level["objects"]] == objects
    assert [meta["size"] for meta in level["objects"]] == [len(path) for path in objects]


@pytest.mark.parametrize("prefix", ["/a/b/", "/a/b", "a/b/"])
async def test_a_slash_at_an_end_of_a_typed_prefix_is_left_out_everywhere(store: Face, mode: Mode, prefix: str) -> None:
    await filled(store)
    assert await store.list_with_delimiter(prefix) == await store.list_with_delimiter("a/b")
    assert await mode.all(store.list_level(prefix)) == await mode.all(store.list_level("a/b"))
    assert await mode.all(store.walk(prefix)) == await mode.all(store.walk("a/b"))
