"""A batch, from its first request to its last: order, replies, retries, the limit, the window, and who owns the
memory."""

from __future__ import annotations

import gc
import os
import random
import time
from pathlib import Path
from typing import ClassVar

import pytest

from objstore._core import Batch, Buffer, engine_info
from objstore._run import run
from tests.engine.client import SETTINGS, Server, batch, settle, wait_until
from tests.faults.content import content

MIB = 1 << 20


def test_results_are_in_order_whatever_order_they_come_in(server: Server) -> None:
    made = Batch(server.origin, "GET", SETTINGS, most_in_flight=32)
    for index in range(300):
        made.add(f"/9000/{index}?delay={random.uniform(0, 0.03):.3f}".encode(), 8 * index, 8 * index + 100)
    made.seal()
    assert run(settle(made)) == {}
    assert [bytes(body) for body in made.bodies() if body is not None] == [
        content(8 * index, 8 * index + 100) for index in range(300)
    ]


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("limit", [1, 16, 100])
def test_the_limit_holds_at_the_server_and_is_used(server: Server, limit: int, background: bool) -> None:
    made = batch(server.origin, [f"/10/{index}?delay=0.02" for index in range(2 * limit + 4)], most_in_flight=limit)
    assert run(settle(made, background=background)) == {}
    seen = server.seen()
    assert seen["most_in_flight"] == limit
    assert len(seen["requests"]) == 2 * limit + 4
    assert seen["accepted"] <= limit


def test_throttle_halves_the_limit_and_successes_restore_it(server: Server) -> None:
    made = batch(server.origin, [f"/10/{index}?delay=0.01" for index in range(60)], most_in_flight=16)
    for _ in range(3):
        made.throttle()
    made.start()
    made.wait(0.025)
    early = server.seen()["most_in_flight"]
    assert run(settle(made)) == {}
    assert 1 <= early <= 5
    assert early < server.seen()["most_in_flight"] <= 16


def test_a_reply_says_what_came(server: Server) -> None:
    made = Batch(server.origin, "GET", SETTINGS, keep_head=True)
    made.add(b"/1000/a", 10, 20)
    made.add(b"/1000/b")
    made.add(b"/1000/c", -1, 7)
    made.add(b"/1000/d", 995, -1)
    made.add(b"/1000/e", 2000, 2001)
    made.seal()
    failed = run(settle(made))
    part, whole, tail, rest = (made.reply(index) for index in range(4))
    assert (part.status, part.start, part.end, part.total, part.content_length) == (206, 10, 20, 1000, 10)
    assert (whole.status, whole.start, whole.end, whole.total, whole.content_length) == (200, -1, -1, -1, 1000)
    assert (tail.start, tail.end, bytes(tail.body)) == (993, 1000, content(993, 1000))
    assert (rest.start, rest.end, bytes(rest.body)) == (995, 1000, content(995, 1000))
    assert whole.headers["x-twice"] == "1, 2"
    assert (part.attempts, part.error, part.curl_code) == (1, None, 0)
    assert list(failed) == [4]
    assert (failed[4].status, failed[4].total, made.succeeded(4)) == (416, 1000, False)


def test_heads_of_successes_are_dropped_unless_kept(server: Server) -> None:
    made = batch(server.origin, ["/5/a", "/5/b?status=500"])
    failed = run(settle(made))
    assert made.reply(0).headers == {}
    assert failed[1].headers["x-twice"] == "1, 2"
    assert bytes(failed[1].body) == b"busy"


def test_a_retry_comes_after_its_delay_and_not_later_than_others(server: Server) -> None:
    made = batch(server.origin, ["/5/a?once=503", "/5/b?once=503", "/5/c?delay=0.5"])
    delays = {0: 0.3, 1: 0.1}
    made.start()
    while not made.over:
        made.wait()
        for reply in made.failures():
            assert (reply.status, reply.attempts) == (503, 1)
            made.retry(reply.index, delays[reply.index])
    made.close()
    requests = server.seen()["requests"]
    times = {target: [at for at, seen in requests if seen == target] for target in made_targets(server)}
    waited = {target: seen[1] - seen[0] for target, seen in times.items() if len(seen) > 1}
    assert 0.1 <= waited["/5/b?once=503"] < 0.29
    assert 0.3 <= waited["/5/a?once=503"] < 0.49
    assert [made.reply(index).attempts for index in range(3)] == [2, 2, 1]
    assert [bytes(body or b"") for body in made.bodies()] == [content(0, 5)] * 3


