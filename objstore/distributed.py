"""Jobs on many processes and machines: a function on pieces of a plan, or a transfer, by an executor of your own."""

from objstore._distributed.engines import RayExecutor
from objstore._distributed.job import Done, run
from objstore._distributed.manifest import JobError, Manifest
from objstore._distributed.syncing import sync
from objstore._distributed.transfers import checksum, copy, delete, download, head, upload
from objstore._distributed.whole_objects import Totals

__all__ = [
    "Done",
    "JobError",
    "Manifest",
    "RayExecutor",
    "Totals",
    "checksum",
    "copy",
    "delete",
    "download",
    "head",
    "run",
    "sync",
    "upload",
]
