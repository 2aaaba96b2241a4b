"""What is fsspec's own about our filesystems: files, names, options, pickles, secrets, and those who use them."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fsspec")

import fsspec
from fsspec.config import conf
from fsspec.implementations.reference import ReferenceFileSystem
from fsspec.registry import _registry

from objstore.exceptions import (
    ConfigurationError,
    NotSupportedError,
    ObjectChangedError,
    PreconditionError,
    UnknownConfigurationKeyError,
)
from objstore.fsspec import SUPPORTED_PROTOCOLS, BufferedFile, FsspecStore, register
from tests.servers import AzureServer, S3Server, WebDavServer, free_port, running

ROOT = Path(__file__).parents[1]
SECRET = "wJalrXUtnFEMI/K7MDENG"
KEY = base64.b64encode(SECRET.ljust(32).encode()).decode()
OWN = bytes(range(32))
BUCKET = "fsspec-own"


@pytest.fixture
def fs() -> FsspecStore:
    return FsspecStore("memory", skip_instance_cache=True)


def options(server: S3Server) -> dict[str, Any]:
    return {
        "key": server.access_key_id,
        "secret": server.secret_access_key,
        "client_kwargs": {"endpoint_url": server.endpoint, "region_name": server.region},
    }


@pytest.fixture
def s3(ministack: S3Server) -> FsspecStore:
    ministack.make_bucket(BUCKET)
    return FsspecStore("s3", **options(ministack), skip_instance_cache=True)


@pytest.fixture
def website(tmp_path: Path) -> Iterator[str]:
    """The URL of a folder that a plain web server has to show."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind=127.0.0.1", f"--directory={tmp_path}"]
    with running(command, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def restored() -> Iterator[None]:
    """What is registered in fsspec, put back after the test."""
    before = dict(_registry)
    yield
    _registry.clear()
    _registry.update(before)


# --- files


def test_read_and_seek(fs: FsspecStore) -> None:
    fs.pipe_file("x", b"one\ntwo\nthree")
    with fs.open("x") as file:
        assert isinstance(file, BufferedFile)
        assert isinstance(file, io.IOBase)
        assert (file.size, file.read(5), file.tell()) == (13, b"one\nt", 5)
        assert (file.seek(-5, 2), file.read()) == (8, b"three")
        file.seek(0)
        assert (file.readline(), file.readline(2), file.readline(), file.readline(), file.readline()) == (
            *(b"one\n", b"tw", b"o\n", b"three"),
            b"",
        )
        file.seek(4)
        assert [*file] == [b"two\n", b"three"]
    with fs.open("x", "r") as text:
        assert text.read().splitlines() == ["one", "two", "three"]
    with pytest.raises(ValueError, match="closed"):
        file.read()


@pytest.mark.parametrize("cache", ["none", "readahead", "bytes", "all", "first", "blockcache", "background"])
def test_caches_of_fsspec(fs: FsspecStore, cache: str) -> None:
    body = os.urandom(100_000)
    fs.pipe_file("x", body)
    with fs.open("x", block_size=1000, cache_type=cache) as file:
        for start, size in [(0, 10), (99_990, 50), (500, 5000), (0, 100_000)]:
            file.seek(start)
            assert file.read(size) == body[start : start + size]


def test_write(fs: FsspecStore) -> None:
    with fs.open("x", "wb", buffer_size=100) as file:
        assert file.write(b"x" * 1000) == 1000
        assert file.write(memoryview(b"y" * 10)) == 10
        assert file.tell() == 1010
        file.flush()
        assert not fs.exists("x")
    assert fs.cat("x") == b"x" * 1000 + b"y" * 10
    with fs.open("t", "w", encoding="utf-16") as text:
        text.write("grün")
    assert fs.cat("t") == "grün".encode("utf-16")
    with fs.open("t", "a", encoding="utf-16") as text:
        text.write("er")
    assert fs.cat("t") == "grüner".encode("utf-16")
    with pytest.raises(io.UnsupportedOperation), fs.open("x") as file:
        file.write(b"")


@pytest.mark.parametrize("mode", ["wb", "w", "xt", "a"])
def test_what_failed_is_not_written(fs: FsspecStore, mode: str) -> None:
    def fail() -> None:
        with fs.open("x", mode) as file:
            file.write(b"half" if "b" in mode else "half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not fs.exists("x")


def test_modes(fs: FsspecStore) -> None:
    with fs.open("x", "xb") as file:
        file.write(b"1")
    with pytest.raises(FileExistsError):
        fs.open("x", "xb")
    for mode in ("r+b", "w+b"):
        with pytest.raises(ValueError, match="Get it into a local file"):
            fs.open("x", mode)
    with pytest.raises(FileNotFoundError):
        fs.open("nope")
    fs.pipe_file("folder/x", b"")
    with pytest.raises(IsADirectoryError):
        fs.open("folder")


def test_a_folder_with_files_is_not_removed_in_silence(fs: FsspecStore, s3: FsspecStore) -> None:
    for files, folder in ((fs, "folder"), (s3, f"{BUCKET}/folder")):
        files.rmdir(folder)  # there is none
        files.pipe_file(f"{folder}/x", b"")
        with pytest.raises(OSError, match="Directory not empty"):
            files.rmdir(folder)
        files.rm(f"{folder}/x")
        files.rmdir(folder)


def test_append(fs: FsspecStore) -> None:
    for piece in (b"first", b" and second"):
        with fs.open("x", "ab") as file:
            assert file.tell() == (fs.size("x") if fs.exists("x") else 0)
            file.write(piece)
    assert fs.cat("x") == b"first and second"


def test_append_to_what_somebody_else_has_changed(fs: FsspecStore) -> None:
    fs.pipe("x", b"1")
    for path, other in (("x", b"other"), ("new", b"other")):
        file = fs.open(path, "ab")
        file.write(b"2")
        fs.pipe(path, other)
        with pytest.raises((PreconditionError, FileExistsError)):
            file.close()
        assert fs.cat(path) == other


def test_append_in_parts(s3: FsspecStore) -> None:
    large = os.urandom(17 << 20)
    s3.pipe(f"{BUCKET}/large", large)
    with s3.open(f"{BUCKET}/large", "ab", buffer_size=5 << 20) as file:
        file.write(b"end")
    assert s3.cat(f"{BUCKET}/large") == large + b"end"


@pytest.mark.parametrize("path", [f"{BUCKET}/tree", f"{BUCKET}/tr*"])
def test_a_tree_whose_folders_have_objects_of_their_names_is_removed(s3: FsspecStore, path: str) -> None:
    names = ["tree", "tree/", "tree/a", "tree/a/", "tree/a/b", "tree//c", "trees" if "*" in path else "tree/d"]
    store = s3._construct_store(BUCKET)
    store.put_many([(name, b"1") for name in names])
    store.put("other", b"1")
    s3.rm(path, recursive=True)
    assert [meta["path"] for meta in store.list("tree").collect()] == []
    assert s3.exists(f"{BUCKET}/other")
    with pytest.raises(FileNotFoundError):
        s3.rm(f"{BUCKET}/tree", recursive=True)


def test_one_of_two_creators_wins(fs: FsspecStore) -> None:
    first, second = fs.open("x", "xb"), fs.open("x", "xb")
    first.write(b"first")
    second.write(b"second")
    first.close()
    with pytest.raises(FileExistsError):
        second.close()
    assert fs.cat("x") == b"first"


def test_a_file_replaced_while_it_is_read(s3: FsspecStore) -> None:
    path = f"{BUCKET}/changing"
    s3.pipe_file(path, b"old" * 100_000)
    with s3.open(path, cache_type="none") as file:
        assert file.read(3) == b"old"
        s3.pipe_file(path, b"new" * 100_000)
        with pytest.raises(ObjectChangedError):
            file.read(150_000)


def test_attributes_are_stored(s3: FsspecStore) -> None:
    with s3.open(f"{BUCKET}/typed", "wb", attributes={"Content-Type": "text/csv"}) as file:
        file.write(b"a,b")
    assert s3._construct_store(BUCKET).get("typed").attributes["Content-Type"] == "text/csv"


def unfinished(server: S3Server) -> list[Any]:
    uploads: list[Any] = server.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return uploads


def test_a_large_file_is_sent_in_parts_while_it_is_written(ministack: S3Server, s3: FsspecStore) -> None:
    body = os.urandom(12 << 20)
    with s3.open(f"{BUCKET}/parts", "wb", buffer_size=5 << 20) as file:
        file.write(body)
        assert len(unfinished(ministack)) == 1
    assert s3.cat_file(f"{BUCKET}/parts") == body
    assert s3.info(f"{BUCKET}/parts")["e_tag"].endswith('-3"')


def test_parts_of_what_failed_are_dropped(ministack: S3Server, s3: FsspecStore) -> None:
    def fail() -> None:
        with s3.transaction:
            with s3.open(f"{BUCKET}/half", "wb", buffer_size=5 << 20) as file:
                file.write(bytes(12 << 20))
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    async def forget() -> None:
        file = await s3.open_async(f"{BUCKET}/half", "wb")
        await file.write(bytes(12 << 20))

    with pytest.warns(ResourceWarning, match="never closed"):
        asyncio.run(forget())
    assert unfinished(ministack) == []
    assert not s3.exists(f"{BUCKET}/half")


def test_transactions(fs: FsspecStore) -> None:
    with fs.transaction:
        with fs.open("a", "wb") as file:
            file.write(b"1")
        assert not fs.exists("a")
    assert fs.cat("a") == b"1"

    def fail() -> None:
        with fs.transaction:
            with fs.open("b", "wb") as file:
                file.write(b"2")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not fs.exists("b")


def test_open_files_can_be_pickled(ministack: S3Server, s3: FsspecStore) -> None:
    s3 = FsspecStore("s3", **options(ministack))
    s3.pipe_file(f"{BUCKET}/x", b"0123456789")
    with s3.open(f"{BUCKET}/x") as file:
        file.seek(4)
        assert pickle.loads(pickle.dumps(file)).read() == b"456789"


# --- web servers


def test_a_plain_web_server(website: str, tmp_path: Path) -> None:
    """It says of one path whether there is something, and lists nothing."""
    (tmp_path / "x").write_bytes(b"0123456789")
    fs = FsspecStore("http", client_options={"allow_http": True}, skip_instance_cache=True)
    none = f"{website}/none"
    assert fs.cat_file(f"{website}/x", start=-3) == b"789"
    assert (fs.isfile(f"{website}/x"), fs.exists(none), fs.isdir(none)) == (True, False, False)
    with pytest.raises(FileNotFoundError):
        fs.info(none)
    with pytest.raises(NotSupportedError, match="no WebDAV"):
        fs.ls(f"{website}/")


def test_many_copies_into_a_folder_that_is_to_be_made(webdav: WebDavServer) -> None:
    fs = FsspecStore(
        "http",
        username=webdav.username,
        password=webdav.password,
        client_options={"allow_http": True},
        skip_instance_cache=True,
    )
    fs.pipe({f"{webdav.url}/from/{number}": b"1" for number in range(20)})
    for attempt in range(40):
        fs.copy(f"{webdav.url}/from/", f"{webdav.url}/to/{attempt}/below/", recursive=True)
    assert len(fs.find(f"{webdav.url}/to")) == 40 * 20


# --- names


def test_what_only_the_latest_fsspec_has_is_not_needed() -> None:
    lacking = "import fsspec.asyn, fsspec.utils as u; vars(u).pop('check_contained', None); import objstore.fsspec"
    subprocess.run([sys.executable, "-c", lacking], check=True)


@pytest.mark.parametrize("name", ["../x", "a/../../x"])
def test_nothing_is_downloaded_to_outside_of_the_folder(s3: FsspecStore, tmp_path: Path, name: str) -> None:
    s3.pipe_file(f"{BUCKET}/tree/{name}", b"1")
    with pytest.raises(ValueError, match="outside of"):
        s3.get(f"{BUCKET}/tree/", f"{tmp_path}/in/", recursive=True)
    assert not [*tmp_path.rglob("x")]
    s3.rm_file(f"{BUCKET}/tree/{name}")


def test_protocols() -> None:
    assert {
        *("abfs", "abfss", "adl", "az", "azure", "file", "gcs", "gs", "http", "https", "memory", "s3", "s3a"),
    } == SUPPORTED_PROTOCOLS
    with pytest.raises(ValueError, match="protocol = 'ftp'"):
        FsspecStore("ftp")
    with pytest.raises(ValueError, match="give a protocol"):
        FsspecStore()
    with pytest.raises(ValueError, match="protocol = 'ftp'"):
        register("ftp")


@pytest.mark.parametrize(
    ("protocol", "url", "path", "split"),
    [
        ("s3", "s3://bucket/a/b", "bucket/a/b", ("bucket", "a/b")),
        ("s3", "s3a://bucket/a/", "bucket/a", ("bucket", "a")),
        ("s3", "objs3://bucket", "bucket", ("bucket", "")),
        ("s3", "bucket/a//b", "bucket/a//b", ("bucket", "a//b")),
        ("s3", "bucket/s3://x", "bucket/s3://x", ("bucket", "s3://x")),
        ("gcs", "gs://bucket/a", "bucket/a", ("bucket", "a")),
        ("abfs", "abfs://box@account.dfs.core.windows.net/a", "box@account.dfs.core.windows.net/a", None),
        ("https", "https://host:1/a", "host:1/a", ("host:1", "a")),
        ("https", "https://host:1/a%20b/", "host:1/a%20b", ("host:1", "a b")),
        ("https", "https://host:1/a?b/", "host:1/a?b/", ("host:1/a?b/", "")),
        ("file", "file:///tmp/a", "/tmp/a", ("", "tmp/a")),
        ("file", "/tmp/a/", "/tmp/a", ("", "tmp/a")),
        ("memory", "memory://a/b", "a/b", ("", "a/b")),
        ("memory", "/a", "a", ("", "a")),
    ],
)
def test_paths(protocol: str, url: str, path: str, split: tuple[str, str] | None) -> None:
    fs = FsspecStore(protocol, skip_instance_cache=True)
    assert fs._strip_protocol(url) == path
    assert split is None or fs._split_path(url) == split
    assert fs._strip_protocol(fs.unstrip_protocol(url)) == path
    assert fs.unstrip_protocol(path).startswith(f"{protocol}://")


def test_the_url_of_another_service_is_refused(fs: FsspecStore) -> None:
    with pytest.raises(ValueError, match=r"Expected protocol to be memory\. Got s3: give a URL of"):
        fs.cat_file("s3://bucket/x")


def test_register(restored: None) -> None:
    register("s3", asynchronous=True)
    register(["gcs", "memory"])
    assert type(fsspec.filesystem("s3")).__name__ == "FsspecStore_s3_asynchronous"
    assert fsspec.filesystem("s3").asynchronous
    assert fsspec.filesystem("gcs").protocol == "gcs"
    assert isinstance(fsspec.filesystem("memory"), FsspecStore)
    register()
    assert isinstance(fsspec.filesystem("https"), FsspecStore)
    assert not fsspec.filesystem("s3").asynchronous
    assert fsspec.get_filesystem_class("file").__module__ == "fsspec.implementations.local"


def test_entry_points_give_names_of_our_own(tmp_path: Path) -> None:
    """As after installation, in a new process: our names are there, and nobody else's are taken."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["fsspec.specs"]
    assert set(points) == {"obj" + protocol for protocol in SUPPORTED_PROTOCOLS}
    info = tmp_path / "objstore_test-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: objstore-test\nVersion: 1\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[fsspec.specs]", *lines]))
    code = """if True:
        import fsspec
        with fsspec.open("objmemory://a/x", "w") as file:
            file.write("text")
        print(fsspec.open("objmemory://a/x", "r").open().read(), fsspec.get_filesystem_class("memory").__name__)
        print(*(fsspec.get_filesystem_class("obj" + name).protocol for name in ("s3", "gs", "https")))
        print(fsspec.url_to_fs("objs3://bucket/key", anon=True)[1])
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["text", "MemoryFileSystem", "objs3", "objgs", "objhttps", "bucket/key"]


# --- options


def test_one_store_for_each_bucket(ministack: S3Server) -> None:
    fs = FsspecStore("s3", **options(ministack), max_cache_size=2, skip_instance_cache=True)
    assert fs._construct_store("a") is fs._construct_store("a")
    assert fs._construct_store("a") is not fs._construct_store("b")
    assert fs._construct_store.cache_info().maxsize == 2
    with pytest.raises(ValueError, match="max_cache_size"):
        FsspecStore("memory", max_cache_size=0)


def test_options_of_s3fs() -> None:
    fs = FsspecStore(
        "s3",
        anon=False,
        key="id",
        secret=SECRET,
        token=None,
        endpoint_url="http://127.0.0.1:9",
        requester_pays=True,
        client_kwargs={"region_name": "eu-west-1", "verify": False},
        config_kwargs={"connect_timeout": 7, "max_pool_connections": 5, "s3": {"addressing_style": "virtual"}},
        s3_additional_kwargs={"ServerSideEncryption": "AES256"},
        default_block_size=1 << 20,
        skip_instance_cache=True,
    )
    store = fs._construct_store("bucket")
    assert store.config == {
        "access_key_id": "id",
        "bucket": "bucket",
        "endpoint": "http://127.0.0.1:9",
        "region": "eu-west-1",
        "request_payer": "true",
        "secret_access_key": SECRET,
        "server_side_encryption": "AES256",
        "skip_signature": "false",
        "virtual_hosted_style_request": "true",
    }
    assert store.client_options == {
        "allow_http": "true",
        "allow_invalid_certificates": "true",
        "connect_timeout": "7s",
        "max_connections": "5",
    }
    assert fs._given.files == {"block_size": 1 << 20}


@pytest.mark.parametrize(
    ("retries", "most"),
    [
        (3, 3),
        ({"max_attempts": 0}, 0),
        ({"total_max_attempts": 1}, 0),
        ({"total_max_attempts": 4, "max_attempts": 9}, 3),
    ],
)
def test_retries_of_s3fs_count_as_botocore_counts_them(retries: Any, most: int) -> None:
    """https://botocore.amazonaws.com/v1/documentation/api/latest/reference/config.html."""
    store = FsspecStore("s3", anon=True, config_kwargs={"retries": retries})._construct_store("bucket")
    assert store.retry_config["max_retries"] == most


def test_a_bucket_is_made_in_no_other_way_than_the_filesystem_says() -> None:
    """s3fs takes region_name there: passed over, the bucket would be elsewhere for good."""
    fs = FsspecStore("s3", key="k", secret="s", endpoint_url="http://127.0.0.1:9")
    with pytest.raises(NotSupportedError, match="'bucket' cannot be made with acl, region_name"):
        fs.mkdir("bucket", region_name="eu-west-1", acl="private")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"session": "x"}, "session"),
        ({"version_aware": True}, "version_aware"),
        ({"client_kwargs": {"api_version": "x"}}, "client_kwargs"),
        ({"client_kwargs": "x"}, "client_kwargs"),
        ({"s3_additional_kwargs": {"ACL": "public-read"}}, "ACL"),
        ({"config_kwargs": {"s3": {"addressing_style": "x"}}}, "addressing_style"),
        ({"key": "a", "client_kwargs": {"aws_access_key_id": "b"}}, "access_key_id"),
        ({"secret": SECRET, "password": SECRET + "x"}, "secret_access_key"),
    ],
)
def test_options_without_a_meaning(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        FsspecStore("s3", **given)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k", "SSEKMSEncryptionContext": "eyJhIjogImIifQ=="},
            {"server_side_encryption": "aws:kms", "sse_kms_key_id": "k", "sse_kms_encryption_context": '{"a": "b"}'},
        ),
        (
            {"SSECustomerKey": OWN, "SSECustomerAlgorithm": "AES256"},
            {"sse_customer_key_base64": base64.b64encode(OWN).decode()},
        ),
        ({"SSECustomerKey": "k" * 32}, {"sse_customer_key_base64": base64.b64encode(b"k" * 32).decode()}),
        ({"ChecksumAlgorithm": "CRC32C"}, {"checksum_algorithm": "crc32c"}),
    ],
)
def test_what_s3fs_sends_with_every_write(given: dict[str, Any], settings: dict[str, str]) -> None:
    fs = FsspecStore("s3", s3_additional_kwargs=given, skip_instance_cache=True)
    assert fs._given.settings == settings
    fs._construct_store("bucket")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"SSEKMSEncryptionContext": '{"a": "planted"}'}, "SSEKMSEncryptionContext"),
        ({"SSEKMSEncryptionContext": base64.b64encode(b"[planted").decode()}, "SSEKMSEncryptionContext"),
        ({"SSECustomerKey": "planted"}, "SSECustomerKey.*32 bytes"),
        ({"SSECustomerKey": 5}, "SSECustomerKey.*32 bytes"),
        ({"SSECustomerKey": OWN, "SSECustomerAlgorithm": "aes"}, "SSECustomerAlgorithm"),
        ({"SSECustomerKeyMD5": "planted"}, "SSECustomerKeyMD5.*by itself"),
        ({"CopySourceSSECustomerKey": OWN}, "CopySourceSSECustomerKey.*by itself"),
        ({"StorageClass": "GLACIER"}, "StorageClass.*attributes"),
        ({"ObjectLockMode": "COMPLIANCE"}, "ObjectLockMode.*attributes"),
        ({"ACL": "public-read"}, "ACL"),
    ],
)
def test_what_s3fs_sends_and_has_no_meaning(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as refused:
        FsspecStore("s3", s3_additional_kwargs=given, skip_instance_cache=True)
    assert "planted" not in str(refused.value)


def test_options_of_gcsfs() -> None:
    fs = FsspecStore(
        "gs", endpoint_url="http://127.0.0.1:9", token="anon", requester_pays="payer", skip_instance_cache=True
    )
    store = fs._construct_store("bucket")
    wanted = {"base_url": "http://127.0.0.1:9", "skip_signature": "true", "user_project": "payer", "bucket": "bucket"}
    assert (store.config, store.client_options) == (wanted, {"allow_http": "true"})
    with pytest.raises(ConfigurationError, match="requester_pays"):
        FsspecStore("gs", requester_pays=True)


def test_unknown_settings() -> None:
    with pytest.raises(UnknownConfigurationKeyError, match="acess_key_id"):
        FsspecStore("s3", acess_key_id="x")
    with pytest.raises(UnknownConfigurationKeyError, match="'timeout'"):
        FsspecStore("s3", client_options={"time_out": 3})
    assert FsspecStore("s3", profile="p")._given.settings == {"profile": "p"}
    for protocol in ("memory", "file", "https"):
        with pytest.raises(ConfigurationError, match="region"):
            FsspecStore(protocol, region="x")


def test_options_of_gcsfs_and_adlfs() -> None:
    google = FsspecStore("gs", token="anon", endpoint_url="http://127.0.0.1:9")._given.settings
    assert google == {"skip_signature": True, "base_url": "http://127.0.0.1:9"}
    assert FsspecStore("gcs", token="/key.json")._given.settings == {"application_credentials": "/key.json"}
    assert FsspecStore("gcs", token={"type": "x"})._given.settings == {"service_account_key": '{"type": "x"}'}
    assert FsspecStore("gcs", token="google_default")._given.settings == {}
    assert FsspecStore("gcs", project="mine")._given.settings == {"project_id": "mine"}
    text = f"DefaultEndpointsProtocol=https;AccountName=me;AccountKey={KEY};EndpointSuffix=core.windows.net"
    az = FsspecStore("az", connection_string=text)
    assert (az._given.settings, az._given.client_options) == ({"connection_string": text}, {})
    store = az._construct_store("bucket")
    assert store.provider.service.origin == "https://me.blob.core.windows.net"
    with pytest.raises(ConfigurationError, match="part 3 has a name that is none") as refused:
        FsspecStore("az", connection_string=text.replace("AccountKey", "AccountKye"))
    assert KEY not in str(refused.value)
    assert FsspecStore("az", credential="sv=1&sig=x")._given.settings == {"sas_key": "sv=1&sig=x"}
    for protocol, given in [("gcs", {"token": object()}), ("az", {"credential": object()})]:
        with pytest.raises(ConfigurationError):
            FsspecStore(protocol, **given)


@pytest.mark.parametrize("protocol", ["DefaultEndpointsProtocol=http;", ""])
def test_the_connection_string_of_an_emulator(azurite: AzureServer, protocol: str) -> None:
    """As Azurite's manual has it: it may be without TLS, and nothing else has to say so."""
    key = f"AccountName={azurite.account_name};AccountKey={azurite.account_key}"
    bucket = azurite.make_container("connected")
    fs = FsspecStore("az", connection_string=f"{protocol}{key};BlobEndpoint={azurite.endpoint};")
    fs.pipe(f"{bucket}/a", b"1")
    assert fs.cat(f"{bucket}/a") == b"1"
    assert azurite.account_key not in fs.to_json(include_password=False)


# --- what is written down


def test_pickle_and_json(ministack: S3Server) -> None:
    fs = FsspecStore("s3", **options(ministack))
    again = pickle.loads(pickle.dumps(fs))
    assert again is fs
    assert FsspecStore.from_json(fs.to_json()) is fs
    assert FsspecStore.from_dict(fs.to_dict()) is fs
    code = "import pickle, sys; print(type(pickle.load(sys.stdin.buffer)).__name__)"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, input=pickle.dumps(fs), capture_output=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == b"FsspecStore_s3"


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = FsspecStore(
        "s3",
        key="visible-id",
        secret=SECRET,
        client_kwargs={"aws_session_token": SECRET, "region_name": "eu-west-1"},
        config={"sse_customer_key_base64": KEY},
        client_options={"default_headers": {"Authorization": SECRET}, "proxy_url": f"http://u:{SECRET}@h"},
    )
    shown = fs.to_json(include_password=False)
    everything = shown + str(fs.to_dict(include_password=False)) + repr(fs) + repr(fs._given) + str(fs)
    assert SECRET not in everything
    assert KEY not in everything
    assert json.loads(shown)["client_kwargs"] == {"region_name": "eu-west-1"}
    assert SECRET in fs.to_json()


def test_nothing_of_the_environment_is_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setitem(conf, "s3", {"key": "key", "secret": SECRET, "token": SECRET})  # as FSSPEC_S3_TOKEN sets it
    fs = FsspecStore("s3", region="eu-west-1", skip_instance_cache=True)
    fs._construct_store("bucket")
    assert SECRET.encode() not in pickle.dumps(fs)
    assert SECRET not in fs.to_json()
    key = {"access_key_id": "key", "secret_access_key": SECRET, "session_token": SECRET}
    assert fs._given.settings == {"region": "eu-west-1", **key}


# --- threads and processes


def test_blocking_calls_start_no_thread_of_fsspec(tmp_path: Path) -> None:
    code = """if True:
        import threading
        from objstore.fsspec import FsspecStore
        fs = FsspecStore("memory")
        fs.pipe({"a": b"1", "b/c": b"2"})
        assert fs.cat("", recursive=True) == {"a": b"1", "b/c": b"2"}
        with fs.open("d", "wb") as file:
            file.write(b"3")
        fs.get("", "got/", recursive=True), fs.glob("**"), fs.info("b"), fs.rm("b", recursive=True)
        print([thread.name for thread in threading.enumerate()])
    """
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "['MainThread']"


def read_in_child(fs: FsspecStore, path: str, answers: Any) -> None:
    answers.put((fs.cat_file(path), asyncio.run(fs._cat_file(path)), fs.loop is not None))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_child_uses_what_its_parent_used(s3: FsspecStore, start: str) -> None:
    path = f"{BUCKET}/shared"
    s3.pipe_file(path, b"shared")
    assert s3.cat_file(path) == b"shared"
    context = multiprocessing.get_context(start)
    answers = context.Queue()
    child = context.Process(target=read_in_child, args=(s3, path, answers))
    child.start()
    assert answers.get(timeout=60) == (b"shared", b"shared", True)
    child.join(60)
    assert child.exitcode == 0
    assert s3.cat_file(path) == b"shared"


def test_many_threads(s3: FsspecStore) -> None:
    found: dict[int, bytes] = {}

    def work(number: int) -> None:
        s3.pipe_file(f"{BUCKET}/t{number}", b"%d" % number)
        found[number] = s3.cat_file(f"{BUCKET}/t{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: b"%d" % number for number in range(16)}


# --- those who use it


@pytest.fixture
def table() -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"a": range(1000), "b": [f"text {number}" for number in range(1000)]})


