"""Hedging: what is late is asked for again, the first whole answer counts, and nobody sees anything of the other."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from objstore._core import Batch, Buffer, ClientSettings, Tally, configure_http, engine_info
from objstore.plans.run import run
from tests.engine.client import PATIENT, SETTINGS, SOON, new_batch, run_program, settle, wait_until
from tests.engine.twice import BODY, Tried, Twice, hammer, reply, twice
from tests.tls_proxy import write_certificate

OTHER = b"OTHER!" * 100


@pytest.fixture(params=["engine", "curl"])
def carrier(request: pytest.FixtureRequest) -> Iterator[str]:
    before = engine_info()["http"]
    configure_http(request.param)
    yield request.param
    configure_http(before)


@pytest.fixture
def server(carrier: str) -> Iterator[Twice]:
    """A server that answers in no time, as the engine knows by now; two more replies, and there may be a hedge."""
    with twice() as running:
        running.ask(32)
        yield running


def begun(server: Twice, target: str = "/late", *, out: Buffer | None = None, **options: Any) -> Batch:
    """Return a batch of one request under way."""
    span = options.pop("range", ())
    options = {"settings": server.settings, "hedged": True, "watched": True, **options}
    made = new_batch(server.origin, options.pop("method", "GET"), **options)
    made.add(target.encode(), *span, out=out)
    made.seal()
    made.start(background=True)
    return made


def stalled(server: Twice, out: Buffer | None = None) -> tuple[Batch, Tried, Tried]:
    """Return a batch of one request that stalls in the body, and its tries: the second one was sent after that."""
    for index in range(100):
        made = begun(server, f"/late/{index}", out=out)
        first = server.tried(f"/late/{index}", 1)
        first.send(reply(BODY)[:-300])
        second = server.tried(f"/late/{index}", 2)
        assert "if-match" not in first.head.lower()
        if '\r\nIf-Match: "1"\r\n' in second.head:
            return made, first, second
        second.answer(reply(OTHER))
        ended(made)
    pytest.fail("the second is always sent before the first begins")


def ended(made: Batch) -> Batch:
    """Return a batch whose one request has ended."""
    try:
        assert made.wait(SOON)
    finally:
        failures = made.failures()
        for each in failures:
            made.give_up(each.index)
        made.close()
    return made


def body_of(made: Batch) -> bytes:
    """Return the body of the one request, which must have succeeded at the first try, without a word of another."""
    ended(made)
    assert made.succeeded(0), made.reply(0)
    notes = [(each.status, each.attempt, each.error) for each in made.tries()]
    assert notes == [(made.reply(0).status, 1, None)]
    assert (made.reply(0).attempts, made.reply(0).lost) == (1, False)
    return bytes(made.reply(0).body)


# --- who wins


@pytest.mark.parametrize("into", [False, True])
def test_the_hedge_wins(server: Twice, into: bool) -> None:
    memory = bytearray(len(BODY) + 1)
    made = begun(server, out=Buffer(memory, writable=True) if into else None)
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    assert second.connection is not first.connection
    second.answer(reply(OTHER))
    assert body_of(made) == OTHER
    assert first.is_dropped()
    first.answer(reply(BODY))
    assert bytes(memory) == (OTHER + b"\0" if into else bytes(len(memory)))
    assert server.counts["/late"] == 2


@pytest.mark.parametrize("into", [False, True])
def test_the_first_wins(server: Twice, into: bool) -> None:
    memory = bytearray(len(BODY))
    made = begun(server, out=Buffer(memory, writable=True) if into else None)
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    second.send(reply(OTHER)[:-1])
    first.answer(reply(BODY))
    assert body_of(made) == BODY
    assert second.is_dropped()
    second.answer(reply(OTHER)[-1:])
    assert bytes(memory) == (BODY if into else bytes(len(memory)))
    assert server.counts["/late"] == 2


def test_a_hedge_counts_towards_what_the_caller_allows(server: Twice) -> None:
    made = new_batch(server.origin, "GET", server.settings, hedged=True, most_in_flight=2)
    for target in (b"/late", b"/beside"):
        made.add(target)
    made.start(background=True)
    first, beside = server.tried("/late", 1), server.tried("/beside", 1)
    hedges_are_due(server)
    assert (server.counts["/late"], server.counts["/beside"]) == (1, 1)
    beside.answer(reply())
    second = server.tried("/late", 2)
    made.add(b"/next")
    made.seal()
    hedges_are_due(server)
    assert server.counts["/next"] == 0
    first.end()
    third = server.tried("/next", 1)
    second.answer(reply(OTHER))
    third.answer(reply())
    assert run(settle(made)) == {}
    assert bytes(made.reply(0).body) == OTHER


def hedges_are_due(server: Twice) -> None:
    """Let one be sent for all that is late: two looks go by, and more than what they cost is earned."""
    for _ in range(10):
        server.ask(16)
        time.sleep(0.01)


def test_a_range_is_asked_for_alike(server: Twice) -> None:
    made = begun(server, range=(100, 300))
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    assert first.head == second.head
    assert "\r\nRange: bytes=100-299\r\n" in second.head
    second.answer(reply(BODY[100:300], "Content-Range: bytes 100-299/600", status=206))
    assert body_of(made) == BODY[100:300]


def test_head_too(server: Twice) -> None:
    server.ask(64, "HEAD")
    made = begun(server, method="HEAD", keep_head=True)
    server.tried("/late", 2).answer(reply(b"", length=77))
    assert body_of(made) == b""
    assert made.reply(0).headers["content-length"] == "77"


@pytest.mark.parametrize("into", [False, True])
def test_a_body_that_stalls_is_asked_for_again_of_the_same_version(server: Twice, into: bool) -> None:
    memory = bytearray(len(BODY))
    made, first, second = stalled(server, Buffer(memory, writable=True) if into else None)
    second.answer(reply(OTHER))
    assert body_of(made) == OTHER
    assert first.is_dropped()
    assert bytes(memory) == (OTHER if into else bytes(len(memory)))


def test_another_version_does_not_win_over_one_that_has_begun(server: Twice) -> None:
    made = begun(server)
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    first.send(reply(BODY)[:-300])
    ended(begun(server, "/quick/0"))  # by the same loop, which has read what came before
    second.answer(reply(OTHER, tag='"2"'))
    server.ask()
    first.answer(reply(BODY)[-300:])
    assert body_of(made) == BODY


@pytest.mark.parametrize("status", [404, 416])
def test_an_error_is_an_answer_too(server: Twice, status: int) -> None:
    made = begun(server)
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    second.answer(reply(b"none", status=status))
    assert ended(made).reply(0).status == status
    assert first.is_dropped()


# --- who fails


BAD = {
    "cut": reply(BODY)[:-1],
    "503": reply(b"busy", status=503),
    "429": reply(b"busy", status=429),
    "not HTTP": b"SSH-2.0\r\n\r\n",
    "less": reply(BODY[:10], "Content-Range: bytes 0-9/600", status=206),
    "none": b"",
}


@pytest.mark.parametrize("bad", BAD)
def test_a_hedge_that_fails_does_no_harm(server: Twice, bad: str) -> None:
    made = begun(server)
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    second.send(BAD[bad])
    second.end()
    for _ in range(4):
        server.ask()
    assert not made.has_news
    first.answer(reply(BODY))
    assert body_of(made) == BODY
    assert server.counts["/late"] == 2


@pytest.mark.parametrize("into", [False, True])
@pytest.mark.parametrize("when", ["before", "within"])
@pytest.mark.parametrize("reset", [False, True])
def test_where_the_first_fails_the_hedge_goes_on(server: Twice, reset: bool, when: str, into: bool) -> None:
    memory = bytearray(len(BODY))
    made = begun(server, out=Buffer(memory, writable=True) if into else None)
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    if when == "within":
        second.send(reply(OTHER)[:-400])
        server.ask()
    first.end(reset=reset)
    server.ask()
    second.answer(reply(OTHER)[-400 if when == "within" else 0 :])
    assert body_of(made) == OTHER
    assert server.counts["/late"] == 2
    assert bytes(memory) == (OTHER if into else bytes(len(memory)))


def test_where_both_fail_it_is_a_failure(server: Twice) -> None:
    made = begun(server)
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    first.end()
    server.ask()
    second.end()
    assert made.wait(SOON)
    (failed,) = made.failures()
    assert (failed.status, failed.attempts) == (0, 1)
    made.retry(0)
    server.tried("/late", 3).answer(reply(BODY))
    assert ended(made).succeeded(0)
    assert bytes(made.reply(0).body) == BODY


def test_a_beginning_that_broke_off_is_gone_on_from(server: Twice) -> None:
    made, first, _ = stalled(server)  # the second cannot take its place: nobody but us gave a condition
    first.end()
    assert made.wait(SOON)
    (failed,) = made.failures()
    assert failed.kept == 300
    made.retry(0)
    third = server.tried(failed.target.decode(), 3)
    assert "\r\nRange: bytes=300-\r\n" in third.head
    third.answer(reply(BODY[300:], "Content-Range: bytes 300-599/600", status=206))
    assert ended(made).succeeded(0)
    assert bytes(made.reply(0).body) == BODY


def test_an_error_of_the_server_is_told_at_once(server: Twice) -> None:
    made = begun(server)
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    first.answer(reply(b"busy", status=503))
    assert ended(made).reply(0).status == 503
    assert second.is_dropped()


def test_what_does_not_fit_where_it_is_wanted_does_not_win(server: Twice) -> None:
    memory = bytearray(100)
    made = begun(server, out=Buffer(memory, writable=True))
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    second.answer(reply(OTHER))
    server.ask()
    assert not made.has_news
    first.answer(reply(BODY[:100]))
    assert body_of(made) == BODY[:100]
    assert bytes(memory) == BODY[:100]


def test_time_limits_are_those_of_one_request(server: Twice) -> None:
    settings = ClientSettings(user_agent="tests", hedge=True, **PATIENT, timeout=1)
    for target in map("/late/{}".format, range(10)):
        made = begun(server, target, settings=settings)
        while len(server.tries[target]) < 2 and not made.has_news:
            server.ask(16)
        if len(server.tries[target]) == 2:  # else the machine was too busy for it to come in time
            break
    server.tried(target, 2).send(reply(OTHER)[:-1])
    assert ended(made).reply(0).curl_code == 28
    assert "`timeout`" in (made.reply(0).error or "")


# --- who ends it


@pytest.mark.parametrize("begins", [False, True])
def test_a_cancelled_read_and_its_hedge_touch_nothing(server: Twice, begins: bool) -> None:
    memory = bytearray(len(BODY))
    made = begun(server, out=Buffer(memory, writable=True))
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    if begins:
        first.send(reply(BODY)[:-1])
        second.send(reply(OTHER)[:-1])
    made.close()
    memory[:] = bytes(len(memory))
    assert engine_info()["in_flight"] == 0
    first.answer(reply(BODY))
    second.answer(reply(OTHER))
    server.ask()
    assert bytes(memory) == bytes(len(memory))


# --- on other ways


def test_over_tls(carrier: str, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(write_certificate(["example.test"], tmp_path))
    with twice(context, verify=False) as server:
        hammer(server, run)
        assert server.tally.counts()["hedges"] > 0


def test_by_a_proxy() -> None:
    with twice() as server:
        proxy, server.origin = server.origin, "http://example.test:80"
        server.settings = ClientSettings(user_agent="tests", hedge=True, **PATIENT, proxy=proxy)
        server.ask(32)
        made = begun(server)
        first, second = server.tried("/late", 1), server.tried("/late", 2)
        second.answer(reply(OTHER))
        assert body_of(made) == OTHER
        assert first.is_dropped()


def test_where_the_hedge_is_led_elsewhere(server: Twice) -> None:
    settings = ClientSettings(user_agent="tests", hedge=True, **PATIENT, redirects="http")
    made = begun(server, settings=settings)
    first, second = server.tried("/late", 1), server.tried("/late", 2)
    second.answer(reply(b"", "Location: /quick/there", status=302))
    assert bytes(ended(made).reply(0).body) == BODY
    assert first.is_dropped()


def test_many_rounds(server: Twice) -> None:
    hammer(server, run)
    assert server.tally.counts()["hedges"] > 0


@pytest.mark.parametrize("carrier", ["engine", "curl"])
def test_many_rounds_without_helper_threads(carrier: str) -> None:
    ended = run_program("threadless.hedges", env={"OBJSTORE_IO_THREADS": "0", "OBJSTORE_HTTP": carrier})
    assert (ended.returncode, ended.stderr) == (0, "")


# --- how many


def test_no_more_than_three_in_a_hundred(server: Twice) -> None:
    made = new_batch(server.origin, "GET", server.settings, hedged=True, tally=server.tally)
    for index in range(1000):
        made.add(f"/{'late' if index % 50 == 49 else 'quick'}/{index}".encode())
    made.seal()
    made.start(background=True)
    late = [f"/late/{index}" for index in range(49, 1000, 50)]
    for target in late:
        server.tried(target, 2).answer(reply(BODY))
    while not made.over:
        made.wait(1)
    assert made.bodies() == [BODY] * 1000
    made.close()
    counts = server.tally.counts()
    total = server.counts.total()
    assert total <= counts["requests"] + counts["hedges"]  # some are dropped before they were sent
    assert len(late) <= counts["hedges"] <= 0.03 * counts["requests"]
    assert (counts["retries"], [server.counts[target] for target in late]) == (0, [2] * len(late))


def test_without_it_late_ones_are_waited_for(server: Twice) -> None:
    made = new_batch(server.origin, "GET", SETTINGS, hedged=True)
    for index in range(200):
        made.add(f"/{'late' if index % 50 == 49 else 'quick'}/{index}".encode())
    made.seal()
    made.start(background=True)
    wait_until(lambda: made.settled == 196)
    for index in range(49, 200, 50):
        server.tried(f"/late/{index}", 1).answer(reply(BODY))
    assert run(settle(made)) == {}
    assert sum(count for target, count in server.counts.items() if target.startswith("/late")) == 4


@pytest.mark.parametrize(
    "options",
    [{"settings": SETTINGS}, {"hedged": False}, {"method": "PUT"}, {"method": "POST"}, {"method": "DELETE"}],
    ids=lambda each: "-".join(map(str, each)),
)
def test_none_of_what_is_not_hedged(server: Twice, options: dict[str, Any]) -> None:
    tally = Tally()
    made = begun(server, tally=tally, **options)
    first = server.tried("/late", 1)
    for _ in range(8):
        server.ask()
    first.answer(reply(BODY))
    assert ended(made).succeeded(0)
    assert (server.counts["/late"], tally.counts()["hedges"]) == (1, 0)


def test_none_while_the_server_wants_less(server: Twice) -> None:
    busy = begun(server, "/busy")
    server.tried("/busy", 1).answer(reply(b"busy", status=503))
    assert busy.wait(SOON)
    (failed,) = busy.failures()
    busy.throttle(failed.index)
    busy.give_up(failed.index)
    busy.close()
    _asks_once(server, "/late")


def test_none_where_a_hedge_was_refused(server: Twice) -> None:
    made = begun(server, "/busy")
    first, second = server.tried("/busy", 1), server.tried("/busy", 2)
    second.answer(reply(b"busy", status=503))
    server.ask()
    _asks_once(server, "/late")
    first.answer(reply(BODY))
    assert body_of(made) == BODY


def _asks_once(server: Twice, target: str) -> None:
    made = begun(server, target)
    first = server.tried(target, 1)
    for _ in range(8):
        server.ask()
    first.answer(reply(BODY))
    assert body_of(made) == BODY
    assert server.counts[target] == 1


def test_none_while_too_few_are_known(carrier: str) -> None:
    with twice() as server:
        made = begun(server)
        first = server.tried("/late", 1)
        server.ask(16)
        first.answer(reply(BODY))
        assert body_of(made) == BODY
        assert server.counts["/late"] == 1
