"""The engine's server as a test sees it, batches made and driven in one line, and programs run in a process of their
own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

from objstore._core import Batch, ClientSettings, Kind, Reply
from objstore.plans.effects import Background, Plan
from tests.servers import free_port, running

Check = TypeVar("Check", bound=Callable[..., None])
ROOT = Path(__file__).parents[2]
SOON = 30.0  # seconds: a busy machine takes less; what this tells from it ends by a time limit of 90, or never
LONG = 3 * SOON
PATIENT = {"connect_timeout": LONG, "first_byte_timeout": LONG, "stall_timeout": LONG}
"""Time limits that no busy machine reaches."""
SETTINGS = ClientSettings(user_agent="tests", verify=False, **PATIENT)


@dataclass(frozen=True, slots=True)
class Server:
    """The running server."""

    origin: str
    tls_origin: str

    def control(self, word: str) -> dict[str, Any]:
        """Give a command and return the counts before it."""
        with urlopen(f"{self.origin}/-/{word}", timeout=20) as reply:
            report: dict[str, Any] = json.load(reply)
        return report

    def seen(self) -> dict[str, Any]:
        """Return the counts."""
        return self.control("seen")


def released(server: Server, *waves: int) -> threading.Thread:
    """Let go of held replies, whenever as many are held as a wave has; join the thread at the end."""

    def release() -> None:
        for wave in waves:
            wait_until(lambda wave=wave: server.seen()["held"] == wave)  # type: ignore[misc]
            server.control("release")

    thread = threading.Thread(target=release)
    thread.start()
    return thread


@contextmanager
def server() -> Iterator[Server]:
    """Run the server until the block is left."""
    port, tls_port = free_port(), free_port()
    command = [sys.executable, "-m", "tests.engine.server", str(port), str(tls_port)]
    with running(command, port, {"PYTHONPATH": str(ROOT)}):
        yield Server(f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls_port}")


OF_ONE = ("headers", "signer", "most_in_flight", "window", "cut_over", "cut_to")
"""What a batch has for itself; all else, it has in common with others of its kind."""


def new_batch(origin: str, method: str = "GET", settings: ClientSettings = SETTINGS, **options: Any) -> Batch:
    """Return an empty batch of a kind of its own."""
    own = {name: options.pop(name) for name in OF_ONE if name in options}
    return Batch(Kind(origin, method, settings, **options), **own)


def batch(
    origin: str, targets: Sequence[str], *, method: str = "GET", settings: ClientSettings = SETTINGS, **options: Any
) -> Batch:
    """Return a sealed batch, not started."""
    made = new_batch(origin, method, settings, **options)
    for target in targets:
        made.add(target.encode())
    made.seal()
    return made


def settle(batch: Batch, *, background: bool = False) -> Plan[dict[int, Reply]]:
    """Wait for all requests, let what fails stand, close the batch and return the failed replies by index."""
    failed: dict[int, Reply] = {}
    effect = Background(batch) if background else batch
    try:
        while not batch.over:
            yield effect
            for reply in batch.failures():
                failed[reply.index] = reply
                batch.give_up(reply.index)
        return failed
    finally:
        batch.close()


def wait_until(holds: Callable[[], bool], seconds: float = 2 * SOON) -> float:
    """Return after how many seconds something holds; fail when it does not hold in time."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, f"not so after {seconds} s"
        time.sleep(0.005)
    return time.monotonic() - begun


def at_best(check: Check, times: int = 10) -> Check:
    """Have it be enough that a test succeeds once: what is wrong fails every time, what was only busy does not.

    For tests of what is to come within a time that a busy machine may exceed.
    """

    @wraps(check)
    def some_time(*arguments: Any, **named: Any) -> None:
        for _ in range(times - 1):
            with suppress(Exception):
                check(*arguments, **named)
                return
        check(*arguments, **named)

    return some_time  # type: ignore[return-value]


def run_program(
    name: str, *arguments: object, env: Mapping[str, str] | None = None, timeout: float = 110
) -> subprocess.CompletedProcess[str]:
    """Run MODULE.FUNCTION of `tests.engine.programs` in a process of its own and return how it ended; what it has
    forked ends with it, where it takes too long."""
    command = [sys.executable, "-m", "tests.engine.programs", name, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            told, said = process.communicate(timeout=timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, told, said)
