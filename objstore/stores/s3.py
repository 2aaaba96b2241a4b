"""A bucket of Amazon S3, or of any service that speaks its protocol, as a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.stores.base import BucketStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from typing_extensions import Unpack

    from objstore.providers.cloud.kind import BucketKind
    from objstore.types import ClientConfig, RetryConfig, S3Config, S3CredentialProvider, S3Keywords


class S3Store(BucketStore["S3CredentialProvider"]):
    """A bucket of Amazon S3, or of any service that speaks its protocol.

    Args:
        bucket: The bucket's name.
        prefix: A path in front of all paths of this store.
        config: Settings, as a dict; each may also be a keyword argument, or come from ``AWS_...`` variables.
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
        from objstore.providers.cloud.s3 import S3

        return S3

    def __init__(
        self,
        bucket: str | None = None,
        *,
        prefix: str | None = None,
        config: S3Config | Mapping[str, object] | None = None,
        client_options: ClientConfig | None = None,
        retry_config: RetryConfig | None = None,
        credential_provider: S3CredentialProvider | None = None,
        raw_keys: bool = False,
        **kwargs: Unpack[S3Keywords],
    ) -> None:
        keywords = {"bucket": bucket, **kwargs}
        self._set_up(prefix, config, keywords, client_options, retry_config, credential_provider, raw_keys)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        config: S3Config | Mapping[str, object] | None = None,
        client_options: ClientConfig | None = None,
        retry_config: RetryConfig | None = None,
        credential_provider: S3CredentialProvider | None = None,
        raw_keys: bool = False,
        **kwargs: Unpack[S3Config],
    ) -> Self:
        """Make the store that a URL names; its path becomes the prefix.

        Args:
            url: ``s3://bucket/prefix``, ``s3a://...``, or an ``https://`` address of S3 or Cloudflare R2.
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
