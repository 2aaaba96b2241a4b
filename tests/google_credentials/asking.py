"""The two libraries, each in a process that answers who we are in one environment after another."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tls_proxy import Proxy


class Library:
    """A process that asks one of the libraries."""

    def __init__(self, process: subprocess.Popen[str], proxy: Proxy) -> None:
        self.process = process
        self.proxy = proxy

    def ask(self, variables: dict[str, str], home: Path) -> dict[str, Any]:
        """Return what it finds in an environment; no metadata server is looked for unless the variables say so."""
        nowhere = {"NO_GCE_CHECK": "true", "GCE_METADATA_IP": "127.0.0.1:9", "GCE_METADATA_HOST": "127.0.0.1:9"}
        return self.ask_with({**nowhere, **variables}, home)

    def ask_with(self, variables: dict[str, str], home: Path) -> dict[str, Any]:
        """Return what it finds in an environment, reached by way of the proxy but for what is near."""
        always = {
            "HOME": str(home),
            "HTTPS_PROXY": self.proxy.url,
            "HTTP_PROXY": self.proxy.url,
            "NO_PROXY": "127.0.0.1,169.254.169.254,metadata.google.internal",
            "REQUESTS_CA_BUNDLE": str(self.proxy.certificates),
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({**always, **variables}), file=self.process.stdin, flush=True)
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


@contextmanager
def library(name: str, proxy: Proxy, *also: str) -> Iterator[Library]:
    """Run google-auth or objstore until the block is left; it goes nowhere but to loopback and to other hosts given."""
    command = [sys.executable, "-m", "tests.google_credentials.asked", name, *also]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Library(process, proxy)
        assert process.stdin is not None
        process.stdin.close()
