"""AWS Signature Version 4, in a header and in a URL, and what Google has made of it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html. Pure: no clock, no network. The
engine uses a signer made here for any number of requests that differ only in key and query.

Its one invariant: what is signed is sent as it was signed. So only headers are signed that neither curl nor a proxy
changes: Host, every x-amz-*, Content-Type and Content-MD5.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import quote

from objstore._core import Signer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
UNSIGNED_WITH_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
"""https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html"""

EMPTY_PAYLOAD = hashlib.sha256(b"").hexdigest()

_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
"""What is the same percent-encoded (RFC 3986, section 2.3)."""

_MAX_EXPIRES = 604_800
_ALSO_SIGNED = frozenset(("content-type", "content-md5"))
_NEVER_BOUND = frozenset(
    ("authorization", "host", "expect", "accept-encoding", "connection", "te", "user-agent", "transfer-encoding")
)
_LINE_BREAK = re.compile(r"[\r\n\x00]")
_BLANKS = re.compile(r"[ \t]+")
_LATER = "\0"  # stands for what the engine adds: no value has it


class BodySum(NamedTuple):
    """A checksum that goes with every body, which the engine makes when it sends that.

    Args:
        header: The header that tells it, in small letters.
        algorithm: What the engine calls it.
        trailer: What tells it behind the body; `header` then tells the body's length. Empty: it is told in front of it.
    """

    header: str
    algorithm: str
    trailer: str = ""

    def for_engine(self) -> tuple[bytes, str]:
        """Return it as a signer takes it."""
        return self.header.encode(), self.algorithm


class Kind(NamedTuple):
    """What a vendor calls things in signatures.

    Args:
        algorithm: How it is signed.
        prefix: What the vendor's own headers begin with.
        secret: What stands before the secret in the first key.
        end: What the last key is made of.
        token: What the token of a temporary key is called.
    """

    algorithm: str
    prefix: str
    secret: str
    end: str
    token: str = "Security-Token"


AMAZON = Kind("AWS4-HMAC-SHA256", "x-amz-", "AWS4", "aws4_request")
SESSION = AMAZON._replace(token="S3session-Token")
"""Requests by the key of a session: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html"""

GOOGLE = Kind("GOOG4-HMAC-SHA256", "x-goog-", "GOOG4", "goog4_request")
"""https://cloud.google.com/storage/docs/authentication/signatures"""


class Credential(Protocol):
    """What signing needs of a credential."""

    @property
    def access_key_id(self) -> str:
        """Return the public name of the key."""

    @property
    def secret_access_key(self) -> str:
        """Return the key."""

    @property
    def token(self) -> str | None:
        """Return the session token of a temporary key."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Say for which day, region and service a signature is good, and make signers for it."""

    credential: Credential
    time: str
    region: str
    service: str
    kind: Kind = AMAZON

    def __str__(self) -> str:
        return f"{self.time[:8]}/{self.region}/{self.service}/{self.kind.end}"

    def identity(self) -> str:
        """Return the key and the scope, as signatures name them."""
        return f"{self.credential.access_key_id}/{self}"

    def signer(
        self,
        method: str,
        tail: bytes,
        authorization: str = "",
        headers: Sequence[bytes] = (),
        body_sum: BodySum | None = None,
    ) -> Signer:
        """Return the signer of requests in this scope."""
        before, _, behind = tail.partition(_LATER.encode())
        return Signer(
            method=method.encode(),
            tail=before,
            between=behind,
            sum=None if body_sum is None else body_sum.for_engine(),
            trailer=b"" if body_sum is None else body_sum.trailer.encode(),
            scope=f"{self.kind.algorithm}\n{self.time}\n{self}\n".encode(),
            key=signing_key(self.credential.secret_access_key, self.time[:8], self.region, self.service, self.kind),
            authorization=authorization.encode(),
            headers=headers,
        )

    def sign(self, text: bytes) -> bytes:
        """Sign a text that is no request."""
        key = signing_key(self.credential.secret_access_key, self.time[:8], self.region, self.service, self.kind)
        return hmac.digest(key, text, "sha256")


