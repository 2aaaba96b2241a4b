"""Credentials: the shape a provider must return, and the cache that decides when it is asked."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore.credentials.aws import Credential
from objstore.credentials.cache import JITTER, CredentialCache
from objstore.exceptions import ConfigurationError, UnauthenticatedError
from objstore.store import S3Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
GOOD: dict[str, object] = {"access_key_id": "AKIA", "secret_access_key": "planted/+=", "expires_at": None}


def cache(threshold: timedelta = 5 * MINUTE) -> CredentialCache[Credential]:
    return CredentialCache(threshold)


def key(name: str = "A", *, life: timedelta | None = HOUR) -> Credential:
    return Credential(name, "secret", None, None if life is None else NOW + life)


def filled(life: timedelta | None, threshold: timedelta = 5 * MINUTE) -> CredentialCache[Credential]:
    filled = cache(threshold)
    assert filled.decide(NOW).refresh
    filled.store(key(life=life), NOW)
    return filled


def test_a_complete_answer_is_taken_over() -> None:
    answer = {**GOOD, "token": "T", "expires_at": NOW, "more": "ignored"}
    assert Credential.from_mapping(answer) == Credential("AKIA", "planted/+=", "T", NOW)
    assert Credential.from_mapping(GOOD).token is None
    assert Credential.from_mapping({**GOOD, "token": None}).token is None
    assert Credential.from_mapping({**GOOD, "token": ""}).token is None


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_key_is_named(name: str) -> None:
    answer = {other: value for other, value in GOOD.items() if other != name}
    with pytest.raises(UnauthenticatedError, match=f"returned no {name}. Return a dict of") as caught:
        Credential.from_mapping(answer)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"access_key_id": None}, "access_key_id as a NoneType"),
        ({"secret_access_key": b"planted"}, "secret_access_key as a bytes"),
        ({"secret_access_key": "planted\n"}, "secret_access_key empty, or with characters"),
        ({"secret_access_key": "planted secret"}, "secret_access_key empty, or with characters"),
        ({"access_key_id": ""}, "access_key_id empty"),
        ({"access_key_id": "é"}, "access_key_id empty, or with"),
        ({"token": 5}, "token as a int"),
        ({"token": "planted\r\nX: y"}, "token empty, or with"),
        ({"expires_at": datetime(2026, 11, 22)}, "not a datetime with a time zone"),
        ({"expires_at": "2026-11-22T12:00:00Z"}, "not a datetime with a time zone"),
    ],
)
def test_a_bad_value_is_named_and_no_secret_is(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UnauthenticatedError, match=message) as caught:
        Credential.from_mapping({**GOOD, **changes})
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("answer", [None, ("AKIA", "secret"), "AKIA"])
def test_an_answer_that_is_no_dict_is_refused(answer: object) -> None:
    with pytest.raises(UnauthenticatedError, match=f"returned a {type(answer).__name__}, not a dict"):
        Credential.from_mapping(answer)


def test_the_repr_shows_no_secret() -> None:
    shown = repr(Credential("AKIA", "planted", "planted", NOW))
    assert "planted" not in shown
    assert "AKIA" in shown
    assert repr(Credential("AKIA", "planted")).endswith("token=None, expires_at=None)")


def test_the_first_caller_refreshes_and_the_others_wait_for_it() -> None:
    empty = cache()
    first, second = empty.decide(NOW), empty.decide(NOW)
    assert (first.credential, first.refresh) == (None, True)
    assert (second.credential, second.refresh) == (None, False)
    assert second.flight is not None
    assert not second.flight.done()
    empty.store(key("A"), NOW)
    assert second.flight.result(0) == key("A")
    later = empty.decide(NOW + MINUTE)
    assert (later.credential, later.refresh, later.flight) == (key("A"), False, None)


@pytest.mark.parametrize(
    ("life", "threshold", "due"),
    [
        (HOUR, 5 * MINUTE, 55 * MINUTE),
        (HOUR, 50 * MINUTE, 48 * MINUTE),
        (5 * MINUTE, 5 * MINUTE, 4 * MINUTE),
        (HOUR, timedelta(0), HOUR),
    ],
)
def test_a_credential_is_replaced_before_it_ends(life: timedelta, threshold: timedelta, due: timedelta) -> None:
    kept = filled(life, threshold)
    assert not kept.needs_refresh(NOW + due - JITTER * (life - due) - SECOND)
    assert kept.needs_refresh(NOW + due)


def test_a_job_of_60_seconds_over_credentials_of_20_asks_4_times() -> None:
    kept, fetches = cache(), 0
    for tenth in range(600):
        now = NOW + tenth * SECOND / 10
        decision = kept.decide(now)
        assert tenth == 0 or decision.credential is not None, "somebody waits"
        if decision.refresh:
            fetches += 1
            kept.store(Credential(f"A{tenth}", "secret", None, now + 20 * SECOND), now)
    assert fetches <= 4


def test_a_credential_tells_for_how_long_it_need_not_be_looked_at() -> None:
    assert cache().lasts(NOW) == filled(None).lasts(NOW) == math.inf
    assert filled(HOUR, timedelta(0)).lasts(NOW) == 3600
    assert filled(20 * SECOND).lasts(NOW + 18 * SECOND) == pytest.approx(0.2)
    assert filled(HOUR).lasts(NOW + 58 * MINUTE) == 10
    assert filled(HOUR).lasts(NOW + 2 * HOUR) == 0.05


def test_credentials_of_many_processes_are_not_replaced_at_once() -> None:
    many = [filled(HOUR) for _ in range(64)]
    due = [one.needs_refresh(NOW + 55 * MINUTE - JITTER * 5 * MINUTE / 2) for one in many]
    assert 0 < sum(due) < len(many)


def test_shortly_before_its_end_a_credential_is_waited_for() -> None:
    kept = filled(HOUR)
    first, second = kept.decide(NOW + HOUR - 30 * SECOND), kept.decide(NOW + HOUR - 30 * SECOND)
    assert (first.credential, first.refresh) == (None, True)
    assert second.credential is None
    assert second.flight is not None
    assert kept.fail(OSError("down"), NOW + HOUR - 30 * SECOND) == key()
    assert second.flight.result(0) == key()


def test_a_credential_without_end_is_kept() -> None:
    assert not filled(None).needs_refresh(NOW + 10_000 * HOUR)


def test_while_one_refreshes_early_the_others_use_what_there_is() -> None:
    kept = filled(HOUR)
    owner, other = kept.decide(NOW + 56 * MINUTE), kept.decide(NOW + 56 * MINUTE)
    assert owner.refresh
    assert not other.refresh
    assert owner.credential == other.credential == key()


def test_an_ended_credential_is_not_used() -> None:
    late = filled(HOUR).decide(NOW + HOUR)
    assert late.refresh
    assert late.credential is None


def test_a_failed_refresh_keeps_a_credential_that_is_still_good() -> None:
    kept = filled(HOUR)
    now = NOW + 56 * MINUTE
    assert kept.decide(now).refresh
    assert kept.fail(OSError("down"), now) == key()
    assert not kept.needs_refresh(now + 9 * SECOND)
    assert kept.needs_refresh(now + 10 * SECOND)


def test_near_the_end_a_failed_refresh_is_tried_again_sooner() -> None:
    kept = filled(HOUR)
    now = NOW + HOUR - 6 * SECOND
    assert kept.decide(now).refresh
    kept.fail(OSError("down"), now)
    assert not kept.needs_refresh(now + 2 * SECOND)
    assert kept.needs_refresh(now + 3 * SECOND)
    assert kept.decide(now + 5 * SECOND).refresh
    kept.fail(OSError("down"), now + 5 * SECOND)
    assert not kept.needs_refresh(now + 5.9 * SECOND)


def test_those_who_wait_for_a_failed_refresh_get_its_error() -> None:
    empty = cache()
    assert empty.decide(NOW).refresh
    flight = empty.decide(NOW).flight
    assert flight is not None
    assert empty.fail(UnauthenticatedError("no role"), NOW) is None
    with pytest.raises(UnauthenticatedError, match="no role"):
        flight.result(0)


def test_a_source_that_fails_is_asked_again_after_a_rest_that_grows() -> None:
    empty, now = cache(), NOW
    for rest in (1, 2, 4, 4):
        assert empty.decide(now).refresh
        empty.fail(UnauthenticatedError("no role"), now)
        soon = empty.decide(now + timedelta(seconds=rest - 0.1))
        assert (soon.credential, soon.refresh) == (None, False)
        assert soon.flight is not None
        with pytest.raises(UnauthenticatedError, match="no role"):
            soon.flight.result(0)
        now += timedelta(seconds=rest)
    assert empty.decide(now).refresh
    empty.store(key(), now)
    assert empty.decide(now).credential == key()


def test_one_who_was_stopped_is_no_failure_to_remember() -> None:
    empty = cache()
    assert empty.decide(NOW).refresh
    empty.fail(KeyboardInterrupt(), NOW)
    assert empty.decide(NOW).refresh


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
def test_those_who_wait_for_one_who_was_stopped_decide_again(stopped: BaseException) -> None:
    empty = cache()
    assert empty.decide(NOW).refresh
    flight = empty.decide(NOW).flight
    assert flight is not None
    empty.fail(stopped, NOW)
    assert flight.result(0) is None
    assert empty.decide(NOW).refresh


def test_a_credential_that_has_ended_by_our_clock_is_tried_for_ten_seconds() -> None:
    with pytest.warns(UserWarning, match="The credential ended 0:01:00 ago"):
        kept = filled(-MINUTE)
    assert kept.current(NOW + 4 * SECOND) is not None
    assert kept.current(NOW + 10 * SECOND) is None


def test_a_refused_credential_is_dropped_once_in_ten_seconds() -> None:
    kept = filled(None)
    assert kept.invalidate(key(life=None), NOW)
    assert kept.current(NOW) is None
    kept.store(key(life=None), NOW)
    assert not kept.invalidate(key(life=None), NOW + 9 * SECOND)
    assert kept.current(NOW) == key(life=None)
    assert kept.invalidate(key(life=None), NOW + 10 * SECOND)


def test_what_was_signed_before_a_credential_was_dropped_is_worth_another_try() -> None:
    kept = filled(None)
    assert kept.invalidate(key(life=None), NOW)
    kept.store(key("B"), NOW)
    assert kept.invalidate(key("B"), NOW + 9 * SECOND)
    assert kept.current(NOW) == key("B")


def test_a_refusal_soon_after_a_replacement_is_of_what_was_signed_before() -> None:
    kept = filled(20 * SECOND)
    kept.store(key("B"), NOW + 16 * SECOND)
    assert kept.invalidate(key("B"), NOW + 20 * SECOND)
    assert kept.current(NOW + 20 * SECOND) == key("B")
    assert kept.invalidate(key("B"), NOW + 26 * SECOND)
    assert kept.current(NOW + 26 * SECOND) is None


def test_a_refused_credential_that_was_replaced_meanwhile_is_worth_another_try() -> None:
    kept = filled(None)
    kept.store(key("B"), NOW)
    assert kept.invalidate(key(life=None), NOW)
    assert kept.current(NOW) == key("B")


def obtain(shared: CredentialCache[Credential], ask: Callable[[], Credential]) -> Credential:
    """Do what the decisions say, as a plan does."""
    while True:
        decision = shared.decide(NOW)
        if decision.refresh:
            credential = ask()
            shared.store(credential, NOW)
            return credential
        if decision.credential is not None:
            return decision.credential
        assert decision.flight is not None
        got = decision.flight.result(10)
        if got is not None:
            return got


def test_many_threads_ask_the_provider_once() -> None:
    shared = cache()
    asked: Counter[str] = Counter()
    threads = 16
    start = threading.Barrier(threads)
    waiting = threading.Event()

    def ask() -> Credential:
        asked["provider"] += 1
        waiting.wait(0.2)
        return key()

    def work(number: int) -> Credential:
        start.wait(10)
        return obtain(shared, ask)

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(work, range(threads))) == [key()] * threads
    assert asked["provider"] == 1


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(["decide", "store", "fail", "stop", "invalidate", "wait"]), max_size=30))
def test_whatever_happens_one_refreshes_and_nobody_waits_for_ever(steps: list[str]) -> None:
    shared = cache()
    now = NOW
    refreshing = 0
    flights = []
    for step in steps:
        if step == "decide":
            decision = shared.decide(now)
            refreshing += decision.refresh
            flights.append(decision.flight)
            assert decision.refresh or decision.credential is not None or decision.flight is not None
        elif step in {"store", "fail", "stop"} and refreshing:
            refreshing -= 1
            if step == "store":
                shared.store(key(life=now - NOW + 2 * MINUTE), now)
            else:
                shared.fail(OSError() if step == "fail" else KeyboardInterrupt(), now)
            assert all(flight is None or flight.done() for flight in flights)
        elif step == "invalidate":
            shared.invalidate(shared.current(now) or key(), now)
        now += 30 * SECOND
        assert refreshing in {0, 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_wait_for_a_thread_it_does_not_have() -> None:
    shared = cache()
    assert shared.decide(NOW).refresh
    with shared._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(0 if shared.decide(NOW).refresh else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not shared.decide(NOW).refresh


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"session_token": "t"}, "session_token without its key"),
        ({"access_key_id": "k", "secret_access_key": "s", "credential_provider": key}, "access_key_id"),
        ({"session_token": "t", "credential_provider": key}, "session_token"),
    ],
)
def test_no_part_of_a_credential_is_passed_over(
    settings: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    with pytest.raises(ConfigurationError, match=f"S3Store was given .*{named}"):
        S3Store("bucket", region="eu-west-1", **settings)
