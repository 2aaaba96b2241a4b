"""gcp-storage-emulator, for what it can: it has no HEAD, no conditions, no empty objects and malformed batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from objstore.exceptions import NotFoundError
from objstore.store import GCSStore
from tests.conftest import started
from tests.servers import GoogleServer, gcp_storage_emulator

KEY = "a b/ü+%?#&=.txt"
MIB = 1 << 20
numbers = count()


@pytest.fixture(scope="module")
def emulator() -> Iterator[GoogleServer]:
    yield from started(gcp_storage_emulator())


@pytest.fixture
def store(emulator: GoogleServer) -> GCSStore:
    return GCSStore(emulator.make_bucket(f"bucket-{next(numbers)}"), emulator_host=emulator.endpoint)


@pytest.mark.parametrize("key", ["a", KEY])
def test_objects(store: GCSStore, key: str) -> None:
    put = store.put(key, b"body", attributes={"Content-Type": "t/x", "k": "v"})
    result = store.get(key)
    assert (result.bytes(), result.attributes["Content-Type"], result.attributes["k"]) == (b"body", "t/x", "v")
    assert (store.get_range(key, start=1, end=3), store.head(key)["size"]) == (b"od", 4)
    (listed,) = store.list().collect()
    assert (listed["path"], listed["size"], listed["version"]) == (key, 4, put["version"])
    with pytest.raises(NotFoundError):
        store.get("missing")


@pytest.mark.parametrize("mode", ["overwrite", "create"])
def test_large_objects(store: GCSStore, mode: str) -> None:
    body = bytes(range(256)) * (12 * MIB // 256) + b"end"
    store.put("a", body, mode=mode, chunk_size=5 * MIB)  # type: ignore[arg-type]
    assert store.get("a").bytes() == body


def test_copies_and_deletes(store: GCSStore) -> None:
    store.put_many({"a": b"1", "x/b": b"2", "x/c": b"3"})
    store.copy("a", "d")
    store.rename("d", "x/e")
    assert store.list_with_delimiter()["common_prefixes"] == ["x"]
    store.delete(["a", "x/b", "missing"])
    assert [meta["path"] for meta in store.list().collect()] == ["x/c", "x/e"]
    store.delete("missing")
