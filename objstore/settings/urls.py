"""The URLs that name a store: which kind of store, its settings and its prefix.

Text alone is read here; whether the settings make a store is for the stores to say. Nothing is looked up anywhere.

Its one invariant: no message shows the user, the password or the query of a URL, for they may be secrets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from objstore.exceptions import ConfigurationError
from objstore.settings import azure_hosts
from objstore.settings.s3_hosts import AMAZON, read_host

if TYPE_CHECKING:
    from collections.abc import Callable

Scheme: TypeAlias = Literal["s3", "gcs", "http", "local", "memory", "azure"]


class Location(NamedTuple):
    """What a URL says.

    Args:
        scheme: The kind of store.
        settings: Settings of that store, by their canonical names; for ``http`` the URL itself, as ``url``.
        prefix: The path, decoded; for ``local`` that of a folder.
    """

    scheme: Scheme
    settings: dict[str, str]
    prefix: str


_SCHEMES: dict[str, Scheme] = {
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
    "az": "azure",
    "azure": "azure",
    "file": "local",
    "gcs": "gcs",
    "gs": "gcs",
    "http": "http",
    "https": "http",
    "memory": "memory",
    "s3": "s3",
    "s3a": "s3",
    "wasb": "azure",
    "wasbs": "azure",
}

_R2 = ".r2.cloudflarestorage.com"
_R2_BUCKET = re.compile(r"(.+)\.([0-9a-f]{32}(?:\.[a-z]+)?" + re.escape(_R2) + ")")
"""A host that begins with a bucket, before an account and perhaps its jurisdiction; others have it in the path."""
_GCS_HOST = "storage.googleapis.com"
_HTTPS: tuple[tuple[re.Pattern[str], Scheme], ...] = (
    (AMAZON, "s3"),
    (re.compile(".+" + re.escape(_R2)), "s3"),
    (re.compile(r"(.+\.)?" + re.escape(_GCS_HOST)), "gcs"),
    (azure_hosts.MICROSOFT, "azure"),
)
"""The hosts that are more than a web server, for https alone: with http it is somebody's proxy or test server."""


def parse_scheme(url: str) -> Scheme:
    """Return the kind of store that a URL means.

    Args:
        url: For instance ``s3://bucket/prefix`` or ``https://account.blob.core.windows.net/container``.

    Returns:
        One of ``"s3"``, ``"gcs"``, ``"azure"``, ``"http"``, ``"local"`` and ``"memory"``.

    Raises:
        ConfigurationError: The text is no URL, or its scheme is none of ours; it is a ValueError too.
    """
    return _scheme(_split(url))


def read_url(url: str) -> Location:
    """Return what a URL says about a store.

    Args:
        url: The URL; escapes in its path are decoded once.

    Raises:
        ConfigurationError: The text is no URL, its scheme is none of ours, or it says something that no store can use:
            it is refused rather than left out.
    """
    parts = _split(url)
    scheme = _scheme(parts)
    settings, path = _READERS[scheme](parts)
    if scheme != "local":
        path = path.removeprefix("/")
    return Location(scheme, {name: value for name, value in settings.items() if value}, _decode(parts, path))


def _split(url: str) -> SplitResult:
    if not isinstance(url, str):
        raise TypeError(f"the URL {url!r} is of the type {type(url).__name__}: give a str, or a path as file:///path")
    if re.search(r"[\x00-\x1f\x7f]", url):  # urlsplit would drop some of them
        raise ConfigurationError("The URL has a control character in it", hint="Percent-encode it.")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # read to be checked
    except ValueError as error:
        reason = "the port is not a number" if "port" in str(error).lower() else "the host is malformed"
        raise ConfigurationError(f"The text is not a URL: {reason}") from None
    if not parts.scheme:
        raise ConfigurationError(
            "The text is not a URL, it has no scheme (relative URL without a base)",
            hint=f"Begin it with one of {_known()}.",
        )
    return parts


def _known() -> str:
    return ", ".join(f"{name}://" for name in _SCHEMES)


def _scheme(parts: SplitResult) -> Scheme:
    if parts.scheme == "https":
        for host, scheme in _HTTPS:
            if host.fullmatch(parts.hostname or ""):
                return scheme
    if parts.scheme not in _SCHEMES:
        raise ConfigurationError(
            f"The scheme {parts.scheme}:// is none that objstore knows", hint=f"There are: {_known()}."
        )
    return _SCHEMES[parts.scheme]


def _s3(parts: SplitResult) -> tuple[dict[str, str], str]:
    _check_bare(parts)
    if parts.scheme != "https":
        return {"bucket": _name(parts, "bucket")}, parts.path
    host = parts.hostname or ""
    if host.endswith(_R2):
        if named := _R2_BUCKET.fullmatch(host):
            return {"bucket": named[1], "region": "auto", "endpoint": f"https://{named[2]}"}, parts.path
        bucket, path = _first_segment(parts)
        return {"bucket": bucket, "region": "auto", "endpoint": f"https://{host}"}, path
    return _amazon(parts, host)


