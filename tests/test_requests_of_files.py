"""How many requests, and for how many bytes, what others read through files comes to: no time, so no load, matters."""

from __future__ import annotations

import asyncio
import io
import random
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import pytest

import objstore
from objstore._fsspec import known as known_paths
from objstore._fsspec.known import Known
from objstore.exceptions import PermissionDeniedError
from objstore.fsspec import FsspecStore
from objstore.interface.values import Pace
from objstore.operations import ahead, column_reads, listing, moment
from objstore.operations.pinned import Pinned
from objstore.operations.ranges import ranges_of
from objstore.providers.requests import Requests
from objstore.store import S3Store
from objstore.types import RequestInfo
from tests.servers import S3Server

COLUMNS, ROWS, GROUPS = 31, 200_000, 8
WANTED = ["c3", "c14", "c29"]
CONNECTION = "endpoint", "region", "access_key_id", "secret_access_key"


@dataclass
class Places:
    """A store on the fastest server, and a filesystem over it."""

    bucket: str
    store: S3Store
    files: FsspecStore


@pytest.fixture
def places(rclone: S3Server) -> Places:
    return places_on(rclone)


@pytest.fixture
def listed_alike(moto: S3Server) -> Places:
    """Places on a server whose listings tell what it tells of each object, as Amazon's do."""
    return places_on(moto)


def places_on(server: S3Server) -> Places:
    bucket = server.make_bucket("requests-of-files")
    how: dict[str, Any] = {name: getattr(server, name) for name in CONNECTION}
    how["client_options"] = {"allow_http": True}
    return Places(bucket, S3Store(bucket, **how), FsspecStore("s3", skip_instance_cache=True, **how))


@dataclass
class Asked:
    """What was asked for while it was counted."""

    tries: list[RequestInfo] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        return [each.method for each in self.tries]

    @property
    def sizes(self) -> list[int]:
        """What each GET brought but those that look at an object's size, by its first byte."""
        return [each.bytes_received for each in self.tries if each.method == "GET" and each.bytes_received > 1]


@contextmanager
def counted() -> Iterator[Asked]:
    asked = Asked()
    objstore.configure(on_request=asked.tries.append)
    try:
        yield asked
    finally:
        objstore.configure(on_request=None)


def opened(places: Places, path: str, *, by: str) -> Any:
    return places.store.open(path) if by == "open" else places.files.open(f"{places.bucket}/{path}")


def parquet() -> tuple[ModuleType, ModuleType]:
    return pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")


@cache
def table_in_parquet() -> tuple[bytes, int]:
    """Return a table of some columns and row groups, and how many bytes hold what is wanted of it."""
    arrow, parquet_files = parquet()
    rng = random.Random(1)
    columns = {f"c{number}": arrow.array(rng.random() for _ in range(ROWS)) for number in (*range(4), 14, 29)}
    table = arrow.table({f"c{number}": columns.get(f"c{number}", columns["c0"]) for number in range(COLUMNS)})
    made = io.BytesIO()
    parquet_files.write_table(table, made, row_group_size=ROWS // GROUPS)
    metadata = parquet_files.ParquetFile(made).metadata
    chunks = [metadata.row_group(group).column(column) for group in range(GROUPS) for column in range(COLUMNS)]
    return made.getvalue(), sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in WANTED)


def put_table(places: Places) -> int:
    """Write that table; return how many bytes hold what is wanted of it."""
    body, wanted = table_in_parquet()
    places.store.put("table", body)
    return wanted


@pytest.mark.parametrize("by", ["open", "fsspec"])
@pytest.mark.parametrize("pre_buffer", [True, False])
def test_columns_of_parquet_are_what_is_fetched(places: Places, by: str, *, pre_buffer: bool) -> None:
    _, parquet_files = parquet()
    wanted = put_table(places)
    with counted() as asked, opened(places, "table", by=by) as file:
        found = parquet_files.read_table(file, columns=WANTED, pre_buffer=pre_buffer)
    assert found.num_rows == ROWS
    assert wanted < sum(asked.sizes) < 1.5 * wanted


@cache
def small_chunks() -> bytes:
    """Return a table of 50 row groups of 31 chunks with 9 KB each."""
    arrow, parquet_files = parquet()
    numpy = pytest.importorskip("numpy")
    values = numpy.random.default_rng(1).random(50 * 1152)
    made = io.BytesIO()
    table = arrow.table({f"c{number}": values if number else numpy.arange(50 * 1152) for number in range(31)})
    parquet_files.write_table(table, made, row_group_size=1152, compression="none", use_dictionary=False)
    return made.getvalue()


def put_small_chunks(places: Places, name: str) -> int:
    """Write that table; return how many bytes its index has."""
    places.store.put(name, small_chunks())
    return int.from_bytes(small_chunks()[-8:-4], "little") + 8


def handled(places: Places) -> Any:
    return pytest.importorskip("pyarrow.fs").PyFileSystem(
        pytest.importorskip("objstore.arrow").ArrowFileSystemHandler(places.store)
    )


