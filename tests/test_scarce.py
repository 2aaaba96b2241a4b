"""Memory that runs out: each allocation of the engine and of libcurl fails once, and what comes is right or an error.

A library that is preloaded into a program of its own lets them fail (`scarce.c`). `OBJSTORE_SCARCE=1` does it to thirty
operations, which takes some minutes: where libcurl forgets a timer for want of memory, a time limit has to end it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from objstore.store import MemoryStore
from tests.faults.client import FaultServer
from tests.scarce import operations

HERE = Path(__file__).parent
OPERATIONS = [*operations(MemoryStore(), Path())] if os.environ.get("OBJSTORE_SCARCE") else ["put", "list"]


@pytest.fixture(scope="module")
def scarce(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the library that lets allocations fail."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    if "LD_PRELOAD" in os.environ:
        pytest.skip("something else is preloaded, a sanitizer perhaps")
    built = tmp_path_factory.mktemp("scarce") / "scarce.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(built), str(HERE / "scarce.c")], check=True)
    return built


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_allocation_may_fail(fault_server: FaultServer, scarce: Path, tmp_path: Path, operation: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.scarce", str(scarce), fault_server.endpoint, str(tmp_path), operation],
        env={**os.environ, "LD_PRELOAD": str(scarce)},
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "done" in ended.stdout
    assert "MemoryError" in ended.stdout
