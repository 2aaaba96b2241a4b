"""Uploads to a container whose parts come from many hands: each sends blocks whose ids begin with that of the upload.

The service knows blocks, but no uploads: there is nothing to begin, and what is left of an upload goes after a week, or
with the next write to the same name.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from objstore.exceptions import BaseError, CorruptResponseError, GenericError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.http.xml import parse
from objstore.interface.values import WriteOptions
from objstore.providers.cloud.azure_upload import BlockUpload, block_id
from objstore.providers.conditional_headers import write_headers
from objstore.types import UploadPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from objstore._core import Reply
    from objstore.interface.values import Source
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.azure_blobs import Blobs
    from objstore.types import PutResult


class SharedUploads:
    """The uploads of a container.

    Args:
        blobs: The container.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def start(self, key: str, options: WriteOptions) -> Plan[str]:
        """Begin an upload; nothing is sent yet."""
        write_headers(options)
        self._blobs.object_headers(options)
        return os.urandom(16).hex()
        yield

    def put_part(self, key: str, upload_id: str, number: int, part: Source) -> Plan[UploadPart]:
        """Send a part (Put Block)."""
        yield from self._blobs.service.refresh()  # it may be the first that this process sends
        upload = BlockUpload(self._blobs, key, WriteOptions(), 1, unique=bytes.fromhex(upload_id), first=number)
        upload.add_part(part)
        yield from upload.finish()
        for error in upload.errors.values():
            raise error
        part.check()
        return UploadPart(number, block_id(bytes.fromhex(upload_id), number), part.size)

    def parts(self, key: str, upload_id: str) -> Plan[list[UploadPart]]:
        """Ask which parts there are (Get Block List)."""
        blobs = self._blobs
        yield from blobs.service.refresh()
        exchange = Exchange(blobs.service, Shape("GET", blobs.read_headers), lambda _: key, keep_head=True)
        exchange.add(blobs.target(key, [("blocklisttype", "uncommitted"), ("comp", "blocklist")]))
        try:
            return sorted(_parts_in((yield from exchange.only()), bytes.fromhex(upload_id)))
        except BaseError as error:
            if error.status == 404:  # no block has come yet
                return []
            raise
        except ValueError as reason:
            raise CorruptResponseError(f"The list of the blocks of {key!r} cannot be read: {reason}") from None

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadPart], options: WriteOptions) -> Plan[PutResult]:
        """Make an object of parts (Put Block List); there are no empty blocks."""
        unique = bytes.fromhex(upload_id)
        for part in parts:
            if part.e_tag != block_id(unique, part.number):
                raise self._of_another(key, part)
        upload = BlockUpload(self._blobs, key, options, 1, unique=unique)
        return (yield from upload.complete_of([part.e_tag for part in parts if part.size]))

    def _of_another(self, key: str, part: UploadPart) -> GenericError:
        service = self._blobs.service
        return GenericError(
            f"Part {part.number} for {key!r} is no part of this upload",
            hint="Give the parts that its put_part has returned.",
            store=service.dialect.store,
            path=service.path(key),
        )

    def abort(self, key: str, upload_id: str) -> Plan[None]:
        """Leave the blocks to the service: there is no request that drops them."""
        return
        yield


def _parts_in(reply: Reply, unique: bytes) -> Iterator[UploadPart]:
    """Return those of the blocks that a reply tells of that are an upload's."""
    for blocks in parse(bytes(reply.body), "BlockList").find_all("UncommittedBlocks"):
        for block in blocks.find_all("Block"):
            name = base64.b64decode(block.find_text("Name"))
            if name.startswith(unique):
                number = int.from_bytes(name[len(unique) :], "big")
                yield UploadPart(number, block.find_text("Name"), int(block.find_text("Size")))
