"""Uploads to a bucket whose parts come from many hands, in S3's dialect: each of them knows the upload by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.http.shape import Shape
from objstore.interface.values import WriteOptions
from objstore.providers.cloud.upload import Upload, encoding
from objstore.types import UploadPart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore.http.xml import Element
    from objstore.interface.values import Source
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.checksums import Algorithm
    from objstore.providers.cloud.documents import Documents
    from objstore.types import PutResult


class SharedUploads:
    """The uploads of a bucket.

    Args:
        bucket: The bucket.
        start: Begins an upload there, and returns its id.
        algorithm: How parts are summed, if they are.
        kind: What sends the parts of one.
    """

    def __init__(
        self,
        bucket: Documents,
        start: Callable[[str, WriteOptions], Plan[str]],
        algorithm: Algorithm | None,
        kind: type[Upload] = Upload,
    ) -> None:
        self._bucket = bucket
        self._start = start
        self._algorithm = algorithm
        self._kind = kind

    def _upload(self, key: str, upload_id: str, options: WriteOptions, first: int = 1) -> Upload:
        return self._kind(self._bucket, key, upload_id, options, 1, first=first, algorithm=self._algorithm)

    def start(self, key: str, options: WriteOptions) -> Plan[str]:
        """Begin an upload (CreateMultipartUpload)."""
        return (yield from self._start(key, options))

    def put_part(self, key: str, upload_id: str, number: int, part: Source) -> Plan[UploadPart]:
        """Send a part (UploadPart)."""
        upload = self._upload(key, upload_id, WriteOptions(), number)
        upload.add_part(part)
        yield from upload.finish()
        (sent,) = upload.parts()
        part.check()
        return sent._replace(size=part.size)

    def parts(self, key: str, upload_id: str) -> Plan[list[UploadPart]]:
        """Ask which parts there are (ListParts)."""
        found: list[UploadPart] = []
        marker = "0"
        while True:
            root = yield from self._page(key, upload_id, marker)
            found += map(_part_of, root.find_all("Part"))
            if root.find_text("IsTruncated") != "true" or not found:
                return found
            marker = str(found[-1].number)

    def _page(self, key: str, upload_id: str, marker: str) -> Plan[Element]:
        bucket = self._bucket
        query = [("part-number-marker", marker), ("uploadId", upload_id), *encoding(key)]
        roots = ("ListPartsResult", "ListPartsResponse")  # the second is moto's name for it
        shape = Shape("GET", bucket.read_headers)
        root, _ = yield from bucket.document(shape, bucket.target(key, query), key, roots, safe=True)
        return root

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadPart], options: WriteOptions) -> Plan[PutResult]:
        """Make an object of parts (CompleteMultipartUpload)."""
        return (yield from self._upload(key, upload_id, options).complete_of(parts))

    def abort(self, key: str, upload_id: str) -> Plan[None]:
        """Drop an upload and its parts (AbortMultipartUpload)."""
        yield from self._upload(key, upload_id, WriteOptions()).abort()


def _part_of(element: Element) -> UploadPart:
    return UploadPart(int(element.find_text("PartNumber")), element.find_text("ETag"), int(element.find_text("Size")))
