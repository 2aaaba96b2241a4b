"""Eight processes on one server, simulated as in `test_pace`: each gets its share, and together they keep it busy."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from random import Random

import pytest

from tests.test_pace import MS, SECOND, Client, Server, play

CLIENTS = 8
MOST_IN_FLIGHT = 2048
BEGIN = 5 * SECOND  # by a clock that all share: when they rest goes by it
LATE = 3 * SECOND

# A server, how much it answers at the most in a second, the size of a reply, and how long it is looked at.
SHARED = {
    "2 ms, small": ({"away": 2 * MS, "jitter": MS // 10, "a_request": 200_000}, 5000, 1024, 20),
    "20 ms, small": ({"away": 20 * MS, "jitter": MS, "a_request": 125_000}, 8000, 1024, 20),
    "20 ms, 200 at a time": (
        {"away": 20 * MS, "jitter": MS, "a_request": 20 * MS, "workers": 200},
        10_000,
        1024,
        20,
    ),
    "80 ms, small, losses": ({"away": 80 * MS, "jitter": 4 * MS, "a_request": 250_000, "lost": 0.001}, 4000, 1024, 20),
    "20 ms, 2 Gbit/s": ({"away": 20 * MS, "jitter": MS, "line": 4}, 3815, 64 << 10, 20),
    "80 ms, 1 Gbit/s, losses": ({"away": 80 * MS, "jitter": 4 * MS, "line": 8, "lost": 0.005}, 1907, 64 << 10, 40),
    "2 ms, 10 Gbit/s, large": ({"away": 2 * MS, "jitter": MS // 10, "line": 0.8}, 2384, 512 << 10, 20),
    "waits that differ": ({"away": 30 * MS, "jitter": 30 * MS, "a_request": 125_000}, 8000, 1024, 20),
    "100 at a time, refused beyond": (
        {"away": MS, "a_request": 20 * MS, "workers": 4096, "at_once": 100},
        5000,
        1024,
        20,
    ),
    "20 at a time, refused beyond": (
        {"away": MS, "a_request": 20 * MS, "workers": 4096, "at_once": 20},
        1000,
        1024,
        20,
    ),
    "throttling": ({"away": 20 * MS, "jitter": MS, "most_a_second": 2000}, 2000, 1024, 20),
    "throttling, near": ({"away": MS, "jitter": MS, "most_a_second": 500}, 500, 1024, 20),
}


def jain(shares: list[int]) -> float:
    """Return how equal shares are: 1 if all are, one by their number where one has all (Jain's index)."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


class Process(Client):
    """A client that knows the most it has had in flight since `watched`."""

    watched, most = 0.0, 0

    def take(self, begun: float, asked: float, now: float, refused: bool) -> None:
        if now > self.watched:
            self.most = max(self.most, self.in_flight)
        super().take(begun, asked, now, refused)


@pytest.mark.product("careful")
@pytest.mark.parametrize("careful", [False, True], ids=["known", "unknown"])
@pytest.mark.parametrize("place", SHARED)
def test_eight_processes_come_to_equal_shares_and_keep_a_server_busy(place: str, careful: bool) -> None:
    settings, most, size, seconds = SHARED[place]
    server = Server(**settings)  # type: ignore[arg-type]
    clients = [Process(server, 1 << 30, size, careful=careful) for _ in range(CLIENTS)]
    end = BEGIN + seconds * SECOND
    for client in clients:
        client.watched = end - seconds * SECOND / 2
    play(*clients, begin=BEGIN, stagger=SECOND / 10, late=LATE, until=end)
    replies = [[now for now in client.replies if now > client.watched] for client in clients]
    each_second = Counter(int((now - clients[0].watched) / SECOND) for now in chain(*replies))
    assert jain([*map(len, replies)]) >= 0.9
    assert sum(map(len, replies)) >= most * seconds / 2 / 1.3
    assert min(each_second[second] for second in range(seconds // 2)) >= most / 2
    assert sum(client.refused for client in clients) <= most * seconds / 4
    assert sum(client.most for client in clients) <= MOST_IN_FLIGHT


def _played(at_once: int, processes: int, seed: int) -> list[int]:
    """Return how many replies each process gets of a server that answers so many requests at a time."""
    server = Server(MS, a_request=20 * MS, workers=4096, at_once=at_once, random=Random(seed))
    clients = [Client(server, 1 << 30, careful=True) for _ in range(processes)]
    end = BEGIN + 20 * SECOND
    play(*clients, begin=BEGIN, stagger=SECOND / 10, until=end)
    return [sum(now > end - 10 * SECOND for now in client.replies) for client in clients]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("at_once", "least"), [(4, 0.85), (8, 0.9)])
def test_where_places_are_few_all_processes_have_some(at_once: int, least: float, seed: int) -> None:
    shares = _played(at_once, CLIENTS, seed)
    assert jain(shares) >= least
    assert sum(shares) >= sum(_played(at_once, 1, seed)) / 1.3
