"""URLs that carry their own signature, as Google Cloud Storage knows them (V4).

What is to be signed is written here; who has a key for it signs elsewhere.

https://cloud.google.com/storage/docs/authentication/canonical-requests
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from objstore.signing.sigv4 import UNSIGNED_PAYLOAD, amz_date, bindable, canonical_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

MOST_SECONDS = 604_800
"""How long a URL may be good: 7 days."""

RSA = "GOOG4-RSA-SHA256"
"""How who has the key of a service account signs: RSASSA-PKCS1-v1_5 with SHA-256."""

_CONTENT = "x-goog-content-sha256"
_PORT = re.compile(r":\d+$")
_BLANKS = re.compile(r"\s+")
_PROOF = re.compile(r"x-goog-(algorithm|credential|date|expires|signature|signedheaders)", re.IGNORECASE)


class Unsigned(NamedTuple):
    """A URL that lacks its signature, and what is to be signed."""

    url: str
    text: bytes

    def signed(self, signature: bytes) -> str:
        """Return the URL with its signature."""
        return f"{self.url}&X-Goog-Signature={signature.hex()}"


def scope_of(time: str) -> str:
    """Return what a signature of a time is good for."""
    return f"{time[:8]}/auto/storage/goog4_request"


def unsigned_url(
    method: str,
    scheme: str,
    host: str,
    path: str,
    query: Iterable[tuple[str, str]],
    *,
    account: str,
    now: datetime,
    expires: int,
    headers: Mapping[str, str],
    algorithm: str = RSA,
) -> Unsigned:
    """Return a URL that is to be signed.

    Args:
        method: The HTTP method the URL is good for.
        scheme: ``https`` or ``http``.
        host: The host, with the port unless it is the scheme's own.
        path: The path, percent-encoded.
        query: Further parameters, not encoded.
        account: The service account whose key signs, or the name of an HMAC key.
        now: When the URL begins to be good, aware.
        expires: For how long it is good, in seconds: 1 to 604800.
        headers: Headers that whoever uses the URL must send with these values.
        algorithm: How it will be signed.

    Raises:
        ValueError: ``expires`` is out of bounds, or a parameter or header cannot be part of such a URL.
    """
    if not 1 <= expires <= MOST_SECONDS:
        raise ValueError(f"expires is {expires} seconds. Give 1 to {MOST_SECONDS} (7 days).")
    time = amz_date(now)
    scope = scope_of(time)
    bound = {name: _BLANKS.sub(" ", value) for name, value in bindable(headers).items()}
    bound["host"] = _PORT.sub("", host)  # so say the published vectors
    names = ";".join(sorted(bound))
    proof = [
        ("X-Goog-Algorithm", algorithm),
        ("X-Goog-Credential", f"{account}/{scope}"),
        ("X-Goog-Date", time),
        ("X-Goog-Expires", str(expires)),
        ("X-Goog-SignedHeaders", names),
    ]
    asked = canonical_query([*_not_ours(query), *proof])
    lines = "".join([f"{name}:{bound[name]}\n" for name in sorted(bound)])
    request = f"{method}\n{path}\n{asked}\n{lines}\n{names}\n{bound.get(_CONTENT, UNSIGNED_PAYLOAD)}"
    digest = hashlib.sha256(request.encode()).hexdigest()
    return Unsigned(f"{scheme}://{host}{path}?{asked}", f"{algorithm}\n{time}\n{scope}\n{digest}".encode())


def _not_ours(query: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    given = list(query)
    for name, _ in given:
        if _PROOF.fullmatch(name):
            raise ValueError(f"The parameter {name} belongs to the signature. Leave it out.")
    return given
