"""How far streams read ahead."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

import objstore
from objstore import engine_info
from objstore._core import Buffer, Bytes, memory_limit
from objstore.disk.held import process
from objstore.disk.unnamed import Unnamed
from objstore.interface.values import AT_HAND, FIRST, Pace
from objstore.operations import coalesce, ranges, scattered
from objstore.operations.ahead import LEAST_FIRST, OF_FILES, Ahead, Beyond, piece_of
from objstore.operations.parts import Parts
from objstore.operations.results import PART, BytesStream
from objstore.operations.sources import open_body
from objstore.plans.run import run
from objstore.providers.requests import Requests
from objstore.store import HTTPStore, MemoryStore
from tests.engine import client
from tests.engine.client import Server, wait_until
from tests.faults.client import FaultServer
from tests.faults.content import content
from tests.test_lost_answers import store_on

MIB = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with client.server() as running:
        yield running


@pytest.fixture
def store(server: Server) -> HTTPStore:
    return HTTPStore.from_url(server.origin, client_options={"allow_http": True})


@pytest.fixture
def limit() -> Iterator[None]:
    before = memory_limit()
    yield
    objstore.configure(memory_limit=before)


def begun(part: int = 1, most: int = 64) -> Ahead:
    ahead = Ahead(part, part, most, lambda: AT_HAND)
    ahead.begin()
    return ahead


def test_a_reader_that_waits_gets_more_up_to_the_most() -> None:
    ahead = begun(part=1, most=20)
    windows = [ahead.window]
    for _ in range(5):
        ahead.asked(here=False)
        windows.append(ahead.window)
    assert windows == [2, 4, 8, 16, 20, 20]


def test_a_reader_that_never_waits_gets_less_but_two_parts() -> None:
    ahead = begun()
    for _ in range(3):
        ahead.asked(here=False)
    windows = []
    for _ in range(40):
        ahead.asked(here=True)
        windows.append(ahead.window)
    assert windows == sorted(windows, reverse=True)
    assert set(windows) == {16, 8, 4, 2}
    assert windows.index(8) == 15


SLOW = Pace(0.002, 1e9, 64, 64, None, alone=50e6)


@pytest.mark.parametrize(
    ("pace", "piece"),
    [
        (AT_HAND, 2 * MIB),  # nothing is known of one connection
        (SLOW, MIB),
        (SLOW._replace(alone=1e9), 2 * MIB),  # one fills the line
        (SLOW._replace(wait=0.08), 2 * MIB),  # most of the time would be waited for
        (SLOW._replace(wait=0.08, alone=3e6), MIB),
        (SLOW._replace(wait=0.0001), MIB),
        (SLOW._replace(wait=0.0001, alone=2e9), 2 * MIB),
    ],
)
def test_of_slow_connections_more_are_used_for_less_each(pace: Pace, piece: int) -> None:
    assert piece_of(2 * MIB, pace) == piece


def test_a_stream_by_slow_connections_holds_as_much_at_first_and_gives_the_same_chunks(
    store: HTTPStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Requests, "pace", SLOW)
    size = FIRST + 6 * PART
    before = len(server.seen()["requests"])
    stream = store.get(f"{size}/a").stream()
    assert [len(chunk) for chunk in stream] == [PART] * (size // PART)
    assert len(server.seen()["requests"]) - before == 1 + 6 * PART // MIB
    ahead = Ahead(PART, MIB, 64 * MIB, lambda: SLOW)
    ahead.begin()
    assert ahead.window == 2 * PART
    assert not any(ahead.asked(here=True) for _ in range(12))
    assert ahead.window == 2 * PART


FAR = Pace(0.02, 250e6, 64, 64, None)


def test_from_afar_a_stream_begins_with_what_the_line_is_worth_within_what_all_may_hold() -> None:
    before = process.held
    streams = [Ahead(2 * MIB, 2 * MIB, 64 * MIB, lambda: FAR) for _ in range(50)]
    for ahead in streams:
        ahead.begin()
    assert streams[0].window == 4 * 0.02 * 250e6
    assert streams[-1].window == 4 * MIB
    assert process.held - before <= 50 * 4 * MIB + 64 * MIB
    for ahead in streams:
        ahead.end()
    assert process.held == before


@pytest.mark.parametrize(("wait", "alone", "worth"), [(0.02, None, 5e6), (0.02, 500e6, 10e6), (0.0001, 500e6, 0)])
def test_a_line_brings_what_one_connection_does(wait: float, alone: float | None, worth: float) -> None:
    assert FAR._replace(wait=wait, alone=alone).wait_is_worth == worth


def test_what_is_held_is_given_back(limit: None) -> None:
    before = process.held
    first, second = begun(), begun(part=5)
    assert process.held == before + 2 + 10
    first.end()
    first.end()
    assert process.held == before + 10
    del second
    assert process.held == before


def test_what_is_waited_for_is_granted_whatever_the_limit(limit: None) -> None:
    objstore.configure(memory_limit=1)
    streams = [begun(part=100, most=1000) for _ in range(3)]
    assert [ahead.window for ahead in streams] == [100, 100, 100]
    assert not streams[0].asked(here=False)
    objstore.configure(memory_limit=process.held + 100)
    assert streams[0].asked(here=False)
    assert not streams[1].asked(here=False)
    streams[2].end()
    assert streams[1].asked(here=False)


def waiting(count: int, pace: Pace) -> list[Ahead]:
    """Return streams that found nothing, as often as it takes to get all that they can."""
    streams = [Ahead(2 * MIB, 2 * MIB, 64 * MIB, lambda: pace) for _ in range(count)]
    for ahead in streams:
        ahead.begin()
    for _ in range(10):
        for ahead in streams:
            ahead.asked(here=False)
    return streams


def test_where_many_wait_they_share_what_a_line_is_worth() -> None:
    before, slow = process.held, Pace(0.001, 1e8, 64, 64, None)
    alone = waiting(1, slow)
    assert alone[0].window == 64 * MIB
    alone.clear()
    many = waiting(50, slow)
    assert process.held - before <= 50 * 4 * MIB + 64 * MIB
    assert all(ahead.window >= 4 * MIB for ahead in many)
    many[0].end()
    far = waiting(10, Pace(0.1, 2e9, 64, 64, None))
    assert sum(ahead.window for ahead in far) > 256 * MIB
    del many, far
    assert (process.held, process.spare) == (before, 0)


@pytest.mark.parametrize("wrong", [{"memory_limit": 0}, {"memory_limit": 1.5}, {"io_threads": -1}, {"io_threads": 0.5}])
def test_a_number_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    name, value = next(iter(wrong.items()))
    with pytest.raises((TypeError, ValueError), match=f"{name} = {value}: give "):
        objstore.configure(**wrong)


@pytest.mark.parametrize("least", [0, -1])
def test_a_stream_that_may_fetch_nothing_is_refused(store: HTTPStore, least: int) -> None:
    with pytest.raises(ValueError, match="read_ahead"):
        store.get("100/a", options={"read_ahead": least})


def test_a_slow_reader_has_a_few_chunks(store: HTTPStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Requests, "pace", AT_HAND)  # a busy server may seem to be far
    size = PART + 30 * PART
    stream = iter(store.get(f"{size}/a").stream())
    assert next(stream) == content(0, PART)
    before = engine_info()["memory"]
    for at in range(PART, PART + 5 * PART, PART):
        wait_until(lambda: engine_info()["in_flight"] == 0)  # else the reader would be the faster one
        assert next(stream) == content(at, at + PART)
        assert engine_info()["memory"] <= before + 3 * PART


def test_eight_streams_in_turns_under_two_chunks(store: HTTPStore, limit: None) -> None:
    before = process.held
    objstore.configure(memory_limit=before + 2 * PART)
    size = PART + 3 * PART + 5
    streams = [store.get(f"{size}/{name}").stream() for name in range(8)]
    for chunks in zip(*streams, strict=True):
        assert len(set(chunks)) == 1
    assert process.held == before


def test_an_object_larger_than_the_limit(store: HTTPStore, limit: None) -> None:
    objstore.configure(memory_limit=MIB)
    assert store.get(f"{20 * MIB}/a").bytes() == content(0, 20 * MIB)
    assert b"".join(store.get(f"{20 * MIB}/a")) == content(0, 20 * MIB)


def test_what_is_kept_for_reuse_gives_way_to_what_is_in_use(store: HTTPStore, limit: None) -> None:
    others = engine_info()["memory"]
    objstore.configure(memory_limit=others + 32 * MIB)
    for odd in range(20):
        assert len(store.get(f"{3 * MIB + odd * 70_000}/a").bytes())
    assert engine_info()["idle_memory"] <= 32 * MIB
    held = store.get(f"{40 * MIB}/a").bytes()
    assert engine_info()["idle_memory"] == 0
    del held
    again = [store.get(f"{5 * MIB}/a").bytes() for _ in range(2)]
    del again
    assert 0 < engine_info()["idle_memory"] <= 32 * MIB


def test_what_is_kept_for_reuse_gives_way_to_other_sizes(store: HTTPStore) -> None:
    bodies = [store.get(f"{8 * MIB}/a").bytes() for _ in range(16)]
    del bodies
    info = engine_info()
    most = info["memory"] + info["idle_memory"]
    others = [store.get_range(f"{8 * MIB}/a", start=0, length=3 * MIB) for _ in range(12)]
    info = engine_info()
    assert info["memory"] + info["idle_memory"] <= most
    del others


@pytest.mark.parametrize("ranges", [False, True])
def test_many_objects_of_unknown_size_keep_within_the_window_and_one_of_them(store: HTTPStore, *, ranges: bool) -> None:
    size, window = 20 * MIB, 32 * MIB
    before = engine_info()["memory"]
    asks = [(f"{size}/{name}", 0, size) if ranges else f"{size}/{name}" for name in range(12)]
    most = 0
    for _, body in store.iter_many(asks, window=window):
        most = max(most, engine_info()["memory"] - before)
        assert len(body) == size
        del body
    assert most <= window + 2 * size


@pytest.mark.parametrize("stream", [False, True])
def test_what_nobody_has_read_of_keeps_within_the_limit(store: HTTPStore, limit: None, *, stream: bool) -> None:
    held, before, size = process.held, engine_info()["memory"], 6 * MIB
    objstore.configure(memory_limit=held + 8 * MIB)
    results = [store.get(f"{size}/{name}") for name in range(20)]
    given = [result.stream() if stream else result for result in results]
    assert engine_info()["memory"] - before <= 8 * MIB + 20 * LEAST_FIRST
    last = given[-1]
    assert (b"".join(last) if isinstance(last, BytesStream) else last.bytes()) == content(0, size)
    del results, given, last
    assert process.held == held


def test_a_stream_that_is_to_hold_little_begins_with_little(store: HTTPStore) -> None:
    before = engine_info()["memory"]
    result = store.get(f"{6 * MIB}/a", options={"read_ahead": 100_000})
    assert engine_info()["memory"] - before <= LEAST_FIRST * 2
    assert b"".join(result) == content(0, 6 * MIB)


def test_files_read_ahead_within_the_limit_of_the_process(limit: None) -> None:
    store, files, before = MemoryStore(), 12, process.held
    store.put("a", bytes(24 * MIB))
    objstore.configure(memory_limit=before + 8 * MIB)
    tracemalloc.start()
    try:
        opened = [store.open("a", size=24 * MIB) for _ in range(files)]
        for _ in range(20):
            assert all(len(file.read(500_000)) == 500_000 for file in opened)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0 < process.held - before <= 8 * MIB
    assert held <= (8 + 2 * files) * MIB  # a buffer each, and what one had before its buffer grew
    for file in opened:
        file.close()
    assert process.held == before


@pytest.mark.parametrize("size", [1000, 500_000])
def test_what_is_fetched_ahead_fills_no_large_buffer_besides(
    store: HTTPStore, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(Requests, "pace", SLOW)
    before, body = process.of_files, content(0, 20 * MIB)
    with store.open(f"{20 * MIB}/a") as file:
        assert b"".join(iter(lambda: file.read(size), b"")) == body
        assert process.of_files - before <= 4 * MIB
        assert len(file.peek()) == 0
        assert file.seek(-70_000, 2)
        assert file.read() == body[-70_000:]


def test_all_files_together_hold_little_beyond_their_buffers() -> None:
    before, opened = process.of_files, [Beyond() for _ in range(20)]
    assert [file.reach(31 * MIB) for file in opened].count(31 * MIB) == (OF_FILES - before) // (31 * MIB)
    assert process.of_files <= OF_FILES
    del opened
    assert process.of_files == before


def test_into_the_callers_memory_there_is_no_second_copy(store: HTTPStore, limit: None) -> None:
    size = 64 * MIB
    out = bytearray(size)
    objstore.configure(memory_limit=1)
    before, most = engine_info()["memory"], []
    store.get_many([(f"{size}/a", 0, size)], out=out, progress=lambda *_: most.append(engine_info()["memory"]))
    assert out == content(0, size)
    assert max(most) - before <= 4 * MIB


def test_of_ranges_that_are_read_together_few_are_in_memory_besides(
    store: HTTPStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that do not lie in the caller's memory as they do in the object."""
    monkeypatch.setattr(scattered, "HELD", 4 * MIB)
    monkeypatch.setattr(ranges, "HELD", 4 * MIB)
    monkeypatch.setattr(coalesce, "MOST_MERGED", MIB)
    size, part = 32 * MIB, 64 << 10
    starts = [at for at in range(size - part, 0, -part) if at % (2 * part) or at % MIB]  # one begins in the middle
    before, most = engine_info()["memory"], [0]
    out = bytearray(len(starts) * (part - 99))
    found = store.get_ranges(
        f"{size}/a",
        starts=starts,
        lengths=[part - 99] * len(starts),
        out=out,
        progress=lambda *_: most.append(engine_info()["memory"] - before),
    )
    assert found == [content(start, start + part - 99) for start in starts]
    assert out == b"".join(found)
    assert max(most) <= 4 * MIB + 2 * MIB


