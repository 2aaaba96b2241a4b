"""Objects as Python files: modes, seeks, text, versions, and what becomes of files that nobody closes."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import pickle
import random
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import objstore
from objstore import exceptions
from objstore.operations.window import PAGE, SPARE
from objstore.plans.effects import Plan, Sleep, alone
from objstore.plans.run import arun
from objstore.store import LocalStore, MemoryStore, Store

MIB = 1 << 20
LARGE = random.Random(2).randbytes(21 * MIB)
TEXT = "first\r\nsecond \u00fc\n\nlast"


@pytest.fixture
def store() -> Store:
    store = MemoryStore()
    store.put("large", LARGE)
    store.put("text", TEXT.encode())
    return store


class Reads:
    """The ranges that a store is asked for, in order."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.batches: list[int] = []
        fetch: Callable[..., Any] = store.provider.fetch

        def counted(reads: Any, **options: Any) -> Any:
            self.sizes += [read.range.end - read.range.start for read in reads]
            self.batches.append(len(reads))
            return fetch(reads, **options)

        monkeypatch.setattr(store.provider, "fetch", counted)


# --- reading


def test_what_a_reader_is(store: Store) -> None:
    with store.open("large") as file:
        assert isinstance(file, io.BufferedReader)
        assert isinstance(file, objstore.ObjectReader)
        assert (file.name, file.mode, file.size) == ("large", "rb", len(LARGE))
        assert (file.readable(), file.writable(), file.seekable(), file.closed) == (True, False, True, False)
        assert type(file.read(5)) is type(file.read(MIB)) is bytes
        with pytest.raises(OSError, match="fileno"):
            file.fileno()
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"a")
    assert file.closed
    for name in ("read", "readline", "tell", "peek"):
        with pytest.raises(ValueError, match="closed"):
            getattr(file, name)()
    with pytest.raises(ValueError, match="closed"):
        file.readinto(bytearray(MIB))


@pytest.mark.parametrize("buffer_size", [1, 5000, MIB, 64 * MIB])
def test_reads_of_all_kinds(store: Store, buffer_size: int) -> None:
    """The same as io.BytesIO, in whatever order."""
    file, model = store.open("large", buffer_size=buffer_size), io.BytesIO(LARGE)
    chance = random.Random(buffer_size)
    for _ in range(200):
        name = chance.choice(["read", "read", "readinto", "readline", "read1", "seek", "readinto1"])
        size = int(10 ** chance.uniform(0, 6.5))
        if name == "seek":
            place = chance.choice([(chance.randrange(len(LARGE) + 9),), (-chance.randrange(9999), os.SEEK_END)])
            assert file.seek(*place) == model.seek(*place)
        elif name.startswith("readinto"):
            found, expected = bytearray(size), bytearray(size)
            assert file.readinto(found) == model.readinto(expected)
            assert found == expected
        elif name == "read1":
            part = file.read1(size)
            assert part == model.read(len(part))
            assert part or model.tell() >= len(LARGE)
        else:
            assert getattr(file, name)(size) == getattr(model, name)(size)
        assert file.tell() == model.tell()
    file.seek(0)
    assert [*file] == io.BytesIO(LARGE).readlines()


def test_read_all(store: Store) -> None:
    for arguments in ((), (-1,), (None,), (len(LARGE) + 1,)):
        file = store.open("large")
        assert file.read(3) == LARGE[:3]
        assert file.read(*arguments) == LARGE[3:]
        assert file.read(*arguments) == b""
    assert store.open("large").raw.readall() == LARGE


