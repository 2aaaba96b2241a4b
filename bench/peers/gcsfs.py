"""gcsfs: its own bulk calls; with nobody to be, so it signs nothing.

Before anything else it would ask Google itself, over gRPC, of what kind the bucket is, and wait for that in vain.
"""

from __future__ import annotations

import os
from typing import Any

os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # read when it is imported

import gcsfs

from bench.peers import Target
from bench.peers.filesystem import works


def system(target: Target) -> Any:
    return gcsfs.GCSFileSystem(token="anon", endpoint_url=target.url, project="bench")


WORKS = works(system)
