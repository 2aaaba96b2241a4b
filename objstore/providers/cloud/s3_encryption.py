"""How objects of a bucket are encrypted at rest: what the settings say, as the headers of requests.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingEncryption.html

Its one invariant: no setting of encryption is taken that would not be sent, and no key of the caller's leaves in the
clear.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from objstore.exceptions import ConfigurationError

CUSTOMER = "server-side-encryption-customer-"
"""The headers with a caller's own key for an object begin with this behind ``x-amz-``, with one for the source of a
copy behind ``x-amz-copy-source-`` (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html)."""

CUSTOMER_HEADERS = ("algorithm", "key", "key-MD5")

SOURCE_HEADERS = {f"x-amz-{CUSTOMER}{name}": f"x-amz-copy-source-{CUSTOMER}{name}" for name in CUSTOMER_HEADERS}
"""For each header that reads an object, the one that a copy reads its source by."""

ENCRYPTION = "x-amz-server-side-encryption"
"""What all headers of encryption begin with."""

_OF_KMS = ("sse_kms_key_id", "sse_kms_encryption_context", "sse_bucket_key_enabled")


def write_headers(values: Any) -> dict[str, str]:
    """Return the headers of requests that create objects.

    Args:
        values: The settings.

    Raises:
        ConfigurationError: They contradict each other, or one would have no effect.
    """
    algorithm = values["server_side_encryption"]
    _check(values, algorithm)
    if algorithm is None or algorithm == "sse-c":
        return read_headers(values)
    told = {
        ENCRYPTION: algorithm,
        f"{ENCRYPTION}-aws-kms-key-id": values["sse_kms_key_id"],
        f"{ENCRYPTION}-context": _context(values["sse_kms_encryption_context"]),
        f"{ENCRYPTION}-bucket-key-enabled": _truth(values["sse_bucket_key_enabled"]),
    }
    return {name: value for name, value in told.items() if value}


def read_headers(values: Any) -> dict[str, str]:
    """Return the headers of requests that read objects: those with the caller's own key (SSE-C).

    Args:
        values: The settings.
    """
    key = values["sse_customer_key_base64"]
    if not key:
        return {}
    digest = hashlib.md5(base64.b64decode(key), usedforsecurity=False).digest()
    told = ("AES256", key, base64.b64encode(digest).decode())
    return {f"x-amz-{CUSTOMER}{name}": value for name, value in zip(CUSTOMER_HEADERS, told, strict=True)}


def check_customer_key(values: Any, origin: str) -> None:
    """Raise if the caller's own key would travel in the clear, on loopback too: S3 refuses it only once it has come.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
    """
    of_headers = [name for name in values["default_headers"] or () if name.lower().endswith(f"{CUSTOMER}key")]
    given = ["sse_customer_key_base64"] if values["sse_customer_key_base64"] else of_headers
    if given and not origin.startswith("https:"):
        raise ConfigurationError(
            f"{given[0]} would be sent in the clear to {origin}",
            hint="Give an endpoint with https: S3 takes such keys over TLS alone.",
        )


def _context(text: str | None) -> str | None:
    return None if text is None else base64.b64encode(text.encode()).decode()


def _truth(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def _check(values: Any, algorithm: str | None) -> None:
    """Raise if objects would not be encrypted as a setting says."""
    by_kms = algorithm in ("aws:kms", "aws:kms:dsse")
    for name in [name for name in _OF_KMS if values[name] is not None and not by_kms]:
        raise ConfigurationError(f"{name} has no effect without KMS", hint="Give server_side_encryption='aws:kms' too.")
    if values["sse_bucket_key_enabled"] and algorithm == "aws:kms:dsse":
        raise ConfigurationError(
            "sse_bucket_key_enabled does not go with server_side_encryption = 'aws:kms:dsse', which has no bucket keys",
            hint="Leave it out.",
        )
    if values["sse_customer_key_base64"] and algorithm not in (None, "sse-c"):
        raise ConfigurationError(
            f"sse_customer_key_base64 does not go with server_side_encryption = {algorithm!r}",
            hint="Give one of them, or 'sse-c'.",
        )
    if algorithm == "sse-c" and not values["sse_customer_key_base64"]:
        raise ConfigurationError(
            "server_side_encryption = 'sse-c' needs a key", hint="Give sse_customer_key_base64 too."
        )
