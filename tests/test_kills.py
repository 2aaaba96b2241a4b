"""A job whose workers are killed, on servers that fail, and that is killed itself: `ci/kills` with fewer objects."""

from __future__ import annotations

import faulthandler
import subprocess
import sys

from tests.kills import ROOT

OBJECTS = 1000
TIMEOUT = 600
"""On a machine that has much else to do; alone it takes ten seconds."""


def test_every_byte_is_copied_once_whatever_is_killed() -> None:
    faulthandler.cancel_dump_traceback_later()  # which ends the process of a test that takes two minutes
    command = [sys.executable, "-m", "tests.kills", str(OBJECTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{OBJECTS:,} objects, ")