@pytest.mark.product("by")
@pytest.mark.parametrize("by", ["open", "fsspec", "filesystem", "handler"])
@pytest.mark.parametrize("pre_buffer", [True, False])
@pytest.mark.parametrize("name", ["small.parquet", "small"])
@pytest.mark.parametrize("columns", [["c2"], ["c2", "c3", "c4"], ["c0", "c20"]])
def test_of_small_column_chunks_little_else_is_fetched(
    places: Places, by: str, name: str, columns: list[str], *, pre_buffer: bool
) -> None:
    """50 row groups of 31 chunks with 9 KB each; the index, which pyarrow reads first, is larger than it expects."""
    _, parquet_files = parquet()
    wanted = put_small_chunks(places, name) + 50 * 9216 * len(columns)
    with counted() as asked, read_by(places, by, name) as how:
        found = parquet_files.read_table(**how, columns=columns, pre_buffer=pre_buffer)
    assert found.num_rows == 50 * 1152
    unknown = 0 if name.endswith(".parquet") else 256 << 10  # nothing tells that the beginning is not wanted
    assert sum(asked.sizes) < 1.5 * wanted + unknown
    assert len(asked.tries) <= 6 + 50 * len(columns)


def batches_of(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many columns are fetched at a time, batch by batch, from now on."""
    batches: list[int] = []

    def counted(store: Any, path: str, ranges: Any, *how: Any) -> Any:
        batches.append(len(ranges))
        return ranges_of(store, path, ranges, *how)

    monkeypatch.setattr(column_reads, "ranges_of", counted)
    return batches


@pytest.mark.parametrize("by", ["open", "fsspec", "filesystem", "handler"])
@pytest.mark.parametrize("pre_buffer", [True, False])
def test_columns_of_many_row_groups_come_in_few_rounds(
    places: Places, by: str, monkeypatch: pytest.MonkeyPatch, *, pre_buffer: bool
) -> None:
    """pyarrow asks for one after the other: 150 chunks, in 20 rounds or so, as its threads come to them."""
    _, parquet_files = parquet()
    put_small_chunks(places, "small.parquet")
    batches = batches_of(monkeypatch)
    with counted() as asked, read_by(places, by, "small.parquet") as how:
        parquet_files.read_table(**how, columns=["c3", "c14", "c29"], pre_buffer=pre_buffer)
    assert sum(batches) == 150
    assert len(batches) <= 40
    assert len(asked.tries) <= 150 + 4  # what is it, its end, the rest of its index, and opened anew


@contextmanager
def read_by(places: Places, by: str, name: str) -> Iterator[dict[str, Any]]:
    """Yield what pyarrow is to read."""
    if by == "filesystem":
        yield {"source": f"{places.bucket}/{name}", "filesystem": places.files}
    elif by == "handler":
        yield {"source": name, "filesystem": handled(places)}
    else:
        with opened(places, name, by=by) as file:
            yield {"source": file}


@pytest.mark.parametrize("by", ["open", "fsspec", "handler"])
def test_an_index_comes_once(places: Places, by: str) -> None:
    """It is larger than what comes as the file is opened."""
    _, parquet_files = parquet()
    index = put_small_chunks(places, "small.parquet")
    assert index > 64 << 10
    with counted() as asked:
        if by == "handler":
            parquet_files.read_metadata("small.parquet", filesystem=handled(places))
        else:
            with opened(places, "small.parquet", by=by) as file:
                parquet_files.read_metadata(file)
    assert sum(asked.sizes) == index


@pytest.mark.parametrize("by", ["open", "fsspec"])
@pytest.mark.parametrize("size", [2, 5_000, 50_000, 500_000])
def test_what_is_here_of_the_end_of_a_read_is_not_fetched_again(places: Places, by: str, size: int) -> None:
    body = random.Random(7).randbytes(2 << 20)
    places.store.put("end.zip", body)
    with counted() as asked, opened(places, "end.zip", by=by) as file:
        file.seek(len(body) - 22)
        assert file.read() == body[-22:]
        start = len(body) - (64 << 10) - size
        file.seek(start)
        assert file.read(size + 1_000) == body[start : start + size + 1_000]
        file.seek(start + size)
        assert file.read() == body[start + size :]
    assert sum(asked.sizes) == (64 << 10) + size


@pytest.mark.parametrize("by", ["open", "fsspec"])
@pytest.mark.parametrize("first", [0, 1, -22])
def test_all_that_is_read_in_order_is_fetched_to_be_compared(places: Places, by: str, first: int) -> None:
    """Though its end is here: a checksum of the whole object would be made of it, and compared."""
    body = random.Random(8).randbytes(5 << 20)
    places.store.put("all.zip", body)
    with counted() as asked, opened(places, "all.zip", by=by) as file:
        file.seek(first % len(body))
        assert file.read(10) == body[first % len(body) :][:10]
        before = sum(asked.sizes)
        file.seek(0)
        assert file.read(2 << 20) + file.read() == body
    assert sum(asked.sizes) - before >= len(body) - (128 << 10 if first == 0 else 0)


@pytest.mark.parametrize("scanned", [True, False])
@pytest.mark.parametrize("pre_buffer", [True, False])
@pytest.mark.parametrize("groups", [range(20, 30), range(49), range(3, 5)])
def test_of_row_groups_that_a_filter_leaves_out_little_is_fetched(
    places: Places, groups: range, *, pre_buffer: bool, scanned: bool
) -> None:
    _, parquet_files = parquet()
    datasets = pytest.importorskip("pyarrow.dataset")
    wanted = put_small_chunks(places, "small.parquet") + len(groups) * 9216 * 3
    with counted() as asked:
        if scanned:
            rows, dataset = datasets.field("c0"), datasets.dataset("small.parquet", filesystem=handled(places))
            how = datasets.ParquetFragmentScanOptions(pre_buffer=pre_buffer)
            condition = (rows >= groups.start * 1152) & (rows < groups.stop * 1152)
            found = dataset.to_table(columns=["c4", "c18"], filter=condition, fragment_scan_options=how)
        else:
            found = parquet_files.read_table(
                "small.parquet",
                columns=["c4", "c18"],
                filters=[("c0", ">=", groups.start * 1152), ("c0", "<", groups.stop * 1152)],
                filesystem=handled(places),
                pre_buffer=pre_buffer,
            )
    assert found.num_rows == 1152 * len(groups)
    assert sum(asked.sizes) < 1.5 * wanted + (64 << 10)  # what comes first of the index comes twice


def test_a_file_that_is_opened_anew_for_its_columns_fetches_no_index_again(places: Places) -> None:
    _, parquet_files = parquet()
    put_small_chunks(places, "small.parquet")
    files = handled(places)
    parquet_files.read_metadata("small.parquet", filesystem=files)
    with counted() as asked:  # a schema is looked for as well
        parquet_files.read_table("small.parquet", columns=["c3"], filesystem=files)
    assert sum(asked.sizes) < 50 * (9216 + 512)


@pytest.mark.parametrize(("by", "others"), [("handler", []), ("filesystem", ["HEAD"])])
def test_a_file_that_pyarrow_asks_about_opens_and_opens_anew_is_asked_for_once(
    places: Places, monkeypatch: pytest.MonkeyPatch, by: str, others: list[str]
) -> None:
    """Its end, the rest of its index, and its columns: nothing else, where all of it is done in a moment."""
    _, parquet_files = parquet()
    put_small_chunks(places, "small.parquet")
    monkeypatch.setattr(moment, "FRESH", 1e9)
    with counted() as asked, read_by(places, by, "small.parquet") as how:
        parquet_files.read_table(**how, columns=["c2"])
    assert asked.methods == others + ["GET"] * (2 + 50)


def file_type(files: Any, path: str) -> str:
    [found] = files.get_file_info([path])
    return str(found.type.name)


def test_what_is_asked_about_may_be_a_directory_or_nothing(places: Places) -> None:
    files = handled(places)
    places.store.put("set.parquet/0.parquet", b"1")
    with counted() as asked:
        assert file_type(files, "set.parquet") == "Directory"
    assert asked.methods == ["GET", "GET"]
    assert file_type(files, "set.parquet/0.parquet") == "File"
    assert file_type(files, "set.parquet/1.parquet") == "NotFound"


@pytest.mark.parametrize("fresh", [1e9, 1e-9])
def test_what_was_asked_about_is_read_as_this_process_has_written_it(
    places: Places, monkeypatch: pytest.MonkeyPatch, fresh: float
) -> None:
    monkeypatch.setattr(moment, "FRESH", fresh)
    files = handled(places)
    places.store.put("own.parquet", b"old")
    assert file_type(files, "own.parquet") == "File"
    places.store.put("own.parquet", b"newer")
    with files.open_input_file("own.parquet") as file:
        assert file.read() == b"newer"


@pytest.mark.parametrize("fresh", [1e9, 1e-9])
@pytest.mark.parametrize("by", ["handler", "filesystem"])
def test_a_table_that_was_replaced_is_read_anew(
    places: Places, monkeypatch: pytest.MonkeyPatch, by: str, fresh: float
) -> None:
    arrow, parquet_files = parquet()
    monkeypatch.setattr(moment, "FRESH", fresh)
    with read_by(places, by, "own.parquet") as how:
        for rows in (3, 5):
            made = io.BytesIO()
            parquet_files.write_table(arrow.table({"a": range(rows)}), made)
            places.store.put("own.parquet", made.getvalue())
            assert parquet_files.read_table(**how).num_rows == rows


@pytest.mark.parametrize("by", ["open", "fsspec"])
def test_a_member_of_an_archive_with_an_index(places: Places, by: str) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as written:
        for number in range(300):
            written.writestr(str(number), random.Random(number).randbytes(20_000))
    places.store.put("members.zip", made.getvalue())
    with counted() as asked, opened(places, "members.zip", by=by) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("100") == random.Random(100).randbytes(20_000)
    assert len(asked.tries) == 2
    assert sum(asked.sizes) < 128 << 10


@pytest.mark.parametrize("by", ["open", "fsspec"])
def test_headers_with_gaps_between_them_are_read_as_if_there_were_none(places: Places, by: str) -> None:
    body = random.Random(5).randbytes(20 << 20)
    places.store.put("headers", body)
    with counted() as asked, opened(places, "headers", by=by) as file:
        for at in range(0, len(body), 100_000):
            file.seek(at)
            assert file.read(512) == body[at : at + 512]
    assert len(asked.tries) <= 12


@pytest.mark.parametrize("by", ["open", "fsspec"])
@pytest.mark.parametrize("begin", [0, 1 << 20])
def test_of_headers_far_from_each_other_little_else_is_fetched(places: Places, by: str, begin: int) -> None:
    """As those of pages in a TIFF, each of which is read in a few small pieces by one request."""
    body = random.Random(5).randbytes(10 << 20)
    places.store.put("pages", body)
    with counted() as asked, opened(places, "pages", by=by) as file:
        for at in range(begin, len(body) - 300, 300_000):
            file.seek(at)
            assert b"".join(file.read(size) for size in (2, 132, 4)) == body[at : at + 138]
    assert len(asked.tries) <= 36
    assert sum(asked.sizes) <= (256 << 10) + 36 * (16 << 10)


@pytest.mark.parametrize("by", ["open", "fsspec"])
def test_tiny_reads_in_a_row_fetch_more_and_more_wherever_they_begin(places: Places, by: str) -> None:
    body = random.Random(6).randbytes(5 << 20)
    places.store.put("rows", body)
    with counted() as asked, opened(places, "rows", by=by) as file:
        for start in (1 << 20, 2 << 20, 3 << 20, 4 << 20):
            file.seek(start)
            for at in range(start, start + 50_000, 10):
                assert file.read(10) == body[at : at + 10]
    assert len(asked.tries) <= 100


def test_columns_that_pandas_reads(places: Places) -> None:
    parquet()
    pandas, wanted = pytest.importorskip("pandas"), put_table(places)
    with counted() as asked:
        pandas.read_parquet(f"{places.bucket}/table", filesystem=places.files, columns=WANTED)
    assert wanted < sum(asked.sizes) < 1.5 * wanted


@pytest.mark.parametrize("by", ["open", "fsspec"])
def test_hdf5(places: Places, by: str) -> None:
    """Its metadata is at the beginning and the end, and asked for in a dozen small reads."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    numpy = pytest.importorskip("numpy")
    made = io.BytesIO()
    with h5py.File(made, "w") as written:
        written.create_dataset("values", data=numpy.random.default_rng(1).random((1000, 1000)), chunks=(100, 100))
        written.create_dataset("x", data=numpy.arange(1000))
    places.store.put("data.h5", made.getvalue())
    with counted() as asked, opened(places, "data.h5", by=by) as file, h5py.File(file, "r") as data:
        assert data["x"][-1] == 999
        assert sorted(data) == ["values", "x"]
    assert 2 <= len(asked.tries) <= 4


def hdf5_reads(size: int) -> list[tuple[int, int]]:
    """Return where h5py 3 reads in such a file, and how much, until it has a small array at its end."""
    first = [(0, 8), (0, 48), (48, 48), (96, 512), (size - 80, 80)]
    return [*first, (680, 512), (136, 544), (1072, 328), (size - 16_352, 512), (size - 16_080, 16_000)]


@pytest.mark.parametrize("by", ["open", "fsspec"])
def test_small_reads_at_both_ends(places: Places, by: str) -> None:
    body = random.Random(2).randbytes(5 << 20)
    places.store.put("both ends", body)
    with counted() as asked, opened(places, "both ends", by=by) as file:
        for at, size in hdf5_reads(len(body)):
            file.seek(at)
            assert file.read(size) == body[at : at + size]
    assert 2 <= len(asked.tries) <= 4


def put_scattered(places: Places, monkeypatch: pytest.MonkeyPatch, worth: int) -> bytes:
    """Write a file to jump in, where so many bytes come in the time that a reply takes to begin; return its body."""
    monkeypatch.setattr(Pinned, "wait_is_worth", worth)
    body = random.Random(9).randbytes(4 << 20)
    places.store.put("scattered", body)
    return body


def jump(places: Places, body: bytes, by: str, times: int) -> Asked:
    """Read here and there in a file, and say what was asked for."""
    with counted() as asked, opened(places, "scattered", by=by) as file:
        assert file.read(8) == body[:8]
        for at in range(1 << 20, 2 * times * 299_993, 2 * 299_993):
            file.seek(at % (len(body) - 50))
            assert file.read(50) == body[at % (len(body) - 50) :][:50]
    return asked


@pytest.mark.parametrize("by", ["open", "fsspec"])
@pytest.mark.parametrize(("wait", "jumps"), [(0, 40), (200 << 10, 18), (1 << 20, 2), (2 << 20, 1)])
def test_who_jumps_has_all_of_the_file_once_that_costs_no_more(
    places: Places, monkeypatch: pytest.MonkeyPatch, by: str, wait: int, jumps: int
) -> None:
    """As HDF5 does: 4 MiB are fetched where they take no longer than the jumps, and three to come, have to wait."""
    body = put_scattered(places, monkeypatch, worth=wait)
    asked = jump(places, body, by, 40)
    assert len(asked.tries) <= 1 + jumps
    assert sum(asked.sizes) <= (len(body) if wait else 0) + (128 << 10) + jumps * (16 << 10)


@pytest.mark.parametrize("by", ["open", "fsspec"])
def test_all_of_a_file_counts_in_what_the_process_holds(
    places: Places, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    body = put_scattered(places, monkeypatch, worth=4 << 20)
    before = ahead.process.of_files
    with opened(places, "scattered", by=by) as file:
        assert file.read(50) == body[:50]
        file.seek(3 << 20)
        assert file.read(50) == body[3 << 20 :][:50]
        assert ahead.process.of_files - before >= len(body)
    assert ahead.process.of_files == before


@pytest.mark.parametrize("by", ["open", "fsspec"])
def test_all_of_the_file_is_not_fetched_where_it_has_no_room(
    places: Places, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    body = put_scattered(places, monkeypatch, worth=4 << 20)
    monkeypatch.setattr(ahead, "OF_FILES", 0)
    asked = jump(places, body, by, 20)
    assert sum(asked.sizes) < 1 << 20


@pytest.mark.parametrize(
    ("pace", "max_gap", "requests"),
    [
        pytest.param(Pace(0.02, 12.5e6, 64, 1024, None), None, 20, id="far, all at once"),
        pytest.param(Pace(0.02, 1e9, 64, 1024, 1e-3), None, 1, id="a costly server"),
        pytest.param(Pace(0.02, 1e9, 64, 1024, 1e-3), 1000, 20, id="a costly server, and a bound"),
    ],
)
def test_of_ranges_what_is_between_them_is_fetched_where_that_costs_less(
    places: Places, monkeypatch: pytest.MonkeyPatch, pace: Pace, max_gap: int | None, requests: int
) -> None:
    """As references to chunks of a file are, of which every other one is wanted."""
    body = random.Random(9).randbytes(1 << 20)
    places.store.put("chunks", body)
    monkeypatch.setattr(Requests, "pace", pace)
    starts = [*range(0, 20 * 50_000, 50_000)]
    with counted() as asked:
        found = places.files.cat_ranges(
            [f"{places.bucket}/chunks"] * 20, starts, [start + 10_000 for start in starts], max_gap
        )
    assert found == [body[start : start + 10_000] for start in starts]
    assert len(asked.tries) == requests


@pytest.mark.parametrize("by", ["open", "fsspec"])
@pytest.mark.parametrize("mode", ["r|", "r:"])
def test_an_archive_is_read_in_growing_pieces(places: Places, by: str, mode: Any) -> None:
    made, content = io.BytesIO(), bytes(100_000)
    with tarfile.open(fileobj=made, mode="w") as archive:
        for number in range(100):
            member = tarfile.TarInfo(str(number))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    body = made.getvalue()
    places.store.put("archive", body)
    with counted() as asked, opened(places, "archive", by=by) as file, tarfile.open(fileobj=file, mode=mode) as archive:
        assert sum(len(archive.extractfile(member).read()) for member in archive) == 10_000_000  # type: ignore[union-attr]
    assert asked.sizes[:3] == [128 << 10, 1 << 20, 2 << 20]
    assert sum(asked.sizes) == len(body)
    assert len(asked.sizes) <= 5


@pytest.mark.parametrize("by", ["open", "fsspec"])
def test_lines_are_fetched_once(places: Places, by: str) -> None:
    body = b"a line that is as long as many are\n" * 100_000
    places.store.put("lines", body)
    with counted() as asked, opened(places, "lines", by=by) as file:
        assert b"".join(file) == body
    assert asked.sizes[:2] == [128 << 10, 1 << 20]
    assert sum(asked.sizes) == len(body)


@pytest.mark.parametrize("by", ["open", "fsspec"])
def test_who_goes_back_a_little_has_it_still(places: Places, by: str) -> None:
    """So do those who look for the end of a record in blocks, and find it in the one before the last."""
    body = random.Random(3).randbytes(20 << 20)
    places.store.put("records", body)
    with counted() as asked, opened(places, "records", by=by) as file:
        at = 0
        while at < len(body):
            file.seek(at)
            assert file.read(60_000) == body[at : at + 60_000]
            at += 7 + at % 40_000
    assert sum(asked.sizes) == len(body)


@pytest.mark.parametrize("size", [1, 1000, 128 << 10])
@pytest.mark.parametrize("by", ["open", "fsspec", "read-ahead of fsspec"])
def test_a_small_file_is_one_request(places: Places, by: str, size: int) -> None:
    body = random.Random(4).randbytes(size)
    places.store.put("small", body)
    with counted() as asked:
        if by == "read-ahead of fsspec":
            file = places.files.open(f"{places.bucket}/small", cache_type="readahead")
        else:
            file = opened(places, "small", by=by)
        with file:
            assert file.read(size // 2) + file.read() == body
            file.seek(0)
            assert file.read() == body
    assert asked.methods == ["GET"]


def test_a_small_file_in_coroutines_is_one_request(places: Places) -> None:
    places.store.put("small", b"small")

    async def read() -> bytes:
        file = await places.files.open_async(f"{places.bucket}/small")
        async with file:
            content: bytes = await file.read()
        return content

    with counted() as asked:
        assert asyncio.run(read()) == b"small"
    assert asked.methods == ["GET"]


@pytest.mark.parametrize("by", ["open", "fsspec"])
def test_an_empty_file_is_empty(places: Places, by: str) -> None:
    places.store.put("empty", b"")
    with opened(places, "empty", by=by) as file:
        assert file.read() == b""


@pytest.mark.parametrize("ask", [FsspecStore.info, FsspecStore.ukey, lambda files, path: files.open(path).close()])
def test_what_dask_asks_of_each_file_is_one_request(places: Places, ask: Callable[[FsspecStore, str], Any]) -> None:
    paths = [f"{places.bucket}/{number}.csv" for number in range(20)]
    for path in paths:
        places.files.pipe_file(path, b"a,b\n1,2\n")
    with counted() as asked:
        for path in paths:
            ask(places.files, path)
    assert len(asked.tries) <= 21  # where sizes are asked for, a listing is tried


def put_csv_files(places: Places, count: int) -> list[str]:
    paths = [f"{places.bucket}/{count} files/{number}.csv" for number in range(count)]
    places.files.pipe(dict.fromkeys(paths, b"a,b\n1,2\n"))
    return paths


@pytest.mark.parametrize("pattern", [True, False])
def test_what_dask_asks_comes_to_a_look_at_a_few_files_and_a_listing(
    listed_alike: Places, monkeypatch: pytest.MonkeyPatch, *, pattern: bool
) -> None:
    """In its order: a pattern, and of each path whether it is a folder; all sizes; all keys; then the bytes."""
    places = listed_alike
    paths = sorted(put_csv_files(places, 20))
    stop_clock(monkeypatch)
    with counted() as asked:
        if pattern:
            assert paths == places.files.glob(f"{places.bucket}/20 files/*.csv")
            assert not any(places.files.isdir(path) for path in paths)
        assert [places.files.info(path)["size"] for path in paths] == [8] * 20
        keys = [places.files.ukey(path) for path in paths]
        for path in paths:
            with places.files.open(path) as file:
                assert file.read() == b"a,b\n1,2\n"
    assert asked.methods == ["GET"] * pattern + ["HEAD"] * 8 + ["GET"] * (1 + 20)
    assert keys == [places.files.ukey(path) for path in paths]


def stop_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what was told just now be so for ever."""
    now = time.monotonic()
    for clock in (known_paths, moment):
        monkeypatch.setattr(clock, "monotonic", lambda: now)


def sizes_in_row(places: Places, paths: list[str]) -> tuple[list[int], list[str]]:
    """Ask for the sizes of files, one after the other; return them, and by what requests."""
    with counted() as asked:
        sizes = [places.files.info(path)["size"] for path in paths]
    return sizes, asked.methods


def test_who_goes_on_asking_is_told_what_others_wrote(listed_alike: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    places = listed_alike
    paths = sorted(put_csv_files(places, 30))
    stop_clock(monkeypatch)
    assert sizes_in_row(places, paths[:10]) == ([8] * 10, ["HEAD"] * 8 + ["GET"])
    places.store.put(paths[10].partition("/")[2], b"longer than before")
    assert sizes_in_row(places, paths[10:12]) == ([18, 8], ["HEAD"] * 2)


def test_what_was_listed_is_told_once_and_for_a_quarter_of_a_second(
    listed_alike: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = listed_alike
    paths = sorted(put_csv_files(places, 15))
    stop_clock(monkeypatch)
    assert sizes_in_row(places, paths[:10])[1] == ["HEAD"] * 8 + ["GET"]
    assert sizes_in_row(places, [paths[9], paths[2], paths[10]])[1] == ["HEAD"] * 2
    later = time.monotonic() + 0.25
    monkeypatch.setattr(moment, "monotonic", lambda: later)
    assert sizes_in_row(places, paths[11:13])[1] == ["HEAD"] * 2


@pytest.mark.parametrize("order", ["backwards", "of other folders"])
def test_nothing_is_listed_for_who_asks_in_no_order(places: Places, order: str) -> None:
    paths = sorted(put_csv_files(places, 12), reverse=True)
    if order == "of other folders":
        paths = [path for pair in zip(paths, sorted(put_csv_files(places, 13)), strict=False) for path in pair]
    assert set(sizes_in_row(places, paths)[1]) == {"HEAD"}


def test_listings_that_tell_otherwise_are_of_no_use(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of this server have ETags without quotes, and `ukey` would be another one each time."""
    paths = sorted(put_csv_files(places, 30))
    stop_clock(monkeypatch)
    assert sizes_in_row(places, paths)[1] == ["HEAD"] * 8 + ["GET"] + ["HEAD"] * 16 + ["GET"] + ["HEAD"] * 6


def test_who_may_not_list_is_told_of_each(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise PermissionDeniedError("no listings")

    paths = sorted(put_csv_files(places, 20))
    monkeypatch.setattr(listing, "list_level", refuse)
    assert sizes_in_row(places, paths) == ([8] * 20, ["HEAD"] * 20)


def test_what_pyarrow_lists_it_asks_about_no_more(places: Places) -> None:
    arrow_fs = pytest.importorskip("pyarrow.fs")
    paths = put_csv_files(places, 20)
    filesystem = arrow_fs.PyFileSystem(arrow_fs.FSSpecHandler(places.files))
    found = filesystem.get_file_info(arrow_fs.FileSelector(f"{places.bucket}/20 files"))
    assert sorted(each.path for each in found) == sorted(paths)
    with counted() as asked:
        for path in paths:
            with filesystem.open_input_file(path) as file:
                assert file.read() == b"a,b\n1,2\n"
    assert asked.methods == ["GET"] * 20


def handles(places: Places, path: str) -> Any:
    return handled(places).get_file_info([path])


def missed(act: Callable[[], Any]) -> None:
    with pytest.raises(IsADirectoryError):
        act()


FOLDERS: dict[str, tuple[Callable[[Places, str], Any], list[str]]] = {
    "info": (lambda places, path: places.files.info(path), ["HEAD", "GET"]),
    "isfile": (lambda places, path: places.files.isfile(path), ["HEAD"]),
    "find with folders": (lambda places, path: places.files.find(path, withdirs=True), ["GET", "HEAD"]),
    "makedirs": (lambda places, path: places.files.makedirs(f"{path}/new", exist_ok=True), ["HEAD", "GET"]),
    "open": (lambda places, path: missed(lambda: places.files.open(path)), ["GET", "GET"]),
    "root": (lambda places, _: places.files.info(places.bucket), ["GET"]),
    "pyarrow": (lambda places, path: handles(places, path.partition("/")[2]), ["HEAD", "GET"]),
}


@pytest.mark.parametrize("ask", FOLDERS)
def test_whether_there_is_a_folder_is_asked_once_and_for_one_key(places: Places, ask: str) -> None:
    """Not for a page: a thousand keys take 300 kB, several round trips on a new connection far away."""
    act, methods = FOLDERS[ask]
    places.store.put_many([(f"many/{number}-{'x' * 200}", b"") for number in range(50)])
    with counted() as asked:
        act(places, f"{places.bucket}/many")
    assert asked.methods == methods
    assert "find" in ask or sum(each.bytes_received for each in asked.tries) < 3000


def test_a_bucket_is_asked_once_whether_it_is_there(places: Places) -> None:
    with counted() as asked:
        for number in range(5):
            places.files.makedirs(f"{places.bucket}/new/{number}", exist_ok=True)
    assert asked.methods == ["HEAD", "GET", "HEAD", "HEAD", "HEAD", "HEAD"]


ASKED_TWICE: dict[str, Callable[[FsspecStore, str], Any]] = {
    "info": lambda files, path: files.info(path)["size"],
    "size": FsspecStore.size,
    "ukey": FsspecStore.ukey,
    "checksum": FsspecStore.checksum,
    "content": FsspecStore.cat_file,
    "file": lambda files, path: files.open(path).read(),
    "size of file": lambda files, path: files.open(path).size,
}


@pytest.mark.parametrize("ask", ASKED_TWICE.values(), ids=ASKED_TWICE)
def test_who_asks_again_is_told_what_others_wrote(places: Places, ask: Callable[[FsspecStore, str], Any]) -> None:
    places.store.put("again", b"old")
    path = f"{places.bucket}/again"
    places.files.ls(places.bucket), places.files.glob(f"{places.bucket}/ag*")
    before = ask(places.files, path)
    places.store.put("again", b"newer")
    assert ask(places.files, path) != before


def test_who_asks_again_whether_it_is_there(places: Places) -> None:
    places.store.put("gone", b"here")
    path = f"{places.bucket}/gone"
    places.files.glob(f"{places.bucket}/go*")
    assert places.files.isfile(path)
    places.store.delete("gone")
    assert not places.files.isfile(path)
    assert not places.files.exists(path)


def test_whether_it_exists_is_always_asked(places: Places) -> None:
    places.store.put("gone", b"here")
    path = f"{places.bucket}/gone"
    places.files.glob(f"{places.bucket}/go*")
    places.files.info(path)
    places.store.delete("gone")
    assert not places.files.exists(path)


def write_by_file(files: FsspecStore, path: str) -> None:
    with files.open(path, "wb") as file:
        file.write(b"other")


OWN_WRITES: dict[str, Callable[[FsspecStore, str], Any]] = {
    "pipe_file": lambda files, path: files.pipe_file(path, b"other"),
    "pipe": lambda files, path: files.pipe({path: b"other"}),
    "put_file": lambda files, path: files.put_file(__file__, path),
    "cp_file": lambda files, path: files.cp_file(f"{path} of others", path),
    "mv": lambda files, path: files.mv(f"{path} of others", path),
    "open": write_by_file,
}


@pytest.mark.parametrize("write", OWN_WRITES.values(), ids=OWN_WRITES)
def test_nothing_is_kept_over_a_write(places: Places, write: Callable[[FsspecStore, str], Any]) -> None:
    path = f"{places.bucket}/own"
    places.files.pipe({path: b"mine", f"{path} of others": b"others"})
    before = places.files.ukey(path)
    places.files.info(path)
    write(places.files, path)
    assert places.files.ukey(path) != before


def test_nothing_is_kept_over_a_deletion(places: Places) -> None:
    path = f"{places.bucket}/own"
    places.files.pipe_file(path, b"mine")
    places.files.find(places.bucket)
    places.files.rm(path)
    assert not places.files.isfile(path)
    with pytest.raises(FileNotFoundError):
        places.files.ukey(path)


def test_what_was_asked_before_a_write_is_not_kept_after_it() -> None:
    known, asked = Known(60), time.monotonic()
    known.forget()
    known.note([{"name": "a"}], asked)
    assert known.take("a") is None


def test_nothing_is_kept_for_long(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{places.bucket}/later"
    places.files.pipe_file(path, b"1")
    places.files.info(path)
    monkeypatch.setattr(known_paths, "monotonic", lambda: time.monotonic() + 61)
    with counted() as asked:
        places.files.ukey(path)
    assert asked.methods == ["HEAD"]


def test_of_very_many_paths_little_is_kept() -> None:
    known = Known(60)
    for group in range(3):
        asked = time.monotonic()
        known.note(({"name": f"{group}/{number}"} for number in range(known_paths.MOST + 5)), asked)
        assert known.take(f"{group}/0") == {"name": f"{group}/0"}
    assert known.take("1/7") is None


def test_listings_that_are_kept_answer_dask(places: Places) -> None:
    """Who asks for that is told what was listed until the time that was given, as with s3fs."""
    paths = put_csv_files(places, 5)
    how = places.files.storage_options
    files = FsspecStore("s3", **how, use_listings_cache=True, listings_expiry_time=3600)
    with counted() as asked:
        assert files.glob(f"{places.bucket}/5 files/*.csv") == sorted(paths)
        for _ in range(2):
            assert [files.info(path)["size"] for path in paths] == [8] * 5
            assert len({files.ukey(path) for path in paths}) == 5
    assert asked.methods == ["GET"]


@pytest.mark.parametrize("columns", [["c3"], ["c3", "c14"]])
def test_pyarrow_by_our_handler_reads_the_end_as_it_opens(places: Places, columns: list[str]) -> None:
    """A request for the footer, which comes as the file is opened, and one for what is wanted of each row group."""
    _, parquet_files = parquet()
    arrow_fs = pytest.importorskip("pyarrow.fs")
    handler = pytest.importorskip("objstore.arrow").ArrowFileSystemHandler
    put_table(places)
    filesystem = arrow_fs.PyFileSystem(handler(places.store))
    with counted() as asked, filesystem.open_input_file("table") as file:
        found = parquet_files.ParquetFile(file).read(columns=columns)
    assert found.num_rows == ROWS
    assert asked.methods == ["GET"] * len(asked.methods)
    assert 2 <= len(asked.methods) <= 1 + GROUPS * len(columns)
    assert asked.sizes[0] == 64 << 10


def test_pyarrow_by_our_handler_fetches_the_columns_that_are_wanted(places: Places) -> None:
    _, parquet_files = parquet()
    arrow_fs = pytest.importorskip("pyarrow.fs")
    handler = pytest.importorskip("objstore.arrow").ArrowFileSystemHandler
    filesystem, wanted = arrow_fs.PyFileSystem(handler(places.store)), put_table(places)
    with counted() as asked:
        found = parquet_files.read_table("table", filesystem=filesystem, columns=WANTED)
    assert found.num_rows == ROWS
    assert wanted < sum(asked.sizes) < 1.5 * wanted


@pytest.mark.parametrize("size", [0, 1, 1000, 64 << 10, (64 << 10) + 1, 300_000])
def test_what_pyarrow_opens_is_read_from_anywhere(places: Places, size: int) -> None:
    arrow_fs = pytest.importorskip("pyarrow.fs")
    handler = pytest.importorskip("objstore.arrow").ArrowFileSystemHandler
    body = random.Random(5).randbytes(size)
    places.store.put("any", body)
    with arrow_fs.PyFileSystem(handler(places.store)).open_input_file("any") as file:
        assert file.size() == size
        for at in (0, size // 2, max(size - 100, 0), 7):
            assert file.read_at(50_000, at) == body[at : at + 50_000]
        file.seek(0)
        assert file.read() == body
