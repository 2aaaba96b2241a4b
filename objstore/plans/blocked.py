"""The effects of several plans performed in one thread, for a caller that blocks.

Requests go on side by side, carried by the engine's helper threads, or by this one where there are none; what blocks is
done one after the other.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any

from objstore._core import Batch, Channel
from objstore.plans.effects import AnyOf, Background, Sleep, Wait

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from objstore.plans.effects import Effect

SIGNAL_CHECK_MS = 50
"""After how many milliseconds a blocked caller looks for Ctrl-C: one that comes just before a wait does not end it."""

FUTURE_CHECK_MS = 5
"""The same for what another thread is going to do, which rings no bell here."""


class Blocked:
    """What several plans wait for, in one thread."""

    def __init__(self) -> None:
        self._channel = Channel()
        self._poll = select.poll()
        self._poll.register(self._channel.fileno(), select.POLLIN)
        self._waiting: dict[int, int] = {}  # plans, by their batches
        self._batches: dict[int, int] = {}  # and the other way round
        self._futures: dict[int, Future[Any]] = {}
        self._until: dict[int, float] = {}

    def perform(self, several: AnyOf, perform: Callable[[Effect], Any]) -> None:
        """Perform what is asked, and wait until something has an answer."""
        asked, several.asked = several.asked, {}
        for number, effect in asked.items():
            self._begin(several, number, effect, perform)
        self._channel.submit()
        while not (several.answers or several.ends):
            self._look(several, 0 if self._is_time() else self._patience())

    def _begin(self, several: AnyOf, number: int, effect: Effect, perform: Callable[[Effect], Any]) -> None:
        match effect:
            case Batch():
                self._wait_for(several, number, effect)
            case Background(batch):
                self._wait_for(several, number, batch)
            case Sleep(seconds):
                self._until[number] = time.monotonic() + seconds
            case Wait(future):
                self._futures[number] = future
            case _:
                try:
                    several.answers.append((number, perform(effect), None))
                except Exception as error:
                    several.answers.append((number, None, error))

    def _wait_for(self, several: AnyOf, number: int, batch: Batch) -> None:
        if batch.is_started:
            batch.report_to(self._channel)
        else:
            batch.start(channel=self._channel)
        if batch.has_news:
            several.answers.append((number, None, None))
            return
        self._waiting[batch.id] = number
        self._batches[number] = batch.id
        if batch.wake_after is not None:
            self._until[number] = time.monotonic() + batch.wake_after

    def _is_time(self) -> bool:
        return bool(self._until) and min(self._until.values()) <= time.monotonic()

    def _patience(self) -> float:
        """Return for how many milliseconds to wait."""
        most = FUTURE_CHECK_MS if self._futures else SIGNAL_CHECK_MS
        left = min(self._until.values(), default=float("inf")) - time.monotonic()
        return min(most, max(left * 1000, 1))

    def _look(self, several: AnyOf, milliseconds: float) -> None:
        """Wait for a while, and note what has come."""
        if self._poll.poll(milliseconds):
            for batch in self._channel.drain():
                if batch in self._waiting:
                    self._answer(several, self._waiting[batch])
        now = time.monotonic()
        for number in [number for number, until in self._until.items() if until <= now]:
            self._answer(several, number)
        for number in [number for number, future in self._futures.items() if future.done()]:
            self._answer(several, number, self._futures[number])

    def _answer(self, several: AnyOf, number: int, future: Future[Any] | None = None) -> None:
        """Note that the wait of a plan is over."""
        self._until.pop(number, None)
        self._futures.pop(number, None)
        self._waiting.pop(self._batches.pop(number, -1), None)
        try:
            several.answers.append((number, None if future is None else future.result(), None))
        except Exception as error:
            several.answers.append((number, None, error))
