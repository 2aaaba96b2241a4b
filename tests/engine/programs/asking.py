"""What the programs ask of the server."""

from __future__ import annotations

import asyncio
import sys

from objstore._core import Batch
from objstore.http.retry import Policy, understand
from objstore.plans.effects import Plan
from objstore.plans.run import arun, run
from objstore.settings.options import RetryOptions
from tests.engine.client import batch, settle


def insist(made: Batch) -> Plan[int]:
    """Wait for all requests, retry what fails as a store does, and return how many succeeded."""
    policy = Policy(RetryOptions(), clock=lambda: 0.0)
    try:
        while not made.over:
            yield made
            for reply in made.failures():
                delay = policy.delay(understand(reply, {}, None, ""), reply.attempts, 0, safe=True)
                if delay is None:
                    print(reply, reply.attempts, file=sys.stderr)
                    made.give_up(reply.index)
                else:
                    made.retry(reply.index, delay)
        return sum(body is not None for body in made.bodies())
    finally:
        made.close()


def good(origin: str, count: int = 20) -> int:
    """Return how many of some requests succeed, sent in each of the three ways."""
    targets = [f"/100/{index}" for index in range(count)]
    made = [batch(origin, targets) for _ in range(3)]
    run(settle(made[0]))
    run(settle(made[1], background=True))
    asyncio.run(arun(settle(made[2])))
    return sum(body is not None and len(body) == 100 for one in made for body in one.bodies())


def stalled(origin: str, count: int = 10) -> Batch:
    return batch(origin, [f"/10000/{index}?stall=1000" for index in range(count)])
