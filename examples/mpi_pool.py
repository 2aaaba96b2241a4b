"""Count the zero bytes of many objects on the ranks of an MPI job.

    mpiexec -n 3 python -m mpi4py.futures examples/mpi_pool.py --store s3://bucket/folder

Rank 0 gives out the pieces, the others work.
"""

from __future__ import annotations

import argparse

from mpi4py.futures import MPIPoolExecutor

from objstore.distributed import run
from objstore.results import Piece
from objstore.store import from_url


def zeros(piece: Piece) -> int:
    """Count the zero bytes of a piece: this runs on the other ranks."""
    return sum(bytes(body).count(0) for body in piece.get_many())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="a URL, below which there is a folder called objects")
    pieces = from_url(parser.parse_args().store).plan("objects", bytes=1 << 20)
    with MPIPoolExecutor() as executor:
        print(sum(done.value for done in run(zeros, pieces, executor=executor)), "zero bytes")


if __name__ == "__main__":
    main()
