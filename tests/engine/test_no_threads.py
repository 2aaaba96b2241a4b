"""io_threads = 0: the calling thread and the event loop drive everything, and no helper thread ever exists."""

from __future__ import annotations

import pytest

from tests.engine.client import Server, run_program
from tests.engine.programs.threadless import ALL


@pytest.mark.parametrize("name", ALL)
def test_without_helper_threads(server: Server, name: str) -> None:
    ended = run_program("threadless.without_threads", server.origin, name, env={"OBJSTORE_IO_THREADS": "0"})
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "threads: 1, in flight: 0\n", "")
