"""Count the zero bytes of the share of many objects that this task of a Slurm array has; no task talks to another.

sbatch --array=0-63 --wrap 'python examples/slurm_array.py --store s3://bucket/folder'
"""

from __future__ import annotations

import argparse
import os

from objstore.store import from_url


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="a URL, below which there is a folder called objects")
    store = from_url(parser.parse_args().store)
    shard = (int(os.environ["SLURM_ARRAY_TASK_ID"]), int(os.environ["SLURM_ARRAY_TASK_COUNT"]))
    pieces = store.plan("objects", bytes=1 << 20, shard=shard)
    zeros = sum(bytes(body).count(0) for piece in pieces for body in piece.get_many())
    print(f"task {shard[0]} of {shard[1]}: {zeros} zero bytes")


if __name__ == "__main__":
    main()