# --- uploads


@pytest.mark.usefixtures("limit")
def test_what_is_sent_by_one_request_is_in_memory_as_far_as_the_limit_allows() -> None:
    before, pieces = process.held, [bytes([at]) * MIB for at in range(6)]
    objstore.configure(memory_limit=before + 8 * MIB)
    bodies = [open_body(iter(pieces)) for _ in range(10)]
    sources = [run(body.all()) for body in bodies]
    in_memory = [source for source in sources if isinstance(source.data, Buffer)]
    assert len(in_memory) == 1
    assert process.held - before <= 8 * MIB
    for source in sources:
        assert source.size == 6 * MIB
        if not isinstance(source.data, Buffer):
            assert os.pread(source.data[0], source.size, source.data[1]) == b"".join(pieces)
    for body in bodies:
        body.close()
    assert process.held == before


@pytest.mark.usefixtures("limit")
def test_what_comes_as_a_whole_is_in_memory_as_far_as_the_limit_allows() -> None:
    before = process.held
    objstore.configure(memory_limit=before + 8 * MIB)
    kept = [Unnamed() for _ in range(10)]
    for at in range(6):
        for each in kept:
            run(each.add(Bytes(bytes([at]) * MIB)))
    taken = [each.take() for each in kept]
    for each in kept:
        each.close()
    assert 4 * MIB <= process.held - before <= 8 * MIB
    assert set(map(bytes, taken)) == {b"".join(bytes([at]) * MIB for at in range(6))}
    del taken
    assert process.held == before


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("written", [False, True])
def test_parts_that_only_their_upload_holds_count_beyond_the_first(
    fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    noted: list[int] = []
    within = Parts._within_memory

    def note(self: Parts, size: int) -> int:
        noted.append(within(self, size))
        return noted[-1]

    monkeypatch.setattr(Parts, "_within_memory", note)
    store, before = store_on(fault_server), process.held
    store.provider.smallest_part = 1
    objstore.configure(memory_limit=before + 35)
    if written:
        with store.open("a", "wb", buffer_size=10) as file:
            file.write(bytes(200))
    else:
        store.put("a", (bytes(5) for _ in range(40)), chunk_size=10)
    assert noted[:5] == [2, 3, 4, 4, 4]
    assert process.held == before
    store.put("a", bytes(200), chunk_size=10)
    assert len(noted) <= 21
