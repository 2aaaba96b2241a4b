"""Run a command until it ends or standard input does, then kill everything that it started.

A server that a test run starts must not outlive the run, even when the run itself is killed. The run holds the write
end of this process's standard input, and the kernel closes it however the run ends.

Usage: python guard.py COMMAND [ARGUMENT...]
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from threading import Thread


def kill_at_end_of_input(process: subprocess.Popen[bytes]) -> None:
    """Wait until standard input ends, then kill `process`."""
    sys.stdin.buffer.read()
    process.kill()


def main(command: list[str]) -> int:
    """Run `command` in a process group of its own, leave nothing of the group, and return the exit status."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    Thread(target=kill_at_end_of_input, args=(process,), daemon=True).start()
    try:
        return process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group: the run's to handle; then our input ends
        signal.signal(number, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
