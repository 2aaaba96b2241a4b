"""Bulk calls of fsspec's filesystems, which are asyncio tasks below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.data import BUCKET
from bench.peers import Target, Work

System = Callable[[Target], Any]


def works(system: System, **whole_options: Any) -> dict[tuple[str, str], Callable[[Target], Work]]:
    """Return the ways to do each operation by a filesystem.

    Args:
        system: Makes the filesystem.
        whole_options: What `cat_file` takes beside the path.
    """

    def whole(target: Target) -> Work:
        files = system(target)
        return lambda key: files.cat_file(f"{BUCKET}/{key}", **whole_options)

    return {
        ("many", "cat"): lambda target: _many(system(target), target),
        ("ranges", "cat_ranges"): lambda target: _ranges(system(target), target),
        ("whole", "cat_file"): whole,
    }


def _many(files: Any, target: Target) -> Work:
    def work(keys: Sequence[str]) -> list[Any]:
        paths = [f"{BUCKET}/{key}" for key in keys]
        found = files.cat(paths, batch_size=target.row.concurrency)
        return [found[path] for path in paths]

    return work


def _ranges(files: Any, target: Target) -> Work:
    path, each = f"{BUCKET}/{target.row.key}", target.row.each

    def work(calls: Sequence[Sequence[int]]) -> Any:
        return [
            files.cat_ranges([path] * len(starts), list(starts), [start + each for start in starts]) for starts in calls
        ]

    return work
