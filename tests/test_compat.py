"""The face of object-store-python: its names and signatures, its README's examples, and what it does."""

from __future__ import annotations

import asyncio
import inspect
import io
import itertools
import pickle
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path as LocalPath
from types import ModuleType
from typing import Any

import pytest

import objstore
from objstore import exceptions
from objstore.compat import object_store as ours
from objstore.compat.object_store import ClientOptions, ListResult, ObjectMeta, ObjectStore, Path, _as_bytes, _as_path
from objstore.store import MemoryStore, S3Store
from tests.servers import AzureServer, GoogleServer, S3Server

OPERATIONS = [
    "copy",
    "copy_if_not_exists",
    "delete",
    "get",
    "get_range",
    "head",
    "list",
    "list_with_delimiter",
    "put",
    "rename",
    "rename_if_not_exists",
]


@pytest.fixture
def theirs() -> ModuleType:
    return pytest.importorskip("object_store", reason="object-store-python is not installed")


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore("memory://")


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, store: ObjectStore) -> Callable[..., Any]:
    """One operation by its name, in either mode."""

    def blocking(name: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(store, name)(*args, **kwargs)

    def awaited(name: str, *args: Any, **kwargs: Any) -> Any:
        return asyncio.run(getattr(store, name + "_async")(*args, **kwargs))

    return blocking if request.param == "sync" else awaited


# --- names and signatures


def public(target: object) -> set[str]:
    return {name for name in dir(target) if not name.startswith("_")}


def test_every_name_of_theirs_is_here(theirs: ModuleType) -> None:
    borrowed = {"BytesIO", "List", "Optional", "Union", "importlib_metadata"}
    assert public(theirs) - borrowed - public(ours) == set()
    assert theirs.DELIMITER == ours.DELIMITER
    assert isinstance(ours.__version__, str)


@pytest.mark.parametrize("kind", ["ClientOptions", "ListResult", "ObjectMeta", "ObjectStore", "Path"])
def test_every_member_of_theirs_is_here(theirs: ModuleType, kind: str) -> None:
    assert public(getattr(theirs, kind)) - public(getattr(ours, kind)) == set()


def test_the_files_are_here(theirs: ModuleType) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
    from object_store import _internal, arrow

    from objstore.compat.object_store import _internal as internal

    assert public(_internal) - public(internal) == set()
    assert public(arrow.ArrowFileSystemHandler) - public(internal.ArrowFileSystemHandler) == set()
    assert public(_internal.ObjectInputFile) - public(internal.ObjectInputFile) == set()
    store = ObjectStore("memory://").store
    handler = internal.ArrowFileSystemHandler(store)
    with store.open("a", "wb") as stream:
        assert isinstance(stream, internal.ObjectOutputStream)
        assert public(_internal.ObjectOutputStream) - public(stream) == {"size"}  # which only raises there
    with handler.open_output_stream("a") as target:
        target.write(b"one\ntwo")
    with internal.ObjectInputFile(store, "a") as source:
        assert (source.mode, source.size(), source.readline(), source.tell()) == ("rb", 7, b"one\n", 4)
        assert (source.seek(-3, 2), source.read(), source.read()) == (4, b"two", b"")
        assert not source.closed
    assert source.closed


@pytest.mark.parametrize("name", OPERATIONS)
def test_signatures_are_theirs(theirs: ModuleType, name: str) -> None:
    expected = [*inspect.signature(getattr(theirs.ObjectStore, name)).parameters.values()]
    for twin in (name, name + "_async"):
        parameters = [*inspect.signature(getattr(ours.ObjectStore, twin)).parameters.values()]
        assert [(p.name, p.kind, p.default) for p in parameters] == [(p.name, p.kind, p.default) for p in expected]
    assert inspect.iscoroutinefunction(getattr(ours.ObjectStore, name + "_async"))


def test_client_options_have_their_defaults(theirs: ModuleType) -> None:
    expected, options = theirs.ClientOptions(), ClientOptions()
    for name in public(expected):
        assert getattr(options, name) == getattr(expected, name), name


@pytest.mark.parametrize("text", ["a/b", "/a/b/", "", "/", "a b%", "a//b", "a/../b", ".", "a\nb"])
def test_paths_are_theirs(theirs: ModuleType, text: str) -> None:
    try:
        expected = str(theirs.Path(text))
    except Exception:
        with pytest.raises(exceptions.InvalidPathError):
            Path(text)
    else:
        assert str(Path(text)) == expected


@pytest.mark.parametrize("part", [*map(chr, range(1, 128)), "..", "b c%", "é", "日本", "a.b"])
def test_children_are_theirs(theirs: ModuleType, part: str) -> None:
    assert str(Path("a").child(part)) == str(theirs.Path("a").child(part))


# --- what it does


def test_the_example_of_their_readme() -> None:
    store = ObjectStore("memory://")
    store.put("data", b"some data")
    data = store.get("data")
    assert data == b"some data"
    assert type(data) is bytes
    [blob] = store.list()
    meta: ObjectMeta = store.head("data")
    assert blob == meta
    range = store.get_range("data", start=0, length=4)
    assert range == b"some"
    assert type(range) is bytes
    store.copy("data", "copied")
    assert store.get("copied") == data


def test_the_store_of_the_top_level() -> None:
    assert objstore.ObjectStore is ObjectStore
    objstore.ObjectStore("memory://").put("data", b"some data")


def test_put_and_get(call: Callable[..., Any]) -> None:
    stream = io.BytesIO(b"12345")
    stream.seek(2)
    for location, given, expected in (
        ("a/str", b"1", b"1"),
        (["a", "list"], bytearray(b"2"), b"2"),
        (Path("a/path"), stream, b"345"),
        ("a/empty", b"", b""),
    ):
        assert call("put", location, given) is None
        assert call("get", location) == expected
        assert type(call("get", location)) is bytes
    assert call("head", ["a", "path"]).size == 3


def test_get_range(call: Callable[..., Any], store: ObjectStore) -> None:
    store.put("a", b"0123456789")
    assert call("get_range", "a", 2, 3) == b"234"
    assert call("get_range", "a", start=5, length=100) == b"56789"
    assert call("get_range", "a", 3, 0) == b""
    with pytest.raises(exceptions.InvalidRangeError):
        call("get_range", "a", 10, 1)
    with pytest.raises(exceptions.InvalidRangeError):
        call("get_range", "a", -1, 1)


def test_head_and_list(call: Callable[..., Any], store: ObjectStore) -> None:
    for path in ("a/b/c", "a/d", "ab", "e/f"):
        store.put(path, path.encode())
    meta = call("head", "a/d")
    assert (meta.location, meta.size) == (Path("a/d"), 3)
    assert type(meta.last_modified) is int
    assert [str(found.location) for found in call("list")] == ["a/b/c", "a/d", "ab", "e/f"]
    assert [str(found.location) for found in call("list", "a")] == ["a/b/c", "a/d"]
    assert [str(found.location) for found in call("list", ["a", "b"])] == ["a/b/c"]
    assert call("list_with_delimiter", Path("a")) == ListResult([Path("a/b")], [meta])
    assert call("list_with_delimiter").common_prefixes == [Path("a"), Path("e")]


def test_copy_rename_and_delete(call: Callable[..., Any], store: ObjectStore) -> None:
    store.put("a", b"1")
    store.put("other", b"2")
    call("copy", "a", "b")
    call("copy_if_not_exists", "a", "c")
    call("rename", "b", "d")
    call("rename_if_not_exists", "c", "e")
    for name in ("copy_if_not_exists", "rename_if_not_exists"):
        with pytest.raises(FileExistsError):
            call(name, "a", "other")
    call("copy", "a", "other")
    call("delete", "a")
    assert {str(meta.location): store.get(meta.location) for meta in store.list()} == dict.fromkeys(
        ("d", "e", "other"), b"1"
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get", ["none"]),
        ("head", ["none"]),
        ("get_range", ["none", 0, 1]),
        ("copy", ["none", "a"]),
        ("copy_if_not_exists", ["none", "a"]),
        ("rename", ["none", "a"]),
        ("rename_if_not_exists", ["none", "a"]),
    ],
)
def test_what_does_not_exist(call: Callable[..., Any], name: str, arguments: list[Any]) -> None:
    with pytest.raises(FileNotFoundError):
        call(name, *arguments)