def test_a_large_read_is_parallel_and_direct(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    file, reads = store.open("large"), Reads(store, monkeypatch)
    assert len(file.read()) == len(LARGE)
    assert reads.batches == [6]
    file.seek(1)
    target = bytearray(9 * MIB)
    assert file.readinto(target) == len(target)
    assert target == LARGE[1 : 1 + len(target)]
    assert reads.batches == [6, 3]
    assert sum(reads.sizes) == len(LARGE) + len(target)


def test_small_reads_in_a_row_fetch_more_and_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    file, reads = store.open("large", buffer_size=100_000), Reads(store, monkeypatch)
    while file.read(1000):
        pass
    assert reads.sizes[:3] == [100_000, 200_000, 400_000]
    assert len(reads.batches) == 8
    assert sum(reads.sizes) == len(LARGE)


def test_reads_here_and_there_fetch_what_they_ask_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    file, reads = store.open("large", buffer_size=400_000), Reads(store, monkeypatch)
    for at in range(20 * MIB, 0, -3 * MIB):
        file.seek(at)
        assert file.read(10) == LARGE[at : at + 10]
    assert reads.sizes == [10 + SPARE, *[PAGE] * 6]


def test_blocks_read_lately_are_not_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    file, reads = store.open("large", buffer_size=400_000), Reads(store, monkeypatch)
    for at in (0, 5 * MIB, len(LARGE) - 10, 50_000, 5 * MIB + 100, len(LARGE) - 60_000):
        file.seek(at)
        assert file.read(10) == LARGE[at : at + 10]
    assert reads.sizes == [400_000, 131_072, 131_072]


def test_a_known_size_saves_a_request(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.provider, "head", None)
    assert store.open("text", size=len(TEXT.encode())).read() == TEXT.encode()
    assert store.open("large", size=len(LARGE)).read() == LARGE


def test_an_object_replaced_while_it_is_read(store: Store) -> None:
    for size in (None, len(LARGE)):
        store.put("large", LARGE)
        file = store.open("large", size=size)
        assert file.read(10) == LARGE[:10]
        store.put("large", LARGE[::-1])
        with pytest.raises(exceptions.ObjectChangedError, match="large"):
            file.read()


def test_a_reader_is_pickled_as_its_place_in_an_object(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("k", b"0123456789")
    with store.open("k", buffer_size=2) as file:
        file.read(4)
        written = pickle.dumps(file)
    with pickle.loads(written) as other:
        assert (type(other), other.name, other.tell(), other.read()) == (objstore.ObjectReader, "k", 4, b"456789")
    with pytest.raises(ValueError, match="closed"):
        pickle.dumps(file)
    store.put("k", b"abcdefghij")
    with pytest.raises(exceptions.ObjectChangedError):
        pickle.loads(written)
    with store.open("new", "wb") as target, pytest.raises(TypeError):
        pickle.dumps(target)


def test_a_reader_of_nothing(store: Store) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        store.open("missing")
    store.put("empty", b"")
    with store.open("empty") as file:
        assert (file.read(), file.read(5), file.readline(), file.size) == (b"", b"", b"", 0)
    with store.open("empty", "r") as text:
        assert text.read() == ""


# --- modes


@pytest.mark.parametrize("mode", ["a", "ab", "r+", "rb+", "w+b"])
def test_objects_are_written_as_a_whole(store: Store, mode: str) -> None:
    with pytest.raises(ValueError, match="as a whole"):
        store.open("text", mode)


@pytest.mark.parametrize("mode", ["", "b", "rw", "rr", "rbt", "rbb", "q", "r b", "xw"])
def test_what_is_no_mode(store: Store, mode: str) -> None:
    with pytest.raises(ValueError, match="give 'r', 'w' or 'x'"):
        store.open("text", mode)


@pytest.mark.parametrize(
    ("mode", "arguments"),
    [
        ("rb", {"encoding": "utf-8"}),
        ("wb", {"newline": ""}),
        ("xb", {"errors": "strict"}),
        ("r", {"attributes": {"a": "1"}}),
        ("rb", {"tags": {"a": "1"}}),
        ("w", {"size": 1}),
        ("rb", {"buffer_size": 0}),
        ("wb", {"buffer_size": 0}),
        ("wb", {"max_concurrency": 0}),
        ("r", {"encoding": "none"}),
    ],
)
def test_arguments_that_do_not_fit(store: Store, mode: str, arguments: dict[str, Any]) -> None:
    with pytest.raises((ValueError, LookupError), match=next(iter(arguments))):
        store.open("text", mode, **arguments)


@pytest.mark.parametrize("newline", [None, "", "\n", "\r\n"])
def test_text(store: Store, newline: str | None) -> None:
    model = io.TextIOWrapper(io.BytesIO(TEXT.encode()), "utf-8", newline=newline)
    with store.open("text", "r", newline=newline) as file:
        assert isinstance(file, io.TextIOWrapper)
        assert [*file] == [*model]
    with store.open("copy", "w", newline=newline) as file:
        assert file.write(TEXT) == len(TEXT)
    written = TEXT if newline in (None, "", "\n") else TEXT.replace("\n", newline or "")
    assert store.get("copy").bytes() == written.encode()


def test_encodings(store: Store) -> None:
    with store.open("text", "wt", encoding="ascii", errors="replace") as file:
        file.write("\u00fc")
    assert store.get("text").bytes() == b"?"
    store.put("text", b"\xff")
    with store.open("text", "rt") as file, pytest.raises(UnicodeDecodeError):
        file.read()
    with store.open("text", "rt", encoding="latin-1") as file:
        assert file.read() == "\u00ff"


@pytest.mark.parametrize("text", ["", "h\u00e9"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-16-le", "utf-8"])
def test_text_begins_with_the_mark_of_its_encoding(store: Store, tmp_path: Path, encoding: str, text: str) -> None:
    with open(tmp_path / "model", "w", encoding=encoding) as model, store.open("copy", "w", encoding=encoding) as file:
        assert model.write(text) == file.write(text)
        assert model.write(text) == file.write(text)
        assert not file.seekable()
    assert store.get("copy").bytes() == (tmp_path / "model").read_bytes()


def test_create(store: Store) -> None:
    with pytest.raises(FileExistsError, match="text"):
        store.open("text", "xb")
    with store.open("new", "x") as file:
        file.write("a")
    assert store.get("new").bytes() == b"a"
    late = store.open("late", "xb")
    late.write(b"a")
    store.put("late", b"first")
    with pytest.raises(FileExistsError, match="late"):
        late.close()
    assert late.closed
    assert store.get("late").bytes() == b"first"


# --- writing


@pytest.mark.parametrize("size", [0, 10, 3 * MIB, 21 * MIB])
def test_write(store: Store, size: int) -> None:
    with store.open("object", "wb", buffer_size=3 * MIB, attributes={"mine": "1"}) as file:
        assert isinstance(file, io.BufferedIOBase)
        assert (file.name, file.mode) == ("object", "wb")
        assert (file.readable(), file.writable(), file.seekable(), file.closed) == (False, True, False, False)
        for at in range(0, size, 700_000):
            part = LARGE[at : min(at + 700_000, size)]
            assert file.write(part) == len(part)
            file.flush()
        assert file.tell() == size
        with pytest.raises(exceptions.NotFoundError):
            store.head("object")
        with pytest.raises(io.UnsupportedOperation):
            file.seek(0)
        with pytest.raises(io.UnsupportedOperation):
            file.read()
    file.close()
    assert file.closed
    assert store.get("object").bytes() == LARGE[:size]
    assert store.get("object").attributes == {"mine": "1"}
    with pytest.raises(ValueError, match="closed"):
        file.write(b"a")


@pytest.mark.parametrize("mode", ["wb", "w", "xb", "x"])
def test_an_exception_leaves_no_object(store: Store, mode: str) -> None:
    with suppress(ZeroDivisionError), store.open("object", mode, buffer_size=5) as file:
        file.write("written" if "b" not in mode else b"written")  # type: ignore[arg-type]
        raise ZeroDivisionError
    assert file.closed
    with pytest.raises(exceptions.NotFoundError):
        store.head("object")


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_a_file_can_be_given_up(store: Store, mode: str) -> None:
    with store.open("object", mode) as file:
        file.write("written" if "b" not in mode else b"written")  # type: ignore[arg-type]
        file.abort()
    assert file.closed
    with pytest.raises(exceptions.NotFoundError):
        store.head("object")


def in_a_cycle(store: Store) -> Any:
    file = store.open("object", "wb")
    file.itself = file  # type: ignore[attr-defined]
    return file


@pytest.mark.parametrize(
    "make",
    [
        lambda store: store.open("object", "wb", buffer_size=5),
        lambda store: store.open("object", "w", buffer_size=5),
        lambda store: io.TextIOWrapper(store.open("object", "wb")),
        lambda store: io.BufferedWriter(store.open("object", "wb")),
        in_a_cycle,
    ],
    ids=["binary", "text", "text around it", "buffer around it", "cycle"],
)
def test_a_file_nobody_closes_leaves_no_object(store: Store, make: Callable[[Store], Any]) -> None:
    file = make(store)
    file.write("written" if isinstance(file, io.TextIOBase) else b"written")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del file
        gc.collect()
    assert {warning.category for warning in told} == {ResourceWarning}
    assert "object" in str(told[0].message)
    with pytest.raises(exceptions.NotFoundError):
        store.head("object")


def test_a_failed_part_ends_the_upload(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    begin: Callable[..., Any] = store.provider.begin_upload
    aborted = []

    def failing(*args: Any, **options: Any) -> Any:
        upload = yield from begin(*args, **options)
        upload.errors[0] = exceptions.GenericError("the part is lost")
        monkeypatch.setattr(upload, "close", lambda: aborted.append(True))
        return upload

    monkeypatch.setattr(store.provider, "begin_upload", failing)
    file = store.open("object", "wb", buffer_size=5)
    with pytest.raises(exceptions.GenericError, match="the part is lost"):
        file.write(bytes(3 << 20))
    assert aborted
    with pytest.raises(ValueError, match="closed"):
        file.write(b"a")
    file.close()
    with pytest.raises(exceptions.NotFoundError):
        store.head("object")


def test_many_small_writes_need_little_memory(store: Store) -> None:
    import tracemalloc

    file = store.open("object", "wb")
    before = int(objstore.engine_info()["memory"])
    tracemalloc.start()
    for _ in range(200_000):
        file.write(b"0123456789")
    seen = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/operations/*")])  # not other threads'
    tracemalloc.stop()
    assert 2_000_000 <= int(objstore.engine_info()["memory"]) - before <= 4 << 20
    file.abort()
    assert sum(trace.size for trace in seen.traces) < 100_000


# --- one after the other


class Slow:
    """Something whose operation takes a while."""

    _busy = False

    @alone
    def operation(self) -> Plan[str]:
        yield Sleep(0.01)
        return "done"


def test_one_operation_at_a_time() -> None:
    slow = Slow()

    async def two() -> list[Any]:
        return await asyncio.gather(arun(slow.operation()), arun(slow.operation()), return_exceptions=True)

    for _ in range(2):
        first, second = asyncio.run(two())
        assert first == "done"
        assert isinstance(second, RuntimeError)
        assert "under way" in str(second)


def test_several_threads_write_a_file_piece_by_piece() -> None:
    store, size, times = MemoryStore(), 300_000, 20
    with store.open("x", "wb") as file, ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda letter: [file.write(letter * size) for _ in range(times)], [b"a", b"b", b"c"]))
    written = bytes(store.get("x").bytes())
    pieces = [written[at : at + size] for at in range(0, len(written), size)]
    assert {piece: pieces.count(piece) for piece in pieces} == {letter * size: times for letter in (b"a", b"b", b"c")}