def signer(
    method: str,
    host: str,
    *,
    headers: Mapping[str, str],
    payload_hash: str,
    credential: Credential,
    region: str,
    service: str = "s3",
    now: datetime,
    kind: Kind = AMAZON,
    body_sum: BodySum | None = None,
) -> Signer:
    """Return the signer of all requests that have this method, host and headers.

    Args:
        method: The HTTP method.
        host: The Host header: with the port, unless it is the scheme's own.
        headers: The headers of the requests. Those that need no signature are left to the caller to send.
        payload_hash: The SHA-256 of the body in hexadecimal digits, or what stands for a body that is not signed.
        credential: The key to sign with.
        region: The region of the bucket.
        service: The name of the service in the credential scope.
        now: The time of the signature, aware; the service takes it for 15 minutes.
        kind: What the vendor calls things.
        body_sum: The checksum that goes with every body, if one does: in the place of such a header among `headers`.

    Raises:
        ValueError: A header has a line break, or is given in two spellings.
    """
    scope, own = Scope(credential, amz_date(now), region, service, kind), kind.prefix
    signed = {name: value for name, value in _lower(headers).items() if name.startswith(own) or name in _ALSO_SIGNED}
    signed |= {f"{own}date": scope.time, f"{own}content-sha256": payload_hash}
    if credential.token is not None:
        signed[f"{own}{kind.token.lower()}"] = credential.token
    later = {"host": host} if body_sum is None else {"host": host, body_sum.header: _LATER}
    names, tail = _canonical_tail(signed | later, payload_hash)
    authorization = f"Authorization: {kind.algorithm} Credential={scope.identity()}, SignedHeaders={names}, Signature="
    lines = [_line(name, value) for name, value in signed.items() if name not in later]
    return scope.signer(method, tail, authorization, lines, body_sum)


def authorization(
    method: str,
    target: str,
    headers: Mapping[str, str],
    *,
    payload_hash: str,
    credential: Credential,
    region: str,
    service: str,
    now: datetime,
) -> str:
    """Return the Authorization header of a request of which every header is signed.

    Args:
        method: The HTTP method.
        target: Path and query in canonical form.
        headers: The headers, ``host`` and ``x-amz-date`` among them.
        payload_hash: The SHA-256 of the body in hexadecimal digits.
        credential: The key to sign with.
        region: The region of the service.
        service: The name of the service in the credential scope.
        now: The time of the signature, aware.
    """
    scope = Scope(credential, amz_date(now), region, service)
    names, tail = _canonical_tail(_lower(headers), payload_hash)
    signature = scope.signer(method, tail).signature(target.encode()).decode()
    return f"{AMAZON.algorithm} Credential={scope.identity()}, SignedHeaders={names}, Signature={signature}"


def presign(
    method: str,
    scheme: str,
    host: str,
    path: str,
    query: Iterable[tuple[str, str]],
    *,
    credential: Credential,
    region: str,
    service: str = "s3",
    now: datetime,
    expires: int,
    headers: Mapping[str, str],
    kind: Kind = AMAZON,
) -> str:
    """Return a URL that carries its own signature.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html

    Args:
        method: The HTTP method the URL is good for.
        scheme: ``https`` or ``http``.
        host: The host, with the port unless it is the scheme's own.
        path: The path, percent-encoded.
        query: Further parameters, not encoded.
        credential: The key to sign with.
        region: The region of the bucket.
        service: The name of the service in the credential scope.
        now: When the URL begins to be good, aware.
        expires: For how long it is good, in seconds: 1 to 604800.
        headers: Headers that whoever uses the URL must send with these values.
        kind: What the vendor calls things.

    Raises:
        ValueError: ``expires`` is out of bounds, or a parameter or header cannot be part of such a URL.
    """
    scope = Scope(credential, amz_date(now), region, service, kind)
    names, tail = _canonical_tail(bindable(headers) | {"host": host}, UNSIGNED_PAYLOAD)
    target = f"{path}?{canonical_query([*_not_ours(query), *_proof(scope, expires, names)])}"
    signature = scope.signer(method, tail).signature(target.encode())
    return f"{scheme}://{host}{target}&X-Amz-Signature={signature.decode()}"


