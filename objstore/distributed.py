"""Jobs on many processes and machines: a function on pieces of a plan, or a transfer, by an executor of your own."""

from objstore._distributed.engines import RayExecutor
from objstore._distributed.job import Done, run
from objstore._distributed.manifest import JobError, Manifest
from objstore._distributed.transfers import Totals, checksum, copy, delete, download, head, upload

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
    "upload",
]
