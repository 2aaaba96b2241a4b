"""Sources of credentials that several stores of a process ask: each is asked once for all of them.

Its one invariant: stores share a source only while all that it depends on is the same for each of them: the settings,
the files that say who we are, and the environment.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic

from objstore.credentials.cache import CredentialCache, CredentialT
from objstore.credentials.current import Credentials, Provided
from objstore.exceptions import BaseError
from objstore.plans.effects import Call
from objstore.settings.masked import Hidden, HiddenBytes

if TYPE_CHECKING:
    from objstore.credentials.current import Source
    from objstore.plans.effects import Plan

MOST = 32
"""How many sources are kept for stores that may yet be made: workers make the same store for each of their tasks."""


class _Shared(Generic[CredentialT]):
    """A source that several stores ask.

    Args:
        source: The source.
        key: What it is known by.
        now: Returns what it would be known by now, and may block; None where that is always the same.
    """

    def __init__(self, source: Source[CredentialT], key: object, now: Callable[[], object] | None) -> None:
        self.source = source
        self.cache = CredentialCache[CredentialT](source.refresh_threshold)
        self._key = key
        self._now = now

    def fetch(self) -> Plan[CredentialT]:
        """Get a credential; one that is no longer that of the key is for those alone who ask already."""
        if self._now is not None and (yield Call(self._now)) != self._key:
            _forget(self._key)
        return (yield from self.source.fetch())


def shared(
    make: Callable[[], Source[CredentialT]], told: object, look_again: Callable[[], object]
) -> Credentials[CredentialT]:
    """Return the credentials of a source that all stores ask which were told the same.

    Args:
        make: Makes the source, where there is none yet.
        told: All that it depends on, but for the environment: plain values.
        look_again: Returns what it would depend on now; it may block.
    """

    def now() -> object:
        try:
            return fingerprint(look_again())
        except BaseError:
            return None

    return _credentials(fingerprint(told), make, now)


def provided(provider: Callable[[], object], read: Callable[[object], CredentialT]) -> Credentials[CredentialT]:
    """Return the credentials that a function of the user's returns; stores that were given the same one share them.

    Args:
        provider: Returns one, or an awaitable of one.
        read: Checks what it returned, and takes it over.
    """
    # the source keeps the function, and so its id
    return _credentials((id(provider), read), lambda: Provided(provider, read), None)


def derived(
    base: Credentials[CredentialT], told: object, make: Callable[[], Source[CredentialT]]
) -> Credentials[CredentialT]:
    """Return credentials that are had for others; stores share them that have the same ones and were told the same.

    Args:
        base: The others; the source keeps them, and so what they are known by.
        told: What they are asked for, but for the environment: plain values.
        make: Makes the source, where there is none yet.
    """
    return _credentials((base.mark, fingerprint(told)), make, None)


def fingerprint(told: object) -> str:
    """Return what tells apart what was told and the environment, without holding their secrets."""
    text = Hidden(repr((_plain(told), sorted(os.environ.items()), _folder())))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _folder() -> str | None:
    """Return where relative paths begin."""
    try:
        return os.getcwd()
    except OSError:
        return None


def _plain(value: object) -> object:
    """Return a value whose repr tells all of it, as that of a dict of settings does not.

    Raises:
        TypeError: It may have a repr that does not.
    """
    if isinstance(value, Mapping):
        return sorted((name, _plain(each)) for name, each in value.items())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Hidden):
        return str(value)
    if isinstance(value, HiddenBytes):
        return bytes(value)
    if value is None or type(value) in (str, bytes, bool, int, float):
        return value
    raise TypeError(f"a {type(value).__name__} is not plain")


_known: dict[object, Any] = {}
_lock = threading.Lock()


def _reset() -> None:
    """Forget the lock that a thread may hold which a child process does not have."""
    global _lock
    _lock = threading.Lock()


def _credentials(
    key: object, make: Callable[[], Source[CredentialT]], now: Callable[[], object] | None
) -> Credentials[CredentialT]:
    with _lock:
        found: _Shared[CredentialT] = _known.pop(key, None) or _Shared(make(), key, now)
        _known[key] = found
        while len(_known) > MOST:
            del _known[next(iter(_known))]
    return Credentials(source=found.source, cache=found.cache, fetch=found.fetch)


def _forget(key: object) -> None:
    with _lock:
        _known.pop(key, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)
