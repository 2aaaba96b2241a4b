"""An object copied by the service in the parts of an upload (UploadPartCopy): too large for one request, or not to
replace another.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from objstore._core import Buffer
from objstore.exceptions import CorruptResponseError, ObjectChangedError, PreconditionError
from objstore.http.shape import Shape
from objstore.http.xml import parse
from objstore.providers.cloud.upload import Upload
from objstore.providers.conditional_headers import as_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore.interface.values import WriteOptions
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.documents import Documents
    from objstore.types import PutResult, UploadPart


class CopiedParts(Upload):
    """The parts of an upload that the service copies from an object.

    Args:
        bucket: Where to.
        key: The key of the copy.
        upload_id: The upload.
        options: What is stored with the copy, and what it may replace.
        source: The key of the object, for errors.
        headers: The headers that name the object, and the version of it that is meant.
        most_in_flight: How many parts are copied at a time.
    """

    def __init__(
        self,
        bucket: Documents,
        key: str,
        upload_id: str,
        options: WriteOptions,
        source: str,
        headers: Mapping[str, str],
        most_in_flight: int,
    ) -> None:
        super().__init__(bucket, key, upload_id, options, most_in_flight, patient=True)
        self._detail = lambda index: f" part {index + 1} from {source!r}"
        self._headers = headers
        self._shapes: list[Shape] = []
        self._tags: list[str] = []

    def add_range(self, start: int, end: int) -> None:
        """Copy a range of the object as the next part."""
        name = self._bucket.service.dialect.copy_source
        self._copy({f"{name}-range": f"bytes={start}-{end - 1}"})

    def add_whole(self) -> None:
        """Copy all of the object as the one part."""
        self._copy({})

    def _copy(self, headers: Mapping[str, str]) -> None:
        shape = Shape("PUT", {**self._bucket.read_headers, **self._headers, **headers})
        self._shapes.append(shape)
        self.add(self.part_target(self.total), shape=shape, body=Buffer(b""))

    def settle(self) -> Plan[None]:
        """Wait until all parts are there."""
        self.seal()
        while not self.over:
            yield from self.news()
            self.finished()
            for error in self.errors.values():
                raise as_kind(ObjectChangedError, error) if isinstance(error, PreconditionError) else error
        self._tags = []
        for index in range(self.total):
            self._tags.append((yield from self._tag(index)))

    def _tag(self, index: int) -> Plan[str]:
        """Return the ETag of a part; one that was answered by an error with the status 200 is copied again."""
        with suppress(CorruptResponseError):
            return parse(bytes(self.reply(index).body), "CopyPartResult").find_text("ETag")
        root, _ = yield from self._bucket.document(
            self._shapes[index],
            self.part_target(index),
            self._key,
            ("CopyPartResult",),
            safe=True,
            patient=True,
            detail=self._detail(index),
        )
        return root.find_text("ETag")

    def complete_of(self, parts: Sequence[UploadPart]) -> Plan[PutResult]:
        """Make an object of the parts: whoever has them copied sees to the condition."""
        return self.end(parts)

    def part_tags(self) -> list[str]:
        """Return the ETags of the parts, which are all there."""
        return self._tags
