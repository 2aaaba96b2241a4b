"""Programs written against obspec's protocols, which know nothing of us, on our stores."""

from __future__ import annotations

import asyncio
import struct

import pytest

from objstore import exceptions
from objstore.store import MemoryStore, S3Store, Store
from tests.servers import S3Server

DATA = bytes(range(256)) * 4000
PATH = "folder/data"


@pytest.fixture(scope="module", params=["memory", "moto"])
def server(request: pytest.FixtureRequest) -> S3Server | None:
    """A server; None for the memory."""
    return None if request.param == "memory" else request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def store(server: S3Server | None) -> Store:
    """A store with some objects, in memory and on the server."""
    found = MemoryStore() if server is None else on_server(server)
    found.put_many([(PATH, DATA), ("folder/more/data", b"1"), ("image.tif", image())])
    return found


def on_server(server: S3Server) -> S3Store:
    return S3Store(
        server.make_bucket("obspec"),
        prefix="below",
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
    )


def image() -> bytes:
    """Return a TIFF of two tiles of 16 by 16 pixels, uncompressed; all pixels of a tile are its number."""
    tables = 8 + 2 + 10 * 12 + 4
    tiles = tables + 16
    shorts = {256: 32, 257: 16, 258: 8, 259: 1, 262: 1, 277: 1, 322: 16, 323: 16}
    entries = [*((tag, 3, 1, value) for tag, value in shorts.items()), (324, 4, 2, tables), (325, 4, 2, tables + 8)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    head = struct.pack("<2sHI", b"II", 42, 8) + directory + struct.pack("<4I", tiles, tiles + 256, 256, 256)
    return head + bytes([0]) * 256 + bytes([1]) * 256


def test_errors_have_the_names_of_obspec() -> None:
    """obspec knows an error by the name of its class."""
    theirs = pytest.importorskip("obspec.exceptions", reason="obspec is not installed")
    names = [name for name in exceptions.__all__ if hasattr(theirs, name) and name != "BaseError"]
    assert len(names) == 8
    for name in names:
        mapped = theirs.map_exception(getattr(exceptions, name)("what failed", hint="Do this.", path="a", status=400))
        assert type(mapped) is getattr(theirs, name)
        assert str(mapped) == "what failed. Do this."


def test_a_missing_object_is_known_as_missing(store: Store) -> None:
    theirs = pytest.importorskip("obspec.exceptions", reason="obspec is not installed")
    with pytest.raises(exceptions.BaseError) as caught:
        store.head("none")
    assert isinstance(theirs.map_exception(caught.value), theirs.NotFoundError)


def test_readers(store: Store) -> None:
    """Files over get, get_range and get_ranges."""
    readers = pytest.importorskip("obspec_utils.readers", reason="obspec-utils is not installed")
    for reader in (
        readers.BlockStoreReader(store, PATH, block_size=1000, max_cached_blocks=7),
        readers.BufferedStoreReader(store, PATH, buffer_size=1000),
        readers.EagerStoreReader(store, PATH),
    ):
        assert reader.read(10) == DATA[:10]
        reader.seek(123_456)
        assert reader.read(54_321) == DATA[123_456:177_777]
        reader.seek(-5, 2)
        assert reader.read() == DATA[-5:]
        assert reader.read() == b""
        reader.seek(0)
        assert reader.read() == DATA


def test_registry_and_wrappers(store: Store) -> None:
    """What is wrapped around a store reads the same from it, in both modes."""
    registry = pytest.importorskip("obspec_utils.registry", reason="obspec-utils is not installed")
    wrappers = pytest.importorskip("obspec_utils.wrappers")
    trace = wrappers.RequestTrace()
    wrapped = wrappers.SplittingReadableStore(wrappers.TracingReadableStore(store, trace), request_size=100_000)
    found, path = registry.ObjectStoreRegistry({"s3://bucket": wrapped}).resolve(f"s3://bucket/{PATH}")
    assert path == PATH
    assert bytes(found.get(path).buffer()) == DATA
    assert trace.total_bytes >= len(DATA)

    async def read() -> bytes:
        result = await found.get_async(path)
        return bytes(await result.buffer_async())

    assert asyncio.run(read()) == DATA


def test_glob(store: Store) -> None:
    theirs = pytest.importorskip("obspec_utils.glob", reason="obspec-utils is not installed")
    assert sorted(theirs.glob(store, "folder/**/d*a")) == [PATH, "folder/more/data"]

    async def collect() -> list[str]:
        return [path async for path in theirs.glob_async(store, "folder/*/data")]

    assert asyncio.run(collect()) == ["folder/more/data"]


def test_tiff(store: Store) -> None:
    """async-tiff calls from a thread of its own, in which no event loop runs."""
    tiff = pytest.importorskip("async_tiff", reason="async-tiff is not installed")

    async def read() -> list[bytes]:
        opened = await tiff.TIFF.open("image.tif", store=store, prefetch=100)
        tiles = await opened.fetch_tiles([(1, 0), (0, 0)], 0)
        return [bytes(await tile.decode()) for tile in tiles]

    assert asyncio.run(read()) == [bytes([1]) * 256, bytes([0]) * 256]
