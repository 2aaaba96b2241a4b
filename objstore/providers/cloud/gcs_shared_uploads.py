"""Uploads by many hands whose parts are objects: for those under a condition, which uploads by the XML API have not.

An empty object beside the parts says that the upload goes on. It is deleted first at its end, and whoever sends a part
looks for it afterwards: so no part stays behind that comes late.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from objstore._core import Buffer
from objstore.exceptions import NotFoundError, NotSupportedError
from objstore.interface.values import ANY, Source, WriteOptions
from objstore.providers.cloud.gcs_parts import GOES_ON, Part, PartObjects
from objstore.providers.cloud.gcs_resource import e_tag, with_generation
from objstore.providers.cloud.gcs_sums import text_of
from objstore.providers.cloud.gcs_xml_upload import XmlUpload
from objstore.providers.cloud.shared_uploads import SharedUploads
from objstore.types import UploadPart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore.plans.effects import Plan
    from objstore.providers.cloud.gcs_objects import Objects
    from objstore.types import PutResult

_COMPOSED = "composed-"
_NUMBER = re.compile(r"-(\d{5})\.objstore-part$")


class GoogleUploads:
    """The uploads of a bucket.

    Args:
        objects: The bucket.
        start: Begins an upload by the XML API, or says that one must be composed by returning None.
    """

    def __init__(self, objects: Objects, start: Callable[[str, WriteOptions], Plan[str | None]]) -> None:
        self._objects = objects
        self._start = start
        self._xml = SharedUploads(objects, objects.begin_by_xml, None, XmlUpload)

    def start(self, key: str, options: WriteOptions) -> Plan[str]:
        """Begin an upload; its id says of which kind it is."""
        options = with_generation(options)
        upload_id = yield from self._start(key, options)
        if upload_id is not None:
            return upload_id
        pieces = PartObjects(self._objects, key)
        yield from self._objects.put(pieces.part(GOES_ON), Source(Buffer(b""), 0), WriteOptions())
        return _COMPOSED + pieces.id

    def put_part(self, key: str, upload_id: str, number: int, part: Source) -> Plan[UploadPart]:
        """Send a part."""
        if not upload_id.startswith(_COMPOSED):
            return (yield from self._xml.put_part(key, upload_id, number, part))
        pieces = self._pieces(key, upload_id)
        name = pieces.part(number)
        sent = yield from self._objects.checked_puts([(name, part)], WriteOptions(), 1)
        yield from sent.finish()
        (result,) = sent.results()
        if result is None:
            raise sent.errors[0]
        yield from self._check(pieces, key, is_late=True)
        return UploadPart(number, str(result["e_tag"]), part.size, text_of(sent.crcs[0]))

    def parts(self, key: str, upload_id: str) -> Plan[list[UploadPart]]:
        """Ask which parts there are."""
        if not upload_id.startswith(_COMPOSED):
            return (yield from self._xml.parts(key, upload_id))
        pieces = self._pieces(key, upload_id)
        yield from self._check(pieces, key)
        items = yield from pieces.items("crc32c,generation,name,size")
        numbered = [(_NUMBER.search(item["name"]), item) for item in items]
        return sorted(
            UploadPart(int(number[1]), e_tag(str(item["generation"])), int(item["size"]), item.get("crc32c"))
            for number, item in numbered
            if number is not None
        )

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadPart], options: WriteOptions) -> Plan[PutResult]:
        """Make an object of parts, and delete them; where that fails, they stay for another try, or `abort`."""
        options = with_generation(options)
        if not upload_id.startswith(_COMPOSED):
            self._refuse_mode(options)
            return (yield from self._xml.complete(key, upload_id, parts, options))
        pieces = self._pieces(key, upload_id)
        yield from self._check(pieces, key)
        result = yield from pieces.compose([_part(pieces, part) for part in parts], options)
        yield from pieces.clean_behind()
        return result

    def abort(self, key: str, upload_id: str) -> Plan[None]:
        """Drop an upload and its parts."""
        if not upload_id.startswith(_COMPOSED):
            return (yield from self._xml.abort(key, upload_id))
        pieces = self._pieces(key, upload_id)
        yield from pieces.clean()

    def _pieces(self, key: str, upload_id: str) -> PartObjects:
        return PartObjects(self._objects, key, upload_id.removeprefix(_COMPOSED))

    def _check(self, pieces: PartObjects, key: str, is_late: bool = False) -> Plan[None]:
        """Raise if the upload has ended, and drop what came too late."""
        try:
            yield from self._objects.head(pieces.part(GOES_ON), ANY)
        except NotFoundError:
            if is_late:
                yield from pieces.clean()
            service = self._objects.service
            path = service.path(key)
            raise NotFoundError(f"The upload of {key!r} has ended", store=service.dialect.store, path=path) from None

    def _refuse_mode(self, options: WriteOptions) -> None:
        if options.mode != "overwrite":
            raise NotSupportedError(
                f"mode = {options.mode!r} comes too late: the service has no conditions for the end of this upload",
                hint="Give the mode to begin_upload.",
                store=self._objects.service.dialect.store,
            )


def _part(pieces: PartObjects, part: UploadPart) -> Part:
    """Return the object that a part is; of one that is encrypted by the caller's key, a listing tells no checksum."""
    crc = None if part.checksum is None else base64.b64decode(part.checksum)
    return Part(pieces.part(part.number), part.e_tag.strip('"'), part.size, crc)
