"""Many objects and ranges in one call: get_many, with memory of its own or into `out`."""

from __future__ import annotations

import array
import mmap
from typing import Any

import numpy as np
import pytest

from objstore import Bytes, engine_info, exceptions
from tests.conformance.conftest import BODIES, MANY, SMALL, Face, Mode, Told

SIZE = len(SMALL)
FEW, FEW_BODIES = MANY[:100], BODIES[:100]


# --- get_many


async def test_get_many_in_order(library: Face) -> None:
    results = await library.get_many(reversed(MANY[:300]))
    assert results == BODIES[:300][::-1]
    assert all(isinstance(result, Bytes) for result in results)


async def test_get_many_paths_and_ranges(library: Face, large: bytes) -> None:
    requests = [
        "small",
        ("large", 5, 9),
        ("small", 0, SIZE + 50),
        ["small", 1000, None],
        "empty",
        ("large", 7, 12_000_000),
    ]
    results = await library.get_many(requests)
    assert results == [SMALL, large[5:9], SMALL, SMALL[1000:], b"", large[7:12_000_000]]


async def test_get_many_of_nothing(library: Face) -> None:
    assert await library.get_many([]) == []
    assert await library.get_many([], out=bytearray(), progress=print) == []


async def test_get_many_of_the_same(library: Face) -> None:
    assert await library.get_many(["small"] * 10) == [SMALL] * 10


@pytest.mark.parametrize("max_concurrency", [1, 2, 1000])
async def test_get_many_with_a_limit(library: Face, max_concurrency: int) -> None:
    assert await library.get_many(FEW, max_concurrency=max_concurrency) == FEW_BODIES


async def test_get_many_tells_its_progress(library: Face) -> None:
    told = Told()
    await library.get_many(FEW, progress=told)
    told.check(100, sum(map(len, FEW_BODIES)))


