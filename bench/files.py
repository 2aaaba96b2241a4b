"""How often, and for how many bytes, files are read that others read through: python -m bench.files

A server in this process counts requests and bytes; no time is measured, so that neither load nor line matters. A figure
is requests, and bytes fetched by bytes wanted: those of the chunks, members or rows that are asked for, with the index
of the file; of data sets, the least number of requests one after the other too. What is not installed is left out.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import random
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

from objstore.store import S3Store
from objstore.types import ClientConfig

GROUPS, COLUMNS, ROWS = 50, 31, 1_152
FEW = ["c3", "c14", "c29"]
KEYS: dict[str, Any] = {"region": "us-east-1", "access_key_id": "k", "secret_access_key": "s"}
PLAIN: ClientConfig = {"allow_http": True}
FILES, FILE_ROWS = 100, 5_000
LISTING = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>\
<KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"""
ROW = """<Contents><Key>{key}</Key><LastModified>1970-01-01T00:00:00.000Z</LastModified><ETag>&quot;0&quot;</ETag>\
<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"""


@dataclass
class Counted:
    """What is served, and what was asked for."""

    url: str
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: int = 0
    bytes: int = 0
    rounds: int = 0
    wait: float = 0.0

    def take(self) -> int:
        """Take a request, and wait; return of how many one after the other it is at the least."""
        round = self.rounds + 1
        time.sleep(self.wait)
        return round

    def note(self, size: int, round: int) -> None:
        """Count a request that is answered now."""
        self.requests += 1
        self.bytes += size
        self.rounds = max(self.rounds, round)

    def reset(self) -> None:
        """Count from nothing."""
        self.requests = self.bytes = self.rounds = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    counted: Counted

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Tell of an object."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Send an object, or a range of it."""
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path, _, query = self.path.partition("?")
        round = self.counted.take()
        if "list-type=" in query:
            self._list(parse_qs(query).get("prefix", [""])[0], round)
            return
        content = self.counted.objects.get(path.removeprefix("/b/"), b"")
        asked, size = self.headers.get("Range"), len(content)
        start, end = _within(asked, size) if asked else (0, size)
        self.counted.note(end - start if body else 0, round)
        self.send_response((206 if asked else 200) if content else 404)
        self.send_header("ETag", f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"')
        self.send_header("Last-Modified", formatdate(0, usegmt=True))
        self.send_header("Content-Length", str(end - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.end_headers()
        if body:
            self.wfile.write(content[start:end])

    def _list(self, prefix: str, round: int) -> None:
        """Send all keys that begin with a prefix: of what is read here, none is deeper."""
        self.counted.note(0, round)
        found = [(key, len(content)) for key, content in self.counted.objects.items() if key.startswith(prefix)]
        rows = "".join(ROW.format(key=key, size=size) for key, size in sorted(found))
        page = LISTING.format(count=len(found), rows=rows).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


class _Server(ThreadingHTTPServer):
    request_queue_size = 256


def _within(asked: str, size: int) -> tuple[int, int]:
    start, _, last = asked.removeprefix("bytes=").partition("-")
    if not start:
        return max(size - int(last), 0), size
    return int(start), min(int(last) + 1, size) if last else size


@contextmanager
def served() -> Iterator[Counted]:
    """Serve objects of a bucket `b`, and count."""
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    handler.counted = Counted(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield handler.counted  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


def installed(name: str) -> ModuleType | None:
    """Return a module, if it is there."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


# --- how files are opened


def filesystems(url: str) -> dict[str, Callable[[], tuple[Any, str]]]:
    """Return who makes file systems with nothing set, and what stands there in front of all names; by name."""
    found: dict[str, Callable[[], tuple[Any, str]]] = {}
    ours = {"skip_instance_cache": True, "endpoint": url, "client_options": PLAIN, **KEYS}
    if fsspec := installed("objstore.fsspec"):
        found["fsspec"] = lambda: (fsspec.FsspecStore("s3", **ours), "b/")
    if arrow := installed("objstore.arrow"):
        found["pyarrow"] = lambda: (_of_arrow(arrow, url), "")
    if s3fs := installed("s3fs"):
        keys = {"key": "k", "secret": "s", "endpoint_url": url, "skip_instance_cache": True}
        found["s3fs"] = lambda: (s3fs.S3FileSystem(**keys), "b/")
    if obstore := installed("obstore.fsspec"):
        found["obstore"] = lambda: (obstore.FsspecStore("s3", **ours), "b/")
    if native := installed("pyarrow.fs"):
        host = {"endpoint_override": url.removeprefix("http://"), "scheme": "http", "region": KEYS["region"]}
        client = partial(native.S3FileSystem, access_key="k", secret_key="s", **host)
        found["pyarrow's S3"] = lambda: (client(), "b/")
    return found


def doors(url: str) -> dict[str, Callable[[str], Any]]:
    """Return who opens files to be read by Python, by name; each file by a client of its own."""
    ours = {"open": lambda name: S3Store("b", endpoint=url, client_options=PLAIN, **KEYS).open(name, "rb")}
    return ours | {who: partial(_open, make) for who, make in filesystems(url).items()}


def _open(make: Callable[[], tuple[Any, str]], name: str) -> Any:
    files, root = make()
    return (files.open if hasattr(files, "open") else files.open_input_file)(root + name)


def _of_arrow(arrow: ModuleType, url: str) -> Any:
    store = S3Store("b", endpoint=url, client_options=PLAIN, **KEYS)
    return importlib.import_module("pyarrow.fs").PyFileSystem(arrow.ArrowFileSystemHandler(store))


# --- what is read


@dataclass
class Row:
    """One line of the table."""

    title: str
    name: str
    content: bytes
    wanted: int
    read: Callable[[Any], Any]


def rows() -> Iterator[Row]:
    """Make the files, and yield what is read of them."""
    if installed("pyarrow.parquet"):
        yield from _parquet_rows()
    if installed("h5py"):
        yield _hdf5_row()
    members = [random.Random(number).randbytes(20_000) for number in range(500)]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number, member in enumerate(members):
            archive.writestr(f"member {number:03}", member)
    yield Row("zip: one of 500 members", "a.zip", made.getvalue(), 20_000 + 500 * 56, _member)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for number in range(200):
            info = tarfile.TarInfo(str(number))
            info.size = 100_000
            tar.addfile(info, io.BytesIO(bytes(100_000)))
    yield Row("tar: 20 MB as a stream", "a.tar", made.getvalue(), len(made.getvalue()), _stream)
    body = random.Random(0).randbytes(32 << 20)
    yield Row("50 reads of 4 KiB anywhere in 32 MiB", "a.bin", body, 50 * 4096, partial(_anywhere, size=len(body)))


def _parquet_rows() -> Iterator[Row]:
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    numbers = arrow.array(random.Random(1).random() for _ in range(GROUPS * ROWS))
    columns = {"id": arrow.array(range(GROUPS * ROWS)), **{f"c{number}": numbers for number in range(1, COLUMNS)}}
    made = io.BytesIO()
    parquet.write_table(arrow.table(columns), made, row_group_size=ROWS, compression="none", use_dictionary=False)
    content = made.getvalue()
    index, chunk = int.from_bytes(content[-8:-4], "little") + 8, ROWS * 8
    make = partial(Row, name="a.parquet", content=content)
    table, many, sides = parquet.read_table, GROUPS * len(FEW) * chunk, "Parquet in chunks of 9 KB: "
    yield make(f"{sides}3 of 31 columns", wanted=index + many, read=partial(table, columns=FEW))
    some = [("id", ">=", 20 * ROWS), ("id", "<", 30 * ROWS)]
    few = 10 * 3 * chunk
    yield make(f"{sides}10 of 50 groups", wanted=index + few, read=partial(table, columns=FEW[:2], filters=some))
    yield make(f"{sides}all", wanted=len(content), read=table)


def _hdf5_row() -> Row:
    h5py, numpy = importlib.import_module("h5py"), importlib.import_module("numpy")
    made = io.BytesIO()
    with h5py.File(made, "w") as written:
        values = numpy.random.default_rng(1).random((1000, 1000))
        written.create_dataset("values", data=values, chunks=(100, 100))
        written.create_dataset("x", data=numpy.arange(1000))
    return Row("HDF5: a small array", "a.h5", made.getvalue(), 8_000, partial(_array, h5py))


def _array(h5py: ModuleType, file: Any) -> Any:
    with h5py.File(file, "r") as data:
        return data["x"][:]


def _member(file: Any) -> bytes:
    with zipfile.ZipFile(file) as archive:
        return archive.read("member 200")


def _stream(file: Any) -> int:
    with tarfile.open(fileobj=file, mode="r|") as archive:
        return sum(len(content.read()) for member in archive if (content := archive.extractfile(member)))


def _anywhere(file: Any, size: int) -> None:
    source = random.Random(1)
    for _ in range(50):
        file.seek(source.randrange(size - 4096))
        file.read(4096)


@dataclass
class SetRow:
    """One line of the table of data sets."""

    title: str
    wanted: int
    read: Callable[[Any], Any]


def set_rows(content: bytes) -> Iterator[SetRow]:
    """Yield what is read of a data set whose files are all the same."""
    parquet, data = importlib.import_module("pyarrow.parquet"), importlib.import_module("pyarrow.dataset")
    chunk = parquet.read_metadata(io.BytesIO(content)).row_group(0).column(1).total_compressed_size
    index = int.from_bytes(content[-8:-4], "little") + 8
    yield SetRow("all of it", FILES * len(content), lambda found: found.to_table())
    yield SetRow("2 columns", FILES * (index + 2 * chunk), lambda found: found.to_table(columns=["c1", "c3"]))
    none = data.field("id") < 0
    yield SetRow("a filter that leaves nothing", FILES * index, lambda found: found.to_table(filter=none))
    yield SetRow("how many rows", FILES * index, lambda found: found.count_rows())
    yield SetRow("rows, then a column", FILES * (index + chunk), _twice)


def _twice(found: Any) -> Any:
    found.count_rows()
    return found.to_table(columns=["c1"])


def main() -> None:
    """Print the tables."""
    with served() as server:
        names = doors(server.url)
        print(f"{'':44}" + "".join(f"{name:>17}" for name in names))
        for row in rows():
            server.objects = {row.name: row.content}
            print(f"{row.title:44}" + "".join(f"{_figure(server, row, name):>17}" for name in names), flush=True)
        if installed("pyarrow.dataset"):
            _print_sets(server)


def _print_sets(server: Counted) -> None:
    """Print what a data set takes: with rounds, for which the server waits 20 ms before each reply."""
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    made = io.BytesIO()
    columns = {f"c{number}": [random.Random(number).random() for _ in range(FILE_ROWS)] for number in range(1, 10)}
    table = arrow.table({"id": range(FILE_ROWS), **columns})
    parquet.write_table(table, made, compression="none", use_dictionary=False)
    server.wait = 0.02
    server.objects = {f"set/{number:03}.parquet": made.getvalue() for number in range(FILES)}
    title = f"{FILES} Parquet files of {len(made.getvalue()) >> 10} KiB, with rounds"
    makers = filesystems(server.url)
    print(f"\n{title:44}" + "".join(f"{name:>22}" for name in makers))
    for row in set_rows(made.getvalue()):
        figures = "".join(f"{_set_figure(server, row, make):>22}" for make in makers.values())
        print(f"{row.title:44}{figures}", flush=True)


def _set_figure(server: Counted, row: SetRow, make: Callable[[], tuple[Any, str]]) -> str:
    server.reset()
    files, root = make()
    row.read(importlib.import_module("pyarrow.dataset").dataset(f"{root}set", filesystem=files))
    return f"{server.requests} / {server.bytes / row.wanted:.1f} x / {server.rounds}"


def _figure(server: Counted, row: Row, name: str) -> str:
    server.reset()
    with doors(server.url)[name](row.name) as file:
        row.read(file)
    return f"{server.requests} / {server.bytes / row.wanted:.2f} x"


if __name__ == "__main__":
    main()
