"""Credentials of NASA Earthdata, for S3 buckets that are open to who has an Earthdata login.

The buckets can be read from machines in the region us-west-2 only. Needs ``objstore[earthdata]``.
"""

from __future__ import annotations

import base64
import json
import os
from datetime import datetime
from netrc import NetrcParseError, netrc
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urljoin, urlsplit

from objstore.auth._extras import extra
from objstore.auth._http import TIMEOUT, async_session, new_session
from objstore.exceptions import UnauthenticatedError
from objstore.settings.masked import Hidden, hide

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from objstore.auth._http import AsyncSession
    from objstore.types import S3Config, S3Credential

__all__ = ["DEFAULT_EARTHDATA_HOST", "NasaEarthdataAsyncCredentialProvider", "NasaEarthdataCredentialProvider"]

DEFAULT_EARTHDATA_HOST = "urs.earthdata.nasa.gov"
"""Where Earthdata users log in."""

Auth: TypeAlias = str | tuple[str, str]


class _Provider:
    """What the two providers share: whom to ask, as whom, and what the answers mean."""

    def __init__(self, credentials_url: str, host: str | None, auth: Auth | None) -> None:
        self.config: S3Config = {"region": "us-west-2"}
        self._credentials_url = credentials_url
        self._host = host or os.environ.get("EARTHDATA_HOST") or DEFAULT_EARTHDATA_HOST
        self._auth: Auth | None = hide(auth or _auth_of_environment() or _auth_of_netrc(self._host))
        self._closed = False

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": Hidden(f"Bearer {self._auth}")} if isinstance(self._auth, str) else {}

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("This credential provider was closed: make a new one")

    def _login(self, location: str) -> tuple[str, dict[str, str]]:
        """Return where a redirect leads, and who we are there: the password goes to the login's host alone."""
        if isinstance(self._auth, str):
            raise _refused(f"{self._credentials_url} does not accept the token", "Make a new one, or check its end.")
        url = urljoin(self._credentials_url, location)
        if self._auth is None or urlsplit(url).hostname != self._host:
            return url, {}
        return url, {"Authorization": Hidden(f"Basic {base64.b64encode(':'.join(self._auth).encode()).decode()}")}


class NasaEarthdataCredentialProvider(_Provider):
    """A credential provider for S3Store.

    Args:
        credentials_url: The data centre's address for S3 credentials.
        host: Where to log in: ``$EARTHDATA_HOST``, or else DEFAULT_EARTHDATA_HOST, if not given.
        auth: A token, or user and password. If not given: ``$EARTHDATA_TOKEN``, or else ``$EARTHDATA_USERNAME`` and
            ``$EARTHDATA_PASSWORD``, or else what the netrc file (``$NETRC``) has for the host.
        session: The session to ask with; if not given, one of its own that `close` ends.

    Attributes:
        config: The region of the buckets; S3Store takes it where none is given.

    Source: https://urs.earthdata.nasa.gov/documentation/for_users/data_access/python
    """

    def __init__(
        self,
        credentials_url: str,
        *,
        host: str | None = None,
        auth: Auth | None = None,
        session: requests.Session | None = None,
    ) -> None:
        super().__init__(credentials_url, host, auth)
        self._own_session = session is None
        self._session = session or new_session("earthdata")

    @property
    def session(self) -> requests.Session:
        """The session that is asked with.

        Raises:
            ValueError: The provider was closed.
        """
        self._check_open()
        return self._session

    def __call__(self) -> S3Credential:
        """Return a new credential."""
        url = self._credentials_url
        with self.session.get(url, auth=_own(self._headers), allow_redirects=False, timeout=TIMEOUT) as reply:
            reply.raise_for_status()
            if not reply.is_redirect:
                return _read(reply.text)
            location, headers = self._login(reply.headers["location"])
        with self.session.get(location, auth=_own(headers), timeout=TIMEOUT) as reply:
            reply.raise_for_status()
            return _read(reply.text)

    def close(self) -> None:
        """Close the session, if it is not the caller's."""
        if self._own_session:
            self._closed = True
            self._session.close()


class NasaEarthdataAsyncCredentialProvider(_Provider):
    """A credential provider for S3Store that keeps no event loop waiting.

    Args:
        credentials_url: As for NasaEarthdataCredentialProvider.
        host: As for NasaEarthdataCredentialProvider.
        auth: As for NasaEarthdataCredentialProvider.
        session: The session to ask with; if not given, one of its own for each credential.

    Attributes:
        config: The region of the buckets; S3Store takes it where none is given.
    """

    def __init__(
        self,
        credentials_url: str,
        *,
        host: str | None = None,
        auth: Auth | None = None,
        session: AsyncSession | None = None,
    ) -> None:
        super().__init__(credentials_url, host, auth)
        extra("earthdata", "aiohttp")
        self._session = session

    @property
    def session(self) -> AsyncSession | None:
        """The caller's session.

        Raises:
            ValueError: The provider was closed.
        """
        self._check_open()
        return self._session

    async def __call__(self) -> S3Credential:
        """Return a new credential."""
        async with async_session("earthdata", self.session) as session:
            url = self._credentials_url
            async with session.get(url, headers=self._headers, allow_redirects=False) as reply:
                reply.raise_for_status()
                if reply.status // 100 != 3:
                    return _read(await reply.text())
                location, headers = self._login(reply.headers["location"])
            async with session.get(location, headers=headers) as reply:
                reply.raise_for_status()
                return _read(await reply.text())

    async def close(self) -> None:
        """Refuse to be used again, unless the session is the caller's."""
        self._closed = self._session is None


def _auth_of_environment() -> Auth | None:
    if token := os.environ.get("EARTHDATA_TOKEN"):
        return token
    user, password = os.environ.get("EARTHDATA_USERNAME"), os.environ.get("EARTHDATA_PASSWORD")
    return (user, password) if user and password else None


def _auth_of_netrc(host: str) -> Auth | None:
    try:
        found = netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, NetrcParseError):
        return None
    return (found[0], found[2]) if found else None


def _own(headers: dict[str, str]) -> Callable[[requests.PreparedRequest], requests.PreparedRequest] | None:
    """Return headers as requests takes them for stronger than what a netrc file says."""

    def set_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(headers)
        return request

    return set_headers if headers else None


def _read(text: str) -> S3Credential:
    """Read the answer, whatever type it says it is; a page to log in on is no JSON."""
    try:
        fields = json.loads(text)
    except ValueError:
        hint = "Check user and password, and that they are for this host."
        raise _refused("Earthdata Login does not accept the user and password", hint) from None
    return {
        "access_key_id": fields["accessKeyId"],
        "secret_access_key": fields["secretAccessKey"],
        "token": fields["sessionToken"],
        "expires_at": datetime.fromisoformat(fields["expiration"]),
    }


def _refused(message: str, hint: str) -> UnauthenticatedError:
    return UnauthenticatedError(message, hint=hint, status=401)
