"""In every environment Google's own library and ours find the same token, or neither does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.google_credentials.asking import Library, library
from tests.google_credentials.cloud import Cloud, identity_of_jwt
from tests.google_credentials.environments import BROKEN, ENVIRONMENTS
from tests.google_credentials.odd import ODD
from tests.tls_proxy import Proxy


@pytest.fixture(scope="module")
def libraries(proxy: Proxy) -> Iterator[tuple[Library, Library]]:
    with library("google-auth", proxy) as theirs, library("objstore", proxy) as ours:
        yield theirs, ours


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """What both find where the real addresses of metadata servers are fakes, and there is nothing else."""
    here = Path(__file__).parent
    command = ["unshare", "--net", "--mount", "sh", str(here / "alone.sh"), sys.executable]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip(f"no network of its own can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["machine", "external AWS machine"])
def test_both_find_the_metadata_servers_by_themselves(name: str, alone: dict[str, Any]) -> None:
    theirs, ours = alone[name]
    assert "error" not in theirs, theirs["error"]
    assert "error" not in ours, ours["error"]
    assert ours["token"] == theirs["token"]


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


@pytest.mark.parametrize("name", ODD)
def test_both_end_alike(name: str, services: Cloud, libraries: tuple[Library, Library], tmp_path: Path) -> None:
    variables = ODD[name](tmp_path, services)
    theirs, ours = (library.ask(variables, tmp_path) for library in libraries)
    assert ("error" in ours) == ("error" in theirs), (ours, theirs)
    if "error" not in ours:
        assert (identity(ours["token"]), ours["quota"]) == (identity(theirs["token"]), theirs["quota"])
        assert abs(ours["seconds"] - theirs["seconds"]) < 120
