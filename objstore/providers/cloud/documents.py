"""Requests in S3's dialect that answer with an XML document, which may be an error although the status is 200."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from objstore._core import Buffer, Reply
from objstore.exceptions import GenericError
from objstore.http.exchange import Exchange
from objstore.http.retry import Failure, Row
from objstore.http.xml import Element, parse
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
        body: bytes = b"",
        undo: Callable[[Element], Plan[None]] | None = None,
    ) -> Plan[tuple[Element, Reply]]:
        """Send a request and return the document and the reply it came in; an error in a 200 is one like any other.

        Where there is an `undo`, an interrupted or cancelled caller waits a little for the reply, and undoes what it
        tells of: nobody else would ever know.
        """
        policy = self.service.policy
        begun, tries = policy.clock(), 0
        if body:
            shape = shape._replace(payload_hash=hashlib.sha256(body).hexdigest())
        while True:
            yield from self.service.refresh()
            exchange = Exchange(self.service, shape, lambda _: key, safe=safe, keep_head=True)
            exchange.add(target, body=Buffer(body))
            try:
                reply = yield from exchange.only(0 if undo is None else PATIENCE)
            except GeneratorExit:
                raise
            except BaseException:
                if undo is not None and exchange.batch.succeeded(0):
                    document = parse(bytes(exchange.reply().body), (*roots, "Error"))
                    if document.tag != "Error":
                        yield from undo(document)
                raise
            tries += 1
            document = parse(bytes(reply.body), (*roots, "Error"))
            if document.tag != "Error":
                return document, reply
            failure = self._failure_in(document)
            wait = policy.delay(failure, tries, begun, safe=safe)
            if wait is None:
                raise self.service.error(reply, failure, shape.method, key)
            yield Sleep(wait)

    def _failure_in(self, document: Element) -> Failure:
        code = document.find_text("Code")
        row = self.service.dialect.codes.get(code, Row(GenericError, "the server failed"))
        return Failure(row, code, document.find_text("Message"))
