"""A resumable upload: the bytes of one object, in order, in a session that knows how far they have come.

After a failure the service is asked what it has, and is sent only the rest. The object appears with the last request,
under the condition that the session was begun with.

https://cloud.google.com/storage/docs/performing-resumable-uploads
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from objstore._core import Buffer, Bytes, Reply
from objstore.exceptions import BaseError, CorruptResponseError, GenericError
from objstore.http.exchange import Exchange
from objstore.http.retry import Failure, Row
from objstore.http.shape import Shape
from objstore.interface.values import Source, WriteOptions
from objstore.plans.effects import Sleep
from objstore.providers.cloud.gcs_objects import bytes_of
from objstore.providers.cloud.gcs_resource import generation_match, put_result_of, read_document
from objstore.providers.cloud.gcs_sums import NOTHING, corrupted, crc_behind, hash_header, text_of
from objstore.providers.cloud.upload import ABORT_SECONDS
from objstore.providers.conditional_headers import as_kind, look_after, write_error

if TYPE_CHECKING:
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.gcs_objects import Objects
    from objstore.types import PutResult

GRAIN = 256 << 10
"""All stretches but the last have a multiple of so many bytes."""

GONE = (404, 410)
"""How the service says that it does not know the session any more."""

STUCK = Failure(Row(GenericError, "the service took nothing of it", "safe"), None, "")

_PERSISTED = re.compile(r"bytes=0-(\d+)")


class Pieces:
    """Bytes in their order, come as parts of any size, taken as stretches that a session takes."""

    def __init__(self) -> None:
        self._queue: deque[Source] = deque()
        self.size = 0

    def add(self, part: Source) -> None:
        """Take one more part."""
        if part.size:
            self._queue.append(part)
            self.size += part.size

    def next(self) -> Plan[Source]:
        """Return the next stretch, of which there must be one: what is whole of a part, or put together of several."""
        whole = self._queue[0].size // GRAIN * GRAIN
        return (yield from self._joined(GRAIN)) if not whole else self._cut(whole)

    def rest(self) -> Plan[Source]:
        """Return all that is left."""
        return (yield from self._joined(self.size))

    def _cut(self, size: int) -> Source:
        """Take so many bytes of the first part."""
        first = self._queue.popleft()
        self.size -= size
        if size < first.size:
            self._queue.appendleft(cut(first, size))
        return cut(first, 0, size)

    def _joined(self, size: int) -> Plan[Source]:
        """Take so many bytes of several parts, copied into one."""
        content = bytearray()
        while len(content) < size:
            piece = self._cut(min(self._queue[0].size, size - len(content)))
            content += yield from bytes_of(piece)
        return Source(Buffer(content), size)


def cut(source: Source, start: int, end: int | None = None) -> Source:
    """Return a stretch of a source."""
    end = source.size if end is None else end
    if isinstance(source.data, tuple):
        descriptor, offset, _ = source.data
        return Source((descriptor, offset + start, end - start), end - start, source.check)
    return Source(Buffer(memoryview(source.data)[start:end]), end - start, source.check)


class Step(Exchange):
    """One request of a session, which has its own way to answer that all is well, and to be asked again."""

    persisted: int | None = None
    failure: Failure | None = None

    def _decide(self, reply: Reply) -> Plan[None]:
        if reply.error is None and reply.status == 308:
            found = _PERSISTED.fullmatch(reply.headers.get("range", ""))
            self.persisted = int(found[1]) + 1 if found else 0
            self.batch.give_up(reply.index)
            return
        failure = self._service.understand(reply, self._shape.method)
        if self._safe or not failure.row.leaves_open:
            yield from super()._decide(reply)
            return
        self._troubles.note(reply, failure, self._asked)
        self._service.policy.budget.note(0, 1)
        self.failure = failure
        self.errors[reply.index] = self._error(reply, failure)
        self.batch.give_up(reply.index)


class Session:
    """An upload in one session; what an `Upload` is, one part after the other.

    Args:
        bucket: Where to.
        key: The key of the object.
        options: What is stored with it, and what it may replace.
    """

    def __init__(self, bucket: Objects, key: str, options: WriteOptions) -> None:
        self.errors: dict[int, BaseError] = {}
        self.bytes_received = self.total = 0
        self._bucket = bucket
        self._key = key
        self._options = options
        self._target = b""
        self._pieces = Pieces()
        self._parts: list[Source] = []  # as long as all of them can be read again
        self._ends: list[int] = []
        self._at = 0  # what the service has
        self._crc = NOTHING
        self._sealed = False
        self._anew = True

    # --- what is known of it

    @property
    def bytes_sent(self) -> int:
        """How many bytes of parts are there."""
        return self._ends[self.settled - 1] if self.settled else 0

    @property
    def settled(self) -> int:
        """How many parts are there; the end of the last goes with the request that makes the object."""
        return self.total if self._is_through else bisect_right(self._ends, self._at)

    @property
    def _is_through(self) -> bool:
        return self._sealed and self._pieces.size < GRAIN

    @property
    def unsettled(self) -> int:
        """How many parts are not there yet."""
        return self.total - self.settled

    @property
    def over(self) -> bool:
        """Whether all is there but the end."""
        return self._is_through

    def finished(self) -> list[int]:
        """Return nothing: no part keeps memory that could be let go."""
        return []

    def take(self, index: int) -> Bytes:
        """Return nothing, as `finished` does."""
        return Bytes()

    # --- what is sent

    def begin(self) -> Plan[None]:
        """Begin the session."""
        options = self._options
        described = self._bucket.described(options)
        query = [("uploadType", "resumable"), ("name", self._key), *self._bucket.kms_query]
        query += generation_match(options)
        shape = Shape("POST", {"Content-Type": "application/json; charset=UTF-8", **self._bucket.key_headers})
        yield from self._bucket.service.refresh()
        exchange = Exchange(self._bucket.service, shape, lambda _: self._key, keep_head=True)
        exchange.add(self._bucket.upload_target(query), body=Buffer(json.dumps(described).encode()))
        try:
            reply = yield from exchange.only()
        except BaseError as error:
            raise write_error(error, options) from None
        self._target = _target(reply)

    def renew(self) -> Plan[None]:
        """Each request is signed when it is sent."""
        return
        yield

    def add_part(self, part: Source) -> None:
        """Take one more part."""
        self.total += 1
        self._pieces.add(part)
        self._crc = crc_behind(part, self._crc)
        self._ends.append((self._ends[-1] if self._ends else 0) + part.size)
        self._anew = self._anew and part.stays
        self._parts = [*self._parts, part] if self._anew else []

    def seal(self) -> None:
        """It was the last."""
        self._sealed = True

    def news(self, within: float | None = None) -> Plan[None]:
        """Send the next stretch."""
        if self._pieces.size < GRAIN:
            return
        try:
            yield from self._advance()
        except BaseError as error:
            self.errors[self.settled] = error

    def complete(self) -> Plan[PutResult]:
        """Send the end, which makes the object."""
        try:
            reply = yield from self._finish()
        except _GoneError as gone:
            yield from self._begin_anew(gone.error)
            reply = yield from self._finish()
        except BaseError as error:
            raise (yield from self._what_became(error)) from None
        stored = read_document(bytes(reply.body), "the description of an object")
        if stored.get("crc32c") not in (None, text_of(self._crc)):
            raise corrupted(self._bucket.service.path(self._key), self._crc, stored["crc32c"])
        return put_result_of(stored)

    def abort(self) -> Plan[None]:
        """Drop the session, and what the service has."""
        exchange = Exchange(self._bucket.service, Shape("DELETE", {}), lambda _: self._key)
        exchange.add(self._target)
        yield from exchange.finish_within(ABORT_SECONDS)

    def close(self) -> None:
        """Nothing is under way between two calls."""

    def _advance(self) -> Plan[None]:
        """Send the next stretch; where the session is gone, all is sent anew in another."""
        try:
            yield from self._send((yield from self._pieces.next()))
        except _GoneError as gone:
            yield from self._begin_anew(gone.error)

    def _finish(self) -> Plan[Reply]:
        """Send all that is left, and say that it is all."""
        while self._pieces.size >= GRAIN:
            yield from self._send((yield from self._pieces.next()))
        rest = yield from self._pieces.rest()
        reply = yield from self._send(rest, self._at + rest.size)
        assert reply is not None
        return reply

    def _what_became(self, error: BaseError) -> Plan[BaseError]:
        """Say what the last request may have done whose answer was lost."""
        error = write_error(error, self._options)
        return (yield from look_after(error, self._options, self._bucket.now_at(self._key)))

    def _begin_anew(self, error: BaseError) -> Plan[None]:
        """Begin another session with the same bytes, once, where they can be read again."""
        if not self._anew:
            raise as_kind(GenericError, error, "The upload session has ended: write the object again.")
        self._anew = False
        yield from self.begin()
        self._at, self._pieces = 0, Pieces()
        for part in self._parts:
            self._pieces.add(part)

    def _send(self, stretch: Source, total: int | None = None) -> Plan[Reply | None]:
        """Send a stretch, and after a failure what of it has not arrived.

        Args:
            stretch: The bytes.
            total: The size of the object, where they are its end.

        Returns:
            The reply that tells of the object; None where it is not made yet.
        """
        policy = self._bucket.service.policy
        end, since, tries = self._at + stretch.size, policy.clock(), 0
        while True:
            before = self._at
            step = yield from self._put(cut(stretch, stretch.size - (end - before)), total)
            failed = step.failure
            if failed is not None:
                tries += 1
                yield from self._pause(failed, step.errors[0], tries, since)
                step = yield from self._put(None, None)
            if step.persisted is None and total is None:
                raise self._too_early()
            if step.persisted is None:
                return step.reply()
            self._at = self._checked(step.persisted, end)
            if self._at == end and total is None:
                return None
            if self._at > before:
                since, tries = policy.clock(), 0
            elif failed is None:
                tries += 1
                yield from self._pause(STUCK, self._stuck(), tries, since)

    def _pause(self, failure: Failure, error: BaseError, tries: int, since: float) -> Plan[None]:
        """Wait before the next try; raise the error, where there is none."""
        wait = self._bucket.service.policy.delay(failure, tries, since, safe=True)
        if wait is None:
            raise error
        yield Sleep(wait)

    def _put(self, stretch: Source | None, total: int | None) -> Plan[Step]:
        """Send one request of the session: with a stretch of bytes, or none, to ask how far it is."""
        service = self._bucket.service
        yield from service.refresh()
        size = 0 if stretch is None else stretch.size
        there = f"{self._at}-{self._at + size - 1}" if size else "*"
        told = {} if total is None else hash_header(self._crc)
        range_ = {"Content-Range": f"bytes {there}/{'*' if total is None else total}"}
        shape = Shape("PUT", {**range_, **told, **self._bucket.key_headers})
        step = Step(service, shape, lambda _: self._key, safe=stretch is None, patient=True, keep_head=True)
        step.add(self._target, body=Buffer(b"") if stretch is None else stretch.data)
        yield from step.finish()
        error = step.errors.get(0)
        if error is not None and error.status in GONE:
            raise _GoneError(error)
        if error is not None and step.failure is None:
            raise error
        return step

    def _checked(self, persisted: int, end: int) -> int:
        """Return how many bytes the service has, if that can be."""
        if not self._at <= persisted <= end:
            raise CorruptResponseError(
                f"The upload of {self._key!r} has {persisted} bytes by the service, and must have {self._at} to {end}",
                store=self._bucket.service.dialect.store,
            )
        return persisted

    def _too_early(self) -> CorruptResponseError:
        return CorruptResponseError(
            f"The service says that the upload of {self._key!r} has ended, and not all is sent",
            store=self._bucket.service.dialect.store,
            path=self._bucket.service.path(self._key),
            maybe_applied=True,
        )

    def _stuck(self) -> GenericError:
        return GenericError(
            f"The upload of {self._key!r} does not go on behind {self._at} bytes",
            store=self._bucket.service.dialect.store,
            path=self._bucket.service.path(self._key),
        )


class _GoneError(Exception):
    """The service does not know the session any more."""

    def __init__(self, error: BaseError) -> None:
        super().__init__(str(error))
        self.error = error


def _target(reply: Reply) -> bytes:
    """Return path and query of the session that a reply names: it is on the server that was asked, wherever that is."""
    parts = urlsplit(reply.headers.get("location", ""))
    if not parts.query:
        raise CorruptResponseError("The service has begun an upload, and does not say where it goes")
    return f"{parts.path}?{parts.query}".encode()
