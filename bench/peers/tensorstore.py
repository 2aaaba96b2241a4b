"""tensorstore, unsigned: its http store with as many reads at once as the row allows, its s3 store for lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorstore

from bench.data import BUCKET, REGION
from bench.peers import Target, Work
from bench.peers.spread import in_tasks


def http(target: Target) -> tensorstore.KvStore:
    limit = max(target.row.concurrency, 32)
    return tensorstore.KvStore.open(
        {"driver": "http", "base_url": f"{target.url}/{BUCKET}/"},
        context=tensorstore.Context({"http_request_concurrency": {"limit": limit}}),
    ).result()


def many(target: Target) -> Work:
    store = http(target)
    return lambda keys: _gather([store.read(key) for key in keys])


def ranges(target: Target) -> Work:
    store, row = http(target), target.row
    return lambda calls: [
        _gather([store.read(row.key, byte_range=slice(start, start + row.each)) for start in starts])
        for starts in calls
    ]


def ranges_batch(target: Target) -> Work:
    store, row = http(target), target.row

    def call(starts: Sequence[int]) -> list[bytes]:
        with tensorstore.Batch() as batch:
            reads = [store.read(row.key, byte_range=slice(start, start + row.each), batch=batch) for start in starts]
        return _gather(reads)

    return lambda calls: [call(starts) for starts in calls]


def whole(target: Target) -> Work:
    store = http(target)
    return lambda key: store.read(key).result().value


def serial(target: Target) -> Work:
    store, part = http(target), slice(0, target.row.each)
    return lambda keys: [store.read(key, byte_range=part).result().value for key in keys]


def tasks(target: Target) -> Work:
    store, part = http(target), slice(0, target.row.each)

    async def fetch(key: str) -> Any:
        return (await store.read(key, byte_range=part)).value

    return in_tasks(fetch, target.row.concurrency)


def list_s3(target: Target) -> Work:
    store = tensorstore.KvStore.open(
        {
            "driver": "s3",
            "bucket": BUCKET,
            "endpoint": target.url,
            "aws_region": REGION,
            "aws_credentials": {"type": "anonymous"},
        }
    ).result()

    def work(prefix: str) -> tuple[int, str, str]:
        keys = store.list(tensorstore.KvStore.KeyRange(prefix, prefix[:-1] + "0")).result()
        return len(keys), min(keys).decode(), max(keys).decode()

    return work


def _gather(reads: Sequence[Any]) -> list[bytes]:
    return [read.result().value for read in reads]


WORKS: dict[tuple[str, str], Callable[[Target], Work]] = {
    ("many", "http"): many,
    ("ranges", "http"): ranges,
    ("ranges", "Batch"): ranges_batch,
    ("whole", "http"): whole,
    ("serial", "http"): serial,
    ("tasks", "http"): tasks,
    ("list", "s3"): list_s3,
}
