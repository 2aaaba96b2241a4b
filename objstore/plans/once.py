"""Work that several plans want done at the same time: one does it, and the others wait for that."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from objstore.plans.effects import Sleep

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from objstore.plans.effects import Plan

LOOK_SECONDS = 0.01
"""After how long to look again whether the other has done it."""


class _Turn:
    """One that does it: whether it has come to an end, and to a good one."""

    over = done = False


class Once:
    """What is being done now, by what it is; a child process knows nothing of its parent's."""

    def __init__(self) -> None:
        self._turns: dict[tuple[int, Hashable], _Turn] = {}

    def do(self, what: Hashable, work: Callable[[], Plan[None]]) -> Plan[None]:
        """Do it, or wait for another who does; where that one fails, do it all the same."""
        key, mine = (os.getpid(), what), _Turn()
        while (turn := self._turns.setdefault(key, mine)) is not mine:
            while not turn.over:
                yield Sleep(LOOK_SECONDS)
            if turn.done:
                return
        try:
            yield from work()
            mine.done = True
        finally:
            del self._turns[key]
            mine.over = True
