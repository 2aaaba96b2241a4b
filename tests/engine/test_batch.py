"""A batch, from its first request to its last: order, replies, retries, the limit, the window, and what is sent."""

from __future__ import annotations

import random
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from objstore._core import Batch, Buffer, origin_info
from objstore.plans.run import run
from tests.engine.client import SETTINGS, SOON, Server, batch, new_batch, released, settle, wait_until
from tests.faults.content import content


def test_results_are_in_order_whatever_order_they_come_in(server: Server) -> None:
    made = new_batch(server.origin, "GET", SETTINGS, most_in_flight=32)
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
    made = batch(server.origin, [f"/10/{index}?held=1" for index in range(2 * limit + 1)], most_in_flight=limit)
    releasing = released(server, limit, limit, 1)
    assert run(settle(made, background=background)) == {}
    releasing.join()
    seen = server.seen()
    assert seen["most_in_flight"] == limit
    assert len(seen["requests"]) == 2 * limit + 1
    assert seen["accepted"] <= limit


def test_throttle_lowers_the_limit_once_for_what_was_sent_together(own_server: Server) -> None:
    targets = [f"/10/{index}?{'status=503' if index < 4 else 'held=1'}" for index in range(200)]
    made = batch(own_server.origin, targets, most_in_flight=16)
    made.start(background=True)
    try:
        refused: list[int] = []
        while len(refused) < 4:
            made.wait()
            refused += [reply.index for reply in made.failures()]
        wait_until(lambda: own_server.seen()["held"] == 16)
        for index in refused:
            made.throttle(index)
            made.give_up(index)
        found = origin_info(own_server.origin)
        assert found is not None
        assert 16 / 4 <= found["reads"] < 16 / 2
        made.seal()
        while not made.over:  # it grows again with what succeeds
            own_server.control("release")
            made.wait(0.01)
        assert len(own_server.seen()["requests"]) == 200
    finally:
        made.close()
    assert own_server.seen()["most_in_flight"] == 16


def test_a_reply_says_what_came(server: Server) -> None:
    made = new_batch(server.origin, "GET", SETTINGS, keep_head=True)
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


def test_many_reads_are_added_with_their_keys_encoded_and_their_bytes_in_place(server: Server) -> None:
    keys = ["plain", "a b+%/ü€𝄞?#", "~-._"]
    ranges = [(-1, -1), (10, 20), (90, -1)]
    block = bytearray(30)
    buffer = Buffer(block, writable=True)
    made = new_batch(server.origin, "GET", SETTINGS)
    made.add_reads(b"/100/", keys, ranges, b"?a=1")
    made.add_reads(b"/100/", keys[1:], ranges[1:], b"", [(buffer, 5, 10), None])
    made.seal()
    made.start()
    while not made.over:
        made.wait()
    bodies = [bytes(body or b"") for body in made.bodies()]
    made.close()
    assert bodies == [content(0, 100), content(10, 20), content(90, 100), content(10, 20), content(90, 100)]
    assert block == bytes(5) + content(10, 20) + bytes(15)
    encoded = [quote(key, safe="/~") for key in keys]
    targets = {f"/100/{key}?a=1" for key in encoded} | {f"/100/{key}" for key in encoded[1:]}
    assert made_targets(server) == targets


def test_reads_that_cannot_be_added_leave_those_before(server: Server) -> None:
    made = new_batch(server.origin, "GET", SETTINGS)
    with pytest.raises(UnicodeEncodeError):
        made.add_reads(b"/8/", ["a", "\ud800"], [(-1, -1)] * 2, b"")
    assert made.total == 1
    made.seal()
    assert run(settle(made)) == {}


def test_a_retry_comes_after_its_delay_and_not_later_than_others(server: Server) -> None:
    made = batch(server.origin, ["/5/a?once=503", "/5/b?once=503", "/5/c?held=1"])
    delays = {0: 0.3, 1: 0.1}
    made.start()
    while not made.over:
        made.wait(0.05)
        for reply in made.failures():
            assert (reply.status, reply.attempts) == (503, 1)
            made.retry(reply.index, delays[reply.index])
        if made.settled == 2:
            server.control("release")
    made.close()
    requests = server.seen()["requests"]
    times = {target: [at for at, seen in requests if seen == target] for target in made_targets(server)}
    waited = {target: seen[1] - seen[0] for target, seen in times.items() if len(seen) > 1}
    assert waited["/5/b?once=503"] >= 0.1
    assert waited["/5/a?once=503"] >= 0.3
    assert times["/5/b?once=503"][1] < times["/5/a?once=503"][1]
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
    made = new_batch(server.origin, "GET", SETTINGS, each=True)
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
        assert 0.15 <= time.monotonic() - begun < SOON
        made.close()


