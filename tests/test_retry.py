"""The retry policy and its budget, with an injected clock, and what real failed replies are understood as."""

from __future__ import annotations

import heapq
import random
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from objstore import exceptions as errors
from objstore._core import ClientSettings, origin_info
from objstore.http.client import http_date
from objstore.http.retry import CURL_ROWS, STATUS_ROWS, UNCONNECTED, Budget, Failure, Policy, Row, understand
from objstore.plans.run import run
from objstore.settings.options import RetryOptions
from objstore.store import HTTPStore, S3Store
from tests.engine.client import SETTINGS, at_best, batch, new_batch, settle
from tests.engine.raw import answering, crowded, ends, sends
from tests.engine.server import certificate
from tests.tls_proxy import write_certificate

ALWAYS = Row(errors.GenericError, "planted", "always")
SAFE = Row(errors.GenericError, "planted", "safe")
ONCE = Row(errors.GenericError, "planted", "once")
NEVER = Row(errors.GenericError, "planted")
BUSY = Row(errors.GenericError, "planted", "always", throttled=True)


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def policy(clock: Clock | None = None, **options: float) -> Policy:
    return Policy(RetryOptions(**options), clock=clock or Clock())  # type: ignore[arg-type]


def failure(row: Row, wait: float | None = None) -> Failure:
    return Failure(row, None, "", wait)


def delays(chosen: Policy, row: Row, attempts: int, wait: float | None = None) -> list[float]:
    """Return many delays for the same failure, all of which were allowed."""
    chosen.budget.note(10**9, 0)
    seen = [chosen.delay(failure(row, wait), attempts, chosen.clock(), safe=True) for _ in range(2000)]
    assert None not in seen
    return [delay for delay in seen if delay is not None]


# --- backoff


@pytest.mark.parametrize(
    ("row", "attempts", "bound"),
    [(SAFE, 1, 0.05), (SAFE, 2, 0.1), (SAFE, 5, 0.8), (SAFE, 10, 20), (BUSY, 1, 0.05), (BUSY, 3, 0.2)],
)
def test_backoff_is_any_part_of_a_bound_that_doubles(row: Row, attempts: int, bound: float) -> None:
    seen = delays(policy(), row, attempts)
    assert 0 <= min(seen) < 0.1 * bound
    assert 0.9 * bound < max(seen) <= bound
    assert 0.4 * bound < sum(seen) / len(seen) < 0.6 * bound


@pytest.mark.parametrize(("attempts", "bound"), [(5, 0.8), (6, 0.8), (8, 0.8), (9, 12.8), (10, 20)])
def test_where_others_succeed_only_the_last_tries_wait_for_long(attempts: int, bound: float) -> None:
    seen = delays(policy(), SAFE, attempts)
    assert 0.9 * bound < max(seen) <= bound


def longest(row: Row, attempts: int, successes: int, failures: int) -> float:
    """Return the longest of many delays after so many requests have ended."""
    chosen = policy()
    chosen.budget.note(successes, failures)
    chosen.budget._tokens = 10**9
    seen = [chosen.delay(failure(row), attempts, chosen.clock(), safe=True) for _ in range(2000)]
    return max(delay for delay in seen if delay is not None)


@pytest.mark.parametrize(("attempts", "bound"), [(6, 1.6), (8, 6.4)])
def test_where_nobody_succeeds_every_try_waits_for_longer(attempts: int, bound: float) -> None:
    assert 0.9 * bound < longest(SAFE, attempts, 0, 1000) <= bound


@pytest.mark.parametrize(("attempts", "bound"), [(1, 1), (3, 4), (9, 20)])
def test_where_nobody_succeeds_a_throttled_request_waits_for_long(attempts: int, bound: float) -> None:
    assert 0.7 * bound < longest(BUSY, attempts, 0, 1000) <= bound


