"""A job of 1,000 workers on a server that throttles, simulated: the network and the clock are made up; the pieces, the
pace of each worker, its retries, and the manifest are what they really are."""

from __future__ import annotations

import heapq
import json
import random
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from objstore._core import _Pace
from objstore._distributed import job, manifest
from objstore.distributed import Done, Manifest, run
from objstore.exceptions import GenericError
from objstore.http.dialect import THROTTLED
from objstore.http.retry import Failure, Policy
from objstore.results import Piece
from objstore.settings.options import RetryOptions
from objstore.store import MemoryStore
from tests.test_pace import MS, SECOND, Server

WORKERS, PIECES, EACH = 1000, 2000, 40
OBJECTS = PIECES * EACH
HAND_OUT = MS
"""How long the runner takes to give out a piece."""

BUSY = Failure(THROTTLED, "SlowDown", "Please reduce your request rate.")


class Clock:
    """The time, in nanoseconds; read as the module `time` is."""

    now = 0

    def monotonic(self) -> float:
        return self.now / SECOND

    time = monotonic


@dataclass
class Request:
    """One object that is asked for."""

    since: float
    attempts: int = 0


class Worker:
    """A process that has a piece at a time: with its own pace, and its own idea of how the server is."""

    def __init__(self, clock: Clock) -> None:
        self.pace = _Pace(1024, True)
        self.policy = Policy(RetryOptions(), clock=clock.monotonic)
        self.waiting: deque[Request] = deque()
        self.patient: deque[Request] = deque()
        self.left = 0
        self.looks = 0
        self.work: tuple[Future[int], Piece] | None = None

    @property
    def parked(self) -> int:
        """How many requests wait for the server to answer others, as in a batch."""
        return len(self.patient)

    def unpark(self, most: int, least: float = 0) -> int:
        """Have so many of them be sent."""
        released = [self.patient.popleft() for _ in range(min(most, self.parked))]
        self.waiting += released
        return len(released)


