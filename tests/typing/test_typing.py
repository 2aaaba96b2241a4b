"""The files beside this one, under the type checkers as a user has them: strict, and without our settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
FILES = [str(FOLDER / "obspec_protocols.py"), str(FOLDER / "public_api.py")]


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", tool, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def mypy(*files: str) -> None:
    """Fail with what mypy has to say, if it has."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    said = run("mypy", "--strict", f"--config-file={ROOT / 'pyproject.toml'}", *files)
    assert said.returncode == 0, said.stdout + said.stderr


def test_mypy() -> None:
    pytest.importorskip("obspec", reason="obspec is not installed")
    mypy(*FILES)


def test_mypy_with_zarr() -> None:
    """Where there is zarr, its own types are kept, too."""
    pytest.importorskip("zarr", reason="zarr, which needs Python 3.12, is not installed")
    mypy("objstore/zarr.py")


def test_pyright() -> None:
    pytest.importorskip("pyright", reason="pyright is not installed")
    pytest.importorskip("obspec", reason="obspec is not installed")
    version = run("pyright", "--version")
    if version.returncode:
        pytest.skip(f"pyright cannot start: {(version.stdout + version.stderr).strip().splitlines()[-1]}")
    said = run("pyright", f"--pythonpath={sys.executable}", *FILES)
    assert said.returncode == 0, said.stdout + said.stderr
