"""Child processes that cannot outlive the run, and the sockets that they inherit.

Every server gets a listening socket that was bound here to a free port, so no port can be taken in between.
"""

from __future__ import annotations

import ctypes
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
SO_MAX_PACING_RATE = 47
LOOPBACK = "127.0.0.1"

_libc = ctypes.CDLL(None)


class MissingProgramError(Exception):
    """A program that the servers need is not on this machine; the message says how to get it."""


def listening_socket(*, address: str = LOOPBACK, bytes_per_second: int | None = None) -> socket.socket:
    """Bind a listening socket; every connection accepted from it is paced to `bytes_per_second`."""
    listener = socket.create_server((address, 0), backlog=8192)
    if bytes_per_second is not None:
        listener.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, bytes_per_second)
    listener.set_inheritable(True)
    listener.setblocking(False)
    return listener


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def start(
    argv: Sequence[str], inherited: Sequence[socket.socket | int], env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a server that dies with this thread and inherits sockets, or other descriptors."""
    descriptors = [each if isinstance(each, int) else each.fileno() for each in inherited]
    return subprocess.Popen(argv, env=env, pass_fds=descriptors, preexec_fn=_die_with_parent)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def compile_c(source: Path, into: Path) -> Path:
    """Compile one C file with the machine's compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise MissingProgramError(f"no C compiler for {source.name}: install gcc or clang")
    program = into / source.stem
    subprocess.run([compiler, "-O2", "-pthread", "-o", str(program), str(source)], check=True)
    return program


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
