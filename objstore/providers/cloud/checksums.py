"""The checksums that S3 takes with what is written: one table, and how each is computed.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from objstore._core import checksum, combined_checksum
from objstore.http.shape import Shape
from objstore.interface.values import Sums
from objstore.signing.sigv4 import UNSIGNED_WITH_TRAILER, BodySum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from objstore.interface.values import Source
    from objstore.types import Buffer, UploadPart

WHOLE = "FULL_OBJECT"
"""The type of a checksum that is of the bytes of an object, not of the checksums of its parts."""

CONTENT_ENCODING = "content-encoding"

PIECE = 1 << 20
"""How much of a file is read at a time."""

SHORTEST_TRAILED = 4 << 20
"""How large a file is whose checksum goes behind its bytes: to read a smaller one twice takes less than that."""


_OF_PARTS = re.compile(r'-\d+"?$')
_SUM = re.compile(r"([A-Za-z0-9+/]+=*)(?:-([1-9]\d{0,4}))?")


class Algorithm(NamedTuple):
    """One of the checksums.

    Args:
        name: What S3 calls it in the header that announces it.
        compute: Computes it of what comes in pieces.
        combine: Makes one of two stretches of bytes of those of each, and the length of the second; None: nobody can,
            and an object in parts has one of the checksums of its parts.
    """

    name: str
    compute: Callable[[Iterable[Buffer]], bytes]
    combine: Callable[[bytes, bytes, int], bytes] | None = None

    @property
    def header(self) -> str:
        """The header that carries it."""
        return f"x-amz-checksum-{self.name.lower()}"

    @property
    def element(self) -> str:
        """The element of a document that carries it."""
        return f"Checksum{self.name}"

    @property
    def by_engine(self) -> BodySum | None:
        """How the engine makes it of what it sends; None: it cannot."""
        return None if self.combine is None else BodySum(self.header, self.name.lower())

    def read(self, text: str) -> bytes | None:
        """Return the checksum that a header tells; None where it is none."""
        try:
            digest = base64.b64decode(text, validate=True)
        except ValueError:
            return None
        return digest if len(digest) == len(self.compute(())) else None

    def announcement(self) -> dict[str, str]:
        """Return the header of an upload in parts that are going to have it."""
        kind = {} if self.combine is None else {"x-amz-checksum-type": WHOLE}
        return {"x-amz-checksum-algorithm": self.name, **kind}

    def told(self, source: Source) -> dict[str, str]:
        """Return the header that tells the checksum of what is sent."""
        return {self.header: encoded(self.compute(pieces(source)))}

    def told_of_whole(self, parts: Sequence[UploadPart]) -> dict[str, str]:
        """Return the headers that tell checksum and size of an object in parts; none, where one is not known."""
        if self.combine is None or not parts or any(part.checksum is None for part in parts):
            return {}
        whole, size = b"", 0
        for part in parts:
            digest = base64.b64decode(part.checksum or "")
            whole = self.combine(whole, digest, part.size) if whole else digest
            size += part.size
        return {self.header: encoded(whole), "x-amz-checksum-type": WHOLE, "x-amz-mp-object-size": str(size)}


def is_trailed(source: Source) -> bool:
    """Tell whether a body would be read once more only to be summed up."""
    return isinstance(source.data, tuple) and source.size >= SHORTEST_TRAILED


def with_trailer(shape: Shape, body_sum: BodySum) -> Shape:
    """Return the shape of a PUT whose checksum is told behind its body.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
    """
    encoding = [value for name, value in shape.headers.items() if name.lower() == CONTENT_ENCODING]
    others = {name: value for name, value in shape.headers.items() if name.lower() != CONTENT_ENCODING}
    told = {CONTENT_ENCODING: ",".join([*encoding, "aws-chunked"]), "x-amz-trailer": body_sum.header}
    behind = BodySum("x-amz-decoded-content-length", body_sum.algorithm, body_sum.header)
    return Shape(shape.method, {**others, **told}, UNSIGNED_WITH_TRAILER, behind)


def told_sums(headers: Mapping[str, str], size: int) -> Sums | None:
    """Return what the reply to a question for a whole object tells that the engine does not know.

    That is its hash, or the checksum of those of its parts, with a dash and their number behind it.
    """
    kind = headers.get("x-amz-checksum-type", "").upper()
    for algorithm in ALGORITHMS.values():
        found = _SUM.fullmatch(headers.get(algorithm.header, ""))
        parts = int(found[2] or 0) if found else 0
        if found is None or kind not in ("", "COMPOSITE" if parts else WHOLE):
            continue
        digest = algorithm.read(found[1])
        in_parts = _OF_PARTS.search(headers.get("etag", "")) is not None  # then it is no hash of the bytes
        if digest is not None and (parts or (algorithm.combine is None and not in_parts)):
            return Sums(algorithm.name.lower(), b"", digest, size, parts)
    return None


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
    "crc32": Algorithm("CRC32", partial(_crc, "crc32"), partial(combined_checksum, "crc32")),
    "crc32c": Algorithm("CRC32C", partial(_crc, "crc32c"), partial(combined_checksum, "crc32c")),
    "crc64nvme": Algorithm("CRC64NVME", partial(_crc, "crc64nvme"), partial(combined_checksum, "crc64nvme")),
    "sha1": Algorithm("SHA1", partial(_hash, "sha1")),
    "sha256": Algorithm("SHA256", partial(_hash, "sha256")),
}
"""By the value of the setting."""


def sha256(source: Source) -> str:
    """Return the hash of what is sent, in hexadecimal digits."""
    return _hash("sha256", pieces(source)).hex()


def encoded(digest: bytes) -> str:
    """Return a checksum as headers and documents have it."""
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
