"""Requests over TLS whose trust is not that of the store: a server known by its certificate's thumbprint, or by an
authority and a name of its cluster's own.

The engine trusts authorities and the host's own name; these two services are reached by an address, and few times.

Its one invariant: nothing is sent before the server has shown that it is the one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from objstore.credentials.chains.azure.answers import Said
from objstore.exceptions import ConfigurationError
from objstore.settings.masked import HiddenBytes

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Mapping

_SECONDS = 10.0
_MOST_BODY = 1 << 20
_THUMBPRINT = re.compile(r"[0-9a-f]{40}")

PROXY_VARIABLES = ("AZURE_KUBERNETES_SNI_NAME", "AZURE_KUBERNETES_CA_FILE", "AZURE_KUBERNETES_CA_DATA")


class TokenProxy:
    """The proxy of a cluster that passes on what pods ask Microsoft Entra ID.

    Args:
        url: Where it is.
        name: The name that its certificate is for, if it is not that of its URL.
        ca_file: The file with the authority that its certificate is by; read anew for each request.
        ca_data: That authority itself, in PEM form; the system's where neither is given.

    Raises:
        ConfigurationError: The URL cannot be used, or both authorities are given.
    """

    def __init__(self, url: str, name: str | None, ca_file: str | None, ca_data: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
            raise ConfigurationError(
                "AZURE_KUBERNETES_TOKEN_PROXY is no https URL of a host and a path",
                hint="Check what the cluster gives to its pods.",
            )
        if ca_file and ca_data:
            raise ConfigurationError(
                "AZURE_KUBERNETES_CA_FILE and AZURE_KUBERNETES_CA_DATA are both set", hint="Set one of them."
            )
        self._base = url.rstrip("/")
        self._name = name or parts.hostname
        self._ca_file = ca_file
        self._ca_data = ca_data

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> TokenProxy | None:
        """Return the proxy that the environment names; None if it names none.

        Raises:
            ConfigurationError: What it says of it is contradictory.
        """
        url = environment.get("AZURE_KUBERNETES_TOKEN_PROXY")
        named = [variable for variable in PROXY_VARIABLES if environment.get(variable)]
        if not url and named:
            raise ConfigurationError(
                f"{' and '.join(named)} is set, and AZURE_KUBERNETES_TOKEN_PROXY is not",
                hint="Set both, or neither.",
            )
        return cls(url, *map(environment.get, PROXY_VARIABLES)) if url else None

    def url(self, url: str) -> str:
        """Return where to send what is for a URL."""
        return f"{self._base}/{urlsplit(url).path.lstrip('/')}"

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Said:
        """Send a request, and wait for the answer."""
        return _send(method, url, headers, body, self._connect)

    def _connect(self, plain: socket.socket) -> ssl.SSLSocket:
        import ssl

        data = Path(self._ca_file).read_text(encoding="utf-8") if self._ca_file else self._ca_data
        return ssl.create_default_context(cadata=data or None).wrap_socket(plain, server_hostname=self._name)


def send_pinned(method: str, url: str, headers: Mapping[str, str], thumbprint: str) -> Said:
    """Send a request to a server that is known by the SHA-1 thumbprint of its certificate, and wait for the answer.

    Raises:
        ConfigurationError: The thumbprint is none.
    """
    pin = re.sub(r"[\s:]", "", thumbprint).lower()
    if not _THUMBPRINT.fullmatch(pin):
        raise ConfigurationError("IDENTITY_SERVER_THUMBPRINT is no SHA-1 thumbprint", hint="It has 40 hex digits.")
    return _send(method, url, headers, b"", partial(_connect_pinned, pin))


def _connect_pinned(pin: str, plain: socket.socket) -> ssl.SSLSocket:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate is by nobody: its thumbprint is compared instead
    secure = context.wrap_socket(plain)
    shown = hashlib.sha1(secure.getpeercert(binary_form=True) or b"", usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(shown, pin):
        secure.close()
        raise ssl.SSLCertVerificationError("its certificate is not that of IDENTITY_SERVER_THUMBPRINT")
    return secure


def _send(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    secure: Callable[[socket.socket], ssl.SSLSocket],
) -> Said:
    """Send a request over a connection of its own."""
    import http.client
    import socket

    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 443, timeout=_SECONDS)
    try:
        plain = socket.create_connection((connection.host, connection.port), _SECONDS)
        try:
            connection.sock = secure(plain)
        except BaseException:
            plain.close()
            raise
        connection.request(method, target, body or None, {**headers, "Host": parts.netloc})
        reply = connection.getresponse()
        return Said(
            reply.status, HiddenBytes(reply.read(_MOST_BODY)), None, {k.lower(): v for k, v in reply.getheaders()}
        )
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Said(0, b"", _reason(error), {})
    finally:
        connection.close()


def _reason(error: Exception) -> str:
    told = str(error) if isinstance(error, OSError) else type(error).__name__
    return told.replace(os.linesep, " ") or type(error).__name__
