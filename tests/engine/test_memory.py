"""Who owns the memory that transfers read from and write to, and when it is let go of."""

from __future__ import annotations

import gc
import os
import time
from typing import ClassVar

import pytest

from objstore import _core
from objstore._core import Buffer, Gathered, engine_info
from objstore.plans.run import run
from tests.engine.client import SETTINGS, SOON, Server, batch, new_batch, run_program, settle, wait_until
from tests.faults.content import content

MIB = 1 << 20


def test_bodies_land_in_the_callers_buffers(server: Server) -> None:
    whole = bytearray(b"-" * 1000)
    own = bytearray(8)
    shared = Buffer(whole, writable=True)
    made = new_batch(server.origin, "GET", SETTINGS)
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
    made = new_batch(server.origin, "GET", SETTINGS)
    made.add(b"/5000/long", out=Buffer(memory, writable=True), out_start=1000, out_length=1000)
    made.seal()
    failed = run(settle(made))
    assert failed[0].curl_code == 23
    assert memory[:1000] == memory[2000:] == b"-" * 1000


def test_an_error_document_does_not_land_in_the_callers_buffer(server: Server) -> None:
    memory = bytearray(100)
    made = new_batch(server.origin, "GET", SETTINGS)
    made.add(b"/5/a?status=404", out=Buffer(memory, writable=True))
    made.seal()
    failed = run(settle(made))
    assert bytes(failed[0].body) == b"busy"
    assert memory == bytes(100)


@pytest.mark.parametrize(("start", "length"), [(-1, 5), (0, 101), (101, 0), (90, 11), (101, -1)])
def test_a_stretch_outside_the_buffer_is_refused(server: Server, start: int, length: int) -> None:
    made = new_batch(server.origin, "GET", SETTINGS)
    with pytest.raises(ValueError, match="outside a buffer of 100 bytes"):
        made.add(b"/5/a", out=Buffer(bytearray(100), writable=True), out_start=start, out_length=length)


def test_a_request_that_was_refused_leaves_nothing_behind(server: Server) -> None:
    made = new_batch(server.origin, "GET", SETTINGS)
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
    made = new_batch(server.origin, "GET", SETTINGS)
    made.add(f"/{MIB}/a?stall=1000".encode(), out=Buffer(Memory(MIB), writable=True))
    made.seal()
    made.start(background=background)
    made.wait(0.2)
    made.wake_after = [made]  # type: ignore[assignment]  # a cycle that only the collector can end
    del made
    gc.collect()
    assert Memory.in_flight_at_the_end == [0]


# --- ends


@pytest.mark.parametrize("background", [False, True])
def test_close_in_flight_frees_the_callers_memory(server: Server, background: bool) -> None:
    memory = bytearray(10 * MIB)
    made = new_batch(server.origin, "GET", SETTINGS, most_in_flight=8)
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
    assert time.monotonic() - begun < SOON
    assert made.in_flight == 0
    memory.extend(b"more")
    wait_until(lambda: server.seen()["in_flight"] == 0)


def test_a_batch_never_started_or_dropped_leaves_nothing(server: Server) -> None:
    memory = bytearray(100)
    made = new_batch(server.origin, "GET", SETTINGS)
    made.add(b"/5/a", out=Buffer(memory, writable=True))
    del made
    made = batch(server.origin, ["/5/a?stall=head"] * 10)
    made.start(background=True)
    wait_until(lambda: server.seen()["in_flight"] == 10)
    del made
    memory.clear()
    wait_until(lambda: server.seen()["in_flight"] == 0)


def test_memory_of_a_finished_batch_comes_back(server: Server) -> None:
    ended = run_program("memory.comes_back", server.origin)
    assert ended.returncode == 0, ended.stderr


def test_memory_of_a_batch_that_ends_late_comes_back(server: Server) -> None:
    ended = run_program("memory.comes_back_after_a_delay", server.origin)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")


def test_memory_that_was_freed_last_is_kept() -> None:
    ended = run_program("memory.keeps_the_last")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "program",
    [
        "grows_with_what_comes",
        "grows_beyond_what_is_believed",
        "keeps_what_came",
        "sends_pieces_once",
        "copies_once",
        "reads_all_in_place",
    ],
)
@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_what_is_needed_once_is_held_once(server: Server, program: str, carrier: str) -> None:
    ended = run_program(f"memory.{program}", server.origin, env={"OBJSTORE_HTTP": carrier})
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("expected", [0, 1000, 100_000, 2 * MIB, 1 << 62])
def test_what_was_gathered_is_all_of_it(expected: int) -> None:
    gathered = Gathered(expected)
    for sizes in ([], [0], [5], [1000, 0, 70_000], [7] * 1000, [100_000] * 30, [3 * MIB, 1]):
        pieces = [content(index, index + size) for index, size in enumerate(sizes)]
        for piece in pieces:
            gathered.add(piece)
        assert len(gathered) == sum(sizes)
        assert gathered.take() == b"".join(pieces)
        assert len(gathered) == 0


@pytest.mark.skipif(
    _core._live_allocations() >= 0,  # type: ignore[attr-defined]
    reason="in this build test_allocations.py lets each allocation fail, and sanitizers need address space",
)
def test_a_listing_without_memory_is_not_taken_for_a_corrupt_one() -> None:
    ended = run_program("memory.no_room_for_a_listing")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


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


def test_a_body_is_no_work_for_the_garbage_collector_unless_it_has_an_owner(server: Server) -> None:
    made = new_batch(server.origin, "GET", SETTINGS)
    made.add(b"/8/a")
    made.add(b"/8/b", out=Buffer(bytearray(8), writable=True))
    made.seal()
    made.start()
    while not made.over:
        made.wait()
    alone, owned = made.bodies()
    made.close()
    assert alone is not None
    assert not gc.is_tracked(alone)
    assert not gc.is_tracked(alone[2:])
    assert gc.is_tracked(owned)
    assert alone == owned == content(0, 8)


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
