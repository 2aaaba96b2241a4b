"""What signed URLs and forms have to say, so that objects are encrypted as the settings of the store say.

Its one invariant: nobody is handed a URL or form by which objects would be written in another way than by the store, in
silence, or by which a key would travel in the clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.interface.values import UrlTerms
    from objstore.providers.requests import Requests

_KEYS = ("-server-side-encryption-customer-key", "x-goog-encryption-key")
"""What the names of headers end with that have a caller's own key in them."""

_OF_A_VERSION = frozenset(("versionid", "generation", "partnumber"))
"""Parameters that say which part or version of an object is meant, not something else about it."""


def check_url(bucket: Requests, terms: UrlTerms) -> None:
    """Raise if who uses a URL would not have to send the headers of the store's encryption, or a key in the clear."""
    _check_clear(bucket, terms.headers, f"A URL for {terms.method}")
    _check(bucket, _encryption(bucket, terms), terms.headers, f"A URL for {terms.method}", "headers")


def check_form(bucket: Requests, fields: Mapping[str, str]) -> None:
    """Raise if a form lacks the fields of the store's encryption, or has a key in the clear."""
    _check_clear(bucket, fields, "A form")
    _check(bucket, encrypting(bucket, bucket.write_headers), fields, "A form", "fields")


def encrypting(bucket: Requests, headers: Mapping[str, str]) -> dict[str, str]:
    """Return those headers that are about encryption."""
    start = bucket.service.dialect.encryption
    return {name: value for name, value in headers.items() if name.startswith(start)}


def _encryption(bucket: Requests, terms: UrlTerms) -> dict[str, str]:
    """Return the headers of encryption that requests of the store have that are like those by a URL."""
    asked = {name.lower() for name in terms.query} - _OF_A_VERSION
    asked = {name for name in asked if not name.startswith("response-")}
    if terms.method in ("GET", "HEAD") and not asked:
        return encrypting(bucket, bucket.read_headers)
    if terms.method in ("PUT", "POST") and asked == {"uploadid"}:
        return encrypting(bucket, bucket.read_headers)
    if terms.method in ("PUT", "POST") and asked <= {"uploads"}:
        return encrypting(bucket, bucket.write_headers)
    return {}


def _check_clear(bucket: Requests, given: Mapping[str, str], what: str) -> None:
    """Raise if a caller's own key would have to be sent over plain HTTP."""
    origin, secret = bucket.service.origin, next((name for name in given if name.lower().endswith(_KEYS)), None)
    if secret is not None and not origin.startswith("https:"):
        raise ConfigurationError(
            f"{what} with {secret} would have it sent in the clear to {origin}",
            hint="Give an endpoint with https.",
            store=bucket.service.dialect.store,
        )


def _check(bucket: Requests, wanted: Mapping[str, str], given: Mapping[str, str], what: str, where: str) -> None:
    said = {name.lower(): value for name, value in given.items()}
    if missing := {name: value for name, value in wanted.items() if said.get(name.lower()) != value}:
        shown = {name: "..." if name in bucket.read_headers else value for name, value in missing.items()}
        raise ConfigurationError(
            f"{what} would not encrypt as the settings of the store say, without {shown}",
            hint=f"Give that as {where}=, to be sent with it; or use a store without these settings.",
            store=bucket.service.dialect.store,
        )
