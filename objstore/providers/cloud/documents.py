"""Requests that answer with an XML document of S3's dialect: it may be an error, or cut, although the status is 200."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from objstore._core import Buffer, Reply
from objstore.exceptions import BaseError, CorruptResponseError, GenericError
from objstore.http.exchange import LARGEST_DOCUMENT, Exchange
from objstore.http.retry import Failure, Policy, Row
from objstore.http.xml import Element, can_hold, is_cut_short, parse
from objstore.plans.effects import Plan, Sleep
from objstore.providers.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.http.shape import Shape
    from objstore.interface.values import WriteOptions

T = TypeVar("T")

PATIENCE = 2.0
"""How long an interrupted caller waits for the reply that makes it possible to clean up, in seconds."""

UNKNOWN = Row(GenericError, "the server failed")
CUT_SHORT = Row(CorruptResponseError, "the document is empty or cut short", "safe")


class Sent(NamedTuple):
    """A reply, and whether a try before it may have been carried out."""

    reply: Reply
    left_open: bool = False


class Tries:
    """How often something was sent that was answered by a failure in a 200, and whether to send it again."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._begun = policy.clock()
        self._count = self._sent = 0
        self._left_open = False

    def wait(self, failure: Failure, *, safe: bool) -> float | None:
        """Count one more failure; return how many seconds to wait before the next try, None to give up."""
        self._count += 1
        return self._policy.delay(failure, self._count, self._begun, safe=safe)

    def send(self, request: Plan[Sent]) -> Plan[Reply]:
        """Send it once more; an error is that of all tries."""
        try:
            sent = yield from request
        except BaseError as error:
            self.settle(error)
            raise
        self._left_open |= sent.left_open
        return sent.reply

    def note(self, reply: Reply, failure: Failure) -> None:
        """Remember what a try that failed was: how often it was sent, and whether it may have been carried out."""
        self._sent += reply.attempts
        self._left_open |= failure.row.leaves_open

    def settle(self, error: BaseError) -> BaseError:
        """Return the error of the last try, as that of them all."""
        error.attempts = self._sent + (error.attempts or 0)
        error.maybe_applied |= self._left_open
        return error


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
        """Send a request and return the document and the reply it came in.

        Where there is an `undo`, an interrupted or cancelled caller waits a little for the reply, and undoes what it
        tells of: nobody else would ever know. So does one that cannot read it.
        """
        if body:
            shape = replace(shape, payload_hash=hashlib.sha256(body).hexdigest())

        def send() -> Plan[Sent]:
            yield from self.service.refresh()
            exchange = Exchange(
                self.service,
                shape,
                lambda _: key,
                detail=lambda _: detail,
                safe=safe,
                patient=patient,
                keep_head=True,
                most_body=LARGEST_DOCUMENT if shape.method == "GET" else None,
            )
            exchange.add(target, body=None if shape.method == "GET" else Buffer(body))
            try:
                return Sent((yield from exchange.only(0 if undo is None else PATIENCE)), exchange.left_open())
            except GeneratorExit:
                raise
            except BaseException:
                if undo is not None and exchange.batch.succeeded(0):
                    yield from undo(bytes(exchange.reply().body))
                raise

        def read(reply: Reply) -> tuple[Element, Reply]:
            return self._read(reply, roots, shape.method, key, detail), reply

        return (yield from self.answer(send, read, roots, shape.method, key, safe=safe, detail=detail, undo=undo))

    def answer(
        self,
        send: Callable[[], Plan[Sent]],
        read: Callable[[Reply], T],
        roots: tuple[str, ...],
        method: str,
        key: str,
        *,
        safe: bool,
        detail: str = "",
        first: Reply | None = None,
        undo: Callable[[bytes], Plan[None]] | None = None,
    ) -> Plan[T]:
        """Send a request until it is answered by a document: an error in a 200, or a cut one, is a failure like others.

        Args:
            send: Sends it.
            read: Reads the document.
            roots: The names that its root may have.
            method: The method, for errors.
            key: The key, for errors.
            safe: Whether it may be sent twice without harm.
            detail: What more to say about it, behind its key.
            first: The reply that came to it already, if one did.
            undo: Undoes what a reply tells of that cannot be read.
        """
        tries = Tries(self.service.policy)
        while True:
            reply, first = first or (yield from tries.send(send())), None
            try:
                return read(reply)
            except CorruptResponseError as error:
                unread = tries.settle(error)
            if undo is not None:
                yield from undo(bytes(reply.body))
            failure = self.failure_in(reply, *roots)
            if failure is None:
                raise unread
            wait = tries.wait(failure, safe=safe)
            if wait is None:
                left = failure.row.leaves_open
                raise tries.settle(self.service.error(reply, failure, method, key, detail, maybe_applied=left))
            tries.note(reply, failure)
            yield Sleep(wait)

    def _read(self, reply: Reply, roots: tuple[str, ...], method: str, key: str, detail: str) -> Element:
        """Read the document of a reply; what is none leaves open whether the request was carried out."""
        try:
            return parse(bytes(reply.body), roots)
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

    def ended(self, key: str, options: WriteOptions, end: Plan[T]) -> Plan[T]:
        """End an upload in parts."""
        return (yield from end)

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