def test_pandas(ministack: S3Server, s3: FsspecStore, table: Any, restored: None) -> None:
    pandas = pytest.importorskip("pandas")
    register("s3")
    table.to_csv(f"s3://{BUCKET}/x.csv.gz", index=False, storage_options=options(ministack))
    assert pandas.read_csv(f"s3://{BUCKET}/x.csv.gz", storage_options=options(ministack)).equals(table)


def test_parquet(s3: FsspecStore, table: Any) -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    from fsspec.parquet import open_parquet_file

    for part in range(3):
        table.to_parquet(f"{BUCKET}/set/part={part}/x.parquet", filesystem=s3)
    assert pandas.read_parquet(f"{BUCKET}/set/part=0/x.parquet", filesystem=s3, columns=["a"]).equals(table[["a"]])
    assert len(pandas.read_parquet(f"{BUCKET}/set", filesystem=s3)) == 3000
    path = f"{BUCKET}/set/part=1/x.parquet"
    with open_parquet_file(path, fs=s3, columns=["b"], engine="pyarrow") as file:
        assert pandas.read_parquet(file, columns=["b"]).equals(table[["b"]])


def test_pyarrow(s3: FsspecStore) -> None:
    arrow = pytest.importorskip("pyarrow.fs")
    s3.pipe({f"{BUCKET}/arrow/a": b"1", f"{BUCKET}/arrow/b/c": b"22"})
    handler = arrow.PyFileSystem(arrow.FSSpecHandler(s3))
    file, folder, missing = handler.get_file_info([f"{BUCKET}/arrow/{name}" for name in ("a", "b", "x")])
    assert (file.size, file.mtime is not None) == (1, True)
    assert [info.type.name for info in (file, folder, missing)] == ["File", "Directory", "NotFound"]
    found = handler.get_file_info(arrow.FileSelector(f"{BUCKET}/arrow", recursive=True))
    assert sorted(info.base_name for info in found) == ["a", "b", "c"]
    with handler.open_input_file(f"{BUCKET}/arrow/b/c") as stream:
        assert stream.read() == b"22"


