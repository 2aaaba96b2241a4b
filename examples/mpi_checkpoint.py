"""Write a checkpoint of an array that lies across the ranks of an MPI job as one object, and read it back.

    mpiexec -n 4 python examples/mpi_checkpoint.py

No thread is started: each rank drives its own requests while it waits for them. Without a URL, the object is a file in
a temporary directory.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import pairwise

import numpy as np
from mpi4py import MPI

import objstore
from objstore.results import Piece, Slice
from objstore.store import LocalStore, Store, from_url

ITEMS = 1 << 20
"""How many numbers a rank has: 8 MiB, for a part that is not the last has to have 5 MiB on S3."""


def write(store: Store, path: str, ranks: MPI.Intracomm, mine: np.ndarray) -> None:
    """Write the parts of all ranks as one object: rank 0 begins and ends the upload, each rank sends its part."""
    upload = ranks.bcast(store.begin_upload(path) if ranks.rank == 0 else None)
    parts = ranks.gather(upload.put_part(ranks.rank + 1, mine))
    if ranks.rank == 0:
        upload.complete(parts)
    ranks.barrier()


def read(store: Store, path: str, ranks: MPI.Intracomm, mine: np.ndarray) -> None:
    """Read each rank's share of the object straight into its array; all are of the version that rank 0 has seen."""
    pieces = None
    if ranks.rank == 0:
        meta = store.head(path)
        cuts = [meta["size"] // 8 * rank // ranks.size * 8 for rank in range(ranks.size + 1)]
        shares = [Slice(path, start, end, meta["e_tag"], meta["size"]) for start, end in pairwise(cuts)]
        pieces = [Piece(store, rank, (share,)) for rank, share in enumerate(shares)]
    ranks.scatter(pieces).get_many(out=mine)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="a URL")
    given = parser.parse_args()
    objstore.configure(io_threads=0)
    ranks = MPI.COMM_WORLD
    with tempfile.TemporaryDirectory() as folder:
        store: Store = from_url(given.store) if given.store else LocalStore(ranks.bcast(folder))
        before = np.arange(ITEMS, dtype=np.float64) + ranks.rank * ITEMS
        write(store, "checkpoint", ranks, before)
        after = np.empty_like(before)
        read(store, "checkpoint", ranks, after)
        same = ranks.gather(np.array_equal(before, after) and objstore.engine_info()["io_threads"] == 0)
        if ranks.rank == 0:
            print(f"{store.head('checkpoint')['size']} bytes; as they were on", same.count(True), "ranks")
        ranks.barrier()


if __name__ == "__main__":
    main()