async def test_a_progress_callback_that_fails_ends_the_call(library: Face) -> None:
    def progress(*_: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await library.get_many(MANY, progress=progress)
    assert await library.get_many(["small"]) == [SMALL]


REQUESTS = ["small", "missing", ("small", 3, 5), ("small", 5000, 5001), "empty", ("missing", 0, 1)]


async def test_errors_are_returned_in_their_place(library: Face) -> None:
    results = await library.get_many(REQUESTS, on_error="return")
    assert [results[0], results[2], results[4]] == [SMALL, SMALL[3:5], b""]
    assert [type(results[i]) for i in (1, 3, 5)] == [
        exceptions.NotFoundError,
        exceptions.InvalidRangeError,
        exceptions.NotFoundError,
    ]
    assert "'missing'" in str(results[1])


async def test_the_first_error_is_raised(library: Face) -> None:
    with pytest.raises(exceptions.NotFoundError, match="'missing'"):
        await library.get_many(REQUESTS[:3])
    with pytest.raises(FileNotFoundError):
        await library.get_many([*FEW, "missing"])


async def test_one_missing_among_many_loses_nothing(library: Face) -> None:
    results = await library.get_many([*FEW[:50], "missing", *FEW[50:]], on_error="return")
    assert isinstance(results.pop(50), exceptions.NotFoundError)
    assert results == FEW_BODIES


# --- get_many with out

OUTS = {
    "bytearray": lambda: bytearray(b"." * 40),
    "memoryview": lambda: memoryview(bytearray(b"." * 40)),
    "numpy": lambda: np.full(40, ord("."), np.uint8),
    "numpy of another type": lambda: np.full(10, 0x2E2E2E2E, np.uint32),
    "array": lambda: array.array("b", b"." * 40),
    "mmap": lambda: mapped(b"." * 40),
}


def mapped(data: bytes) -> mmap.mmap:
    memory = mmap.mmap(-1, len(data))
    memory[:] = data
    return memory


@pytest.mark.parametrize("form", OUTS)
async def test_one_buffer_for_all(library: Face, form: str) -> None:
    out = OUTS[form]()
    results = await library.get_many([("small", 0, 10), ("small", 97, 107), ("small", 3, 4)], out=out)
    assert results == [SMALL[:10], SMALL[97:107], SMALL[3:4]]
    assert bytes(memoryview(out).cast("B")) == SMALL[:10] + SMALL[97:107] + SMALL[3:4] + b"." * 19


async def test_results_are_views_of_out(library: Face) -> None:
    out = bytearray(10)
    results = await library.get_many([("small", 0, 5), ("small", 5, 10)], out=out)
    out[:] = b"0123456789"
    assert results == [b"01234", b"56789"]


async def test_a_range_cut_at_the_end_leaves_room(library: Face) -> None:
    out = bytearray(b"." * 12)
    results = await library.get_many([("small", SIZE - 2, SIZE + 4), ("small", 0, 6)], out=out)
    assert results == [SMALL[-2:], SMALL[:6]]
    assert out == SMALL[-2:] + b"...." + SMALL[:6]


async def test_a_buffer_for_each(library: Face) -> None:
    out: list[Any] = [bytearray(SIZE), np.zeros(3, np.uint8), bytearray(b"....")]
    results = await library.get_many(["small", ("small", 7, 10), ("small", SIZE - 1, None)], out=out)
    assert results == [SMALL, SMALL[7:10], SMALL[-1:]]
    assert out[0] == SMALL
    assert bytes(out[1]) == SMALL[7:10]
    assert out[2] == SMALL[-1:] + b"..."


async def test_out_keeps_what_succeeded(library: Face) -> None:
    out = bytearray(b"." * 9)
    requests = [("small", 0, 3), ("missing", 0, 3), ("small", 3, 6)]
    results = await library.get_many(requests, out=out, on_error="return")
    assert isinstance(results[1], exceptions.NotFoundError)
    assert out == SMALL[:3] + b"..." + SMALL[3:6]


@pytest.mark.parametrize(
    ("requests", "out", "reason"),
    [
        ([("small", 0, 5), ("small", 0, 6)], bytearray(10), "10 bytes.* 11"),
        ([("small", 0, 5)], bytes(10), "writable"),
        ([("small", 0, 5)], memoryview(bytes(10)), "writable"),
        ([("small", 0, 5)], memoryview(bytearray(10))[::2], "contiguous"),
        ([("small", 0, 5)], "text", "writable"),
        (["small"], bytearray(2000), "small"),
        ([("small", 0, None)], bytearray(2000), "small"),
        ([("small", 0, 5)], [bytearray(4)], "5 bytes.* 4"),
        ([("small", 0, 5)], [bytes(5)], "writable"),
        ([("small", 0, 5)], [], "0 buffers.* 1 request"),
        ([("small", 0, 5)], [bytearray(5)] * 2, "2 buffers.* 1 request"),
    ],
)
async def test_an_out_that_does_not_fit(library: Face, requests: Any, out: Any, reason: str) -> None:
    sent = engine_info()["requests"]
    with pytest.raises(ValueError, match=reason):
        await library.get_many(requests, out=out)
    assert engine_info()["requests"] == sent


async def test_an_object_larger_than_its_buffer(library: Face) -> None:
    out = [bytearray(5), bytearray(b"." * SIZE)]
    sent = engine_info()["requests"]
    results = await library.get_many(["small", "small"], out=out, on_error="return")
    assert engine_info()["requests"] - sent <= 3  # one for each, and one more try
    assert isinstance(results[0], exceptions.BaseError)
    assert "buffer" in str(results[0])
    assert results[1] == SMALL


# --- what get_many and iter_many refuse


@pytest.mark.parametrize(
    ("requests", "error"),
    [
        ([("small", 5, 5)], exceptions.InvalidRangeError),
        ([("small", 5, 4)], exceptions.InvalidRangeError),
        ([("small", -1, 4)], exceptions.InvalidRangeError),
        ([("small", 5)], ValueError),
        ([("small", 1, 2, 3)], ValueError),
        ([("small", "1", 2)], TypeError),
        ([("small", 1.5, 2)], TypeError),
        ([("small", 1, 2.5)], TypeError),
        ([5], TypeError),
        ([None], TypeError),
        ([(5, 0, 1)], TypeError),
        ([""], exceptions.InvalidPathError),
        (["small", "../small"], exceptions.InvalidPathError),
    ],
)
async def test_requests_that_are_none(library: Face, mode: Mode, requests: Any, error: type[Exception]) -> None:
    sent = engine_info()["requests"]
    with pytest.raises(error):
        await library.get_many(requests)
    with pytest.raises(error):
        await mode.all(library.iter_many(requests))
    assert engine_info()["requests"] == sent


@pytest.mark.parametrize("arguments", [{"on_error": "ignore"}, {"max_concurrency": 0}, {"max_concurrency": -1}])
async def test_arguments_that_are_none(library: Face, mode: Mode, arguments: Any) -> None:
    name = next(iter(arguments))
    for call in (library.get_many, library.head_many):
        with pytest.raises(ValueError, match=name):
            await call(["small"], **arguments)
    with pytest.raises(ValueError, match=name):
        await library.put_many([("a", b"")], **arguments)
    with pytest.raises(ValueError, match=name):
        library.iter_many(["small"], **arguments)
    with pytest.raises(ValueError, match="window"):
        library.iter_many(["small"], window=0)


async def test_a_str_is_no_list_of_requests(library: Face) -> None:
    for call in (library.get_many, library.head_many):
        with pytest.raises(TypeError, match="list"):
            await call("small")
