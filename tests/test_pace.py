"""How much is in flight is found out: the arithmetic of it against servers that are simulated, without a network."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

import pytest

from objstore._core import _Pace

MS = 1_000_000
SECOND = 1000 * MS
CONNECTING_NS, SECURING_NS = 50_000, 430_000
"""The work of a connection, and of one with TLS."""
IN_TIME_NS = 2 * MS
"""How often a loop looks whether it has become time for a request."""


@dataclass
class Server:
    """A server, and the way to it: nanoseconds there and back, and for each byte and request of one worker.

    All share the `line`, in nanoseconds for each byte; where a reply is `lost`, it is sent again after 200 ms.
    """

    away: int
    a_request: int = 20_000
    a_byte: float = 0
    workers: int = 1
    most_a_second: int = 0
    burst: float = 0
    at_once: int = 0
    uneven: bool = False
    jitter: int = 0
    line: float = 0
    lost: float = 0
    busy: list[float] = field(init=False)
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self.busy = [0.0] * self.workers
        self.burst = self.burst or 0.1 * self.most_a_second
        self.allowed, self.asked, self.sent = self.burst, 0.0, 0.0
        self.served: list[float] = []

    def answer(self, now: float, size: int) -> tuple[float, bool]:
        """Return when the reply is there, and whether it asks for fewer requests."""
        arrived = now + self.away / 2
        if self.most_a_second:
            earned = (arrived - self.asked) * self.most_a_second / SECOND
            self.allowed, self.asked = min(self.burst, self.allowed + earned), arrived
            if self.allowed < 1:
                return arrived + self.away / 2, True
            self.allowed -= 1
        if self.at_once:
            self.served = [ends for ends in self.served if ends > arrived]
            if len(self.served) >= self.at_once:
                return arrived + self.away / 2, True
        a_request = self.a_request * (self.random.expovariate(1) if self.uneven else 1)
        done = max(arrived, self.busy[0]) + a_request + self.a_byte * size
        heapq.heapreplace(self.busy, done)
        if self.line:
            self.sent = done = max(done, self.sent) + self.line * size
        self.served.append(done)
        late = self.random.expovariate(1) * self.jitter + (SECOND / 5 if self.random.random() < self.lost else 0)
        return done + late + self.away / 2, False


class Client:
    """One process with requests to send, in flight as its pace allows or as many as `fixed`."""

    looks = 0.0  # when it looks next whether it is time for a request

    def __init__(
        self, server: Server, requests: int, size: int = 1024, *, fixed: int = 0, careful: bool = False
    ) -> None:
        self.server, self.left, self.size, self.fixed = server, requests, size, fixed
        self.pace = _Pace(1024, careful)
        self.idle = self.connections = self.in_flight = self.refused = 0
        self.replies: list[float] = []

    def may_send(self, now: float) -> bool:
        return self.left > 0 and (self.in_flight < self.fixed if self.fixed else self.pace.admits(now=int(now)))

    def send(self, now: float) -> tuple[float, float, bool]:
        """Send a request, on a new connection where none is idle: when it is sent, answered, and refused."""
        self.left -= 1
        self.in_flight += 1
        self.pace.enter(int(now))
        asked = now
        if self.idle:
            self.idle -= 1
        else:
            self.connections += 1
            asked += self.server.away
        return (asked, *self.server.answer(asked, self.size))

    def take(self, begun: float, asked: float, now: float, refused: bool) -> None:
        self.idle += 1
        self.in_flight -= 1
        self.pace.leave(int(asked), int(now), self.size, throttled=refused, begun=int(begun))
        self.refused += refused
        if not refused:
            self.replies.append(now)


def play(*clients: Client, begin: float = 0, stagger: float = 0, late: float = 0, until: float = float("inf")) -> float:
    """Run until all is answered, or the time has come, and return what time it is then. The last one comes `late`."""
    events: list[tuple[float, int, Client, tuple[float, float, bool] | None]] = []
    order = iter(range(1 << 62))
    for number, client in enumerate(clients):
        comes = begin + number * stagger + (late if number == len(clients) - 1 else 0)
        heapq.heappush(events, (comes, next(order), client, None))
    now = begin
    while events and now < until:
        now, _, client, ended = heapq.heappop(events)
        if ended is not None:
            client.take(ended[0], ended[1], now, ended[2])
            if ended[2]:
                client.left += 1
                later = now + client.server.random.uniform(0, SECOND / 2)
                heapq.heappush(events, (later, next(order), client, None))
        while client.may_send(now):
            asked, answered, refused = client.send(now)
            heapq.heappush(events, (answered, next(order), client, (now, asked, refused)))
        if client.left and now >= client.looks and client.pace.rate(int(now)):
            client.looks = now + client.server.random.uniform(1, 1.5) * IN_TIME_NS  # not all loops in step
            heapq.heappush(events, (client.looks, next(order), client, None))
    return now


def best(server: dict[str, float], requests: int, size: int) -> float:
    return min(play(Client(Server(**server), requests, size, fixed=fixed)) for fixed in (16, 64, 256, 1024))  # type: ignore[arg-type]


PLACES = {
    "20 ms, small": ({"away": 20 * MS}, 5000, 1024),
    "80 ms, small": ({"away": 80 * MS}, 5000, 1024),
    "2 ms, small": ({"away": 2 * MS}, 5000, 1024),
    "20 ms, 2 Gbit/s": ({"away": 20 * MS, "a_byte": 4}, 3000, 64 << 10),
    "20 ms, 2 Gbit/s, large": ({"away": 20 * MS, "a_byte": 4}, 300, 1 << 20),
    "80 ms, 1 Gbit/s": ({"away": 80 * MS, "a_byte": 8}, 3000, 64 << 10),
    "50 MB/s a connection": ({"away": 10 * MS, "a_request": 160 * MS, "workers": 4096}, 4000, 8 << 20),
    "jitter": ({"away": 30 * MS, "jitter": 30 * MS}, 10_000, 1024),
}


@pytest.mark.parametrize("careful", [False, True], ids=["known", "unknown"])
@pytest.mark.parametrize("place", PLACES)
def test_a_second_call_takes_little_longer_than_with_the_best_number_in_flight(place: str, careful: bool) -> None:
    server, requests, size = PLACES[place]
    client = Client(Server(**server), requests, size, careful=careful)  # type: ignore[arg-type]
    first = play(client)
    client.left = requests
    second = play(client, begin=first) - first
    assert second <= 1.3 * best(server, requests, size)
    assert first <= (2 if careful else 3) * best(server, requests, size)


def test_step_by_step_no_more_connections_are_opened_than_the_line_may_be_worth() -> None:
    server, requests, size = PLACES["80 ms, 1 Gbit/s"]
    client = Client(Server(**server), requests, size, careful=True)  # type: ignore[arg-type]
    play(client)
    assert client.connections <= 600


@pytest.mark.parametrize("careful", [False, True], ids=["known", "unknown"])
def test_near_by_where_only_a_queue_would_grow_nothing_is_opened_for_it(careful: bool) -> None:
    client = Client(Server(60_000, a_request=30_000), 20_000, careful=careful)
    play(client)
    assert client.pace.window() == 64
    assert client.connections <= 80


def test_no_more_connections_are_made_at_once_than_take_as_long_as_the_round_that_they_spare() -> None:
    assert _leaps(2 * MS) <= 2 * 64 + 2 * MS / CONNECTING_NS
    assert _leaps(20 * MS) == 4 * 64


def _leaps(took: int) -> float:
    """Return the window after the first round, whose replies all came at once."""
    pace = _Pace(careful=True)
    for _ in range(64):
        pace.enter(0)
    assert not pace.admits()
    for _ in range(64):
        pace.leave(took, 2 * took, begun=0)
    return pace.window()


def test_what_was_found_out_is_forgotten_where_only_the_queue_has_grown() -> None:
    server = Server(20 * MS)
    client = Client(server, 20_000)
    now = play(client)
    wide = client.pace.window()
    server.a_request = 400_000  # from now on it answers 2,500 a second: 50 in flight
    client.left = 60_000
    play(client, begin=now)
    assert wide > 500
    assert client.pace.window() < 200


class Halting(Server):
    """A server that stands still once."""

    def __init__(self, when: float, pause: float, **settings: int) -> None:
        super().__init__(**settings)
        self.when, self.pause = when, pause

    def answer(self, now: float, size: int) -> tuple[float, bool]:
        if now >= self.when:
            self.busy[0] = max(self.busy[0], now) + self.pause
            self.when = float("inf")
        return super().answer(now, size)


@pytest.mark.parametrize(("pause", "careful"), [(30, True), (30, False), (60, False)])
def test_once_a_server_has_stood_still_as_many_are_in_flight_as_before(pause: int, careful: bool) -> None:
    client = Client(Halting(3 * SECOND, pause * MS, away=20 * MS), 1 << 30, careful=careful)
    play(client, begin=SECOND, until=4 * SECOND)
    before = _replies(client, 2.5 * SECOND) - _replies(client, 3 * SECOND)
    after = _replies(client, 3.2 * SECOND) - _replies(client, 3.7 * SECOND)
    assert after >= 0.95 * before


def test_a_server_that_wants_less_gets_less_and_all_is_answered() -> None:
    client = Client(Server(20 * MS, most_a_second=1000), 5000)
    took = play(client)
    assert len(client.replies) == 5000
    assert took < 1.3 * 5 * SECOND
    assert client.refused < 1000


def test_those_that_were_sent_together_count_once() -> None:
    pace = _Pace()
    for _ in range(64):
        pace.enter(0)
    for _ in range(64):
        pace.leave(0, SECOND, throttled=True)
    less = pace.window()
    assert 16 < less < 32
    for _ in range(int(less)):
        pace.enter(2 * SECOND)
    pace.leave(2 * SECOND, 3 * SECOND, throttled=True)
    assert less / 4 < pace.window() < less / 2


def test_throttled_writes_do_not_slow_reads() -> None:
    pace = _Pace()
    for _ in range(64):
        pace.enter(0, writes=True)
    pace.leave(0, SECOND, writes=True, throttled=True)
    assert (pace.window(), pace.window(writes=True) < 32) == (64, True)
    assert pace.admits()
    assert not pace.admits(writes=True)


def test_both_together_stay_below_the_cap() -> None:
    pace = _Pace(16)
    for number in range(16):
        assert pace.admits(writes=number % 2 == 1)
        pace.enter(0, writes=number % 2 == 1)
    assert not pace.admits()
    assert not pace.admits(writes=True)


@dataclass
class Line:
    """The way to a server of large objects: what it carries in a nanosecond, and what one connection may."""

    away: int
    rate: float
    each: float = float("inf")


class Reader:
    """One object read in parts, each on a connection; what comes is looked at in small steps."""

    STEP = MS / 2
    FIRST_BURST = 90_000

    def __init__(self, line: Line, careful: bool = True) -> None:
        self.line = line
        self.pace = _Pace(1024, careful)
        self.pace.wait(line.away, 0)
        self.now, self.most, self.opened = 0.0, 0, 0

    def read(self, parts: int, size: int) -> float:
        """Read so many parts; return how long that takes."""
        begun, waiting = self.now, parts
        running: list[tuple[float, float, float]] = []  # when it was asked for and answers, and what is missing
        while running or waiting:
            while waiting and self.pace.admits(large=True):
                self.pace.enter(int(self.now), large=True)
                waiting -= 1
                idle = len(running) < self.opened
                running.append((self.now, self.now + (1 if idle else 2) * self.line.away, size))
                self.opened = max(self.opened, len(running))
            self.most = max(self.most, len(running))
            running = self.step(running, size, more=waiting > 0)
        return self.now - begun

    def step(
        self, running: list[tuple[float, float, float]], size: int, *, more: bool
    ) -> list[tuple[float, float, float]]:
        """Let some time pass."""
        self.now += self.STEP
        here = [one for one in running if one[1] < self.now]
        share = self.line.rate / max(len(here), 1)
        left = [one for one in running if one[1] >= self.now]
        came = 0.0
        for asked, answered, missing in here:
            begins = self.FIRST_BURST / self.line.away * 2 ** min((self.now - answered) / self.line.away, 30)
            moved = min(share, self.line.each, begins) * self.STEP
            came += min(moved, missing)
            if missing > moved:
                left.append((asked, answered, missing - moved))
            else:
                self.pace.leave(int(asked), int(self.now), size, large=True)
        self.pace.arrive(int(self.now), int(came), wanted=more)
        return left


LINES = {
    "10 Gbit/s, 2 ms": (Line(2 * MS, 1.25), 200, 16),
    "10 Gbit/s, 50 MB/s a connection": (Line(2 * MS, 1.25, 0.05), 200, 32),
    "100 Gbit/s, 50 MB/s a connection": (Line(2 * MS, 12.5, 0.05), 1000, 256),
    "2 Gbit/s, 20 ms": (Line(20 * MS, 0.25), 90, 64),
}


@pytest.mark.parametrize("line", LINES)
def test_as_many_large_reads_are_in_flight_as_the_line_takes(line: str) -> None:
    way, parts, window = LINES[line]
    reader = Reader(way)
    reader.read(parts, 10 << 20)
    reader.read(2, 1 << 20)  # what was not seen to the end is taken back
    assert reader.pace.window(large=True) == window


def test_one_object_finds_out_how_many_connections_it_takes() -> None:
    reader = Reader(LINES["10 Gbit/s, 50 MB/s a connection"][0])
    took = [reader.read(63, 4 << 20) for _ in range(5)]
    assert took[0] < 1.3 * 63 * (4 << 20) / 1.25
    assert max(took[1:]) < 1.3 * 63 * (4 << 20) / 1.25


def test_more_connections_than_bring_anything_are_given_back_though_the_call_was_over_before_that_was_seen() -> None:
    reader = Reader(Line(2 * MS, 1.25))
    reader.read(30, 4 << 20)
    assert reader.most > 16
    reader.most = 0
    reader.read(63, 4 << 20)
    assert reader.most == 16


def test_throttled_large_reads_are_fewer_and_recover() -> None:
    pace = _Pace()
    pace.wait(2 * MS, 0)
    for _ in range(16):
        pace.enter(0, large=True)
    assert not pace.admits(large=True)
    assert pace.admits()
    pace.leave(0, MS, throttled=True, large=True)
    less = pace.window(large=True)
    assert less < 8
    for number in range(15):
        pace.leave(0, SECOND // 20 + number, 4 << 20, large=True)
    assert less < pace.window(large=True) < 64


def test_as_many_connections_are_made_as_are_repaid_by_what_waits() -> None:
    worst, of_fewest, of_all = 0.0, 0.0, 0.0
    for waiting in (100, 500, 2_000, 10_000):
        for wait in (2 * MS, 20 * MS, 80 * MS):
            for secure, cost in ((False, CONNECTING_NS), (True, SECURING_NS)):
                until = wait * 2 if secure else wait
                mine = _served(
                    min(max(64, int(_known(wait, until).repaid(waiting, secure))), 1024), waiting, wait, until, cost
                )
                others = {count: _served(count, waiting, wait, until, cost) for count in (64, 96, 160, 256, 512, 1024)}
                best = min(others.values())
                worst, of_fewest, of_all = (
                    max(worst, mine / best),
                    max(of_fewest, others[64] / best),
                    max(of_all, others[1024] / best),
                )
    assert worst < 1.35
    assert min(of_fewest, of_all) > 8


def test_replies_to_writes_tell_what_connections_are_worth() -> None:
    pace = _Pace()
    pace.connect(60 * MS)
    assert pace.repaid(2_000, secure=True) > 1024
    pace.enter(0, writes=True)
    pace.leave(0, 20 * MS, writes=True)
    assert pace.repaid(2_000, secure=True) == _known(20 * MS, 60 * MS).repaid(2_000, secure=True)


def test_many_more_connections_are_made_or_none() -> None:
    pace = _known(20 * MS, 60 * MS)
    first = pace.affords(2_000, secure=True)
    assert first == pace.repaid(2_000, secure=True)
    assert first < pace.repaid(3_000, secure=True) < 2.5 * first
    assert pace.affords(3_000, secure=True) == first
    assert pace.affords(10_000, secure=True) == pace.repaid(10_000, secure=True) > 2.5 * first
    assert pace.affords(2_000, secure=True) == first


def test_no_more_connections_are_made_ahead_than_are_there_before_a_reply() -> None:
    assert _known(2 * MS, 2 * MS).ahead(10_000, secure=False) == 2 * MS / CONNECTING_NS
    assert _known(80 * MS, 80 * MS).ahead(10_000, secure=False) == 1024


def _known(wait: int, until: int) -> _Pace:
    """Return what knows how long a reply takes."""
    pace = _Pace(careful=True)
    pace.connect(until)
    pace.enter(0)
    pace.wait(wait, wait)
    pace.leave(0, wait)
    return pace


def _served(connections: int, waiting: int, wait: int, until: int, cost: int) -> int:
    """Return how long it takes to serve what waits by 64 connections, and by others that are made one by one."""
    made = connections - 64
    free = [0] * 64 + [until + cost * number for number in range(1, made + 1)]
    ended = cost * made
    for _ in range(waiting):
        ended = max(ended, free[0] + wait)
        heapq.heapreplace(free, free[0] + wait)
    return ended


@pytest.mark.parametrize(("made", "grows"), [(192, True), (0, False)])
def test_what_replies_wait_for_while_connections_are_made_is_no_queue(made: int, grows: bool) -> None:
    """Of a larger window, as many as it has more: with TLS, that takes longer than to answer."""
    pace = _known(20 * MS, 60 * MS)
    now = _round(pace, 20 * MS, SECOND)
    wide = pace.window()
    for _ in range(made):
        pace.connect(60 * MS)
    now = _round(pace, 160 * MS, now)
    _round(pace, 20 * MS, now)
    assert wide == 4 * 64
    assert pace.window() > wide if grows else pace.window() < wide / 2


def _round(pace: _Pace, took: int, now: int) -> int:
    """Have as many in flight as may be, and all answered after so long; return when that is."""
    count = 0
    while pace.admits(now=now):
        pace.enter(now)
        count += 1
    for _ in range(count):
        pace.leave(now, now + took)
    return now + took


def test_what_a_connection_takes_is_not_guessed() -> None:
    assert _Pace().repaid(1, secure=True) > 1024


RESTS = 10 * SECOND
"""When all processes of a machine rest."""

WAYS = {
    "2 ms": {"away": 2 * MS},
    "20 ms": {"away": 20 * MS},
    "80 ms": {"away": 80 * MS},
    "2 ms, 10 Gbit/s": {"away": 2 * MS, "line": 0.8},
    "20 ms, 2 Gbit/s": {"away": 20 * MS, "line": 4},
    "20 ms, 100 Mbit/s": {"away": 20 * MS, "line": 80},
    "80 ms, 1 Gbit/s": {"away": 80 * MS, "line": 8},
}


@pytest.mark.product("careful")
@pytest.mark.parametrize("careful", [False, True], ids=["known", "unknown"])
@pytest.mark.parametrize(
    ("size", "before", "after"),
    [
        (1 << 10, "2 ms", "80 ms"),
        (1 << 10, "2 ms", "20 ms"),
        (1 << 10, "80 ms", "2 ms"),
        (64 << 10, "20 ms, 2 Gbit/s", "20 ms, 100 Mbit/s"),
        (64 << 10, "20 ms, 100 Mbit/s", "20 ms, 2 Gbit/s"),
        (64 << 10, "2 ms, 10 Gbit/s", "80 ms, 1 Gbit/s"),
        (64 << 10, "80 ms, 1 Gbit/s", "2 ms, 10 Gbit/s"),
    ],
)
def test_another_way_to_the_server_is_found_out_within_seconds(
    size: int, before: str, after: str, careful: bool
) -> None:
    """As fast as a process that has never known another; where it may be a queue of others, once all have rested."""
    fresh = Client(Server(**WAYS[after]), 1 << 30, size, careful=careful)  # type: ignore[arg-type]
    play(fresh, until=4 * SECOND)
    client = Client(Changing(WAYS[before], WAYS[after], RESTS - SECOND), 1 << 30, size, careful=careful)
    play(client, begin=RESTS - 3 * SECOND, until=RESTS + 3 * SECOND)
    assert _replies(client, RESTS + 2 * SECOND) >= 0.9 * _replies(fresh, 3 * SECOND)


@pytest.mark.parametrize("careful", [False, True], ids=["known", "unknown"])
def test_a_way_that_is_longer_than_a_queue_of_others_is_found_out_at_once(careful: bool) -> None:
    client = Client(Changing(WAYS["2 ms"], WAYS["80 ms"], 3 * SECOND), 1 << 30, careful=careful)
    play(client, begin=SECOND, until=7 * SECOND)
    assert _replies(client, 6 * SECOND) >= 10_000


def _replies(client: Client, since: float) -> int:
    return sum(reply > since for reply in client.replies)


class Changing(Server):
    """A server to which the way is another from some time on."""

    def __init__(self, before: dict[str, float], after: dict[str, float], when: float) -> None:
        super().__init__(**before)  # type: ignore[arg-type]
        self.after, self.when = after, when

    def answer(self, now: float, size: int) -> tuple[float, bool]:
        if now >= self.when:
            vars(self).update(self.after)
        return super().answer(now, size)


@pytest.mark.parametrize(("size", "line"), [(16 << 10, 80), (4 << 10, 80), (16 << 10, 8)])
def test_from_afar_what_bytes_take_is_not_held_to_be_what_requests_cost(size: int, line: int) -> None:
    """Of bodies too small to tell how fast the line is: what is read along with them is worth no more than they are."""
    client = Client(Server(20 * MS, line=line), 4000, size)
    client.pace.wait(20 * MS, 0)
    play(client)
    slowness, cost = client.pace.costs()
    assert slowness >= line / 2
    assert cost <= slowness * size


@pytest.mark.parametrize(
    ("wait", "size", "took", "rate"), [(2, 0, 0, 12.5), (2, 1 << 20, 6, 262), (40, 1 << 20, 50, 105)]
)
def test_no_byte_is_thought_cheaper_than_what_was_seen_to_come(wait: int, size: int, took: int, rate: float) -> None:
    """In megabytes a second, before bodies were paced: near by too, of what one long reply took if there was one."""
    pace = _Pace()
    pace.wait(wait * MS, 0)
    pace.alone(size, took * MS)
    assert 1e3 / pace.costs()[0] == pytest.approx(rate, rel=0.01)
