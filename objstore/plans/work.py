"""Blocking work as a plan: a twentieth of a second at a time, so that it can be cancelled in between.

Without helper threads it is done on the event loop itself, and others have their turn in between.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TypeAlias, TypeVar

from objstore.plans.effects import Call, Plan

T = TypeVar("T")

AT_A_TIME = 0.05
"""For how many seconds work goes on before it looks whether it has been cancelled."""

Work: TypeAlias = Generator[None, None, T]
"""Blocking work that yields wherever it may be interrupted. Closed there, it cleans up after itself."""


def in_steps(work: Work[T]) -> Plan[T]:
    """Return the plan that does blocking work a twentieth of a second at a time."""
    try:
        while True:
            ended, value = yield Call(lambda: _advance(work), settle=True)
            if ended:
                result: T = value
                return result
    finally:
        work.close()


def _advance(work: Work[T]) -> tuple[bool, T | None]:
    until = time.monotonic() + AT_A_TIME
    try:
        while time.monotonic() < until:
            next(work)
    except StopIteration as end:
        return True, end.value
    return False, None


def at_once(work: Work[T]) -> T:
    """Do blocking work to its end."""
    try:
        while True:
            next(work)
    except StopIteration as end:
        result: T = end.value
        return result