def made_targets(server: Server) -> set[str]:
    return {target for _, target in server.seen()["requests"]}


def test_what_is_given_up_stands_and_the_rest_succeeds(server: Server) -> None:
    targets = [f"/8/{index}" + ("?status=404" if index % 3 == 0 else "") for index in range(90)]
    made = batch(server.origin, targets)
    failed = run(settle(made))
    assert sorted(failed) == list(range(0, 90, 3))
    assert [body is None for body in made.bodies()] == [index % 3 == 0 for index in range(90)]
    assert (made.settled, made.total, made.over, made.in_flight) == (90, 90, True, 0)


def test_requests_can_be_added_while_it_runs(server: Server) -> None:
    made = Batch(server.origin, "GET", SETTINGS, each=True)
    made.start(background=True)
    for index in range(600):
        assert made.add(f"/8/{index}".encode()) == index
        if index % 100 == 50:
            time.sleep(0.005)
    assert not made.over
    made.seal()
    done: list[int] = []
    while not made.over:
        made.wait()
        done += made.finished()
    made.close()
    assert sorted(done + made.finished()) == list(range(600))


def test_an_empty_batch_is_over_at_once(server: Server) -> None:
    made = batch(server.origin, [])
    assert run(settle(made)) == {}
    assert (made.over, made.bodies()) == (True, [])


def test_wait_comes_back_when_its_time_is_over(server: Server) -> None:
    for background in (False, True):
        made = batch(server.origin, ["/5/a?stall=head"])
        made.start(background=background)
        begun = time.monotonic()
        assert made.wait(0.15) is False
        assert 0.15 <= time.monotonic() - begun < 1
        made.close()


def test_the_window_bounds_what_is_in_flight_or_waits_to_be_taken(server: Server) -> None:
    size, window = 100_000, 1_000_000
    made = Batch(server.origin, "GET", SETTINGS, each=True, window=window)
    for index in range(60):
        made.add(f"/{size}/{index}".encode(), 0, size)
    made.seal()
    made.start(background=True)
    taken = 0
    while taken < 60:
        time.sleep(0.05)
        assert len(server.seen()["requests"]) <= taken + window // size
        made.wait()
        for index in made.finished()[:]:
            assert len(made.take(index)) == size
            taken += 1
    made.close()
    assert made.over


def test_a_failure_that_fills_the_window_does_not_block_it_for_ever(server: Server) -> None:
    made = Batch(server.origin, "GET", SETTINGS, each=True, window=2)
    for index in range(9):
        made.add(f"/1/{index}?status=404".encode(), 0, 1)
    made.seal()
    made.start()
    while not made.over:
        assert made.wait(5)
        for reply in made.failures():
            made.give_up(reply.index)
    made.close()


def test_what_was_taken_stays_and_is_gone_from_the_batch(server: Server) -> None:
    made = Batch(server.origin, "GET", SETTINGS, each=True)
    for _ in range(4):
        made.add(b"/100000/a", 8, 99_000)
    made.seal()
    made.start()
    while not made.over:
        made.wait()
        made.finished()
    bodies = [made.take(index) for index in range(4)]
    assert [len(body or b"") for body in made.bodies()] == [0] * 4
    made.close()
    del made
    assert all(body == content(8, 99_000) for body in bodies)


# --- memory of the caller's


