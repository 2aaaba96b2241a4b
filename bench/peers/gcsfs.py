"""gcsfs: its own bulk calls, which are asyncio tasks below; with nobody to be, so it signs nothing.

Before anything else it would ask Google itself, over gRPC, of what kind the bucket is, and wait for that in vain.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # read when it is imported

import gcsfs

from bench.data import BUCKET
from bench.peers import Target, Work


def system(target: Target) -> Any:
    return gcsfs.GCSFileSystem(token="anon", endpoint_url=target.url, project="bench")


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
    return lambda key: files.cat_file(f"{BUCKET}/{key}")


WORKS = {("many", "cat"): many, ("ranges", "cat_ranges"): ranges, ("whole", "cat_file"): whole}
