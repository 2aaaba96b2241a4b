"""What a type checker makes of calls of the public interface. It is checked, not run."""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias, assert_type

from arro3.core import RecordBatch, Table

import objstore
from objstore import Bytes, BytesStream, GetResult, ListStream
from objstore.exceptions import BaseError
from objstore.operations.results import ArrowListStream
from objstore.results import SyncActions
from objstore.store import S3Store
from objstore.types import (
    Attributes,
    ObjectHead,
    ObjectMeta,
    PutResult,
    RetryConfig,
    S3CredentialProvider,
    SignedPost,
    SyncAction,
    SyncResult,
    Transfer,
)

Metas: TypeAlias = Sequence[ObjectMeta]
HOUR = timedelta(hours=1)


def made() -> None:
    store = S3Store("bucket", prefix="below", region="eu-west-1", client_options={"timeout": HOUR})
    assert_type(store.prefix, str | None)
    assert_type(store.retry_config, RetryConfig)
    assert_type(store.credential_provider, S3CredentialProvider | None)
    S3Store("bucket", regoin="eu-west-1")  # type: ignore[call-arg]
    S3Store("bucket", retry_config={"retries": 3})  # type: ignore[arg-type]
    S3Store("bucket", client_options={"allow_htp": True})  # type: ignore[arg-type]


def reads(store: S3Store) -> None:
    result = store.get("a", options={"range": {"suffix": 3}, "if_match": None})
    assert_type(result, GetResult)
    assert_type(result.bytes(), Bytes)
    assert_type(result.meta, ObjectMeta)
    assert_type(result.meta["size"], int)
    assert_type(result.range, tuple[int, int])
    assert_type(result.attributes, Attributes)
    assert_type(result.stream(), BytesStream)
    assert_type(next(iter(result)), bytes)
    assert_type(list(result.stream()), list[bytes])
    assert_type(store.get_range("a", start=0, length=3), Bytes)
    assert_type(store.get_range("a", start=0, end=3)[1:], Bytes)
    assert_type(store.get_range("a", start=0, end=3)[1], int)
    assert_type(memoryview(store.get_range("a", start=0, end=3)), memoryview[int])
    assert_type(store.get_ranges("a", starts=[0, 5], ends=(3, 8)), list[Bytes])
    assert_type(store.get_ranges("a", starts=[0, 5], ends=(3, 8), out=bytearray(6)), list[Bytes])
    assert_type(store.head("a"), ObjectHead)


async def reads_async(store: S3Store) -> None:
    result = await store.get_async("a")
    assert_type(result, GetResult)
    assert_type(await result.bytes_async(), Bytes)
    assert_type(await anext(aiter(result)), bytes)
    assert_type(await store.get_range_async("a", start=0, length=3), Bytes)
    assert_type(await store.get_ranges_async("a", starts=[0], ends=[3]), list[Bytes])
    assert_type(await store.head_async("a"), ObjectHead)


def writes(store: S3Store) -> None:
    assert_type(store.put("a", b"1", attributes={"Content-Type": "text/plain"}, mode="create"), PutResult)
    assert_type(store.put("a", iter([b"1", b"2"]), mode={"e_tag": "tag"}), PutResult)
    store.put("a", b"1", mode="append")  # type: ignore[arg-type]
    store.put("a", 1)  # type: ignore[arg-type]


def lists(store: S3Store) -> None:
    assert_type(store.list("a", offset="a/b"), ListStream[Metas])
    assert_type(next(store.list()), Metas)
    assert_type(store.list().collect(), Metas)
    assert_type(store.list(return_arrow=True), ArrowListStream)
    assert_type(next(store.list(return_arrow=True)), RecordBatch)
    assert_type(store.list(return_arrow=True).collect(), RecordBatch)
    assert_type(store.list_with_delimiter()["common_prefixes"], Sequence[str])
    assert_type(store.list_with_delimiter()["objects"], Metas)
    assert_type(store.list_with_delimiter(return_arrow=True)["objects"], Table)
    assert_type(next(store.list_level())["objects"], Metas)
    assert_type(next(store.list_level(return_arrow=True))["objects"], RecordBatch)


async def lists_async(store: S3Store) -> None:
    assert_type(await anext(store.list_async("a")), Metas)
    assert_type(await store.list_async().collect_async(), Metas)
    assert_type((await store.list_with_delimiter_async())["objects"], Metas)
    assert_type((await store.list_with_delimiter_async(return_arrow=True))["objects"], Table)
    assert_type(await store.list_async(return_arrow=True).collect_async(), RecordBatch)