def test_bodies_land_in_the_callers_buffers(server: Server) -> None:
    whole = bytearray(b"-" * 1000)
    own = bytearray(8)
    shared = Buffer(whole, writable=True)
    made = Batch(server.origin, "GET", SETTINGS)
    for index in range(9):
        made.add(b"/5000/a", 8 * index, 8 * index + 100, out=shared, out_start=100 * index, out_length=100)
    made.add(b"/8/own", out=Buffer(own, writable=True))
    made.seal()
    assert run(settle(made)) == {}
    assert whole[:900] == b"".join(content(8 * index, 8 * index + 100) for index in range(9))
    assert whole[900:] == b"-" * 100
    assert own == content(0, 8)
    body = made.bodies()[3]
    assert body == content(24, 124)
    whole[300] = 77
    assert body is not None
    assert body[0] == 77


def test_no_byte_lands_outside_the_callers_buffer(server: Server) -> None:
    memory = bytearray(b"-" * 3000)
    made = Batch(server.origin, "GET", SETTINGS)
    made.add(b"/5000/long", out=Buffer(memory, writable=True), out_start=1000, out_length=1000)
    made.seal()
    failed = run(settle(made))
    assert failed[0].curl_code == 23
    assert memory[:1000] == memory[2000:] == b"-" * 1000


def test_an_error_document_does_not_land_in_the_callers_buffer(server: Server) -> None:
    memory = bytearray(100)
    made = Batch(server.origin, "GET", SETTINGS)
    made.add(b"/5/a?status=404", out=Buffer(memory, writable=True))
    made.seal()
    failed = run(settle(made))
    assert bytes(failed[0].body) == b"busy"
    assert memory == bytes(100)


@pytest.mark.parametrize(("start", "length"), [(-1, 5), (0, 101), (101, 0), (90, 11), (101, -1)])
def test_a_stretch_outside_the_buffer_is_refused(server: Server, start: int, length: int) -> None:
    made = Batch(server.origin, "GET", SETTINGS)
    with pytest.raises(ValueError, match="outside a buffer of 100 bytes"):
        made.add(b"/5/a", out=Buffer(bytearray(100), writable=True), out_start=start, out_length=length)


def test_a_request_that_was_refused_leaves_nothing_behind(server: Server) -> None:
    made = Batch(server.origin, "GET", SETTINGS)
    with pytest.raises(ValueError, match="outside"):
        made.add(b"/1/a?echo=1", headers=[b"X-Left: 1"], out=Buffer(bytearray(1), writable=True), out_start=2)
    assert made.add(b"/1/b?echo=1") == 0
    made.seal()
    assert run(settle(made)) == {}
    assert b"X-Left" not in bytes(made.bodies()[0] or b"")


class Memory(bytearray):
    """Memory that notes how many transfers are in flight when it is freed."""

    __slots__ = ()
    in_flight_at_the_end: ClassVar[list[int]] = []

    def __del__(self) -> None:
        self.in_flight_at_the_end.append(engine_info()["in_flight"])


@pytest.mark.parametrize("background", [False, True])
def test_an_abandoned_batch_in_a_cycle_is_ended_before_its_memory_is_freed(server: Server, background: bool) -> None:
    Memory.in_flight_at_the_end.clear()
    made = Batch(server.origin, "GET", SETTINGS)
    made.add(f"/{MIB}/a?stall=1000".encode(), out=Buffer(Memory(MIB), writable=True))
    made.seal()
    made.start(background=background)
    made.wait(0.2)
    made.wake_after = [made]  # type: ignore[assignment]  # a cycle that only the collector can end
    del made
    gc.collect()
    assert Memory.in_flight_at_the_end == [0]


# --- sending


def test_bodies_are_sent_from_memory_and_from_files(server: Server, tmp_path: Path) -> None:
    data = random.randbytes(300_000)
    file = tmp_path / "data"
    file.write_bytes(b"head" + data)
    with file.open("rb") as opened:
        made = Batch(server.origin, "PUT", SETTINGS)
        made.add(b"/2/memory", body=Buffer(data))
        made.add(b"/2/file", body=(opened.fileno(), 4, len(data)))
        made.add(b"/2/empty", body=Buffer(b""))
        made.add(b"/2/none")
        made.add(b"/2/head?echo=1", body=Buffer(data))
        made.seal()
        assert run(settle(made)) == {}
    assert made.bytes_sent == 3 * len(data)
    head = bytes(made.bodies()[4] or b"").lower()
    assert b"content-length: 300000" in head
    assert b"expect" not in head


