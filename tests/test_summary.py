"""The last lines of a run say the same, whether one process ran the tests or several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CONFTEST = """
from tests.summary import Summary

def pytest_configure(config):
    config.pluginmanager.register(Summary({"moto": "", "rclone": "", "minio": "not built"}), "summary")

def pytest_collection_modifyitems(config, items):
    summary = config.pluginmanager.get_plugin("summary")
    summary.leave_out(config, items, [item for item in items if "twice" in item.name], "once is enough")
"""

TESTS = """
import pytest
from tests.servers import S3Server

@pytest.fixture
def moto():
    return S3Server("moto", "http://127.0.0.1:1", "region", "id", "key")

@pytest.mark.parametrize("number", range(3))
def test_a_server(moto, number):
    if number == 2:
        pytest.skip("moto counts to two")

def test_twice():
    assert False

def test_skipped():
    pytest.skip("the moon is full")
"""


@pytest.mark.parametrize("processes", [0, 2])
def test_what_ran_against_what_and_what_did_not_run(tmp_path: Path, processes: int) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('no_such_module', reason='no module')")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", f"--numprocesses={processes}", tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    lines = [line.strip() for line in ended.stdout.splitlines()]
    assert {"moto: 2 passed, 1 skipped", "rclone: nothing ran", "minio: not built"} <= {*lines}
    assert {"1  moto counts to two", "1  the moon is full", "1  once is enough"} <= {*lines}
    assert {"1  no module: test_module.py", "2  skipped, 2 not begun"} <= {*lines}
