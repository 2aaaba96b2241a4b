"""What a watched batch notes of its tries, and what a tally counts."""

from __future__ import annotations

import logging

import pytest

from objstore._core import Tally
from objstore.http.single import send
from objstore.plans.run import run
from tests.engine.client import SETTINGS, Server, batch, new_batch, settle


def test_every_try_leaves_a_note(server: Server) -> None:
    made = batch(server.origin, [f"/10/{index}" for index in range(600)], watched=True, keep_head=True)
    run(settle(made))
    tries = made.tries()
    assert sorted(each.index for each in tries) == [*range(600)]
    assert {(each.status, each.attempt, each.received) for each in tries} == {(200, 1, 10)}
    assert all(each.target == b"/10/%d" % each.index and 0 <= each.wait <= each.seconds <= each.age for each in tries)
    assert tries[0].headers == made.reply(tries[0].index).headers
    assert made.tries() == []


def test_a_batch_that_is_not_watched_has_no_notes(server: Server) -> None:
    made = batch(server.origin, ["/10/1"])
    run(settle(made))
    assert made.tries() == []


def test_a_head_is_noted_and_not_kept(server: Server) -> None:
    made = batch(server.origin, ["/10/1"], watched=True)
    run(settle(made))
    (tried,) = made.tries()
    assert tried.headers["content-length"] == "10"
    assert made.reply(0).head == b""


def test_the_head_of_a_failure_is_noted_and_kept(server: Server) -> None:
    made = batch(server.origin, ["/10/1?status=503"], watched=True)
    failed = run(settle(made))
    (tried,) = made.tries()
    assert tried.status == 503
    assert tried.head == failed[0].head != b""


def test_notes_that_nobody_takes_are_freed(server: Server) -> None:
    made = batch(server.origin, [f"/10/{index}" for index in range(10)], watched=True)
    run(settle(made))
    del made


def test_a_tally_adds_up_batches_once_they_are_closed(server: Server) -> None:
    tally = Tally()
    for _ in range(2):
        made = batch(server.origin, ["/10/1", "/20/2", "/30/3?status=404"], tally=tally)
        run(settle(made))
        made.close()
        made.close()
    counts = tally.counts()
    assert (counts["requests"], counts["retries"]) == (6, 0)
    assert counts["connections"] <= 6
    assert sum(count for _, count in tally.waits()) == 6
    times = [time for time, _ in tally.waits()]
    assert times == sorted(times)


def test_the_waits_are_near_what_they_were(server: Server) -> None:
    tally = Tally()
    made = new_batch(server.origin, "GET", SETTINGS, tally=tally, watched=True)
    for index in range(40):
        made.add(f"/10/{index}?delay={index / 400:.4f}".encode())
    made.seal()
    run(settle(made))
    least = 0.0
    waits = sorted(each.wait for each in made.tries())
    for most, count in tally.waits():
        assert sum(least < wait <= most for wait in waits) == pytest.approx(count, abs=1)
        least = most


def test_one_request_of_no_store_is_told_without_its_query(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "objstore")
    run(send("GET", server.origin, "/10/1?token=secret", SETTINGS))
    (record,) = caplog.records
    assert record.getMessage().startswith(f"GET {server.origin}/10/1 -> 200, ")
    assert "secret" not in caplog.text
