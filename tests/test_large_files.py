"""A file of 3 GiB through every way in and out: more than Linux reads or writes at a time (read(2): 2,147,479,552
bytes), and more than 32 bits with a sign can count.

`OBJSTORE_LARGE=1` has those run too that fill as much memory or disk once more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from objstore.store import HTTPStore, LocalStore, MemoryStore, S3Store, Store
from tests.listener import Listener

MIB = 1 << 20
SIZE = (3 << 30) + 10
MARKS = {0: b"begin", (2 << 30) - 3: b"middle", SIZE - 3: b"end"}
"""What is in the file between zeros: at its ends, and where one read ends."""

costly = pytest.mark.skipif(
    not os.environ.get("OBJSTORE_LARGE"), reason="3 GiB take their time: OBJSTORE_LARGE=1 has them written"
)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sparse file: it needs no room on the disk."""
    path = tmp_path_factory.mktemp("large") / "file"
    with path.open("wb") as file:
        file.truncate(SIZE)
        for at, mark in MARKS.items():
            os.pwrite(file.fileno(), mark, at)
    return path


class Bucket(BaseHTTPRequestHandler):
    """A bucket that forgets what it is given, but for what is not zero; it gives the file, whatever it is asked for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    file: int
    part_size: int
    found: ClassVar[dict[int, bytes]]
    size: ClassVar[list[int]]

    def do_PUT(self) -> None:
        part = re.search(r"partNumber=(\d+)", self.path)
        start = (int(part[1]) - 1) * self.part_size if part is not None else 0
        left, memory = int(self.headers["Content-Length"]), bytearray(MIB)
        self.size.append(left)
        zeros = bytes(MIB)
        while left:
            got = self.rfile.readinto(memoryview(memory)[: min(left, MIB)])  # type: ignore[attr-defined]
            if memory[:got] != zeros[:got]:
                self.found.update((start + match.start(), match[0]) for match in re.finditer(rb"[^\0]+", memory[:got]))
            start, left = start + got, left - got
        self.answer(200, b"", {"ETag": '"e"'})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        begins = self.path.endswith("uploads=")
        root = "InitiateMultipartUploadResult" if begins else "CompleteMultipartUploadResult"
        self.answer(200, f'<{root}><UploadId>u</UploadId><ETag>"e"</ETag></{root}>'.encode())

    def do_HEAD(self) -> None:
        self.answer(200, b"", {"Content-Length": str(SIZE)})

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1, SIZE) if asked and asked[2] else SIZE
        fields = {"Content-Length": str(end - start), "ETag": '"e"', "Content-Range": f"bytes {start}-{end - 1}/{SIZE}"}
        self.answer(206 if asked else 200, b"", fields)
        while start < end:
            start += os.sendfile(self.connection.fileno(), self.file, start, end - start)

    def answer(self, status: int, body: bytes, fields: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(fields or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bucket(large: Path) -> Iterator[tuple[type[Bucket], str]]:
    file = os.open(large, os.O_RDONLY)
    handler = type("Handler", (Bucket,), {"file": file, "found": {}, "size": [], "part_size": 64 * MIB})
    with Listener(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
    os.close(file)


def s3(origin: str) -> S3Store:
    return S3Store("bucket", endpoint=origin, region="us-east-1", skip_signature=True, allow_http=True)


def check(path: Path) -> None:
    """See that a file has the marks, and is of the size."""
    with path.open("rb") as file:
        assert path.stat().st_size == SIZE
        assert {at: os.pread(file.fileno(), len(mark), at) for at, mark in MARKS.items()} == MARKS
        assert os.pread(file.fileno(), 10, MIB) == bytes(10)


def check_object(store: Store, path: str = "a") -> None:
    """See that an object has the marks, and is of the size."""
    assert store.head(path)["size"] == SIZE
    starts, lengths = [*MARKS], [len(mark) for mark in MARKS.values()]
    assert store.get_ranges(path, starts=starts, lengths=lengths) == [*MARKS.values()]
    with store.open(path, "rb") as file:
        file.seek(-3, 2)
        assert file.read() == b"end"


@pytest.mark.parametrize(
    "put",
    [
        lambda store, file: store.put("a", file, use_multipart=False),
        pytest.param(lambda store, file: store.put_many({"a": file}), marks=costly),
    ],
)
def test_into_memory(large: Path, put: Callable[[MemoryStore, Path], object]) -> None:
    store = MemoryStore()
    put(store, large)
    check_object(store)


@costly
def test_out_of_memory(large: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    store.put("a", large)
    store.download("a", tmp_path / "down")
    check(tmp_path / "down")


@costly
def test_into_a_folder_and_out(large: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "root", mkdir=True)
    store.put("a", large)
    check_object(store)
    store.download("a", tmp_path / "down")
    check(tmp_path / "down")


def test_out_of_a_folder(large: Path) -> None:
    store = LocalStore(large.parent)
    check_object(store, large.name)


@pytest.mark.parametrize("in_parts", [True, False])
def test_into_a_bucket(large: Path, bucket: tuple[type[Bucket], str], in_parts: bool) -> None:
    handler, origin = bucket
    s3(origin).put("a", large, use_multipart=in_parts, chunk_size=handler.part_size)
    assert sum(handler.size) == SIZE
    assert len(handler.size) == (49 if in_parts else 1)
    pieces = {at: handler.found[at] for at in sorted(handler.found)}
    assert b"".join(pieces.values()) == b"beginmiddleend"
    assert [at for at in pieces if at in MARKS] == [*MARKS]


@pytest.fixture(params=["s3", "http"])
def store(request: pytest.FixtureRequest, bucket: tuple[type[Bucket], str]) -> Store:
    _, origin = bucket
    return s3(origin) if request.param == "s3" else HTTPStore(origin, client_options={"allow_http": True})


def test_out_of_a_server(store: Store) -> None:
    check_object(store)


@costly
def test_out_of_a_server_onto_the_disk(store: Store, tmp_path: Path) -> None:
    store.download("a", tmp_path / "down")
    check(tmp_path / "down")
