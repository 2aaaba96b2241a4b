"""The stores, one class for each kind, and the one that a URL names. What they have in common is in `stores`."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from objstore.exceptions import BaseError, UnknownConfigurationKeyError
from objstore.settings.urls import parse_scheme
from objstore.stores.azure import AzureStore
from objstore.stores.base import Store
from objstore.stores.gcs import GCSStore
from objstore.stores.http import HTTPStore
from objstore.stores.local import LocalStore
from objstore.stores.memory import MemoryStore
from objstore.stores.s3 import S3Store
from objstore.types import (
    AzureAccessKey,
    AzureBearerToken,
    AzureConfig,
    AzureCredential,
    AzureCredentialProvider,
    AzureSASToken,
    BackoffConfig,
    ClientConfig,
    GCSConfig,
    GCSCredential,
    GCSCredentialProvider,
    RetryConfig,
    S3Config,
    S3Credential,
    S3CredentialProvider,
)

if TYPE_CHECKING:
    from objstore.settings.urls import Scheme

__all__ = [
    "AzureAccessKey",
    "AzureBearerToken",
    "AzureConfig",
    "AzureCredential",
    "AzureCredentialProvider",
    "AzureSASToken",
    "AzureStore",
    "BackoffConfig",
    "BaseError",
    "ClientConfig",
    "GCSConfig",
    "GCSCredential",
    "GCSCredentialProvider",
    "GCSStore",
    "HTTPStore",
    "LocalStore",
    "MemoryStore",
    "ObjectStore",
    "ObjectStoreMethods",
    "RetryConfig",
    "S3Config",
    "S3Credential",
    "S3CredentialProvider",
    "S3Store",
    "SignCapableStore",
    "Store",
    "from_url",
]

ObjectStoreMethods = Store
"""What obstore calls the class that all stores descend from."""

ObjectStore: TypeAlias = AzureStore | GCSStore | HTTPStore | LocalStore | MemoryStore | S3Store
"""Any store."""

SignCapableStore: TypeAlias = AzureStore | GCSStore | S3Store
"""The stores that can sign URLs."""

_CLASSES: dict[Scheme, type[Any]] = {
    "azure": AzureStore,
    "gcs": GCSStore,
    "http": HTTPStore,
    "local": LocalStore,
    "memory": MemoryStore,
    "s3": S3Store,
}


def from_url(
    url: str,
    *,
    config: S3Config | GCSConfig | AzureConfig | Mapping[str, object] | None = None,
    client_options: ClientConfig | Mapping[str, object] | None = None,
    retry_config: RetryConfig | None = None,
    credential_provider: S3CredentialProvider | GCSCredentialProvider | AzureCredentialProvider | None = None,
    **kwargs: Any,
) -> ObjectStore:
    """Make the store that a URL names; its path becomes the prefix.

    Args:
        url: ``s3://bucket/prefix``, ``gs://...``, ``az://...``, ``https://...``, ``file:///folder``, ``memory:///``, or
            another form that a store's own ``from_url`` names.
        config: Settings of the store; stronger than the URL.
        client_options: Settings of the HTTP client; without effect where there is none.
        retry_config: How often and how long to try again; without effect where nothing is sent.
        credential_provider: A function, or coroutine function, that returns a credential.
        **kwargs: Settings, and what else the store's own ``from_url`` takes.

    Raises:
        ConfigurationError: The URL is none, or none of a store; a setting is given twice, or is none of this store.
    """
    store = _CLASSES[parse_scheme(url)]
    named = {"config": config, "credential_provider": credential_provider}
    tuning = {"client_options": client_options, "retry_config": retry_config}
    given = {name: value for name, value in {**named, **tuning, **kwargs}.items() if value is not None}
    taken = signature(store.from_url).parameters
    if all(parameter.kind is not Parameter.VAR_KEYWORD for parameter in taken.values()):
        given = {name: value for name, value in given.items() if name in taken or (name not in tuning and value != {})}
        if refused := sorted(given.keys() - taken):
            raise UnknownConfigurationKeyError(f"{store.__name__} takes no {' and no '.join(refused)}")
    return cast(ObjectStore, store.from_url(url, **given))