def _amazon(parts: SplitResult, host: str) -> tuple[dict[str, str], str]:
    """Read the address of an S3 endpoint; the bucket is in the host, or first in the path."""
    settings = read_host(host)
    if settings is None:
        raise _refusal(parts, "is not an address of S3", "Give S3Store the bucket and an endpoint, or use HTTPStore.")
    if settings["bucket"]:
        return settings, parts.path
    bucket, path = _first_segment(parts)
    return {**settings, "bucket": bucket}, path


def _gcs(parts: SplitResult) -> tuple[dict[str, str], str]:
    _check_bare(parts)
    if parts.scheme != "https":
        return {"bucket": _name(parts, "bucket")}, parts.path
    bucket = (parts.hostname or "").removesuffix(_GCS_HOST).removesuffix(".")
    first, path = (bucket, parts.path) if bucket else _first_segment(parts)
    return {"bucket": first}, path


def _azure(parts: SplitResult) -> tuple[dict[str, str], str]:
    shared_access = parts.query if "sig=" in parts.query else ""
    _check_bare(parts._replace(query="") if shared_access else parts, user=parts.scheme != "https")
    if parts.scheme == "https":
        container, path = _first_segment(parts)
        settings = {"container_name": container, **_azure_account(parts)}
    elif parts.username is None:
        settings, path = {"container_name": _name(parts, "container")}, parts.path
    else:
        settings, path = {"container_name": _decode(parts, parts.username), **_azure_account(parts)}, parts.path
    return {**settings, "sas_key": shared_access}, path


def _azure_account(parts: SplitResult) -> dict[str, str]:
    """Read the address of a storage account, or of a workspace of Microsoft Fabric."""
    host = parts.hostname or ""
    settings = azure_hosts.read_host(host)
    if settings is None:
        raise _refusal(
            parts,
            "names no account",
            "Write container@account.blob.core.windows.net (for a private endpoint too), or give account_name and "
            "endpoint.",
        )
    return settings


def _http(parts: SplitResult) -> tuple[dict[str, str], str]:
    if not parts.hostname:
        raise _refusal(parts, "names no host", "Write https://host/path.")
    return {"url": parts.geturl()}, ""


def _local(parts: SplitResult) -> tuple[dict[str, str], str]:
    if parts.netloc not in ("", "localhost"):
        raise _refusal(parts, "is on another machine", "Write file:///path, with three slashes.")
    if parts.path and not parts.path.startswith("/"):
        raise _refusal(parts, "is not absolute", "Write file:///path, with three slashes.")
    _check_bare(parts)
    return {}, parts.path or "/"


def _memory(parts: SplitResult) -> tuple[dict[str, str], str]:
    if parts.netloc:
        raise _refusal(parts, "has a host, and the memory has none", "Write memory:///.")
    _check_bare(parts)
    return {}, parts.path


_READERS: dict[Scheme, Callable[[SplitResult], tuple[dict[str, str], str]]] = {
    "s3": _s3,
    "gcs": _gcs,
    "http": _http,
    "local": _local,
    "memory": _memory,
    "azure": _azure,
}


def _check_bare(parts: SplitResult, *, user: bool = False) -> None:
    """Raise if a URL says more than a place; a name in front of ``@`` is part of some."""
    if parts.password is not None or (parts.username is not None and not user):
        raise _refusal(parts, "has a user in it", "Give credentials as settings of the store.")
    if parts.port is not None:
        raise _refusal(parts, "has a port", "Name the server in the setting endpoint (of GCSStore: base_url).")
    if parts.query:
        raise _refusal(parts, "has a query", "Give settings in config; a question mark in a path is %3F.")
    if parts.fragment:
        raise _refusal(parts, "has a fragment", "A number sign in a path is %23.")


def _name(parts: SplitResult, what: str) -> str:
    if not parts.netloc:
        raise _refusal(parts, f"names no {what}", f"Write {parts.scheme}://{what}/prefix.")
    return _decode(parts, parts.netloc)


def _first_segment(parts: SplitResult) -> tuple[str, str]:
    first, _, rest = parts.path.removeprefix("/").partition("/")
    return _decode(parts, first), rest


def _decode(parts: SplitResult, text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _refusal(parts, "has escapes in it that are no UTF-8", "Percent-encode UTF-8.") from None


def _refusal(parts: SplitResult, fault: str, hint: str) -> ConfigurationError:
    host = parts.hostname or ""
    return ConfigurationError(f"The URL {parts.scheme}://{host}{parts.path} {fault}", hint=hint)