@pytest.mark.parametrize("attempts", [1, 4])
def test_the_wait_of_a_throttled_request_grows_with_the_share_that_fails(attempts: int) -> None:
    bounds = [longest(BUSY, attempts, 100 - share, share) for share in (5, 60, 80, 95)]
    assert bounds == sorted(bounds)
    assert bounds[0] <= 0.05 * 2 ** (attempts - 1) < bounds[1] < bounds[3] / 3


def test_a_lone_request_that_is_throttled_at_first_is_tried_again_soon() -> None:
    assert longest(BUSY, 1, 0, 1) <= 0.05


def test_where_most_requests_fail_by_chance_no_try_waits_as_if_a_part_were_down() -> None:
    assert longest(SAFE, 10, 40, 60) < 2
    assert longest(SAFE, 10, 90, 10) > 18


def test_backoff_follows_the_options() -> None:
    chosen = policy(init_backoff=2, base=3, max_backoff=10)
    assert 1.8 < max(delays(chosen, SAFE, 1)) <= 2
    assert 0.14 < max(delays(policy(base=3), SAFE, 2)) <= 0.15
    assert 9 < max(delays(chosen, SAFE, 9)) <= 10


# --- what the server asks for


@pytest.mark.parametrize(("asked", "least", "most"), [(2, 2, 2.2), (0, 0, 0.05), (100, 100, 110)])
def test_a_wait_that_the_server_asks_for_is_kept_within_bounds(asked: float, least: float, most: float) -> None:
    seen = delays(policy(), SAFE, 1, wait=asked)
    assert least <= min(seen)
    assert max(seen) <= most
    assert len(set(seen)) > 1000


def test_a_wait_that_is_longer_than_the_deadline_ends_a_request_at_once_and_its_error_says_so() -> None:
    head = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 3600\r\n\r\n"
    with answering(ends(head)) as raw, pytest.raises(errors.GenericError) as caught:
        HTTPStore(raw.origin, client_options={"allow_http": True}).get("a")
    assert caught.value.attempts == 1
    assert "It asks to wait 3600 s; retry_config allows 180 s in all (retry_timeout)." in str(caught.value)


def reply_failure(*lines: str, status: str = "503 Busy", codes: dict[str, Row] | None = None) -> Failure:
    """Return what a real reply with these header lines is understood as."""
    head = "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *lines, "", ""]).encode("latin-1")
    with answering(ends(head)) as raw:
        failed = run(settle(batch(raw.origin, ["/a"])))
    return understand(failed[0], codes or {}, None, "")


@pytest.mark.parametrize(
    ("line", "wait"),
    [
        ("Retry-After: 3", 3.0),
        ("Retry-After:7", 7.0),
        ("x-amz-retry-after: 1500", 1.5),
        ("Retry-After: soon", None),
        ("Retry-After: -1", None),
        ("Retry-After: 1.5", None),
        ("Retry-After: \xb2", None),
        ("X-Other: 1", None),
        ("Retry-After: Wed, 01 Jan 2020 00:00:00 GMT", 0.0),
        ("Retry-After: Wed, 99 Jan 2020 00:00:00 GMT", None),
        (f"Retry-After: {'9' * 5000}", float("inf")),
        (f"x-amz-retry-after: {'9' * 5000}", float("inf")),
        (f"x-amz-retry-after: {'9' * 400}", float("inf")),
    ],
)
def test_retry_after_is_read_in_every_form(line: str, wait: float | None) -> None:
    assert reply_failure(line).wait == wait


def test_retry_after_may_be_a_date() -> None:
    wait = reply_failure(f"Retry-After: {http_date(datetime.now(UTC) + timedelta(seconds=30))}").wait
    assert wait is not None
    assert 25 < wait <= 30


def test_the_servers_time_is_read() -> None:
    assert reply_failure("Date: Wed, 01 Jan 2020 00:00:00 GMT").server_time == datetime(2020, 1, 1, tzinfo=UTC)
    assert reply_failure("Date: yesterday").server_time is None


