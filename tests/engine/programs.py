"""Programs that tests run in a process of their own: python -m tests.engine.programs NAME ARGUMENTS."""

from __future__ import annotations

import asyncio
import atexit
import gc
import multiprocessing
import os
import random
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from objstore import _core
from objstore._core import Batch, ClientSettings, engine_info
from objstore._effects import Plan
from objstore._options import RetryOptions
from objstore._retry import Policy, understand
from objstore._run import arun, run
from tests.engine.client import batch, settle

PROGRAMS: dict[str, Callable[..., int | None]] = {}


def program(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Make a function known by its name."""
    PROGRAMS[function.__name__] = function
    return function


def insist(made: Batch) -> Plan[int]:
    """Wait for all requests, retry what fails as a store does, and return how many succeeded."""
    policy = Policy(RetryOptions(), clock=lambda: 0.0)
    try:
        while not made.over:
            yield made
            for reply in made.failures():
                delay = policy.delay(understand(reply, {}, None, ""), reply.attempts, 0, safe=True)
                if delay is None:
                    print(reply, reply.attempts, file=sys.stderr)
                    made.give_up(reply.index)
                else:
                    made.retry(reply.index, delay)
        return sum(body is not None for body in made.bodies())
    finally:
        made.close()


@program
def few_descriptors(origin: str, mode: str) -> None:
    """Send 1,000 requests with 64 descriptors."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    def some(count: int, most_in_flight: int = 200) -> Batch:
        return batch(origin, [f"/100/{index}" for index in range(count)], most_in_flight=most_in_flight)

    async def several() -> int:
        return sum(await asyncio.gather(*(arun(insist(some(100))) for _ in range(10))))

    if mode == "sync":
        print(run(insist(some(1000))))
    elif mode == "async":
        print(asyncio.run(several()))
    elif mode == "both":
        print(run(insist(some(500))) + asyncio.run(arun(insist(some(500)))))
    else:
        counts: list[int] = []
        threads = [threading.Thread(target=lambda: counts.append(run(insist(some(250, 12))))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(sum(counts))


@program
def one_descriptor(origin: str) -> None:
    """Run out of descriptors when the loop is made and its first connection is not; then have one again."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    taken = []
    made = batch(origin, [f"/5/{index}" for index in range(5)], most_in_flight=5)
    made.start()
    with suppress(OSError):
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    for _ in range(2):  # libcurl's own
        os.close(taken.pop())
    reasons = set()
    while len(reasons) < 5 and not made.over:
        made.wait()
        for reply in made.failures():
            reasons.add(f"{reply.curl_code} {reply.error}")
            os.close(taken.pop())
            made.retry(reply.index)
    print(*reasons)
    print(sum(body is not None for body in made.bodies()))


@program
def no_descriptor(origin: str) -> None:
    """Begin a request with no descriptor left, and again with some."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    taken = []
    for background in (False, True):
        with suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        made = batch(origin, ["/5/a"])
        try:
            made.start(background=background)
        except (OSError, RuntimeError) as error:
            print(type(error).__name__, error)
        made.close()
        while taken:
            os.close(taken.pop())
    print(run(insist(batch(origin, ["/5/a"]))))


# --- fork


def good(origin: str, count: int = 20) -> int:
    """Return how many of some requests succeed, sent in each of the three ways."""
    targets = [f"/100/{index}" for index in range(count)]
    made = [batch(origin, targets) for _ in range(3)]
    run(settle(made[0]))
    run(settle(made[1], background=True))
    asyncio.run(arun(settle(made[2])))
    return sum(body is not None and len(body) == 100 for one in made for body in one.bodies())


def child(origin: str) -> int:
    """Fork a child that sends requests; return its process id."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = 0 if good(origin) == 60 else 1
        finally:
            os._exit(code)
    return pid


def codes(pids: list[int]) -> list[int]:
    """Wait for children and return the exit codes that are not 0; negative for a signal."""
    ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return [code for code in ended if code]


@program
def fork_after_use(origin: str, tls_origin: str) -> None:
    """Fork 30 children of a process that has used the engine in every way; all send requests."""
    for used in (origin, tls_origin):
        assert good(used) == 60
        print(codes([child(used) for _ in range(15)]), good(used))


@program
def fork_in_flight(origin: str) -> None:
    """Fork children while transfers are in flight, driven by this thread, another thread and a helper."""
    slow = [f"/100/{index}?delay=0.05" for index in range(200)]
    foreground, background = (batch(origin, slow, most_in_flight=8) for _ in range(2))
    in_thread = batch(origin, slow, most_in_flight=8)
    thread = threading.Thread(target=lambda: run(settle(in_thread)))
    thread.start()
    foreground.start()
    background.start(background=True)
    pids = []
    for _ in range(10):
        foreground.wait(0.05)
        pids.append(child(origin))
    print(codes(pids), run(settle(foreground)), run(settle(background)))
    thread.join()
    print(sum(body is not None for made in (foreground, background, in_thread) for body in made.bodies()))


@program
def fork_keeps_the_parents_transfer(origin: str) -> None:
    """Use in a child what the parent has begun."""
    made = batch(origin, ["/100/a?delay=0.3"] * 4, each=True)
    made.start(background=True)
    made.wait(0.05)
    pid = os.fork()
    if pid == 0:
        code = 0
        acts: list[Callable[[], object]] = [
            made.wait,
            made.failures,
            made.finished,
            made.seal,
            lambda: made.over,
            lambda: made.has_news,
            lambda: made.retry(0),
            lambda: made.add(b"/100/b"),
            lambda: made.start(),
            lambda: run(settle(made)),
        ]
        for act in acts:
            try:
                act()
                code = 1
            except RuntimeError as error:
                if "forked child must begin its own" not in str(error):
                    code = 2
        made.close()
        del made
        gc.collect()
        os._exit(code)
    print(codes([pid]), run(settle(made)), sum(body is not None for body in made.bodies()))


@program
def fork_in_asyncio(origin: str) -> None:
    """Fork inside a running event loop; the child runs a loop of its own in a new thread, the parent goes on."""

    async def main() -> list[int]:
        task = asyncio.create_task(arun(settle(batch(origin, ["/100/a?delay=0.2"] * 8))))
        await asyncio.sleep(0.05)
        pids = []
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                result: list[int] = []
                thread = threading.Thread(target=lambda result=result: result.append(good(origin)))
                thread.start()
                thread.join()
                os._exit(0 if result == [60] else 1)
            pids.append(pid)
        assert await task == {}
        return await asyncio.to_thread(codes, pids)

    print(asyncio.run(main()))


def pool_task(origin: str) -> int:
    return good(origin)


@program
def fork_pool(origin: str) -> None:
    """Send requests from a pool of forked processes, after use in the parent."""
    print(good(origin))
    with multiprocessing.get_context("fork").Pool(4) as pool:
        print(sum(pool.map(pool_task, [origin] * 12)))
    print(good(origin))


@program
def fork_descriptors(origin: str) -> None:
    """Look which descriptors a forked child has: none of the engine's sockets."""
    assert good(origin) == 60
    pid = os.fork()
    if pid == 0:
        links = []
        for fd in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                links.append(os.readlink(f"/proc/self/fd/{fd}"))
        left = [link for link in links if link.startswith(("socket", "anon_inode:[eventpoll]"))]
        os._exit(len(left))
    print(codes([pid]), good(origin))


# --- exit


def stalled(origin: str, count: int = 10) -> Batch:
    return batch(origin, [f"/10000/{index}?stall=1000" for index in range(count)])


def endless(origin: str) -> Batch:
    return batch(origin, [f"/5000/{index}" for index in range(30_000)])


@program
def exit_in_flight(origin: str, tls_origin: str, how: str) -> int | None:
    """End with transfers in flight: in daemon threads, in the background, in an event loop; stalled and busy; over
    TLS."""

    async def several() -> None:
        await asyncio.gather(*(arun(settle(stalled(one, 5))) for one in (origin, tls_origin)))

    plans = [settle(stalled(origin)), settle(endless(tls_origin)), settle(stalled(tls_origin), background=True)]
    for plan in plans:
        threading.Thread(target=run, args=(plan,), daemon=True).start()
    threading.Thread(target=asyncio.run, args=(several(),), daemon=True).start()
    kept = [stalled(origin), endless(tls_origin)]
    for made in kept:
        made.start(background=True)
    globals()["kept"] = kept, [stalled(origin)]
    globals()["kept"][1][0].start()
    globals()["kept"][1][0].wait(0.05)
    time.sleep(random.uniform(0.05, 0.15))
    if how == "raise":
        raise LookupError("planted")
    if how == "sys.exit":
        sys.exit(7)
    if how == "asyncio":
        asyncio.run(give_up_soon(origin))
    return None if how == "return" else 5


async def give_up_soon(origin: str) -> None:
    """Begin transfers and end the loop with an exception."""
    tasks = [asyncio.create_task(arun(settle(stalled(origin, 3)))) for _ in range(5)]
    await asyncio.sleep(0.05)
    raise LookupError(f"planted, with {len(tasks)} tasks")


CODES = {"return": 0, "raise": 1, "sys.exit": 7, "code": 5, "asyncio": 1}


@program
def exit_many(origin: str, tls_origin: str, count: str) -> int | None:
    """Fork children that end with transfers in flight; print those that ended wrongly, and the longest life of one."""
    hows = [list(CODES)[number % len(CODES)] for number in range(int(count))]
    running: dict[int, tuple[str, float]] = {}
    wrong, longest = [], 0.0
    while hows or running:
        while hows and len(running) < 4:
            how = hows.pop()
            pid = os.fork()
            if pid == 0:
                return exit_in_flight(origin, tls_origin, how)
            running[pid] = how, time.monotonic()
        for pid, (how, begun) in list(running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            life = time.monotonic() - begun
            if not ended and life > 20:
                os.kill(pid, signal.SIGKILL)
            if ended:
                del running[pid]
                longest = max(longest, life)
                if os.waitstatus_to_exitcode(status) != CODES[how]:
                    wrong.append((how, os.waitstatus_to_exitcode(status)))
        time.sleep(0.002)
    print(wrong, f"{longest:.2f}")
    return None


@program
def exit_then_use(origin: str) -> None:
    """Use the engine in functions that run at exit, before and after its own."""

    def last() -> None:
        print("last", good(origin))

    shutdown = _core._shutdown  # type: ignore[attr-defined]
    atexit.unregister(shutdown)
    atexit.register(last)
    atexit.register(shutdown)
    atexit.register(lambda: print("first", good(origin)))
    print("main", good(origin))


# --- numbers of helper threads


@program
def helpers(origin: str) -> None:
    """Print how many helper threads run after large batches, and how many threads of this process did the work."""
    for _ in range(3):
        made = batch(origin, [f"/2000/{index}" for index in range(3000)], most_in_flight=256)
        assert run(settle(made, background=True)) == {}
        assert sum(len(body or b"") for body in made.bodies()) == 6_000_000
        assert good(origin) == 60
    print(engine_info()["threads"])
    print(len(os.listdir("/proc/self/task")) - 1)


WITHOUT_THREADS: dict[str, Callable[[str], None]] = {}


def without(function: Callable[[str], None]) -> Callable[[str], None]:
    """Make a function known as a part of `without_threads`."""
    WITHOUT_THREADS[function.__name__] = function
    return function


@program
def without_threads(origin: str, name: str) -> None:
    """Do something without helper threads, and print how many threads there are."""
    WITHOUT_THREADS[name](origin)
    gc.collect()
    print(f"threads: {len(os.listdir('/proc/self/task'))}, in flight: {engine_info()['in_flight']}")


@without
def every_way(origin: str) -> None:
    assert good(origin) == 60


@without
def many_tasks(origin: str) -> None:
    async def main() -> None:
        made = [batch(origin, [f"/100/{index}?delay=0.0{index % 5}"] * 3) for index in range(200)]
        assert await asyncio.gather(*(arun(settle(one)) for one in made)) == [{}] * 200

    asyncio.run(main())


@without
def retries(origin: str) -> None:
    async def main() -> int:
        return await arun(insist(batch(origin, [f"/100/{index}?once=503" for index in range(50)])))

    assert asyncio.run(main()) == 50
    assert run(insist(batch(origin, [f"/100/again-{index}?once=503" for index in range(50)]))) == 50


@without
def time_limits(origin: str) -> None:
    settings = ClientSettings(user_agent="tests", first_byte_timeout=0.4)
    made = batch(origin, ["/5/a?stall=head"], settings=settings)
    begun = time.monotonic()
    assert asyncio.run(arun(settle(made)))[0].curl_code == 28
    assert time.monotonic() - begun < 3


@without
def waiting_costs_nothing(origin: str) -> None:
    async def main() -> None:
        await arun(settle(batch(origin, ["/5/a?delay=1"] * 5)))

    begun = time.process_time()
    asyncio.run(main())
    assert time.process_time() - begun < 0.3


@without
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


@without
def failures_at_once(origin: str) -> None:
    async def main() -> None:
        refused = [arun(settle(batch("http://127.0.0.1:1", ["/a"]))) for _ in range(20)]
        answered = [arun(settle(batch(origin, ["/5/a"]))) for _ in range(20)]
        ended = await asyncio.wait_for(asyncio.gather(*refused, *answered), 10)
        assert [len(one) for one in ended] == [1] * 20 + [0] * 20

    asyncio.run(main())


@without
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
        assert await asyncio.wait_for(other, 5) == {}

    asyncio.run(main())
    while not made.over:
        run(some())
    done.extend(made.finished())
    made.close()
    assert sorted(done) == list(range(200))


@without
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
            assert await asyncio.wait_for(busy, 10) == {}

    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        loop.run_until_complete(main())
    loop.close()


@without
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


@without
def a_loop_after_the_other(origin: str) -> None:
    for _ in range(20):
        assert good(origin, 2) == 6
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) < 30


# --- libcurl


@program
def lookups(origin: str) -> None:
    """Send requests to a host by its name, over connections that come and go; print the libcurl and how many failed."""
    failed = 0
    for number in range(20):
        close = "?close=1" if number % 2 else ""
        made = batch(origin, [f"/100/{index}{close}" for index in range(20)])
        failed += len(run(settle(made, background=number % 3 == 0)))
    print(engine_info()["libcurl_path"], failed)


if __name__ == "__main__":
    sys.exit(PROGRAMS[sys.argv[1]](*sys.argv[2:]))
