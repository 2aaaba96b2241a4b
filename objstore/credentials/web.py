"""Questions to the services that give out Google's tokens.

Its one invariant: what was sent or received comes up in no message, but the service's own error code and words, and
those only where they repeat nothing that is secret.
"""

from __future__ import annotations

import json
import random
import re
import time
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote_plus, unquote, urlencode, urlsplit

from objstore.credentials.current import spread
from objstore.credentials.token import AccessToken
from objstore.exceptions import ConfigurationError, UnauthenticatedError
from objstore.http.client import client_settings
from objstore.http.retry import understand
from objstore.http.single import send
from objstore.plans.effects import Sleep
from objstore.settings.masked import Hidden, HiddenBytes, hide
from objstore.settings.options import of_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from objstore._core import ClientSettings, Reply
    from objstore.exceptions import BaseError
    from objstore.plans.effects import Plan

_NEAR = ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10", "fd00:ec2::/64")
_NOT_IN_URLS = frozenset(' #\\"<>^`')
_PATIENCE = 4.0
"""For how many seconds after the first try another one may begin."""

_PUBLIC = frozenset(
    (
        *("content-type", "metadata-flavor", "x-aws-ec2-metadata-token-ttl-seconds", "x-goog-user-project"),
        *("audience", "client_id", "grant_type", "requested_token_type", "scope", "subject_token_type"),
    )
)
"""Headers, and fields of forms, that hold no secret."""

_PART = re.compile(r"[\w.~+/=%-]{6,}")
_HINTS = {
    "PERMISSION_DENIED": "Give who asks the role roles/iam.serviceAccountTokenCreator on that account.",
    "invalid_grant": "Sign in again, or give another file of credentials.",
}
_BUSY = frozenset((408, 429, 500, 502, 503, 504))


class Limits(NamedTuple):
    """How long to wait, and how often to try.

    Args:
        seconds: The most for a whole try.
        tries: The most of them.
    """

    seconds: float
    tries: int


SERVICE = Limits(8, 4)
"""For services in the network."""

NEARBY = Limits(3, 5)
"""For a metadata server that is known to be there: https://cloud.google.com/compute/docs/metadata/querying-metadata"""


class Web:
    """Requests to token services, which all connect alike.

    Args:
        values: The typed values of ``client_options``.
        user_agent: The User-Agent where the caller set none.
    """

    def __init__(self, values: Mapping[str, Any], user_agent: str) -> None:
        self._values = values
        self._user_agent = user_agent
        self.allow_http = bool(values["allow_http"])

    @property
    def told(self) -> object:
        """All that decides how services are asked, but for the environment."""
        return of_client(self._values), self._user_agent

    def ask(
        self,
        what: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limits: Limits = SERVICE,
    ) -> Plan[Reply]:
        """Send a request until it is answered with 200.

        Args:
            what: Who is asked, for messages.
            method: The method.
            url: A URL that `check_url` has seen.
            headers: Its headers.
            body: Its body.
            limits: How long to wait.

        Raises:
            UnauthenticatedError: The service refuses.
            BaseError: It cannot be reached, or fails.
        """
        reply = yield from self.try_to_ask(method, url, headers=headers, body=body, limits=limits)
        if reply.error is not None or reply.status != 200:
            raise failure(what, url, reply, [*_secrets(headers or {}, body)])
        return reply

    def try_to_ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limits: Limits = SERVICE,
    ) -> Plan[Reply]:
        """Send a request until it is answered, other than that the service is busy; return the last reply."""
        yield from spread()
        parts = urlsplit(url)
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        origin, settings = f"{parts.scheme}://{parts.netloc}", self._settings(url, limits)
        began, tried = time.monotonic(), 0
        while True:
            reply = yield from send(method, origin, target, settings, headers=headers, body=body)
            tried += 1
            answered = reply.error is None and reply.status not in _BUSY
            if answered or tried == limits.tries or time.monotonic() - began > _PATIENCE:
                return reply
            yield Sleep(random.uniform(0.05, 0.1) * 2**tried)

    def _settings(self, url: str, limits: Limits) -> ClientSettings:
        """Return how to connect: to the machine's own neighbours without a proxy, and to all in HTTP/1.1."""
        seconds = limits.seconds
        proxy = {"proxy_url": ""} if is_near(urlsplit(url).hostname or "") else {}
        connect = min(self._values["connect_timeout"] or seconds, seconds)
        times = {"connect_timeout": connect, "first_byte_timeout": seconds, "timeout": seconds}
        values = {**self._values, **proxy, **times, "http1_only": True, "http2_only": False}
        return client_settings(values, urlsplit(url).scheme, self._user_agent)

    def post_form(
        self, what: str, url: str, fields: Mapping[str, str | None], headers: Mapping[str, str] | None = None
    ) -> Plan[Mapping[str, Any]]:
        """Send a form without its empty fields, and return the JSON object of the answer."""
        form = HiddenBytes(urlencode({name: value for name, value in fields.items() if value}).encode())
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return json_object(what, (yield from self.ask(what, "POST", url, headers=sent, body=form)))

    def post_json(
        self, what: str, url: str, fields: Mapping[str, object], headers: Mapping[str, str]
    ) -> Plan[Mapping[str, Any]]:
        """Send a JSON object, and return that of the answer."""
        sent = {"Content-Type": "application/json", **headers}
        body = HiddenBytes(json.dumps(fields).encode())
        return json_object(what, (yield from self.ask(what, "POST", url, headers=sent, body=body)))


