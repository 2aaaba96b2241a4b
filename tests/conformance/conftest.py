"""What the conformance tests share: a store on every server, in both modes, and what each server cannot do.

A test is a coroutine, written once. In the mode ``sync`` the operations that it awaits are the blocking ones and there
is no event loop; in the mode ``async`` they are their ``_async`` twins on asyncio.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest

from objstore.operations.results import LARGEST_PART
from objstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store, Store
from tests.conftest import AZURE_SERVERS, GOOGLE_SERVERS, S3_SERVERS, SERVICES, WEBDAV_SERVERS, here
from tests.s3_express.server import KEY, REGION, SECRET, Express, express
from tests.sample import WHY, left_to_all, parameters
from tests.servers import AzureServer, GoogleServer, S3Server, WebDavServer

Server: TypeAlias = S3Server | AzureServer | GoogleServer | WebDavServer | Express | Path | None
"""Where a store is: on a server, in a directory of local files, or in memory (None)."""

NO_BUCKET = {
    "attributes": "WebDAV servers keep files, and nothing beside their bytes",
    "deletes of what is missing": "HTTP says 404 when there is nothing to delete",
    "keys below keys": "WebDAV servers keep keys as files in folders, and none can be both",
    "long keys": "file systems have shorter names",
    "names of more than 255 bytes": "no Linux file system has longer names",
    "parts": "HTTP has no uploads in parts",
    "raw keys": "WebDAV servers keep keys as files in folders",
    "signed URLs": "HTTP has no signed URLs",
    "tags": "HTTP has no tags",
    "versions": "HTTP has no versions",
}

CANNOT = {
    "strictexpress": {
        "ETags that count parts": "ETags of directory buckets are random",
        "any beginning": "directory buckets list whole folders alone",
        "copies that replace one version": "only of Amazon's own hosts is that known: tests/s3_express has some",
        "buckets": "the names of directory buckets have a zone: tests/s3_express makes some",
        "gaps between parts": "the parts of a directory bucket are numbered without a gap",
        "offsets": "directory buckets list from the start alone",
        "signed URLs": "what signs them ends in five minutes: tests/s3_express has some",
        "tags": "directory buckets keep no tags",
        "versions": "directory buckets keep no versions",
        "writes with tags": "directory buckets keep no tags, and so S3Store refuses them",
    },
    "azurite": {
        "an end to signed URLs": "what the key of an account signs may be good for years",
        "backslashes": "Azure takes a backslash for a slash: such keys are refused",
        "the end of uploads": "Azure knows blocks, but no uploads that could have ended",
        "conditions on what is gone": "Azurite answers a read with If-Match by 412 where there is nothing",
        "ETags that count parts": "the ETags of Azure do not tell of how many parts an object is",
        "dashes in the names of metadata": "Azure takes letters, digits and underscores alone",
        "listings of what no document can hold": "Azurite fails to list keys with control characters",
        "segments of dots": "Azure has no URLs for keys with such: they are refused",
        "ranges that begin at the end": "Azurite answers a range that begins behind the last byte by 206",
        "versions": "Azurite keeps no versions",
    },
    "fakegcs": {
        "conditions of reads": "fake-gcs-server ignores every condition of a read",
        "conditions of deletes": "fake-gcs-server ignores every condition of a delete",
        "conditions of uploads by many hands": "fake-gcs-server ignores every condition of what it composes",
        "copies that replace nothing": "fake-gcs-server ignores every condition of a rewrite",
        "copies that replace one version": "fake-gcs-server ignores every condition of a rewrite",
        "ETags that count parts": "ETags are generations",
        "signed URLs": "there is no key to sign with",
        "tags": "Google Cloud Storage has no tags",
        "the end of an empty object": "fake-gcs-server sends an impossible Content-Range for it",
    },
    "local": {
        "raw keys": "files have no such names",
        "signed URLs": "local files have no URLs",
        "deletes of what is missing": "the local store says that a file to be deleted is missing",
        "headers": "the local store keeps attributes as they are, not as headers",
        "keys below keys": "the local store keeps keys as files in folders, and none can be both",
        "names of more than 255 bytes": "no Linux file system has longer names",
        "requests": "the local store sends no requests",
        "tags": "the local store keeps no tags",
        "versions": "the local store keeps no versions",
    },
    "memory": {
        "headers": "the memory stores attributes as they are, not as headers",
        "requests": "the memory sends no requests",
        "signed URLs": "the memory has no URLs",
        "tags": "the memory keeps no tags",
        "versions": "the memory keeps no versions",
    },
    "minio": {
        "conditions of deletes": "MinIO ignores If-Match of a delete",
        "keys below keys": "MinIO keeps keys as folders, and lists no key below another",
        "names of more than 255 bytes": "no Linux file system has longer names",
        "raw keys": "MinIO refuses keys whose segments are empty, or . and ..",
        "tags of any letters": "MinIO takes some letters of ASCII alone",
        "the end of an empty object": "MinIO sends an impossible Content-Range for it",
    },
    "ministack": {
        "tags of an upload in parts": "ministack forgets the tags of CreateMultipartUpload",
        "the end of an empty object": "ministack sends an impossible Content-Range for it",
    },
    "moto": {
        "the end of uploads": "moto answers a part of an upload that has ended by 500",
        "If-Match of an upload in parts": "moto ignores If-Match of CompleteMultipartUpload",
        "copies that replace one version": "moto ignores If-Match of a copy, and of CompleteMultipartUpload",
        "signed URLs": "moto fails at requests without an Authorization header",
        "unsigned requests": "moto fails at unsigned requests",
    },
    "rclone": {
        "conditions": "rclone ignores If-Match, If-None-Match and the like",
        "conditions of deletes": "rclone ignores If-Match, If-None-Match and the like",
        "conditions of reads": "rclone ignores If-Match, If-None-Match and the like",
        "copies that replace one version": "rclone ignores every condition on a copy, and of an upload in parts",
        "copies that replace nothing": "rclone ignores every condition on a copy, and on the end of an upload in parts",
        "ETags of uploads in parts": "rclone answers CompleteMultipartUpload with an ETag that it then forgets",
        "parts in any order": "rclone writes parts as they come, and takes none twice",
        "keys below keys": "rclone keeps keys as files in folders, and none can be both",
        "quotes in listings": "rclone lists ETags without their quotes",
        "raw keys": "rclone keeps keys as files in folders",
        "signed URLs with headers": "rclone does not answer with the headers that a URL asks for",
        "tags": "rclone keeps no tags",
        "unsigned requests": "rclone takes unsigned requests for malformed ones",
        "versions": "rclone keeps no versions",
    },
    "strictazure": {
        "an end to signed URLs": "what the key of an account signs may be good for years",
        "backslashes": "Azure takes a backslash for a slash: such keys are refused",
        "dashes in the names of metadata": "Azure takes letters, digits and underscores alone",
        "ETags that count parts": "the ETags of Azure do not tell of how many parts an object is",
        "buckets": "the strict fake of Azure has the containers that it is given; Azurite makes them",
        "keys below keys": "an account with directories keeps keys as files in folders, and none can be both",
        "raw keys": "an account with directories keeps keys as files in folders",
        "tags afterwards": "the strict fake of Azure does not change tags; Azurite does",
        "the end of uploads": "Azure knows blocks, but no uploads that could have ended",
        "versions": "an account with directories keeps no versions",
    },
    "strictgcs": {
        "ETags that count parts": "ETags are generations",
        "signed URLs": "there is no key to sign with",
        "tags": "Google Cloud Storage has no tags",
    },
    "versitygw": {
        "Amazon's answer to an unknown key": "versitygw has no such user, and says so by 404 and a code of its own",
        "conditions of deletes of what is missing": "versitygw says that a missing object was deleted, If-Match or not",
        "keys below keys": "versitygw keeps keys as files in folders, and none can be both",
        "listings of what no document can hold": "versitygw lists control characters as something else",
        "names of more than 255 bytes": "no Linux file system has longer names",
        "raw keys": "versitygw keeps keys as files in folders",
    },
    "webdav": {
        **NO_BUCKET,
        "conditions of writes": "Go's WebDAV ignores If-Match and If-None-Match of a PUT",
    },
    "wsgidav": {
        **NO_BUCKET,
        "ETags within a second": "WsgiDAV makes an ETag of the second and the size",
        "every Destination": "WsgiDAV decodes a Destination before it takes it apart: a ? or ; ends the path",
    },
}
"""What a server cannot do, and why a test with the mark ``needs`` of that is skipped there."""

SLOW = {
    "azurite": "async",
    "ministack": "sync",
    "minio": "async",
    "moto": "async",
    "rclone": "async",
    "strictazure": "sync",
    "strictexpress": "async",
    "versitygw": "sync",
    "wsgidav": "sync",
}
"""In which mode a server is not asked."""

QUICK = ("memory", "local")
"""Where a sample of the tests has all of them."""

made: list[tuple[AzureServer, str]] = []
"""The containers that the running test has made."""

SMALL = bytes(range(256)) * 4
MANY = [f"many/{number:04}/object" for number in range(1005)]  # more than one page of a listing
BODIES = [b"%d" % number for number in range(1005)]
numbers = count()


class Mode:
    """One of the two ways to call: ``mode(store).get(...)`` is to be awaited in either."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_async = name == "async"

    def __call__(self, target: object) -> Face:
        return Face(target, self)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a test to its end."""
        if self.is_async:
            asyncio.run(coroutine)
            return
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise AssertionError("a blocking operation has suspended its caller")

    async def all(self, stream: Any) -> list[Any]:
        """Return what is left of a stream."""
        return [item async for item in stream] if self.is_async else [*stream]

    async def next(self, stream: Any) -> Any:
        """Return the next item of a stream."""
        return await anext(aiter(stream)) if self.is_async else next(iter(stream))


class Face:
    """The operations of a store or a result in one mode; every other attribute is the target's own."""

    def __init__(self, target: Any, mode: Mode) -> None:
        self.target = target
        self.mode = mode

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.target, name)
        twin = getattr(self.target, name + "_async", None)
        if twin is None or twin == function:
            return function
        if self.mode.is_async:
            return twin

        async def blocking(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return blocking


class Told:
    """A progress callback that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, int]] = []

    def __call__(self, done: int, total: int, size: int) -> None:
        self.calls.append((done, total, size))

    def check(self, total: int, size: int) -> None:
        """The calls never go back, and the last one says that all is done."""
        assert self.calls == sorted(self.calls)
        assert {call[1] for call in self.calls} == {total}
        assert self.calls[-1] == (total, total, size)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(feature): what the server must be able to do, else the test is skipped")


@pytest.hookimpl(trylast=True)  # a sample is of what -k has left
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run in one mode on servers that take their time, and nowhere what a server cannot do; a sample, if asked for."""
    summary = config.pluginmanager.get_plugin("summary")
    for server, mode in SLOW.items():
        left = [item for item in items if f"[{server}-{mode}" in item.name]
        summary.leave_out(config, items, left, f"{server} takes its time: the mode {mode} runs on the quicker servers")
    unable: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        for why in cannot(item):
            unable[why].append(item)
    for why, left in unable.items():
        summary.leave_out(config, items, left, why)
    if config.getoption("--sample"):
        ours = [item for item in items if "conformance" in item.path.parts]
        for factor in ("server", "s3_server"):
            summary.leave_out(config, items, left_to_all(ours, factor, QUICK, services=SERVICES), WHY)


def cannot(item: pytest.Item) -> list[str]:
    """Return why the server of a test cannot do what the test needs, if so."""
    asked = parameters(item)
    unable = CANNOT.get(asked.get("server", asked.get("s3_server", "")), {})
    needed = [feature for marker in item.iter_markers("needs") for feature in marker.args]
    return [unable[feature] for feature in needed if feature in unable][:1]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Literal[True] | None:
    """Run a test that is a coroutine in its mode."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    pyfuncitem.funcargs["mode"].run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture(
    scope="session",
    params=here(["memory", "local", *S3_SERVERS, *AZURE_SERVERS, *GOOGLE_SERVERS, *WEBDAV_SERVERS, "strictexpress"]),
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Each server in turn; a directory for local files, None for the memory."""
    if request.param == "memory":
        return None
    return tmp_path_factory.mktemp("local") if request.param == "local" else request.getfixturevalue(request.param)


class Bucket:
    """A new bucket on a server, and the stores on it."""

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.client = server.client()
        self.name = f"conformance-{next(numbers):04}"
        self.client.create_bucket(Bucket=self.name)

    def open(self, **changes: Any) -> S3Store:
        """Return a store on the bucket, with some arguments other than usual."""
        usual = {
            "endpoint": self.server.endpoint,
            "region": self.server.region,
            "access_key_id": self.server.access_key_id,
            "secret_access_key": self.server.secret_access_key,
            "client_options": {"allow_http": True},
            "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
            "conditional_delete": None if "conditions of deletes" in CANNOT[self.server.name] else "etag",
            "copy_if_not_exists": None if self.server.name == "rclone" else "multipart",
        }
        given = {name: value for name, value in {**usual, **changes}.items() if value is not None}
        return S3Store(given.pop("bucket", self.name), **given)

    def unfinished(self) -> list[str]:
        """Return the keys of the multipart uploads that nobody has finished."""
        try:
            uploads = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        except self.client.exceptions.NoSuchUpload:  # rclone's answer where there has never been one
            return []
        return [upload["Key"] for upload in uploads]

    def has_parts(self, key: str) -> bool:
        """Tell whether an unfinished upload of a key has a part already."""
        uploads = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", []) if self.unfinished() else []
        ids = [upload["UploadId"] for upload in uploads if upload["Key"] == key]
        return any(self.client.list_parts(Bucket=self.name, Key=key, UploadId=id).get("Parts") for id in ids)


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    """An empty bucket on each S3 server in turn."""
    return Bucket(s3_server)


@pytest.fixture(scope="session")
def strictexpress() -> Iterator[Express]:
    """The strict fake of directory buckets; it lists in order here, as tests that compare lists would not hold else."""
    with express(1000) as service:
        yield service


def new_store(server: Server, **options: Any) -> Store:
    if isinstance(server, Express):
        return open_directory(server, **options)
    if isinstance(server, Path):
        return LocalStore(server / f"conformance-{next(numbers):04}", mkdir=True, **options)
    if isinstance(server, WebDavServer):
        return open_folder(server, **options)
    if isinstance(server, AzureServer):
        return open_container(server, **options)
    if isinstance(server, GoogleServer):
        return open_google(server, server.make_bucket(f"conformance-{next(numbers):04}"), **options)
    return MemoryStore(**options) if server is None else Bucket(server).open(**options)


def open_directory(server: Express, **options: Any) -> S3Store:
    """Return a store on a new directory bucket."""
    bucket = f"conformance-{next(numbers):04}--usw2-az1--x-s3"
    server.make(bucket).order = str
    usual: dict[str, Any] = {
        "endpoint": server.url,
        "s3_express": True,
        "region": REGION,
        "access_key_id": KEY,
        "secret_access_key": SECRET,
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
        "conditional_delete": "etag",
        "conditional_put": "etag",
        "copy_if_not_exists": "header:If-None-Match:*",
        "checksum_algorithm": "crc32",
    }
    store = S3Store(bucket, **{**usual, **options})
    store.list().collect()  # its session has begun: that is no request of the test's
    return store


def open_google(server: GoogleServer, bucket: str, **changes: Any) -> GCSStore:
    """Return a store on a bucket of an emulator of Google Cloud Storage."""
    usual = {
        "emulator_host": server.endpoint,
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
    }
    return GCSStore(bucket, **{**usual, **changes})


def open_folder(server: WebDavServer, **changes: Any) -> HTTPStore:
    """Return a store on a new folder of a WebDAV server."""
    usual = {
        "username": server.username,
        "password": server.password,
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
    }
    return HTTPStore(f"{server.url}/conformance-{next(numbers):04}", **{**usual, **changes})


def open_container(server: AzureServer, **changes: Any) -> AzureStore:
    """Return a store on a new container, with some arguments other than usual."""
    name = server.make_container(f"conformance-{next(numbers):04}")
    made.append((server, name))
    usual = {
        "account_name": server.account_name,
        "account_key": server.account_key,
        "endpoint": server.endpoint,
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
    }
    return AzureStore(name, **{**usual, **changes})


@pytest.fixture(autouse=True)
def _emptied() -> Iterator[None]:
    """Delete the containers that a test has made: each request to Azurite looks through the blobs of all containers."""
    made.clear()  # what is shared by tests is made before
    yield
    for server, name in made:
        server.delete_container(name)


@pytest.fixture
def store(server: Server, mode: Mode) -> Face:
    """An empty store, on each server and in each mode."""
    return mode(new_store(server))


@pytest.fixture
def raw_store(server: Server, mode: Mode) -> Face:
    """An empty store that takes paths as the keys they are."""
    return mode(new_store(server, raw_keys=True))


@pytest.fixture
def other_store(server: Server) -> Store:
    """Another empty store on the same server."""
    return new_store(server)


@pytest.fixture(scope="session")
def large() -> bytes:
    """The bytes of a large object: more than two parts of a read."""
    return random.Random(1).randbytes(2 * LARGEST_PART + 12_345)


@pytest.fixture(scope="session")
def full_store(server: Server, large: bytes) -> Store:
    """A store with objects, on each server; nobody may change them."""
    store = new_store(server)
    store.put("large", large)
    store.put("small", SMALL)
    store.put("empty", b"")
    store.put_many(zip(MANY, BODIES, strict=True))
    return store


@pytest.fixture
def library(full_store: Store, mode: Mode) -> Face:
    """The store with objects, in each mode."""
    return mode(full_store)