def test_what_is_no_path_or_no_bytes(call: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="is no path"):
        call("get", 5)
    with pytest.raises(exceptions.InvalidPathError):
        call("get", "a//b")
    with pytest.raises(ValueError, match="cannot be stored"):
        call("put", "a", "text")
    assert _as_path("a") == _as_path(["a"]) == _as_path(Path("a"))
    assert _as_bytes(io.BytesIO(b"1")) == _as_bytes(b"1") == b"1"


# --- values


def test_values_compare_hash_and_pickle() -> None:
    meta = ObjectMeta(Path("a"), 1, 2)
    options = ClientOptions(timeout=5, content_type_map={"txt": "text/plain"})
    values = [Path("a/b"), meta, ListResult([Path("a")], [meta]), options]
    for value, other in itertools.product(values, values):
        assert (value == other) is (value is other)
    for value in values:
        assert pickle.loads(pickle.dumps(value)) == value
    assert len({Path("a"), Path("/a/"), meta, ObjectMeta(Path("a"), 1, 2)}) == 2
    assert Path("a") != "a"
    assert repr(meta) == "ObjectMeta(location=Path('a'), size=1, last_modified=2)"


def test_client_options_become_ours() -> None:
    options = ClientOptions(
        user_agent="me", allow_http=True, allow_insecure=True, timeout=5, retry_max_retries=3, retry_backoff_base=3
    )
    options.retry_timeout = 7
    store = ObjectStore("s3://bucket/prefix", {"aws_region": "eu-west-1"}, options).store
    assert isinstance(store, S3Store)
    assert store.prefix == "prefix"
    assert store.config == {"bucket": "bucket", "region": "eu-west-1"}
    client = {"user_agent": "me", "allow_http": "true", "allow_invalid_certificates": "true", "timeout": "5s"}
    assert store.client_options == client
    assert store.retry_config["max_retries"] == 3
    assert store.retry_config["retry_timeout"] == timedelta(seconds=7)
    assert store.retry_config["backoff"]["base"] == 3
    with pytest.raises(TypeError):
        ClientOptions(unknown=1)  # type: ignore[call-arg]