@dataclass
class Fleet(Executor):
    """Many workers, and the server that they all ask."""

    clock: Clock
    server: Server
    asked: int = 0
    refused: int = 0
    most_tries: int = 0
    events: list[tuple[float, int, Worker, Request | None, float | None, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.idle = [Worker(self.clock) for _ in range(WORKERS)]
        self.queue: deque[tuple[Future[Any], Piece]] = deque()
        self.ended: list[Future[Any]] = []
        self.handed = 0
        self.order = count()

    def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """Give a piece to a worker that has none, or keep it until there is one."""
        future: Future[Any] = Future()
        self.queue.append((future, *arguments))
        self.begin()
        return future

    def begin(self) -> None:
        while self.queue and self.idle:
            worker = self.idle.pop()
            worker.work = self.queue.popleft()
            worker.left = len(worker.work[1].slices)
            self.handed = max(self.handed, self.clock.now) + HAND_OUT
            for _ in range(worker.left):
                request = Request(self.handed / SECOND)
                heapq.heappush(self.events, (self.handed, next(self.order), worker, request, None, False))

    def send(self, worker: Worker) -> None:
        """Send what the pace of a worker lets through."""
        now = self.clock.now
        while worker.waiting and worker.pace.admits(now=now):
            request = worker.waiting.popleft()
            request.attempts += 1
            self.asked += 1
            worker.pace.enter(now)
            answered, refused = self.server.answer(now, 1024)
            heapq.heappush(self.events, (answered, next(self.order), worker, request, now, refused))
        rate = worker.pace.rate(now)
        if worker.waiting and rate and now >= worker.looks:  # it sends by the clock: its loop looks again
            worker.looks = now + max(int(SECOND / rate), MS)
            heapq.heappush(self.events, (worker.looks, next(self.order), worker, None, None, False))

    def step(self) -> None:
        """Let the next thing happen: a reply, or the end of a wait."""
        at, _, worker, request, asked, refused = heapq.heappop(self.events)
        self.clock.now = int(at)
        if worker.work is None:
            return  # of a piece that failed
        if request is not None and asked is None:
            worker.waiting.append(request)
        elif request is not None and asked is not None:
            worker.pace.leave(int(asked), int(at), 1024, throttled=refused)
            self.take(worker, request, refused)
        self.send(worker)

    def take(self, worker: Worker, request: Request, refused: bool) -> None:
        if not refused:
            worker.policy.note_success(1)
            self.most_tries = max(self.most_tries, request.attempts)
            worker.left -= 1
            if worker.left == 0:
                self.end(worker)
            return
        self.refused += 1
        worker.policy.budget.note(0, 1)
        delay = worker.policy.delay(BUSY, request.attempts, request.since, safe=True)
        if delay is not None:
            later = self.clock.now + delay * SECOND
            heapq.heappush(self.events, (later, next(self.order), worker, request, None, False))
        elif worker.policy.patience(BUSY, request.attempts, request.since, safe=True) is not None:
            worker.patient.append(request)
            worker.policy.parked.add(worker)  # type: ignore[arg-type]  # in the place of its batch
            worker.policy.hand_on()
        else:
            self.end(worker, GenericError(BUSY.message))

    def end(self, worker: Worker, error: Exception | None = None) -> None:
        """Give the result of a worker's piece, and have another process in its place if it failed."""
        assert worker.work is not None
        future, piece = worker.work
        worker.work = None
        future.set_result(len(piece.slices)) if error is None else future.set_exception(error)
        self.ended.append(future)
        self.idle.append(worker if error is None else Worker(self.clock))
        self.begin()

    def wait(self, futures: Collection[Future[Any]], seconds: float, _: str) -> tuple[list[Future[Any]], None]:
        """Let time pass until one is done, or so many seconds have gone by; as of `concurrent.futures`."""
        until = self.clock.now + seconds * SECOND
        while not self.ended and self.events[0][0] < until:
            self.step()
        if not self.ended:
            self.clock.now = int(until)
        done, self.ended = self.ended, []
        return done, None


class Site:
    """A store with a manifest, and a fleet before a server."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most_a_second: int) -> None:
        random.seed(1)
        self.clock, self.store = Clock(), MemoryStore()
        self.server = Server(20 * MS, a_request=1000, workers=64, most_a_second=most_a_second)
        monkeypatch.setattr(manifest, "time", self.clock)
        self.monkeypatch = monkeypatch

    def run(self, most_in_flight: int) -> tuple[Fleet, Iterator[Done[int]]]:
        """Begin the job, on a new fleet."""
        fleet = Fleet(self.clock, self.server)
        self.monkeypatch.setattr(job, "wait", fleet.wait)
        pieces = self.store.plan(((f"{number:06}", 1024) for number in range(OBJECTS)), bytes=EACH * 1024)
        return fleet, run(
            len, pieces, executor=fleet, manifest=Manifest(self.store, "job"), most_in_flight=most_in_flight
        )

    def segments(self) -> list[Any]:
        """Return what the manifest has."""
        paths = sorted(meta["path"] for meta in self.store.list("job").collect())
        return [json.loads(bytes(body)) for body in self.store.get_many(paths)]

    def done(self) -> list[int]:
        """Return the numbers of the pieces that are done, in order, as often as they are there."""
        return sorted(number for segment in self.segments() for number, *_ in segment["done"])


def test_a_thousand_workers_have_what_the_server_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """What limits is that pieces are given out one after the other."""
    site = Site(monkeypatch, 50_000)
    fleet, results = site.run(2 * WORKERS)
    assert len([*results]) == PIECES
    assert site.done() == [*range(PIECES)]
    assert fleet.refused == 0


@pytest.mark.parametrize(("most_in_flight", "share"), [(50, 0.9), (WORKERS, 0.5)])
def test_a_server_that_throttles_is_given_fewer_and_all_is_done_once(
    monkeypatch: pytest.MonkeyPatch, most_in_flight: int, share: float
) -> None:
    """A process has at least one request under way: a thousand of them are too many for 5,000 requests a second."""
    site = Site(monkeypatch, 5_000)
    begun = site.clock.monotonic()
    results = site.run(most_in_flight)[1]
    assert len([*results]) == PIECES
    took = site.clock.monotonic() - begun
    assert site.done() == [*range(PIECES)]
    assert EACH * PIECES / took > share * 5_000
    assert len(site.segments()) <= took / manifest.SEGMENT + 4  # and what each runner begins and ends with
    assert max(len(json.dumps(segment)) for segment in site.segments()) < 100 * PIECES
