"""A multipart upload that is fed part by part, by whoever has the parts: a body that is pulled, a file that is written.

Its one invariant: it ends as a whole object, or no part stays behind.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from objstore.disk.held import process
from objstore.exceptions import BaseError
from objstore.operations.progress import news, tell

if TYPE_CHECKING:
    from objstore.interface.provider import Provider, Upload
    from objstore.interface.values import Source, WriteOptions
    from objstore.plans.effects import Plan
    from objstore.types import Progress, PutResult


LARGEST_PART = 5 << 30
"""The most bytes that services take as one part."""


class Parts:
    """The parts of one object on their way; whoever feeds it must `complete` or `drop` it.

    Args:
        upload: What sends them.
        part_size: The size of the first parts, in bytes.
        most_parts: How many parts the service takes.
        most_in_flight: How many parts are on their way at a time; of those that only the upload holds, no more than one
            beyond what `configure(memory_limit=...)` leaves.
        progress: Is told of every part that arrived.
    """

    _room = 1  # how many parts may be on their way that hold memory of their own
    _counted = 0  # bytes of memory that all but the first of these may hold

    def __init__(
        self, upload: Upload, part_size: int, most_parts: int, most_in_flight: int, progress: Progress | None
    ) -> None:
        self._upload = upload
        self._part_size = part_size
        self._most_parts = most_parts
        self._most_in_flight = most_in_flight
        self._progress = progress
        self._grown = False

    @property
    def next_size(self) -> int:
        """The size of the next part: all are equal, as some services want them, until they would be too many.

        The last tenth of the parts there may be doubles in size with every hundredth, for streams without end.
        """
        beyond = self._upload.total - self._most_parts * 9 // 10
        if beyond < 0:
            return self._part_size
        return min(self._part_size << (1 + beyond * 100 // self._most_parts), max(LARGEST_PART, self._part_size))

    def add(self, part: Source) -> Plan[None]:
        """Send one more part, and wait until not too many are on their way; raise the error of one that failed."""
        if part.size > self._part_size and not self._grown:
            self._grown = True
            warnings.warn(
                f"{self._upload.total} parts of {self._part_size} bytes have been sent, and the others have to be "
                "larger, which some services (Cloudflare R2) refuse when the upload ends: give a larger chunk_size, or "
                "buffer_size for a file that is written",
                stacklevel=2,
            )
        yield from self._upload.renew()
        self._upload.add_part(part)
        yield from self._settle(self._most_in_flight if part.stays else self._within_memory(part.size))

    def _within_memory(self, size: int) -> int:
        """Return how many parts may be on their way, of which each is held in memory until it has arrived."""
        if self._room < self._most_in_flight and process.grants(size):
            self._room += 1
            self._counted += size
        return self._room

    def _close(self) -> None:
        self._upload.close()
        process.count(-self._counted)
        self._counted = 0

    def settle(self) -> Plan[None]:
        """Wait until all parts are there: the last one has been added."""
        self._upload.seal()
        yield from self._settle(0)

    def complete(self) -> Plan[PutResult]:
        """Make an object of the parts."""
        result = yield from self._upload.complete()
        self._close()
        return result

    def drop(self) -> Plan[None]:
        """Stop, and drop the parts that the service has; that it had to be is the error to report, not this."""
        self._close()
        with suppress(BaseError):
            yield from self._upload.abort()

    def _settle(self, most: int) -> Plan[None]:
        """Wait until no more than `most` parts are on their way; raise the error of one that failed."""
        upload = self._upload
        while True:
            unsettled, over = upload.unsettled, upload.over  # asked first: what ends after this is taken next time
            for index in upload.finished():
                upload.take(index)
            for error in upload.errors.values():
                raise error
            tell(upload, self._progress)
            if unsettled <= most and (most or over):
                return
            yield from news(upload, self._progress)


def begin_parts(
    provider: Provider,
    key: str,
    options: WriteOptions,
    part_size: int,
    most_in_flight: int,
    progress: Progress | None = None,
) -> Plan[Parts]:
    """Begin an upload in parts."""
    upload = yield from provider.begin_upload(key, options, most_in_flight=most_in_flight)
    return Parts(upload, part_size, provider.most_parts, most_in_flight, progress)
