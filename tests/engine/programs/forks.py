"""Programs that fork."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from objstore._core import Channel
from objstore.plans.run import arun, run
from tests.engine.client import batch, settle
from tests.engine.programs.asking import good


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


def fork_after_use(origin: str, tls_origin: str) -> None:
    """Fork 30 children of a process that has used the engine in every way; all send requests."""
    for used in (origin, tls_origin):
        assert good(used) == 60
        print(codes([child(used) for _ in range(15)]), good(used))


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


def fork_pool(origin: str) -> None:
    """Send requests from a pool of forked processes, after use in the parent."""
    print(good(origin))
    with multiprocessing.get_context("fork").Pool(4) as pool:
        print(sum(pool.map(pool_task, [origin] * 12)))
    print(good(origin))


def fork_beside_a_channel() -> None:
    """Fork a child of a process without helper threads that has a channel; print what the child keeps of it."""
    before = len(os.listdir("/proc/self/fd"))
    channel = [Channel()]
    if os.fork() == 0:
        channel.clear()
        os._exit(len(os.listdir("/proc/self/fd")) - before)
    print(os.waitstatus_to_exitcode(os.wait()[1]))


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
