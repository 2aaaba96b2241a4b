"""Rows of listings: given as dicts and as Arrow alike, in parts, and in streams whose chunks span pages."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import objstore
from objstore._core import Bytes, Listing
from objstore.operations import formats
from objstore.operations.results import ArrowListStream, ListStream, Rows
from objstore.plans.effects import Plan
from objstore.store import MemoryStore
from objstore.types import ObjectMeta
from tests.test_listing import contents, page


def metas(count: int) -> list[ObjectMeta]:
    return [
        {
            "path": f"dir/é{index}",
            "last_modified": datetime(2026, 1, 1, 0, 0, index % 60, index, UTC),
            "size": index << 30,
            "e_tag": None if index % 3 == 0 else f'"{index}"',
            "version": f"v{index}" if index % 4 == 0 else None,
        }
        for index in range(count)
    ]


def test_rows_of_known_objects() -> None:
    assert Listing.of(metas(1000)).objects() == metas(1000)
    assert len(Listing.of(iter(metas(300)))) == 300
    assert Listing.of(()).objects() == []
    assert (Listing.of(metas(1)).token, Listing.of(metas(1)).common_prefixes) == ("", [])


@pytest.mark.parametrize(
    "wrong", [{"path": "\ud800"}, {"path": None}, {"size": "1"}, {"size": 1 << 63}, {"last_modified": 1}]
)
def test_what_is_no_object(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        Listing.of([{**metas(1)[0], **wrong}])  # type: ignore[typeddict-item]


def test_a_body_may_be_any_buffer_and_is_kept() -> None:
    listing = Listing(Bytes(bytearray(page(contents("kept")))))
    gc.collect()
    assert listing.objects()[0]["path"] == "kept"
    with pytest.raises(TypeError):
        Listing("text")  # type: ignore[arg-type]


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 0), (2, 5), (-2, None), (3, 99), (9, 3), (99, None)])
def test_a_part_of_the_rows(start: int, stop: int | None) -> None:
    listing = Listing.of(metas(10))
    assert listing.objects("", start, stop) == metas(10)[start:stop]
    assert listing.arrow("", start, stop).__arrow_c_array__()
    assert [meta["path"] for meta in table_rows(listing, "", start, stop)] == [m["path"] for m in metas(10)[start:stop]]


@pytest.mark.parametrize(
    ("prefix", "wanted"), [("", "dir/é0"), ("dir/", "é0"), ("dir/é", "0"), ("dir/é0", ""), ("d/", "dir/é0")]
)
def test_a_prefix_is_cut_off_the_keys_that_have_it(prefix: str, wanted: str) -> None:
    listing = Listing.of(metas(1))
    assert listing.objects(prefix)[0]["path"] == wanted
    assert table_rows(listing, prefix)[0]["path"] == wanted


# --- Arrow


def table_rows(listing: Listing, prefix: str = "", start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
    """Return rows by way of Arrow."""
    batch = pytest.importorskip("arro3.core").RecordBatch.from_arrow(listing.arrow(prefix, start, stop))
    columns = [batch.column(name).to_pylist() for name in batch.column_names]
    return [dict(zip(batch.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_arrow_has_what_the_dicts_have(count: int) -> None:
    listing = Listing.of(metas(count))
    assert table_rows(listing) == listing.objects()
    document = page(*(contents(f"k{index}", size=index, e_tag="") for index in range(count)))
    assert table_rows(Listing(document)) == Listing(document).objects()


def test_the_schema_of_arrow() -> None:
    core = pytest.importorskip("arro3.core")
    fields = [
        core.Field("path", core.DataType.utf8(), nullable=False),
        core.Field("last_modified", core.DataType.timestamp("us", tz="UTC"), nullable=False),
        core.Field("size", core.DataType.uint64(), nullable=False),
        core.Field("e_tag", core.DataType.utf8(), nullable=True),
        core.Field("version", core.DataType.utf8(), nullable=True),
    ]
    rows = Listing.of(metas(2)).arrow()
    assert core.Schema.from_arrow(rows) == core.Schema(fields)
    assert core.RecordBatch.from_arrow(rows).schema == core.Schema(fields)


def test_pyarrow_finds_it_valid() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    batch = pyarrow.record_batch(Listing.of(metas(1000)).arrow("dir/", 1))
    batch.validate(full=True)
    assert batch.to_pylist() == Listing.of(metas(1000)).objects("dir/", 1)
    assert batch.column("version").null_count == 750
    assert pyarrow.table(MemoryStore().list(return_arrow=True)).num_rows == 0


def test_rows_outlive_what_they_were_made_of() -> None:
    core = pytest.importorskip("arro3.core")
    rows = Listing(bytearray(page(contents("kept")))).arrow()
    column = core.RecordBatch.from_arrow(rows).column("path")
    del rows
    gc.collect()
    assert column.to_pylist() == ["kept"]


class ArrowArray(ctypes.Structure):
    """The struct of the C data interface."""


ArrowArray._fields_ = [
    ("length", ctypes.c_int64), ("null_count", ctypes.c_int64), ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64), ("n_children", ctypes.c_int64), ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowArray))), ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowArray))), ("private_data", ctypes.c_void_p),
]  # fmt: skip


def pointer_of(capsule: object) -> Any:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.POINTER(ArrowArray), [ctypes.py_object, ctypes.c_char_p]
    return get(capsule, b"arrow_array")


def test_a_column_that_was_moved_out_lives_until_it_is_released_itself() -> None:
    _, capsule = Listing.of(metas(3)).arrow().__arrow_c_array__()
    array = pointer_of(capsule)
    child = array.contents.children[0]
    column = ArrowArray.from_buffer_copy(child.contents)
    child.contents.release = type(column.release)()  # moved, as the interface has it
    array.contents.release(array)
    assert not array.contents.release
    del capsule
    gc.collect()
    offsets = ctypes.cast(column.buffers[1], ctypes.POINTER(ctypes.c_int32))
    assert ctypes.string_at(column.buffers[2], offsets[3]).decode() == "dir/é0dir/é1dir/é2"
    assert column.buffers[1] % 64 == column.buffers[2] % 64 == 0
    column.release(ctypes.byref(column))
    assert not column.release


class Mallinfo(ctypes.Structure):
    """What glibc says of its heap, see mallinfo2(3)."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in _names]


