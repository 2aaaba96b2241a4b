"""What HTTP needs beside the requests themselves: where to connect, whom to trust, and how times and headers are
written.

libcurl looks for proxies and certificates in the environment, from its own threads, and finds what the machine that
built it had. Here they are looked up once, in Python, and given to it.

What is rarely needed of the standard library is imported where it is used, as a client is made: urllib.request takes
longer to import than all of this library.

Its one invariant: no header line that leaves here has a control character in it, but tabs.
"""

from __future__ import annotations

import atexit
import hashlib
import os
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from objstore._core import ClientSettings, may_have_threads
from objstore.exceptions import ConfigurationError
from objstore.settings.masked import Hidden
from objstore.settings.value_types import URL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from urllib.parse import SplitResult

_CA_BUNDLES = ("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_CA_DIRECTORIES = "SSL_CERT_DIR"
_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNCLEAR = frozenset("ßẞς\u200c\u200d%")
"""What is in no host, or what IDNA of 2003 and of 2008 read differently (UTS 46, section 7)."""

_CONTROLS = frozenset(map(chr, (*range(9), *range(10, 32), 127)))


def split_endpoint(endpoint: str, allow_http: bool) -> tuple[str, str]:
    """Return scheme and host of an endpoint, and the path behind them without a slash at its end.

    Raises:
        ConfigurationError: It is no URL; it is plain http, and that was not asked for; it names a user; it has a
            query or a fragment, which no request would carry; or its host has no clear ASCII form.
    """
    parts = _parts(endpoint)
    if "?" in endpoint or "#" in endpoint:
        raise ConfigurationError(
            f"The endpoint at {parts.netloc.rpartition('@')[2]!r} has a query or a fragment",
            hint="Leave it out of the URL, and give what it says in its own setting (a SAS as sas_key).",
        )
    if "@" in parts.netloc:
        place = parts.netloc.rpartition("@")[2]
        raise ConfigurationError(
            f"The endpoint at {place!r} has a user or a password in it, which requests cannot carry",
            hint="Leave it out of the URL, and give the credential in its own settings.",
        )
    if parts.scheme == "http" and not allow_http:
        raise ConfigurationError(
            f"The endpoint {endpoint!r} is plain http", hint="Give client_options={'allow_http': True} if you mean it."
        )
    return f"{parts.scheme}://{in_ascii(parts.netloc)}", parts.path.rstrip("/")


def in_ascii(place: str) -> str:
    """Return host and port, the host as look-ups, certificates and headers have it (RFC 3490).

    Raises:
        ConfigurationError: Versions of that standard read the host differently, or it is none.
    """
    if place.isascii() and ("%" not in place or place[0] == "["):
        return place
    host, colon, port = place.partition(":")
    try:
        if _UNCLEAR.isdisjoint(host):
            return host.encode("idna").decode() + colon + port
    except UnicodeError:
        pass
    raise ConfigurationError(
        f"The host {host!r} cannot be looked up as it is", hint="Give it in ASCII, as in https://xn--bcher-kva.example."
    )


def _parts(endpoint: str) -> SplitResult:
    """Split an endpoint, which a file may name that nobody has read before."""
    try:
        parts = urlsplit(str(URL.read(endpoint)))
        parts.port  # noqa: B018  # raises for what is none
    except ValueError:
        shown = endpoint.rpartition("@")[2]
        raise ConfigurationError(
            f"The endpoint {shown!r} is not a URL", hint="Give one such as https://host:port."
        ) from None
    return parts


def client_settings(
    values: Mapping[str, Any],
    scheme: str,
    user_agent: str,
    *,
    redirects: str | None = None,
    until_close: str = "never",
    patience: float = 1,
) -> ClientSettings:
    """Return the engine's settings for a store.

    Args:
        values: The typed values of ``client_options``.
        scheme: ``http`` or ``https``: which proxy of the environment counts.
        user_agent: The User-Agent where the caller set none.
        redirects: The schemes that a redirect of a GET or HEAD may lead to, separated by commas; None to follow none.
        until_close: Which bodies are read whose end only that of the connection tells: ``"never"`` any, ``"old"``:
            those of HTTP/1.0, ``"always"``.
        patience: How many times as long as usual to wait for a reply to begin.

    Raises:
        ConfigurationError: For the proxy libcurl would start threads, and there are to be none.
    """
    proxies = _proxies()
    proxy = values["proxy_url"]
    if proxy is None:
        proxy = proxies.get(scheme) or proxies.get("all") or ""
    _check_proxy(str(proxy))
    excludes = values["proxy_excludes"]
    encrypted = scheme == "https" or redirects is not None
    ca_file = _ca_file(values["root_certificate"], values["disable_system_certificates"]) if encrypted else None
    return ClientSettings(
        user_agent=values["user_agent"] or user_agent,
        ca_file=ca_file,
        proxy=str(proxy),
        no_proxy=proxies.get("no", "") if excludes is None else excludes,
        proxy_ca_file=_ca_file(values["proxy_ca_certificate"], False) if values["proxy_ca_certificate"] else None,
        verify=not values["allow_invalid_certificates"],
        http_version=_http_version(values),
        shuffle_addresses=values["randomize_addresses"],
        resolve_interval=values["resolve_interval"],
        connect_timeout=values["connect_timeout"],
        first_byte_timeout=patience * values["first_byte_timeout"],
        stall_timeout=values["stall_timeout"],
        timeout=values["timeout"] or 0,
        max_idle=values["pool_idle_timeout"] or 20,
        reuse=values["pool_max_idle_per_host"] != 0,
        redirects=redirects,
        until_close=until_close,
        hedge=values["hedge"],
    )


def _check_proxy(proxy: str) -> None:
    if proxy.lower().startswith(("socks4://", "socks5://")) and not may_have_threads():
        scheme = proxy.partition(":")[0]
        raise ConfigurationError(
            f"Behind a {scheme}:// proxy libcurl looks names up, in threads, which io_threads=0 does not allow",
            hint="Give socks4a:// or socks5h://, where the proxy does.",
        )


def _proxies() -> dict[str, str]:
    """Return the proxies of the environment, by scheme."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return {}
    from urllib.request import getproxies_environment

    return getproxies_environment()


def _http_version(values: Mapping[str, Any]) -> str:
    if values["http2_only"]:
        return "2-prior"
    return "1.1" if values["http1_only"] else "2"


def _ca_file(extra: bytes | None, only_extra: bool) -> str | None:
    """Return the file of trusted certificates: the system's, the caller's, or both in one."""
    system = None if only_extra else _system_certificates()
    if extra is None:
        return system
    return _written_once(extra + b"\n" + (Path(system).read_bytes() if system else b""))


def _system_certificates() -> str | None:
    """Return the file with all that the system trusts: OpenSSL adds directories to it, where the environment says so.

    Source: https://docs.openssl.org/master/man3/SSL_CTX_load_verify_locations/
    """
    named = os.environ.get(_CA_DIRECTORIES)
    if not named or any(map(os.environ.get, _CA_BUNDLES)):
        return _system_ca_file()
    found = [directory for directory in map(Path, named.split(os.pathsep)) if directory.is_dir()]
    if not found:
        raise ConfigurationError(f"{_CA_DIRECTORIES} names {named!r}, which is no directory")
    files = (file.read_bytes() for directory in found for file in sorted(directory.iterdir()) if file.is_file())
    system = _system_ca_file()
    every = dict.fromkeys((Path(system).read_bytes() if system else b"", *files))
    return _written_once(b"\n".join(content for content in every if b"-----BEGIN CERTIFICATE-----" in content))


def _system_ca_file() -> str | None:
    """Return the file named by the environment, else the one this system keeps, else Python's, else certifi's."""
    for variable in (*_CA_BUNDLES, "SSL_CERT_FILE"):
        named = os.environ.get(variable)
        if named:
            if not Path(named).is_file():
                raise ConfigurationError(f"{variable} names {named!r}, which is not a file")
            return named
    found = next(filter(os.path.isfile, _CA_FILES), None)
    return found or _ca_file_of_python()


def _ca_file_of_python() -> str | None:
    import ssl

    file = ssl.get_default_verify_paths().cafile
    if file and Path(file).is_file():
        return file
    try:
        import certifi
    except ImportError:
        return None
    return str(certifi.where())


_written: dict[str, str] = {}


def _written_once(certificates: bytes) -> str:
    """Write certificates to a private file that lives as long as this process, once for each content."""
    import tempfile

    digest = hashlib.sha256(certificates).hexdigest()
    file = _written.get(digest)
    if file is None or not Path(file).exists():
        descriptor, file = tempfile.mkstemp(prefix="objstore-ca-", suffix=".pem")
        with os.fdopen(descriptor, "wb") as out:
            out.write(certificates)
        _written[digest] = file
        atexit.register(_remove, file, os.getpid())
    return file


def _remove(file: str, owner: int) -> None:
    if os.getpid() == owner:
        Path(file).unlink(missing_ok=True)


def header_line(name: str, value: str) -> bytes:
    """Return a header line, in Latin-1.

    Raises:
        ValueError: A line break or another control character in it, or one that a header cannot carry.
    """
    if not name or not name.isascii() or not _CONTROLS.isdisjoint(name) or ":" in name or " " in name:
        raise ValueError(f"{name!r} cannot be the name of a header: give ASCII letters, digits and dashes")
    if not _CONTROLS.isdisjoint(value):
        raise ValueError(f"The value of {name} has a line break or another control character in it: {value!r}")
    try:
        # libcurl takes "name:" for a header to leave out, "name;" for one to send empty
        return f"{name}: {value}".encode("latin-1") if value else f"{name};".encode()
    except UnicodeEncodeError:
        raise ValueError(f"The value of {name} has a character outside Latin-1: {value!r}") from None


def header_lines(headers: Mapping[str, str]) -> Iterator[bytes]:
    """Return the header lines of a mapping, in its order."""
    return (header_line(name, value) for name, value in headers.items())


def text_headers(headers: Mapping[str, bytes] | None) -> dict[str, str]:
    """Return headers that were given as bytes as the texts that they are, hidden: some say who we are."""
    return {name: Hidden(value.decode("latin-1")) for name, value in (headers or {}).items()}


def http_date(moment: datetime) -> str:
    """Write an aware time as HTTP does (RFC 9110, section 5.6.7)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def parse_http_date(text: str) -> datetime | None:
    """Read an HTTP date; None where it is none."""
    try:
        if len(text) == 29 and text.endswith(" GMT"):  # the one form that servers send: six times as fast
            month = _MONTHS.index(text[8:11]) + 1
            return datetime(
                int(text[12:16]),
                month,
                int(text[5:7]),
                int(text[17:19]),
                int(text[20:22]),
                int(text[23:25]),
                tzinfo=UTC,
            )
        return parsedate_to_datetime(text).astimezone(UTC)
    except (TypeError, ValueError):
        return None
