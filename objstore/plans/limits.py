"""Plans that are given up after some time: what they would tell is not worth waiting for any longer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from objstore.exceptions import RequestTimeoutError
from objstore.plans.effects import Sleep

if TYPE_CHECKING:
    from objstore.plans.effects import Plan

T = TypeVar("T")


def within(seconds: float, plan: Plan[T]) -> Plan[T]:
    """Carry out a plan, and begin nothing more of it after so many seconds: what has begun by then is waited for.

    Raises:
        RequestTimeoutError: It has not come to its end.
    """
    until = time.monotonic() + seconds
    try:
        effect = next(plan)
        while time.monotonic() + (effect.seconds if isinstance(effect, Sleep) else 0) < until:
            try:
                answer = yield effect
            except Exception as error:
                effect = plan.throw(error)
            else:
                effect = plan.send(answer)
    except StopIteration as over:
        result: T = over.value
        return result
    finally:
        plan.close()
    raise RequestTimeoutError(f"It took longer than {seconds:g} seconds")
