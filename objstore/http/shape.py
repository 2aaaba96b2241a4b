"""What many requests have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from objstore.signing.sigv4 import EMPTY_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Mapping


class Shape(NamedTuple):
    """What requests have in common as far as the signature is concerned."""

    method: str
    headers: Mapping[str, str]
    payload_hash: str = EMPTY_PAYLOAD
