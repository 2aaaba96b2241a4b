"""An upload in parts that must meet a condition: each part is an object of its own, and the last request composes them.

A session would do too, but takes one part after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.providers.cloud.gcs_parts import Part, PartObjects
from objstore.providers.cloud.gcs_resource import generation_of, read_document
from objstore.providers.cloud.gcs_sums import corrupted, crc_behind, text_of
from objstore.providers.cloud.upload import ABORT_SECONDS
from objstore.providers.many import why

if TYPE_CHECKING:
    from objstore._core import Bytes, Reply
    from objstore.interface.values import Source, WriteOptions
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.gcs_objects import Objects
    from objstore.types import PutResult


class ComposedUpload(Exchange):
    """The parts on their way.

    Args:
        objects: The bucket.
        key: The key of the object.
        options: What is stored with it, and what it may replace.
        most_in_flight: How many parts are on their way at a time.
    """

    def __init__(self, objects: Objects, key: str, options: WriteOptions, most_in_flight: int) -> None:
        super().__init__(
            objects.service,
            Shape("POST", {}),
            lambda _: key,
            detail=lambda index: f" part {index + 1}",
            keep_head=True,
            background=True,
            each=True,
            most_in_flight=most_in_flight,
        )
        self._objects = objects
        self._pieces = PartObjects(objects, key)
        self._key = key
        self._options = options
        self._sources: dict[int, Source] = {}  # of the parts on their way: no more is kept of the others
        self._sizes: list[int] = []
        self._sums: list[bytes] = []
        self._told: dict[int, bytes] = {}
        self._dropped = False

    @property
    def unsettled(self) -> int:
        """How many parts are on their way."""
        return self.batch.total - self.batch.settled

    def add_part(self, part: Source) -> None:
        """Send one more part."""
        self._sums.append(crc_behind(part))
        self._sources[self.total] = part
        self._sizes.append(part.size)
        insert = self._objects.insert_bare(self._pieces.part(len(self._sums)), part, self._sums[-1])
        self.add(insert.target, shape=insert.shape, body=insert.body)

    def take(self, index: int) -> Bytes:
        """Remember what the service said of a part that arrived, and let go of its memory."""
        del self._sources[index]
        body = super().take(index)
        self._told[index] = bytes(body)
        return body

    def complete(self) -> Plan[PutResult]:
        """Make an object of the parts, and delete them."""
        result = yield from self._pieces.compose([self._part(index) for index in range(self.total)], self._options)
        yield from self._pieces.clean_behind()
        return result

    def close(self) -> None:
        """Let parts that are under way go on until `abort`: one that is broken off may still be stored, later."""
        if self.over or self._dropped:
            super().close()

    def abort(self) -> Plan[None]:
        """Wait a little for parts that are under way, and delete all."""
        self._dropped = True
        yield from self.finish_within(ABORT_SECONDS)
        yield from self._pieces.clean()

    def _part(self, index: int) -> Part:
        stored, crc = read_document(self._told[index], "the description of a part"), self._sums[index]
        if stored.get("crc32c") not in (None, text_of(crc)):
            raise corrupted(self._objects.service.path(self._key), crc, stored["crc32c"])
        return Part(self._pieces.part(index + 1), generation_of(stored), self._sizes[index], crc)

    def _decide(self, reply: Reply) -> Plan[None]:
        yield from super()._decide(reply)
        if reply.index in self.errors:
            self.errors[reply.index] = why(self.errors[reply.index], self._sources[reply.index])
