"""A job of which two workers die, by engines that give lost work out again themselves, and one that is made anew.

Usage: python -m tests.lost_workers dask|ray|loky URL
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from objstore.distributed import RayExecutor, run
from objstore.results import Piece
from objstore.store import from_url


def read_or_die(marks: str, piece: Piece) -> int:
    """Count the zero bytes of a piece, after a first try that kills the worker."""
    if piece.number in (3, 9):
        try:
            os.close(os.open(f"{marks}/{piece.number}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return sum(bytes(body).count(0) for body in piece.get_many())


@contextmanager
def dask() -> Iterator[Any]:
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        yield client


@contextmanager
def ray() -> Iterator[Any]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False)
    yield RayExecutor(max_retries=5)


@contextmanager
def loky() -> Iterator[Any]:
    from loky import get_reusable_executor

    yield partial(get_reusable_executor, 2)


def main(engine: str, url: str) -> None:
    """Run the job."""
    pieces = from_url(url).plan("objects", bytes=100_000)
    with {"dask": dask, "ray": ray, "loky": loky}[engine]() as executor, tempfile.TemporaryDirectory() as marks:
        done = [*run(partial(read_or_die, marks), pieces, executor=executor, most_in_flight=4)]
        assert sorted(os.listdir(marks)) == ["3", "9"]
    assert sorted(each.piece.number for each in done) == [*range(len(done))]
    print(sum(each.value for each in done))


if __name__ == "__main__":
    main(*sys.argv[1:])
