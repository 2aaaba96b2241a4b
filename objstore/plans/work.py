"""Blocking work as a plan: a twentieth of a second at a time, so that it can be cancelled in between.

Without helper threads it is done on the event loop itself, and others have their turn in between.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from objstore.plans.effects import Call, Plan

if TYPE_CHECKING:
    from objstore._core import Gathered
    from objstore.types import Buffer

T = TypeVar("T")

AT_A_TIME = 0.05
"""For how many seconds work goes on before it looks whether it has been cancelled."""

AT_ONCE = 1 << 20
"""How many bytes are copied without a step of their own."""

PIECE = 4 << 20
"""How many bytes are copied before it is looked whether the time is over."""

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
        next(work)
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


def gather(gathered: Gathered, data: Buffer) -> Work[None]:
    """Put bytes behind those that have been gathered."""
    view = memoryview(data)
    for at in range(0, len(view), PIECE):
        gathered.add(view[at : at + PIECE])
        yield
