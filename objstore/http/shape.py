"""What many requests have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from objstore.signing.sigv4 import EMPTY_PAYLOAD


class Shape(NamedTuple):
    """What requests have in common as far as the signature is concerned."""

    method: str
    headers: Mapping[str, str]
    payload_hash: str = EMPTY_PAYLOAD
