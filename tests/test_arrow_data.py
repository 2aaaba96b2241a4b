"""What pyarrow does through the file system: datasets, Parquet, Feather and CSV; and how many requests that takes."""

from __future__ import annotations

import base64
import io
import pickle
import random
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.dataset as ds
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
from pyarrow import fs

from objstore import engine_info, exceptions
from objstore.arrow import ArrowFileSystemHandler
from objstore.operations import ahead, column_reads, columns
from objstore.operations.column_reads import Footer, Layouts
from objstore.operations.columns import Layout, ReadAhead, Usual
from objstore.operations.ranges import ranges_of
from objstore.operations.window import SPARE, Account
from objstore.parquet import FOOTER, open_parquet
from objstore.store import HTTPStore, LocalStore, MemoryStore, S3Store, Store
from tests.conformance.conftest import NO_BUCKET, open_folder
from tests.servers import S3Server, WebDavServer, free_port, rclone_program, running

numbers = count()
GROUPS, COLUMNS, ROWS = 6, 20, 2_000
BYTES = random.Random(0).randbytes(4 << 20)
WANTED = ["c03", "c11", "c17"]


def s3_store(server: S3Server, prefix: str | None = None) -> S3Store:
    """Return a store on a new bucket."""
    return S3Store(
        server.make_bucket(f"arrow-data-{next(numbers):04}"),
        prefix=prefix,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
    )


pytestmark = pytest.mark.product("store")


