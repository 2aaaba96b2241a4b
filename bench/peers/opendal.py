"""opendal, signed: AsyncOperator under asyncio tasks, Operator in threads. It has no option for a CA of one's own."""

from __future__ import annotations

from functools import partial

import opendal

from bench.data import ACCESS_KEY_ID, BUCKET, REGION, SECRET_ACCESS_KEY
from bench.peers import Target, Work
from bench.peers.spread import in_tasks, in_threads


def options(target: Target) -> dict[str, str]:
    return {
        "bucket": BUCKET,
        "endpoint": target.url,
        "region": REGION,
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET_ACCESS_KEY,
        "disable_config_load": "true",
        "disable_ec2_metadata": "true",
    }


def many_tasks(target: Target) -> Work:
    store = opendal.AsyncOperator("s3", **options(target))
    return in_tasks(store.read, target.row.concurrency)


def many_threads(target: Target) -> Work:
    store = opendal.Operator("s3", **options(target))
    return in_threads(store.read, 8)


def whole(target: Target) -> Work:
    store = opendal.Operator("s3", **options(target))
    return store.read


def serial(target: Target) -> Work:
    store, each = opendal.Operator("s3", **options(target)), target.row.each
    return lambda keys: [store.read(key, offset=0, size=each) for key in keys]


def tasks(target: Target) -> Work:
    store = opendal.AsyncOperator("s3", **options(target))
    return in_tasks(partial(store.read, offset=0, size=target.row.each), target.row.concurrency)


def listing(target: Target) -> Work:
    store = opendal.Operator("s3", **options(target))

    def work(prefix: str) -> tuple[int, str, str]:
        entries = list(store.list(prefix, recursive=True))
        return len(entries), entries[0].path, entries[-1].path

    return work


WORKS = {
    ("many", "tasks"): many_tasks,
    ("many", "8 threads"): many_threads,
    ("whole", "read"): whole,
    ("serial", "read"): serial,
    ("tasks", "tasks"): tasks,
    ("list", "list"): listing,
}
