"""Files of a listing that are opened one after the other, as pyarrow opens those of a data set."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

import objstore
from objstore._core import memory_limit
from objstore.arrow import ArrowFileSystemHandler
from objstore.disk.held import process
from objstore.exceptions import NotFoundError
from objstore.fsspec import FsspecStore
from objstore.operations import moment
from objstore.operations.window import INDEX
from objstore.store import MemoryStore, S3Store
from objstore.types import RequestInfo
from tests.servers import S3Server

FILES = 20
COMES = [1, 3, 3, *[6] * 3, *[10] * 4, *[16] * 6, *[20] * 4]
"""How many have been asked for once so many have been opened: half of those opened come along."""

BEFORE = bytes(INDEX)
"""What is in front of the end of each file: rclone refuses to send so much of the end of a smaller one."""

numbers = count()


@contextmanager
def counted() -> Iterator[list[str]]:
    """Note the method of every try."""
    methods: list[str] = []

    def note(info: RequestInfo) -> None:
        methods.append(info.method)

    objstore.configure(on_request=note)
    try:
        yield methods
    finally:
        objstore.configure(on_request=None)


class Files:
    """Files below a folder, and who opens them, by pyarrow."""

    def __init__(self, server: S3Server, *, by: str) -> None:
        bucket = server.make_bucket(f"in-turn-{next(numbers):04}")
        names = "endpoint", "region", "access_key_id", "secret_access_key"
        how: dict[str, Any] = {name: getattr(server, name) for name in names}
        how["client_options"] = {"allow_http": True}
        self.store = S3Store(bucket, **how)
        self.others = S3Store(bucket, **how)
        self.folder = "set" if by == "handler" else f"{bucket}/set"
        self.fsspec = FsspecStore("s3", skip_instance_cache=True, **how)
        handler: Any = ArrowFileSystemHandler(self.store) if by == "handler" else fs.FSSpecHandler(self.fsspec)
        self.filesystem = fs.PyFileSystem(handler)
        self.put_all(b"old")

    def put_all(self, content: bytes) -> None:
        self.others.put_many([(f"set/{number:02}.parquet", BEFORE + content) for number in range(FILES)])

    def list(self) -> None:
        assert len(self.filesystem.get_file_info(fs.FileSelector(self.folder))) == FILES

    def read(self, number: int) -> bytes:
        with self.filesystem.open_input_file(f"{self.folder}/{number:02}.parquet") as file:
            content: bytes = file.read_at(3, len(BEFORE))
        return content


@pytest.fixture(params=["handler", "fsspec"])
def files(rclone: S3Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr(moment, "FRESH", 1e9)
    found = Files(rclone, by=request.param)
    found.list()
    return found


def test_half_as_many_as_were_opened_are_opened_ahead(files: Files) -> None:
    with counted() as asked:
        for number, comes in enumerate(COMES):
            assert files.read(number) == b"old"
            assert asked.count("GET") == comes
        assert asked.count("HEAD") <= 2


def test_those_ahead_are_held_within_the_limit_of_the_process(files: Files) -> None:
    before, limit = process.held, memory_limit()
    held = []
    objstore.configure(memory_limit=before + 2 * INDEX)
    try:
        with counted() as asked:
            for number in range(FILES):
                files.read(number)
                held.append(process.held - before)
                assert asked.count("GET") <= number + 1 + 2
        assert max(held) == 2 * INDEX
        files.list()
        assert process.held == before
    finally:
        objstore.configure(memory_limit=limit)


def test_who_opens_them_in_another_order_opens_none_ahead(files: Files) -> None:
    with counted() as asked:
        for number in reversed(range(FILES)):
            files.read(number)
    assert asked.count("GET") == FILES


def test_after_a_gap_it_begins_anew(files: Files) -> None:
    files.read(0), files.read(1)
    with counted() as asked:
        files.read(9), files.read(0)
    assert asked.count("GET") == 2


def test_several_may_read_them_in_turn(files: Files) -> None:
    with counted() as asked:
        for number in range(9):
            files.read(number), files.read(number + 10)
    assert asked.count("GET") <= 2 * COMES[8]


def test_threads_that_open_one_row_ask_once(files: Files) -> None:
    with counted() as asked:
        for number in range(0, FILES, 4):
            threads = [Thread(target=files.read, args=(number + each,)) for each in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert FILES <= asked.count("GET") <= FILES * 3 // 2


def of_that_store(files: Files) -> None:
    files.filesystem.delete_file(f"{files.folder}/19.parquet")
    files.put_all(b"new")


def of_that_store_alone(files: Files) -> None:
    store = files.store if files.folder == "set" else files.fsspec._construct_store(files.folder.split("/")[0])
    store.put("set/02.parquet", BEFORE + b"new")


def by_itself(files: Files) -> None:
    with files.filesystem.open_output_stream(f"{files.folder}/02.parquet") as file:
        file.write(BEFORE + b"new")


def by_a_copy(files: Files) -> None:
    files.store.copy("other", "set/02.parquet")


def of_another_store(files: Files) -> None:
    files.put_all(b"new")


@pytest.mark.parametrize("write", [of_that_store, of_that_store_alone, by_itself, by_a_copy, of_another_store])
def test_nothing_is_kept_over_a_write(files: Files, write: Callable[[Files], None]) -> None:
    files.others.put("other", BEFORE + b"new")
    files.read(0), files.read(1)
    write(files)
    assert files.read(2) == b"new"


def test_who_takes_long_opens_them_anew(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.read(0), files.read(1)
    monkeypatch.setattr(moment, "FRESH", 1e-9)
    with counted() as asked:
        assert files.read(2) == b"old"
        assert files.read(3) == b"old"
    assert asked.count("GET") == 2


def test_the_errors_of_those_ahead_are_for_who_opens_them(files: Files) -> None:
    files.others.delete("set/02.parquet")
    files.read(0), files.read(1)
    with pytest.raises(FileNotFoundError):
        files.read(2)
    assert files.read(3) == b"old"


def test_one_that_is_not_there_is_not_found_while_others_come_along(files: Files) -> None:
    files.read(0), files.read(1), files.read(2)
    files.others.delete("set/03.parquet")
    with pytest.raises((NotFoundError, FileNotFoundError)):
        files.read(3)


def test_what_is_on_this_machine_is_not_opened_ahead() -> None:
    store = MemoryStore()
    store.put_many([(f"{number}.parquet", b"old") for number in range(4)])
    filesystem = fs.PyFileSystem(ArrowFileSystemHandler(store))
    filesystem.get_file_info(fs.FileSelector(""))
    for number in range(3):
        filesystem.open_input_file(f"{number}.parquet").close()
    store.put("3.parquet", b"new")
    with filesystem.open_input_file("3.parquet") as file:
        assert file.read() == b"new"


def test_a_data_set_is_opened_ahead(files: Files) -> None:
    made = io.BytesIO()
    pq.write_table(pa.table({"a": range(20_000)}), made, use_dictionary=False, compression="none")
    for number in range(FILES):
        files.others.put(f"set/{number:02}.parquet", made.getvalue())
    with counted() as asked:
        found = ds.dataset(files.folder, filesystem=files.filesystem).count_rows()
    assert found == FILES * 20_000
    assert asked.count("GET") <= FILES + 5  # listings, and the file whose schema is that of all
