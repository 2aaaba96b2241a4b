"""Credentials of Azure from azure-identity.

Needs ``objstore[azure]``, unless a credential is given.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from objstore.auth._extras import extra

if TYPE_CHECKING:
    from collections.abc import Iterable

    from azure.core.credentials import TokenCredential
    from azure.core.credentials_async import AsyncTokenCredential

    from objstore.types import AzureBearerToken

DEFAULT_SCOPES = ("https://storage.azure.com/.default",)


class AzureCredentialProvider:
    """A credential provider for AzureStore.

    Args:
        credential: A credential of azure-identity, or any ``TokenCredential``; ``DefaultAzureCredential()`` if not
            given.
        scopes: What the token is to be good for.
        tenant_id: The tenant to ask, if it is not the credential's own.

    Source: https://learn.microsoft.com/python/api/overview/azure/identity-readme
    """

    def __init__(
        self,
        credential: TokenCredential | None = None,
        *,
        scopes: Iterable[str] = DEFAULT_SCOPES,
        tenant_id: str | None = None,
    ) -> None:
        self._credential = credential or extra("azure", "azure.identity").DefaultAzureCredential()
        self._scopes = tuple(scopes)
        self._tenant_id = tenant_id

    def __call__(self) -> AzureBearerToken:
        """Return an access token; azure-identity keeps it while it is good."""
        return _read(self._credential.get_token(*self._scopes, tenant_id=self._tenant_id))


class AzureAsyncCredentialProvider:
    """A credential provider for AzureStore that keeps no event loop waiting.

    Args:
        credential: A credential of ``azure.identity.aio``, or any ``AsyncTokenCredential``; if not given, a
            ``DefaultAzureCredential()`` for each token, so that it belongs to no event loop that may be gone.
        scopes: What the token is to be good for.
        tenant_id: The tenant to ask, if it is not the credential's own.
    """

    def __init__(
        self,
        credential: AsyncTokenCredential | None = None,
        *,
        scopes: Iterable[str] = DEFAULT_SCOPES,
        tenant_id: str | None = None,
    ) -> None:
        if credential is None:
            self._new = extra("azure", "azure.identity.aio").DefaultAzureCredential
        self._credential = credential
        self._scopes = tuple(scopes)
        self._tenant_id = tenant_id

    async def __call__(self) -> AzureBearerToken:
        """Return an access token."""
        if self._credential is not None:
            return _read(await self._credential.get_token(*self._scopes, tenant_id=self._tenant_id))
        async with self._new() as own:
            return _read(await own.get_token(*self._scopes, tenant_id=self._tenant_id))


def _read(token: Any) -> AzureBearerToken:
    return {"token": token.token, "expires_at": datetime.fromtimestamp(token.expires_on, UTC)}
