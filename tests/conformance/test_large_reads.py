"""What is too large for one request, in the operations that read many objects or ranges at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from objstore import engine_info, exceptions
from objstore._core import checksum
from objstore.http import exchange
from objstore.interface.values import Sums
from objstore.operations import rest, results
from objstore.providers import many, requests
from objstore.store import LocalStore, MemoryStore
from tests.conformance.conftest import SMALL, Face, Mode, Told

UNIT = 1 << 19
BEGINNING = 64 << 10
CHANGED = b"another" * (UNIT + 1)


@pytest.fixture(autouse=True)
def half_a_mib_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "LARGE", UNIT)
    monkeypatch.setattr(requests, "MOST_LARGE", UNIT)
    monkeypatch.setattr(exchange, "BEGINNING", BEGINNING)
    monkeypatch.setattr(results, "PART", UNIT)


@pytest.fixture
def read_in_parts(library: Face) -> Callable[[int], bool]:
    """Tell whether as many requests were sent as that: by stores that send requests."""
    before = engine_info()["requests"]
    silent = isinstance(library.target, LocalStore | MemoryStore)
    return lambda least: silent or engine_info()["requests"] - before >= least


REQUESTS = [
    "large",
    "small",
    ("large", 5, 7 * UNIT),
    ("small", 3, 5),
    ("large", 7, None),
    "empty",
    ("large", 3, UNIT + 3),
    ("large", 6 * UNIT, 1 << 40),
]


def wanted(large: bytes) -> list[bytes]:
    bodies = {"large": large, "small": SMALL, "empty": b""}
    asks = [(ask, 0, None) if isinstance(ask, str) else ask for ask in REQUESTS]
    return [bodies[str(path)][start:end] for path, start, end in asks]


async def test_get_many(library: Face, large: bytes, read_in_parts: Callable[[int], bool]) -> None:
    assert await library.get_many(REQUESTS) == wanted(large)
    assert read_in_parts(8 + 4 * 4)


async def test_get_many_one_at_a_time(library: Face, large: bytes) -> None:
    assert await library.get_many(REQUESTS, max_concurrency=1) == wanted(large)


async def test_get_many_into_buffers(library: Face, large: bytes) -> None:
    bodies = wanted(large)[:-1]
    out = [bytearray(len(body) + 1) for body in bodies]
    assert await library.get_many(REQUESTS[:-1], out=out) == bodies
    assert out == [body + b"\0" for body in bodies]


async def test_get_many_into_one_buffer(library: Face, large: bytes) -> None:
    out = bytearray(7 * UNIT + 2)
    asks = [("small", 0, 2), ("large", 4, 7 * UNIT + 4)]
    assert await library.get_many(asks, out=out) == [SMALL[:2], large[4 : 7 * UNIT + 4]]
    assert out == SMALL[:2] + large[4 : 7 * UNIT + 4]


async def test_a_buffer_too_small_for_a_large_object(library: Face, large: bytes) -> None:
    out = bytearray(len(large) - 1)
    with pytest.raises(exceptions.BaseError):
        await library.get_many(["large"], out=[out])


@pytest.mark.parametrize("window", [1, 100 << 10, 4 * UNIT, 256 * UNIT])
async def test_iter_many(library: Face, mode: Mode, large: bytes, window: int) -> None:
    found = dict(await mode.all(library.iter_many(REQUESTS, window=window)))
    assert found == dict(enumerate(wanted(large)))


async def test_get_range(library: Face, large: bytes, read_in_parts: Callable[[int], bool]) -> None:
    assert await library.get_range("large", start=9, length=6 * UNIT) == large[9 : 6 * UNIT + 9]
    assert read_in_parts(6)
    assert await library.get_range("large", start=9, end=1 << 50) == large[9:]


@pytest.mark.needs("ranges that begin at the end")
async def test_get_range_behind_the_end(library: Face, large: bytes) -> None:
    with pytest.raises(exceptions.InvalidRangeError):
        await library.get_range("large", start=len(large), length=6 * UNIT)


async def test_get_ranges(library: Face, large: bytes) -> None:
    starts, ends = [5 * UNIT, 0, 3, 4 * UNIT], [len(large) + 100, 4 * UNIT, 9, 7 * UNIT]
    found = await library.get_ranges("large", starts=starts, ends=ends, coalesce=0)
    assert found == [large[start:end] for start, end in zip(starts, ends, strict=True)]


async def test_get_ranges_into_buffers(library: Face, large: bytes) -> None:
    starts, ends = [5 * UNIT, 0, 4 * UNIT], [len(large) + 100, 4 * UNIT, 7 * UNIT]
    wanted = [large[start:end] for start, end in zip(starts, ends, strict=True)]
    out = [bytearray(end - start) for start, end in zip(starts, ends, strict=True)]
    assert await library.get_ranges("large", starts=starts, ends=ends, coalesce=0, out=out) == wanted
    assert [bytes(buffer[: len(body)]) for buffer, body in zip(out, wanted, strict=True)] == wanted


async def test_what_is_told_adds_up(library: Face, mode: Mode, large: bytes) -> None:
    for read in (
        lambda told: library.get_many(REQUESTS, progress=told),
        lambda told: mode.all(library.iter_many(REQUESTS, progress=told)),
    ):
        told = Told()
        await read(told)
        done, total, size = told.calls[-1]
        assert done == total >= len(REQUESTS)
        assert size >= sum(map(len, wanted(large)))
        assert [call[0] for call in told.calls] == sorted(call[0] for call in told.calls)
        assert all(call[0] <= call[1] for call in told.calls)


def replaced_meanwhile(monkeypatch: pytest.MonkeyPatch, store: Face) -> None:
    """Replace the object that is read, once its beginning has come."""
    read = rest.Rests.read

    def replace_and_read(self: Any, *args: Any) -> Any:
        store.target.put("object", CHANGED)
        return read(self, *args)

    monkeypatch.setattr(rest.Rests, "read", replace_and_read)


@pytest.mark.needs("requests")
@pytest.mark.parametrize("ask", ["object", ("object", 0, 6 * UNIT)])
async def test_an_object_replaced_while_it_is_read(
    store: Face, mode: Mode, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put("object", bytes(7 * UNIT))
    await store.put("other", b"other")
    replaced_meanwhile(monkeypatch, store)
    with pytest.raises(exceptions.ObjectChangedError, match="object"):
        await store.get_many([ask])
    await store.put("object", bytes(7 * UNIT))
    found = await store.get_many(["other", ask], on_error="return")
    assert found[0] == b"other"
    assert isinstance(found[1], exceptions.ObjectChangedError)
    await store.put("object", bytes(7 * UNIT))
    found = dict(await mode.all(store.iter_many(["other", ask], on_error="return")))
    assert found[0] == b"other"
    assert isinstance(found[1], exceptions.ObjectChangedError)


@pytest.mark.needs("requests")
async def test_all_of_an_object_is_compared_with_the_checksum_that_its_beginning_told(
    library: Face, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that tells none has nothing to be compared with; those that do are told another here."""
    found: list[Sums | None] = []

    def told(self: Any, index: int) -> Sums:
        found.append(told_in_truth(self, index))
        return Sums("crc32c", bytes(4), b"wrong"[:4], len(large))

    told_in_truth = many.ReadMany.sums
    monkeypatch.setattr(many.ReadMany, "sums", told)
    with pytest.raises(exceptions.CorruptResponseError, match="do not add up to the checksum"):
        await library.get_many(["large"])
    for sums in found:
        if sums is not None and sums.whole is not None:
            assert (sums.whole, sums.size) == (checksum(sums.algorithm, large), len(large))


async def test_a_long_range_is_not_taken_for_all_of_the_object(
    library: Face, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many.ReadMany, "sums", lambda *_: Sums("crc32c", bytes(4), b"wrong"[:4], len(large)))
    assert await library.get_many([("large", 0, len(large) - 1)]) == [large[:-1]]
