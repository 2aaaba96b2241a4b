"""Programs with few descriptors."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from objstore._core import Batch, engine_info
from objstore.plans.run import arun, run
from objstore.store import LocalStore
from tests.engine.client import batch, settle, wait_until
from tests.engine.programs.asking import insist

MOST_LOOPS = 34
"""For 1,024 descriptors: 32 that threads borrow, a helper's and an event loop's."""
AT_ONCE = 60
"""More than that, and fewer than the 64 that a server is sent at once."""


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


def many_callers(origin: str, mode: str) -> None:
    """Send a request for each of 2,000 tasks, or three for each of 400 threads, with 1,024 descriptors, of which others
    have 400; say whether the threads share loops, of which `AT_ONCE` wait at the same time for the server to let go."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    for _ in range(400):
        os.open("/dev/null", os.O_RDONLY)

    async def tasks() -> int:
        made = [batch(origin, [f"/100/{index}"]) for index in range(2000)]
        return sum(failed == {} for failed in await asyncio.gather(*(arun(settle(one)) for one in made)))

    def thread(index: int) -> int:
        held = "?held=1" if index < AT_ONCE else ""
        return sum(run(settle(batch(origin, [f"/100/{index}{query}"]))) == {} for query in (held, "", ""))

    if mode == "tasks":
        print(asyncio.run(tasks()))
    else:
        with ThreadPoolExecutor(400) as pool:
            print(sum(pool.map(thread, range(400))), engine_info()["loops"] <= MOST_LOOPS)


def others(origin: str) -> None:
    """Send requests from 2,000 tasks, then from 400 threads, with 1,024 descriptors; say how many others may have."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    all_there = threading.Barrier(400)

    async def tasks() -> None:
        made = [batch(origin, [f"/100/{index}?delay=0.3"], most_in_flight=1) for index in range(2000)]
        await asyncio.gather(*(arun(settle(one)) for one in made))

    def thread(index: int) -> None:
        all_there.wait()
        run(settle(batch(origin, [f"/100/{index}?delay=0.3"], most_in_flight=1)))

    asyncio.run(tasks())
    with ThreadPoolExecutor(400) as pool:
        list(pool.map(thread, range(400)))
    print(len([os.open("/dev/null", os.O_RDONLY) for _ in range(64)]))


def local_files(origin: str, folder: str) -> None:
    """Write and read 100 local files, blocking and in tasks, while requests that wait for replies could use all of 64
    descriptors; say how many were there, and how many replies."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    store, names = LocalStore(folder), [f"{index}" for index in range(100)]
    sent = [batch(origin, [f"/100/{index}?delay=1" for index in range(60)]) for _ in range(3)]

    async def tasks() -> None:
        await asyncio.gather(*(store.put_async(name, b"abc") for name in names))
        await asyncio.gather(*(store.copy_async(name, f"again/{name}") for name in names))

    with ThreadPoolExecutor(3) as pool:
        ended = [pool.submit(lambda each: run(settle(each)), each) for each in sent]
        wait_until(lambda: engine_info()["in_flight"] > 40)
        asyncio.run(tasks())
        there = sum(map(len, store.get_many([*names, *(f"again/{name}" for name in names)])))
        print(there, [each.result() for each in ended])


def many_loops(origin: str) -> None:
    """Send a request from each of 260 event loops, whose own descriptors leave no room for as many bells of ours."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    all_there = threading.Barrier(260)

    def thread(index: int) -> bool:
        with asyncio.Runner() as runner:
            runner.get_loop()
            all_there.wait()
            return runner.run(arun(insist(batch(origin, [f"/100/{index}?delay=0.3"])))) == 1

    with ThreadPoolExecutor(260) as pool:
        print(sum(pool.map(thread, range(260))))


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
