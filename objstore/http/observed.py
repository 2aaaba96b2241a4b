"""What one can see of requests: a line in the log and a call of a hook for every try, and why one is made again.

`logging` is asked only where something has imported it: before, nobody can be listening.

Its one invariant: whatever a listener does, an operation returns and raises what it would without.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from threading import local
from typing import TYPE_CHECKING

from objstore.exceptions import ConfigurationError
from objstore.types import RequestInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from logging import Logger
    from typing import TypeAlias

    from objstore._core import Try

    Hook: TypeAlias = Callable[[RequestInfo], object]

TOLD_WITHIN = 0.25
"""After how many seconds at the most a listener is told of a try that has ended."""

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40
LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}
"""The levels that the environment can name, by their numbers in `logging`."""

REQUESTS, RETRIES = "objstore.request", "objstore.retry"
"""The names of the loggers."""

LINE = "%s %s -> %s, %d bytes sent, %d received in %.1f ms (%s %r, try %d, connection %s, request id %s)"

_hooks: list[Hook] = []  # that of the program, and the meter
_roles: dict[str, Hook] = {}
_loggers: dict[str, Logger] = {}
_complained: set[object] = set()
_own = local()  # whether this thread is telling


def set_hook(hook: Hook | None, role: str = "program") -> None:
    """Have a function told of every try from the next call on, or none; one in each role."""
    from inspect import iscoroutinefunction

    if hook is not None and (not callable(hook) or iscoroutinefunction(hook)):
        raise TypeError(
            f"on_request must be a function that takes a RequestInfo, or None, not {hook!r}; it is not awaited"
        )
    _roles.pop(role, None)
    if hook is not None:
        _roles[role] = hook
    _hooks[:] = _roles.values()
    _complained.clear()


def is_heard() -> bool:
    """Tell whether somebody wants to know of every request."""
    if _hooks:
        return True
    log = _loggers.get(REQUESTS)  # at once, where it is known: this is asked at every call
    return _log_for(REQUESTS, DEBUG) is not None if log is None else log.isEnabledFor(DEBUG)


def request_info(
    tried: Try, method: str, origin: str, *, id_header: str = "", store: str = "", bucket: str | None = None, path: str
) -> RequestInfo:
    """Describe a try, without what may be secret: the query of its URL."""
    return RequestInfo(
        method=method,
        url=origin + tried.target.partition(b"?")[0].decode("latin-1"),
        store=store or None,
        bucket=bucket,
        path=path,
        status=tried.status or None,
        error=tried.error,
        attempt=tried.attempt,
        connection=tried.connection,
        bytes_sent=tried.sent,
        bytes_received=tried.received,
        started=time.time() - tried.age,
        wait=tried.wait if tried.wait >= 0 else None,
        seconds=tried.seconds,
        request_id=tried.headers.get(id_header) if id_header else None,
    )


def tell(infos: Iterable[RequestInfo]) -> None:
    """Tell whoever listens how tries of requests ended; but not of those that a listener makes itself."""
    if getattr(_own, "telling", False):
        return
    _own.telling = True
    try:
        for info in infos:
            _tell_all(info)
    finally:
        _own.telling = False


def _tell_all(info: RequestInfo) -> None:
    for listener in (*_hooks, _write):
        try:
            listener(info)
        except Exception:
            _complain(listener)


def tell_retry(message: str, *arguments: object, warn: bool) -> None:
    """Say in the log that a request is sent again, and why."""
    level = WARNING if warn else INFO
    log = _log_for(RETRIES, level)
    if log is not None:
        with suppress(Exception):
            log.log(level, message, *arguments)


def _write(info: RequestInfo) -> None:
    """Write the line of a try into the log."""
    log = _log_for(REQUESTS, DEBUG)
    if log is not None:
        milliseconds = 1000 * info.seconds
        outcome = info.error if info.status is None else info.status
        place = f"{info.store or 'credentials'}{'' if info.bucket is None else f' {info.bucket!r}'}"
        counts = (info.bytes_sent, info.bytes_received, milliseconds)
        told = (place, info.path, info.attempt, info.connection or "none", info.request_id or "none")
        log.debug(LINE, info.method, info.url, outcome, *counts, *told, extra={"request": info})


def _complain(listener: Hook) -> None:
    """Say in the log, once, that a listener failed."""
    if listener in _complained:
        return
    _complained.add(listener)
    with suppress(Exception):
        _logger("objstore").exception(
            "The on_request hook %r failed; it is called again, but not complained of", listener
        )


def _log_for(name: str, level: int) -> Logger | None:
    """Return a logger if it takes messages of a level; None where nobody has any use of `logging`."""
    if "logging" not in sys.modules:
        return None
    log = _loggers.get(name) or _logger(name)
    return log if log.isEnabledFor(level) else None


def _logger(name: str) -> Logger:
    """Return a logger; what nobody handles goes nowhere, as is the custom of libraries."""
    import logging

    root = logging.getLogger("objstore")
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    return _loggers.setdefault(name, logging.getLogger(name))


def _listen_as_said(level: str) -> None:
    """Write to standard error what the environment asks for, unless the program has handlers of its own.

    Raises:
        ConfigurationError: It is no level.
    """
    if level.lower() not in LEVELS:
        raise ConfigurationError(f"OBJSTORE_LOG is {level!r}", hint=f"Give one of {', '.join(LEVELS)}.")
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda _: not logging.getLogger().handlers)
    root = logging.getLogger("objstore")
    root.addHandler(handler)
    root.setLevel(LEVELS[level.lower()])


if os.environ.get("OBJSTORE_LOG"):
    _listen_as_said(os.environ["OBJSTORE_LOG"])
