"""Whatever takes long tells how far it is, in one shape: how much is done, how much there is, and the bytes moved.

Bulk writes, transfers and copies are with what else is said of them; here are reads and listings.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import objstore
from objstore.interface.values import FIRST
from objstore.operations.results import PART
from tests.conformance.conftest import BODIES, MANY, SMALL, Face, Mode, Told

BUCKETS = {"create_bucket", "delete_bucket", "list_buckets"}
TAGS = {"delete_tags", "get_tags", "put_tags"}
SIGNING = {"sign", "sign_post"}
FILES = {"open", "open_reader", "open_writer"}
SHORT = {
    "begin_upload",
    "configure",
    "exists",
    "head",
    "parse_scheme",
    "plan",
    "shards",
    *SIGNING,
    *BUCKETS,
    *FILES,
    *TAGS,
}
"""What is done at once, and files and streams, whose callers see how far they are."""


def test_all_that_is_long_takes_a_callback() -> None:
    operations = [name for name in objstore.__all__ if inspect.isfunction(getattr(objstore, name))]
    silent = {name for name in operations if "progress" not in inspect.signature(getattr(objstore, name)).parameters}
    assert {name.removesuffix("_async") for name in silent} == SHORT


def requests(size: int) -> int:
    """Return how many requests a body of a size takes that is not so large that each brings more."""
    return 1 + -(-(size - FIRST) // PART)


async def test_get_of_a_large_object(library: Face, mode: Mode, large: bytes) -> None:
    told = Told()
    result = await library.get("large", progress=told)
    assert told.calls == [(1, requests(len(large)), FIRST)]
    assert await mode(result).bytes() == large
    told.check(requests(len(large)), len(large))


async def test_get_of_a_small_object(library: Face, mode: Mode) -> None:
    told = Told()
    assert await mode(await library.get("small", progress=told)).bytes() == SMALL
    assert told.calls == [(1, 1, len(SMALL))]


async def test_get_of_a_range(library: Face, mode: Mode, large: bytes) -> None:
    told = Told()
    result = await library.get("large", options={"range": (5, FIRST + 100)}, progress=told)
    assert await mode(result).bytes() == large[5 : FIRST + 100]
    told.check(2, FIRST + 95)


async def test_a_stream(library: Face, mode: Mode, large: bytes) -> None:
    told = Told()
    result = await library.get("large", progress=told)
    assert b"".join(await mode.all(result.stream())) == large
    assert told.calls == sorted(told.calls)
    total = told.calls[-1][1]
    assert total >= requests(len(large))  # a slow server is asked for smaller pieces
    assert {call[1] for call in told.calls} <= {requests(len(large)), total}
    assert told.calls[-1] == (total, total, len(large))


async def test_one_range(library: Face, large: bytes) -> None:
    told = Told()
    assert await library.get_range("large", start=5, length=2 * PART, progress=told) == large[5 : 2 * PART + 5]
    told.check(1, 2 * PART)


async def test_many_ranges(library: Face) -> None:
    told = Told()
    starts = range(0, 1000, 100)
    await library.get_ranges("large", starts=starts, lengths=[50] * 10, coalesce=0, progress=told)
    told.check(10, 500)


async def test_results_as_they_come(library: Face, mode: Mode) -> None:
    told = Told()
    await mode.all(library.iter_many(MANY[:100], progress=told))
    told.check(100, sum(map(len, BODIES[:100])))


async def test_a_callback_that_fails_ends_a_read(library: Face, mode: Mode, large: bytes) -> None:
    def progress(done: int, *_: int) -> None:
        if done > 1:
            raise RuntimeError("enough")

    result = await library.get("large", progress=progress)
    with pytest.raises(RuntimeError, match="enough"):
        await mode(result).bytes()


LISTINGS: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("list", ["many"], {}),
    ("list", ["many"], {"return_arrow": True}),
    ("list", ["many"], {"max_concurrency": 8}),
    ("list_level", ["many/0000"], {}),
    ("glob", ["many/*/obj*"], {}),
    ("walk", ["many"], {}),
]


@pytest.mark.parametrize(("name", "where", "how"), LISTINGS)
async def test_listings(library: Face, mode: Mode, name: str, where: list[Any], how: dict[str, Any]) -> None:
    told = Told()
    await mode.all(getattr(library, name)(*where, **how, progress=told))
    count = 1 if name == "list_level" else len(MANY)
    assert told.calls == sorted(told.calls)
    assert told.calls[-1] == (count, count, 0)


async def test_collecting(library: Face, mode: Mode) -> None:
    told = Told()
    await mode(library.list("many", progress=told)).collect()
    assert told.calls[-1] == (len(MANY), len(MANY), 0)


async def test_a_level_as_a_whole(library: Face) -> None:
    told = Told()
    await library.list_with_delimiter("many/0000", progress=told)
    assert told.calls[-1] == (1, 1, 0)


@pytest.mark.parametrize("name", ["copy", "rename"])
async def test_what_the_server_does(store: Face, name: str) -> None:
    await store.put("a", b"1")
    told = Told()
    await getattr(store, name)("a", "b", progress=told)
    assert told.calls == [(1, 1, 0)]


async def test_a_rename_that_changes_nothing(store: Face) -> None:
    await store.put("a", b"1")
    told = Told()
    await store.rename("a", "a", progress=told)
    assert told.calls == [(1, 1, 0)]
