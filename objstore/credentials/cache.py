"""A cache that holds one credential and decides when the next is asked for.

It decides and remembers; it calls nobody and reads no clock. Whoever needs a credential calls `decide` and does what
that says: take the credential, or ask its source (one caller at a time, of all threads and event loops together), or
wait for the one who asks. `current.Credentials` does this, as a plan, so that both ways of waiting share it.

Its one invariant: at most one caller is refreshing at any moment, and when that one fails, gives up or is lost in a
fork, nobody waits for it any longer.
"""

from __future__ import annotations

import os
import random
import threading
import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from concurrent.futures import Future

_SECOND = timedelta(seconds=1)

LAST_MINUTE = timedelta(minutes=1)
"""How long before its end, at the most, a credential is no longer used without having asked for another one."""

LATE = timedelta(minutes=1)
"""From when on a credential that has ended is worth a warning: clocks differ a little."""

REST = (1.0, 2.0, 4.0)
"""For how many seconds the error of a failed fetch is everybody's answer, the first time, the second, and from then on:
a source that is down must not be asked by each request."""

SHORT = 0.2
"""Which part of its life is left to a credential when it is replaced, if it lives less than twice as long as the
threshold: it must not be asked for much more often than it ends."""

SHORTEST_LOOK, LONGEST_LOOK = 0.05, 10.0
"""How many seconds to wait, at the least and at the most, before looking whether a credential that is due has been
replaced."""

JITTER = 0.1
"""By which part of the time before its end, at the most, a credential is replaced earlier: many processes that began
together must not ask together."""


class Expiring(Protocol):
    """Anything that is good until a time."""

    @property
    def expires_at(self) -> datetime | None:
        """Return the aware time at which it ends; None for never."""


CredentialT = TypeVar("CredentialT", bound=Expiring)


@dataclass(frozen=True, slots=True)
class Decision(Generic[CredentialT]):
    """Say what a caller is to do.

    Args:
        credential: The credential to use, if one is good for a while.
        refresh: Whether this caller is the one to ask the source, beside its work where it has a credential; it then
            owes the cache a `store` or a `fail`.
        flight: What to wait for where there is neither. It gives the new credential, or raises the error of the one who
            asked, or gives None if that one gave up: then decide again.
    """

    credential: CredentialT | None
    refresh: bool = False
    flight: Future[CredentialT | None] | None = None


class CredentialCache(Generic[CredentialT]):
    """Keep a credential until shortly before it ends. All times are aware.

    Args:
        refresh_threshold: How long before its end a credential is replaced. One that lives less than twice as long is
            replaced when it has lived four fifths of its life.
    """

    def __init__(self, refresh_threshold: timedelta = timedelta(minutes=5)) -> None:
        self._threshold = refresh_threshold
        self._credential: CredentialT | None = None
        self._ends: datetime | None = None
        self._due: datetime | None = None
        self._urgent: datetime | None = None
        self._invalidated: datetime | None = None
        self._dropped: CredentialT | None = None
        self._failures = 0
        self._reset_flight()
        _caches.add(self)

    def _reset_flight(self) -> None:
        self._lock = threading.Lock()
        self._flight: Future[CredentialT | None] | None = None
        self._failed: tuple[datetime, Future[CredentialT | None]] | None = None

    def current(self, now: datetime) -> CredentialT | None:
        """Return the credential, or None if there is none that is good now."""
        return None if self._ends is not None and now >= self._ends else self._credential

    def needs_refresh(self, now: datetime) -> bool:
        """Return whether it is time to ask for another one."""
        return self.current(now) is None or (self._due is not None and now >= self._due)

    def lasts(self, now: datetime) -> float:
        """Return for how many seconds nobody needs to `decide` again."""
        with self._lock:
            if self._ends is None or self._due is None:
                return inf
            if now < self._due:
                return (self._due - now).total_seconds()
            return min(max((self._ends - now).total_seconds() / 10, SHORTEST_LOOK), LONGEST_LOOK)

    def decide(self, now: datetime) -> Decision[CredentialT]:
        """Return what the caller is to do; the first caller after a credential is due is told to refresh it."""
        with self._lock:
            credential = self.current(now)
            if not self.needs_refresh(now):
                return Decision(credential)
            if self._urgent is not None and now >= self._urgent:
                credential = None
            if self._flight is not None:
                return Decision(credential, flight=self._flight)
            if credential is None and self._failed is not None and now < self._failed[0]:
                return Decision(None, flight=self._failed[1])
            from concurrent.futures import Future  # with logging, it takes longer to import than this package

            self._flight = Future()
            return Decision(credential, refresh=True)

    def store(self, credential: CredentialT, now: datetime) -> None:
        """Take the new credential, and give it to all who wait.

        One that has ended already, by this machine's clock, is used for ten seconds all the same: the clock may be
        wrong, and the service is the judge.
        """
        with self._lock:
            ends = credential.expires_at
            late = timedelta() if ends is None else now - ends
            if ends is not None and ends <= now:
                ends = now + 10 * _SECOND
            if self._credential not in (None, credential):
                self._dropped, self._invalidated = self._credential, now
            self._credential = credential
            self._ends = ends
            self._due = self._urgent = self._failed = None
            self._failures = 0
            if ends is not None:
                life = ends - now
                before = self._threshold if 2 * self._threshold <= life else SHORT * life
                self._due = ends - before * (1 + JITTER * random.random())
                self._urgent = ends - min(LAST_MINUTE, life / 10)
            flight, self._flight = self._flight, None
        if flight is not None:
            flight.set_result(credential)
        if late >= LATE:
            warnings.warn(
                f"The credential ended {late} ago, at {credential.expires_at}, by the clock of this machine: it is "
                "used all the same, and will most likely be refused; have its source give a new one, or set the clock",
                stacklevel=2,
            )

    def fail(self, error: BaseException, now: datetime) -> CredentialT | None:
        """Note that the refresh failed, and return the old credential if it is still good.

        All who wait get the same credential; without one, the error, as do all who come soon after. When the caller
        itself was stopped (cancelled, interrupted), they are told to decide again.
        """
        with self._lock:
            credential = self.current(now)
            if self._ends is not None:
                self._due = now + min(10 * _SECOND, max(_SECOND, (self._ends - now) / 2))
            flight, self._flight = self._flight, None
            refused = credential is None and isinstance(error, Exception)
            if flight is not None and refused:
                rest = REST[min(self._failures, len(REST) - 1)] * _SECOND
                self._failed = (now + rest, flight)
                self._failures += 1
        if flight is not None and refused:
            flight.set_exception(error)
        elif flight is not None:
            flight.set_result(credential)
        return credential

    def invalidate(self, used: CredentialT, now: datetime) -> bool:
        """Drop a credential that the service refused, and return whether it is worth asking again with another one.

        A credential is replaced or dropped at most once in ten seconds, so that a service that refuses everybody does
        not make every request ask. Until then, what is refused was most likely signed by the one before: many requests
        are under way when a credential ends.
        """
        with self._lock:
            if self._credential != used:
                return True
            if self._invalidated is not None and now - self._invalidated < 10 * _SECOND:
                return self._credential != self._dropped
            self._dropped, self._credential = self._credential, None
            self._invalidated = now
            return True


_caches: WeakSet[CredentialCache[Any]] = WeakSet()


def _reset_after_fork() -> None:
    """Forget the lock and the refresh of threads that a child process does not have."""
    for cache in _caches:
        cache._reset_flight()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