@pytest.fixture(params=["memory", "local", "webdav", "wsgidav", "ministack", "moto"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "local":
        return LocalStore(tmp_path)
    server = request.getfixturevalue(request.param)
    return open_folder(server) if isinstance(server, WebDavServer) else s3_store(server, prefix="below/here")


@pytest.fixture
def filesystem(store: Store) -> Any:
    return fs.PyFileSystem(ArrowFileSystemHandler(store))


@pytest.fixture(scope="module")
def table() -> Any:
    """A table that does not compress."""
    source = random.Random(1)
    return pa.table({f"c{n:02}": [source.random() for _ in range(GROUPS * ROWS)] for n in range(COLUMNS)})


def write_wide(table: Any, path: str, filesystem: Any) -> None:
    pq.write_table(table, path, filesystem=filesystem, row_group_size=ROWS, use_dictionary=False)


# --- plain web servers


@pytest.fixture(params=["with ranges", "without ranges"])
def website(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """The file system of a folder that a plain web server has to show: rclone's, or Python's, which knows no ranges."""
    port = free_port()
    if request.param == "with ranges":
        command = [rclone_program(), "serve", "http", str(tmp_path), "--dir-cache-time=0s", f"--addr=127.0.0.1:{port}"]
    else:
        command = [sys.executable, "-m", "http.server", str(port), "--bind=127.0.0.1", f"--directory={tmp_path}"]
    with running(command, port):
        store = HTTPStore(f"http://127.0.0.1:{port}", client_options={"allow_http": True})
        yield fs.PyFileSystem(ArrowFileSystemHandler(store))


def test_data_on_a_plain_web_server(website: Any, tmp_path: Path, table: Any) -> None:
    write_wide(table, "wide.parquet", fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))
    assert pq.read_table("wide.parquet", filesystem=website, columns=WANTED) == table.select(WANTED)
    (tmp_path / "set").mkdir()
    paths = [f"set/{number}.parquet" for number in range(4)]
    for number, path in enumerate(paths):
        pq.write_table(pa.table({"n": [number]}), tmp_path / path)
    found = ds.dataset(paths, filesystem=website, format="parquet").to_table()
    assert sorted(found["n"].to_pylist()) == [0, 1, 2, 3]


def test_what_a_plain_web_server_does_not_tell(website: Any, tmp_path: Path) -> None:
    """It says of one path what there is, and lists nothing."""
    (tmp_path / "file").write_bytes(b"123")
    file, none = website.get_file_info(["file", "none"])
    assert (file.type, file.size, none.type) == (fs.FileType.File, 3, fs.FileType.NotFound)
    with pytest.raises(FileNotFoundError):
        website.open_input_file("none")
    with pytest.raises(exceptions.NotSupportedError, match="no WebDAV"):
        website.get_file_info(fs.FileSelector(""))


# --- round trips


def test_a_partitioned_dataset(store: Store, filesystem: Any) -> None:
    table = pa.table({"n": range(60), "kind": ["a", "b", "c"] * 20, "text": [str(n) for n in range(60)]})
    layout = ds.partitioning(pa.schema([("kind", pa.string())]), flavor="hive")
    ds.write_dataset(table, "set", format="parquet", filesystem=filesystem, partitioning=layout)
    keys = [meta["path"] for meta in store.list("set").collect()]
    assert {f"set/kind={kind}/part-0.parquet" for kind in "abc"} <= {*keys}
    dataset = ds.dataset("set", format="parquet", filesystem=filesystem, partitioning="hive")
    field = ds.field
    found = dataset.to_table(columns=["n", "text"], filter=(field("kind") == "b") & (field("n") > 30))
    assert sorted(found.to_pylist(), key=lambda row: row["n"]) == [
        {"n": n, "text": str(n)} for n in range(31, 60) if n % 3 == 1
    ]
    assert dataset.count_rows() == 60
    ds.write_dataset(
        table.slice(0, 3),
        "set",
        format="parquet",
        filesystem=filesystem,
        partitioning=layout,
        existing_data_behavior="delete_matching",
    )
    assert pq.read_table("set", filesystem=filesystem, columns=["n"]).num_rows == 3


@pytest.mark.parametrize("pre_buffer", [True, False])
def test_columns_of_a_parquet_file(filesystem: Any, table: Any, pre_buffer: bool) -> None:
    write_wide(table, "wide.parquet", filesystem)
    read = pq.read_table("wide.parquet", filesystem=filesystem, columns=WANTED, pre_buffer=pre_buffer)
    assert read == table.select(WANTED)
    assert pq.read_table("wide.parquet", filesystem=filesystem) == table


def test_feather_and_csv(filesystem: Any) -> None:
    table = pa.table({"n": range(1000), "text": [str(n) for n in range(1000)]})
    with filesystem.open_output_stream("t.feather") as file:
        feather.write_feather(table, file)
    with filesystem.open_input_file("t.feather") as file:
        assert feather.read_table(file, columns=["text"]) == table.select(["text"])
    with filesystem.open_output_stream("t.csv.gz") as file:
        csv.write_csv(table, file)
    with filesystem.open_input_stream("t.csv.gz") as file:
        assert csv.read_csv(file).select(["n"]) == table.select(["n"])


def test_a_large_file_there_and_back(store: Store, filesystem: Any, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(25 << 20)
    (tmp_path / "large").write_bytes(content)
    fs.copy_files(str(tmp_path / "large"), "large", destination_filesystem=filesystem)
    assert store.get("large").bytes() == content
    with filesystem.open_input_file("large") as file:
        assert file.size() == len(content)
        assert file.read_at(20 << 20, 1 << 20) == content[1 << 20 : 21 << 20]
        file.seek(-5, 2)
        assert file.read() == content[-5:]
        assert file.read() == b""
    fs.copy_files("large", str(tmp_path / "again"), source_filesystem=filesystem)
    assert (tmp_path / "again").read_bytes() == content


def test_metadata_become_attributes(store: Store, filesystem: Any) -> None:
    if isinstance(store, HTTPStore):
        pytest.skip(NO_BUCKET["attributes"])
    with filesystem.open_output_stream("a", metadata={"Content-Type": "text/x-test", "mine": "1"}) as file:
        file.write(b"1")
    assert store.get("a").attributes == {"Content-Type": "text/x-test", "mine": "1"}


def test_a_subtree(store: Store, filesystem: Any) -> None:
    subtree = fs.SubTreeFileSystem("one/two", filesystem)
    subtree.create_dir("three")
    with subtree.open_output_stream("three/file") as file:
        file.write(b"1")
    assert store.get("one/two/three/file").bytes() == b"1"
    for tree in (subtree, pickle.loads(pickle.dumps(subtree))):
        infos = tree.get_file_info(fs.FileSelector("", recursive=True))
        assert sorted(info.path for info in infos) == ["three", "three/file"]


# --- directories


def selected(filesystem: Any, directory: str, **options: bool) -> dict[str, str]:
    infos = filesystem.get_file_info(fs.FileSelector(directory, **options))
    assert len({info.path for info in infos}) == len(infos)
    return {info.path: info.type.name for info in infos}


def test_selectors(store: Store, filesystem: Any) -> None:
    store.put_many(dict.fromkeys(("a/b/c/d", "a/b/e", "a/f", "ab", "g"), b"1"))
    level = {"a": "Directory", "ab": "File", "g": "File"}
    assert selected(filesystem, "") == level
    assert selected(filesystem, "a/") == {"a/b": "Directory", "a/f": "File"}
    below = {"a/b": "Directory", "a/b/c": "Directory", "a/b/c/d": "File", "a/b/e": "File", "a/f": "File"}
    assert selected(filesystem, "a", recursive=True) == below
    assert selected(filesystem, "", recursive=True) == {**level, **below}
    assert selected(filesystem, "none", allow_not_found=True) == {}
    with pytest.raises(FileNotFoundError, match="'none'"):
        selected(filesystem, "none")
    for allowed in (True, False):
        with pytest.raises(NotADirectoryError, match="'g'"):
            selected(filesystem, "g", allow_not_found=allowed)


def test_keys_without_a_path_are_left_out(store: Store, filesystem: Any) -> None:
    if isinstance(store, HTTPStore):
        pytest.skip(NO_BUCKET["raw keys"])
    raw = store.with_raw_keys()
    if isinstance(store, LocalStore):
        with pytest.raises(exceptions.InvalidPathError):
            raw.put("a//b", b"1")
        return
    raw.put_many(dict.fromkeys(("a//b", "a/c", "/d"), b"1"))
    assert selected(filesystem, "", recursive=True) == {"a": "Directory", "a/c": "File"}
    assert selected(filesystem, "a") == {"a/c": "File"}


def test_a_directory_stays_when_it_is_emptied(store: Store, filesystem: Any) -> None:
    for empty in (
        lambda: filesystem.delete_file("a/b"),
        lambda: filesystem.move("a/b", "c"),
        lambda: filesystem.delete_dir_contents("a"),
    ):
        store.put("a/b", b"1")
        empty()
        assert selected(filesystem, "a") == {}
        assert filesystem.get_file_info("a").type == fs.FileType.Directory
        filesystem.delete_dir("a")
        assert filesystem.get_file_info("a").type == fs.FileType.NotFound


def test_the_root(store: Store, filesystem: Any) -> None:
    store.put_many(dict.fromkeys(("a/b", "c"), b"1"))
    for path in ("", "/", "//"):
        assert filesystem.get_file_info(path).type == fs.FileType.Directory
        with pytest.raises(ValueError, match="root"):
            filesystem.delete_dir_contents(path)
    with pytest.raises(ValueError, match="root"):
        filesystem.delete_dir("")
    assert len(store.list().collect()) == 2
    filesystem.delete_dir_contents("", accept_root_dir=True)
    assert store.list().collect() == []


def test_a_directory_is_no_file(store: Store, filesystem: Any) -> None:
    store.put("a/b", b"1")
    for call in (
        lambda: filesystem.open_input_file("a"),
        lambda: filesystem.open_input_stream("a"),
        lambda: filesystem.delete_file("a"),
        lambda: filesystem.copy_file("a", "c"),
        lambda: filesystem.move("a", "c"),
        lambda: filesystem.open_output_stream("a/"),
        lambda: filesystem.open_input_file(""),
    ):
        with pytest.raises(IsADirectoryError):
            call()
    with pytest.raises(FileNotFoundError):
        filesystem.create_dir("x/y", recursive=False)
    with pytest.raises(exceptions.InvalidPathError):
        filesystem.get_file_info("a//b")
    assert [meta["path"] for meta in store.list().collect()] == ["a/b"]


@pytest.mark.parametrize("name", ["ministack", "moto"])
def test_times_are_those_of_pyarrow(request: pytest.FixtureRequest, name: str) -> None:
    server: S3Server = request.getfixturevalue(name)
    store = s3_store(server)
    store.put_many({f"a/{n}": b"1" for n in range(5)})
    native = fs.S3FileSystem(
        access_key=server.access_key_id,
        secret_key=server.secret_access_key,
        endpoint_override=server.endpoint.removeprefix("http://"),
        scheme="http",
        region=server.region,
    )
    theirs = fs.SubTreeFileSystem(store.config["bucket"], native)
    ours = fs.PyFileSystem(ArrowFileSystemHandler(store))
    for what in (["a/0", "a/4", "a", "none"], fs.FileSelector("", recursive=True), fs.FileSelector("a")):
        expected = {(i.path, i.type, i.size, i.mtime_ns) for i in theirs.get_file_info(what)}
        assert {(i.path, i.type, i.size, i.mtime_ns) for i in ours.get_file_info(what)} == expected


# --- handlers


def test_handlers_compare_and_pickle(store: Store) -> None:
    handler = ArrowFileSystemHandler(store)
    assert handler == ArrowFileSystemHandler(store)
    assert handler.equals(pickle.loads(pickle.dumps(handler)))
    assert hash(handler) == hash(ArrowFileSystemHandler(store))
    assert handler != ArrowFileSystemHandler(MemoryStore())
    assert handler != store


def test_many_paths_are_asked_for_at_once(moto: S3Server) -> None:
    store = s3_store(moto)
    store.put_many({f"a/{n}": b"1" for n in range(20)})
    filesystem = fs.PyFileSystem(ArrowFileSystemHandler(store))
    before = engine_info()["requests"]
    infos = filesystem.get_file_info([*(f"a/{n}" for n in range(20)), "a", "a/", "none", "a/0"])
    assert engine_info()["requests"] - before == 22 + 2  # each path once, and two listings
    assert [info.type.name for info in infos] == ["File"] * 20 + ["Directory", "Directory", "NotFound", "File"]


# --- reading ahead


class Told:
    """What a read-ahead fetched, batch by batch; of each range, where it begins."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []
        self.account = Account()

    def __call__(self, spans: Any) -> list[memoryview]:
        self.batches.append([*spans])
        return [memoryview(BYTES)[start:end] for start, end in spans]


@pytest.fixture(scope="module")
def layout(table: Any) -> Layout:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=ROWS, use_dictionary=False)
    return Layout(pq.read_metadata(pa.BufferReader(sink.getvalue())))


def test_columns_are_found_by_where_they_are(layout: Layout) -> None:
    for group in range(GROUPS):
        for column in range(COLUMNS):
            assert layout.find(*layout.chunk(group, column)) == (group, column, column)
        begin, end = layout.chunk(group, 3)[0], layout.chunk(group, 5)[1]
        assert layout.find(begin, end) == (group, 3, 5)
        assert layout.find(begin + 1, end) is None
        assert layout.find(begin, end - 1) is None
    assert layout.find(0, 4) is None
    assert layout.find(layout.chunk(0, 3)[0], layout.chunk(1, 3)[1]) is None


def test_columns_read_twice_are_fetched_ahead_once(layout: Layout) -> None:
    told = Told()
    told.account.asked = told.account.fetched = 1 << 30  # as much has been read before
    reads = ReadAhead(layout, told, told.account)
    spans = [[layout.chunk(group, column) for column in (3, 7)] for group in range(GROUPS)]
    for span in (span for group in spans for span in group):
        assert reads.take(*span) == BYTES[slice(*span)]
    assert told.batches == [[spans[0][0]], [spans[0][1]], [span for group in spans[1:] for span in group]]
    assert reads.take(*spans[2][0]) == BYTES[slice(*spans[2][0])]  # what is read again is fetched alone
    assert told.batches[3:] == [[spans[2][0]]]


def test_columns_that_follow_each_other_are_fetched_ahead(layout: Layout) -> None:
    told = Told()
    reads = ReadAhead(layout, told, told.account)
    for column in range(COLUMNS):
        span = layout.chunk(0, column)
        assert reads.take(*span) == BYTES[slice(*span)]
    assert [span for batch in told.batches for span in batch] == [layout.chunk(0, each) for each in range(COLUMNS)]
    assert len(told.batches) <= COLUMNS // 2


def test_what_is_read_ahead_in_vain_is_at_most_half(layout: Layout) -> None:
    """Whatever row groups the reader leaves out; of those that it begins, as much as it has asked for."""
    for seed in range(200):
        source, told = random.Random(seed), Told()
        reads = ReadAhead(layout, told, told.account)
        wanted, groups = source.sample(range(COLUMNS), source.randint(1, 8)), source.sample(range(GROUPS), 4)
        leaves_out = seed % 2 == 0  # columns of row groups that it begins
        asked = 0
        for group in sorted(groups):
            some = source.sample(wanted, source.randint(1, len(wanted))) if leaves_out else wanted
            for span in (layout.chunk(group, column) for column in sorted(some)):
                assert reads.take(*span) == BYTES[slice(*span)]
                asked += span[1] - span[0]
                fetched = sum(end - start for batch in told.batches for start, end in batch)
                assert fetched - asked <= max(asked // 2, SPARE) + max(asked, SPARE)
                assert (told.account.fetched, told.account.asked) == (fetched, asked)
            assert leaves_out or fetched - asked <= max(asked // 2, SPARE)


def test_columns_of_a_row_group_that_is_begun_come_together(layout: Layout) -> None:
    """However much of those left out came in vain."""
    told, wanted = Told(), range(0, 12, 2)
    reads = ReadAhead(layout, told, told.account)
    rounds = []
    for group in range(0, GROUPS, 2):
        before = len(told.batches)
        for column in wanted:
            reads.take(*layout.chunk(group, column))
        rounds.append(len(told.batches) - before)
    assert rounds == [len(wanted), 1, 1]


def test_what_is_held_is_bounded(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    told.account.asked = told.account.fetched = 1 << 30
    reads = ReadAhead(layout, told, told.account)
    size = layout.chunk(0, 3)[1] - layout.chunk(0, 3)[0]
    monkeypatch.setattr(columns, "MOST_AHEAD", 2 * size + size // 2)
    for group in range(GROUPS):
        reads.take(*layout.chunk(group, 3))
    assert [len(batch) for batch in told.batches] == [1, 3, 2]


def test_all_files_together_hold_few_columns_that_nobody_has_asked_for(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = layout.chunk(0, 3)[1] - layout.chunk(0, 3)[0]
    monkeypatch.setattr(ahead, "OF_FILES", GROUPS * size)
    held = []
    for _ in range(2):
        told = Told()
        told.account.asked = told.account.fetched = 1 << 30
        held.append(ReadAhead(layout, told, told.account))
        for group in range(2):
            held[-1].take(*layout.chunk(group, 3))
        assert len(told.batches) == 2
        assert len(told.batches[-1]) == (GROUPS - 1 if len(held) == 1 else 1)


def test_of_few_parquet_files_is_remembered_where_their_columns_are(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_reads, "LAYOUTS_KEPT", 3)
    monkeypatch.setattr(column_reads, "BYTES_KEPT", 100)
    layouts = Layouts()
    for number, size in enumerate((10, 10, 10, 10, 85)):
        layouts.keep(str(number), Footer("e", layout, bytes(size)))
    assert [layouts.of(str(number)) is not None for number in range(5)] == [False, False, False, True, True]


@pytest.mark.parametrize("whole", [True, False])
def test_a_projection_takes_few_round_trips(
    moto: S3Server, table: Any, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = s3_store(moto)
    filesystem = fs.PyFileSystem(ArrowFileSystemHandler(store))
    write_wide(table, "wide.parquet", filesystem)
    batches: list[int] = []

    def counted(store: Any, path: str, ranges: Any, *how: Any) -> Any:
        batches.append(len(ranges))
        return ranges_of(store, path, ranges, *how)

    monkeypatch.setattr(column_reads, "ranges_of", counted)
    before = engine_info()["requests"]
    if whole:
        read = pq.read_table("wide.parquet", filesystem=filesystem, columns=WANTED, use_threads=False)
    else:
        read = ds.dataset("wide.parquet", filesystem=filesystem).to_table(columns=WANTED, use_threads=False)
    assert read == table.select(WANTED)
    assert len(WANTED) * GROUPS - 1 <= sum(batches) <= len(WANTED) * GROUPS  # the last one came with the file's end
    assert len(batches) < sum(batches)  # how many is for the order in which pyarrow comes to the row groups
    assert engine_info()["requests"] - before <= len(WANTED) * GROUPS + 4


def put_set(filesystem: Any, table: Any, files: int) -> list[str]:
    paths = [f"set/{number}.parquet" for number in range(files)]
    for path in paths:
        write_wide(table, path, filesystem)
    return paths


def test_columns_of_one_file_are_fetched_of_the_next_at_once(
    moto: S3Server, table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    filesystem = fs.PyFileSystem(ArrowFileSystemHandler(s3_store(moto)))
    paths = put_set(filesystem, table, 6)
    batches: list[int] = []

    def counted(store: Any, path: str, ranges: Any, *how: Any) -> Any:
        batches.append(len(ranges))
        return ranges_of(store, path, ranges, *how)

    monkeypatch.setattr(column_reads, "ranges_of", counted)
    rounds = []
    for path in paths:
        before = len(batches)
        with filesystem.open_input_file(path) as source:
            found = pq.ParquetFile(source, pre_buffer=False).read(columns=WANTED, use_threads=False)
        assert found == table.select(WANTED)
        rounds.append(len(batches) - before)
    assert rounds[0] > rounds[-1] == 1
    assert sum(batches) <= len(paths) * GROUPS * len(WANTED)  # none but those


def test_other_columns_of_the_next_file_are_fetched_alone(layout: Layout) -> None:
    """Row groups that a filter left out of one file are not fetched of the next, and columns not if others are read."""
    usual, fetched = Usual(), list[tuple[int, int]]()

    def fetch(spans: Any) -> list[memoryview]:
        fetched.extend(spans)
        return [memoryview(bytes(end - start)) for start, end in spans]

    def read(*chunks: tuple[int, int]) -> list[tuple[int, int]]:
        fetched.clear()
        ahead = ReadAhead(layout, fetch, Account(), usual)
        for chunk in chunks:
            ahead.take(*layout.chunk(*chunk))
        ahead.close()
        return sorted(fetched)

    usual.count(asked=16 << 20)
    assert read((1, 3), (1, 11)) == [layout.chunk(1, 3), layout.chunk(1, 11)]
    assert read((2, 3)) == [layout.chunk(2, 3), layout.chunk(2, 11)]
    assert read((2, 4)) == [layout.chunk(2, 4)]
    assert read((2, 3)) == [layout.chunk(2, 3)]


def test_what_is_fetched_in_vain_of_all_files_is_at_most_half(layout: Layout) -> None:
    usual, fetched = Usual(), list[int]()
    chunk = layout.chunk(0, 3)[1] - layout.chunk(0, 3)[0]

    def fetch(spans: Any) -> list[memoryview]:
        fetched.extend(end - start for start, end in spans)
        return [memoryview(bytes(end - start)) for start, end in spans]

    for _ in range(200):
        usual.note([(column, column) for column in range(10)], of_all=True)
        ReadAhead(layout, fetch, Account(), usual).take(*layout.chunk(0, 3))
    assert sum(fetched) <= 200 * chunk * 3 // 2 + 200 * SPARE
    assert sum(fetched) > 200 * chunk


def test_a_file_that_is_known_is_opened_with_the_column_that_comes_first(moto: S3Server, table: Any) -> None:
    """pyarrow keeps the metadata of a data set's files: it needs no more of them than their columns."""
    filesystem = fs.PyFileSystem(ArrowFileSystemHandler(s3_store(moto)))
    put_set(filesystem, table, 4)
    found = ds.dataset("set", filesystem=filesystem)
    how: dict[str, Any] = {"columns": WANTED[:1], "use_threads": False}
    assert found.to_table(**how).num_rows == 4 * GROUPS * ROWS
    before = engine_info()["requests"]
    assert found.to_table(**how).column(0)[: GROUPS * ROWS] == table.column(WANTED[0])
    assert engine_info()["requests"] - before <= 4 * GROUPS + 2


@pytest.mark.parametrize("pre_buffer", [True, False])
def test_files_opened_anew_read_what_is_there_now(table: Any, pre_buffer: bool) -> None:
    """The handler remembers where columns are, of the version that it has seen."""
    store = MemoryStore()
    filesystem = fs.PyFileSystem(ArrowFileSystemHandler(store))
    for rows in (ROWS, ROWS // 2, ROWS // 3):
        pq.write_table(table, "wide.parquet", filesystem=filesystem, row_group_size=rows, use_dictionary=False)
        for _ in range(2):
            found = pq.read_table("wide.parquet", filesystem=filesystem, columns=WANTED, pre_buffer=pre_buffer)
            assert found == table.select(WANTED)
    store.put("wide.parquet", b"")
    with filesystem.open_input_file("wide.parquet") as file:
        assert (file.size(), file.read()) == (0, b"")


def test_any_reads_of_a_file_give_its_bytes(store: Store, filesystem: Any, table: Any) -> None:
    """Columns, several of them, parts of them and what is across their edges, in any order, from all kinds of sizes."""
    write_wide(table, "wide.parquet", filesystem)
    body = store.get("wide.parquet").bytes()
    layout = Layout(pq.read_metadata(pa.BufferReader(body)))
    for seed in range(4):
        source = random.Random(seed)
        with filesystem.open_input_file("wide.parquet") as file:
            if seed % 2:
                assert pq.ParquetFile(file).metadata.num_columns == COLUMNS
            for _ in range(25):
                group, column = source.randrange(GROUPS), source.randrange(COLUMNS - 2)
                start, end = layout.chunk(group, column)[0], layout.chunk(group, column + source.randrange(3))[1]
                start += source.choice((0, 0, 0, -100, 100, source.randrange(5000)))
                end += source.choice((0, 0, 0, -100, 100, source.randrange(5000)))
                assert file.read_at(end - start, max(start, 0)) == body[max(start, 0) : max(start, 0) + end - start]
            at = source.randrange(len(body))
            file.seek(at)
            assert file.read() == body[at:]


@pytest.mark.parametrize("by", ["handler", "open"])
def test_a_file_that_is_replaced_is_noticed(table: Any, by: str) -> None:
    store = MemoryStore()
    filesystem = fs.PyFileSystem(ArrowFileSystemHandler(store))
    write_wide(table, "wide.parquet", filesystem)
    with filesystem.open_input_file("wide.parquet") if by == "handler" else store.open("wide.parquet") as source:
        file = pq.ParquetFile(source)
        assert file.read_row_group(0, columns=WANTED).num_rows == ROWS
        write_wide(table, "wide.parquet", filesystem)
        with pytest.raises(exceptions.PreconditionError):
            file.read_row_group(1, columns=WANTED)
    assert ahead.process.held == 0, "though the traceback has the file"


class Keys(encryption.KmsClient):  # type: ignore[misc]
    """Keys that lie beside what they lock."""

    def __init__(self, _: Any) -> None:
        super().__init__()

    def wrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64decode(key)


@pytest.mark.parametrize("plain", [True, False], ids=["plain footer", "encrypted footer"])
def test_encrypted_columns_are_read_with_their_keys(table: Any, plain: bool) -> None:
    """Whoever asks a plain footer where they are, without the keys, has the process ended."""
    factory, service = encryption.CryptoFactory(Keys), encryption.KmsConnectionConfig()
    locks = encryption.EncryptionConfiguration(footer_key="f", column_keys={"k": ["c00"]}, plaintext_footer=plain)
    file, store = io.BytesIO(), MemoryStore()
    properties = factory.file_encryption_properties(service, locks)
    pq.write_table(table, file, encryption_properties=properties)
    store.put("locked.parquet", file.getvalue())
    keys = factory.file_decryption_properties(service, encryption.DecryptionConfiguration())
    assert pq.ParquetFile(store.open("locked.parquet"), decryption_properties=keys).read() == table
    with pytest.raises(exceptions.NotSupportedError if plain else exceptions.GenericError):
        open_parquet(store, "locked.parquet")


# --- open_parquet


def test_open_parquet(store: Store, filesystem: Any, table: Any) -> None:
    write_wide(table, "wide.parquet", filesystem)
    assert open_parquet(store, "wide.parquet").read() == table
    before = engine_info()["requests"]
    file = open_parquet(store, "wide.parquet", columns=WANTED, row_groups=[1, 4])
    asked = engine_info()["requests"] - before
    assert asked <= 1 + 2 * len(WANTED)
    read = file.read_row_groups([1, 4], columns=WANTED)
    assert read == pa.concat_tables([table.slice(ROWS, ROWS), table.slice(4 * ROWS, ROWS)]).select(WANTED)
    assert engine_info()["requests"] - before == asked
    assert file.read(columns=["c00"]) == table.select(["c00"])  # was not asked for, and comes by itself


def test_open_parquet_of_nested_columns() -> None:
    store = MemoryStore()
    table = pa.table({"a": [{"b": n, "c": [n, n]} for n in range(100)], "ab": range(100), "none": [None] * 100})
    with fs.PyFileSystem(ArrowFileSystemHandler(store)).open_output_stream("nested") as file:
        pq.write_table(table, file)
    for wanted in (["a"], ["a.b"], ["ab", "none"], []):
        expected = pq.ParquetFile(pa.BufferReader(store.get("nested").bytes())).read(columns=wanted)
        assert open_parquet(store, "nested", columns=wanted).read(columns=wanted) == expected


def test_open_parquet_with_a_long_footer() -> None:
    store = MemoryStore()
    table = pa.table({f"column number {n:04}": [n] for n in range(1000)})
    filesystem = fs.PyFileSystem(ArrowFileSystemHandler(store))
    pq.write_table(table, "many", filesystem=filesystem)
    assert store.head("many")["size"] > 2 * FOOTER
    names = table.column_names[7::100]
    assert open_parquet(store, "many", columns=names).read(columns=names) == table.select(names)
    assert pq.read_table("many", filesystem=filesystem, columns=names) == table.select(names)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"x" * 100, b"PAR1" + b"\xff\xff\xff\x7fPAR1"])
def test_open_parquet_of_something_else(content: bytes) -> None:
    store = MemoryStore()
    store.put("other", content)
    with pytest.raises(exceptions.GenericError, match="is not a Parquet file"):
        open_parquet(store, "other")
    with pytest.raises(FileNotFoundError):
        open_parquet(store, "none")


def test_open_parquet_of_a_file_that_is_replaced(table: Any) -> None:
    store = MemoryStore()
    filesystem = fs.PyFileSystem(ArrowFileSystemHandler(store))
    write_wide(table, "wide.parquet", filesystem)
    file = open_parquet(store, "wide.parquet", columns=WANTED)
    write_wide(table, "wide.parquet", filesystem)
    assert file.read(columns=WANTED) == table.select(WANTED)
    with pytest.raises(exceptions.ObjectChangedError):
        file.read(columns=["c00"])
