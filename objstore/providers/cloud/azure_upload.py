"""An upload in blocks under way.

https://learn.microsoft.com/rest/api/storageservices/put-block,
https://learn.microsoft.com/rest/api/storageservices/put-block-list. Blocks that are never made an object of are dropped
by the service after a week, or with the next write to the same name: there is no request that does it.

Its one invariant: no other upload has a block of the same id, so whatever object has these blocks is of this upload.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from objstore._core import Buffer
from objstore.exceptions import BaseError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.http.xml import build, parse
from objstore.interface.values import ANY, Source, WriteOptions
from objstore.plans.limits import within
from objstore.providers.cloud.azure_blobs import Blobs, check_size
from objstore.providers.conditional_headers import LOOK_SECONDS, after_all, what_is_there, write_error, write_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.plans.effects import Plan
    from objstore.types import PutResult

MOST_IN_A_BLOCK = 4000 << 20
"""The most that a block has, in bytes."""

BLOCKS_GONE = "InvalidBlockList"


def block_id(unique: bytes, number: int) -> str:
    """Return the id of a block; all of an object must be of one length."""
    return base64.b64encode(unique + number.to_bytes(4, "big")).decode()


class BlockUpload(Exchange):
    """The blocks of an upload under way (Put Block).

    Args:
        blobs: Where to.
        key: The key of the object.
        options: What is stored with it, and what it may replace.
        most_in_flight: How many blocks are in flight.
        unique: What the ids of its blocks begin with.
        first: The number of the first block.
        patient: Whether the service may take its time for a block.
    """

    def __init__(
        self,
        blobs: Blobs,
        key: str,
        options: WriteOptions,
        most_in_flight: int,
        *,
        unique: bytes | None = None,
        first: int = 1,
        patient: bool = False,
    ) -> None:
        super().__init__(
            blobs.service,
            Shape("PUT", blobs.read_headers),
            lambda _: key,
            detail=lambda index: f" block {first + index}",
            keep_head=True,
            background=True,
            each=True,
            patient=patient,
            most_in_flight=most_in_flight,
        )
        self._blobs = blobs
        self._key = key
        self._options = options
        self._unique = unique or os.urandom(16)
        self._first = first

    def add_part(self, part: Source) -> None:
        """Send one more block; the service takes no empty ones, and an object may be of none."""
        check_size(self._key, part.size, MOST_IN_A_BLOCK, "one block")
        if part.size:
            self.add(self._next_target(), shape=self._blobs.own_shape(self._shape, part), body=part.data)

    def add_copied(self, source: Mapping[str, str], start: int, end: int) -> None:
        """Have the service read one more block from where headers say (Put Block From URL)."""
        headers = {**self._blobs.read_headers, **source, "x-ms-source-range": f"bytes={start}-{end - 1}"}
        self.add(self._next_target(), shape=Shape("PUT", headers), body=Buffer(b""))

    def _next_target(self) -> bytes:
        query = [("comp", "block"), ("blockid", block_id(self._unique, self._first + self.total))]
        return self._blobs.target(self._key, query)

    @property
    def unsettled(self) -> int:
        """How many blocks are on their way."""
        return self.batch.total - self.batch.settled

    def complete(self) -> Plan[PutResult]:
        """Make an object of the blocks."""
        return (yield from self.complete_of([block_id(self._unique, self._first + at) for at in range(self.total)]))

    def complete_of(self, ids: list[str]) -> Plan[PutResult]:
        """Make an object of blocks (Put Block List): found among the new ones, or, once it is made, its own."""
        blobs = self._blobs
        headers = {**blobs.object_headers(self._options), **write_headers(self._options)}
        shape = Shape("PUT", {**headers, "Content-Type": "application/xml"})
        yield from blobs.service.refresh()
        exchange = Exchange(blobs.service, shape, lambda _: self._key, keep_head=True, patient=True)
        body = build("BlockList", [("Latest", id) for id in ids])
        exchange.add(blobs.target(self._key, [("comp", "blocklist")]), body=Buffer(body))
        try:
            return blobs.put_result((yield from exchange.only()))
        except BaseError as error:
            if error.code == BLOCKS_GONE:
                raise (yield from self._after_another(error)) from None
            if not error.maybe_applied:
                raise write_error(error, self._options) from None
            return (yield from self._look(error, ids))

    def _after_another(self, error: BaseError) -> Plan[BaseError]:
        """Return why blocks are gone: a write that came first takes them along, and may not be one to replace."""
        try:
            found = yield from what_is_there(self._blobs.head(self._key, ANY))
        except BaseError:
            return error
        return after_all(error, self._options, found)

    def _look(self, error: BaseError, ids: list[str]) -> Plan[PutResult]:
        """Return the object if a try was carried out, and only its reply was lost; else raise what is known."""
        try:
            ours = yield from within(LOOK_SECONDS, self._made(ids))
            found = None if ours else (yield from what_is_there(self._blobs.head(self._key, ANY)))
        except BaseError:
            raise write_error(error, self._options) from None
        if ours is not None:
            return ours
        raise after_all(write_error(error, self._options), self._options, found) from None

    def _made(self, ids: list[str]) -> Plan[PutResult | None]:
        """Return the object, if it is made of these blocks (Get Block List)."""
        blobs = self._blobs
        yield from blobs.service.refresh()
        exchange = Exchange(blobs.service, Shape("GET", {}), lambda _: self._key, keep_head=True)
        exchange.add(blobs.target(self._key, [("blocklisttype", "committed"), ("comp", "blocklist")]))
        try:
            reply = yield from exchange.only()
        except BaseError as error:
            if error.status in (404, 409):  # there is none, or one that is not of blocks
                return None
            raise
        blocks = parse(bytes(reply.body), "BlockList").find_all("CommittedBlocks")
        made = [block.find_text("Name") for list in blocks for block in list.find_all("Block")]
        return blobs.put_result(reply) if made == ids else None

    def abort(self) -> Plan[None]:
        """Leave the blocks to the service: there is no request that drops them."""
        return
        yield
