"""Requests in S3's dialect that answer with an XML document, which may be an error although the status is 200."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from objstore._core import Buffer, Reply
from objstore.exceptions import BaseError, CorruptResponseError, GenericError
from objstore.http.exchange import Exchange
from objstore.http.retry import Failure, Row
from objstore.http.xml import Element, can_hold, parse
from objstore.plans.effects import Plan, Sleep
from objstore.providers.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.http.shape import Shape

PATIENCE = 2.0
"""How long an interrupted caller waits for the reply that makes it possible to clean up, in seconds."""


class Documents(Requests):
    """The objects of a bucket, and the requests about them that answer with a document."""

    def document(
        self,
        shape: Shape,
        target: bytes,
        key: str,
        roots: tuple[str, ...],
        *,
        safe: bool,
        patient: bool = False,
        detail: str = "",
        body: bytes = b"",
        undo: Callable[[bytes], Plan[None]] | None = None,
    ) -> Plan[tuple[Element, Reply]]:
        """Send a request and return the document and the reply it came in; an error in a 200 is one like any other.

        Where there is an `undo`, an interrupted or cancelled caller waits a little for the reply, and undoes what it
        tells of: nobody else would ever know. So does one that cannot read it.
        """
        policy = self.service.policy
        begun, tries, sent, left_open = policy.clock(), 0, 0, False
        if body:
            shape = shape._replace(payload_hash=hashlib.sha256(body).hexdigest())
        while True:
            yield from self.service.refresh()
            exchange = Exchange(
                self.service, shape, lambda _: key, detail=lambda _: detail, safe=safe, patient=patient, keep_head=True
            )
            exchange.add(target, body=Buffer(body))
            try:
                reply = yield from exchange.only(0 if undo is None else PATIENCE)
                document = self._read(reply, roots, shape.method, key, detail)
            except GeneratorExit:
                raise
            except BaseException as error:
                if undo is not None and exchange.batch.succeeded(0):
                    yield from undo(bytes(exchange.reply().body))
                if isinstance(error, BaseError):
                    error.maybe_applied |= left_open
                    error.attempts = sent + (error.attempts or 0)
                raise
            if document.tag != "Error":
                return document, reply
            tries += 1
            sent += reply.attempts
            failure = self._failure_in(document)
            left_open |= failure.row.leaves_open
            wait = policy.delay(failure, tries, begun, safe=safe)
            if wait is None:
                refused = self.service.error(reply, failure, shape.method, key, detail, maybe_applied=left_open)
                refused.attempts = sent
                raise refused
            yield Sleep(wait)

    def _read(self, reply: Reply, roots: tuple[str, ...], method: str, key: str, detail: str) -> Element:
        """Read the document of a reply; what is none leaves open whether the request was carried out."""
        try:
            return parse(bytes(reply.body), (*roots, "Error"))
        except CorruptResponseError as error:
            raise CorruptResponseError(
                f"{method} {key!r}{detail} failed: the reply cannot be read. {error}",
                hint=None if can_hold(key) else "No document can hold this key: write it by one request.",
                store=self.service.dialect.store,
                path=self.service.path(key),
                status=reply.status,
                attempts=reply.attempts,
                maybe_applied=True,
            ) from None

    def _failure_in(self, document: Element) -> Failure:
        code = document.find_text("Code")
        row = self.service.dialect.codes.get(code, Row(GenericError, "the server failed"))
        return Failure(row, code, document.find_text("Message"))
