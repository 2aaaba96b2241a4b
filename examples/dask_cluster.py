"""Count the zero bytes of many objects on Dask: by a job, by a bag, by delayed calls, and through fsspec."""

from __future__ import annotations

import argparse

import dask
import dask.bag
from dask.bytes import read_bytes
from dask.distributed import Client, LocalCluster

from objstore.distributed import run
from objstore.results import Piece
from objstore.store import Store, from_url

MIB = 1 << 20


def zeros(piece: Piece) -> int:
    """Count the zero bytes of a piece: this runs on the workers."""
    return sum(bytes(body).count(0) for body in piece.get_many())


def by_job(store: Store, client: Client) -> int:
    """Have Dask carry out a job: results as they come, and a manifest if you want one."""
    return sum(done.value for done in run(zeros, store.plan("objects", bytes=MIB), executor=client))


def by_bag(store: Store) -> int:
    """Put the pieces into a bag: all of the plan is there before work begins."""
    return int(dask.bag.from_sequence(store.plan("objects", bytes=MIB)).map(zeros).sum().compute())


def by_delayed(store: Store) -> int:
    """Make a task of each piece."""
    return sum(dask.compute(*(dask.delayed(zeros)(piece) for piece in store.plan("objects", bytes=MIB))))


def by_fsspec(url: str) -> int:
    """Have Dask read by itself: as everything of Dask's that takes a URL does."""
    _, blocks = read_bytes(f"obj{url}/objects/*", blocksize=None, sample=False)
    return sum(body.count(0) for (body,) in dask.compute(*blocks))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="a URL, below which there is a folder called objects")
    url = parser.parse_args().store
    store = from_url(url)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        print(by_job(store, client), by_bag(store), by_delayed(store), by_fsspec(url), "zero bytes")


if __name__ == "__main__":
    main()
