"""What many requests have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from objstore.signing.sigv4 import EMPTY_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.signing.sigv4 import BodySum


@dataclass(frozen=True, slots=True)
class Shape:
    """What requests have in common as far as the signature is concerned.

    Args:
        method: The HTTP method.
        headers: The headers.
        payload_hash: What is signed of the body.
        body_sum: The checksum that goes with every body.
    """

    method: str
    headers: Mapping[str, str]
    payload_hash: str = EMPTY_PAYLOAD
    body_sum: BodySum | None = None
