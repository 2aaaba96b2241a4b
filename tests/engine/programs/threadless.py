"""Programs without helper threads."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from objstore._core import ClientSettings, engine_info
from objstore.plans.effects import Plan
from objstore.plans.run import arun, run
from objstore.plans.several import Several, given
from tests.engine.client import SOON, batch, settle
from tests.engine.programs.asking import good, insist, stalled
from tests.engine.twice import hammer, twice


def every_way(origin: str) -> None:
    assert good(origin) == 60


def many_tasks(origin: str) -> None:
    async def main() -> None:
        made = [batch(origin, [f"/100/{index}?delay=0.0{index % 5}"] * 3) for index in range(200)]
        assert await asyncio.gather(*(arun(settle(one)) for one in made)) == [{}] * 200

    asyncio.run(main())


def retries(origin: str) -> None:
    async def main() -> int:
        return await arun(insist(batch(origin, [f"/100/{index}?once=503" for index in range(50)])))

    assert asyncio.run(main()) == 50
    assert run(insist(batch(origin, [f"/100/again-{index}?once=503" for index in range(50)]))) == 50


def time_limits(origin: str) -> None:
    settings = ClientSettings(user_agent="tests", first_byte_timeout=0.4)
    made = batch(origin, ["/5/a?stall=head"], settings=settings)
    begun = time.monotonic()
    assert asyncio.run(arun(settle(made)))[0].curl_code == 28
    assert time.monotonic() - begun < SOON


def waiting_costs_nothing(origin: str) -> None:
    async def main() -> None:
        await arun(settle(batch(origin, ["/5/a?delay=1"] * 5)))

    begun = time.process_time()
    asyncio.run(main())
    assert time.process_time() - begun < 0.3


def cancelled_tasks(origin: str) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(arun(settle(stalled(origin, 2)))) for _ in range(20)]
        await asyncio.sleep(0.1)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks[::2], return_exceptions=True)
        assert await arun(settle(batch(origin, ["/5/a"]))) == {}
        assert engine_info()["in_flight"] == 20

    asyncio.run(main())


def failures_at_once(origin: str) -> None:
    async def main() -> None:
        refused = [arun(settle(batch("http://127.0.0.1:1", ["/a"]))) for _ in range(20)]
        answered = [arun(settle(batch(origin, ["/5/a"]))) for _ in range(20)]
        ended = await asyncio.wait_for(asyncio.gather(*refused, *answered), 30)
        assert [len(one) for one in ended] == [1] * 20 + [0] * 20

    asyncio.run(main())


def begun_by_a_loop_and_ended_by_the_thread(origin: str) -> None:
    made = batch(origin, [f"/100/{index}" for index in range(200)], each=True, most_in_flight=4)
    done: list[int] = []

    def some() -> Plan[None]:
        yield made
        done.extend(made.finished())

    async def main() -> None:
        await arun(some())
        run(some())
        other = asyncio.create_task(arun(settle(batch(origin, ["/5/a?delay=0.05"]))))
        await asyncio.sleep(0)
        run(some())
        assert await asyncio.wait_for(other, 30) == {}

    asyncio.run(main())
    while not made.over:
        run(some())
    done.extend(made.finished())
    made.close()
    assert sorted(done) == list(range(200))


def ended_by_another_thread(origin: str) -> None:
    """End batches from another thread while the event loop that drives them is busy with others."""

    async def main() -> None:
        for _ in range(30):
            kept = [batch(origin, [f"/10000/{index}?stall=1000" for index in range(5)]) for _ in range(3)]
            tasks = [asyncio.create_task(arun(settle(one))) for one in kept]
            busy = asyncio.create_task(arun(settle(batch(origin, [f"/100/{index}" for index in range(100)]))))
            await asyncio.sleep(0.005)
            for one in kept:
                await asyncio.to_thread(one.close)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert await asyncio.wait_for(busy, 30) == {}

    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        loop.run_until_complete(main())
    loop.close()


def a_loop_that_ends_early(origin: str) -> None:
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(arun(settle(stalled(origin, 2)))) for _ in range(3)]
    loop.run_until_complete(asyncio.sleep(0.1))
    assert engine_info()["in_flight"] == 6
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    del task, tasks, loop
    gc.collect()
    assert good(origin) == 60


def a_loop_after_the_other(origin: str) -> None:
    for _ in range(20):
        assert good(origin, 2) == 6
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) < 30


def several_plans(origin: str) -> None:
    came: dict[int, object] = {}
    plans = (settle(batch(origin, [f"/100/{index}?delay=0.0{index % 5}"] * 3)) for index in range(50))
    run(Several(given(plans), 8).each(came.__setitem__))
    assert came == {index: {} for index in range(50)}
    stopped = Several(given(settle(stalled(origin, 2)) for _ in range(4)), 4)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        run(stopped.each(came.__setitem__))
    except KeyboardInterrupt:
        assert engine_info()["in_flight"] == 0
    else:
        raise AssertionError("it was not interrupted")


ALL: dict[str, Callable[[str], None]] = {
    function.__name__: function
    for function in (
        every_way,
        many_tasks,
        retries,
        time_limits,
        waiting_costs_nothing,
        cancelled_tasks,
        failures_at_once,
        begun_by_a_loop_and_ended_by_the_thread,
        ended_by_another_thread,
        a_loop_that_ends_early,
        a_loop_after_the_other,
        several_plans,
    )
}


def without_threads(origin: str, name: str) -> None:
    """Do something without helper threads, and print how many threads there are."""
    ALL[name](origin)
    gc.collect()
    print(f"threads: {len(os.listdir('/proc/self/task'))}, in flight: {engine_info()['in_flight']}")


def hedges() -> None:
    with asyncio.Runner() as runner, twice() as server:
        hammer(server, run, 6)
        hammer(server, lambda plan: runner.run(arun(plan)))
        assert server.tally.counts()["hedges"] > 0
