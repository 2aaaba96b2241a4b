"""Count the zero bytes of many objects with a pool of processes; stopped by Ctrl-C and run again, it goes on.

Without a URL it works on files that it makes in a temporary directory.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from objstore.distributed import Manifest, run
from objstore.results import Piece
from objstore.store import LocalStore, Store, from_url

MIB = 1 << 20


def zeros(piece: Piece) -> int:
    """Count the zero bytes of a piece: this runs in the processes of the pool."""
    return sum(bytes(body).count(0) for body in piece.get_many())


def count(store: Store, manifest: Manifest, processes: int) -> int:
    """Count the zero bytes of all objects."""
    pool = partial(ProcessPoolExecutor, processes, mp_context=get_context("forkserver"))
    pieces = store.plan("objects", bytes=MIB)
    return sum(done.value for done in run(zeros, pieces, executor=pool, manifest=manifest))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="a URL, below which there is a folder called objects")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.store:
            store: Store = from_url(given.store)
        else:
            store = LocalStore(folder)
            store.put_many((f"objects/{number:03}", bytes(number << 10)) for number in range(100))
        print(count(store, Manifest(store, "manifest"), given.processes), "zero bytes in what was not counted before")


if __name__ == "__main__":
    main()
