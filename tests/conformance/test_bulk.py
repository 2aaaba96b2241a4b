"""Many objects in one call: get_many, iter_many, head_many, put_many."""

from __future__ import annotations

import array
import io
import mmap
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objstore import Bytes, engine_info, exceptions
from tests.conformance.conftest import BODIES, MANY, SMALL, Face, Mode

SIZE = len(SMALL)
FEW, FEW_BODIES = MANY[:100], BODIES[:100]


class Told:
    """A progress callback that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, int]] = []

    def __call__(self, done: int, total: int, size: int) -> None:
        self.calls.append((done, total, size))

    def check(self, total: int, size: int) -> None:
        """The calls never go back, and the last one says that all is done."""
        assert self.calls == sorted(self.calls)
        assert {call[1] for call in self.calls} == {total}
        assert self.calls[-1] == (total, total, size)


# --- get_many


async def test_get_many_in_order(library: Face) -> None:
    results = await library.get_many(reversed(MANY))
    assert results == BODIES[::-1]
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
    began = time.monotonic()
    results = await library.get_many(["small", "small"], out=out, on_error="return")
    assert time.monotonic() - began < 5
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


# --- iter_many


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
    if server is not None:
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


async def test_put_many_with_attributes(store: Face) -> None:
    await store.put_many({"a": b"1", "b": b"2"}, attributes={"contenttype": "text/x-test", "mine": "1"})
    for path in ("a", "b"):
        attributes = (await store.get(path)).attributes
        assert (attributes["Content-Type"], attributes["mine"]) == ("text/x-test", "1")


@pytest.mark.needs("conditions")
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
