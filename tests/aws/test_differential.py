"""In each environment ours and AWS's own library end with the same credential, region and end, or both with an error.

The library goes to link-local addresses by itself, so both run in a network namespace in which nothing else is reached.
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

from tests.aws.environments import ENVIRONMENTS as USUAL
from tests.aws.odd import ODD

ENVIRONMENTS = {**USUAL, **ODD}

ROOT = Path(__file__).parents[2]
Outcomes = dict[str, dict[str, dict[str, Any]]]


def alone() -> list[str]:
    """Return the command that runs another one in a network namespace of its own; skip where none can be made."""
    pytest.importorskip("botocore")
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if not shutil.which("unshare") or not shutil.which("ip"):
            break
        if (
            subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode
            == 0
        ):
            return command
    pytest.skip("no network namespace can be made here: it takes `unshare`, `ip`, and the right")


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    home = tmp_path_factory.mktemp("home")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    ended = subprocess.run(
        [*alone(), sys.executable, "-W", "ignore", "-m", "tests.aws.compare", str(home)],
        env={**variables, "HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()[-4000:]
    found: Outcomes = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_ours_is_theirs(outcomes: Outcomes, name: str) -> None:
    ours, theirs = outcomes[name]["ours"], outcomes[name]["theirs"]
    assert ("error" in theirs) == ENVIRONMENTS[name].fails, theirs
    if ENVIRONMENTS[name].fails or ENVIRONMENTS[name].refused:
        assert ours["error"].startswith(("UnauthenticatedError", "ConfigurationError")), ours
        assert not [word for word in ("secret-", "base-secret", "proc-secret", "env-secret") if word in ours["error"]]
        return
    if ENVIRONMENTS[name].extended:
        assert abs(ours.pop("ends") - theirs.pop("ends")) < 500 + 60
    assert ours == theirs


def test_nothing_is_reached_but_what_the_namespace_has(outcomes: Outcomes) -> None:
    """A guard that lets everything through would compare this machine with itself."""
    program = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    ended = subprocess.run([*alone(), sys.executable, "-c", program], capture_output=True, check=False)
    assert b"Network is unreachable" in ended.stderr
