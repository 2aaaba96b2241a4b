"""What several plans want done at the same time is done by one of them."""

from __future__ import annotations

import asyncio

import pytest

from objstore.plans.effects import Plan, Sleep
from objstore.plans.once import Once
from objstore.plans.run import arun


def test_one_does_it_for_all() -> None:
    once, begun = Once(), []

    def work() -> Plan[None]:
        begun.append(1)
        yield Sleep(0.05)

    async def all_of_them() -> None:
        await asyncio.gather(*(arun(once.do("a", work)) for _ in range(50)), arun(once.do("b", work)))

    asyncio.run(all_of_them())
    assert len(begun) == 2
    asyncio.run(all_of_them())
    assert len(begun) == 4, "what has been done before may have to be done again"


def test_where_it_fails_each_of_the_others_tries() -> None:
    once, left = Once(), [OSError("first"), OSError("second")]

    def work() -> Plan[None]:
        yield Sleep(0.02)
        if left:
            raise left.pop(0)

    async def outcomes() -> list[object]:
        return await asyncio.gather(*(arun(once.do("a", work)) for _ in range(5)), return_exceptions=True)

    assert sorted(map(str, asyncio.run(outcomes()))) == ["None"] * 3 + ["first", "second"]


def test_who_is_cancelled_hands_it_on() -> None:
    once, ended = Once(), []

    def work() -> Plan[None]:
        yield Sleep(0.05)
        ended.append(1)

    async def cancel_the_first() -> None:
        first, second = (asyncio.create_task(arun(once.do("a", work))) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second

    asyncio.run(cancel_the_first())
    assert len(ended) == 1
