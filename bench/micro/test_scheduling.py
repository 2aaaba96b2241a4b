"""What it costs to drive a plan to its end, in both ways to wait, where there is nothing to wait for."""

from __future__ import annotations

import asyncio

from pytest_benchmark.fixture import BenchmarkFixture

from objstore.plans.effects import Call, Plan
from objstore.plans.run import both

COUNT = 1_000


def three_calls(value: int) -> Plan[int]:
    for _ in range(3):
        value += yield Call(int, quick=True)
    return value


blocking, awaitable = both(three_calls)


def test_1_000_plans(benchmark: BenchmarkFixture) -> None:
    assert benchmark(lambda: sum(blocking(1) for _ in range(COUNT))) == COUNT


def test_1_000_plans_on_asyncio(benchmark: BenchmarkFixture) -> None:
    async def drive() -> int:
        return sum([await awaitable(1) for _ in range(COUNT)])

    with asyncio.Runner() as runner:
        assert benchmark(lambda: runner.run(drive())) == COUNT
