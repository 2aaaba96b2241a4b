"""Several plans at the same time: side by side, told as they end, and all of them cleaned up however it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from objstore.plans.effects import Call, Plan, Sleep, Wait
from objstore.plans.run import both
from objstore.plans.several import Several, Stopped, given


def gather(plans: Iterator[Plan[Any]], most: int) -> Plan[list[Any]]:
    """Return what came of each plan, in order."""
    found: dict[int, Any] = {}
    yield from Several(given(plans), most).each(found.__setitem__)
    return [found[number] for number in sorted(found)]


blocking, coroutine = both(gather)


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[[Iterator[Plan[Any]], int], list[Any]]:
    if request.param == "sync":
        return blocking
    return lambda plans, most: asyncio.run(coroutine(plans, most))


Run = Callable[[Iterator[Plan[Any]], int], list[Any]]


def at_once(value: int) -> Plan[int]:
    return value
    yield


def test_values_in_order(run: Run) -> None:
    assert run(map(at_once, range(100)), 7) == [*range(100)]
    assert run(iter(()), 7) == []


def test_errors_take_the_places_of_values(run: Run) -> None:
    def plan(number: int) -> Plan[int]:
        yield Call(lambda: number)
        if number == 3:
            raise ValueError("no")
        return number

    values = run(map(plan, range(5)), 2)
    assert isinstance(values.pop(3), ValueError)
    assert values == [0, 1, 2, 4]


def test_an_error_of_an_effect_is_thrown_into_its_plan(run: Run) -> None:
    def plan(number: int) -> Plan[str]:
        try:
            yield Call(lambda: 1 // number)
        except ZeroDivisionError:
            return "zero"
        return "none"

    assert run(map(plan, [1, 0]), 2) == ["none", "zero"]


def test_no_more_than_so_many_at_a_time(run: Run) -> None:
    under_way = [0, 0]

    def plan(number: int) -> Plan[None]:
        under_way[0] += 1
        under_way[1] = max(under_way)
        yield Sleep(0.001)
        under_way[0] -= 1

    run(map(plan, range(20)), 4)
    assert under_way == [0, 4]


def test_one_waits_for_what_another_does(run: Run) -> None:
    bell: Future[int] = Future()

    def waits() -> Plan[int]:
        return (yield Wait(bell))

    def rings() -> Plan[int]:
        yield Sleep(0.001)
        bell.set_result(5)
        return 6

    assert run(iter([waits(), rings()]), 2) == [5, 6]


def test_one_waits_for_another_thread(run: Run) -> None:
    bell: Future[int] = Future()

    def waits() -> Plan[int]:
        yield Call(threading.Thread(target=bell.set_result, args=[7]).start, quick=True)
        return (yield Wait(bell))

    assert run(iter([waits()]), 2) == [7]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_whoever_is_told_may_end_it_and_all_clean_up(mode: str) -> None:
    cleaned: list[int] = []

    def plan(number: int) -> Plan[int]:
        try:
            yield Sleep(0 if number == 0 else 1000)
        except Stopped:
            yield Call(lambda: cleaned.append(number))
            raise
        return number

    def outer() -> Plan[None]:
        def take(number: int, value: object) -> None:
            raise KeyError(number)

        yield from Several(given(map(plan, range(4))), 4).each(take)

    run_outer, outer_async = both(outer)
    with pytest.raises(KeyError):
        run_outer() if mode == "sync" else asyncio.run(outer_async())
    assert sorted(cleaned) == [1, 2, 3]


def test_a_cancelled_task_cleans_up() -> None:
    cleaned: list[int] = []

    def plan(number: int) -> Plan[int]:
        try:
            yield Sleep(1000)
        finally:
            yield Call(lambda: cleaned.append(number))
        return number

    async def main() -> None:
        task = asyncio.create_task(coroutine(map(plan, range(3)), 3))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert sorted(cleaned) == [0, 1, 2]


def test_what_gives_the_plans_may_fail(run: Run) -> None:
    cleaned: list[int] = []

    def plan() -> Plan[None]:
        try:
            yield Sleep(1000)
        finally:
            cleaned.append(1)

    def plans() -> Iterator[Plan[None]]:
        yield plan()
        raise LookupError("no more")

    with pytest.raises(LookupError):
        run(plans(), 5)
    assert cleaned == [1]
