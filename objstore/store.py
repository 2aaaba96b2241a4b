"""The stores: options plus a provider. Their operations are those of `_faces`.

A store is small, picklable and equal to another that was given the same; all it holds is what it was given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar

from objstore import _faces
from objstore._options import RetryOptions, Settings, parse
from objstore._paths import Keys
from objstore.exceptions import ConfigurationError
from objstore.providers.http import HTTP_TABLE, open_http, read_url
from objstore.providers.memory import Memory
from objstore.providers.s3 import S3

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from objstore.providers.provider import BucketKind, Provider
    from objstore.types import ClientConfig, ObjectMeta, RetryConfig, S3Config, S3CredentialProvider, S3Keywords

try:
    VERSION = version("objstore")
except PackageNotFoundError:
    VERSION = "0"

USER_AGENT = f"objstore/{VERSION}"


class Store:
    """What all stores have in common: a provider, the names of keys, and the operations."""

    provider: Provider
    _keys = Keys()

    get, get_async = _faces.get, _faces.get_async
    get_range, get_range_async = _faces.get_range, _faces.get_range_async
    get_ranges, get_ranges_async = _faces.get_ranges, _faces.get_ranges_async
    head, head_async = _faces.head, _faces.head_async
    put, put_async = _faces.put, _faces.put_async
    delete, delete_async = _faces.delete, _faces.delete_async
    copy, copy_async = _faces.copy, _faces.copy_async
    rename, rename_async = _faces.rename, _faces.rename_async
    sign, sign_async = _faces.sign, _faces.sign_async
    list = list_async = _faces.list
    list_with_delimiter, list_with_delimiter_async = _faces.list_with_delimiter, _faces.list_with_delimiter_async
    get_many, get_many_async = _faces.get_many, _faces.get_many_async
    iter_many = iter_many_async = _faces.iter_many
    head_many, head_many_async = _faces.head_many, _faces.head_many_async
    put_many, put_many_async = _faces.put_many, _faces.put_many_async
    upload, upload_async = _faces.upload, _faces.upload_async
    download, download_async = _faces.download, _faces.download_async

    def key(self, path: str) -> str:
        """Return the key of a path: checked, and behind the store's prefix."""
        return self._keys.key(path)

    def full_prefix(self, prefix: str | None) -> str:
        """Return the beginning of the keys below a prefix."""
        return self._keys.below(prefix)

    def path(self, key: str) -> str:
        """Return the path of a key."""
        return self._keys.path(key)

    def named(self, meta: ObjectMeta) -> ObjectMeta:
        """Return metadata with the path in the place of the key."""
        if not self._keys.prefix:
            return meta
        return {**meta, "path": self.path(meta["path"])}


class RemoteStore(Store):
    """What the stores behind a network have in common: they are equal, and pickled, by what they were given."""

    _settings: Settings
    _retry: RetryOptions

    @property
    def client_options(self) -> dict[str, Any] | None:
        """What was given as settings of the HTTP client."""
        return dict(self._settings.client_options) or None

    @property
    def retry_config(self) -> RetryConfig:
        """How often and how long to try again."""
        return self._retry.to_config()

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that make an equal store."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the arguments, not as what was made of them."""
        return rebuild, (type(self), *self.__getnewargs_ex__())

    def __eq__(self, other: object) -> bool:
        """Tell whether two stores were given the same."""
        return (
            isinstance(other, RemoteStore)
            and type(self) is type(other)
            and self.__getnewargs_ex__() == other.__getnewargs_ex__()
        )

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        raise NotImplementedError


class BucketStore(RemoteStore):
    """What the stores of cloud services have in common: how they are set and shown."""

    _kind: ClassVar[BucketKind]

    def _set_up(
        self,
        prefix: str | None,
        config: Mapping[str, object] | None,
        keywords: Mapping[str, object],
        client_options: Mapping[str, object] | None,
        retry_config: RetryConfig | None,
        credential_provider: Callable[[], object] | None,
        raw_keys: bool,
    ) -> None:
        if credential_provider is not None and not callable(credential_provider):
            raise TypeError(f"credential_provider must be a function, not a {type(credential_provider).__name__}")
        self._settings = parse(
            self._kind.table,
            config=config,
            keywords=keywords,
            client_options=client_options,
            provider=getattr(credential_provider, "config", None),
            environment=os.environ,
        )
        self._retry = RetryOptions.from_config(retry_config or {})
        self._credential_provider = credential_provider
        self._keys = Keys(prefix, raw=raw_keys)
        self.provider = self._kind.open(self._settings, self._retry, credential_provider, USER_AGENT, self._keys.prefix)

    def __repr__(self) -> str:
        """Return the bucket and the prefix."""
        given = {**{name: self._settings[name] for name in self._kind.shown}, "prefix": self.prefix}
        shown = ", ".join(f'{name}="{value}"' for name, value in given.items() if value)
        return f"{type(self).__name__}({shown})"

    @property
    def prefix(self) -> str | None:
        """The path in front of all paths of this store."""
        return self._keys.shown

    @property
    def config(self) -> dict[str, Any]:
        """What was given as settings of the store, nothing of the environment."""
        return dict(self._settings.config)

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that make an equal store."""
        given = {
            "prefix": self.prefix,
            "config": self.config,
            "client_options": self.client_options,
            "retry_config": self.retry_config,
            "credential_provider": self._credential_provider,
            "raw_keys": self._keys.raw or None,
        }
        return (), {name: value for name, value in given.items() if value is not None}

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        return hash((type(self), self._keys.prefix, self._settings.config.get(self._kind.bucket)))


def rebuild(kind: type[Store], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Store:
    """Make a store again from its pickled arguments."""
    return kind(*arguments, **keywords)


class S3Store(BucketStore):
    """A bucket of Amazon S3, or of any service that speaks its protocol.

    Args:
        bucket: The bucket's name.
        prefix: A path in front of all paths of this store.
        config: Settings, as a dict; each may also be a keyword argument, or come from ``AWS_...`` in the environment.
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

    @property
    def credential_provider(self) -> S3CredentialProvider | None:
        """The function that returns credentials."""
        return self._credential_provider  # type: ignore[return-value]


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
        address = read_url(url)
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
    ) -> HTTPStore:
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

    Args:
        raw_keys: Take paths as the keys they are: with ``//``, ``.`` and ``..`` segments, and slashes at either end.
    """

    def __init__(self, *, raw_keys: bool = False) -> None:
        self._keys = Keys(raw=raw_keys)
        self.provider = Memory()
