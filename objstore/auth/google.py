"""Credentials of Google Cloud from google-auth, which knows all their kinds: federation and impersonation too.

Needs ``objstore[google]``.
"""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from objstore._core import may_have_threads
from objstore.auth._extras import extra

if TYPE_CHECKING:
    from objstore.types import GCSCredential

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
REFRESH_THRESHOLD = timedelta(minutes=3, seconds=45)
"""How long before its end google-auth takes a token for stale."""


class _Provider:
    """What the two providers share: all but the waiting."""

    def __init__(
        self, credentials: Any = None, *, request: Any = None, refresh_threshold: timedelta = REFRESH_THRESHOLD
    ) -> None:
        if credentials is None:
            credentials, _ = extra("google", "google.auth").default(scopes=SCOPES)
        self.credentials = credentials
        self.request = request or self._new_request()
        self.refresh_threshold = refresh_threshold

    def _new_request(self) -> Any:
        waits = inspect.iscoroutinefunction(self.credentials.refresh)
        transport = "_aiohttp_requests" if waits else "requests"
        return extra("google", f"google.auth.transport.{transport}").Request()

    def _credential(self) -> GCSCredential:
        token = self.credentials.token
        return {
            "token": token.decode() if isinstance(token, bytes) else token,
            "expires_at": _aware(self.credentials.expiry),
        }


class GoogleCredentialProvider(_Provider):
    """A credential provider for GCSStore.

    Args:
        credentials: Credentials of google-auth; the application default ones (``google.auth.default``) if not given.
        request: The ``google.auth.transport.requests.Request`` to ask with.
        refresh_threshold: How long before its end a token is replaced.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: There are none.

    Source: https://google-auth.readthedocs.io/en/stable/user-guide.html
    """

    def __call__(self) -> GCSCredential:
        """Return a new access token."""
        self.credentials.refresh(self.request)
        return self._credential()


class GoogleAsyncCredentialProvider(_Provider):
    """A credential provider for GCSStore that keeps no event loop waiting.

    Args:
        credentials: Credentials of google-auth, of either kind; those that block are refreshed in a thread. The
            application default ones (``google.auth.default``) if not given.
        request: The request to ask with, of the same kind.
        refresh_threshold: How long before its end a token is replaced.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: There are none.
    """

    async def __call__(self) -> GCSCredential:
        """Return a new access token."""
        if inspect.iscoroutinefunction(self.credentials.refresh):
            await self.credentials.refresh(self.request)
        elif not may_have_threads():
            self.credentials.refresh(self.request)
        else:
            await asyncio.to_thread(self.credentials.refresh, self.request)
        return self._credential()


def _aware(expiry: datetime | None) -> datetime | None:
    """Return a time of google-auth, which leaves UTC unsaid."""
    return expiry.replace(tzinfo=UTC) if expiry is not None and expiry.tzinfo is None else expiry
