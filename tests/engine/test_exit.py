"""A process that ends with transfers in flight ends at once, with the code it meant to have."""

from __future__ import annotations

import time

import pytest

from tests.engine.client import SOON, Server, run_program
from tests.engine.programs.exits import CODES


def test_processes_end_with_transfers_in_flight(server: Server, pytestconfig: pytest.Config) -> None:
    """One that hangs is killed, and so has the wrong code."""
    count = pytestconfig.getoption("exits") // len(CODES) * len(CODES)
    ended = run_program("exits.exit_many", server.origin, server.tls_origin, count)
    assert ended.returncode == 0
    assert "Fatal" not in ended.stderr
    assert ended.stderr.count("LookupError: planted") == count // len(CODES) * 2
    assert ended.stdout.startswith("[] ")


@pytest.mark.parametrize("how", CODES)
def test_the_end_takes_no_time(server: Server, how: str) -> None:
    begun = time.monotonic()
    ended = run_program("exits.exit_in_flight", server.origin, server.tls_origin, how)
    assert ended.returncode == CODES[how], ended.stderr
    assert time.monotonic() - begun < SOON


def test_functions_that_run_at_exit_can_send_requests(server: Server) -> None:
    ended = run_program("exits.exit_then_use", server.origin)
    assert (ended.returncode, ended.stdout.splitlines()) == (0, ["main 60", "first 60", "last 60"])
