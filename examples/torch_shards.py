"""Read many objects into PyTorch: each worker of a DataLoader lists and reads a shard of its own.

With several processes (torchrun) each takes its own shards as well.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from objstore.store import Store, from_url


class Objects(IterableDataset):  # type: ignore[type-arg]
    """The objects of a store as tensors of bytes."""

    def __init__(self, store: Store, prefix: str) -> None:
        self.store = store
        self.prefix = prefix

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Yield the objects of this worker's shard."""
        worker = get_worker_info()
        mine, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        shard = (rank * workers + mine, ranks * workers)
        for page in self.store.list(self.prefix, shard=shard):
            for _, body in self.store.iter_many([meta["path"] for meta in page]):
                yield torch.from_numpy(np.frombuffer(body, np.uint8).copy())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="a URL, below which there is a folder called objects")
    store = from_url(parser.parse_args().store)
    for method in ("fork", "spawn", "forkserver"):
        loader = DataLoader(Objects(store, "objects"), batch_size=None, num_workers=2, multiprocessing_context=method)
        sizes = [len(tensor) for tensor in loader]
        print(method, len(sizes), "objects of", sum(sizes), "bytes")


if __name__ == "__main__":
    main()
