"""Many threads at once: single requests and batches, one process, one engine."""

from __future__ import annotations

import asyncio
import random
import sys
import sysconfig
import threading
import time
from collections.abc import Callable

import pytest

from objstore._core import Buffer, engine_info
from objstore.plans.run import arun, run
from tests.engine.client import LONG, SETTINGS, Server, batch, new_batch, run_program, settle
from tests.faults.content import content

THREADS = 32


def together(work: Callable[[int], None], count: int = THREADS) -> None:
    """Run `work` in many threads that begin at once; raise the first error of any."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(count)

    def worker(number: int) -> None:
        try:
            barrier.wait(30)
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def test_single_requests(server: Server) -> None:
    def work(number: int) -> None:
        for index in range(60):
            made = new_batch(server.origin, "GET", SETTINGS)
            made.add(b"/5000/a", 8 * number + index, 1000 + 8 * number)
            made.seal()
            assert run(settle(made, background=index % 3 == 0)) == {}
            assert made.bodies()[0] == content(8 * number + index, 1000 + 8 * number)

    together(work)
    assert engine_info()["loops"] <= THREADS + engine_info()["io_threads"] + 8
    assert len(server.seen()["requests"]) == 60 * THREADS


@pytest.mark.skipif(bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="this build of Python has no GIL")
def test_what_is_over_is_closed_without_a_word_to_other_threads(server: Server) -> None:
    """Each time that a thread lets go of the GIL, another of many takes it, and hundreds wait for it again."""
    batches = [batch(server.origin, ["/1/a"]) for _ in range(200)]
    for made in batches:
        assert run(settle(made)) == {}
    turns = [0]
    over = threading.Event()

    def take_turns() -> None:
        while not over.is_set():
            turns[0] += 1
            time.sleep(0)

    other = threading.Thread(target=take_turns)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(LONG)  # nobody takes the GIL from who does not let go of it
    try:
        other.start()
        while turns[0] < 10:
            time.sleep(0)
        before = turns[0]
        for made in batches:
            made.close()
        while batches:
            del batches[-1]
        assert turns[0] == before
    finally:
        sys.setswitchinterval(interval)
        over.set()
        other.join()


def test_batches_with_failures_cancels_and_memory_of_the_callers(server: Server) -> None:
    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(6):
            count = chance.randrange(1, 60)
            memory = bytearray(100 * count)
            out = Buffer(memory, writable=True)
            made = new_batch(server.origin, "GET", SETTINGS, most_in_flight=8)
            for index in range(count):
                target = f"/5000/{number}-{index}" + ("?status=404" if index % 7 == 3 else "")
                made.add(target.encode(), 8 * index, 8 * index + 100, out=out, out_start=100 * index, out_length=100)
            made.seal()
            del out
            if chance.random() < 0.3:
                made.start(background=chance.random() < 0.5)
                made.wait(chance.uniform(0, 0.01))
                made.close()
                memory.clear()
                continue
            failed = run(settle(made, background=chance.random() < 0.5))
            assert sorted(failed) == list(range(3, count, 7))
            for index in set(range(count)) - set(failed):
                assert memory[100 * index : 100 * index + 100] == content(8 * index, 8 * index + 100)

    together(work)


def test_threads_and_event_loops(server: Server) -> None:
    async def several(number: int) -> None:
        made = [batch(server.origin, [f"/{10 + number}/{index}"] * 5) for index in range(30)]
        await asyncio.gather(*(arun(settle(one)) for one in made))
        assert all(body == content(0, 10 + number) for one in made for body in one.bodies())

    def work(number: int) -> None:
        if number % 2:
            asyncio.run(several(number))
        else:
            made = batch(server.origin, [f"/{10 + number}/{index}" for index in range(150)])
            assert run(settle(made)) == {}
            assert made.bodies() == [content(0, 10 + number)] * 150

    together(work, 12)


def test_requests_are_added_by_one_thread_while_others_wait_elsewhere(server: Server) -> None:
    def work(number: int) -> None:
        made = new_batch(server.origin, "GET", SETTINGS, each=True)
        made.start(background=True)
        done: list[int] = []
        for index in range(300):
            made.add(f"/{10 + number}/{index}".encode())
            if index % 50 == 0:
                made.wait(0.001)
                done += made.finished()
        made.seal()
        while not made.over:
            made.wait()
            done += made.finished()
        done += made.finished()
        made.close()
        assert sorted(done) == list(range(300))

    together(work, 8)


def test_buffers_are_shared_between_threads(server: Server) -> None:
    made = batch(server.origin, ["/1000000/a", *[f"/100/{index}" for index in range(50)]])
    assert run(settle(made)) == {}
    bodies = made.bodies()
    large = bodies[0]
    assert large is not None
    del made

    def work(number: int) -> None:
        for index in range(200):
            start = (number * 200 + index) * 8
            assert large[start : start + 80] == content(start, start + 80)
            assert bytes(memoryview(bodies[1 + index % 50] or b"")) == content(0, 100)

    together(work)


@pytest.mark.parametrize("threads", ["1", "4", "32"])
def test_any_number_of_helper_threads(server: Server, threads: str) -> None:
    ended = run_program("helpers.helpers", server.origin, env={"OBJSTORE_IO_THREADS": threads})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [threads, threads]


def test_as_many_helper_threads_as_there_can_be_do_the_work(server: Server) -> None:
    ended = run_program("helpers.few_threads", server.origin, "1.5", env={"OBJSTORE_IO_THREADS": "2"})
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0 {}\n1 {}\n1 {}\n", "")


def test_a_helper_thread_that_cannot_be_leaves_nothing_behind(server: Server) -> None:
    ended = run_program("helpers.few_threads", server.origin, "0.5", env={"OBJSTORE_IO_THREADS": "2"})
    said = "no descriptors, memory or threads for the engine 0\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, 3 * said, "")


@pytest.mark.parametrize("threads", ["-1", "33"])
def test_an_impossible_number_of_helper_threads_is_refused(threads: str) -> None:
    ended = run_program("helpers.helpers", "", env={"OBJSTORE_IO_THREADS": threads})
    assert ended.returncode == 1
    assert f"io_threads must be between 0 and 32, not {threads}" in ended.stderr
