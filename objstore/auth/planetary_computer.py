"""Credentials of Microsoft's Planetary Computer, whose data are open to all who ask for a signature.

Needs ``objstore[planetary-computer]``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objstore.auth._extras import extra
from objstore.auth._http import TIMEOUT, async_session, new_session
from objstore.settings.masked import hide
from objstore.settings.urls import read_url
from objstore.version import USER_AGENT

if TYPE_CHECKING:
    from typing import Self

    import requests

    from objstore.auth._http import AsyncSession
    from objstore.types import AzureConfig, AzureSASToken

__all__ = ["PlanetaryComputerAsyncCredentialProvider", "PlanetaryComputerCredentialProvider"]

_EXTRA = "planetary-computer"
_SAS_URL = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
_SETTINGS = "~/.planetarycomputer/settings.env"


class _Provider:
    """What the two providers share: the place, and the request for a signature."""

    def __init__(
        self,
        url: str | None = None,
        *,
        account_name: str | None = None,
        container_name: str | None = None,
        session: Any = None,
        subscription_key: str | None = None,
        sas_url: str | None = None,
    ) -> None:
        account, container, self.prefix = _place(url, account_name, container_name)
        self.config: AzureConfig = {"account_name": account, "container_name": container}
        key = subscription_key or _setting("PC_SDK_SUBSCRIPTION_KEY")
        self._request_url = f"{sas_url or _setting('PC_SDK_SAS_URL') or _SAS_URL}/{account}/{container}"
        self._headers = {"User-Agent": USER_AGENT, **({"Ocp-Apim-Subscription-Key": hide(key)} if key else {})}
        self._session = session

    @classmethod
    def from_asset(
        cls,
        asset: Any,
        *,
        session: Any = None,
        subscription_key: str | None = None,
        sas_url: str | None = None,
    ) -> Self:
        """Make the provider for an asset of the Planetary Computer's catalogue.

        Args:
            asset: The asset: a ``pystac.Asset``, or its JSON as a dict.
            session: As for the class.
            subscription_key: As for the class.
            sas_url: As for the class.
        """
        fields = asset if isinstance(asset, Mapping) else {"href": asset.href, **asset.extra_fields}
        fields = {**fields.get("extra_fields", {}), **fields}
        options = fields.get("xarray:storage_options") or fields.get("table:storage_options") or {}
        url, account = fields["href"], options.get("account_name")
        if url.startswith("https://"):
            account = None  # the address says it
        return cls(url, account_name=account, session=session, subscription_key=subscription_key, sas_url=sas_url)


class PlanetaryComputerCredentialProvider(_Provider):
    """A credential provider for AzureStore, which takes account, container and prefix from it.

    Args:
        url: Where the data are: ``https://account.blob.core.windows.net/container/prefix``, or
            ``abfs://container/prefix`` with account_name.
        account_name: The storage account, where the URL does not say it.
        container_name: The container, where there is no URL.
        session: The session to ask with; one of its own if not given.
        subscription_key: A key of the Planetary Computer; ``$PC_SDK_SUBSCRIPTION_KEY`` if not given.
        sas_url: Who signs; ``$PC_SDK_SAS_URL``, or else the Planetary Computer, if not given. Both variables may also
            be in ``~/.planetarycomputer/settings.env``.

    Attributes:
        config: Account and container.
        prefix: The path in the URL.

    Raises:
        ValueError: Account or container are missing, or said twice.

    Source: https://planetarycomputer.microsoft.com/docs/concepts/sas/
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        account_name: str | None = None,
        container_name: str | None = None,
        session: requests.Session | None = None,
        subscription_key: str | None = None,
        sas_url: str | None = None,
    ) -> None:
        super().__init__(
            url,
            account_name=account_name,
            container_name=container_name,
            session=session or new_session(_EXTRA),
            subscription_key=subscription_key,
            sas_url=sas_url,
        )

    def __call__(self) -> AzureSASToken:
        """Return a new signature."""
        reply = self._session.get(self._request_url, headers=self._headers, timeout=TIMEOUT)
        reply.raise_for_status()
        return _read(reply.json())


class PlanetaryComputerAsyncCredentialProvider(_Provider):
    """A credential provider for AzureStore that keeps no event loop waiting.

    Args:
        url: As for PlanetaryComputerCredentialProvider.
        account_name: As for PlanetaryComputerCredentialProvider.
        container_name: As for PlanetaryComputerCredentialProvider.
        session: The session to ask with; one of its own for each signature if not given.
        subscription_key: As for PlanetaryComputerCredentialProvider.
        sas_url: As for PlanetaryComputerCredentialProvider.

    Attributes:
        config: Account and container.
        prefix: The path in the URL.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        account_name: str | None = None,
        container_name: str | None = None,
        session: AsyncSession | None = None,
        subscription_key: str | None = None,
        sas_url: str | None = None,
    ) -> None:
        extra(_EXTRA, "aiohttp")
        super().__init__(
            url,
            account_name=account_name,
            container_name=container_name,
            session=session,
            subscription_key=subscription_key,
            sas_url=sas_url,
        )

    async def __call__(self) -> AzureSASToken:
        """Return a new signature."""
        async with (
            async_session(_EXTRA, self._session) as session,
            session.get(self._request_url, headers=self._headers) as reply,
        ):
            reply.raise_for_status()
            return _read(await reply.json())


def _place(url: str | None, account: str | None, container: str | None) -> tuple[str, str, str | None]:
    """Return account, container and prefix."""
    prefix = None
    if url is not None:
        scheme, found, prefix = read_url(url.rstrip("/"))
        if scheme != "azure":
            raise ValueError(
                f"url is of the kind {scheme}: give https://account.blob.core.windows.net/container/prefix"
            )
        if container is not None:
            raise ValueError(f"Cannot pass container_name = {container!r} beside url, which says it: leave it out")
        if account is not None and "account_name" in found:
            raise ValueError(f"Cannot pass account_name = {account!r} beside a url that says it: leave it out")
        account, container = found.get("account_name", account), found.get("container_name")
    if not account or not container:
        raise ValueError("Account and container must be known: give url, or account_name and container_name")
    return account, container, prefix or None


def _setting(name: str) -> str | None:
    """Return a setting of the Planetary Computer's own tools."""
    if name in os.environ:
        return os.environ[name]
    file = Path(_SETTINGS).expanduser()
    value: str | None = extra(_EXTRA, "dotenv").dotenv_values(file).get(name) if file.exists() else None
    return value


def _read(fields: Mapping[str, str]) -> AzureSASToken:
    return {"sas_token": fields["token"], "expires_at": datetime.fromisoformat(fields["msft:expiry"])}
