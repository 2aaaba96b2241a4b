"""Finding objects beyond listing below a path: by any beginning, by pattern, level by level, many pages at a time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import MANY, Face, Mode, Told
from tests.conformance.test_list import PATHS, filled, paths


@pytest.mark.needs("any beginning")
@pytest.mark.parametrize(
    ("prefix", "wanted"),
    [
        ("a", ["a!", "a/b!", "a/b/c", "a/b/d", "a/e", "a0", "ab/c"]),
        ("a/b", ["a/b!", "a/b/c", "a/b/d"]),
        ("a/b/", ["a/b/c", "a/b/d"]),
        ("a/b/c", ["a/b/c"]),
        ("é", ["é/ü"]),
        ("", PATHS),
        (None, PATHS),
        ("c", []),
    ],
)
async def test_any_beginning(store: Face, prefix: str | None, wanted: list[str]) -> None:
    assert await paths(await filled(store), prefix, by="string") == wanted


@pytest.mark.needs("offsets")
async def test_any_beginning_after_an_offset(store: Face) -> None:
    assert await paths(await filled(store), "a", by="string", offset="a/b/") == ["a/b/c", "a/b/d", "a/e", "a0", "ab/c"]


async def test_by_what_else(store: Face) -> None:
    with pytest.raises(ValueError, match="by = 'letter'"):
        store.list("a", by="letter")


# --- one level


async def test_a_level_in_pages(store: Face, mode: Mode) -> None:
    await filled(store)
    pages = await mode.all(store.list_level("a"))
    assert [prefix for page in pages for prefix in page["common_prefixes"]] == ["a/b"]
    assert [meta["path"] for page in pages for meta in page["objects"]] == ["a/b!", "a/e"]
    assert await mode.all(store.list_level("nothing")) == []


async def test_a_level_of_more_than_a_page(library: Face, mode: Mode) -> None:
    pages = await mode.all(library.list_level("many"))
    assert [prefix for page in pages for prefix in page["common_prefixes"]] == [p.rpartition("/")[0] for p in MANY]
    assert all(page["common_prefixes"] for page in pages)


@pytest.mark.needs("any beginning")
async def test_a_level_by_any_beginning(store: Face, mode: Mode) -> None:
    await filled(store)
    (page,) = await mode.all(store.list_level("a/b", by="string"))
    assert page["common_prefixes"] == ["a/b"]
    assert [meta["path"] for meta in page["objects"]] == ["a/b!"]


@pytest.mark.needs("offsets")
async def test_a_level_after_an_offset(store: Face, mode: Mode) -> None:
    await filled(store)
    (page,) = await mode.all(store.list_level(offset="a0"))
    assert page["common_prefixes"] == ["ab", "é"]
    assert [meta["path"] for meta in page["objects"]] == ["b"]


# --- walk and glob


async def test_walk(store: Face, mode: Mode) -> None:
    await filled(store)
    levels = [(path, below, [meta["path"] for meta in metas]) for path, below, metas in await mode.all(store.walk())]
    assert levels == [
        ("", ["a", "ab", "é"], ["a!", "a0", "b"]),
        ("a", ["a/b"], ["a/b!", "a/e"]),
        ("ab", [], ["ab/c"]),
        ("é", [], ["é/ü"]),
        ("a/b", [], ["a/b/c", "a/b/d"]),
    ]
    assert [path for path, _, _ in await mode.all(store.walk("a"))] == ["a", "a/b"]
    assert await mode.all(store.walk("nothing")) == [("nothing", [], [])]


async def test_walk_many_levels(store: Face, mode: Mode) -> None:
    some = MANY[:200]
    await store.put_many(dict.fromkeys(some, b"1"))
    found = [meta["path"] for _, _, metas in await mode.all(store.walk("many")) for meta in metas]
    assert found == some


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*", ["a!", "a0", "b"]),
        ("a?", ["a!", "a0"]),
        ("a/*", ["a/b!", "a/e"]),
        ("*/*", ["a/b!", "a/e", "ab/c", "é/ü"]),
        ("a*/c", ["ab/c"]),
        ("a/[bx]/*", ["a/b/c", "a/b/d"]),
        ("**/c", ["a/b/c", "ab/c"]),
        ("a/**", ["a/b!", "a/b/c", "a/b/d", "a/e"]),
        ("**", PATHS),
        ("é/?", ["é/ü"]),
        ("a/e", ["a/e"]),
        ("nothing/*", []),
    ],
)
async def test_glob(store: Face, pattern: str, wanted: list[str]) -> None:
    await filled(store)
    assert [meta["path"] for meta in await store.mode(store.glob(pattern)).collect()] == wanted


async def test_glob_in_many_folders(library: Face, mode: Mode) -> None:
    found = await mode(library.glob("many/*[05]/obj*")).collect()
    assert [meta["path"] for meta in found] == [path for path in MANY if path[8] in "05"]
    assert [len(page) for page in await mode.all(library.glob("many/**", chunk_size=500))] == [500, 500, 5]


# --- many pages at a time


@pytest.mark.needs("offsets")
@pytest.mark.parametrize("most", [2, 64])
async def test_a_split_listing_is_the_listing(library: Face, most: int) -> None:
    assert await paths(library, "many", max_concurrency=most) == MANY
    assert await paths(library, "many", max_concurrency=most, offset=MANY[500]) == MANY[501:]
    assert await paths(library, "nothing", max_concurrency=most) == []


# --- deleting


@pytest.mark.needs("any beginning")
async def test_delete_prefix(store: Face, mode: Mode) -> None:
    await filled(store)
    told = Told()
    assert await store.delete_prefix("a/b", progress=told) == 2
    assert await paths(store) == [path for path in PATHS if not path.startswith("a/b/")]
    assert told.calls == [(2, 2, 0)]
    assert await store.delete_prefix("a", by="string") == 5
    assert await paths(store) == ["b", "é/ü"]
    assert await store.delete_prefix("nothing") == 0


@pytest.mark.parametrize("prefix", ["", "/"])
@pytest.mark.parametrize("by", ["segment", "string"])
async def test_everything_is_not_deleted_by_accident(store: Face, prefix: str, by: Any) -> None:
    await filled(store)
    with pytest.raises(ValueError, match="would delete everything"):
        await store.delete_prefix(prefix, by=by)
    assert await paths(store) == PATHS


async def test_delete_tells_its_progress(store: Face) -> None:
    await filled(store)
    told = Told()
    await store.delete(PATHS, progress=told)
    assert told.calls == [(len(PATHS), len(PATHS), 0)]
    assert await paths(store) == []
