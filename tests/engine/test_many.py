"""Bulk reads so large that the first requests are sent while the others are still being added."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from objstore._core import Batch, engine_info
from objstore.exceptions import InvalidRangeError
from objstore.operations.get_many import get_many
from objstore.plans.effects import Plan
from objstore.plans.run import _perform
from objstore.providers.requests import ADDED_AT_ONCE
from objstore.store import S3Store
from tests.engine.client import Server, wait_until
from tests.faults.content import content

COUNT = ADDED_AT_ONCE + 500
WHOLE = content(0, 1000)
REQUESTS = [(f"k{index}", index % 900, index % 900 + 10) for index in range(COUNT)]
RIGHT = [WHOLE[start:end] for _, start, end in REQUESTS]


def store_at(server: Server) -> S3Store:
    """Return a store whose bucket is the size of all its objects."""
    return S3Store(
        "1000",
        endpoint=server.origin,
        region="us-east-1",
        skip_signature=True,
        client_options={"allow_http": True},
    )


def test_all_come_in_order(server: Server) -> None:
    told: list[tuple[int, int]] = []
    store = store_at(server)
    assert store.get_many(REQUESTS, progress=lambda done, total, _: told.append((done, total))) == RIGHT
    assert told[-1] == (COUNT, COUNT)
    assert {total for _, total in told} == {COUNT}
    out = bytearray(10 * COUNT)
    store.get_many(REQUESTS, out=out, max_concurrency=1000)
    assert bytes(out) == b"".join(RIGHT)
    assert asyncio.run(store.get_many_async(REQUESTS)) == RIGHT


def test_all_come_one_by_one(server: Server) -> None:
    store = store_at(server)
    assert dict(store.iter_many(REQUESTS)) == dict(enumerate(RIGHT))

    async def main() -> dict[int, Any]:
        return {index: body async for index, body in store.iter_many(REQUESTS)}

    assert asyncio.run(main()) == dict(enumerate(RIGHT))


def test_a_failure_among_the_first_or_the_last_takes_its_own_place(server: Server) -> None:
    wrong = {3: ("late", 2000, 2010), COUNT - 3: ("later", 2000, 2010)}
    requests = [wrong.get(index, request) for index, request in enumerate(REQUESTS)]
    store = store_at(server)
    results = store.get_many(requests, on_error="return")
    assert {index for index, result in enumerate(results) if isinstance(result, Exception)} == set(wrong)
    for index, request in wrong.items():
        with pytest.raises(InvalidRangeError, match=request[0]):
            store.get_many([*REQUESTS[:index], request, *REQUESTS[index + 1 :]])


def begun(server: Server) -> tuple[Plan[Any], Batch]:
    """Begin to read, and return the plan and the batch of those that are sent first."""
    plan = get_many(store_at(server), REQUESTS)
    effect = next(plan)
    assert isinstance(effect, Batch)
    assert effect.total == ADDED_AT_ONCE
    _perform(effect)
    return plan, effect


def test_an_interruption_between_the_first_and_the_others_ends_what_is_under_way(server: Server) -> None:
    plan, effect = begun(server)
    for _ in range(9):
        if effect.in_flight:
            break
        plan.close()  # all were answered while we slept
        plan, effect = begun(server)
    assert effect.in_flight > 0
    with pytest.raises(KeyboardInterrupt):
        plan.throw(KeyboardInterrupt())
    assert effect.in_flight == 0
    wait_until(lambda: engine_info()["in_flight"] == 0)
