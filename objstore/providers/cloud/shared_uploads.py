"""Uploads to a bucket whose parts come from many hands, in S3's dialect: each of them knows the upload by its id."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from objstore.exceptions import CorruptResponseError, NotFoundError
from objstore.http.shape import Shape
from objstore.interface.values import WriteOptions
from objstore.providers.cloud.upload import Upload, encoding
from objstore.providers.conditional_headers import as_kind
from objstore.types import UploadPart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore.exceptions import BaseError
    from objstore.http.xml import Element
    from objstore.interface.values import Source
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.checksums import Algorithm
    from objstore.providers.cloud.documents import Documents
    from objstore.types import PutResult


class UploadOfMany(Upload):
    """An upload that others know too: one of them may have completed it, or dropped it."""

    def is_ours(self, error: BaseError) -> Plan[bool]:
        """Tell whether it does not matter who made an object of these parts: where one alone may win, nobody knows."""
        return self._options.mode == "overwrite"
        yield

    def ended(self, error: BaseError) -> BaseError:
        """Return the error of an upload that had ended before this call, by another's hand, or may have by this one."""
        if error.maybe_applied:
            return super().ended(error)
        return as_kind(NotFoundError, error, "It has been completed or aborted.")


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
        kind: type[Upload] = UploadOfMany,
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
        yield from self._bucket.service.refresh()  # it may be the first that this process sends
        upload = self._upload(key, upload_id, WriteOptions(), number)
        upload.add_part(part)
        yield from upload.finish()
        (sent,) = upload.parts()
        part.check()
        return sent._replace(size=part.size)

    def parts(self, key: str, upload_id: str) -> Plan[list[UploadPart]]:
        """Ask which parts there are (ListParts)."""
        found: list[UploadPart] = []
        while True:
            behind = found[-1].number if found else 0
            root = yield from self._page(key, upload_id, behind)
            try:
                page, goes_on = self._read_page(root, behind)
            except ValueError as reason:
                raise self._unreadable(key, reason) from None
            found += page
            if not goes_on:
                return found

    def _unreadable(self, key: str, reason: ValueError) -> CorruptResponseError:
        service = self._bucket.service
        text = f"GET {key!r} failed: the list of the parts cannot be read: {reason}"
        return CorruptResponseError(text, store=service.dialect.store, path=service.path(key))

    def _read_page(self, root: Element, behind: int) -> tuple[list[UploadPart], bool]:
        """Return the parts of a page, all behind a number, and whether there are more of them.

        Raises:
            ValueError: It does not say so, or the parts are not in order: some might be missing, or there twice.
        """
        parts = [self._part_of(element) for element in root.find_all("Part")]
        numbers = [behind, *(part.number for part in parts)]
        if any(number <= before for before, number in pairwise(numbers)):
            raise ValueError("its numbers do not rise")
        truncated = root.find_text("IsTruncated", "false")
        if truncated not in ("true", "false"):
            raise ValueError(f"IsTruncated is {truncated!r}, neither true nor false")
        if truncated == "true" and not parts:
            raise ValueError("it has no parts, but says that there are more")
        return parts, truncated == "true"

    def _part_of(self, element: Element) -> UploadPart:
        told = element.find_text(self._algorithm.element) if self._algorithm is not None else ""
        return UploadPart(
            _number(element, "PartNumber"), element.find_text("ETag"), _number(element, "Size"), told or None
        )

    def _page(self, key: str, upload_id: str, behind: int) -> Plan[Element]:
        bucket = self._bucket
        query = [("part-number-marker", str(behind)), ("uploadId", upload_id), *encoding(key)]
        roots = ("ListPartsResult", "ListPartsResponse")  # the second is moto's name for it
        shape = Shape("GET", bucket.read_headers)
        root, _ = yield from bucket.document(shape, bucket.target(key, query), key, roots, safe=True)
        return root

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadPart], options: WriteOptions) -> Plan[PutResult]:
        """Make an object of parts (CompleteMultipartUpload)."""
        return (yield from self._upload(key, upload_id, options).complete_of(parts))

    def abort(self, key: str, upload_id: str) -> Plan[None]:
        """Drop an upload and its parts (AbortMultipartUpload)."""
        yield from self._bucket.service.refresh()
        yield from self._upload(key, upload_id, WriteOptions()).abort()


def _number(element: Element, name: str) -> int:
    text = element.find_text(name)
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{name} is {text!r}, which is no number")
    return int(text)