def test_a_file_that_became_shorter_fails_its_request_alone(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "short"
    file.write_bytes(bytes(1000))
    with file.open("rb") as opened:
        made = Batch(server.origin, "PUT", SETTINGS)
        made.add(b"/2/short", body=(opened.fileno(), 0, 1001))
        made.add(b"/2/right", body=(opened.fileno(), 0, 1000))
        made.seal()
        failed = run(settle(made))
    assert {index: reply.curl_code for index, reply in failed.items()} == {0: 42}


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "POST", "GET"])
def test_methods_do_not_stick_to_a_handle(server: Server, method: str) -> None:
    for other in ("PUT", method, "GET"):
        made = batch(server.origin, ["/100/a?echo=1"], method=other, keep_head=True)
        assert run(settle(made)) == {}
        body = bytes(made.bodies()[0] or b"")
        assert body == b"" if other == "HEAD" else body.startswith(f"{other} /100/a?echo=1 ".encode())
        assert b"range" not in body.lower()
    assert run(settle(batch(server.origin, ["/100/a"], method="HEAD", keep_head=True))) == {}


# --- ends


@pytest.mark.parametrize("background", [False, True])
def test_close_in_flight_frees_the_callers_memory(server: Server, background: bool) -> None:
    memory = bytearray(10 * MIB)
    made = Batch(server.origin, "GET", SETTINGS, most_in_flight=8)
    for index in range(10):
        target = f"/{MIB}/{index}?stall=200000".encode()
        made.add(target, out=Buffer(memory, writable=True), out_start=index * MIB, out_length=MIB)
    made.seal()
    made.start(background=background)
    made.wait(0.1)
    with pytest.raises(BufferError):
        memory.extend(b"more")
    begun = time.monotonic()
    made.close()
    made.close()
    assert time.monotonic() - begun < 0.5
    assert made.in_flight == 0
    memory.extend(b"more")
    wait_until(lambda: server.seen()["in_flight"] == 0)


def test_a_batch_never_started_or_dropped_leaves_nothing(server: Server) -> None:
    memory = bytearray(100)
    made = Batch(server.origin, "GET", SETTINGS)
    made.add(b"/5/a", out=Buffer(memory, writable=True))
    del made
    made = batch(server.origin, ["/5/a?stall=head"] * 10)
    made.start(background=True)
    wait_until(lambda: server.seen()["in_flight"] == 10)
    del made
    memory.clear()
    wait_until(lambda: server.seen()["in_flight"] == 0)


def test_memory_of_a_finished_batch_comes_back(server: Server) -> None:
    def idle() -> int:
        return int(engine_info()["idle_memory"])

    targets = [*[f"/{4 * MIB}/{index}" for index in range(8)], "/5/a?status=404"]
    for background in (False, True):
        made = batch(server.origin, targets)
        assert list(run(settle(made, background=background))) == [8]
        before = idle()
        del made
        wait_until(lambda before=before: idle() >= before + 32 * MIB, 2)  # type: ignore[misc]


def test_a_body_outlives_its_batch_and_its_slice_the_body(server: Server) -> None:
    made = batch(server.origin, [f"/{MIB}/a", "/100/b"])
    assert run(settle(made)) == {}
    large, small = made.bodies()
    del made
    assert large is not None
    view = memoryview(large[8:800])
    del large
    run(settle(batch(server.origin, [f"/{MIB}/{index}?rate=1" for index in range(4)])))
    assert view == content(8, 800)
    assert small == content(0, 100)


def test_indexes_are_checked(server: Server) -> None:
    made = batch(server.origin, ["/5/a"])
    for index in (-1, 1):
        with pytest.raises(IndexError, match="in a batch of 1"):
            made.reply(index)


def test_descriptors_do_not_pile_up(server: Server) -> None:
    def cycle(count: int) -> int:
        for index in range(count):
            run(settle(batch(server.origin, [f"/5/{index}?close=1"]), background=index % 2 == 0))
        return len(os.listdir("/proc/self/fd"))

    before = cycle(4)
    assert cycle(100) <= before + 2
