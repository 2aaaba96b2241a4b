"""Requests of several plans at the same time, for callers that block and on asyncio."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from objstore._core import engine_info
from objstore.plans.effects import Plan, Sleep
from objstore.plans.run import arun, run
from objstore.plans.several import Several, given
from tests.engine.client import Server, batch, released, settle, wait_until
from tests.engine.programs.asking import insist

Drive = Callable[[Plan[Any]], Any]


@pytest.fixture(params=["sync", "async"])
def drive(request: pytest.FixtureRequest) -> Drive:
    return run if request.param == "sync" else lambda plan: asyncio.run(arun(plan))


def gathered(drive: Drive, plans: Iterator[Plan[Any]], most: int) -> list[Any]:
    found: dict[int, Any] = {}
    drive(Several(given(plans), most).each(found.__setitem__))
    return [found[number] for number in sorted(found)]


@pytest.mark.parametrize("background", [False, True])
def test_they_are_on_their_way_together(own_server: Server, drive: Drive, background: bool) -> None:
    thread = released(own_server, 6, 6)
    plans = (settle(batch(own_server.origin, [f"/10/{index}?held=1"]), background=background) for index in range(12))
    assert gathered(drive, plans, 6) == [{}] * 12
    thread.join()


def test_retries_wait_for_no_other(own_server: Server, drive: Drive) -> None:
    plans = (insist(batch(own_server.origin, [f"/10/{index}?once=503"])) for index in range(20))
    assert gathered(drive, plans, 5) == [1] * 20


def test_one_that_wakes_for_other_reasons(own_server: Server, drive: Drive) -> None:
    """A batch that is waited for with a limit, and not any more, wakes nobody later."""

    def impatient(index: int) -> Plan[int]:
        made = batch(own_server.origin, [f"/10/{index}?held=1"])
        made.wake_after = 0.01
        yield made
        assert not made.over
        yield Sleep(0.05)
        made.close()
        return index

    assert gathered(drive, map(impatient, range(4)), 4) == [0, 1, 2, 3]


def test_ctrl_c_ends_all_of_them(own_server: Server) -> None:
    def interrupt() -> None:
        wait_until(lambda: own_server.seen()["held"] == 5)
        os.kill(os.getpid(), signal.SIGINT)

    plans = (settle(batch(own_server.origin, [f"/10/{index}?held=1"])) for index in range(9))
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        gathered(run, plans, 5)
    thread.join()
    assert engine_info()["in_flight"] == 0


def test_a_cancelled_task_ends_all_of_them(own_server: Server) -> None:
    async def main() -> None:
        plans = (settle(batch(own_server.origin, [f"/10/{index}?held=1"])) for index in range(9))
        task = asyncio.create_task(arun(Several(given(plans), 5).each(lambda *_: None)))
        await asyncio.to_thread(wait_until, lambda: own_server.seen()["held"] == 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert engine_info()["in_flight"] == 0
