"""Work cut into pieces: all of it once, in order, of the size asked for; and read anywhere, of the planned version."""

from __future__ import annotations

import asyncio
import pickle
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore.exceptions import InvalidPathError, NotFoundError, ObjectChangedError
from objstore.results import Piece, Slice
from objstore.store import LocalStore, MemoryStore, S3Store
from tests.servers import S3Server

SIZES = st.lists(st.integers(0, 40), max_size=40)


def named(sizes: list[int]) -> list[tuple[str, int]]:
    return [(f"{number:03}", size) for number, size in enumerate(sizes)]


def joined(pieces: list[Piece]) -> list[tuple[str, int]]:
    """Return which bytes pieces have, side by side, as paths and sizes."""
    found = []
    slices = [each for piece in pieces for each in piece.slices]
    for path, group in groupby(slices, key=lambda each: each.path):
        at = 0
        for each in group:
            assert each.start == at
            at = each.end
        found.append((path, at))
    return found


@settings(max_examples=200, deadline=None)
@given(SIZES, st.integers(1, 50))
def test_by_bytes_everything_is_there_once(sizes: list[int], most: int) -> None:
    pieces = [*MemoryStore().plan(named(sizes), bytes=most)]
    assert joined(pieces) == named(sizes)
    assert [piece.number for piece in pieces] == [*range(len(pieces))]
    assert all(piece.size <= most and piece.slices for piece in pieces)
    cut = {each.path for piece in pieces for each in piece.slices if each.end - each.start != each.size}
    assert cut == {path for path, size in named(sizes) if size > most}
    full = [one.size + other.size for one, other in pairwise(pieces)]
    assert all(size >= most / 2 for size in full)  # small ones are together; one that is cut is in halves, or larger


