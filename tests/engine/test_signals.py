"""Ctrl-C ends a call that waits, at once, in every mode, and its cleanup runs."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from objstore._core import Batch, Buffer, engine_info
from objstore.plans.effects import Call, Plan
from objstore.plans.run import arun, run
from tests.engine.client import SETTINGS, Server, batch, new_batch, settle, wait_until

TOO_LATE = 0.5  # seconds; on a quiet machine it takes about a tenth of that
TRIES = 10  # of which one is to be in time: what waits for anything is late every time
MIB = 1 << 20


def in_flight() -> bool:
    return engine_info()["in_flight"] > 0


def interrupted(act: Callable[[], Any], after: float = 0.15, begun: Callable[[], bool] = in_flight) -> float:
    """Do something that never ends by itself, and return how long it takes to end after SIGINT.

    That comes `after` seconds after it has `begun`.
    """
    sent: list[float] = []

    def interrupt() -> None:
        wait_until(begun)
        time.sleep(after)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        act()
    return time.monotonic() - sent[0]


def is_soon_interrupted(act: Callable[[], Any], after: float = 0.15, begun: Callable[[], bool] = in_flight) -> bool:
    return any(interrupted(act, after, begun) < TOO_LATE for _ in range(TRIES))


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("target", ["/9/a?stall=head", f"/{MIB}/a?stall=100000"])
def test_ctrl_c_ends_a_stalled_call(server: Server, target: str, background: bool) -> None:
    assert is_soon_interrupted(lambda: run(settle(batch(server.origin, [target] * 20), background=background)))
    assert engine_info()["in_flight"] == 0
    wait_until(lambda: server.seen()["in_flight"] == 0)


@pytest.mark.parametrize("background", [False, True])
def test_ctrl_c_ends_a_busy_call_and_frees_the_callers_memory(server: Server, background: bool) -> None:
    memory = bytearray(MIB)
    made: list[Batch] = []

    def read() -> None:
        made.append(new_batch(server.origin, "GET", SETTINGS))
        out = Buffer(memory, writable=True)
        for index in range(100_000):
            made[-1].add(f"/10000/{index}".encode(), out=out, out_start=10_000 * (index % 100), out_length=10_000)
        made[-1].seal()
        run(settle(made[-1], background=background))

    def has_begun() -> bool:
        return made != [] and not made[-1].over and made[-1].settled > 0

    assert is_soon_interrupted(read, 0, has_begun)
    memory.extend(b"more")
    assert 0 < made[-1].settled < 100_000


def test_ctrl_c_ends_an_upload(server: Server) -> None:
    data = bytearray(32 * MIB)

    def write() -> None:
        made = new_batch(server.origin, "PUT", SETTINGS)
        made.add(b"/9/a?rate=1000", body=Buffer(data))
        made.seal()
        run(settle(made))

    assert is_soon_interrupted(write)
    data.clear()


def test_ctrl_c_runs_a_cleanup_that_sends_requests(server: Server) -> None:
    def plan() -> Plan[None]:
        try:
            yield from settle(batch(server.origin, ["/9/a?stall=head"]))
        except KeyboardInterrupt:
            yield from settle(batch(server.origin, ["/9/abort"]))
            yield Call(lambda: None)
            raise

    assert is_soon_interrupted(lambda: run(plan()))
    targets = [target for _, target in server.seen()["requests"]]
    assert targets == ["/9/a?stall=head", "/9/abort"] * (len(targets) // 2)


def test_ctrl_c_ends_asyncio(server: Server) -> None:
    async def main() -> None:
        await asyncio.gather(*(arun(settle(batch(server.origin, ["/9/a?stall=head"]))) for _ in range(10)))

    assert is_soon_interrupted(lambda: asyncio.run(main()))
    assert engine_info()["in_flight"] == 0


def test_ctrl_c_leaves_the_calls_of_other_threads_alone(server: Server) -> None:
    failed: list[Any] = []
    made = batch(server.origin, ["/9/a?held=1"] * 4)
    thread = threading.Thread(target=lambda: failed.append(run(settle(made))))
    thread.start()
    wait_until(lambda: server.seen()["held"] == 4)
    assert is_soon_interrupted(lambda: run(settle(batch(server.origin, ["/9/a?stall=head"]))))
    server.control("release")
    thread.join()
    assert failed == [{}]


def test_the_loop_is_good_for_the_next_call(server: Server) -> None:
    for index in range(5):
        interrupted(lambda: run(settle(batch(server.origin, ["/9/a?stall=head"] * 5))), 0.02)
        assert run(settle(batch(server.origin, [f"/9/{index}"] * 20))) == {}


def test_a_handler_that_does_not_raise_does_not_end_the_call(server: Server) -> None:
    caught: list[int] = []

    def interrupt(count: int) -> None:
        wait_until(lambda: server.seen()["held"] == 1)
        os.kill(os.getpid(), signal.SIGUSR1)
        wait_until(lambda: len(caught) == count)
        server.control("release")

    before = signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
    try:
        for count, background in enumerate((False, True), 1):
            interrupting = threading.Thread(target=interrupt, args=(count,))
            interrupting.start()
            assert run(settle(batch(server.origin, ["/9/a?held=1"]), background=background)) == {}
            interrupting.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert caught == [signal.SIGUSR1] * 2


def test_helper_threads_take_no_signals(server: Server) -> None:
    run(settle(batch(server.origin, ["/9/a"]), background=True))
    masks = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        masks.append(int(fields["SigBlk"], 16))
    blocking = [mask for mask in masks if mask & 1 << signal.SIGINT - 1]
    assert len(blocking) >= engine_info()["threads"] >= 1