def test_a_pickle_keeps_everything() -> None:
    options = ClientOptions(timeout=5, content_type_map={"txt": "text/plain"})
    store = ObjectStore("s3://bucket", {"region": "eu-west-1"}, options)
    again = pickle.loads(pickle.dumps(store))
    assert again.store == store.store
    assert again.store.client_options == {"timeout": "5s"}
    assert again.content_type(Path("a/b.txt")) == "text/plain"


def test_content_types_by_ending() -> None:
    store = ObjectStore("memory://", client_options=ClientOptions(content_type_map={"txt": "text/plain"}))
    for path in ("a.txt", "b.bin", "c.d/txt", "txt"):
        store.put(path, b"1")
    types = {
        path: store.store.get(path).attributes.get("Content-Type") for path in ("a.txt", "b.bin", "c.d/txt", "txt")
    }
    assert types == {"a.txt": "text/plain", "b.bin": None, "c.d/txt": None, "txt": None}


def test_a_store_has_its_settings_already() -> None:
    with pytest.raises(TypeError, match="already"):
        ObjectStore(MemoryStore(), {"region": "eu-west-1"})


@pytest.mark.parametrize("root", ["ftp://host/path", "gopher://x"])
def test_a_root_of_another_kind(root: str) -> None:
    with pytest.raises(exceptions.ConfigurationError):
        ObjectStore(root)


def test_on_a_server(moto: S3Server) -> None:
    bucket = moto.make_bucket("compat")
    options = {
        "aws_endpoint": moto.endpoint,
        "aws_region": moto.region,
        "aws_access_key_id": moto.access_key_id,
        "aws_secret_access_key": moto.secret_access_key,
    }
    client_options = ClientOptions(allow_http=True, content_type_map={"json": "application/json"})
    store = ObjectStore(f"s3://{bucket}/below", options, client_options)
    store.put("a.json", b"{}")
    assert [(str(meta.location), meta.size) for meta in store.list()] == [("a.json", 2)]
    head = moto.client().head_object(Bucket=bucket, Key="below/a.json")
    assert head["ContentType"] == "application/json"
    assert store.head("a.json").last_modified == int(head["LastModified"].timestamp())


def test_on_googles_server(strictgcs: GoogleServer) -> None:
    bucket = strictgcs.make_bucket("compat")
    store = ObjectStore(
        f"gs://{bucket}/below",
        {"google_base_url": strictgcs.endpoint, "google_skip_signature": "true"},
        ClientOptions(allow_http=True),
    )
    store.put("a.json", b"{}")
    store.rename("a.json", "b.json")
    assert [(str(meta.location), meta.size) for meta in store.list()] == [("b.json", 2)]
    with pytest.raises(exceptions.AlreadyExistsError):
        store.copy_if_not_exists("b.json", "b.json")
    assert store.get_range("b.json", 1, 1) == b"}"


def test_on_azure(azurite: AzureServer) -> None:
    container = azurite.make_container("compat")
    options = {
        "azure_storage_account_name": azurite.account_name,
        "azure_storage_account_key": azurite.account_key,
        "azure_storage_endpoint": azurite.endpoint,
    }
    client_options = ClientOptions(allow_http=True, content_type_map={"json": "application/json"})
    store = ObjectStore(f"az://{container}/below", options, client_options)
    store.put("a.json", b"{}")
    assert [(str(meta.location), meta.size) for meta in store.list()] == [("a.json", 2)]
    told = azurite.client().get_blob_client(container, "below/a.json").get_blob_properties()
    assert told.content_settings.content_type == "application/json"
    assert store.head("a.json").last_modified == int(told.last_modified.timestamp())
    store.copy("a.json", "b.json")
    store.rename("b.json", "c.json")
    store.delete("a.json")
    assert store.get("c.json") == b"{}"


def test_the_example_with_pyarrow(tmp_path: LocalPath, monkeypatch: pytest.MonkeyPatch) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow import fs

    from objstore.compat.object_store import ArrowFileSystemHandler

    table = pa.table({"a": range(10), "c": [1, 2] * 5})
    filesystem = fs.PyFileSystem(ArrowFileSystemHandler("memory://"))
    pq.write_table(table.slice(0, 5), "data/data1.parquet", filesystem=filesystem)
    pq.write_table(table.slice(5, 10), "data/data2.parquet", filesystem=filesystem)
    assert ds.dataset("data", format="parquet", filesystem=filesystem).to_table() == table
