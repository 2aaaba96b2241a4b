"""Count the zero bytes of many objects on Ray: by a job, by Ray Data over pieces, and by Ray Data's own reading."""

from __future__ import annotations

import argparse
from typing import Any

import ray

from objstore.arrow import ArrowFileSystemHandler
from objstore.distributed import RayExecutor, run
from objstore.results import Piece
from objstore.store import Store, from_url

MIB = 1 << 20


def zeros(piece: Piece) -> int:
    """Count the zero bytes of a piece: this runs in Ray's tasks."""
    return sum(bytes(body).count(0) for body in piece.get_many())


def by_job(store: Store) -> int:
    """Have Ray carry out a job: results as they come, and a manifest if you want one."""
    return sum(done.value for done in run(zeros, store.plan("objects", bytes=MIB), executor=RayExecutor()))


def by_pieces(store: Store) -> int:
    """Make a dataset of what the pieces have: one request for each object, and none to look at it."""
    pieces = ray.data.from_items([{"piece": piece} for piece in store.plan("objects", bytes=MIB)])
    return sum(row["zeros"] for row in pieces.map(lambda row: {"zeros": zeros(row["piece"])}).iter_rows())


def by_ray(store: Store) -> int:
    """Have Ray read by itself, through the file system for pyarrow."""
    from pyarrow.fs import PyFileSystem

    files = ray.data.read_binary_files("objects", filesystem=PyFileSystem(ArrowFileSystemHandler(store)))

    def count(row: dict[str, Any]) -> dict[str, int]:
        return {"zeros": row["bytes"].count(0)}

    return sum(row["zeros"] for row in files.map(count).iter_rows())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="a URL, below which there is a folder called objects")
    store = from_url(parser.parse_args().store)
    ray.init(num_cpus=2, include_dashboard=False)
    print(by_job(store), by_pieces(store), by_ray(store), "zero bytes")


if __name__ == "__main__":
    main()