def allocated() -> int:
    """Return how many bytes are allocated."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("no mallinfo2 in this C library: glibc 2.33 has it")
    mallinfo.restype = Mallinfo
    info = mallinfo()
    return int(info.uordblks + info.hblkhd)


@pytest.mark.parametrize("way", ["imported", "left", "columns", "scanned"])
def test_nothing_is_left_behind(way: str) -> None:
    core = pytest.importorskip("arro3.core")
    listing = Listing.of(metas(50))
    prefix = "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"
    document = page(prefix, *(contents(f"&amp;{index}") for index in range(50)))

    def once() -> None:
        if way == "imported":
            core.RecordBatch.from_arrow(listing.arrow())
        elif way == "left":
            listing.arrow().__arrow_c_array__()
        elif way == "columns":
            core.RecordBatch.from_arrow(listing.arrow()).columns.clear()
        else:
            Listing(document).objects()

    for _ in range(100):
        once()
    before = allocated()
    for _ in range(10_000):
        once()
    assert allocated() - before < 10_000 * 16


# --- streams


def stream_of(*sizes: int, form: Any = formats.DICTS) -> ListStream[Any]:
    """Return a stream of pages with so many objects each, in chunks of four."""
    rows = iter(metas(sum(sizes)))
    pages: Iterator[Listing] = iter([Listing.of([next(rows) for _ in range(size)]) for size in sizes])

    def next_page() -> Plan[Rows | None]:
        page = next(pages, None)
        return None if page is None else Rows(page, len(page))
        yield

    kind = ListStream if form is formats.DICTS else ArrowListStream
    return kind(next_page, "dir/", 4, form)


CHUNKS = [
    ((), []),
    ((0,), []),
    ((4,), [4]),
    ((3,), [3]),
    ((9,), [4, 4, 1]),
    ((2, 0, 1, 0, 0, 6, 3), [4, 4, 4]),
    ((0, 1), [1]),
]


@pytest.mark.parametrize(("sizes", "chunks"), CHUNKS)
def test_chunks_do_not_end_where_pages_end(sizes: tuple[int, ...], chunks: list[int]) -> None:
    wanted = Listing.of(metas(sum(sizes))).objects("dir/")
    given = [*stream_of(*sizes)]
    assert [len(chunk) for chunk in given] == chunks
    assert [meta for chunk in given for meta in chunk] == wanted
    assert stream_of(*sizes).collect() == wanted


@pytest.mark.parametrize(("sizes", "chunks"), CHUNKS)
def test_chunks_of_arrow(sizes: tuple[int, ...], chunks: list[int]) -> None:
    core = pytest.importorskip("arro3.core")
    given = [*stream_of(*sizes, form=formats.arrow())]
    assert all(isinstance(chunk, core.RecordBatch) for chunk in given)
    assert [chunk.num_rows for chunk in given] == chunks
    whole = stream_of(*sizes, form=formats.arrow()).collect()
    assert isinstance(whole, core.RecordBatch)
    wanted = [meta["path"] for meta in Listing.of(metas(sum(sizes))).objects("dir/")]
    assert whole.column("path").to_pylist() == wanted
    assert [path for chunk in given for path in chunk.column("path").to_pylist()] == wanted
    assert whole.schema == core.Schema.from_arrow(Listing.of(()).arrow())


def test_what_is_left_of_a_stream_is_an_arrow_stream() -> None:
    core = pytest.importorskip("arro3.core")
    stream = stream_of(9, 3, form=formats.arrow())
    next(stream)
    assert core.Table.from_arrow(stream).num_rows == 8
    assert not hasattr(stream_of(9), "__arrow_c_stream__")


def test_a_store_lists_as_arrow() -> None:
    core = pytest.importorskip("arro3.core")
    store = MemoryStore()
    store.put_many((f"a/{index:03}", b"x" * index) for index in range(120))
    stream = store.list("a", return_arrow=True)
    assert next(stream).num_rows == 50
    assert stream.collect().num_rows == 70
    level = store.list_with_delimiter("a", return_arrow=True)
    assert isinstance(level["objects"], core.Table)
    assert level["objects"].column("size").to_pylist() == [*range(120)]
    assert store.list_with_delimiter(return_arrow=True)["objects"].num_rows == 0


def test_arrow_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arro3.core", None)
    formats.arrow.cache_clear()
    store = MemoryStore()
    for call in (objstore.list, objstore.list_with_delimiter):
        with pytest.raises(ImportError, match=r"pip install 'objstore-client\[arrow\]'"):
            call(store, return_arrow=True)
    assert store.list().collect() == []