def test_a_code_of_the_service_counts_more_than_the_status() -> None:
    head = b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"
    with answering(ends(head)) as raw:
        reply = run(settle(batch(raw.origin, ["/a"])))[0]
    assert understand(reply, {"Slow": BUSY}, "Slow", "words") == Failure(BUSY, "Slow", "words")
    assert understand(reply, {"Slow": BUSY}, "Other", "").row is STATUS_ROWS[400]


@pytest.mark.parametrize(
    ("call", "words"),
    [("head", "the server asks for fewer requests"), ("get", "the server is unavailable")],
)
def test_a_head_of_s3_that_is_told_nothing_may_have_been_throttled(call: str, words: str) -> None:
    with answering(ends(SLOW)) as raw, pytest.raises(errors.GenericError, match=words):
        getattr(bucket_at(raw.origin, max_retries=0), call)("a")


SLOW = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"


def bucket_at(origin: str, max_retries: int) -> S3Store:
    return S3Store(
        "bucket",
        endpoint=origin,
        access_key_id="k",
        secret_access_key="s",
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": max_retries},
    )


def test_while_most_heads_are_answered_one_that_is_told_nothing_has_failed_by_chance() -> None:
    here = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nLast-Modified: Wed, 01 Jan 2020 00:00:00 GMT\r\n\r\n")
    with answering(lambda connection: (here if len(raw.heads) % 20 else sends(SLOW))(connection)) as raw:
        store = bucket_at(raw.origin, max_retries=9)
        assert len(store.head_many([f"{index}" for index in range(200)], max_concurrency=8)) == 200
        assert store.stats()["retries"] >= 10
        assert origin_info(raw.origin)["reads"] >= 64


@pytest.mark.parametrize(
    ("status", "again", "throttled"),
    [
        ("200 OK", "once", False),
        ("302 Found", "never", False),
        ("404 Missing", "never", False),
        ("408 Late", "always", False),
        ("418 Teapot", "never", False),
        ("429 Busy", "always", True),
        ("500 Oops", "safe", False),
        ("502 Gate", "safe", False),
        ("503 Down", "always", False),
        ("504 Gate", "safe", False),
        ("599 Strange", "safe", False),
    ],
)
def test_a_status_says_whether_to_try_again(status: str, again: str, throttled: bool) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/9\r\n\r\nwhole".encode()
    with answering(ends(head)) as raw:
        made = new_batch(raw.origin, "GET", SETTINGS)
        made.add(b"/a", 7, 9)
        made.seal()
        reply = run(settle(made))[0]
    row = understand(reply, {}, None, "").row
    assert (row.again, row.throttled) == (again, throttled)


def test_a_broken_connection_is_understood_by_its_curl_code() -> None:
    with answering(ends(b"")) as raw:
        reply = run(settle(batch(raw.origin, ["/a"])))[0]
    assert understand(reply, {}, None, "").row is CURL_ROWS[52]
    refused = run(settle(batch(raw.origin, ["/a"])))[0]
    assert understand(refused, {}, None, "").row is CURL_ROWS[7]
    assert raw.origin.removeprefix("http://127.0.0.1:") in understand(refused, {}, None, "").message


def test_a_connection_that_is_not_made_in_time_is_one_too_many() -> None:
    settings = ClientSettings(user_agent="tests", connect_timeout=0.3, first_byte_timeout=0.6)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        origin = f"http://127.0.0.1:{address[1]}"
        with socket.create_connection(address):  # nobody accepts it, and no more than one can wait for that
            unsent = run(settle(batch(origin, ["/a"], settings=settings)))[0]
        listener.accept()[0].close()
        unanswered = run(settle(batch(origin, ["/a"], settings=settings)))[0]
    assert (unsent.curl_code, unsent.sent, understand(unsent, {}, None, "").row) == (28, False, UNCONNECTED)
    assert (unanswered.curl_code, unanswered.sent) == (28, True)
    assert understand(unanswered, {}, None, "").row is CURL_ROWS[28]


