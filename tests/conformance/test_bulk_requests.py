"""What requests of bulk calls may be: iterators that are read as they are sent, versions, options of each, rows."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from objstore import exceptions
from objstore.operations import put_many, requested
from objstore.store import Store
from tests.conformance.conftest import BODIES, MANY, SMALL, Face, Mode, Told

FEW, FEW_BODIES = MANY[:20], BODIES[:20]
SIZE = len(SMALL)


@pytest.fixture
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requested, "AT_A_TIME", 7)


class Taken:
    """An iterator that knows how far it has been read."""

    def __init__(self, items: list[Any]) -> None:
        self.count = 0
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self.count += 1
            yield item


# --- iterators


@pytest.mark.usefixtures("few_at_a_time")
async def test_an_iterator_of_reads(library: Face, mode: Mode) -> None:
    told = Told()
    assert await library.get_many(iter(FEW), progress=told) == FEW_BODIES
    assert told.calls == sorted(told.calls)
    assert told.calls[-1] == (20, 20, sum(map(len, FEW_BODIES)))
    assert [meta["path"] for meta in await library.head_many(iter(FEW))] == FEW
    assert dict(await mode.all(library.iter_many(iter(FEW)))) == dict(enumerate(FEW_BODIES))


@pytest.mark.usefixtures("few_at_a_time")
async def test_results_come_before_the_iterator_ends(library: Face, mode: Mode) -> None:
    taken = Taken(FEW)
    results = library.iter_many(iter(taken))
    await mode.next(results)
    assert taken.count == 7


@pytest.mark.usefixtures("few_at_a_time")
async def test_an_iterator_of_writes_and_deletes(store: Face, mode: Mode) -> None:
    results = await store.put_many(iter([*zip(FEW, FEW_BODIES, strict=True)]))
    assert len(results) == 20
    assert await store.get_many(FEW) == FEW_BODIES
    told = Told()
    await store.delete(iter(FEW), progress=told)
    assert told.calls[-1] == (20, 20, 0)
    assert await mode(store.list()).collect() == []


# --- which request an error is of


@pytest.mark.usefixtures("few_at_a_time")
@pytest.mark.parametrize("kind", [list, iter])
async def test_errors_say_of_which_request_they_are(library: Face, mode: Mode, kind: Any) -> None:
    requests = [*FEW[:12], "missing", *FEW[12:], ("small", SIZE + 5, SIZE + 9)]
    results = await library.get_many(kind(requests), on_error="return")
    assert {index: result.index for index, result in enumerate(results) if isinstance(result, Exception)} == {
        12: 12,
        21: 21,
    }
    assert results[12].path == "missing"
    found = dict(await mode.all(library.iter_many(kind(requests), on_error="return")))
    assert [found[12].index, found[21].index] == [12, 21]
    metas = await library.head_many(kind(["small", "missing"]), on_error="return")
    assert metas[1].index == 1
    for name in ("get_many", "head_many"):
        with pytest.raises(exceptions.NotFoundError) as caught:
            await getattr(library, name)(kind(requests[:13]))
        assert caught.value.index == 12
    for again in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert again.index == 12


@pytest.mark.usefixtures("few_at_a_time")
@pytest.mark.parametrize("kind", [list, iter])
async def test_wrong_requests_say_which_they_are(library: Face, kind: Any) -> None:
    for name in ("get_many", "head_many"):
        with pytest.raises(exceptions.InvalidPathError) as caught:
            await getattr(library, name)(kind([*FEW[:9], "../c"]))
        assert caught.value.index == 9
    with pytest.raises(exceptions.InvalidRangeError) as wrong:
        await library.get_many([*FEW, ("small", 5, 5)])
    assert (wrong.value.index, wrong.value.path) == (20, "small")


@pytest.mark.needs("conditions", "conditions of writes")
async def test_errors_of_writes_say_of_which_they_are(store: Face) -> None:
    await store.put("there", b"1")
    items = [("a", b"a"), ("there", b"2"), ("b", b"b")]
    results = await store.put_many(items, mode="create", on_error="return")
    assert (results[1].index, results[1].path) == (1, "there")
    with pytest.raises(exceptions.AlreadyExistsError) as caught:
        await store.put_many([("c", b"c"), items[1]], mode="create")
    assert caught.value.index == 1


@pytest.mark.usefixtures("few_at_a_time")
@pytest.mark.needs("conditions", "conditions of writes")
async def test_errors_of_writes_in_several_groups(store: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_many, "MOST_READ", 3)
    await store.put("there", b"1")
    items = [(f"{number}", iter([b"1"])) for number in range(20)]
    items[8] = items[17] = ("there", iter([b"1"]))
    results = await store.put_many(iter(items), mode="create", on_error="return")
    found = {index: result.index for index, result in enumerate(results) if isinstance(result, Exception)}
    assert found == {8: 8, 17: 17}
    again = [("there" if path == "there" else f"new-{path}", iter([b"1"])) for path, _ in items]
    with pytest.raises(exceptions.AlreadyExistsError) as caught:
        await store.put_many(again, mode="create", max_concurrency=1)
    assert caught.value.index == 8


# --- versions


@pytest.fixture(scope="session")
def e_tags(full_store: Store) -> dict[str, str]:
    return {meta["path"]: str(meta["e_tag"]) for meta in full_store.head_many(["small", "empty", "large"])}


async def test_the_version_that_is_meant(library: Face, mode: Mode, e_tags: dict[str, str], large: bytes) -> None:
    requests = [
        ("small", 3, 9, e_tags["small"]),
        "small",
        ("empty", 0, None, e_tags["empty"]),
        ("large", 0, None, e_tags["large"]),
        ("small", 3, 9, None),
    ]
    right = [SMALL[3:9], SMALL, b"", large, SMALL[3:9]]
    assert await library.get_many(requests) == right
    assert dict(await mode.all(library.iter_many(requests))) == dict(enumerate(right))


async def test_another_version_than_is_meant(library: Face, mode: Mode, e_tags: dict[str, str]) -> None:
    requests = ["small", ("small", 0, 5, '"other"'), ("large", 0, None, '"other"'), ("empty", 0, None, '"other"')]
    results = await library.get_many(requests, on_error="return")
    assert results[0] == SMALL
    assert [type(each) for each in results[1:]] == [exceptions.PreconditionError] * 3
    assert [(each.index, each.path) for each in results[1:]] == [(1, "small"), (2, "large"), (3, "empty")]
    found = dict(await mode.all(library.iter_many(requests, on_error="return", window=1)))
    assert [type(found[index]) for index in range(1, 4)] == [exceptions.PreconditionError] * 3
    with pytest.raises(exceptions.PreconditionError, match=r"'small' has the ETag .* not \"other\""):
        await library.get_many(requests)
    with pytest.raises(exceptions.PreconditionError):
        await mode.all(library.iter_many(requests))


# --- what each of many objects is stored with


@pytest.mark.needs("attributes")
async def test_attributes_of_each(store: Face) -> None:
    await store.put_many(
        [
            ("a", b"1"),
            ("b", b"2", {"attributes": {"Content-Type": "text/b"}}),
            ("c", b"3", {}),
            ("d", b"4", {"attributes": {"Content-Type": "text/b"}}),
        ],
        attributes={"Content-Type": "text/a"},
    )
    types = [(await store.get(path)).attributes["Content-Type"] for path in "abcd"]
    assert types == ["text/a", "text/b", "text/a", "text/b"]
    assert await store.get_many([*"abcd"]) == [b"1", b"2", b"3", b"4"]


@pytest.mark.needs("tags")
async def test_tags_of_each(store: Face) -> None:
    await store.put_many([("a", b"1"), ("b", b"2", {"tags": {"own": "2"}})], tags={"own": "1"})
    assert [await store.get_tags(path) for path in "ab"] == [{"own": "1"}, {"own": "2"}]


@pytest.mark.needs("conditions", "conditions of writes")
async def test_the_mode_of_each(store: Face) -> None:
    await store.put_many({"a": b"old", "b": b"old", "c": b"older"})
    stale = (await store.head("c"))["e_tag"]
    await store.put("c", b"old")
    e_tag = (await store.head("b"))["e_tag"]
    told = Told()
    results = await store.put_many(
        [
            ("a", b"new", {"mode": "create"}),
            ("b", b"new", {"mode": {"e_tag": e_tag}}),
            ("c", b"new", {"mode": {"e_tag": stale}}),
            ("d", b"new", {"mode": "create"}),
            ("e", b"new"),
        ],
        on_error="return",
        progress=told,
    )
    assert [type(results[0]), type(results[2])] == [exceptions.AlreadyExistsError, exceptions.PreconditionError]
    assert [results[0].index, results[2].index] == [0, 2]
    assert await store.get_many([*"abcde"]) == [b"old", b"new", b"old", b"new", b"new"]
    assert told.calls[-1][:2] == (5, 5)
    with pytest.raises(exceptions.AlreadyExistsError) as caught:
        await store.put_many([("f", b""), ("a", b"", {"mode": "create"})])
    assert caught.value.index == 1


async def test_options_that_are_none(store: Face, mode: Mode) -> None:
    for options, error in [({"atributes": {}}, ValueError), ([1], TypeError), ({"mode": "append"}, ValueError)]:
        with pytest.raises(error):
            await store.put_many([("a", b""), ("b", b"", options)])
    assert await mode(store.list()).collect() == []


# --- rows


async def test_rows_of_an_array(library: Face, mode: Mode) -> None:
    requests = [("small", at, at + 5) for at in range(8)]
    right = [SMALL[at : at + 5] for at in range(8)]
    for get in ("get_many", "iter_many"):
        table = np.zeros((8, 16), np.uint8)
        rows = table[:, 3:8]
        if get == "get_many":
            assert await library.get_many(requests, out=rows) == right
        else:
            assert dict(await mode.all(library.iter_many(iter(requests), out=rows))) == dict(enumerate(right))
        assert [row.tobytes() for row in rows] == right
        assert not table[:, :3].any()
        assert not table[:, 8:].any()


async def test_one_buffer_for_what_comes_in_any_order(library: Face, mode: Mode) -> None:
    out = bytearray(10)
    found = dict(await mode.all(library.iter_many([("small", 0, 4), ("small", 10, 16)], out=out)))
    assert out == SMALL[:4] + SMALL[10:16]
    assert found == {0: SMALL[:4], 1: SMALL[10:16]}
    assert memoryview(found[0]).obj is not None


async def test_rows_that_do_not_fit(library: Face) -> None:
    table = np.zeros((2, 16), np.uint8)
    with pytest.raises(ValueError, match="2 buffers in out for 1 request"):
        await library.get_many([("small", 0, 5)], out=table[:, :8])
    with pytest.raises(ValueError, match="do not fit"):
        await library.get_many([("small", 0, 5), ("small", 0, 9)], out=table[:, :8])
    with pytest.raises(ValueError, match="contiguous"):
        await library.get_many([("small", 0, 5)] * 2, out=table[:, ::2])


@pytest.mark.parametrize("second", [slice(0, 5), slice(4, 9), slice(2, 3)], ids=["same", "beside", "within"])
async def test_buffers_that_share_memory(library: Face, second: slice) -> None:
    memory = np.zeros(16, np.uint8)
    rows = [memory[second], memory[8:13], memory[:5]]
    requests = [("small", 0, row.size) for row in rows]
    with pytest.raises(ValueError, match=r"out\[0\] and out\[[12]\] share memory"):
        await library.get_many(requests, out=rows)
    assert not memory.any()
