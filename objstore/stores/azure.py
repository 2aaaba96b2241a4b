"""A container of Azure Blob Storage as a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.stores.base import BucketStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from typing_extensions import Unpack

    from objstore.providers.cloud.kind import BucketKind
    from objstore.types import AzureConfig, AzureCredentialProvider, AzureKeywords, ClientConfig, RetryConfig


class AzureStore(BucketStore["AzureCredentialProvider"]):
    """A container of Azure Blob Storage, or a workspace of Microsoft Fabric.

    Args:
        container_name: The container's name.
        prefix: A path in front of all paths of this store.
        config: Settings, as a dict; each may also be a keyword argument, or come from ``AZURE_...`` variables.
        client_options: Settings of the HTTP client.
        retry_config: How often and how long to try again.
        credential_provider: A function, or coroutine function, that returns a credential.
        raw_keys: Take paths as the keys they are: with ``//``, ``.`` and ``..`` segments, and slashes at either end.
        **kwargs: Settings.

    Raises:
        UnknownConfigurationKeyError: A setting is unknown; the message names the nearest.
        ConfigurationError: A setting is given twice, or its value cannot be used.
        NotSupportedError: A setting asks for what this version does not do; the message says what to do instead.
    """

    @staticmethod
    def _kind() -> BucketKind:
        from objstore.providers.cloud.azure import AZURE

        return AZURE

    def __init__(
        self,
        container_name: str | None = None,
        *,
        prefix: str | None = None,
        config: AzureConfig | Mapping[str, object] | None = None,
        client_options: ClientConfig | None = None,
        retry_config: RetryConfig | None = None,
        credential_provider: AzureCredentialProvider | None = None,
        raw_keys: bool = False,
        **kwargs: Unpack[AzureKeywords],
    ) -> None:
        keywords = {"container_name": container_name, **kwargs}
        if prefix is None:
            prefix = getattr(credential_provider, "prefix", None)
        self._set_up(prefix, config, keywords, client_options, retry_config, credential_provider, raw_keys)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        config: AzureConfig | Mapping[str, object] | None = None,
        client_options: ClientConfig | None = None,
        retry_config: RetryConfig | None = None,
        credential_provider: AzureCredentialProvider | None = None,
        raw_keys: bool = False,
        **kwargs: Unpack[AzureConfig],
    ) -> Self:
        """Make the store that a URL names; its path becomes the prefix.

        Args:
            url: ``az://container/prefix`` (or ``abfs``, ``abfss``, ``adl``, ``azure``, ``wasb``, ``wasbs``), with the
                account as in ``abfss://container@account.dfs.core.windows.net/prefix``, or an ``https://`` address.
            config: As for the class; stronger than the URL.
            client_options: As for the class.
            retry_config: As for the class.
            credential_provider: As for the class.
            raw_keys: As for the class.
            **kwargs: Settings; what the URL says must not be among them.

        Raises:
            ConfigurationError: The URL is none of this kind of store, or a setting is given twice.
        """
        return cls._at(
            url,
            kwargs,
            config=config,
            client_options=client_options,
            retry_config=retry_config,
            credential_provider=credential_provider,
            raw_keys=raw_keys,
        )
