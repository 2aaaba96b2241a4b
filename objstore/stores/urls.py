"""The store that a URL names, or that a root means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

from objstore.exceptions import UnknownConfigurationKeyError
from objstore.stores.azure import AzureStore
from objstore.stores.base import Store
from objstore.stores.gcs import GCSStore
from objstore.stores.http import HTTPStore
from objstore.stores.local import LocalStore
from objstore.stores.memory import MemoryStore
from objstore.stores.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.settings.urls import Scheme
    from objstore.types import (
        AzureConfig,
        AzureCredentialProvider,
        ClientConfig,
        GCSConfig,
        GCSCredentialProvider,
        RetryConfig,
        S3Config,
        S3CredentialProvider,
    )

ObjectStore: TypeAlias = AzureStore | GCSStore | HTTPStore | LocalStore | MemoryStore | S3Store
"""Any store."""

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
    client_options: ClientConfig | None = None,
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
    from objstore.settings.urls import parse_scheme

    store = _CLASSES[parse_scheme(url)]
    named = {"config": config, "credential_provider": credential_provider}
    tuning = {"client_options": client_options, "retry_config": retry_config}
    given = {name: value for name, value in {**named, **tuning, **kwargs}.items() if value is not None}
    from inspect import Parameter, signature  # here: it takes as long to import as all the stores

    taken = signature(store.from_url).parameters
    if all(parameter.kind is not Parameter.VAR_KEYWORD for parameter in taken.values()):
        given = {name: value for name, value in given.items() if name in taken or (name not in tuning and value != {})}
        if refused := sorted(given.keys() - taken):
            raise UnknownConfigurationKeyError(f"{store.__name__} takes no {' and no '.join(refused)}")
    return cast("ObjectStore", store.from_url(url, **given))


@runtime_checkable
class ClientOptions(Protocol):
    """Settings of the HTTP client as object-store-python gives them."""

    def client(self) -> dict[str, Any]:
        """Return the settings of the HTTP client, under our names."""

    def retry(self) -> RetryConfig:
        """Return how often and how long to try again."""


def open_root(
    root: str | Store,
    options: Mapping[str, str] | None = None,
    client_options: ClientOptions | Mapping[str, object] | None = None,
) -> Store:
    """Return the store that a root means.

    Args:
        root: A URL, a local path, or a store.
        options: Settings of the store.
        client_options: Settings of the HTTP client.

    Raises:
        TypeError: It is none of these, or settings are given beside a store.
        ConfigurationError: The URL or a setting cannot be used.
    """
    if isinstance(root, Store):
        if options or client_options:
            raise TypeError("a store has its settings already: give options with a URL")
        return root
    if not isinstance(root, str | os.PathLike):
        raise TypeError(f"root is of the type {type(root).__name__}: give a URL, a local path, or a store")
    root = os.fspath(root)
    given: dict[str, Any] = {"config": options, "client_options": client_options}
    if isinstance(client_options, ClientOptions):
        given |= {"client_options": client_options.client(), "retry_config": client_options.retry()}
    from pathlib import Path

    return from_url(root if "://" in root else Path(root).absolute().as_uri(), **given)