@settings(max_examples=200, deadline=None)
@given(SIZES, st.integers(1, 12))
def test_in_parts_everything_is_there_once(sizes: list[int], parts: int) -> None:
    pieces = [*MemoryStore().plan(named(sizes), parts=parts)]
    assert joined(pieces) == named(sizes)
    assert len(pieces) <= parts
    assert max((piece.size for piece in pieces), default=0) <= -(-sum(sizes) // parts)


def test_a_listing_is_planned_as_it_is_read() -> None:
    store = MemoryStore()
    store.put_many((f"d/{n:05}", b"x" * 10) for n in range(3500))
    plan = store.plan("d", bytes=1000)
    first = next(plan)
    store.put("d/99999", b"late")  # on a page that has not been read
    pieces = [first, *plan]
    assert len(pieces) == 36
    assert joined(pieces)[-1] == ("d/99999", 4)
    assert first.slices[0] == Slice("d/00000", 0, 10, store.head("d/00000")["e_tag"], 10)


def test_small_objects_do_not_make_a_large_piece() -> None:
    pieces = [*MemoryStore().plan(named([0] * 25_000))]
    assert [len(piece.slices) for piece in pieces] == [10_000, 10_000, 5_000]


def test_shards_are_planned() -> None:
    store = MemoryStore()
    store.put_many((f"d/{n:02x}", b"x") for n in range(256))
    found = [path for index in range(3) for path, _ in joined([*store.plan("d", shard=(index, 3))])]
    assert found == [f"d/{n:02x}" for n in range(256)]


def test_what_lists_return_is_planned_without_a_question(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put_many({"a": b"12", "b": b"345"})
    metas = store.list().collect()
    (piece,) = store.plan(metas)
    assert [bytes(body) for body in piece.get_many()] == [b"12", b"345"]
    assert piece.slices[1] == Slice("b", 0, 3, metas[1]["e_tag"], 3)
    (same,) = store.plan(store.list(return_arrow=True))
    assert same == piece


def test_a_table_of_ranges_is_planned() -> None:
    table = pa.table({"path": ["a", "b", "a"], "offset": [0, 5, 10], "length": [10, 1, 10]})
    pieces = [*MemoryStore().plan(table, bytes=11)]
    assert [piece.slices for piece in pieces] == [(Slice("a", 0, 10), Slice("b", 5, 6)), (Slice("a", 10, 20),)]
    with pytest.raises(ValueError, match="no column 'length'"):
        [*MemoryStore().plan(table.drop_columns("length"))]


def test_a_stream_of_arrow_data_is_planned_as_it_comes() -> None:
    given: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(10):
            given.append(number)
            paths = [f"{number}-{row:04}" for row in range(2500)]
            yield pa.record_batch({"path": paths, "size": [1] * 2500, "e_tag": ['"x"'] * 2500})

    schema = pa.schema({"path": pa.string(), "size": pa.int64(), "e_tag": pa.string()})
    plan = MemoryStore().plan(pa.RecordBatchReader.from_batches(schema, batches()), bytes=1000)
    first = next(plan)
    assert first.slices[0] == Slice("0-0000", 0, 1, '"x"', 1)
    assert len(given) <= 2
    assert sum(len(piece.slices) for piece in plan) == 24_000
    (piece,) = MemoryStore().plan(pa.record_batch({"path": ["a"], "size": [1]}))
    assert piece.slices == (Slice("a", 0, 1, None, 1),)


def test_a_piece_is_cut_further() -> None:
    (piece,) = MemoryStore().plan([{"path": "a", "size": 10, "e_tag": '"x"'}])
    parts = [part.slices for part in MemoryStore().plan(piece.slices, bytes=5)]
    assert parts == [(Slice("a", 0, 5, '"x"', 10),), (Slice("a", 5, 10, '"x"', 10),)]


@pytest.mark.parametrize("kind", ["listed", "sizes", "arrow"])
def test_a_plan_of_any_length_takes_the_same_memory(kind: str) -> None:
    """What is held at the peak does not grow with the number of keys: ten times as many were 1.3 to 2.6 MB more."""
    peaks = []
    for count in (2_000, 20_000):
        requests = many(kind, count)
        tracemalloc.start()
        assert sum(len(piece.slices) for piece in MemoryStore().plan(requests, bytes=1000)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (640 << 10)  # other threads of this process hold something, too


def many(kind: str, count: int) -> Any:
    names = (f"{number:08}" for number in range(count))
    if kind == "sizes":
        return ((name, 1) for name in names)
    if kind == "listed":
        return ({"path": name, "size": 1, "e_tag": name} for name in names)
    return pa.table({"path": [*names], "offset": [0] * count, "length": [1] * count})


@pytest.mark.parametrize(
    ("requests", "options", "named"),
    [
        (["a"], {}, "'a'.* tells no size"),
        ([("a", -1)], {}, "size = -1"),
        ([("a", 5, 5)], {}, "end = 5"),
        ([("a", 1)], {"bytes": 0}, "bytes = 0"),
        ([("a", 1)], {"parts": 0}, "parts = 0"),
        ([("a", 1)], {"bytes": 1, "parts": 1}, "give one of them"),
        ([("a", 1)], {"shard": (0, 2)}, "only a listing has shards"),
    ],
)
def test_what_cannot_be_planned_is_refused(requests: Any, options: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        [*MemoryStore().plan(requests, **options)]


def test_what_is_no_path_is_refused_when_it_is_planned() -> None:
    store = MemoryStore()
    store.with_raw_keys().put("d//x", b"1")
    with pytest.raises(InvalidPathError, match="d//x"):
        [*store.plan("d")]


# --- reading


@pytest.fixture(params=["memory", "local", "rclone", "moto"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "local":
        return LocalStore(tmp_path)
    server: S3Server = request.getfixturevalue(request.param)
    return S3Store(
        server.make_bucket("work"),
        prefix=tmp_path.name,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
    )


BODIES = {"a": bytes(range(100)), "b": b"", "c": b"c" * 30, "d": b"", "e": b"e"}


def test_pieces_read_themselves(store: Any) -> None:
    store.put_many(BODIES)
    pieces = [*store.plan(bytes=40)]
    bodies = [bytes(body) for piece in pieces for body in piece.get_many()]
    assert b"".join(bodies) == b"".join(BODIES.values())
    out = bytearray(131)
    view, at = memoryview(out), 0
    for piece in pieces:
        asyncio.run(piece.get_many_async(out=view[at : at + piece.size]))
        at += piece.size
    assert bytes(out) == b"".join(BODIES.values())


@pytest.mark.parametrize("body", [b"C" * 30, b"C" * 31, b"C", b""])
@pytest.mark.parametrize("with_out", [False, True])
def test_an_object_that_was_replaced_is_an_error(store: Any, body: bytes, with_out: bool) -> None:
    store.put_many(BODIES)
    pieces = [*store.plan("", bytes=40)]
    store.put("c", body)
    (piece,) = (piece for piece in pieces if any(each.path == "c" for each in piece.slices))
    with pytest.raises(ObjectChangedError, match="'c' was replaced"):
        piece.get_many(out=bytearray(piece.size) if with_out else None)


@pytest.mark.parametrize("with_out", [False, True])
def test_an_empty_object_that_was_replaced_is_an_error(store: Any, with_out: bool) -> None:
    store.put("b", b"")
    (piece,) = store.plan()
    store.put("b", b"full")
    with pytest.raises(ObjectChangedError, match="'b' was replaced"):
        piece.get_many(out=bytearray() if with_out else None)


def test_an_object_that_is_gone_is_not_found(store: Any) -> None:
    store.put("b", b"1")
    (piece,) = store.plan()
    store.delete("b")
    with pytest.raises(NotFoundError):
        piece.get_many()


def read(piece: Piece) -> bytes:
    """Run in another process: read a piece."""
    return b"".join(map(bytes, piece.get_many()))


@pytest.mark.product("method")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("store", ["local", "rclone"], indirect=True)
def test_pieces_are_read_by_other_processes(store: Any, method: str) -> None:
    store.put_many(BODIES)
    pieces = [*store.plan(bytes=40)]
    assert pickle.loads(pickle.dumps(pieces)) == pieces
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        assert b"".join(pool.map(read, pieces)) == b"".join(BODIES.values())
