"""Of which parts an object was made, as S3 tells it: those that its checksum is one of the checksums of.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html (partNumber)
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html (ObjectParts)

Its one invariant: what is told is of the version that is meant, and adds up to its size; else it counts as not told.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from objstore.exceptions import BaseError, CorruptResponseError, PreconditionError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.interface.values import Seen
from objstore.interface.versions import can_pin, is_same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore._core import Reply
    from objstore.http.xml import Element
    from objstore.interface.values import Conditions, Sums
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.documents import Documents

ROOT = "GetObjectAttributesResponse"

LATER = (408, 429)
"""The statuses of the client's errors that say nothing of the question."""


class Parts:
    """The parts of the objects of a bucket.

    Args:
        bucket: The bucket.
    """

    def __init__(self, bucket: Documents) -> None:
        self._bucket = bucket

    def first(self, key: str, conditions: Conditions, sums: Sums) -> Plan[int | None]:
        """Return the size of the first part of an object; None where the service does not tell it."""
        sizes = yield from self._ask(key, conditions, sums, 1, 1)
        return None if sizes is None else sizes[0]

    def all(self, key: str, conditions: Conditions, sums: Sums, *, most_in_flight: int) -> Plan[list[int] | None]:
        """Return the size of each part: by a table, or by a question for each; None where nobody tells them."""
        sizes = yield from self._table(key, conditions, sums)
        if sizes is None:
            sizes = yield from self._ask(key, conditions, sums, sums.parts, most_in_flight)
        return sizes if sizes is not None and sum(sizes) == sums.size else None

    # --- a question for each part

    def _ask(
        self, key: str, conditions: Conditions, sums: Sums, count: int, most_in_flight: int
    ) -> Plan[list[int] | None]:
        """Return the sizes of the first parts (HeadObject)."""
        bucket, version = self._bucket, self._version(conditions)
        yield from bucket.service.refresh()
        shape = Shape("HEAD", bucket.read_headers)
        exchange = Exchange(
            bucket.service, shape, lambda _: key, keep_head=True, most_in_flight=most_in_flight, hedged=True
        )
        for number in range(1, count + 1):
            exchange.add(bucket.target(key, [("partNumber", str(number)), *version]))
        yield from exchange.finish()
        for error in exchange.errors.values():
            _check_refused(error)
            return None
        return self._sizes(key, conditions, sums, [exchange.reply(index) for index in range(count)])

    def _sizes(self, key: str, conditions: Conditions, sums: Sums, replies: Sequence[Reply]) -> list[int] | None:
        """Return the sizes of parts, of which each begins where the one before it ends."""
        sizes: list[int] = []
        at = 0
        for reply in replies:
            self._check(key, Seen(self._bucket.meta(key, reply, -1), reply.settled), conditions)
            told = reply.status, reply.start, reply.total, reply.headers.get("x-amz-mp-parts-count")
            if told != (206, at, sums.size, str(sums.parts)):
                return None
            sizes.append(reply.end - at)
            at = reply.end
        return sizes

    def _version(self, conditions: Conditions) -> list[tuple[str, str]]:
        return self._bucket.version_query(conditions.version) if conditions.version else []

    def _check(self, key: str, found: Seen, conditions: Conditions) -> None:
        """Raise if what was found is not the object that is meant."""
        if conditions.expected is not None and not is_same(found, conditions.expected):
            raise PreconditionError(f"{key!r} has been replaced", path=self._bucket.service.path(key))

    # --- a table of them

    def _table(self, key: str, conditions: Conditions, sums: Sums) -> Plan[list[int] | None]:
        """Ask for the table of the parts (GetObjectAttributes), page by page."""
        sizes: list[int] = []
        while len(sizes) < sums.parts:
            try:
                page = yield from self._page(key, conditions, len(sizes))
            except CorruptResponseError:
                return None  # it answers with the object, or whatever it takes the question for
            except BaseError as error:
                _check_refused(error)
                return None
            if not page:
                return None
            sizes += page
        return sizes if len(sizes) == sums.parts else None

    def _page(self, key: str, conditions: Conditions, after: int) -> Plan[list[int]]:
        """Return the sizes of some more parts; none where they are not what follows, or may be another object's."""
        bucket = self._bucket
        asked = {"x-amz-object-attributes": "ETag,ObjectParts", "x-amz-part-number-marker": str(after)}
        shape = Shape("GET", {**bucket.read_headers, **asked})
        target = bucket.target(key, [("attributes", ""), *self._version(conditions)])
        document, reply = yield from bucket.document(shape, target, key, (ROOT,), safe=True)
        tag = document.find_text("ETag").strip('"')  # it stands there without quotes
        found = Seen({**bucket.meta(key, reply, -1), "e_tag": f'"{tag}"' if tag else None}, reply.settled)
        if not can_pin(found):
            return []
        self._check(key, found, conditions)
        return _numbered(document, after)


def _numbered(document: Element, after: int) -> list[int]:
    """Return the sizes of the parts in a document, where these are what follows."""
    parts = [part for told in document.find_all("ObjectParts") for part in told.find_all("Part")]
    with suppress(ValueError):
        if [int(part.find_text("PartNumber")) for part in parts] == [*range(after + 1, after + 1 + len(parts))]:
            return [int(part.find_text("Size")) for part in parts]
    return []


def _check_refused(error: BaseError) -> None:
    """Raise an error that is no refusal, which is an answer."""
    status = error.status or 0
    is_refusal = status == 501 or (400 <= status < 500 and status not in LATER)
    if isinstance(error, PreconditionError) or not is_refusal:
        raise error