def check_url(url: str, where: str, *, allow_http: bool, near: bool = False) -> str:
    """Return a URL that a secret may be sent to, or asked of.

    Args:
        url: The URL.
        where: What it is, for messages.
        allow_http: Whether plain http to this machine will do.
        near: Whether plain http to this machine or its metadata server will do without that.

    Raises:
        ConfigurationError: It is another one.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    whole = url.isascii() and url.isprintable() and _NOT_IN_URLS.isdisjoint(url)
    if not host or not whole or "@" in parts.netloc:
        raise ConfigurationError(f"{where} is no URL that can be asked", hint="Give https://, a host and a path.")
    if parts.scheme == "https" or (parts.scheme == "http" and (near or allow_http) and is_near(host)):
        return url
    raise ConfigurationError(
        f"{where} is a URL of {parts.scheme}://{host}, where a secret can be overheard", hint="Give an https URL."
    )


def is_near(host: str) -> bool:
    """Tell whether a host is this machine, or its metadata server."""
    from ipaddress import ip_address, ip_network

    if host in ("localhost", "metadata.google.internal"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in ip_network(network) for network in _NEAR)


def failure(what: str, url: str, reply: Reply, secrets: Sequence[str]) -> BaseError:
    """Return the error for a request that was not answered with 200.

    Args:
        what: Who was asked.
        url: Where; its query is kept to ourselves.
        reply: The reply.
        secrets: What was sent.
    """
    parts = urlsplit(url)
    place = f"{what} ({parts.scheme}://{parts.netloc}{parts.path})"
    code, words = _words(reply, secrets)
    row = understand(reply, {}, code, words).row
    refused = reply.error is None and 400 <= reply.status < 500 and reply.status not in _BUSY
    kind = UnauthenticatedError if refused else row.error
    told = ", ".join(filter(None, (code, words)))
    fault = reply.error or f"HTTP {reply.status}{': ' if told else ''}{told}"
    return kind(
        f"{place} gave no answer to use: {fault}", hint=_HINTS.get(code or ""), status=reply.status or None, code=code
    )


def _words(reply: Reply, secrets: Sequence[str]) -> tuple[str | None, str]:
    """Return the service's error code and words (RFC 6749, section 5.2; https://google.aip.dev/193)."""
    try:
        fields = json.loads(bytes(reply.body)) if reply.error is None else {}
    except (ValueError, RecursionError):
        fields = {}
    error = fields.get("error") if isinstance(fields, dict) else None
    if isinstance(error, dict):
        code, words = error.get("status"), error.get("message")
    else:
        code, words = error, fields.get("error_description") if isinstance(fields, dict) else None
    return _told(code, secrets) or None, _told(words, secrets)


def _told(words: object, secrets: Sequence[str]) -> str:
    """Return words that may be repeated: short, printable, and without any part of a secret."""
    if not isinstance(words, str) or len(words) > 300 or not words.isprintable():
        return ""
    return "" if any(part in words for secret in secrets for part in _PART.findall(secret)) else words


def _secrets(headers: Mapping[str, str], body: bytes | None) -> Iterator[str]:
    """Return what was sent that nobody else may see: values of headers and of a form, plain and as they are sent."""
    for name, value in headers.items():
        if name.lower() not in _PUBLIC:
            yield value
            if value.startswith("Basic "):
                yield b64decode(value[6:]).decode()
    for name, value in parse_qsl((body or b"").decode()):
        if name not in _PUBLIC:
            yield from (value, quote_plus(value), unquote(value))


def json_object(what: str, reply: Reply) -> Mapping[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        UnauthenticatedError: It is none.
    """
    try:
        fields = json.loads(bytes(reply.body))
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise UnauthenticatedError(f"{what} answered with something that is no JSON object")
    found: Mapping[str, Any] = hide(fields)
    return found


def access_token(what: str, answer: Mapping[str, Any]) -> AccessToken:
    """Return the token of an answer (RFC 6749, section 5.1).

    Raises:
        UnauthenticatedError: There is none, or it does not say how long it is good.
    """
    seconds = answer.get("expires_in")
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdecimal():  # some servers write it as a text
        seconds = int(seconds)
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 <= seconds < 1e9:
        raise UnauthenticatedError(f"{what} gave a token without saying how long it is good")
    return AccessToken(sendable(what, answer.get("access_token")), datetime.now(UTC) + timedelta(seconds=seconds))


def sendable(what: str, token: object) -> str:
    """Return a token that can be sent in a header.

    Raises:
        UnauthenticatedError: It is none.
    """
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token or not token:
        raise UnauthenticatedError(f"{what} gave no token, or one that cannot be sent")
    return Hidden(token)
