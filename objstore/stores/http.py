"""Objects on an HTTP server as a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore.exceptions import ConfigurationError
from objstore.stores.base import RemoteStore, ready
from objstore.version import USER_AGENT

if TYPE_CHECKING:
    from typing import Self

    from objstore.providers.web.webdav import WebDav
    from objstore.types import ClientConfig, RetryConfig


class HTTPStore(RemoteStore):
    """What is below a URL of an HTTP server, plain or WebDAV.

    Reading works with any server. Writing takes one that allows PUT and DELETE; lists, copies and renames take WebDAV,
    which also has the folders made that a path needs. A PUT sends an object in one request: what comes from an iterator
    is held in memory until its end. So is an object that is read in parts from a server that only gives it as a whole.
    Many servers ignore the conditions of a PUT: with a mode, `put` and `put_many` look first.
    A reply whose end cannot be told from a cut (without a length, and not chunked) is refused, unless it is of HTTP/1.0
    or `read_until_close` is set. Redirects of reads are followed; to another host they take no credential, nor what is
    in ``default_headers``. The path ``""`` is the URL itself, for what reads one object.

    Args:
        url: The URL of a folder. Its query is sent with every request; a user and password in it are taken out.
        client_options: Settings of the HTTP client. Plain http needs ``{"allow_http": True}``.
        retry_config: How often and how long to try again.
        username: A user's name, for Basic authentication.
        password: The user's password.
        bearer_token: A token, for Bearer authentication.
        read_until_close: Whether to read a body whose end only that of the connection tells, though one that broke off
            looks the same; None for those of HTTP/1.0 only, which knows no other end where the length is not known.

    Raises:
        UnknownConfigurationKeyError: A setting is unknown; the message names the nearest.
        ConfigurationError: The URL or a setting cannot be used.
        NotSupportedError: A setting asks for what this version does not do; the message says what to do instead.

    Source: https://www.rfc-editor.org/rfc/rfc9110, https://www.rfc-editor.org/rfc/rfc4918
    """

    reads_itself = True

    def __init__(
        self,
        url: str,
        *,
        client_options: ClientConfig | None = None,
        retry_config: RetryConfig | None = None,
        username: str | None = None,
        password: str | None = None,
        bearer_token: str | None = None,
        read_until_close: bool | None = None,
    ) -> None:
        from objstore.providers.web.http import HTTP_TABLE, open_http, read_address
        from objstore.settings.options import RetryOptions, parse, refuse_unsupported

        address = read_address(url)
        if address.username is not None and username is not None:
            raise ConfigurationError("The user is given twice, in the URL and as username", hint="Give it once.")
        keywords = {
            "url": address.url,
            "username": address.username if username is None else username,
            "password": address.password if password is None else password,
            "bearer_token": bearer_token,
            "read_until_close": read_until_close,
        }
        self._settings = parse(HTTP_TABLE, keywords=keywords, client_options=client_options)
        refuse_unsupported(HTTP_TABLE, self._settings)
        self._retry = RetryOptions.from_config(retry_config or {})
        self.provider: WebDav = ready(open_http(self._settings, self._retry, USER_AGENT))

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        client_options: ClientConfig | None = None,
        retry_config: RetryConfig | None = None,
        username: str | None = None,
        password: str | None = None,
        bearer_token: str | None = None,
        read_until_close: bool | None = None,
    ) -> Self:
        """Return the store of a URL."""
        return cls(
            url,
            client_options=client_options,
            retry_config=retry_config,
            username=username,
            password=password,
            bearer_token=bearer_token,
            read_until_close=read_until_close,
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
            "client_options": dict(self._settings.client_options) or None,
            "retry_config": self._retry.given(),
            **{name: value for name, value in self._settings.config.items() if name != "url"},
        }
        return (self.url,), {name: value for name, value in given.items() if value is not None}

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        return hash((type(self), self.url))
