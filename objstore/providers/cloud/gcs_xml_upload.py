"""An upload in parts by Google's XML API, which speaks S3's dialect there, but knows objects by their generations.

https://cloud.google.com/storage/docs/multipart-uploads
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore.interface.values import ANY
from objstore.providers.cloud.gcs_resource import e_tag
from objstore.providers.cloud.gcs_sums import why
from objstore.providers.cloud.upload import Upload

if TYPE_CHECKING:
    from objstore._core import Bytes, Reply
    from objstore.interface.values import Source
    from objstore.plans.effects import Plan
    from objstore.types import PutResult


class XmlUpload(Upload):
    """The parts of an upload under way."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sources: dict[int, Source] = {}  # of the parts on their way: no more is kept of the others

    def add_part(self, part: Source) -> None:
        """Send one more part."""
        self._sources[self.total] = part
        super().add_part(part)

    def take(self, index: int) -> Bytes:
        """Let go of the memory of a part that arrived."""
        del self._sources[index]
        return super().take(index)

    def _decide(self, reply: Reply) -> Plan[None]:
        yield from super()._decide(reply)
        if reply.index in self.errors:
            self.errors[reply.index] = why(self.errors[reply.index], self._sources[reply.index])

    def _made(self, reply: Reply, tag: str | None) -> Plan[PutResult]:
        """Return the object that the service says that it has made: asked for, where it has no generation."""
        generation = reply.headers.get(self._bucket.service.dialect.version_header)
        if generation:
            return {"e_tag": e_tag(generation), "version": generation}
        made = (yield from self._bucket.head(self._key, ANY)).meta
        return {"e_tag": made["e_tag"], "version": made["version"]}
