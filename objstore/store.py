"""The stores, one class for each kind, and the one that a URL names. What they have in common is in `stores`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from objstore.exceptions import BaseError
from objstore.stores.azure import AzureStore
from objstore.stores.base import Store
from objstore.stores.gcs import GCSStore
from objstore.stores.http import HTTPStore
from objstore.stores.local import LocalStore
from objstore.stores.memory import MemoryStore
from objstore.stores.s3 import S3Store
from objstore.stores.urls import ObjectStore, from_url

if TYPE_CHECKING:
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

SignCapableStore: TypeAlias = AzureStore | GCSStore | S3Store
"""The stores that can sign URLs."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import the types of settings and credentials when one is first asked for: all of them take 3 ms."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from objstore import types

        return getattr(types, name)
