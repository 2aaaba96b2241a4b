"""Requests that answer with an XML document of S3's dialect: it may be an error, or cut, although the status is 200."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from objstore._core import Buffer, Reply
from objstore.exceptions import CorruptResponseError, GenericError
from objstore.http.exchange import Exchange
from objstore.http.retry import Failure, Policy, Row
from objstore.http.xml import Element, is_cut_short, parse
from objstore.plans.effects import Plan, Sleep
from objstore.providers.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.http.shape import Shape

T = TypeVar("T")

PATIENCE = 2.0
"""How long an interrupted caller waits for the reply that makes it possible to clean up, in seconds."""

UNKNOWN = Row(GenericError, "the server failed")
CUT_SHORT = Row(CorruptResponseError, "the document is empty or cut short", "safe")


class Tries:
    """How often something was sent that was answered by a failure in a 200, and whether to send it again."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._begun = policy.clock()
        self._count = 0

    def wait(self, failure: Failure, *, safe: bool) -> float | None:
        """Count one more failure; return how many seconds to wait before the next try, None to give up."""
        self._count += 1
        return self._policy.delay(failure, self._count, self._begun, safe=safe)


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
        """Send a request and return the document and the reply it came in.

        Where there is an `undo`, an interrupted or cancelled caller waits a little for the reply, and undoes what it
        tells of: nobody else would ever know.
        """
        if body:
            shape = shape._replace(payload_hash=hashlib.sha256(body).hexdigest())

        def send() -> Plan[Reply]:
            yield from self.service.refresh()
            exchange = Exchange(self.service, shape, lambda _: key, safe=safe, keep_head=True)
            exchange.add(target, body=Buffer(body))
            try:
                return (yield from exchange.only(0 if undo is None else PATIENCE))
            except GeneratorExit:
                raise
            except BaseException:
                if undo is not None and exchange.batch.succeeded(0):
                    document = parse(bytes(exchange.reply().body), (*roots, "Error"))
                    if document.tag != "Error":
                        yield from undo(document)
                raise

        def read(reply: Reply) -> tuple[Element, Reply]:
            return parse(bytes(reply.body), roots), reply

        return (yield from self.answer(send, read, roots, shape.method, key, safe=safe))

    def answer(
        self,
        send: Callable[[], Plan[Reply]],
        read: Callable[[Reply], T],
        roots: tuple[str, ...],
        method: str,
        key: str,
        *,
        safe: bool,
        first: Reply | None = None,
    ) -> Plan[T]:
        """Send a request until it is answered by a document: an error in a 200, or a cut one, is a failure like others.

        Args:
            send: Sends it.
            read: Reads the document.
            roots: The names that its root may have.
            method: The method, for errors.
            key: The key, for errors.
            safe: Whether it may be sent twice without harm.
            first: The reply that came to it already, if one did.
        """
        tries = Tries(self.service.policy)
        while True:
            reply = first or (yield from send())
            first = None
            try:
                return read(reply)
            except CorruptResponseError:
                failure = self.failure_in(reply, *roots)
                if failure is None:
                    raise
            wait = tries.wait(failure, safe=safe)
            if wait is None:
                raise self.service.error(reply, failure, method, key)
            yield Sleep(wait)

    def failure_in(self, reply: Reply, *roots: str) -> Failure | None:
        """Return what is wrong with a 200 that holds an error, or a document that is cut; None where it is neither."""
        body = bytes(reply.body)
        try:
            return self.failure_of(parse(body, "Error"), UNKNOWN)
        except CorruptResponseError:
            return Failure(CUT_SHORT, None, "") if is_cut_short(body, (*roots, "Error")) else None

    def failure_of(self, document: Element, row: Row) -> Failure:
        """Return what an error says; the row is for codes that nobody knows."""
        code = document.find_text("Code")
        return Failure(self.service.dialect.codes.get(code, row), code, document.find_text("Message"))
