"""Stores: settings, prefixes, pickling, and the ways to call an operation."""

from __future__ import annotations

import asyncio
import copy
import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import objstore
from objstore import exceptions
from objstore.store import MemoryStore, S3Store, Store
from tests.conformance.conftest import BODIES, MANY, SMALL, Bucket, Face, Mode

OPERATIONS = [
    "copy",
    "delete",
    "download",
    "get",
    "get_many",
    "get_range",
    "get_ranges",
    "head",
    "head_many",
    "iter_many",
    "list",
    "list_with_delimiter",
    "open_reader",
    "open_writer",
    "put",
    "put_many",
    "rename",
    "upload",
]
HTTP = {"allow_http": True}

# --- the ways to call


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_a_method_and_a_function(name: str) -> None:
    assert getattr(objstore, name) is getattr(Store, name)
    parameters = inspect.signature(getattr(objstore, name)).parameters
    assert next(iter(parameters)) == "store"
    assert inspect.getdoc(getattr(objstore, name))
    if name != "list":
        twin = getattr(objstore, name + "_async")
        assert twin is getattr(Store, name + "_async")
        assert inspect.signature(twin).parameters == parameters
    if name not in ("list", "iter_many", "open_writer"):
        assert inspect.iscoroutinefunction(getattr(objstore, name + "_async"))


async def test_functions(store: Face, mode: Mode, tmp_path: Path) -> None:
    call, target = mode(objstore), store.target
    await call.put(target, "a", SMALL)
    assert await mode(await call.get(target, "a")).bytes() == SMALL
    assert await call.get_range(target, "a", start=1, end=3) == SMALL[1:3]
    assert await call.get_ranges(target, "a", starts=[1], ends=[3]) == [SMALL[1:3]]
    assert (await call.head(target, "a"))["size"] == len(SMALL)
    assert await call.get_many(target, ["a"]) == [SMALL]
    assert await mode.all(objstore.iter_many(target, ["a"])) == [(0, SMALL)]
    assert len(await call.head_many(target, ["a"])) == 1
    await call.put_many(target, {"b": b"2"})
    await call.copy(target, "b", "c")
    await call.rename(target, "c", "d/e")
    assert [meta["path"] for meta in await mode(objstore.list(target)).collect()] == ["a", "b", "d/e"]
    assert (await call.list_with_delimiter(target))["common_prefixes"] == ["d"]
    await call.download(target, "a", tmp_path / "file")
    await call.upload(target, tmp_path / "file", "f")
    await call.delete(target, ["a", "b", "d/e"])
    assert [meta["path"] for meta in await mode(objstore.list(target)).collect()] == ["f"]


async def test_a_coroutine_does_nothing_until_it_is_awaited(store: Face) -> None:
    coroutine = store.target.put_async("a", b"1")
    coroutine.close()
    with pytest.raises(exceptions.NotFoundError):
        await store.head("a")


async def test_blocking_operations_inside_an_event_loop(library: Face, mode: Mode) -> None:
    if mode.is_async:
        assert library.target.get("small").bytes() == SMALL
        assert library.target.get_many(["small"]) == [SMALL]


async def test_many_at_once(library: Face, mode: Mode) -> None:
    paths = MANY[:64]
    if mode.is_async:
        found = await asyncio.gather(*(library.get_range(path, start=0, end=9) for path in paths))
    else:
        with ThreadPoolExecutor(8) as threads:
            found = [*threads.map(lambda path: library.target.get_range(path, start=0, end=9), paths)]
    assert found == BODIES[:64]


async def test_one_event_loop_after_the_other(library: Face, mode: Mode) -> None:
    """What an event loop leaves behind is nothing, not even a descriptor."""

    def in_a_loop_of_its_own(_: int) -> None:
        assert asyncio.run(library.target.get_range_async("small", start=0, end=5)) == SMALL[:5]

    with ThreadPoolExecutor(1) as threads:
        threads.submit(in_a_loop_of_its_own, 0).result()
        before = len(os.listdir("/proc/self/fd"))
        for _ in threads.map(in_a_loop_of_its_own, range(20)):
            pass
    assert len(os.listdir("/proc/self/fd")) <= before + 5


