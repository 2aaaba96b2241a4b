"""objstore, signed: one call for each operation, nothing set but endpoint and credentials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.data import ACCESS_KEY_ID, ACCOUNT, ACCOUNT_KEY, BUCKET, REGION, SECRET_ACCESS_KEY
from bench.peers import Target, Work
from bench.peers.spread import in_tasks
from objstore import distributed
from objstore.store import AzureStore, GCSStore, S3Store

MOST_UNASKED = 1024
"""How many connections a store may have that says nothing of them."""


def store_for(target: Target) -> S3Store | GCSStore | AzureStore:
    options: dict[str, Any] = {"allow_http": True}
    if target.url.startswith("https"):
        options = {"root_certificate": target.certificate.read_bytes()}
    if target.row.concurrency > MOST_UNASKED:
        options["max_connections"] = target.row.concurrency
    if target.row.service == "gcs":
        return GCSStore(BUCKET, base_url=target.url, bearer_token=SECRET_ACCESS_KEY, client_options=options)
    if target.row.service == "azure":
        return AzureStore(
            BUCKET, endpoint=target.url, account_name=ACCOUNT, account_key=ACCOUNT_KEY, client_options=options
        )
    return S3Store(
        BUCKET,
        endpoint=target.url,
        region=REGION,
        access_key_id=ACCESS_KEY_ID,
        secret_access_key=SECRET_ACCESS_KEY,
        client_options=options,
    )


def many(target: Target) -> Work:
    store, limit = store_for(target), target.row.concurrency
    return lambda keys: store.get_many(keys, max_concurrency=limit)


def ranges(target: Target) -> Work:
    store, row = store_for(target), target.row

    def work(calls: Sequence[Sequence[int]]) -> Any:
        return [store.get_ranges(row.key, starts=starts, lengths=[row.each] * len(starts)) for starts in calls]

    return work


def whole(target: Target) -> Work:
    store = store_for(target)
    return lambda key: store.get(key).bytes()


def serial(target: Target) -> Work:
    store, each = store_for(target), target.row.each
    return lambda keys: [store.get_range(key, start=0, length=each) for key in keys]


def tasks(target: Target) -> Work:
    store, each = store_for(target), target.row.each

    async def fetch(key: str) -> Any:
        return await store.get_range_async(key, start=0, length=each)

    return in_tasks(fetch, target.row.concurrency)


def put(target: Target) -> Work:
    store = store_for(target)

    def work(source: bytes | Path) -> None:
        store.put("upload", source)

    return work


def list_collect(target: Target) -> Work:
    store = store_for(target)

    def work(prefix: str) -> tuple[int, str, str]:
        entries = store.list(prefix).collect()
        return len(entries), entries[0]["path"], entries[-1]["path"]

    return work


def list_split(target: Target) -> Work:
    store = store_for(target)

    def work(prefix: str) -> tuple[int, str, str]:
        entries = store.list(prefix, max_concurrency=64).collect()
        return len(entries), entries[0]["path"], entries[-1]["path"]

    return work


def list_arrow(target: Target) -> Work:
    store = store_for(target)

    def work(prefix: str) -> tuple[int, str, str]:
        batch: Any = store.list(prefix, return_arrow=True).collect()
        return batch.num_rows, batch["path"][0].as_py(), batch["path"][-1].as_py()

    return work


def in_processes(count: int) -> Callable[[Target], Work]:
    def folder(target: Target) -> Work:
        store = store_for(target)
        pool = ProcessPoolExecutor(count, mp_context=get_context("forkserver"))

        def work(job: tuple[Sequence[tuple[str, int]], Path]) -> None:
            distributed.download(store, job[1], job[0], executor=pool, bytes=1 << 18)

        return work

    return folder


WORKS = {
    ("many", "get_many"): many,
    ("ranges", "get_ranges"): ranges,
    ("whole", "get"): whole,
    ("serial", "get_range"): serial,
    ("tasks", "tasks"): tasks,
    ("put", "put"): put,
    ("list", "collect"): list_collect,
    ("list", "arrow"): list_arrow,
    ("list", "64 at a time"): list_split,
} | {("folder", f"{count} processes"): in_processes(count) for count in (1, 2, 3, 4)}
