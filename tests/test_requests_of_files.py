"""How many requests, and for how many bytes, what others read through files comes to: no time, so no load, matters."""

from __future__ import annotations

import asyncio
import io
import random
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

import objstore
from objstore.fsspec import FsspecStore
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
    bucket = rclone.make_bucket("requests-of-files")
    how: dict[str, Any] = {name: getattr(rclone, name) for name in CONNECTION}
    how["client_options"] = {"allow_http": True}
    return Places(bucket, S3Store(bucket, **how), FsspecStore("s3", **how))


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


def put_table(places: Places) -> int:
    """Write a table of some columns and row groups; return how many bytes hold what is wanted of it."""
    arrow, parquet_files = parquet()
    rng = random.Random(1)
    columns = {f"c{number}": arrow.array(rng.random() for _ in range(ROWS)) for number in (*range(4), 14, 29)}
    table = arrow.table({f"c{number}": columns.get(f"c{number}", columns["c0"]) for number in range(COLUMNS)})
    made = io.BytesIO()
    parquet_files.write_table(table, made, row_group_size=ROWS // GROUPS)
    places.store.put("table", made.getvalue())
    metadata = parquet_files.ParquetFile(made).metadata
    chunks = [metadata.row_group(group).column(column) for group in range(GROUPS) for column in range(COLUMNS)]
    return sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in WANTED)


@pytest.mark.parametrize("by", ["open", "fsspec"])
@pytest.mark.parametrize("pre_buffer", [True, False])
def test_columns_of_parquet_are_what_is_fetched(places: Places, by: str, *, pre_buffer: bool) -> None:
    _, parquet_files = parquet()
    wanted = put_table(places)
    with counted() as asked, opened(places, "table", by=by) as file:
        found = parquet_files.read_table(file, columns=WANTED, pre_buffer=pre_buffer)
    assert found.num_rows == ROWS
    assert wanted < sum(asked.sizes) < 1.5 * wanted


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
    assert len(asked.tries) == 20