def canonical_query(parameters: Iterable[tuple[str, str]]) -> str:
    """Return a query in the form that is signed and sent: percent-encoded, then sorted, with ``=`` after every name.

    Args:
        parameters: Names and values, not encoded.
    """
    encoded = sorted([(_encoded(name), _encoded(value)) for name, value in parameters])
    return "&".join([f"{name}={value}" for name, value in encoded])


def _encoded(text: str) -> str:
    """Return a text percent-encoded; most is as it stands, and to see that takes a tenth of the time."""
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def _proof(scope: Scope, expires: int, names: str) -> list[tuple[str, str]]:
    if not 1 <= expires <= _MAX_EXPIRES:
        raise ValueError(f"expires is {expires} seconds. Give 1 to {_MAX_EXPIRES} (7 days).")
    token = scope.credential.token
    return [
        ("X-Amz-Algorithm", AMAZON.algorithm),
        ("X-Amz-Credential", scope.identity()),
        ("X-Amz-Date", scope.time),
        ("X-Amz-Expires", str(expires)),
        ("X-Amz-SignedHeaders", names),
        *([] if token is None else [(f"X-Amz-{scope.kind.token}", token)]),
    ]


_PROOF_NAMES = frozenset(
    f"x-amz-{name}"
    for name in (
        *("algorithm", "credential", "date", "expires", "signedheaders", "signature"),
        *("security-token", "s3session-token"),
    )
)


def _not_ours(query: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    given = list(query)
    for name, _ in given:
        if name.lower() in _PROOF_NAMES:
            raise ValueError(f"The parameter {name} belongs to the signature. Leave it out.")
    return given


def bindable(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that a URL binds whoever uses it to, by their names in small letters.

    Raises:
        ValueError: A header is one that is sent otherwise than it was given, or is given in two spellings.
    """
    bound = _lower(headers)
    if unfit := sorted(_NEVER_BOUND.intersection(bound)):
        raise ValueError(f"The header {unfit[0]} cannot be bound to a URL: clients and proxies set it. Leave it out.")
    return bound


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    lower = {name.lower(): value.strip(" \t") for name, value in headers.items()}
    if len(lower) < len(headers):
        raise ValueError(f"A header is given in two spellings: {', '.join(sorted(headers))}. Give it once.")
    for name, value in lower.items():
        if _LINE_BREAK.search(value):
            raise ValueError(f"The value of the header {name} has a line break or NUL. Take it out.")
    return lower


def _line(name: str, value: str) -> bytes:
    """Write a header line as curl takes it, which sends a header without value only when it ends in a semicolon."""
    return f"{name}: {value}".encode() if value else f"{name};".encode()


def _canonical_tail(headers: Mapping[str, str], payload_hash: str) -> tuple[str, bytes]:
    """Return the names of the signed headers, and the canonical request from the headers on."""
    lines = [f"{name}:{_BLANKS.sub(' ', headers[name])}\n" for name in sorted(headers)]
    names = ";".join(sorted(headers))
    return names, f"{''.join(lines)}\n{names}\n{payload_hash}".encode()


def amz_date(now: datetime) -> str:
    """Return a time as signatures have it."""
    if now.utcoffset() is None:
        raise ValueError(f"now = {now} has no time zone. Give an aware datetime.")
    return now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


@lru_cache(maxsize=16)
def signing_key(secret: str, date: str, region: str, service: str, kind: Kind) -> bytes:
    """Return the key that signs for a day, a region and a service."""
    key = f"{kind.secret}{secret}".encode()
    for part in (date, region, service, kind.end):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
