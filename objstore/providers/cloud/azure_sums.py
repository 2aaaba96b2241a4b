"""Checksums that Azure compares: of what a request writes, and of ranges that it is asked for.

https://learn.microsoft.com/rest/api/storageservices/put-block,
https://learn.microsoft.com/rest/api/storageservices/get-blob. CRC64 is that of NVMe, its lowest byte first.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from objstore.interface.values import ANY_SIZE
from objstore.providers.cloud.checksums import ALGORITHMS, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.values import Range, Source

LARGEST_RANGE = 4 << 20
"""The largest range that the service sums up."""

ASKED_FOR = "crc64nvme"

ASKED = {"x-ms-range-get-content-crc64": "true"}


def told(algorithm: str | None, source: Source) -> dict[str, str]:
    """Return the header with the checksum of what is written; none without an algorithm."""
    if algorithm is None:
        return {}
    if algorithm == ASKED_FOR:
        return {"x-ms-content-crc64": _text(ALGORITHMS[algorithm].compute(pieces(source))[::-1])}
    digest = hashlib.md5(usedforsecurity=False)
    for piece in pieces(source):
        digest.update(piece)
    return {"Content-MD5": _text(digest.digest())}


def most_compared(algorithm: str | None) -> int:
    """Return the largest range whose checksum may be asked for."""
    return LARGEST_RANGE if algorithm == ASKED_FOR else ANY_SIZE


def asked(algorithm: str | None, ranges: Sequence[Range]) -> dict[str, str]:
    """Return the header that asks for the checksum of each range, where all are small enough."""
    if algorithm != ASKED_FOR:
        return {}
    small = all(0 <= range.start < range.end <= range.start + LARGEST_RANGE for range in ranges)
    return ASKED if small else {}


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
