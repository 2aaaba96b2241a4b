"""Memory that runs out: every allocation of the engine and of libcurl fails once, in each of some thirty operations."""

from __future__ import annotations

import pytest

from objstore import _core
from tests.engine.client import run_program
from tests.faults.client import FaultServer


@pytest.mark.skipif(
    _core._live_allocations() < 0,  # type: ignore[attr-defined]
    reason="only builds of ci/sanitize and OBJSTORE_DEBUG=1 let an allocation fail",
)
def test_every_allocation_may_fail(fault_server: FaultServer) -> None:
    ended = run_program("allocations.every_allocation", fault_server.endpoint, timeout=900)
    print(ended.stdout)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("\n") == 31
