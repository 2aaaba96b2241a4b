"""A program that hangs holds up nobody but who asked it: neither a cancelled task nor the end of the interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HANGS = "#!/bin/sh\necho $$ >> {folder}/pids\nexec sleep 1000\n"
ASKED = {
    "credential_process": "S3Store('bucket', region='r', profile='p')",
    "az": "AzureStore('c', account_name='a', credential_type='azure_cli')",
    "azd": "AzureStore('c', account_name='a', credential_type='azure_developer_cli')",
    "gcloud": "GCSStore('b')",
}
PROGRAM = """
import asyncio, os, sys
from objstore.credentials.chains.azure import commands
from objstore.store import AzureStore, GCSStore, S3Store

commands.SECONDS = 1000.0

async def main():
    task = asyncio.ensure_future({store}.head_async("a"))
    while not os.path.exists({pids!r}):
        await asyncio.sleep(0.01)
    {end}

asyncio.run(main())
"""
ENDS = {"cancelled": "task.cancel()", "left": "return", "exit": "sys.exit(3)"}
ANSWERED = 60.0
"""Long before any of the programs would be ended for its own length, which is in the tests of each."""


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("who", ASKED)
def test_the_interpreter_ends_while_a_program_hangs(who: str, end: str, tmp_path: Path) -> None:
    program = tmp_path / "bin" / (who if who.startswith("az") else "hangs")
    program.parent.mkdir()
    program.write_text(HANGS.format(folder=tmp_path))
    program.chmod(0o755)
    (tmp_path / "config").write_text(f"[profile p]\ncredential_process = {program}\n")
    source = {"executable": {"command": str(program), "timeout_millis": 120_000}}
    account = {"type": "external_account", "audience": "a", "subject_token_type": "t", "credential_source": source}
    (tmp_path / "google.json").write_text(json.dumps({**account, "token_url": "https://sts.example/"}))
    variables = {
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "google.json"),
        "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "1",
        "PYTHONPATH": str(ROOT),
    }
    code = PROGRAM.format(store=ASKED[who], pids=str(tmp_path / "pids"), end=ENDS[end])
    ended = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, timeout=ANSWERED)
    assert ended.returncode == (3 if end == "exit" else 0), ended.stderr.decode()
    for pid in (tmp_path / "pids").read_text().split():
        until = time.monotonic() + ANSWERED
        while _runs(int(pid)):
            assert time.monotonic() < until
            time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except FileNotFoundError:
        return False