def test_universal_pathlib(ministack: S3Server, s3: FsspecStore, restored: None) -> None:
    upath = pytest.importorskip("upath")
    register("s3")
    folder = upath.UPath(f"s3://{BUCKET}/upath", **options(ministack))
    (folder / "a" / "x.txt").write_text("text")
    (folder / "a").mkdir(exist_ok=True)
    assert isinstance(folder.fs, FsspecStore)
    assert s3.cat(f"{BUCKET}/upath/a/x.txt") == b"text"
    assert [path.name for path in folder.rglob("*.txt")] == ["x.txt"]
    assert (folder / "a").is_dir()
    assert (folder / "a" / "x.txt").stat().st_size == 4
    (folder / "a" / "x.txt").unlink()
    assert not (folder / "a").exists()


def test_universal_pathlib_makes_its_own_bucket(ministack: S3Server, restored: None) -> None:
    from upath import UPath

    register("s3")
    path = UPath("s3://made-by-a-path/folder/file.txt", **options(ministack))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("héllo")
    path.touch()
    other = path.parent / "below" / "file.bin"
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_bytes(b"1")
    assert (path.read_text(), path.stat().st_size, path.is_file(), path.parent.is_dir()) == ("héllo", 6, True, True)
    assert sorted(each.name for each in path.parent.iterdir()) == ["below", "file.txt"]
    assert [each.name for each in path.parent.rglob("*.bin")] == ["file.bin"]
    moved = path.rename(path.with_name("moved.txt"))
    assert (path.exists(), moved.exists()) == (False, True)
    moved.unlink()
    moved.unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        moved.read_text()
    with path.open("w") as file:
        file.write("a\nb\n")
    with path.open() as file:
        assert [*file] == ["a\n", "b\n"]


