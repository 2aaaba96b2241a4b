"""In every environment Microsoft's own library and ours find the same token, or neither does.

That library goes to addresses of real life by itself, so all runs in a network of its own that has nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.azure.environments import BROKEN, GOOD, ODD

Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    apart = ["unshare", "--net", "--mount"]
    if (
        not all(map(shutil.which, ("unshare", "ip", "mount")))
        or subprocess.run([*apart, "true"], check=False).returncode
    ):
        pytest.skip("a network of its own cannot be made here: it takes root, and unshare, ip and mount")
    folder = tmp_path_factory.mktemp("azure")
    here = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [*apart, sys.executable, "-m", "tests.azure.inside", str(folder)]
    ended = subprocess.run(command, env=here, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, check=True)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    return {line["name"]: line for line in lines}


@pytest.mark.parametrize("name", GOOD)
def test_both_are_the_same(name: str, found: dict[str, Found]) -> None:
    theirs, ours = found[name]["azure-identity"], found[name]["objstore"]
    assert "token" in theirs, theirs
    assert "token" in ours, ours
    assert ours["token"] == theirs["token"]
    assert abs(ours["ends"] - theirs["ends"]) < 120


@pytest.mark.parametrize("name", BROKEN)
def test_neither_is_anybody(name: str, found: dict[str, Found]) -> None:
    theirs, ours = found[name]["azure-identity"], found[name]["objstore"]
    assert "error" in theirs, theirs
    assert "error" in ours, ours
    assert ours["error"].startswith(("ConfigurationError: ", "UnauthenticatedError: ", "ConnectionFailedError: "))
    assert "planted" not in ours["error"]


@pytest.mark.parametrize("name", ODD)
def test_both_end_alike(name: str, found: dict[str, Found]) -> None:
    theirs, ours = found[name]["azure-identity"], found[name]["objstore"]
    assert "broken" not in ours
    assert ("error" in ours) == ("error" in theirs), (ours, theirs)
    assert ours.get("token") == theirs.get("token")
    if "token" in ours:
        assert abs(ours["ends"] - theirs["ends"]) < 120


def test_what_was_tried_is_named(found: dict[str, Found]) -> None:
    for name in ("nothing", "nothing, and silence"):
        error = found[name]["objstore"]["error"]
        for tried in ("Environment", "WorkloadIdentity", "ManagedIdentity", "AzureCli", "AzureDeveloperCli"):
            assert f"{tried}Credential: " in error
        assert "az login" in error
    assert found["nothing, and silence"]["objstore"]["took"] < 28  # with the usual limits of time and tries it were 33
