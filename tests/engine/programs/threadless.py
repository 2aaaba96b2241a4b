"""Programs without helper threads."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from objstore._core import ClientSettings, engine_info
from objstore.exceptions import ConfigurationError
from objstore.plans.effects import Call, Plan
from objstore.plans.run import arun, run
from objstore.plans.several import Several, given
from objstore.plans.work import in_steps
from objstore.store import HTTPStore, LocalStore
from objstore.types import ClientConfig
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


def only_this_thread() -> bool:
    return len(os.listdir("/proc/self/task")) == 1


def refuse_threads() -> None:
    """Have every thread that is to be started from now on fail, however soon it would end."""

    def refuse(thread: threading.Thread) -> None:
        raise AssertionError(f"{thread!r} is to be started")

    threading.Thread.start = refuse  # type: ignore[method-assign]


async def files_in_coroutines(store: LocalStore, folder: Path) -> None:
    names = [f"{index}" for index in range(600)]
    await store.put_many_async([(name, bytes(20_000)) for name in names])
    assert [len(body) for body in await store.get_many_async(names)] == [20_000] * 600
    got = await asyncio.gather(*(store.get_async(name) for name in names))
    assert [len(body) for body in await asyncio.gather(*(one.bytes_async() for one in got))] == [20_000] * 600
    await store.put_async("large", bytes(30_000_000))
    async for _, body in store.iter_many_async(names):
        assert len(body) == 20_000
    assert sum([len(chunk) async for chunk in (await store.get_async("large")).stream()]) == 30_000_000
    async with await store.open_reader_async("large") as file:
        assert len(await file.readall()) == 30_000_000
    async with store.open_writer_async("written") as target:
        await target.write(bytes(20_000_000))
    assert len(await store.get_ranges_async("large", starts=[0, 5], lengths=[4, 4])) == 2
    await store.copy_async("large", "copy")
    await store.rename_async("copy", "other")
    await store.download_async("large", folder / "downloaded")
    await store.delete_async(["other", *names])
    assert len(await store.list().collect_async()) == 2


def local_files(_: str) -> None:
    async def main() -> None:
        await files_in_coroutines(store, Path(folder))
        assert only_this_thread()

    refuse_threads()
    with TemporaryDirectory() as folder:
        store = LocalStore(Path(folder) / "store", mkdir=True)
        store.put_many([(f"{index}", bytes(20_000)) for index in range(600)])
        store.get_many([f"{index}" for index in range(600)])
        store.copy("1", "2")
        assert only_this_thread()
        asyncio.run(main())


def long_work_lets_others_have_their_turn(_: str) -> None:
    """What a file operation does on the event loop comes in steps, between which other tasks go on."""
    turns: list[float] = []

    async def others() -> None:
        while True:
            turns.append(time.monotonic())
            await asyncio.sleep(0)

    async def main() -> None:
        beside = asyncio.create_task(others())
        await asyncio.sleep(0)
        await arun(in_steps(time.sleep(0.001) for _ in range(300)))
        beside.cancel()

    asyncio.run(main())
    assert len(turns) > 4


def what_users_await(_: str) -> None:
    """A blocking call awaits what it is given in its own thread, on a loop that stays; inside a loop, it cannot."""
    seen: list[asyncio.AbstractEventLoop] = []

    async def credential() -> str:
        await asyncio.sleep(0.001)
        seen.append(asyncio.get_running_loop())
        assert only_this_thread()
        return "token"

    def asks() -> Plan[str]:
        token: str = yield Call(credential)
        return token

    async def blocks_in_a_loop() -> None:
        refused = ""
        try:
            run(asks())
        except RuntimeError as error:
            refused = str(error)
        assert "io_threads=0" in refused
        assert await arun(asks()) == "token"

    refuse_threads()
    assert [run(asks()) for _ in range(3)] == ["token"] * 3
    assert len(set(seen)) == 1
    asyncio.run(blocks_in_a_loop())


def proxies_behind_which_libcurl_looks_names_up(_: str) -> None:
    for scheme in ("socks4", "socks5", "socks4a", "socks5h", "http"):
        options: ClientConfig = {"proxy_url": f"{scheme}://user:secret@p.example"}
        refused = ""
        try:
            HTTPStore("https://h.example", client_options=options)
        except ConfigurationError as error:
            refused = str(error)
        assert ("io_threads=0" in refused) == (scheme in ("socks4", "socks5"))
        assert "secret" not in refused


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
        local_files,
        long_work_lets_others_have_their_turn,
        what_users_await,
        proxies_behind_which_libcurl_looks_names_up,
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
