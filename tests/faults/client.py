"""The fault server as a test sees it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

from tests.servers import REGION, free_port, running

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class FaultServer:
    """A running fault server. It takes any key pair; a key SCENARIO/NAME gets the replies of that scenario."""

    endpoint: str
    name: str = "fault server"
    region: str = REGION
    bucket: str = "bucket"
    access_key_id: str = "any-key-id"
    secret_access_key: str = field(default="any-secret-key", repr=False)

    def requests(self, key: str = "") -> list[dict[str, Any]]:
        """Return the requests seen for keys that start with `key`, or for the bucket and all keys, oldest first.

        README.md names the fields.
        """
        prefix = f"/{self.bucket}/{key}" if key else f"/{self.bucket}"
        with urlopen(f"{self.endpoint}/-/requests?prefix={quote(prefix)}", timeout=10) as reply:
            seen: list[dict[str, Any]] = json.load(reply)
        return seen

    def forget(self) -> None:
        """Make the server forget objects, uploads, requests, and how often each reply was used."""
        urlopen(Request(f"{self.endpoint}/-/", method="DELETE"), timeout=10).close()


@contextmanager
def fault_server() -> Iterator[FaultServer]:
    """Run a fault server on a free loopback port until the block is left."""
    port = free_port()
    with running([sys.executable, "-m", "tests.faults.server", str(port)], port, {"PYTHONPATH": str(ROOT)}):
        yield FaultServer(f"http://127.0.0.1:{port}")
