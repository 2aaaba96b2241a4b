"""adlfs, signed: its own bulk calls, which are asyncio tasks below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import adlfs

from bench.data import ACCOUNT, ACCOUNT_KEY, BUCKET
from bench.peers import Target, Work
from bench.servers.nginx import SDK


def system(target: Target) -> Any:
    protocol = target.url.partition(":")[0]
    return adlfs.AzureBlobFileSystem(
        connection_string=f"DefaultEndpointsProtocol={protocol};AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint={target.url}{SDK};"
    )


def many(target: Target) -> Work:
    files, at_once = system(target), target.row.concurrency

    def work(keys: Sequence[str]) -> list[Any]:
        paths = [f"{BUCKET}/{key}" for key in keys]
        found = files.cat(paths, batch_size=at_once)
        return [found[path] for path in paths]

    return work


def ranges(target: Target) -> Work:
    files, row = system(target), target.row

    def work(calls: Sequence[Sequence[int]]) -> Any:
        path = f"{BUCKET}/{row.key}"
        return [
            files.cat_ranges([path] * len(starts), list(starts), [start + row.each for start in starts])
            for starts in calls
        ]

    return work


def whole(target: Target) -> Work:
    files = system(target)
    return lambda key: files.cat_file(f"{BUCKET}/{key}", max_concurrency=16)


WORKS = {("many", "cat"): many, ("ranges", "cat_ranges"): ranges, ("whole", "cat_file"): whole}
