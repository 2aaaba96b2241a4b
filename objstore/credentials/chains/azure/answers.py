"""What the services that give out Microsoft's tokens answer, read into tokens and errors.

Its one invariant: what was sent, and any token in an answer, comes up in no message.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, quote_plus, urlsplit

from objstore.credentials.token import AccessToken
from objstore.credentials.web import SERVICE, sendable
from objstore.exceptions import ConnectionFailedError, GenericError, UnauthenticatedError
from objstore.settings.masked import HiddenBytes, hide

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from objstore._core import Reply
    from objstore.credentials.web import Limits, Web
    from objstore.exceptions import BaseError
    from objstore.plans.effects import Plan

RESOURCE = "https://storage.azure.com"
SCOPE = f"{RESOURCE}/.default"
"""What tokens are for: the same in all clouds.

https://learn.microsoft.com/azure/storage/blobs/authorize-access-azure-active-directory#microsoft-authentication-library-msal
"""

REFRESH_THRESHOLD = timedelta(seconds=300)
"""How long before its end a token is replaced, as azure-identity does."""

_LAST_SECOND = 253402300799.0
"""The end of the year 9999, the last that a datetime knows."""

_BUSY = frozenset((408, 429))
_JWT = re.compile(r"eyJ[\w.-]+")
_TRAILER = re.compile(r"\s*Trace ID: .*", re.DOTALL)


class AbsentError(UnauthenticatedError):
    """Report that a source has nothing to give here; another one may."""


class Said(NamedTuple):
    """Hold an answer, or why there is none.

    Args:
        status: Its status; 0 for none.
        body: Its body.
        error: Why there is none.
        headers: Its headers, with names in lower case.
    """

    status: int
    body: bytes
    error: str | None
    headers: Mapping[str, str]


def said(reply: Reply) -> Said:
    """Return what a reply says."""
    if reply.error is not None:
        return Said(0, b"", reply.error, {})
    return Said(reply.status, HiddenBytes(reply.body), None, reply.headers)


def ask(
    web: Web,
    what: str,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    secrets: Iterable[str] = (),
    limits: Limits = SERVICE,
) -> Plan[Mapping[str, Any]]:
    """Send a request, and return the JSON object of its answer.

    Args:
        web: How to ask.
        what: Who is asked, for messages.
        method: The method.
        url: The URL.
        headers: The headers.
        body: The body.
        secrets: What no message may repeat.
        limits: How long to wait, and how often to try.

    Raises:
        BaseError: There is no answer, or one with another status than 200.
    """
    reply = yield from web.try_to_ask(method, url, headers=headers, body=body, limits=limits)
    return read(what, url, said(reply), secrets)


def read(what: str, url: str, answer: Said, secrets: Iterable[str]) -> Mapping[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        BaseError: There is no answer, or one with another status than 200.
    """
    if answer.status != 200:
        raise failure(what, url, answer, secrets)
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnauthenticatedError(f"{what} answered with something that is no JSON object")
    hidden: Mapping[str, Any] = hide(found)
    return hidden


def failure(what: str, url: str, answer: Said, secrets: Iterable[str]) -> BaseError:
    """Return the error for an answer without a token; of the URL it shows no query."""
    parts = urlsplit(url)
    place = f"{what} ({parts.scheme}://{parts.netloc}{parts.path})"
    if answer.error is not None:
        return ConnectionFailedError(f"{place} gave no token: {masked(answer.error, secrets)}")
    code, words = _words(answer.body)
    told = ": ".join(masked(part, secrets) for part in (code, words) if part)
    refused = 300 <= answer.status < 500 and answer.status not in _BUSY
    kind = UnauthenticatedError if refused else GenericError
    text = f"{place} gave no token: HTTP {answer.status}{', ' if told else ''}{told}"
    return kind(text, status=answer.status, code=masked(code, secrets) if code else None)


def _words(body: bytes) -> tuple[str, str]:
    """Return error code and words of an answer (RFC 6749, section 5.2, and what App Service and Service Fabric say)."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(found, dict):
        return "", ""
    error = found.get("error")
    inner = error if isinstance(error, dict) else {"code": error, "message": found.get("error_description")}
    code, words = inner.get("code"), inner.get("message") or found.get("message")
    return _short(code), _short(words)


def _short(text: object) -> str:
    """Return what a service says, on one line, without the numbers of its own logs."""
    line = " ".join(_TRAILER.sub("", text).split()) if isinstance(text, str) else ""
    return line[:500] if line.isprintable() else ""


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a text without secrets, in any form they were sent in, and without tokens."""
    for secret in secrets:
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(form, "***") if form else text
    return _JWT.sub("***", text)


def token_of(what: str, answer: Mapping[str, Any], *, token: str = "access_token") -> AccessToken:
    """Return the token of an answer that says when it ends: ``expires_on`` (epoch) or ``expires_in`` (seconds).

    Raises:
        UnauthenticatedError: There is no token, or it does not say how long it is good.
    """
    end = _number(answer.get("expires_on"))
    life = _number(answer.get("expires_in"))
    if end is None and life is not None:
        end = time.time() + life
    if end is None:
        raise UnauthenticatedError(f"{what} gave a token without saying how long it is good")
    return AccessToken(sendable(what, answer.get(token)), moment(end))


def _number(value: object) -> float | None:
    """Return a number that some services write as a text; None where it is none."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None
    return None if number is None or number != number else number


def moment(epoch: float) -> datetime:
    """Return an aware time; what lies outside of all years is the first or last moment there is."""
    return datetime.fromtimestamp(min(max(epoch, 0.0), _LAST_SECOND), UTC)
