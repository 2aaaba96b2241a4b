"""The stores, one class for each kind, and the one that a URL names. What they have in common is in `_stores`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from objstore._options import RetryOptions, parse
from objstore._paths import Keys
from objstore._stores import USER_AGENT, BucketStore, LastingStore, RemoteStore, Store
from objstore._urls import parse_scheme, read_url
from objstore.exceptions import BaseError, ConfigurationError, UnknownConfigurationKeyError
from objstore.providers.azure import AZURE
from objstore.providers.gcs import GCS
from objstore.providers.http import HTTP_TABLE, open_http, read_address
from objstore.providers.local import Local
from objstore.providers.memory import Memory, memory_of
from objstore.providers.s3 import S3
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
    from typing import Self

    from typing_extensions import Unpack

    from objstore._urls import Scheme
    from objstore.types import AzureKeywords, GCSKeywords, S3Keywords

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
    """

    _kind = S3

    def __init__(
        self,
        bucket: str | None = None,
        *,
        prefix: str | None = None,
        config: S3Config | Mapping[str, object] | None = None,
        client_options: ClientConfig | Mapping[str, object] | None = None,
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
        client_options: ClientConfig | Mapping[str, object] | None = None,
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


class GCSStore(BucketStore["GCSCredentialProvider"]):
    """A bucket of Google Cloud Storage.

    Args:
        bucket: The bucket's name.
        prefix: A path in front of all paths of this store.
        config: Settings, as a dict; each may also be a keyword argument, or come from ``GOOGLE_...`` variables.
        client_options: Settings of the HTTP client.
        retry_config: How often and how long to try again.
        credential_provider: A function, or coroutine function, that returns a credential.
        raw_keys: Take paths as the keys they are: with ``//``, ``.`` and ``..`` segments, and slashes at either end.
        **kwargs: Settings.

    Raises:
        UnknownConfigurationKeyError: A setting is unknown; the message names the nearest.
        ConfigurationError: A setting is given twice, or its value cannot be used.
    """

    _kind = GCS

    def __init__(
        self,
        bucket: str | None = None,
        *,
        prefix: str | None = None,
        config: GCSConfig | Mapping[str, object] | None = None,
        client_options: ClientConfig | Mapping[str, object] | None = None,
        retry_config: RetryConfig | None = None,
        credential_provider: GCSCredentialProvider | None = None,
        raw_keys: bool = False,
        **kwargs: Unpack[GCSKeywords],
    ) -> None:
        keywords = {"bucket": bucket, **kwargs}
        self._set_up(prefix, config, keywords, client_options, retry_config, credential_provider, raw_keys)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        config: GCSConfig | Mapping[str, object] | None = None,
        client_options: ClientConfig | Mapping[str, object] | None = None,
        retry_config: RetryConfig | None = None,
        credential_provider: GCSCredentialProvider | None = None,
        raw_keys: bool = False,
        **kwargs: Unpack[GCSConfig],
    ) -> Self:
        """Make the store that a URL names; its path becomes the prefix.

        Args:
            url: ``gs://bucket/prefix``, ``gcs://...`` or ``https://storage.googleapis.com/bucket/prefix``.
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
    """

    _kind = AZURE

    def __init__(
        self,
        container_name: str | None = None,
        *,
        prefix: str | None = None,
        config: AzureConfig | Mapping[str, object] | None = None,
        client_options: ClientConfig | Mapping[str, object] | None = None,
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
        client_options: ClientConfig | Mapping[str, object] | None = None,
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


class LocalStore(LastingStore):
    """A directory of local files: an object is a file, its path that of the file below the directory.

    Nothing leads out of the directory, neither ``..`` nor a symlink. Attributes are kept as extended attributes of the
    files, where the file system has them; there are no tags and no versions. A file appears when it is whole, but
    nothing is forced out to the disk.

    Args:
        prefix: The directory; the root of the file system if not given.
        automatic_cleanup: Remove the folders that an object leaves empty when it is deleted or renamed.
        mkdir: Make the directory, and those above it, if it is missing.

    Raises:
        ConfigurationError: There is no such directory.
    """

    def __init__(
        self, prefix: str | Path | None = None, *, automatic_cleanup: bool = False, mkdir: bool = False
    ) -> None:
        self._root = None if prefix is None else _directory(prefix, mkdir)
        self._automatic_cleanup = automatic_cleanup
        self._mkdir = mkdir
        self.provider = Local(str(self._root or "/"), automatic_cleanup=automatic_cleanup)

    @classmethod
    def from_url(cls, url: str, *, automatic_cleanup: bool = False, mkdir: bool = False) -> Self:
        """Open the directory of a ``file://`` URL.

        Args:
            url: The URL, percent-encoded.
            automatic_cleanup: As of the constructor.
            mkdir: As of the constructor.

        Raises:
            ConfigurationError: It is no URL of a local file, or there is no such directory.

        Source: https://www.rfc-editor.org/rfc/rfc8089
        """
        return cls(_directory_of(url), automatic_cleanup=automatic_cleanup, mkdir=mkdir)

    def __repr__(self) -> str:
        """Return the directory."""
        return type(self).__name__ + (f'("{self._root}")' if self._root is not None else "")

    @property
    def prefix(self) -> Path | None:
        """The directory: absolute, and without symlinks."""
        return self._root

    def __getnewargs_ex__(self) -> tuple[tuple[Path | None], dict[str, Any]]:
        """Return the arguments that make an equal store."""
        return (self._root,), {"automatic_cleanup": self._automatic_cleanup, "mkdir": self._mkdir}

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        return hash((type(self), self._root))


def _directory(prefix: str | Path, mkdir: bool) -> Path:
    """Return a directory without symlinks on the way to it."""
    if not isinstance(prefix, str | Path):
        raise TypeError(f"prefix = {prefix!r}: give the directory as a str or a Path")
    try:
        if mkdir:
            os.makedirs(prefix, exist_ok=True)
        path = Path(prefix).resolve(strict=True)
        os.scandir(path).close()
    except OSError as error:
        hint = "Make it, or give mkdir=True." if isinstance(error, FileNotFoundError) else None
        raise ConfigurationError(
            f"{str(prefix)!r} cannot be the root of a store: {error.strerror}", hint=hint
        ) from error
    return path


def _directory_of(url: str) -> str:
    """Return the directory that a URL names."""
    scheme, _, prefix = read_url(url)
    if scheme != "local":
        raise ConfigurationError(
            f"LocalStore cannot be made of a URL of the kind {scheme}", hint="Give file:///folder."
        )
    return prefix


class HTTPStore(RemoteStore):
    """What is below a URL of an HTTP server, plain or WebDAV.

    Reading works with any server. Writing takes one that allows PUT and DELETE; lists, copies and renames take WebDAV,
    which also has the folders made that a path needs. A PUT sends an object in one request: what comes from an iterator
    is held in memory until its end. So is an object that is read in parts from a server that only gives it as a whole.
    Many servers ignore the conditions of a PUT: `put` with a mode looks first, `put_many` leaves it to the server.
    A reply whose end cannot be told from a cut (without a length, and not chunked) is refused. Redirects of reads are
    followed; to another host they take no credential, but what else is in ``default_headers``.

    Args:
        url: The URL of a folder. Its query is sent with every request; a user and password in it are taken out.
        client_options: Settings of the HTTP client. Plain http needs ``{"allow_http": True}``.
        retry_config: How often and how long to try again.
        username: A user's name, for Basic authentication.
        password: The user's password.
        bearer_token: A token, for Bearer authentication.

    Raises:
        UnknownConfigurationKeyError: A setting is unknown; the message names the nearest.
        ConfigurationError: The URL or a setting cannot be used.

    Source: https://www.rfc-editor.org/rfc/rfc9110, https://www.rfc-editor.org/rfc/rfc4918
    """

    def __init__(
        self,
        url: str,
        *,
        client_options: ClientConfig | Mapping[str, object] | None = None,
        retry_config: RetryConfig | None = None,
        username: str | None = None,
        password: str | None = None,
        bearer_token: str | None = None,
    ) -> None:
        address = read_address(url)
        if address.username is not None and username is not None:
            raise ConfigurationError("The user is given twice, in the URL and as username", hint="Give it once.")
        keywords = {
            "url": address.url,
            "username": address.username if username is None else username,
            "password": address.password if password is None else password,
            "bearer_token": bearer_token,
        }
        self._settings = parse(HTTP_TABLE, keywords=keywords, client_options=client_options)
        self._retry = RetryOptions.from_config(retry_config or {})
        self.provider = open_http(self._settings, self._retry, USER_AGENT)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        client_options: ClientConfig | Mapping[str, object] | None = None,
        retry_config: RetryConfig | None = None,
    ) -> Self:
        """Return the store of a URL."""
        return cls(url, client_options=client_options, retry_config=retry_config)

    @property
    def url(self) -> str:
        """The URL, without user and password."""
        return str(self._settings["url"])

    def __repr__(self) -> str:
        """Return the URL, without its query: there may be a token in it."""
        shown, mark, _ = self.url.partition("?")
        return f'{type(self).__name__}("{shown}{"?..." if mark else ""}")'

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that make an equal store."""
        given = {
            "client_options": self.client_options,
            "retry_config": self.retry_config,
            **{name: value for name, value in self._settings.config.items() if name != "url"},
        }
        return (self.url,), {name: value for name, value in given.items() if value is not None}

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        return hash((type(self), self.url))


class MemoryStore(Store):
    """Objects in the memory of this process; gone with the store.

    A pickle of it is good in the same process, and in those forked from it: for a store on the same objects.

    Args:
        raw_keys: Take paths as the keys they are: with ``//``, ``.`` and ``..`` segments, and slashes at either end.
    """

    def __init__(self, *, raw_keys: bool = False) -> None:
        self._keys = Keys(raw=raw_keys)
        self.provider: Memory = Memory()

    @classmethod
    def from_url(cls, url: str, *, raw_keys: bool = False) -> Self:
        """Make an empty store.

        Args:
            url: ``memory:///``. A path behind it makes no difference: nobody else sees these objects.
            raw_keys: As for the class.

        Raises:
            ConfigurationError: The URL is of another kind, or names a host.
        """
        scheme, _, _ = read_url(url)
        if scheme != "memory":
            raise ConfigurationError(
                f"MemoryStore cannot be made of a URL of the kind {scheme}", hint="Give memory:///."
            )
        return cls(raw_keys=raw_keys)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the name of the memory, not as what is in it."""
        return reopen, (type(self), self.provider.name, self._keys.prefix, self._keys.raw)

    def __eq__(self, other: object) -> bool:
        """Tell whether two stores have the same objects under the same names."""
        return type(self) is type(other) and self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        return hash(self.provider)


