"""A server that takes so many requests a second is sent so many: the arithmetic of it, simulated as in `test_pace`."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from objstore._core import _Pace
from tests.test_pace import MS, SECOND, Client, Server, play

LIMITS = {
    "50": (50, 10, 500),
    "500, burst 50": (500, 50, 2500),
    "500, burst 100": (500, 100, 2500),
    "3,500": (3500, 350, 10_500),
}


@pytest.mark.parametrize("away", [MS // 5, 2 * MS, 20 * MS], ids=["0.2 ms", "2 ms", "20 ms"])
@pytest.mark.parametrize("limit", LIMITS)
def test_a_limited_server_is_sent_little_more_than_it_takes(limit: str, away: int) -> None:
    most, burst, requests = LIMITS[limit]
    client = Client(Server(away, most_a_second=most, burst=burst), requests, careful=True)
    took = play(client)
    assert took <= 1.3 * (requests - burst) / most * SECOND
    assert client.refused <= 0.3 * requests


@dataclass
class Changing(Server):
    """A server whose limit changes: how much it takes a second from when on, 0 for any number."""

    limits: dict[int, int] = field(default_factory=dict)

    def answer(self, now: float, size: int) -> tuple[float, bool]:
        self.most_a_second = next(limit for since, limit in reversed(self.limits.items()) if now >= since)
        self.burst = 0.1 * self.most_a_second
        return super().answer(now, size)


def test_a_limit_that_is_lowered_and_raised_is_followed() -> None:
    limits = {0: 3500, 3 * SECOND: 500, 8 * SECOND: 3500}
    client = Client(Changing(2 * MS, limits=limits), 1 << 30, careful=True)
    play(client, until=16 * SECOND)
    assert _answered(client, 5, 8) >= 3 * 500 / 1.3
    assert _answered(client, 13, 16) >= 3 * 3500 / 1.3
    assert client.refused <= 0.1 * len(client.replies)


def test_a_limit_that_is_gone_is_forgotten() -> None:
    client = Client(Changing(2 * MS, limits={0: 500, 3 * SECOND: 0}), 1 << 30)
    play(client, until=14 * SECOND)
    assert client.pace.rate(14 * SECOND) is None
    assert _answered(client, 13, 14) > 20_000


def _answered(client: Client, since: int, until: int) -> int:
    """Return how many replies came between two seconds."""
    return sum(since * SECOND <= now < until * SECOND for now in client.replies)


@pytest.mark.parametrize("uneven", [False, True], ids=["even", "uneven"])
@pytest.mark.parametrize("at_once", [2, 4, 20])
def test_where_so_many_are_answered_at_a_time_little_more_are_sent(at_once: int, uneven: bool) -> None:
    server = Server(MS, a_request=20 * MS, workers=4096, at_once=at_once, uneven=uneven)
    client = Client(server, 250 * at_once)
    took = play(client)
    assert took <= 1.3 * 5 * 21 / 20 * SECOND
    assert client.refused <= 0.3 * 250 * at_once


def test_where_one_is_answered_at_a_time_one_is_sent_at_a_time() -> None:
    client = Client(Server(MS, a_request=20 * MS, workers=4096, at_once=1, uneven=True), 250)
    assert play(client) <= 1.3 * 5 * 21 / 20 * SECOND
    assert client.refused <= 150  # of the first that are sent at once, 63


def test_a_limit_of_writes_is_none_of_reads() -> None:
    pace = _Pace()
    for turn in range(8):
        now = turn * SECOND
        for _ in range(64):
            pace.enter(now, writes=True)
        for _ in range(64):
            pace.leave(now, now + MS, writes=True, throttled=True)
    assert pace.rate(8 * SECOND, writes=True) is not None
    assert (pace.rate(8 * SECOND), pace.window()) == (None, 64)
    assert all(pace.admits(now=8 * SECOND) for _ in range(64))
