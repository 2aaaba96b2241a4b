"""azure-storage-blob, the vendor's client, signed: threads around it, and its own parallel ranges for what is large."""

from __future__ import annotations

from typing import Any

from azure.storage.blob import ContainerClient

from bench.data import ACCOUNT, ACCOUNT_KEY, BUCKET
from bench.peers import Target, Work
from bench.peers.spread import in_threads
from bench.servers.nginx import SDK

THREADS = 8


def container(target: Target) -> Any:
    key = {"account_name": ACCOUNT, "account_key": ACCOUNT_KEY}
    return ContainerClient(f"{target.url}{SDK}", BUCKET, credential=key)


def many(target: Target) -> Work:
    blobs = container(target)
    return in_threads(lambda key: blobs.download_blob(key).readall(), THREADS)


def ranges(target: Target) -> Work:
    blobs, row = container(target), target.row
    fetch = in_threads(lambda start: blobs.download_blob(row.key, offset=start, length=row.each).readall(), THREADS)
    return lambda calls: [fetch(starts) for starts in calls]


def whole(target: Target) -> Work:
    blobs = container(target)
    return lambda key: blobs.download_blob(key, max_concurrency=16).readall()


WORKS = {
    ("many", "8 threads"): many,
    ("ranges", "8 threads"): ranges,
    ("whole", "download_blob"): whole,
}
