"""Tokens for an application of Microsoft Entra ID, by its secret, its certificate or the word of somebody else.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow

Its one invariant: what proves who we are is read anew for each token, and goes to an https address only.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode, urlsplit

from objstore.credentials.chains.azure.answers import REFRESH_THRESHOLD, SCOPE, ask, read, token_of
from objstore.exceptions import ConfigurationError, UnauthenticatedError
from objstore.plans.effects import Call
from objstore.settings.masked import Hidden, HiddenBytes, hide

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from objstore.credentials.chains.azure.pinned import TokenProxy
    from objstore.credentials.token import AccessToken
    from objstore.credentials.web import Web
    from objstore.plans.effects import Plan

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""RFC 7523, section 2.2."""

_TENANT = re.compile(r"[A-Za-z0-9.-]+")
_MOST_TOKEN = 1 << 16


def authority_url(host: str) -> str:
    """Return where tokens are issued, as a URL without a slash at its end; a bare host will do.

    Raises:
        ConfigurationError: It is no https URL.
    """
    url = (host if "://" in host else f"https://{host}").strip().rstrip("/")
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0 and not parts.query and not parts.fragment
    except ValueError:
        usable = False
    if not usable or "@" in url or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError("authority_host is no URL", hint="Give a host, such as login.microsoftonline.com.")
    if parts.scheme != "https":
        raise ConfigurationError(
            f"authority_host = {url!r} is not https: secrets would be sent in the open",
            hint="Give a host, or an https URL.",
        )
    return url


def token_url(authority: str, tenant: str) -> str:
    """Return where a tenant's tokens are issued.

    Raises:
        ConfigurationError: The tenant cannot be one.
    """
    if not _TENANT.fullmatch(tenant):
        raise ConfigurationError(
            f"tenant_id = {tenant!r} is no tenant", hint="Give its id, or its domain: letters, digits, dots and dashes."
        )
    path = "adfs/oauth2/token" if tenant.lower() == "adfs" else f"{tenant}/oauth2/v2.0/token"
    return f"{authority_url(authority)}/{path}"


class Proof(Protocol):
    """How an application proves who it is."""

    def fields(self, url: str, client_id: str) -> Plan[dict[str, str]]:
        """Return the fields of the form that prove it."""


class Application:
    """An application that asks for tokens in its own name.

    Args:
        name: What the source is called.
        web: How to ask.
        url: Where; from `token_url`.
        client_id: The application.
        proof: How it proves who it is.
        proxy: Who passes the question on, in clusters that have one.
    """

    refresh_threshold = REFRESH_THRESHOLD

    def __init__(
        self, name: str, web: Web, url: str, client_id: str, proof: Proof, proxy: TokenProxy | None = None
    ) -> None:
        self.name = name
        self._web = web
        self._url = url
        self._client_id = client_id
        self._proof = proof
        self._proxy = proxy

    def fetch(self) -> Plan[AccessToken]:
        """Ask for a token.

        Raises:
            UnauthenticatedError: The proof is refused, or cannot be read.
            BaseError: The service cannot be reached, or fails.
        """
        proof = yield from self._proof.fields(self._url, self._client_id)
        form = {"client_id": self._client_id, "grant_type": "client_credentials", "scope": SCOPE, **proof}
        secrets = [value for value in proof.values() if value != ASSERTION_TYPE]
        return token_of("Microsoft Entra ID", (yield from self._post(HiddenBytes(urlencode(form).encode()), secrets)))

    def _post(self, body: bytes, secrets: list[str]) -> Plan[Mapping[str, object]]:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self._proxy is None:
            what = "Microsoft Entra ID"
            return (yield from ask(self._web, what, "POST", self._url, headers=headers, body=body, secrets=secrets))
        url = self._proxy.url(self._url)
        answer = yield Call(partial(self._proxy.send, "POST", url, headers, body))
        return read("The cluster's token proxy", url, answer, secrets)


class Secret:
    """The secret of an application.

    Args:
        secret: The secret.
    """

    def __init__(self, secret: str) -> None:
        self._secret = hide(secret)

    def fields(self, url: str, client_id: str) -> Plan[dict[str, str]]:
        """Return the secret."""
        return {"client_secret": self._secret}
        yield


class TokenFile:
    """A file with the token of somebody who vouches for the application, such as a cluster; others write it anew.

    Args:
        path: The file.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path)

    def fields(self, url: str, client_id: str) -> Plan[dict[str, str]]:
        """Return the token that the file has now."""
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": (yield Call(self._read))}

    def _read(self) -> str:
        what = f"The token file {str(self._path)!r} (federated_token_file)"
        try:
            with self._path.open("rb") as file:
                data = HiddenBytes(file.read(_MOST_TOKEN + 1))
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            raise UnauthenticatedError(f"{what} cannot be read: {reason}") from None
        text = Hidden(data.decode("ascii", "replace").strip())
        if not text or len(data) > _MOST_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
            raise UnauthenticatedError(f"{what} holds no token", hint="It is to hold one token, and nothing else.")
        return text
