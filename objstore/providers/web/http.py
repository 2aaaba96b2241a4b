"""HTTP servers, plain or WebDAV: what their statuses mean, and how a URL and its settings make a provider.

Its one invariant: user, password and token of a URL are in no message made here.
"""

from __future__ import annotations

import base64
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from objstore.exceptions import ConfigurationError, GenericError, NotFoundError, NotSupportedError
from objstore.http.client import client_settings, in_ascii, text_headers
from objstore.http.dialect import SUCCESSES, Dialect
from objstore.http.identity import Authorization
from objstore.http.retry import Policy, Row
from objstore.http.service import Service
from objstore.providers.web.webdav import WebDav
from objstore.settings.masked import Hidden
from objstore.settings.options import Option, RetryOptions, Settings, Table
from objstore.settings.value_types import BOOL, TOKEN

HTTP_TABLE = Table(
    "HTTPStore",
    (),
    (
        Option("url", "Where the objects are."),
        Option("username", "The user's name, for Basic authentication.", secret=True),
        Option("password", "The user's password, for Basic authentication.", secret=True),
        Option("bearer_token", "A token, for Bearer authentication.", TOKEN, secret=True),
        Option("read_until_close", "Read bodies that end with the connection; by itself, those of HTTP/1.0.", BOOL),
    ),
)

_NO_WEBDAV = Row(NotSupportedError, "the server has no WebDAV")
_IN_PART = Row(GenericError, "it was done in part only")
_NO_FOLDER = Row(GenericError, "the folder above it is missing, and cannot be made")

DIALECT = Dialect(
    store="HTTPStore",
    most_parts=1,
    smallest_part=1,
    successes={
        **SUCCESSES,
        "GET": (200, 203, 206),
        "MKCOL": (200, 201, 204),
        "COPY": (201, 204),
        "MOVE": (201, 204),
    },
    statuses={
        ("GET", 405): Row(NotFoundError, "there is no object of this name, but perhaps a folder"),
        ("PUT", 404): Row(NotSupportedError, "a file cannot be a folder too, and one of them is there"),
        ("PUT", 405): Row(NotSupportedError, "the server takes no objects, or there is a folder of this name"),
        ("PUT", 409): _NO_FOLDER,
        ("PUT", 507): Row(GenericError, "the server has no room left"),
        **{(method, 207): _IN_PART for method in ("DELETE", "COPY", "MOVE")},
        ("DELETE", 405): Row(NotSupportedError, "the server deletes no objects"),
        ("PROPFIND", 405): _NO_WEBDAV,
        ("PROPFIND", 501): _NO_WEBDAV,
        ("MKCOL", 409): _NO_FOLDER,
        # Go's servers lock what a request works on, so of two that need the same folder one is turned away
        ("MKCOL", 423): Row(GenericError, "the folder is locked", "always", refused=True),
        ("COPY", 405): _NO_WEBDAV,
        ("COPY", 409): _NO_FOLDER,
        ("COPY", 501): _NO_WEBDAV,
        ("MOVE", 405): _NO_WEBDAV,
        ("MOVE", 409): _NO_FOLDER,
        ("MOVE", 501): _NO_WEBDAV,
    },
    hints={
        "401": "Give username and password, or bearer_token.",
        "1002": "Give read_until_close=True to read it all the same: one that broke off then looks whole.",
    },
)

_UNTIL_CLOSE = {None: "old", True: "always", False: "never"}
"""HTTP/1.0 has nothing else that tells the end of a body made on the way, so that it is what its servers mean."""

_SAFE_IN_PATH = "/%!$&'()*+,;=:@~-._"
_SAFE_IN_QUERY = _SAFE_IN_PATH + "?"


class Address(NamedTuple):
    """A URL, taken apart: without the user, and who that is."""

    url: str
    username: str | None
    password: str | None


def read_address(url: str) -> Address:
    """Take user and password out of a URL.

    Raises:
        TypeError: It is not a str.
        ConfigurationError: It is no URL of an HTTP server, or its host has no clear ASCII form.
    """
    if not isinstance(url, str):
        raise TypeError(f"url is a {type(url).__name__}: give a str")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.fragment:
        raise ConfigurationError(
            f"{_shown(url)!r} is not the URL of an HTTP server", hint="Give one such as https://example.com/folder."
        )
    user, mark, place = parts.netloc.rpartition("@")
    name, colon, password = user.partition(":")
    return Address(
        urlunsplit(parts._replace(netloc=in_ascii(place))),
        unquote(name) if mark else None,
        Hidden(unquote(password)) if colon else None,
    )


def _shown(url: str) -> str:
    """Return what of a URL may be shown: nothing that could be a password or a token."""
    return url.rpartition("@")[2].partition("?")[0]


def open_http(settings: Settings, retry: RetryOptions, user_agent: str) -> WebDav:
    """Make the provider of a URL.

    Args:
        settings: What the caller says.
        retry: What is tried again.
        user_agent: The User-Agent where the caller set none.

    Raises:
        ConfigurationError: The settings contradict each other, or the URL is plain http and that is not allowed.
    """
    values = settings.values
    parts = urlsplit(values["url"])
    if parts.scheme == "http" and not values["allow_http"]:
        raise ConfigurationError(
            f"The URL {_shown(values['url'])!r} is plain http",
            hint="Give client_options={'allow_http': True} if you mean it.",
        )
    redirects = "http,https" if values["allow_http"] else "https"
    service = Service(
        DIALECT,
        f"{parts.scheme}://{parts.netloc}",
        client_settings(
            values, parts.scheme, user_agent, redirects=redirects, until_close=_UNTIL_CLOSE[values["read_until_close"]]
        ),
        Policy(retry),
        Authorization(_authorization(values)),
        headers=text_headers(values["default_headers"]),
        most_connections=values["max_connections"],
    )
    kind = values["default_content_type"]
    return WebDav(
        service,
        quote(parts.path, safe=_SAFE_IN_PATH),
        query=quote(parts.query, safe=_SAFE_IN_QUERY),
        write_headers={"Content-Type": kind} if kind else {},
    )


def _authorization(values: Any) -> str | None:
    """Return the Authorization header: Basic (RFC 7617), Bearer (RFC 6750) or none."""
    name, password, token = values["username"], values["password"], values["bearer_token"]
    if token and (name is not None or password is not None):
        raise ConfigurationError("HTTPStore takes username and password, or bearer_token", hint="Give one of them.")
    if token:
        return Hidden(f"Bearer {token}")
    if name is None and password is None:
        return None
    if not name:
        raise ConfigurationError("HTTPStore has a password and no username", hint="Give username too.")
    if ":" in name:
        raise ConfigurationError("The username has a colon in it, which Basic authentication cannot carry")
    return Hidden("Basic " + base64.b64encode(f"{name}:{password or ''}".encode()).decode())
