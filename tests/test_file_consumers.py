"""What others do with Python files, done with objects: they read, and write where they can, through `open`."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from objstore.store import MemoryStore, S3Store, Store
from tests.servers import S3Server

ROWS = [["name", "number"], *([f"row {number}", str(number)] for number in range(20_000))]


@pytest.fixture(scope="module", params=["memory", "rclone"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store in memory, and one on the fastest server."""
    if request.param == "memory":
        yield MemoryStore()
        return
    server: S3Server = request.getfixturevalue("rclone")
    yield S3Store(
        server.make_bucket("consumers"),
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
    )


def needed(name: str) -> ModuleType:
    """Return a module, or skip and say that it is missing."""
    module: ModuleType = pytest.importorskip(name, reason=f"{name} is not installed")
    return module


def numbers() -> dict[str, list[int]]:
    return {"a": [*range(200_000)], "b": [number * number for number in range(200_000)]}


# --- each writes an object, reads it again, and compares


def with_pyarrow(store: Store) -> None:
    arrow, parquet = needed("pyarrow"), needed("pyarrow.parquet")
    table = arrow.table(numbers())
    with store.open("table.parquet", "wb") as file:
        parquet.write_table(table, file, row_group_size=50_000)
    with store.open("table.parquet") as file:
        assert parquet.read_table(file).equals(table)
    with store.open("table.parquet") as file:
        assert parquet.ParquetFile(file).read_row_group(2, columns=["b"])["b"].equals(table["b"][100_000:150_000])


def with_pyarrow_ipc(store: Store) -> None:
    arrow = needed("pyarrow")
    table = arrow.table(numbers())
    with store.open("table.arrow", "wb") as file, arrow.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with store.open("table.arrow") as file:
        assert arrow.ipc.open_file(file).read_all().equals(table)


def with_pandas_csv(store: Store) -> None:
    pandas = needed("pandas")
    frame = pandas.DataFrame(numbers())
    for mode in ("w", "wb"):
        with store.open("frame.csv", mode) as file:
            frame.to_csv(file, index=False)
        with store.open("frame.csv", mode.replace("w", "r")) as file:
            pandas.testing.assert_frame_equal(pandas.read_csv(file), frame)


def with_pandas_csv_in_obstores_shape(store: Store) -> None:
    """Its parser in C takes bytes and nothing else."""
    pandas = needed("pandas")
    frame = pandas.DataFrame(numbers())
    store.put("table.csv", frame.to_csv(index=False).encode())
    pandas.testing.assert_frame_equal(pandas.read_csv(store.open_reader("table.csv")), frame)


def with_json_in_obstores_shape(store: Store) -> None:
    store.put("numbers.json", json.dumps(numbers()).encode())
    assert json.load(store.open_reader("numbers.json")) == numbers()


def with_pandas_parquet(store: Store) -> None:
    pandas, _ = needed("pandas"), needed("pyarrow")
    frame = pandas.DataFrame(numbers())
    with store.open("frame.parquet", "wb") as file:
        frame.to_parquet(file)
    with store.open("frame.parquet") as file:
        pandas.testing.assert_frame_equal(pandas.read_parquet(file), frame)


def with_polars(store: Store) -> None:
    polars = needed("polars")
    frame = polars.DataFrame(numbers())
    for kind in ("parquet", "csv", "ipc"):
        with store.open(f"polars.{kind}", "wb") as file:
            getattr(frame, f"write_{kind}")(file)
        with store.open(f"polars.{kind}") as file:
            assert getattr(polars, f"read_{kind}")(file).equals(frame)