# --- settings


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"regoin": "x"}, exceptions.UnknownConfigurationKeyError, "region"),
        ({"config": {"aws_acess_key_id": "x"}}, exceptions.UnknownConfigurationKeyError, "access_key_id"),
        ({"client_options": {"alow_http": True}}, exceptions.UnknownConfigurationKeyError, "allow_http"),
        ({"region": "a", "config": {"aws_region": "b"}}, exceptions.ConfigurationError, "region"),
        ({"client_options": {"timeout": "soon"}}, exceptions.ConfigurationError, "timeout"),
        ({"client_options": {"default_headers": {"a": "b\r\nc: d"}}}, exceptions.ConfigurationError, "default_headers"),
        ({"endpoint": "http://127.0.0.1:1"}, exceptions.ConfigurationError, "allow_http"),
        ({"endpoint": "127.0.0.1:1"}, exceptions.ConfigurationError, "endpoint"),
        ({"access_key_id": "a"}, exceptions.ConfigurationError, "secret_access_key"),
        ({"prefix": "a/../b"}, exceptions.InvalidPathError, "prefix|path"),
        ({"credential_provider": "key"}, TypeError, "credential_provider"),
        ({"bucket": None}, exceptions.ConfigurationError, "bucket"),
    ],
)
def test_settings_that_are_none(arguments: Any, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        S3Store(**{"bucket": "bucket", **arguments})


async def test_settings_of_the_environment(bucket: Bucket, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.server.secret_access_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.server.endpoint)
    monkeypatch.setenv("AWS_REGION", bucket.server.region)
    store = S3Store(bucket.name, client_options=HTTP)
    assert store.config == {"bucket": bucket.name}
    await mode(store).put("a", SMALL)
    assert await mode(store).get_many(["a"]) == [SMALL]


async def test_signed_payloads(bucket: Bucket, mode: Mode, tmp_path: Path, large: bytes) -> None:
    (tmp_path / "file").write_bytes(large)
    store = mode(bucket.open(unsigned_payload=False))
    await store.put("a", SMALL)
    await store.put("b", tmp_path / "file")
    await store.put_many({"c": SMALL, "d": tmp_path / "file"})
    assert await store.get_many(["a", "b", "c", "d"]) == [SMALL, large, SMALL, large]


async def test_without_bulk_delete(bucket: Bucket, mode: Mode) -> None:
    store = mode(bucket.open(disable_bulk_delete=True))
    await store.put_many((f"{number:02}", b"") for number in range(30))
    await store.delete([f"{number:02}" for number in range(1, 30)] + ["missing"])
    assert [meta["path"] for meta in await mode(store.list()).collect()] == ["00"]


# --- prefixes


async def test_a_prefix_goes_in_front_of_every_path(bucket: Bucket, mode: Mode, tmp_path: Path, large: bytes) -> None:
    whole, store = mode(bucket.open()), mode(bucket.open(prefix="/in/side/"))
    await whole.put_many({"outside": b"x", "in/sideways": b"x", "a": b"x"})
    assert (await store.put("a", SMALL))["e_tag"] == (await whole.head("in/side/a"))["e_tag"]
    await store.put("large", large)
    await store.put_many({"b/c": b"2", "b/d": b"3"})
    (tmp_path / "file").write_bytes(SMALL)
    await store.upload(tmp_path / "file", "e")
    await store.copy("a", "f")
    await store.rename("f", "g")
    result = await store.get("large")
    assert result.meta["path"] == "large"
    assert await mode(result).bytes() == large
    assert (await store.head("a"))["path"] == "a"
    assert [meta["path"] for meta in await store.head_many(["a", "e"])] == ["a", "e"]
    assert await store.get_ranges("a", starts=[0], ends=[9]) == [SMALL[:9]]
    assert await store.get_many(["g", ("b/c", 0, 1)]) == [SMALL, b"2"]
    assert dict(await mode.all(store.iter_many(["g"]))) == {0: SMALL}
    assert (await store.download("e", tmp_path / "back"))["path"] == "e"
    listed = ["a", "b/c", "b/d", "e", "g", "large"]
    assert [meta["path"] for meta in await mode(store.list()).collect()] == listed
    assert [meta["path"] for meta in await mode(store.list(offset="b/c")).collect()] == listed[2:]
    assert [meta["path"] for meta in await mode(store.list("b", offset="b/c")).collect()] == ["b/d"]
    level = await store.list_with_delimiter()
    assert level["common_prefixes"] == ["b"]
    assert [meta["path"] for meta in level["objects"]] == ["a", "e", "g", "large"]
    assert [meta["path"] for meta in (await store.list_with_delimiter("b"))["objects"]] == ["b/c", "b/d"]
    await store.delete("a")
    await store.delete(listed)
    left = [meta["path"] for meta in await mode(whole.list()).collect()]
    assert left == ["a", "in/sideways", "outside"]


async def test_errors_name_the_path_without_the_prefix(bucket: Bucket, mode: Mode, tmp_path: Path) -> None:
    store = mode(bucket.open(prefix="in/side"))
    await store.put("there", b"1")
    for call in (
        lambda: store.get("missing"),
        lambda: store.head("missing"),
        lambda: store.get_many(["missing"]),
        lambda: store.copy("missing", "b"),
        lambda: store.download("missing", tmp_path / "file"),
    ):
        with pytest.raises(exceptions.NotFoundError, match="in/side/missing") as missing:
            await call()
        assert missing.value.path == "missing"


@pytest.mark.parametrize(("prefix", "kept"), [(None, None), ("", None), ("/", None), ("a/b/", "a/b"), ("/a", "a")])
def test_how_a_prefix_is_kept(prefix: str | None, kept: str | None) -> None:
    assert S3Store("bucket", prefix=prefix).prefix == kept


# --- values


def opened() -> S3Store:
    return S3Store(
        "bucket",
        prefix="a/b",
        endpoint="http://127.0.0.1:1",
        access_key_id="the-key",
        secret_access_key="the-secret",
        session_token="the-token",
        client_options={**HTTP, "timeout": timedelta(seconds=5), "default_headers": {"x-secret": "the-header"}},
        retry_config={"max_retries": 3},
    )


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda store: pickle.loads(pickle.dumps(store))])
def test_a_copy_is_equal(copied: Callable[[S3Store], S3Store]) -> None:
    store = opened()
    other = copied(store)
    assert type(other) is S3Store
    assert other == store
    assert hash(other) == hash(store)
    assert (other.prefix, other.config, other.client_options) == (store.prefix, store.config, store.client_options)
    assert other.retry_config == store.retry_config


