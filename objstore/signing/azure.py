"""Signatures of Azure storage: Shared Key for requests, and shared access signatures for URLs.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key,
https://learn.microsoft.com/rest/api/storageservices/create-service-sas,
https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas. Pure: no clock, no network. The engine
uses a signer made here for any number of requests that differ only in path, query, range and length.

Its one invariant: what is signed is sent as it was signed, and no message shows a key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from objstore._core import Signer
from objstore.settings.masked import hide

if TYPE_CHECKING:
    from collections.abc import Mapping

SAS_VERSION = "2023-11-03"
"""The version of shared access signatures, which says what they are made of."""

_BEFORE_LENGTH = ("content-encoding", "content-language")
_BEFORE_IF_MATCH = ("content-md5", "content-type", "date", "if-modified-since")
_BEFORE_RANGE = ("if-none-match", "if-unmodified-since")
_LINE_BREAK = re.compile(r"[\r\n\x00]")

_RANKS = {character: chr(rank) for rank, character in enumerate("!#$%&*.^_`|~+0123456789abcdefghijklmnopqrstuvwxyz", 1)}
_IGNORED = {"'": 1, "-": 2}
"""How the service sorts the names of headers: as text of a language, where these two count last."""


@dataclass(frozen=True, slots=True)
class DelegationKey:
    """Hold a key that signs in the name of whoever asked the service for it.

    Args:
        oid: Who that is.
        tid: The tenant of that.
        start: From when it is good, as the service wrote it.
        expiry: Until when.
        service: For what.
        version: The version of the service that made it.
        value: The key, in Base64.
        expires_at: Until when it is good, aware.
    """

    oid: str
    tid: str
    start: str
    expiry: str
    service: str
    version: str
    value: str
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Hide what is secret."""
        object.__setattr__(self, "value", hide(self.value))


def shared_key(method: str, account: str, key: str, headers: Mapping[str, str], date: str) -> Signer:
    """Return the signer of all requests that have this method and these headers.

    Args:
        method: The HTTP method.
        account: The name of the account.
        key: Its key, in Base64.
        headers: The headers of the requests, which the caller sends.
        date: The time of the signature, as HTTP writes it; the service takes it for 15 minutes.

    Raises:
        ValueError: A header has a line break, or is given in two spellings.
    """
    lower = _lower(headers) | {"x-ms-date": date}
    own = sorted((name for name in lower if name.startswith("x-ms-")), key=_rank)
    canonical = "".join([f"{name}:{lower[name]}\n" for name in own])
    return Signer.shared_key(
        before_length=f"{method}\n{_lines(lower, _BEFORE_LENGTH)}".encode(),
        before_if_match=f"\n{_lines(lower, _BEFORE_IF_MATCH)}{lower.get('if-match', '')}".encode(),
        before_range=f"\n{_lines(lower, _BEFORE_RANGE)}{lower.get('range', '')}".encode(),
        resource=f"\n{canonical}/{account}".encode(),
        key=_hmac_key(base64.b64decode(key)),
        authorization=f"Authorization: SharedKey {account}:".encode(),
        headers=[f"x-ms-date: {date}".encode()],
    )


def _lines(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    return "".join([f"{headers.get(name, '')}\n" for name in names])


def _rank(name: str) -> tuple[str, list[int]]:
    return "".join([_RANKS[c] for c in name if c not in _IGNORED]), [_IGNORED.get(c, 0) for c in name]


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    lower = {name.lower(): value.strip(" \t") for name, value in headers.items()}
    if len(lower) < len(headers):
        raise ValueError(f"A header is given in two spellings: {', '.join(sorted(headers))}. Give it once.")
    for name, value in lower.items():
        if _LINE_BREAK.search(value):
            raise ValueError(f"The value of the header {name} has a line break or NUL. Take it out.")
    return lower


def _hmac_key(key: bytes) -> bytes:
    return hashlib.sha256(key).digest() if len(key) > 64 else key  # RFC 2104, section 2


def access_signature(
    account: str,
    blob: str,
    key: str | DelegationKey,
    *,
    permissions: str,
    expiry: datetime,
    https: bool,
    answers: Mapping[str, str],
) -> list[tuple[str, str]]:
    """Return the query that lets anybody use one blob.

    Args:
        account: The name of the account.
        blob: Container and name, joined by a slash, not encoded.
        key: The key of the account, in Base64; or one that the service gave.
        permissions: What is allowed, a letter each.
        expiry: Until when, aware.
        https: Whether to allow https alone.
        answers: The headers that the service is to answer with, by their parameters (``rscc`` and so on).
    """
    until = expiry.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    named = {"sp": permissions, "se": until, "sv": SAS_VERSION, "sr": "b", **answers}
    if https:
        named["spr"] = "https"
    if isinstance(key, DelegationKey):
        named |= _delegated(key)
        who, secret = [*(named[name] for name in ("skoid", "sktid", "skt", "ske", "sks", "skv")), "", "", ""], key.value
    else:
        who, secret = [""], key  # the last is the name of a stored policy, or of who may use it
    lines = [permissions, "", until, f"/blob/{account}/{blob}", *who]
    lines += ["", named.get("spr", ""), SAS_VERSION, "b", "", ""]
    lines += [answers.get(name, "") for name in ("rscc", "rscd", "rsce", "rscl", "rsct")]
    digest = hmac.digest(base64.b64decode(secret), "\n".join(lines).encode(), "sha256")
    return [*named.items(), ("sig", base64.b64encode(digest).decode())]


def _delegated(key: DelegationKey) -> dict[str, str]:
    return {
        "skoid": key.oid,
        "sktid": key.tid,
        "skt": key.start,
        "ske": key.expiry,
        "sks": key.service,
        "skv": key.version,
    }
