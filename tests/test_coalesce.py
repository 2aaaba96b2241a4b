"""Which neighbouring ranges are read together: costs in, gaps out; found out of simulated servers and of a real one."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from objstore._core import Buffer
from objstore.interface.values import FAST, Pace, Range, Target
from objstore.operations.coalesce import MOST_MERGED, OF_MANY, SINGLE, Merged, cheap_gap, coalesce, single
from objstore.store import S3Store
from tests.conftest import started
from tests.engine.client import wait_until
from tests.servers import S3Server, versitygw
from tests.test_pace import MS, Client, Server, play

US, KIB, MIB = 1e-6, 1 << 10, 1 << 20
MANY = 8000


@pytest.mark.parametrize(
    ("pace", "requests", "gap"),
    [
        pytest.param(FAST, 10, 15_000, id="unknown"),
        pytest.param(FAST, MANY, 15_000, id="unknown, more than a round"),
        pytest.param(Pace(100 * US, 2e9, 64, 1024, 200 * US), 10, 400_000, id="a costly server"),
        pytest.param(Pace(100 * US, 2e9, 64, 1024, 5 * US), 10, 30_000, id="a cheap server: our own work is left"),
        pytest.param(
            Pace(0.02, 250e6, 512, 1024, None), 512, 3_750, id="far, all at once: one more waits with the others"
        ),
        pytest.param(Pace(0.02, 250e6, 64, 64, None), 512, 77_101, id="far, by turns"),
        pytest.param(Pace(0.02, 250e6, 64, 64, 500 * US), 512, 125_000, id="far, by turns, and a costly server"),
        pytest.param(Pace(0.02, 2e6, 64, 64, None), 512, 30, id="far, and their bytes take as long as a turn"),
        pytest.param(Pace(0.02, 2e6, 512, 1024, None), 512, 30, id="a slow line"),
        pytest.param(Pace(0.02, 250e6, 64, 64, None), 0, 3_750, id="far, and nothing is wanted"),
    ],
)
def test_a_gap_is_worth_the_request_it_spares(pace: Pace, requests: int, gap: int) -> None:
    assert cheap_gap(pace, [Range(0, KIB)] * requests) == pytest.approx(gap, abs=1)


def test_the_cost_of_a_request_is_looked_for_only_where_it_counts_and_little_is_lost_by_it() -> None:
    assert single(FAST, MANY) == SINGLE
    assert single(FAST, MANY // 4) == 0
    assert single(Pace(100 * US, 2e9, 64, 1024, 200 * US), MANY) == 0
    assert single(Pace(0.02, 2e9, 64, 1024, None), MANY) == 0


def test_ranges_at_the_beginning_are_by_themselves_unless_they_overlap() -> None:
    ranges = [Range(0, 10), Range(5, 15), Range(20, 30), Range(40, 50), Range(60, 70), Range(80, 90)]
    assert coalesce(ranges, 10, 2).requests == [Range(0, 15), Range(20, 30), Range(40, 90)]
    assert coalesce(ranges, 10).requests == [Range(0, 90)]
    assert len(coalesce(ranges, 0).requests) == 5


def test_what_is_read_together_is_not_larger_than_others_can_run_beside() -> None:
    ranges = [Range(start, start + KIB) for start in range(0, 4 * MOST_MERGED, 2 * KIB)]
    assert max(wanted.end - wanted.start for wanted in coalesce(ranges, MIB).requests) <= MOST_MERGED


ROW, OTHER = (Buffer(bytearray(100), writable=True) for _ in range(2))


@pytest.mark.parametrize(
    ("ranges", "wanted", "found"),
    [
        pytest.param([(0, 10), (10, 30)], [(ROW, 5), (ROW, 15)], (ROW, 5, 30), id="they go on from each other"),
        pytest.param([(10, 30), (0, 10)], [(ROW, 15), (ROW, 5)], (ROW, 5, 30), id="in another order"),
        pytest.param([(10, 30), (0, 10)], [(ROW, 0), (ROW, 20)], None, id="they lie in another order"),
        pytest.param([(0, 10), (10, 30)], [(ROW, 5), (OTHER, 15)], None, id="in two buffers"),
        pytest.param([(0, 10), (12, 30)], [(ROW, 5), (ROW, 15)], None, id="a gap that is read along"),
        pytest.param([(0, 10), (12, 30)], [(ROW, 5), (ROW, 17)], None, id="what lies in a gap is not ours"),
        pytest.param([(0, 10), (5, 10), (15, 20)], [(ROW, 0), (ROW, 10), (ROW, 15)], None, id="a gap and an overlap"),
        pytest.param([(7, 9)], [(ROW, 50)], (ROW, 50, 2), id="one"),
    ],
)
def test_what_is_read_together_goes_to_where_it_is_wanted_if_it_lies_there_alike(
    ranges: list[tuple[int, int]], wanted: list[tuple[Buffer, int]], found: tuple[Buffer, int, int] | None
) -> None:
    spans = [Range(*span) for span in ranges]
    targets = [Target(buffer, at, end - start) for (buffer, at), (start, end) in zip(wanted, spans, strict=True)]
    assert coalesce(spans, 10).targets(targets) == [found]


class Reader(Client):
    """A client that reads requests of different sizes from a server that answers one after the other."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, 0)
        self.sizes: deque[int] = deque()
        self.under_way: deque[int] = deque()

    def send(self, now: float) -> tuple[float, float, bool]:
        self.size = self.sizes.popleft()
        self.under_way.append(self.size)
        return super().send(now)

    def take(self, begun: float, asked: float, now: float, refused: bool) -> None:
        self.size = self.under_way.popleft()
        super().take(begun, asked, now, refused)

    def seen(self) -> Pace:
        slowness, cost = self.pace.costs()
        rate = FAST.bytes_per_second if slowness < 0 else 1e9 / slowness
        wait = (self.server.away + self.server.a_request) / 1e9
        return Pace(wait, rate, int(self.pace.window()), 1024, None if cost < 0 else cost / 1e9)

    def read(self, ranges: list[Range], now: float) -> tuple[Merged, float]:
        """Read ranges as get_ranges does, and return what was asked for, and when all was there."""
        pace = self.seen() if self.replies else FAST
        merged = coalesce(ranges, min(cheap_gap(pace, ranges), MIB), single(pace, len(ranges)))
        self.sizes.extend(wanted.end - wanted.start for wanted in merged.requests)
        self.left = len(self.sizes)
        return merged, play(self, begin=now)