def test_the_window_bounds_what_is_in_flight_or_waits_to_be_taken(server: Server) -> None:
    size, window = 100_000, 1_000_000
    made = new_batch(server.origin, "GET", SETTINGS, each=True, window=window)
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


def test_of_what_is_taken_in_order_about_half_the_window_is_in_flight(own_server: Server) -> None:
    size, parts = 1000, 8
    made = new_batch(own_server.origin, "GET", SETTINGS, each=True, window=2 * size)
    made.widen(parts * size)
    for index in range(2 * parts):
        made.add(f"/{size}/{index}?held=1".encode(), 0, size)
    made.seal()
    made.start(background=True)
    wait_until(lambda: own_server.seen()["held"] > parts // 2)
    time.sleep(0.05)
    assert made.in_flight == own_server.seen()["held"] == parts // 2 + 1
    made.close()


LIKE = 64
"""Objects that tell what is to be expected of others."""


def known_to_be_small(server: Server, window: int) -> Batch:
    """Return a batch that has read some small objects, and goes on."""
    made = new_batch(server.origin, "GET", SETTINGS, each=True, window=window, cut_over=32 << 20, cut_to=1 << 20)
    for index in range(LIKE):
        made.add(f"/1/{index}".encode())
    made.start(background=True)
    taken = 0
    while taken < LIKE:
        made.wait()
        for index in made.finished():
            made.take(index)
            taken += 1
    return made


def test_small_objects_of_which_nobody_told_the_size_are_many_in_a_window(own_server: Server) -> None:
    made = known_to_be_small(own_server, window=16 << 20)
    for index in range(40):
        made.add(f"/1/held{index}?held=1".encode())
    made.seal()
    wait_until(lambda: own_server.seen()["held"] == 40)
    made.close()


def test_objects_that_are_larger_than_those_before_wait_for_room_in_the_window(server: Server) -> None:
    size, window, count = 1 << 20, 4 << 20, 24
    made = known_to_be_small(server, window)
    for index in range(count):
        made.add(f"/{size}/large{index}".encode())
    made.seal()
    taken = 0
    while taken < count:
        time.sleep(0.02)
        assert made.settled <= LIKE + taken + window // size + 1
        made.wait()
        for index in made.finished():
            assert bytes(made.take(index)) == content(0, size)
            taken += 1
    assert not made.failures()
    made.close()


def test_a_failure_that_fills_the_window_does_not_block_it_for_ever(server: Server) -> None:
    made = new_batch(server.origin, "GET", SETTINGS, each=True, window=2)
    for index in range(9):
        made.add(f"/1/{index}?status=404".encode(), 0, 1)
    made.seal()
    made.start()
    while not made.over:
        assert made.wait(SOON)
        for reply in made.failures():
            made.give_up(reply.index)
    made.close()


def test_what_is_sent_again_keeps_its_place_in_the_window(server: Server) -> None:
    size, parts = 1000, 4
    made = new_batch(server.origin, "GET", SETTINGS, each=True, window=2 * size)
    for index in range(parts):
        made.add(f"/{size}/again{index}{'' if index else '?once=503'}".encode(), 0, size)
    made.seal()
    made.start(background=True)
    arrived: set[int] = set()
    for wanted in range(parts):  # taken in order, as a stream is
        while wanted not in arrived:
            assert made.wait(SOON)
            for reply in made.failures():
                made.retry(reply.index, 0.1)
            arrived.update(made.finished())
        made.take(wanted)
    made.close()


def test_what_waits_for_the_server_fails_in_time_while_the_window_is_full(server: Server) -> None:
    made = new_batch(server.origin, "GET", SETTINGS, each=True, window=2)
    made.add(b"/1/first?status=503", 0, 1)
    made.add(b"/1/second", 0, 1)
    made.add(b"/1/third", 0, 1)
    made.seal()
    made.start(background=True)
    for parked in (True, False):
        while not (failures := made.failures()):
            assert made.wait(SOON)
            made.finished()
        if parked:
            made.retry(failures[0].index, 0.1, parked=True)
    made.close()


def test_what_was_taken_stays_and_is_gone_from_the_batch(server: Server) -> None:
    made = new_batch(server.origin, "GET", SETTINGS, each=True)
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


# --- sending


def test_bodies_are_sent_from_memory_and_from_files(server: Server, tmp_path: Path) -> None:
    data = random.randbytes(300_000)
    file = tmp_path / "data"
    file.write_bytes(b"head" + data)
    with file.open("rb") as opened:
        made = new_batch(server.origin, "PUT", SETTINGS)
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
        made = new_batch(server.origin, "PUT", SETTINGS)
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
