"""asyncio: tasks that are cancelled, loops that end early, many loops at once."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from objstore._core import Buffer, engine_info
from objstore.plans.effects import Plan
from objstore.plans.run import arun, run
from tests.engine.client import SETTINGS, SOON, Server, batch, new_batch, run_program, settle, wait_until
from tests.faults.content import content

MIB = 1 << 20


def open_connections(server: Server) -> int:
    return int(server.seen()["open"])


def stalled(server: Server, count: int) -> list[Plan[Any]]:
    return [settle(batch(server.origin, [f"/{MIB}/{index}?stall=200000"])) for index in range(count)]


async def until_in_flight(count: int) -> None:
    async with asyncio.timeout(2 * SOON):
        while engine_info()["in_flight"] < count:
            await asyncio.sleep(0.01)


def test_cancelled_tasks_leave_no_connection(server: Server) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(arun(plan)) for plan in stalled(server, 50)]
        while server.seen()["in_flight"] < 50:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ended} == {asyncio.CancelledError}
        wait_until(lambda: open_connections(server) == 0, SOON)

    server.control("hang-up")
    asyncio.run(main())


def test_a_time_limit_of_asyncio_ends_the_transfer(server: Server) -> None:
    async def main() -> None:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(arun(stalled(server, 1)[0]), 0.1)
        assert time.monotonic() - begun < SOON

    asyncio.run(main())
    wait_until(lambda: server.seen()["in_flight"] == 0, SOON)


def test_the_callers_memory_is_free_when_the_cancelled_task_is_done(server: Server) -> None:
    memory = bytearray(MIB)

    async def main() -> None:
        made = new_batch(server.origin, "GET", SETTINGS)
        made.add(f"/{MIB}/a?stall=300000".encode(), out=Buffer(memory, writable=True))
        made.seal()
        task = asyncio.create_task(arun(settle(made)))
        async with asyncio.timeout(2 * SOON):
            while memory[199_992:200_000] != content(199_992, 200_000):
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        memory.extend(b"more")

    asyncio.run(main())
    assert memory[:200_000] == content(0, 200_000)


def test_one_cancelled_task_does_not_end_the_others(server: Server) -> None:
    async def main() -> None:
        made = [batch(server.origin, [f"/100/{index}?held=1"] * 4) for index in range(10)]
        tasks = [asyncio.create_task(arun(settle(one))) for one in made]
        while server.seen()["held"] < 40:
            await asyncio.sleep(0.01)
        for task in tasks[::2]:
            task.cancel()
        server.control("release")
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert ended[1::2] == [{}] * 5
        assert all(body == content(0, 100) for one in made[1::2] for body in one.bodies())

    asyncio.run(main())


def test_errors_and_retries_on_a_loop(server: Server) -> None:
    async def main() -> None:
        made = batch(server.origin, [f"/8/{index}?once=503" for index in range(30)])

        def plan() -> Plan[None]:
            while not made.over:
                yield made
                for reply in made.failures():
                    made.retry(reply.index, 0.02)

        await arun(plan())
        made.close()
        assert all(made.reply(index).attempts == 2 for index in range(30))

    asyncio.run(main())


def test_a_loop_that_ends_early_ends_its_transfers(server: Server) -> None:
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(arun(plan)) for plan in stalled(server, 5)]
    loop.run_until_complete(until_in_flight(5))
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    del task, tasks, loop
    gc.collect()
    wait_until(lambda: engine_info()["in_flight"] == 0)


def test_asyncio_run_ends_what_it_left(server: Server) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(arun(plan)) for plan in stalled(server, 5)]
        await until_in_flight(len(tasks))

    begun = time.monotonic()
    asyncio.run(main())
    assert engine_info()["in_flight"] == 0
    assert time.monotonic() - begun < SOON


def test_loops_in_threads_do_not_disturb_each_other(server: Server) -> None:
    wrong: list[object] = []

    async def work(name: int) -> None:
        made = [batch(server.origin, [f"/{64 + name}/{index}?delay=0.002"]) for index in range(200)]
        for ended in await asyncio.gather(*(arun(settle(one)) for one in made)):
            wrong.extend(ended.values())
        wrong.extend(one for one in made if one.bodies() != [content(0, 64 + name)])

    threads = [threading.Thread(target=asyncio.run, args=(work(name),)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_many_loops_one_after_the_other_leave_no_descriptors(server: Server) -> None:
    def cycle(count: int) -> int:
        for index in range(count):
            assert asyncio.run(arun(settle(batch(server.origin, [f"/5/{index}"])))) == {}
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = cycle(3)
    assert cycle(40) <= before + 1


def test_a_plan_driven_in_turn_by_a_loop_and_by_a_thread(server: Server) -> None:
    made = batch(server.origin, [f"/8/{index}" for index in range(200)], each=True, most_in_flight=4)
    done: list[int] = []

    def some() -> Plan[None]:
        yield made
        done.extend(made.finished())

    async def main() -> None:
        for _ in range(5):
            await arun(some())

    asyncio.run(main())
    while not made.over:
        run(some())
    done.extend(made.finished())
    made.close()
    assert sorted(done) == list(range(200))


def test_a_task_group_with_one_failing_member(server: Server) -> None:
    async def fail() -> None:
        await until_in_flight(8)
        raise LookupError("planted")

    async def main() -> None:
        everything: list[Coroutine[Any, Any, Any]] = [arun(plan) for plan in stalled(server, 8)]
        async with asyncio.TaskGroup() as group:
            for coroutine in [*everything, fail()]:
                group.create_task(coroutine)

    begun = time.monotonic()
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert caught.group_contains(LookupError)
    assert time.monotonic() - begun < SOON
    assert engine_info()["in_flight"] == 0


def test_a_plan_driven_by_one_loop_after_the_other(server: Server) -> None:
    """News that came after a loop had ended does not keep later news from the next loop."""
    made = batch(server.origin, [f"/8/{index}?delay=0.01" for index in range(120)], each=True, most_in_flight=4)
    done: list[int] = []

    async def some() -> None:
        await asyncio.sleep(0.02)
        for _ in range(3):
            if not made.over:
                done.extend(made.finished())
                await asyncio.wait_for(arun(wait_for_news()), SOON)

    def wait_for_news() -> Plan[None]:
        yield made

    while not made.over:
        asyncio.run(some())
        time.sleep(0.02)
    done.extend(made.finished())
    made.close()
    assert sorted(done) == list(range(120))


def test_a_task_that_nobody_holds_is_not_lost(server: Server) -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await arun(settle(batch(server.origin, ["/8/a?held=1"])))
        done.append(number)

    async def main() -> None:
        for number in range(10):
            asyncio.create_task(work(number))  # noqa: RUF006
        async with asyncio.timeout(2 * SOON):
            while server.seen()["held"] < 10:
                await asyncio.sleep(0.01)
            gc.collect()
            server.control("release")
            while len(done) < 10:
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert sorted(done) == list(range(10))


def test_ended_loops_leave_no_memory(server: Server) -> None:
    """Batches that had news when their loop ended are freed, and so is what they had fetched."""
    ended = run_program("memory.comes_back_from_an_ended_loop", server.origin)
    assert ended.returncode == 0, ended.stderr
