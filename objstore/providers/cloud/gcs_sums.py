"""CRC32C, by which Google Cloud Storage checks what it is sent, and which it tells of what it has.

https://cloud.google.com/storage/docs/data-validation
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from objstore._core import checksum
from objstore.disk.descriptors import PIECE, cut_short
from objstore.exceptions import IntegrityError
from objstore.providers.cloud.gcs_resource import read_document
from objstore.providers.many import PutMany, why

if TYPE_CHECKING:
    from objstore.exceptions import BaseError
    from objstore.interface.values import Source
    from objstore.types import PutResult

NOTHING = checksum("crc32c", b"")


def crc_behind(source: Source, before: bytes = NOTHING) -> bytes:
    """Return the checksum of bytes, and of those in front of them.

    Args:
        source: The bytes.
        before: The checksum of those in front of them.
    """
    if not isinstance(source.data, tuple):
        return checksum("crc32c", source.data, before)
    descriptor, offset, left = source.data
    while left:
        piece = os.pread(descriptor, min(left, PIECE), offset)
        if not piece:
            raise cut_short()
        before = checksum("crc32c", piece, before)
        offset, left = offset + len(piece), left - len(piece)
    return before


def text_of(crc: bytes) -> str:
    """Return a checksum as the service writes it."""
    return base64.b64encode(crc).decode()


def hash_header(crc: bytes) -> dict[str, str]:
    """Return the header that tells the service a checksum."""
    return {"x-goog-hash": f"crc32c={text_of(crc)}"}


def corrupted(path: str, sent: bytes, stored: object) -> IntegrityError:
    """Return the error for an object that is not what was sent."""
    return IntegrityError(
        f"The service has stored {path!r} with the checksum {stored}, and {text_of(sent)} was sent: it is damaged",
        hint="Write it again.",
        store="GCSStore",
        path=path,
        maybe_applied=True,
    )


class CheckedPuts(PutMany):
    """Many writes under way, of which the service tells the checksums."""

    crcs: list[bytes]
    """Those of what is sent."""

    def results(self) -> list[PutResult | None]:
        """Return the result of each write, in order; None where it failed, or what is stored is not what was sent."""
        results = super().results()
        for index, sent in enumerate(self.crcs):
            if index not in self.errors and (error := self._damage(index, sent)) is not None:
                self.errors[index], results[index] = error, None
        return results

    def _damage(self, index: int, sent: bytes) -> BaseError | None:
        stored = read_document(bytes(self.reply(index).body), "the description of an object").get("crc32c")
        if stored in (None, text_of(sent)):
            return None
        key, source = self._items[index]
        return why(corrupted(self._service.path(key), sent, stored), source)