def test_stores_with_other_settings_differ() -> None:
    store = S3Store("bucket", region="eu-west-1")
    assert store == S3Store("bucket", aws_region="eu-west-1")
    assert store == S3Store(config={"BUCKET": "bucket", "AWS_REGION": "eu-west-1"})
    for other in (
        S3Store("other", region="eu-west-1"),
        S3Store("bucket", region="eu-west-2"),
        S3Store("bucket", region="eu-west-1", prefix="a"),
        S3Store("bucket", region="eu-west-1", client_options={"timeout": 5}),
        S3Store("bucket", region="eu-west-1", retry_config={"max_retries": 1}),
        MemoryStore(),
        "bucket",
    ):
        assert store != other


def test_what_shows() -> None:
    store = opened()
    assert repr(store) == 'S3Store(bucket="bucket", prefix="a/b")'
    for secret in ("the-secret", "the-token", "the-header"):
        assert secret not in repr(store) + str(store) + repr(store.provider) + repr(store._settings)
    assert repr(S3Store("bucket")) == 'S3Store(bucket="bucket")'


async def test_a_pickled_store_works(bucket: Bucket, mode: Mode) -> None:
    store = bucket.open(prefix="a")
    await mode(store).put("b", SMALL)
    other = pickle.loads(pickle.dumps(store))
    assert await mode(other).get_many(["b"]) == [SMALL]


async def test_subclasses(bucket: Bucket, mode: Mode) -> None:
    store = bucket.open()
    other = pickle.loads(pickle.dumps(OwnStore(**store.__getnewargs_ex__()[1])))
    assert type(other) is OwnStore
    assert other != store
    await mode(other).put("a", SMALL)
    assert await mode(store).get_many(["a"]) == [SMALL]


class OwnStore(S3Store):
    """A user's subclass."""


def test_a_memory_store_is_itself() -> None:
    store = MemoryStore()
    assert store == store
    assert store != MemoryStore()
    assert len({store, store.with_raw_keys(), MemoryStore()}) == 3


def test_a_pickle_of_a_memory_store_is_good_where_its_objects_are() -> None:
    store = MemoryStore()
    pickled = pickle.dumps(store)
    again = pickle.loads(pickled)
    again.put("a", b"1")
    assert again == store
    assert store.get("a").bytes() == b"1"
    load = f"import pickle; pickle.loads({pickled!r})"
    elsewhere = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, check=False)
    assert "NotSupportedError: The objects of this MemoryStore are in another process, or gone" in elsewhere.stderr
    del store, again
    with pytest.raises(exceptions.NotSupportedError, match="or gone"):
        pickle.loads(pickled)


def test_a_store_with_raw_keys_has_the_same_objects() -> None:
    store = MemoryStore()
    raw = store.with_raw_keys()
    raw.put("a//b/", b"1")
    store.put("/c", b"2")
    assert [meta["path"] for meta in raw.list().collect()] == ["a//b/", "c"]
    with pytest.raises(exceptions.InvalidPathError):
        store.get("a//b/")
    below = S3Store("bucket", prefix="p", region="eu-west-1").with_raw_keys()
    assert below.key("/a//") == "p//a//"
    assert pickle.loads(pickle.dumps(below)) == below
