"""obstore, signed: its async functions under asyncio tasks, its sync ones in threads, and its own batch calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import obstore
from obstore.store import AzureStore, GCSStore, S3Store

from bench.data import ACCESS_KEY_ID, ACCOUNT, ACCOUNT_KEY, BUCKET, REGION, SECRET_ACCESS_KEY
from bench.peers import Target, Work
from bench.peers.spread import in_tasks, in_threads

if TYPE_CHECKING:
    from obstore.store import ClientConfig

PARALLEL_GETS, PART_BYTES = 16, 8 << 20


def store_for(target: Target) -> S3Store | GCSStore | AzureStore:
    options: ClientConfig = {"allow_http": True}
    if target.url.startswith("https"):
        options = {"root_certificate": target.certificate.read_bytes()}
    if target.row.service == "gcs":
        config: Any = {"bearer_token": SECRET_ACCESS_KEY, "base_url": target.url}
        return GCSStore(BUCKET, config=config, client_options=options)
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


def many_tasks(target: Target) -> Work:
    store = store_for(target)

    async def fetch(key: str) -> Any:
        return await (await obstore.get_async(store, key)).bytes_async()

    return in_tasks(fetch, target.row.concurrency)


def many_threads(target: Target, threads: int | None = None) -> Work:
    store = store_for(target)
    return in_threads(lambda key: obstore.get(store, key).bytes(), threads or target.row.concurrency)


def ranges(target: Target, coalesce: int = 1 << 20) -> Work:
    store, row = store_for(target), target.row

    def work(calls: Sequence[Sequence[int]]) -> Any:
        return [
            obstore.get_ranges(store, row.key, starts=starts, lengths=[row.each] * len(starts), coalesce=coalesce)
            for starts in calls
        ]

    return work


def ranges_async(target: Target) -> Work:
    store, row, runner = store_for(target), target.row, asyncio.Runner()

    async def work(calls: Sequence[Sequence[int]]) -> Any:
        return [
            await obstore.get_ranges_async(store, row.key, starts=starts, lengths=[row.each] * len(starts))
            for starts in calls
        ]

    return lambda calls: runner.run(work(calls))


def ranges_threads(target: Target) -> Work:
    store, row = store_for(target), target.row
    fetch = in_threads(lambda start: obstore.get_range(store, row.key, start=start, length=row.each), 8)
    return lambda calls: [fetch(starts) for starts in calls]


def whole(target: Target) -> Work:
    store = store_for(target)
    return lambda key: obstore.get(store, key).bytes()


def whole_by_hand(target: Target) -> Work:
    store = store_for(target)

    def work(key: str) -> Any:
        size = obstore.head(store, key)["size"]
        out = np.empty(size, np.uint8)

        def fetch(start: int) -> None:
            end = min(start + PART_BYTES, size)
            part = memoryview(obstore.get_range(store, key, start=start, end=end))
            out[start:end] = np.frombuffer(part, np.uint8)

        with ThreadPoolExecutor(PARALLEL_GETS) as pool:
            list(pool.map(fetch, range(0, size, PART_BYTES)))
        return out

    return work


def serial(target: Target) -> Work:
    store, each = store_for(target), target.row.each
    return lambda keys: [obstore.get_range(store, key, start=0, length=each) for key in keys]


def tasks(target: Target) -> Work:
    store, each = store_for(target), target.row.each

    async def fetch(key: str) -> Any:
        return await obstore.get_range_async(store, key, start=0, length=each)

    return in_tasks(fetch, target.row.concurrency)


def put(target: Target) -> Work:
    store = store_for(target)

    def work(source: bytes | Path) -> None:
        obstore.put(store, "upload", source)

    return work


def put_async(target: Target) -> Work:
    store, runner = store_for(target), asyncio.Runner()

    async def work(source: bytes | Path) -> None:
        await obstore.put_async(store, "upload", source)

    return lambda source: runner.run(work(source))


def list_collect(target: Target) -> Work:
    store = store_for(target)

    def work(prefix: str) -> tuple[int, str, str]:
        entries = obstore.list(store, prefix).collect()
        return len(entries), entries[0]["path"], entries[-1]["path"]

    return work


def list_pages(target: Target) -> Work:
    store = store_for(target)

    def work(prefix: str) -> tuple[int, str, str]:
        pages = list(obstore.list(store, prefix, chunk_size=1000))
        return sum(map(len, pages)), pages[0][0]["path"], pages[-1][-1]["path"]

    return work


def list_arrow_collect(target: Target) -> Work:
    store = store_for(target)

    def work(prefix: str) -> tuple[int, str, str]:
        batch = obstore.list(store, prefix, return_arrow=True).collect()
        return batch.num_rows, batch["path"][0].as_py(), batch["path"][-1].as_py()

    return work


def list_arrow_pages(target: Target) -> Work:
    store = store_for(target)

    def work(prefix: str) -> tuple[int, str, str]:
        batches = list(obstore.list(store, prefix, chunk_size=1000, return_arrow=True))
        first, last = batches[0]["path"][0].as_py(), batches[-1]["path"][-1].as_py()
        return sum(batch.num_rows for batch in batches), first, last

    return work


WORKS = {
    ("many", "tasks"): many_tasks,
    ("many", "a thread each"): many_threads,
    ("many", "8 threads"): partial(many_threads, threads=8),
    ("many", "32 threads"): partial(many_threads, threads=32),
    ("ranges", "get_ranges"): ranges,
    ("ranges", "get_ranges_async"): ranges_async,
    ("ranges", "coalesce=0"): partial(ranges, coalesce=0),
    ("ranges", "8 threads of get_range"): ranges_threads,
    ("whole", "get"): whole,
    ("whole", "16 x get_range"): whole_by_hand,
    ("serial", "get_range"): serial,
    ("tasks", "tasks"): tasks,
    ("put", "put"): put,
    ("put", "put_async"): put_async,
    ("list", "collect"): list_collect,
    ("list", "pages"): list_pages,
    ("list", "arrow collect"): list_arrow_collect,
    ("list", "arrow pages"): list_arrow_pages,
}