@at_best
def test_a_server_that_takes_few_connections_gets_fewer_requests_at_once() -> None:
    options = {"allow_http": True, "connect_timeout": 0.5}
    with crowded(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1", seconds=0.05) as raw:
        store = HTTPStore(raw.origin, client_options=options, retry_config={"max_retries": 5})
        assert store.get_many([f"{index}" for index in range(40)], max_concurrency=40) == [b"1"] * 40


# --- whether to try again at all


@pytest.mark.parametrize(
    ("row", "safe", "tries"),
    [(NEVER, True, 1), (SAFE, True, 11), (SAFE, False, 1), (ALWAYS, True, 11), (ALWAYS, False, 11), (ONCE, True, 2)],
)
def test_how_often_a_request_is_tried(row: Row, safe: bool, tries: int) -> None:
    chosen = policy()
    chosen.budget.note(1000, 0)
    attempts = 1
    while chosen.delay(failure(row), attempts, chosen.clock(), safe=safe) is not None:
        attempts += 1
    assert attempts == tries


def test_no_retries_if_none_are_allowed() -> None:
    assert policy(max_retries=0).delay(failure(ALWAYS), 1, 1000, safe=True) is None


def test_an_unsafe_request_is_not_repeated_even_once() -> None:
    assert policy().delay(failure(ONCE), 1, 1000, safe=False) is None


def test_the_deadline_counts_from_the_last_progress() -> None:
    clock = Clock()
    chosen = policy(clock, retry_timeout=180, init_backoff=1, max_backoff=1)
    chosen.budget.note(1000, 0)
    assert chosen.delay(failure(SAFE), 1, clock.now - 178, safe=True) is not None
    assert chosen.delay(failure(SAFE), 1, clock.now - 180.5, safe=True) is None
    assert chosen.delay(failure(SAFE, wait=0.9), 1, clock.now - 179.5, safe=True) is None
    assert chosen.delay(failure(SAFE), 9, clock.now, safe=True) is not None


# --- where nobody may be at all


def tried(row: Row, *, answered: bool, **options: float) -> tuple[int, float]:
    """Return how often a request is tried that fails at once whenever it is sent, and for how many seconds."""
    clock = Clock()
    chosen = policy(clock, **options)
    begun, attempts = clock.now, 1
    chosen.budget.note(0, 1)
    while (wait := chosen.delay(failure(row), attempts, begun, safe=True, answered=answered)) is not None:
        clock.now += wait
        attempts += 1
        chosen.budget.note(0, 1)
    return attempts, clock.now - begun


@pytest.mark.parametrize("code", [5, 6, 7, 35, 52, 56])
def test_a_server_that_never_answered_is_looked_for_no_longer_than_three_seconds(code: int) -> None:
    all_tried = [tried(CURL_ROWS[code], answered=False) for _ in range(100)]
    assert all(attempts > 3 and seconds <= 3.001 for attempts, seconds in all_tried)
    assert sum(seconds > 2.9 for _, seconds in all_tried) > 90  # the last try is at the very end
    assert sum(tried(CURL_ROWS[code], answered=True)[1] > 3 for _ in range(100)) > 90
    assert tried(CURL_ROWS[code], answered=False, retry_timeout=1)[1] <= 1
    assert tried(CURL_ROWS[code], answered=False, max_retries=0) == (1, 0)


def test_what_else_fails_is_tried_as_long_where_nobody_has_answered() -> None:
    assert sum(tried(CURL_ROWS[28], answered=False)[1] > 3 for _ in range(100)) > 90


def test_where_nobody_ever_answers_nor_refuses_ten_seconds_are_enough() -> None:
    assert all(tried(UNCONNECTED, answered=False)[1] <= 10.001 for _ in range(100))
    assert sum(tried(UNCONNECTED, answered=True)[1] > 10 for _ in range(100)) > 90


def test_tls_to_a_plain_port_ends_at_once_and_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        refusing = threading.Thread(target=refuse)
        refusing.start()
        store = HTTPStore(f"https://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(errors.ConnectionFailedError, match="does not speak TLS") as caught:
            store.get("a")
        refusing.join()
    assert caught.value.attempts == 1
    assert "http://" in str(caught.value)


def test_plain_http_to_a_port_for_tls_ends_soon_and_says_so() -> None:
    with answering(ends(b""), tls=certificate()) as raw, pytest.raises(errors.ConnectionFailedError) as caught:
        HTTPStore(
            raw.origin.replace("https", "http"),
            client_options={"allow_http": True},
            retry_config={"backoff": {"max_backoff": timedelta(seconds=0.01)}},
        ).get("a")
    assert "https://" in str(caught.value)


def test_a_certificate_that_nobody_vouches_for_ends_at_once() -> None:
    with answering(ends(b""), tls=certificate()) as raw, pytest.raises(errors.ConnectionFailedError) as caught:
        HTTPStore(raw.origin).get("a")
    assert caught.value.attempts == 1


@at_best
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_client_certificate_says_so_soon(version: ssl.TLSVersion) -> None:
    context = certificate()
    context.maximum_version, context.verify_mode = version, ssl.CERT_REQUIRED
    options = {"allow_invalid_certificates": True}
    with answering(ends(b""), tls=context) as raw, pytest.raises(errors.ConnectionFailedError) as caught:
        HTTPStore(raw.origin, client_options=options).put("a", b"1")
    assert caught.value.attempts == 1
    assert "client certificate" in str(caught.value)


@pytest.mark.parametrize(
    ("hosts", "days", "hint"),
    [(["localhost"], -1, "The server needs a new one"), (["other.test"], 1, "It is another host's")],
)
def test_what_is_wrong_with_a_certificate_is_told(hosts: list[str], days: int, hint: str, tmp_path: Path) -> None:
    file = write_certificate(hosts, tmp_path, days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    options = {"root_certificate": file.read_bytes()}
    with answering(ends(b""), tls=context) as raw, pytest.raises(errors.ConnectionFailedError) as caught:
        HTTPStore(raw.origin.replace("127.0.0.1", "localhost"), client_options=options).get("a")
    assert caught.value.attempts == 1
    assert hint in str(caught.value)


def test_a_server_that_has_answered_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CURL_ROWS, 7, CURL_ROWS[7]._replace(patience=0))
    ok = ends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
    with answering(ok) as raw:
        store = HTTPStore(raw.origin, client_options={"allow_http": True})
        port = int(raw.origin.rpartition(":")[2])
        refused = HTTPStore(f"http://127.0.0.2:{port}", client_options={"allow_http": True})
        with pytest.raises(errors.ConnectionFailedError) as caught:
            refused.get("a")
        assert caught.value.attempts == 1
        assert store.get("a").bytes() == b"1"
    with pytest.raises(errors.ConnectionFailedError) as caught:
        HTTPStore(raw.origin, client_options={"allow_http": True}, retry_config={"max_retries": 3}).get("a")
    assert caught.value.attempts == 4


# --- the budget


@dataclass
class Load:
    """Requests that a policy retries against a service that answers as `succeeds` says, in simulated time."""

    succeeds: Callable[[float], bool]
    clock: Clock = field(default_factory=Clock)
    sent: int = 0
    lost: int = 0
    events: list[tuple[float, int, int, float]] = field(default_factory=list)
    parked: list[tuple[float, int, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy = policy(self.clock)

    def run(self, count: int, every: float, row: Row = BUSY, reply_seconds: float = 0.02) -> None:
        """Send `count` requests, a new one `every` so many seconds, until each has succeeded or is given up."""
        begun = self.clock.now
        self.events = [(begun + index * every, index, 1, 0.0) for index in range(count)]
        while self.events or self.parked:
            queue = min((queue for queue in (self.events, self.parked) if queue), key=lambda queue: queue[0])
            at, index, attempts, since = heapq.heappop(queue)
            self.clock.now = max(self.clock.now, at)
            if queue is self.parked:
                self.fail(failure(row), index, attempts - 1, since)  # its time is up
                continue
            self.clock.now += reply_seconds
            self.sent += 1
            if self.succeeds(self.clock.now):
                self.policy.budget.note(1, 0)
                self.unpark(2)
            else:
                self.policy.budget.note(0, 1)
                self.fail(failure(row), index, attempts, since or self.clock.now)

    def fail(self, failure: Failure, index: int, attempts: int, since: float) -> None:
        """Have a request that has failed sent again, or wait for the success of others, or lose it."""
        wait = self.policy.delay(failure, attempts, since, safe=True)
        queue = self.events if wait is not None else self.parked
        if wait is None:
            wait = self.policy.patience(failure, attempts, since, safe=True)
        if wait is None:
            self.lost += 1
            self.hand_on()
        else:
            heapq.heappush(queue, (self.clock.now + wait, index, attempts + 1, since))

    def hand_on(self) -> None:
        """Have the one sent that would wait longest, where nobody else finds out whether the service is back."""
        if self.parked and self.policy.budget.is_nobody_knocking and max(self.parked)[0] > self.clock.now + 0.8:
            self.parked.sort()
            _, *request = self.parked.pop()
            heapq.heappush(self.events, (self.clock.now, *request))

    def unpark(self, most: int) -> None:
        """Have some sent that wait for a success."""
        for _ in range(min(most, len(self.parked))):
            _, *request = heapq.heappop(self.parked)
            heapq.heappush(self.events, (self.clock.now, *request))


@pytest.mark.parametrize("row", [BUSY, SAFE])
def test_an_outage_is_met_with_at_most_twice_the_requests(row: Row) -> None:
    load = Load(lambda now: False)
    load.run(200, 0.001, row)
    assert load.lost == 200
    assert load.sent <= 400


@pytest.mark.parametrize("code", [5, 6, 7])
def test_many_wait_for_a_server_that_is_not_there_as_one_does(code: int) -> None:
    load = Load(lambda now: now > 1015)
    load.run(1000, 0.001, CURL_ROWS[code])
    assert load.lost == 0


def test_a_good_time_long_ago_does_not_pay_for_an_outage() -> None:
    load = Load(lambda now: now < 1201)
    load.run(10_000, 0.02)
    assert (load.sent, load.lost) == (10_000, 0)
    load.clock.now = 1261.0
    load.run(200, 0.001)
    assert load.sent - 10_000 <= 400


@pytest.mark.parametrize(("share", "lost"), [(0.6, 20), (0.1, 0)])
def test_a_flaky_service_is_worth_the_insistence(share: float, lost: int) -> None:
    chance = random.Random(7)
    load = Load(lambda now: chance.random() >= share)
    load.run(3000, 0.005, SAFE)
    assert load.lost <= lost
    assert load.sent <= 1.1 * 3000 / (1 - share)


def test_a_service_that_came_back_is_trusted_soon() -> None:
    load = Load(lambda now: now > 1030)
    load.run(200, 0.001)
    load.clock.now = max(load.clock.now, 1031.0)
    load.lost = load.sent = 0
    load.run(500, 0.004)
    assert (load.lost, load.sent) == (0, 500)
    chance = random.Random(7)
    load.succeeds = lambda now: chance.random() >= 0.3
    load.run(500, 0.004, SAFE)
    assert load.lost == 0


def test_the_budget_is_paid_by_kind_and_refilled_by_success() -> None:
    clock = Clock()
    budget = Budget(clock)
    budget.note(0, 1000)
    paid = 0
    while budget.spend(throttled=False):
        paid += 1
    assert paid == 500 // 14
    budget.note(3, 0)
    throttled = 0
    while budget.spend(throttled=True):
        throttled += 1
    assert throttled == (500 % 14 + 3) // 5
    clock.now += 100
    budget.note(1, 0)
    assert budget.spend(throttled=False)


# --- how often


def stormy(share: float, **options: float) -> Policy:
    """Return the policy of a store where so many requests of a hundred fail."""
    chosen = Policy(RetryOptions.from_config(options), clock=Clock())  # type: ignore[arg-type]
    for _ in range(20):
        chosen.budget.note(100 - round(100 * share), round(100 * share))
    return chosen


def tries(chosen: Policy, row: Row = SAFE) -> int:
    """Return how many there are for a request that always fails."""
    return next(n for n in range(1, 10_000) if chosen.delay(failure(row), n, chosen.clock(), safe=True) is None)


@pytest.mark.parametrize("share", [0.4, 0.6, 0.75])
def test_what_fails_by_chance_is_tried_until_that_is_no_more_to_be_believed(share: float) -> None:
    assert 1e-11 < share ** tries(stormy(share)) < 1e-7


@pytest.mark.parametrize("share", [0.0, 0.1, 0.95, 1.0])
def test_where_others_succeed_or_all_fail_there_are_eleven_tries(share: float) -> None:
    chosen = stormy(share)
    chosen.budget.spend = lambda throttled: True  # type: ignore[method-assign]
    assert tries(chosen) == 11


def test_a_few_failures_in_a_row_may_be_chance_too_for_a_moment() -> None:
    chosen, clock = stormy(0.6), Clock()
    chosen.clock = chosen.budget._clock = clock
    chosen.budget.note(0, 300)
    assert not chosen.budget.well
    assert chosen.delay(failure(SAFE), 12, clock(), safe=True) is not None
    clock.now += 1.5
    assert chosen.delay(failure(SAFE), 12, clock(), safe=True) is None


def test_as_many_retries_as_are_given_are_not_exceeded_by_chance() -> None:
    assert tries(stormy(0.6, max_retries=3)) == 4
    assert tries(stormy(0.6, max_retries=0)) == 1


def test_what_is_tried_once_more_is_not_where_nothing_is_to_be() -> None:
    once = Row(errors.GenericError, "planted", "once")
    assert tries(stormy(0.6), once) == 2
    assert tries(stormy(0.6, max_retries=0), once) == 1


def test_a_silence_in_which_nobody_asked_is_forgotten() -> None:
    clock = Clock()
    chosen = policy(clock)
    chosen.note_silence()
    clock.now += 300
    chosen.note_silence()
    assert chosen.silent_since == clock.now
    clock.now += 30
    chosen.note_silence()
    assert chosen.silent_since == clock.now - 30


def test_who_was_to_knock_and_is_not_heard_of_is_stood_in_for() -> None:
    clock = Clock()
    budget = Budget(clock)
    assert budget.knock() is not None
    clock.now += Budget.KNOCK_SECONDS + 1
    assert not budget.stand_in()
    clock.now += Budget.MISSED_SECONDS
    assert budget.stand_in()
    assert not budget.stand_in()


@pytest.mark.parametrize("bad", [1, 3])
def test_what_the_server_has_failed_on_goes_on_another_connection(bad: int) -> None:
    """Behind a connection there may be a server that is down, and others behind others."""
    down, up = (b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def answer(connection: socket.socket) -> None:
        connection.sendall(down if connection in raw.connections[:bad] else up)

    with answering(answer) as raw:
        retries = {"max_retries": 10, "backoff": {"max_backoff": 0.01}}
        store = HTTPStore(raw.origin, client_options={"allow_http": True}, retry_config=retries)
        assert store.get("a").bytes() == b"ok"
        assert len(raw.connections) == bad + 1
