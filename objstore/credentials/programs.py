"""Programs that print a credential: run without a shell, for a time at the most, a tenth of a second at a time.

Its one invariant: nobody waits for one that hangs but who asked it: a cancelled task, Ctrl-C and the end of the
interpreter end it at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from objstore.settings.masked import HiddenBytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore.plans.work import Work

_STEP = 0.1


class Ended(NamedTuple):
    """Hold what a program has left.

    Args:
        status: Its exit status.
        out: What it printed.
        told: What it printed as errors.
    """

    status: int
    out: bytes
    told: bytes


def ended(
    command: Sequence[str],
    seconds: float,
    *,
    apart: bool,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> Work[Ended]:
    """Run a program to its end.

    Args:
        command: The program and its arguments.
        seconds: How long it may take.
        apart: Whether it gets no terminal, and ends with all that it has started.
        env: Its environment, if it is not ours.
        cwd: Its folder, if it is not ours.

    Raises:
        TimeoutError: It took longer.
        OSError: It cannot be run.
        ValueError: Its name or an argument is none.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=env,
        start_new_session=apart,
    )
    until = time.monotonic() + seconds
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                out, told = process.communicate(timeout=_STEP)
                return Ended(process.returncode, HiddenBytes(out), HiddenBytes(told))
            if time.monotonic() > until:
                raise TimeoutError(f"it took more than {seconds:g} seconds")
            yield
    finally:
        _end(process, apart)


def _end(process: subprocess.Popen[bytes], apart: bool) -> None:
    """End a program, and what it has started, which may go on where it has ended."""
    if apart and hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        process.kill()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()