def scattered(count: int, length: int, size: int) -> list[Range]:
    draw = random.Random(1)
    starts = (draw.randrange(size - length) for _ in range(count))
    return [Range(start, start + length) for start in starts]


PLACES: dict[str, dict[str, Any]] = {
    "a costly server": {"away": 100_000, "a_request": 200_000, "a_byte": 0.5},
    "a cheap server": {"away": 60_000, "a_request": 20_000, "a_byte": 0.5},
    "1 Gbit/s": {"away": 200_000, "a_request": 15_000, "a_byte": 8},
    "20 ms, 2 Gbit/s": {"away": 20 * MS, "a_request": 15_000, "a_byte": 4},
    "80 ms, 1 Gbit/s": {"away": 80 * MS, "a_request": 15_000, "a_byte": 8},
}
READS = {
    "8,000 x 4 KiB of 64 MiB": (MANY, 4 * KIB, 64 * MIB),
    "20,000 x 4 KiB of 1 GiB": (20_000, 4 * KIB, 1024 * MIB),
    "1,000 x 64 KiB of 1 GiB": (1_000, 64 * KIB, 1024 * MIB),
}


@pytest.mark.product("place")
@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize("place", PLACES)
def test_the_tenth_identical_call_is_as_fast_as_the_first_and_asks_for_the_same_as_the_ninth(
    place: str, reads: str
) -> None:
    took, asked = ten_calls(place, reads)
    assert took[9] <= 1.02 * took[0]
    assert asked[9] == pytest.approx(asked[8], rel=0.02)


def test_where_requests_are_what_costs_neighbours_are_read_together_from_the_second_call_on() -> None:
    took, asked = ten_calls("a costly server", "8,000 x 4 KiB of 64 MiB")
    assert max(took[1:]) < took[0] / 5
    assert max(asked[1:]) < 20


def ten_calls(place: str, reads: str) -> tuple[list[float], list[int]]:
    """Return how long each took, and how many requests it was."""
    ranges = scattered(*READS[reads])
    reader, now = Reader(Server(**PLACES[place])), 0.0
    took, asked = [], []
    for _ in range(10):
        merged, then = reader.read(ranges, now)
        took.append(then - now)
        asked.append(len(merged.requests))
        now = then
    return took, asked


LENGTH, SIZE = 4 * KIB, 32 * MIB


@pytest.fixture
def gateway() -> Iterator[S3Server]:
    yield from started(versitygw())


def test_a_server_is_asked_for_less_once_it_is_known_what_a_request_costs_there(gateway: S3Server) -> None:
    store = S3Store(
        gateway.make_bucket("ranges"),
        endpoint=gateway.endpoint,
        region=gateway.region,
        access_key_id=gateway.access_key_id,
        secret_access_key=gateway.secret_access_key,
        client_options={"allow_http": True},
    )
    body = random.Random(1).randbytes(SIZE)
    store.put("big", body)
    wanted = scattered(SINGLE * OF_MANY, LENGTH, SIZE)
    assert requests_of(store, body, wanted) > SINGLE
    wait_until(lambda: requests_of(store, body, wanted) < SINGLE)


def requests_of(store: S3Store, body: bytes, wanted: list[Range]) -> int:
    """Read ranges, and return how many requests that took."""
    before = store.stats()["requests"]
    starts, ends = [one.start for one in wanted], [one.end for one in wanted]
    assert store.get_ranges("big", starts=starts, ends=ends) == [body[start:end] for start, end in wanted]
    return store.stats()["requests"] - before