def with_zipfile(store: Store) -> None:
    content = json.dumps(ROWS).encode()
    with store.open("archive.zip", "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"member {number}", content[number:])
    with store.open("archive.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.read("member 2") == content[2:]
        assert archive.read("member 0") == content


def with_tarfile(store: Store) -> None:
    content = json.dumps(ROWS).encode()
    for kind in ("", "gz"):
        with store.open("archive.tar", "wb") as file, tarfile.open(fileobj=file, mode=f"w:{kind}") as archive:
            member = tarfile.TarInfo("member")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for mode in (f"r:{kind}", f"r|{kind}"):
            with store.open("archive.tar") as file, tarfile.open(fileobj=file, mode=mode) as archive:
                found = archive.next()
                assert found is not None
                assert archive.extractfile(found).read() == content  # type: ignore[union-attr]


def with_h5py(store: Store) -> None:
    """It writes in place, which no object can be: made in memory, it is copied there."""
    h5py, numpy = needed("h5py"), needed("numpy")
    values = numpy.arange(500_000).reshape(500, 1000)
    local = io.BytesIO()
    with h5py.File(local, "w") as made:
        made.create_dataset("values", data=values, chunks=(50, 100))
    store.put("data.h5", local.getvalue())
    with store.open("data.h5") as file, h5py.File(file, "r") as data:
        assert (data["values"][120:130, 55:700] == values[120:130, 55:700]).all()
        assert (data["values"][:] == values).all()


def with_csv(store: Store) -> None:
    with store.open("rows.csv", "w", newline="") as file:
        csv.writer(file).writerows(ROWS)
    with store.open("rows.csv", "r", newline="") as file:
        assert [*csv.reader(file)] == ROWS


def with_numpy(store: Store) -> None:
    numpy = needed("numpy")
    values = numpy.arange(3_000_000.0).reshape(1000, 3000)
    with store.open("values.npy", "wb") as file:
        numpy.save(file, values)
    with store.open("values.npy") as file:
        assert (numpy.load(file) == values).all()
    with store.open("values.npz", "wb") as file:
        numpy.savez(file, values=values)
    with store.open("values.npz") as file, numpy.load(file) as found:
        assert (found["values"] == values).all()


def with_pickle(store: Store) -> None:
    things = {"rows": ROWS, "bytes": bytes(3_000_000), "again": ROWS}
    with store.open("things.pickle", "wb") as file:
        pickle.dump(things, file, protocol=5)
    with store.open("things.pickle") as file:
        assert pickle.load(file) == things
        assert file.read() == b""


def with_gzip(store: Store) -> None:
    content = json.dumps(ROWS).encode()
    with store.open("rows.gz", "wb") as file, gzip.open(file, "wb") as packed:
        packed.write(content)
    with store.open("rows.gz") as file, gzip.open(file) as packed:
        assert packed.read(10) == content[:10]
        assert packed.read() == content[10:]
    with store.open("rows.gz") as file, gzip.open(file, "rt") as text:
        assert json.load(text) == ROWS


def with_json(store: Store) -> None:
    with store.open("rows.json", "w") as file:
        json.dump(ROWS, file)
    for mode in ("r", "rb"):
        with store.open("rows.json", mode) as file:
            assert json.load(file) == ROWS


def with_copyfileobj(store: Store) -> None:
    content = bytes(range(256)) * 50_000
    with store.open("copy", "wb") as file:
        shutil.copyfileobj(io.BytesIO(content), file)
    with store.open("copy") as source, store.open("copy of it", "wb") as target:
        shutil.copyfileobj(source, target)
    with store.open("copy of it") as file:
        found = io.BytesIO()
        shutil.copyfileobj(file, found)
    assert found.getvalue() == content


def with_text_wrapper(store: Store) -> None:
    lines = [f"l\u00ednea {number}\n" for number in range(50_000)]
    with io.TextIOWrapper(store.open("lines", "wb"), "utf-16-le") as text:
        text.writelines(lines)
    with io.TextIOWrapper(store.open("lines"), "utf-16-le") as text:
        assert text.readlines() == lines
        text.seek(0)
        assert text.readline() == lines[0]


def with_pillow(store: Store) -> None:
    image = needed("PIL.Image")
    picture = image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 50).convert("RGB")
    for kind in ("PNG", "BMP", "JPEG"):
        with store.open(f"picture.{kind}", "wb") as file:
            picture.save(file, kind)
        with store.open(f"picture.{kind}") as file, image.open(file) as found:
            assert found.size == picture.size
            assert kind == "JPEG" or found.tobytes() == picture.tobytes()


CONSUMERS: list[Callable[[Store], Any]] = [
    with_copyfileobj,
    with_csv,
    with_gzip,
    with_h5py,
    with_json,
    with_numpy,
    with_pandas_csv,
    with_pandas_csv_in_obstores_shape,
    with_json_in_obstores_shape,
    with_pandas_parquet,
    with_pickle,
    with_pillow,
    with_polars,
    with_pyarrow,
    with_pyarrow_ipc,
    with_tarfile,
    with_text_wrapper,
    with_zipfile,
]


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.__name__.removeprefix("with_"))
def test_consumer(store: Store, consumer: Callable[[Store], Any]) -> None:
    consumer(store)
