"""adlfs, signed: its own bulk calls."""

from __future__ import annotations

from typing import Any

import adlfs

from bench.data import ACCOUNT, ACCOUNT_KEY
from bench.peers import Target
from bench.peers.filesystem import works
from bench.servers.nginx import SDK


def system(target: Target) -> Any:
    protocol = target.url.partition(":")[0]
    return adlfs.AzureBlobFileSystem(
        connection_string=f"DefaultEndpointsProtocol={protocol};AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint={target.url}{SDK};"
    )


WORKS = works(system, max_concurrency=16)
