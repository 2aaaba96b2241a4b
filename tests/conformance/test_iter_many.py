"""Many objects as they come: iter_many."""

from __future__ import annotations

import time
from typing import Any

import pytest

from objstore import engine_info, exceptions
from tests.conformance.conftest import BODIES, MANY, SMALL, Face, Mode
from tests.servers import S3Server

SIZE = len(SMALL)
FEW, FEW_BODIES = MANY[:100], BODIES[:100]
REQUESTS = ["small", "missing", ("small", 3, 5), ("small", 5000, 5001), "empty", ("missing", 0, 1)]


async def test_iter_many(library: Face, mode: Mode) -> None:
    found = dict(await mode.all(library.iter_many(FEW)))
    assert found == dict(enumerate(FEW_BODIES))


async def test_iter_many_paths_and_ranges(library: Face, mode: Mode, large: bytes) -> None:
    requests = ["small", ("large", 5, 12_000_000), ("small", 1000, None), "empty"]
    found = dict(await mode.all(library.iter_many(iter(requests))))
    assert found == {0: SMALL, 1: large[5:12_000_000], 2: SMALL[1000:], 3: b""}


async def test_iter_many_of_nothing(library: Face, mode: Mode) -> None:
    assert await mode.all(library.iter_many([])) == []


async def test_iter_many_async_is_iter_many(library: Face, mode: Mode) -> None:
    assert await mode.all(library.target.iter_many_async(["small"])) == [(0, SMALL)]


async def test_iter_many_returns_errors(library: Face, mode: Mode) -> None:
    found = dict(await mode.all(library.iter_many(REQUESTS, on_error="return")))
    assert (found[0], found[2], found[4]) == (SMALL, SMALL[3:5], b"")
    assert isinstance(found[1], exceptions.NotFoundError)
    assert isinstance(found[3], exceptions.InvalidRangeError)
    assert sorted(found) == [0, 1, 2, 3, 4, 5]


async def test_iter_many_raises_the_first_error(library: Face, mode: Mode) -> None:
    with pytest.raises(exceptions.NotFoundError, match="'missing'"):
        await mode.all(library.iter_many([*FEW, "missing"]))


async def test_iter_many_left_early(library: Face, mode: Mode, server: object) -> None:
    results = library.iter_many(MANY, max_concurrency=4)
    taken = await first_of(mode, results)
    assert taken[1] == BODIES[taken[0]]
    assert engine_info()["in_flight"] == 0
    if isinstance(server, S3Server):  # the others have read all of it already
        with pytest.raises(ValueError, match="closed"):
            await mode.all(results)
    assert await library.get_many(["small"]) == [SMALL]


async def first_of(mode: Mode, results: Any) -> Any:
    """Iterate, and leave the loop at the first result."""
    if mode.is_async:
        iterator = aiter(results)
        try:
            return await anext(iterator)
        finally:
            await iterator.aclose()
    try:
        return next(iter(results))
    finally:
        results.close()


@pytest.mark.needs("requests")
async def test_iter_many_holds_a_window(library: Face, mode: Mode) -> None:
    requests = [("small", 0, SIZE)] * 100
    before = engine_info()["requests"]
    results = library.iter_many(requests, window=10 * SIZE)
    iterator = aiter(results) if mode.is_async else iter(results)
    for taken in range(1, 21):
        await anext(iterator) if mode.is_async else next(iterator)
        time.sleep(0.005)
        assert engine_info()["requests"] - before <= taken + 11
    results.close()


async def test_a_window_smaller_than_an_object(library: Face, mode: Mode) -> None:
    found = dict(await mode.all(library.iter_many([*MANY[:20], "small", ("large", 0, 5_000_000)], window=1)))
    assert sorted(found) == [*range(22)]
    assert found[20] == SMALL
