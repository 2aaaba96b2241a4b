"""An upload in parts by Google's XML API, which speaks S3's dialect there, but knows objects by their generations.

https://cloud.google.com/storage/docs/multipart-uploads
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.interface.values import ANY
from objstore.providers.cloud.gcs_resource import e_tag
from objstore.providers.cloud.upload import Upload

if TYPE_CHECKING:
    from objstore._core import Reply
    from objstore.plans.effects import Plan
    from objstore.types import PutResult


class XmlUpload(Upload):
    """The parts of an upload under way."""

    def _made(self, reply: Reply, tag: str | None) -> Plan[PutResult]:
        """Return the object that the service says that it has made: asked for, where it has no generation."""
        generation = reply.headers.get(self._bucket.service.dialect.version_header)
        if generation:
            return {"e_tag": e_tag(generation), "version": generation}
        made = (yield from self._bucket.head(self._key, ANY)).meta
        return {"e_tag": made["e_tag"], "version": made["version"]}