def reopen(kind: type[MemoryStore], name: str, prefix: str, raw: bool) -> MemoryStore:
    """Make a store on a memory of this process."""
    store = object.__new__(kind)
    store._keys = Keys(prefix, raw=raw)
    store.provider = memory_of(name)
    return store


ObjectStoreMethods = Store
"""What obstore calls the class that all stores descend from."""

ObjectStore: TypeAlias = AzureStore | GCSStore | HTTPStore | LocalStore | MemoryStore | S3Store
"""Any store."""

SignCapableStore: TypeAlias = AzureStore | GCSStore | S3Store
"""The stores that can sign URLs."""

_CLASSES: dict[Scheme, str] = {
    "azure": "AzureStore",
    "gcs": "GCSStore",
    "http": "HTTPStore",
    "local": "LocalStore",
    "memory": "MemoryStore",
    "s3": "S3Store",
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
    store = globals()[_CLASSES[parse_scheme(url)]]
    named = {"config": config, "credential_provider": credential_provider}
    tuning = {"client_options": client_options, "retry_config": retry_config}
    given = {name: value for name, value in {**named, **tuning, **kwargs}.items() if value is not None}
    taken = signature(store.from_url).parameters
    if all(parameter.kind is not Parameter.VAR_KEYWORD for parameter in taken.values()):
        given = {name: value for name, value in given.items() if name in taken or (name not in tuning and value != {})}
        if refused := sorted(given.keys() - taken):
            raise UnknownConfigurationKeyError(f"{store.__name__} takes no {' and no '.join(refused)}")
    return cast(ObjectStore, store.from_url(url, **given))
