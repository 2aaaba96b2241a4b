"""The credential of now, and how another one is had: what all ways to say who we are have in common.

Its one invariant: at most one request for a credential is under way at a time, however many operations wait for it; and
nobody waits for one while the old credential is good for a while.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from objstore.credentials.cache import CredentialCache, CredentialT
from objstore.exceptions import BaseError, UnauthenticatedError
from objstore.plans.effects import Beside, Call, Plan, Sleep, Wait
from objstore.settings.masked import hide

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.credentials.cache import Expiring
    from objstore.http.retry import Failure
    from objstore.types import CredentialInfo

FetchedT = TypeVar("FetchedT", bound="Expiring", covariant=True)


class Source(Protocol[FetchedT]):
    """Where credentials come from: a file, a service, a function of the user's.

    Attributes:
        name: What it is called where a store tells of itself.
        refresh_threshold: How long before its end a credential is replaced.
    """

    name: str
    refresh_threshold: timedelta

    def fetch(self) -> Plan[FetchedT]:
        """Get a credential, anew.

        Raises:
            UnauthenticatedError: There is none; the message says what was tried.
        """


class Credentials(Generic[CredentialT]):
    """A credential that is replaced in time.

    Args:
        current: The credential of now; None for none yet, or anonymous requests.
        source: Where others come from; None where there is no other.
        cache: What others share who ask the source too.
        fetch: How it is asked, if not by its own `fetch`.

    Attributes:
        asked: The source.
        is_fixed: Whether there is none: the credential is never another one.
    """

    def __init__(
        self,
        current: CredentialT | None = None,
        source: Source[CredentialT] | None = None,
        *,
        cache: CredentialCache[CredentialT] | None = None,
        fetch: Callable[[], Plan[CredentialT]] | None = None,
    ) -> None:
        self.current = current
        self.asked = source
        if source is not None:
            cache = cache or CredentialCache[CredentialT](source.refresh_threshold)
            fetch = fetch or source.fetch
        self._cache = cache
        self._ask = fetch
        self.is_fixed = cache is None or fetch is None
        if self._cache is not None and current is not None:
            self._cache.store(current, datetime.now(UTC))

    @property
    def source(self) -> str:
        """What the source is called."""
        return self.asked.name if self.asked is not None else "given" if self.current is not None else "none"

    @property
    def mark(self) -> object:
        """What is the same for those that were given the same credential, or share a source, while they live."""
        return id(self._cache) if self.current is None else self.current

    def info(self) -> CredentialInfo:
        """Return where the credential of now came from, and when it ends."""
        return {"source": self.source, "expires_at": None if self.current is None else self.current.expires_at}

    def refresh(self) -> Plan[bool]:
        """Have a credential that is good for a while; tell whether it is another one than before."""
        cache, ask = self._cache, self._ask
        while cache is not None and ask is not None:
            decision = cache.decide(datetime.now(UTC))
            if decision.refresh and decision.credential is not None:
                yield Beside(partial(_fetch_quietly, ask, cache))
            elif decision.refresh:
                yield from _fetch(ask, cache)
            elif decision.credential is None and decision.flight is not None:
                yield Wait(decision.flight)
            credential = cache.current(datetime.now(UTC))
            if credential is not None:
                before, self.current = self.current, credential
                return credential != before
        return False

    def lasts(self) -> float:
        """Return for how many seconds the credential of now need not be looked at."""
        return inf if self._cache is None else self._cache.lasts(datetime.now(UTC))

    def recover(self, failure: Failure) -> Plan[bool]:
        """Have another credential, where this one was refused; tell whether to try again."""
        if failure.row.again != "credential" or self._cache is None or self.current is None:
            return False
        if not self._cache.invalidate(self.current, datetime.now(UTC)):
            return False
        yield from self.refresh()
        return True

    def is_same_as(self, other: Credentials[CredentialT]) -> bool:
        """Tell whether both are known to be the same credential."""
        return self.current is not None and self.current == other.current


class Provided(Generic[CredentialT]):
    """A function of the user's that returns credentials.

    Args:
        provider: Returns one, or an awaitable of one.
        read: Checks what it returned, and takes it over.
    """

    name = "credential_provider"

    def __init__(self, provider: Callable[[], object], read: Callable[[object], CredentialT]) -> None:
        self._provider = provider
        self._read = read
        self.refresh_threshold = getattr(provider, "refresh_threshold", timedelta(minutes=5))

    def fetch(self) -> Plan[CredentialT]:
        """Call the function."""
        try:
            answer = yield Call(self._ask)
        except BaseError:
            raise
        except Exception as error:
            raise UnauthenticatedError(
                f"The credential provider failed with {type(error).__name__}: {error}",
                hint="Call it by itself to see why.",
            ) from error
        return self._read(answer)

    def _ask(self) -> object:
        """Return what the function returns, hidden: nobody is to see it in a traceback."""
        answer = self._provider()
        return _hidden(answer) if isinstance(answer, Awaitable) else hide(answer)


async def _hidden(answer: Awaitable[object]) -> object:
    return hide(await answer)


def spread() -> Plan[None]:
    """Wait for a part of a second before the first fetch of a worker of multiprocessing: all of them begin together."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None and os.getpid() not in _spread:
        _spread.add(os.getpid())
        yield Sleep(random.random())


_spread: set[int] = set()


def _fetch(ask: Callable[[], Plan[CredentialT]], cache: CredentialCache[CredentialT]) -> Plan[None]:
    """Ask a source; an error is the caller's, unless the old credential is still good."""
    try:
        credential = yield from ask()
        cache.store(credential, datetime.now(UTC))
    except BaseException as error:
        still_good = cache.fail(error, datetime.now(UTC))
        if still_good is None or not isinstance(error, Exception):
            raise


def _fetch_quietly(ask: Callable[[], Plan[CredentialT]], cache: CredentialCache[CredentialT]) -> Plan[None]:
    """Ask a source while nobody waits: an error comes up again when the old credential has ended."""
    try:
        yield from _fetch(ask, cache)
    except Exception:
        return
