"""The checksums that S3 takes with what is written: one table, and how each is computed.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
import hashlib
import os
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from objstore._core import checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from objstore.interface.values import Source
    from objstore.types import Buffer

PIECE = 1 << 20
"""How much of a file is read at a time."""


class Algorithm(NamedTuple):
    """One of the checksums.

    Args:
        name: What S3 calls it in the header that announces it.
        compute: Computes it of what comes in pieces.
    """

    name: str
    compute: Callable[[Iterable[Buffer]], bytes]

    @property
    def header(self) -> str:
        """The header that carries it."""
        return f"x-amz-checksum-{self.name.lower()}"

    @property
    def element(self) -> str:
        """The element of a document that carries it."""
        return f"Checksum{self.name}"

    def announcement(self) -> dict[str, str]:
        """Return the header of an upload in parts that are going to have it."""
        return {"x-amz-checksum-algorithm": self.name}

    def told(self, source: Source) -> dict[str, str]:
        """Return the header that tells the checksum of what is sent."""
        return {self.header: _encoded(self.compute(pieces(source)))}


def _hash(name: str, pieces: Iterable[Buffer]) -> bytes:
    digest = hashlib.new(name, usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


def _crc(name: str, pieces: Iterable[Buffer]) -> bytes:
    value = checksum(name, b"")
    for piece in pieces:
        value = checksum(name, piece, value)
    return value


ALGORITHMS = {
    "crc32": Algorithm("CRC32", partial(_crc, "crc32")),
    "crc32c": Algorithm("CRC32C", partial(_crc, "crc32c")),
    "crc64nvme": Algorithm("CRC64NVME", partial(_crc, "crc64nvme")),
    "sha1": Algorithm("SHA1", partial(_hash, "sha1")),
    "sha256": Algorithm("SHA256", partial(_hash, "sha256")),
}
"""By the value of the setting."""


def sha256(source: Source) -> str:
    """Return the hash of what is sent, in hexadecimal digits."""
    return _hash("sha256", pieces(source)).hex()


def _encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def pieces(source: Source) -> Iterator[Buffer]:
    """Give the bytes of a source: those in memory at once, those of a file as they are read."""
    if not isinstance(source.data, tuple):
        yield source.data
        return
    descriptor, offset, length = source.data
    while length > 0:
        piece = os.pread(descriptor, min(length, PIECE), offset)
        if not piece:
            return
        yield piece
        offset += len(piece)
        length -= len(piece)
