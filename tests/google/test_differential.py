"""In every environment Google's own library and ours find the same token, or neither does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.google.cloud import Cloud, identity_of_jwt
from tests.google.environments import BROKEN, ENVIRONMENTS
from tests.tls_proxy import Proxy


class Library:
    """A process that asks one of the libraries."""

    def __init__(self, process: subprocess.Popen[str], proxy: Proxy) -> None:
        self.process = process
        self.proxy = proxy

    def ask(self, variables: dict[str, str], home: Path) -> dict[str, Any]:
        """Return what it finds in an environment."""
        everywhere = {
            "HOME": str(home),
            "HTTPS_PROXY": self.proxy.url,
            "HTTP_PROXY": self.proxy.url,
            "NO_PROXY": "127.0.0.1",
            "REQUESTS_CA_BUNDLE": str(self.proxy.certificates),
            "NO_GCE_CHECK": "true",
            "GCE_METADATA_IP": "127.0.0.1:9",
            "GCE_METADATA_HOST": "127.0.0.1:9",
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({**everywhere, **variables}), file=self.process.stdin, flush=True)
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


@contextmanager
def library(name: str, proxy: Proxy) -> Iterator[Library]:
    command = [sys.executable, "-m", "tests.google.asked", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Library(process, proxy)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def libraries(proxy: Proxy) -> Iterator[tuple[Library, Library]]:
    with library("google-auth", proxy) as theirs, library("objstore", proxy) as ours:
        yield theirs, ours


def identity(token: str) -> str:
    """Return whose token it is: a service account's may be signed by itself."""
    return identity_of_jwt(token) if token.startswith("ey") else token


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_both_are_the_same(name: str, services: Cloud, libraries: tuple[Library, Library], tmp_path: Path) -> None:
    variables = ENVIRONMENTS[name](tmp_path, services)
    theirs, ours = (library.ask(variables, tmp_path) for library in libraries)
    assert "error" not in theirs, theirs["error"]
    assert "error" not in ours, ours["error"]
    assert identity(ours["token"]) == identity(theirs["token"])
    assert ours["quota"] == theirs["quota"]
    assert abs(ours["seconds"] - theirs["seconds"]) < 120


@pytest.mark.parametrize("name", BROKEN)
def test_neither_is_anybody(name: str, services: Cloud, libraries: tuple[Library, Library], tmp_path: Path) -> None:
    variables = BROKEN[name](tmp_path, services)
    theirs, ours = (library.ask(variables, tmp_path) for library in libraries)
    assert "error" in theirs
    assert "error" in ours
    assert ours["error"].startswith(("ConfigurationError: ", "UnauthenticatedError: "))
    assert "planted" not in ours["error"]
