"""How the services of AWS that hand out credentials are asked, and what they answer.

Its one invariant: an answer is either a complete credential or an error, and no error quotes the answer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from objstore.credentials.aws import Credential
from objstore.exceptions import ConfigurationError, UnauthenticatedError
from objstore.http.client import split_endpoint
from objstore.http.single import send
from objstore.plans.effects import Sleep
from objstore.settings.masked import hide

if TYPE_CHECKING:
    from objstore._core import ClientSettings, Reply, Signer
    from objstore.plans.effects import Plan

TRIES = 3

WINDOW = timedelta(minutes=15)
"""How long before its end a credential is replaced, as botocore does."""


def ask(
    what: str,
    method: str,
    url: str,
    settings: ClientSettings,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    signer: Signer | None = None,
    tries: int = TRIES,
    pause: float | None = None,
) -> Plan[Reply]:
    """Send a request, again where the service is down for a moment, and return the reply, whatever its status is.

    Args:
        what: The service, for messages.
        method: The method.
        url: The URL. Its query may be secret and is in no message.
        settings: How to connect, and how long to wait.
        headers: The headers.
        body: The body.
        signer: What signs the request.
        tries: How often to send it at the most.
        pause: How long to wait between tries, in seconds; longer each time if not given.

    Raises:
        UnauthenticatedError: There was no reply.
    """
    origin, target = split_url(url, what)
    for attempt in range(1, tries + 1):
        reply = yield from send(method, origin, target, settings, headers=headers, body=body, signer=signer)
        again = reply.error is not None or reply.status == 429 or reply.status >= 500
        if not again or attempt == tries:
            break
        yield Sleep(random.uniform(0, 0.2 * 2**attempt) if pause is None else pause)
    if reply.error is not None:
        raise UnauthenticatedError(f"{what} at {origin} could not be asked: {reply.error}", attempts=attempt)
    return reply


def split_url(url: str, what: str) -> tuple[str, str]:
    """Return scheme, host and port of a URL, and its path and query.

    Raises:
        UnauthenticatedError: It names a user, which no request can carry and messages would show.
    """
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise UnauthenticatedError(f"{what} cannot be at a URL that names a user or a password")
    return f"{parts.scheme}://{parts.netloc}", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def origin_of(url: str, allow_http: bool, what: str) -> str:
    """Return the URL of a service that gets secrets, if they are safe on the way.

    Raises:
        UnauthenticatedError: It is plain http, and that was not allowed.
    """
    try:
        origin, path = split_endpoint(url, allow_http)
    except ConfigurationError as error:
        raise UnauthenticatedError(f"{what} cannot be asked: {error}") from None
    return origin + path


def refused(what: str, reply: Reply, code: str = "", hint: str | None = None) -> UnauthenticatedError:
    """Return the error for a reply that holds no credential."""
    said = f"HTTP {reply.status}" + (f", {code}" if code else "")
    return UnauthenticatedError(
        f"{what} gave no credential ({said})", hint=hint, status=reply.status, code=code or None
    )


def json_object(what: str, body: bytes) -> Mapping[str, Any]:
    """Read a JSON object.

    Raises:
        UnauthenticatedError: It is none.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):  # its message may quote the text
        found = None
    if not isinstance(found, Mapping):
        raise UnauthenticatedError(f"{what} gave no JSON object")
    hidden: Mapping[str, Any] = hide(found)
    return hidden


def credential(
    what: str, fields: Mapping[str, Any], names: tuple[str, str, str, str], *, lasting: bool = False
) -> Credential:
    """Make a credential of a service's answer.

    Args:
        what: The service, for messages.
        fields: The answer.
        names: What it calls the key, its secret, the session token and the end.
        lasting: Whether the token and the end may be missing.

    Raises:
        UnauthenticatedError: Something is missing, or cannot be sent in a header.
    """
    key, secret, token, end = names
    needed = (key, secret) if lasting else names
    missing = [name for name in needed if fields.get(name) in (None, "")]
    if missing:
        raise UnauthenticatedError(f"{what} gave a credential without {', '.join(missing)}")
    given = {name: fields.get(name) or None for name in (key, secret, token)}
    for name, value in given.items():
        if value is not None and not can_be_sent(value):
            raise UnauthenticatedError(f"{what} gave {name} with characters that no credential has")
    expires_at = None if fields.get(end) in (None, "") else moment(fields[end], f"{end} of {what}")
    return Credential(str(given[key]), str(given[secret]), given[token], expires_at)


def can_be_sent(value: object) -> bool:
    """Return whether a value can be sent in a header."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value


def moment(value: object, what: str) -> datetime:
    """Read a time: ISO 8601, or milliseconds since 1970; without a zone it is UTC.

    Raises:
        UnauthenticatedError: It is no time.
    """
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000, UTC)
        found = datetime.fromisoformat(str(value).strip().removesuffix("UTC"))
    except (ValueError, OverflowError, OSError):
        raise UnauthenticatedError(f"{what} is no time") from None
    return found if found.utcoffset() is not None else found.replace(tzinfo=UTC)