def test_zipfile(fs: FsspecStore) -> None:
    with fs.open("x.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inside", b"zipped")
    with fs.open("x.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("inside") == b"zipped"


def test_reference_filesystem(s3: FsspecStore) -> None:
    s3.pipe({f"{BUCKET}/one": bytes(range(100)), f"{BUCKET}/two": b"second"})
    references = {"a": [f"{BUCKET}/one", 10, 5], "b": [f"{BUCKET}/two"], "c": "inline"}
    fs = ReferenceFileSystem(references, fs=s3, skip_instance_cache=True)
    assert fs.cat(["a", "b", "c"]) == {"a": bytes(range(10, 15)), "b": b"second", "c": b"inline"}
    assert fs.cat_ranges(["a", "b"], [1, 0], [3, 2]) == [bytes(range(11, 13)), b"se"]


def test_mapper(fs: FsspecStore) -> None:
    mapper = fs.get_mapper("root")
    mapper.update({"a": b"1", "b/c": b"2"})
    assert dict(mapper) == {"a": b"1", "b/c": b"2"}
    del mapper["a"]
    assert [*mapper] == ["b/c"]
    assert mapper.getitems(["b/c", "nope"], on_error="omit") == {"b/c": b"2"}
    with pytest.raises(KeyError):
        mapper["a"]


def test_chained_filesystems(fs: FsspecStore, tmp_path: Path) -> None:
    from fsspec.implementations.cached import SimpleCacheFileSystem
    from fsspec.implementations.dirfs import DirFileSystem

    fs.pipe({"a/b/c": b"body"})
    assert DirFileSystem("a", fs).cat("b/c") == b"body"
    assert DirFileSystem("a", fs).find("") == ["b/c"]
    cached = SimpleCacheFileSystem(fs=fs, cache_storage=str(tmp_path), skip_instance_cache=True)
    assert cached.cat("a/b/c") == b"body"


def test_rsync_with_another_filesystem(fs: FsspecStore, tmp_path: Path) -> None:
    from fsspec.generic import GenericFileSystem, _generic_fs

    fs.pipe({"a/b": b"1", "a/c/d": b"2"})
    _generic_fs.update(memory=fs, file=fsspec.filesystem("file"))
    try:
        generic = GenericFileSystem(default_method="generic", skip_instance_cache=True)
        generic.rsync("memory://a", f"file://{tmp_path}/a")
    finally:
        _generic_fs.clear()
    assert (tmp_path / "a" / "c" / "d").read_bytes() == b"2"


def test_a_bucket_in_the_settings_is_that_of_the_paths() -> None:
    fs = FsspecStore("s3", config={"bucket": "bucket", "region": "eu-west-1", "skip_signature": True})
    assert str(fs._construct_store("bucket")) == 'S3Store(bucket="bucket")'
    fs = FsspecStore("s3", bucket_name="bucket", skip_signature=True)
    assert str(fs._construct_store("bucket")) == 'S3Store(bucket="bucket")'
    with pytest.raises(ConfigurationError, match="The path is in 'other', but bucket = 'bucket' was given"):
        fs._construct_store("other")
