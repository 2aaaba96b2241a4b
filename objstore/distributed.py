"""Jobs on many processes and machines: a function on the pieces of a plan, by an executor of your own."""

from objstore._distributed.job import Done, run
from objstore._distributed.manifest import JobError, Manifest

__all__ = ["Done", "JobError", "Manifest", "run"]
