"""The stores that are no buckets: an HTTP server, a directory of local files, the memory of this process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objstore._options import RetryOptions, parse
from objstore._paths import Keys
from objstore._stores import USER_AGENT, LastingStore, RemoteStore, Store
from objstore._urls import read_url
from objstore.exceptions import ConfigurationError
from objstore.providers.http import HTTP_TABLE, open_http, read_address
from objstore.providers.local import Local
from objstore.providers.memory import Memory, memory_of
from objstore.providers.webdav import WebDav

if TYPE_CHECKING:
    from typing import Self

    from objstore.types import ClientConfig, RetryConfig


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
        self.provider: WebDav = open_http(self._settings, self._retry, USER_AGENT)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        client_options: ClientConfig | Mapping[str, object] | None = None,
        retry_config: RetryConfig | None = None,
        username: str | None = None,
        password: str | None = None,
        bearer_token: str | None = None,
    ) -> Self:
        """Return the store of a URL."""
        return cls(
            url,
            client_options=client_options,
            retry_config=retry_config,
            username=username,
            password=password,
            bearer_token=bearer_token,
        )

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

    def __repr__(self) -> str:
        """Return the name of the class: there is nothing more to say."""
        return f"{type(self).__name__}()"

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
