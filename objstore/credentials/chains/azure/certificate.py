"""The certificate of an application, and what it signs with it to prove who it is (RFC 7523).

https://learn.microsoft.com/entra/identity-platform/certificate-credentials

Its one invariant: no message quotes a key or a password.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from objstore._core import read_pfx, sign_ps256, sign_rs256
from objstore.credentials.chains.azure.application import ASSERTION_TYPE
from objstore.exceptions import ConfigurationError
from objstore.plans.effects import Call
from objstore.settings.masked import Hidden, HiddenBytes

if TYPE_CHECKING:
    from os import PathLike

    from objstore.plans.effects import Plan

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_LIFE = 600
_MOST = 1 << 20


class KeyFile(NamedTuple):
    """Hold what a file of a certificate has.

    Args:
        key: The key, in PEM form.
        password: What the key is encrypted with.
        chain: The certificates, the key's own first.
    """

    key: bytes
    password: bytes
    chain: tuple[bytes, ...]


class Certificate:
    """A file with the certificate of an application and its key, in PEM form or as PKCS #12.

    Args:
        path: The file; it is read anew for each token.
        password: What it is encrypted with.
        send_chain: Whether all its certificates are sent, for applications that trust an issuer and a name.
    """

    def __init__(self, path: str | PathLike[str], password: str | None, send_chain: bool) -> None:
        self._path = Path(path)
        self._password = HiddenBytes((password or "").encode())
        self._send_chain = send_chain

    def fields(self, url: str, client_id: str) -> Plan[dict[str, str]]:
        """Return a signed assertion."""
        signed = yield Call(lambda: self._assertion(url, client_id))
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}

    def _assertion(self, url: str, client_id: str) -> str:
        """Sign for Entra ID by PSS and SHA-256; AD FS knows the older forms only."""
        file = self._read()
        old = url.endswith("/adfs/oauth2/token")
        digest = hashlib.new("sha1" if old else "sha256", file.chain[0], usedforsecurity=False).digest()
        header: dict[str, object] = {
            "alg": "RS256" if old else "PS256",
            "typ": "JWT",
            "x5t" if old else "x5t#S256": _base64(digest),
        }
        if self._send_chain:
            header["x5c"] = [base64.b64encode(each).decode() for each in file.chain]
        text = f"{_segment(header)}.{_segment(_claims(url, client_id))}"
        sign = sign_rs256 if old else sign_ps256
        try:
            return Hidden(f"{text}.{_base64(sign(bytes(file.key), text.encode(), bytes(file.password)))}")
        except ValueError as error:
            raise self._refusal(str(error)) from None

    def _read(self) -> KeyFile:
        try:
            with self._path.open("rb") as opened:
                data = HiddenBytes(opened.read(_MOST + 1))
            key, password, certificates = _split(data, self._password)
            chain = tuple(base64.b64decode(each) for each in _CERTIFICATE.findall(certificates))
        except (OSError, ValueError) as error:
            raise self._refusal((error.strerror if isinstance(error, OSError) else None) or str(error)) from None
        if not chain:
            raise self._refusal("there is no certificate in it")
        return KeyFile(HiddenBytes(key), HiddenBytes(password), chain)

    def _refusal(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"The certificate {str(self._path)!r} (client_certificate_path) cannot be used: {reason}",
            hint="Give a file with certificate and RSA key in PEM form or as PKCS #12, and its "
            "client_certificate_password if it has one.",
        )


def _split(data: bytes, password: bytes) -> tuple[bytes, bytes, bytes]:
    """Return key, the password of the key, and certificates of a file."""
    if b"-----BEGIN" in data:
        return data, password, data
    key, certificates = read_pfx(bytes(data), bytes(password))
    return HiddenBytes(key), b"", certificates


def _claims(url: str, client_id: str) -> dict[str, object]:
    now = int(time.time())
    ids = {"aud": url, "iss": client_id, "sub": client_id, "jti": str(uuid.uuid4())}
    return {**ids, "iat": now, "nbf": now, "exp": now + _LIFE}


def _segment(fields: dict[str, object]) -> str:
    return _base64(json.dumps(fields, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    """Write as JWTs do (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
