"""Files that are still open for writing when the interpreter ends: their uploads are aborted, and that is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.client import FaultServer

PROGRAM = """
import asyncio, sys, threading
from objstore.store import S3Store
store = S3Store("bucket", endpoint=sys.argv[1], region="us-east-1", access_key_id="a", secret_access_key="b",
                client_options={"allow_http": True})
PART = 5 << 20
"""

BINARY = 'file = store.open("k", "wb", buffer_size=PART); file.write(bytes(2 * PART + 1))'
WAYS = {
    "binary": (BINARY, 0),
    "text": ('file = store.open("k", "w", buffer_size=PART); file.write("a" * (2 * PART + 1))', 0),
    "writer": ('file = store.open_writer("k", buffer_size=PART); file.write(bytes(2 * PART + 1))', 0),
    "async": ('file = store.open_writer_async("k", buffer_size=PART); asyncio.run(file.write(bytes(2 * PART + 1)))', 0),
    "cycle": (BINARY + "; file.itself = file", 0),
    "thread": (
        f"""
def work():
    global file
    {BINARY}
thread = threading.Thread(target=work); thread.start(); thread.join()""",
        0,
    ),
    "exit": (BINARY + "; sys.exit(3)", 3),
    "error": (BINARY + '; raise LookupError("mine")', 1),
}


def run_program(server: FaultServer, program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + program, server.endpoint],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[1],
        env={**os.environ, **variables},
    )


def operations(server: FaultServer) -> set[str]:
    return {request["operation"] for request in server.requests()} - {"part"}


@pytest.mark.parametrize("threads", ["0", "1"])
@pytest.mark.parametrize("way", WAYS)
def test_an_open_file_is_aborted_with_a_warning(fault_server: FaultServer, way: str, threads: str) -> None:
    program, code = WAYS[way]
    ended = run_program(fault_server, program, OBJSTORE_IO_THREADS=threads)
    assert ended.returncode == code, ended.stderr
    assert operations(fault_server) == {"create", "abort"}
    assert "ResourceWarning" in ended.stderr
    assert "'k'" in ended.stderr
    assert "never closed" in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert ended.stderr.count("Traceback") == (way == "error")


def test_a_closed_file_is_no_matter(fault_server: FaultServer) -> None:
    ended = run_program(fault_server, BINARY + "; file.close()")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert operations(fault_server) == {"create", "complete"}


def test_who_silences_warnings_gets_none(fault_server: FaultServer) -> None:
    ended = run_program(fault_server, BINARY, PYTHONWARNINGS="ignore")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert operations(fault_server) == {"create", "abort"}


def test_a_forked_child_leaves_the_file_to_its_parent(fault_server: FaultServer) -> None:
    ended = run_program(
        fault_server,
        BINARY
        + """
import os
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    file.close()
""",
    )
    assert ended.returncode == 0, ended.stderr
    assert operations(fault_server) == {"create", "complete"}
