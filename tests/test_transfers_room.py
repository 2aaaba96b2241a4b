"""How many objects are under way at a time, where nobody says how many: by the pace of services, and by memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import objstore
from objstore._core import memory_limit
from objstore.http.service import paced
from objstore.interface.provider import Provider
from objstore.interface.values import FAST, FIRST
from objstore.operations.transfers import CARRIED, IN_MEMORY, LATELY, Room
from objstore.plans.effects import Plan, Sleep
from objstore.plans.run import arun, run
from objstore.plans.several import Several, given
from objstore.store import MemoryStore

Drive = Callable[[Plan[Any]], Any]


@pytest.fixture(params=["sync", "async"])
def drive(request: pytest.FixtureRequest) -> Drive:
    return run if request.param == "sync" else lambda plan: asyncio.run(arun(plan))


@pytest.fixture
def limited() -> Iterator[None]:
    """Have little memory."""
    before = memory_limit()
    objstore.configure(memory_limit=16 * CARRIED)
    yield
    objstore.configure(memory_limit=before)


def seen(monkeypatch: pytest.MonkeyPatch, *, reads: int = 64, writes: int = 64) -> Provider:
    """Return a provider of whose service so much was found out."""
    provider = MemoryStore().provider
    monkeypatch.setattr(type(provider), "pace", FAST._replace(reads=reads, writes=writes))
    return provider


def passed(room: Room, *sizes: int | None) -> None:
    def nothing() -> Plan[None]:
        return
        yield

    for size in sizes:
        run(room.holding(size, nothing()))


def test_it_is_more_than_the_service_has_use_for(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = seen(monkeypatch, reads=300, writes=500)
    assert Room(0, provider).most == 1000
    assert Room(7, provider).most == Room(7, provider, provider).most == 7


def test_writes_alone_are_enough_to_tell() -> None:
    """Where nobody has read anything, the least wait is not known."""
    seen = {
        "least_wait": None,
        "bytes_per_second": None,
        "connection_bytes_per_second": None,
        "reads": 64,
        "writes": 300,
        "most": 1024,
        "request_cost": None,
    }
    assert paced(seen) == FAST._replace(writes=300)


def test_what_is_carried_is_as_many_as_memory_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = seen(monkeypatch, reads=100)
    room = Room(0, provider, provider)
    assert room.most == IN_MEMORY // CARRIED  # nobody knows how large they are
    passed(room, 10_000)
    assert room.most == 200
    passed(room, None)
    assert room.most == IN_MEMORY // CARRIED
    passed(room, *[2 << 20] * LATELY)
    assert room.most == IN_MEMORY // (2 << 20)


@pytest.mark.usefixtures("limited")
def test_their_beginnings_fit_into_what_may_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(0, *[seen(monkeypatch, reads=1000)] * 2)
    passed(room, 0)
    assert room.most == memory_limit() // FIRST


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize(("size", "most"), [(CARRIED, 16), (1 << 30, 16), (None, 16), (CARRIED // 2, 32), (1, 200)])
def test_those_for_which_there_is_no_room_wait(drive: Drive, size: int | None, most: int) -> None:
    room, held, highest = Room(200, *[MemoryStore().provider] * 2), [0], [0]

    def hold() -> Plan[None]:
        held[0] += 1
        highest[0] = max(highest[0], held[0])
        yield Sleep(0.001)
        held[0] -= 1

    ended: list[int] = []
    plans = (room.holding(size, hold()) for _ in range(200))
    drive(Several(given(plans), 200).each(lambda number, _: ended.append(number)))
    assert sorted(ended) == [*range(200)]
    assert highest == [most]


def test_one_that_fails_while_others_wait_ends_all(drive: Drive) -> None:
    room = Room(200, *[MemoryStore().provider] * 2)

    def hold() -> Plan[None]:
        yield Sleep(0.01)
        raise OSError("full")

    def take(_: int, result: Any) -> None:
        raise result

    with pytest.raises(OSError, match="full"):
        drive(Several(given(room.holding(CARRIED, hold()) for _ in range(200)), 200).each(take))
    passed(room, *[CARRIED] * 100)  # nothing is held any more


def test_a_download_of_more_than_fit_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Objects that follow small ones, and are larger than memory for as many."""
    monkeypatch.setattr("objstore.operations.transfers.IN_MEMORY", CARRIED)
    store = MemoryStore()
    bodies = {f"{index:03d}": bytes([index]) * (10 if index < 100 else 6 << 20) for index in range(120)}
    store.put_many(bodies)
    assert len(store.download_many("", tmp_path)) == 120
    assert all((tmp_path / name).read_bytes() == body for name, body in bodies.items())
