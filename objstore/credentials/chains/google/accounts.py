"""Accounts of Google that a file holds the secret of: a service account's key, and what a user has allowed.

https://google.aip.dev/auth/4111, https://google.aip.dev/auth/4112, https://google.aip.dev/auth/4113
"""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from objstore._core import sign_rs256
from objstore.credentials.token import AccessToken
from objstore.credentials.web import access_token
from objstore.exceptions import UnauthenticatedError
from objstore.settings.masked import Hidden, HiddenBytes

if TYPE_CHECKING:
    from objstore.credentials.chains.google.document import Document
    from objstore.credentials.current import Credentials
    from objstore.credentials.web import Web
    from objstore.plans.effects import Plan

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
IAM_SCOPE = "https://www.googleapis.com/auth/iam"
"""What a token must be good for that asks for another account's."""

UNIVERSE = "googleapis.com"
REFRESH_THRESHOLD = timedelta(minutes=3, seconds=45)
"""How long before its end Google's library takes a token for stale: the metadata server has another one by then."""

_LIFE = 3600
_TOKEN_URL = "https://oauth2.googleapis.com/token"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Signer(Protocol):
    """Who signs in the name of a service account, as signed URLs need it.

    Attributes:
        longest: For how long its signatures are good, at the most.
    """

    longest: timedelta

    def email(self) -> Plan[str]:
        """Return the account."""

    def sign(self, data: bytes) -> Plan[bytes]:
        """Return the signature: RSASSA-PKCS1-v1_5 with SHA-256."""


class Account(Protocol):
    """Who we are, and how a token of theirs is had: a source of `AccessToken`.

    Attributes:
        name: What it is called where a store tells of itself.
        refresh_threshold: How long before its end a token is replaced.
    """

    name: str
    refresh_threshold: timedelta

    def signer(self, credentials: Credentials[AccessToken]) -> Signer | None:
        """Return who signs in its name; None for nobody.

        Args:
            credentials: The account's own tokens.
        """

    def fetch(self) -> Plan[AccessToken]:
        """Get a token, anew."""


class ServiceAccount:
    """A service account whose key we have: it signs its tokens itself, and needs nobody for that.

    Only where the file names a token server that is not Google's, that is asked.

    Args:
        document: The file.
        web: How to ask.
        scope: What the token is to be good for.

    Raises:
        ConfigurationError: The key cannot be used.
    """

    name = "service_account"
    refresh_threshold = REFRESH_THRESHOLD
    longest = timedelta(days=7)

    def __init__(self, document: Document, web: Web, scope: str = SCOPE) -> None:
        self._email = str(document.text("client_email"))
        self._pem = HiddenBytes(document.text("private_key").encode())
        self._key_id = document.optional("private_key_id")
        self._token_url = _foreign_token_url(document, web)
        self._web = web
        self._scope = scope
        try:
            self._sign(b"")
        except ValueError as error:
            raise document.refusal(f"has a private_key that cannot be used: {error}") from None

    def signer(self, credentials: Credentials[AccessToken]) -> Signer:
        """Return itself."""
        return self

    def email(self) -> Plan[str]:
        """Return the account."""
        yield from ()
        return self._email

    def sign(self, data: bytes) -> Plan[bytes]:
        """Sign by the key."""
        yield from ()
        return self._sign(data)

    def _sign(self, data: bytes) -> bytes:
        return sign_rs256(bytes(self._pem), data)

    def fetch(self) -> Plan[AccessToken]:
        """Sign a token, or have one for what was signed."""
        now = int(time.time())
        if self._token_url is None:
            token = self._jwt({"sub": self._email}, now)
            return AccessToken(token, datetime.fromtimestamp(now + _LIFE, UTC))
        what = "The token server of the service account"
        fields = {"grant_type": _GRANT, "assertion": self._jwt({"aud": self._token_url}, now)}
        return access_token(what, (yield from self._web.post_form(what, self._token_url, fields)))

    def _jwt(self, more: dict[str, str], now: int) -> str:
        """Write a JSON Web Token (RFC 7519) and sign it by RS256 (RFC 7518, section 3.3)."""
        header = {"alg": "RS256", "typ": "JWT"} | ({"kid": self._key_id} if self._key_id else {})
        claims = {"iss": self._email, "scope": self._scope, "iat": now, "exp": now + _LIFE, **more}
        text = f"{_part(header)}.{_part(claims)}"
        return Hidden(f"{text}.{_base64url(self._sign(text.encode()))}")


def _foreign_token_url(document: Document, web: Web) -> str | None:
    """Return the token server that must be asked: other universes than Google's own take signed tokens only."""
    if "token_uri" not in document or document.optional("universe_domain") not in (None, UNIVERSE):
        return None
    url = document.url("token_uri", allow_http=web.allow_http)
    host = urlsplit(url).hostname or ""
    return None if host == "accounts.google.com" or host.endswith(f".{UNIVERSE}") else url


def _part(fields: dict[str, object] | dict[str, str]) -> str:
    return _base64url(json.dumps(fields, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class AuthorizedUser:
    """A user who has allowed gcloud to act for them; https://www.rfc-editor.org/rfc/rfc6749#section-6.

    Args:
        document: The file.
        web: How to ask.
    """

    name = "authorized_user"
    refresh_threshold = REFRESH_THRESHOLD

    def __init__(self, document: Document, web: Web) -> None:
        if document.optional("universe_domain") not in (None, UNIVERSE):
            raise document.refusal(f"is of a user, and users are known to {UNIVERSE} alone", "Give a service account.")
        self._fields = {name: document.text(name) for name in ("client_id", "client_secret", "refresh_token")}
        self._scopes = " ".join(document.texts("scopes"))
        self._web = web

    def signer(self, credentials: Credentials[AccessToken]) -> None:
        """Return nobody: a user signs nothing."""

    def fetch(self) -> Plan[AccessToken]:
        """Have a token for the refresh token."""
        fields = {"grant_type": "refresh_token", **self._fields, "scope": self._scopes}
        what = "Google's token server, asked for the user"
        return access_token(what, (yield from self._web.post_form(what, _TOKEN_URL, fields)))


class ExternalUser:
    """A user of another identity provider, signed in by gcloud (workforce); https://google.aip.dev/auth/4117.

    Args:
        document: The file.
        web: How to ask.
    """

    name = "external_account_authorized_user"
    refresh_threshold = REFRESH_THRESHOLD

    def __init__(self, document: Document, web: Web) -> None:
        self._url = document.url("token_url", allow_http=web.allow_http)
        self._authorization = basic(document.text("client_id"), document.text("client_secret"))
        self._refresh_token = document.text("refresh_token")
        self._web = web

    def signer(self, credentials: Credentials[AccessToken]) -> None:
        """Return nobody: a user signs nothing."""

    def fetch(self) -> Plan[AccessToken]:
        """Have a token for the refresh token, which may be replaced by it."""
        what = "The token server of the external user"
        fields = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        answer = yield from self._web.post_form(what, self._url, fields, self._authorization)
        token, renewed = access_token(what, answer), answer.get("refresh_token")
        if renewed is not None and not isinstance(renewed, str):
            raise UnauthenticatedError(f"{what} gave a refresh token that is no text")
        self._refresh_token = renewed or self._refresh_token
        return token


def basic(name: str, secret: str) -> dict[str, str]:
    """Return the header of HTTP's basic authentication (RFC 7617)."""
    return {"Authorization": Hidden(f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}")}