def many(store: S3Store, on_error: Literal["raise", "return"]) -> None:
    """Errors are among the results only where they are returned."""
    results = store.get_many(["a", ("b", 0, 3), ("c", 3, None)])
    assert_type(results, list[Bytes])
    assert_type(results[0].to_bytes(), bytes)
    assert_type(store.get_many(["a"], on_error="raise", progress=print), list[Bytes])
    assert_type(store.get_many(["a"], on_error="return"), list[Bytes | BaseError])
    assert_type(store.get_many(["a"], on_error=on_error), list[Bytes] | list[Bytes | BaseError])
    assert_type(store.head_many(["a"]), list[ObjectMeta])
    assert_type(store.head_many(["a"], on_error="return"), list[ObjectMeta | BaseError])
    assert_type(store.put_many({"a": b"1"}), list[PutResult])
    store.put_many([("a", b"1"), ("b", b"2", {"mode": "create", "tags": {"a": "b"}})])
    store.put_many([("b", b"2", {"mod": "create"})])  # type: ignore[typeddict-unknown-key]
    store.get_many([("a", 0, None, "e-tag"), ("a", 0, 5), "a"])
    assert_type(store.put_many({"a": b"1"}, on_error="return"), list[PutResult | BaseError])
    assert_type(next(iter(store.iter_many(["a"]))), tuple[int, Bytes])
    assert_type(next(iter(store.iter_many(["a"], on_error="return"))), tuple[int, Bytes | BaseError])
    store.get_many(["a"], on_error="ignore")  # type: ignore[call-overload]


async def many_async(store: S3Store) -> None:
    assert_type(await store.get_many_async(["a"]), list[Bytes])
    assert_type(await store.get_many_async(["a"], on_error="return"), list[Bytes | BaseError])
    assert_type(await store.head_many_async(["a"]), list[ObjectMeta])
    assert_type(await store.head_many_async(["a"], on_error="return"), list[ObjectMeta | BaseError])
    assert_type(await store.put_many_async([("a", b"1")]), list[PutResult])
    assert_type(await store.put_many_async([("a", b"1")], on_error="return"), list[PutResult | BaseError])
    assert_type(await anext(aiter(store.iter_many_async(["a"]))), tuple[int, Bytes])


def transfers(store: S3Store) -> None:
    assert_type(store.exists("a"), bool)
    assert_type(store.copy_many([("a", "b")]), list[None])
    assert_type(store.copy_many({"a": "b"}, to_store=store, on_error="return"), list[BaseError | OSError | None])
    assert_type(store.upload_many("folder", "prefix"), list[Transfer])
    assert_type(store.upload_many([(Path("a"), "b")], on_error="return"), list[Transfer | BaseError | OSError])
    assert_type(store.download_many("prefix", "folder"), list[Transfer])
    assert_type(store.download_many(["a"], Path("b"), on_error="return"), list[Transfer | BaseError | OSError])
    assert_type(store.sync("folder"), SyncResult)
    assert_type(store.sync(store, to_prefix="a", dry_run=True), SyncActions)
    assert_type(next(objstore.sync("folder", store, dry_run=True)), SyncAction)
    store.sync("folder", compare="name")  # type: ignore[call-overload]


async def transfers_async(store: S3Store) -> None:
    assert_type(await store.sync_async(Path("folder")), SyncResult)
    assert_type(await anext(await store.sync_async(store, dry_run=True)), SyncAction)
    assert_type(await store.upload_many_async("folder"), list[Transfer])


def signs(store: S3Store) -> None:
    assert_type(store.sign("GET", "a", HOUR), str)
    assert_type(store.sign("GET", ["a"], HOUR), list[str])
    assert_type(store.sign("PUT", "a", HOUR, headers={"Content-Type": "a"}), str)
    assert_type(store.sign_post("a", HOUR, conditions=[["starts-with", "$key", "a"], {"acl": "b"}]), SignedPost)
    store.sign("FETCH", "a", HOUR)  # type: ignore[call-overload]


async def signs_async(store: S3Store) -> None:
    assert_type(await store.sign_async("GET", "a", HOUR), str)
    assert_type(await store.sign_async("GET", ["a"], HOUR), list[str])


async def functions(store: S3Store) -> None:
    """Every method is a function of the package too, with the same types."""
    assert_type(objstore.get(store, "a"), GetResult)
    assert_type(await objstore.get_ranges_async(store, "a", starts=[0], ends=[3]), list[Bytes])
    assert_type(objstore.list(store, return_arrow=True), ArrowListStream)
    assert_type(objstore.sign(store, "GET", ["a"], HOUR), list[str])
    assert_type(objstore.get_many(store, ["a"]), list[Bytes])
    assert_type(await objstore.head_many_async(store, ["a"], on_error="return"), list[ObjectMeta | BaseError])
