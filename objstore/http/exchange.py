"""Many HTTP requests of one shape under way: signed, retried each by itself, and their errors named.

An exchange wraps one `Batch` of the engine. The engine sends; this module decides what to do about what failed.

Its one invariant: an exchange that is over has, for every request, either a reply or an error, never both.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from objstore._core import Batch, Buffer, Bytes, Kind, Reply, Signer
from objstore.http import observed
from objstore.http.retry import REPLACED, Budget
from objstore.http.service import ANSWERED
from objstore.http.stats import note_write
from objstore.http.troubles import Trouble, Troubles
from objstore.interface.values import WHOLE, Range, Reads, Sums, Target
from objstore.plans.effects import Background, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from objstore.exceptions import BaseError
    from objstore.http.retry import Failure
    from objstore.http.service import Service
    from objstore.http.shape import Shape
    from objstore.interface.values import Seen

LARGEST_DOCUMENT = 64 << 20
"""How large a document may be: what reads it takes no more."""

LARGEST_WORD = 1 << 20
"""How large the reply to a request may be that only wants to know how it went."""

LARGEST_REPLIES = {"GET": 0, "POST": LARGEST_DOCUMENT, "PROPFIND": LARGEST_DOCUMENT}
"""How large the body of a success may be by its method, `LARGEST_WORD` for all others: an object has any size."""

SILENT = ("PUT", "DELETE", "MKCOL", "COPY", "MOVE")
"""The methods whose success has no page for a body, and no error."""

READS = ("GET", "HEAD", "PROPFIND")
"""The methods that change nothing."""

SHORTEST_LOOK = 0.05
"""How many seconds a wait lasts at the least, where it is to end in time for a new signature."""

BEGINNING = 1 << 20
"""What is read first of what is too large for one request."""

SLOW = 10.0
"""After how many seconds a beginning is enough where one will do: near by it may be a busy machine that is slow."""

MANY = 1 / 3
"""Which share of what was answered lately is to have failed, that a refusal without words asks for fewer requests."""


class Exchange:
    """Requests of one shape on their way to one service.

    Args:
        service: Where they go, and how they are signed and judged.
        shape: What they share. A request may be added with a shape of its own.
        name: The key of a request by its index, for errors.
        detail: What more to say about a request, behind its key.
        safe: Whether a request may be sent twice without harm.
        patient: Whether the server may keep silent for long before it answers: it has much to do.
        background: Whether the engine goes on while the caller does something else between two `news`.
        most_in_flight: How many are in flight at a time at the most; 0 for as many as the pace of the service allows.
        most_body: How large the body of a success may be, 0 for any size; None for what the method tells.
        successes: The statuses that are successes; None for what the service's dialect says of the method.
        sums: By which checksum parts of an object are summed up, as for `Reads`.
        cut_over: Of ranges and objects that are larger than this only the beginning is read; 0: all of all is.
        brief: Whether a beginning of a range will do, where more of the object follows and the rest would come slowly.
        hedged: Whether they read objects: one that is late may be asked again elsewhere, if the settings say so.
        piece: The body of the one request is given while it comes, in pieces of so many bytes; 0: it is given whole.
    """

    _anew = False
    _warned = False  # that the service asks for less

    def __init__(
        self,
        service: Service,
        shape: Shape,
        name: Callable[[int], str],
        detail: Callable[[int], str] = lambda _: "",
        safe: bool = True,
        patient: bool = False,
        background: bool = False,
        keep_head: bool = False,
        each: bool = False,
        most_in_flight: int = 1,
        window: int = 0,
        most_body: int | None = None,
        successes: tuple[int, ...] | None = None,
        sums: str | None = None,
        cut_over: int = 0,
        brief: bool = False,
        hedged: bool = False,
        piece: int = 0,
    ) -> None:
        self.errors: dict[int, BaseError] = {}
        self._service = service
        self._shape = shape
        self._name = name
        self._detail = detail
        self._safe = safe
        self._manner = (shape.method, safe, patient, keep_head, each, most_body, successes, sums, brief, hedged)
        self._most_in_flight = most_in_flight
        self._background = background
        self._cut_over = cut_over
        self._window = window
        self._piece = piece
        self._added: list[tuple[Callable[..., None], tuple[Any, ...]]] | None = []  # until something has succeeded
        self._counted = 0
        self._asked = 0.0  # when the last one was added
        self._open_batch()

    @cached_property
    def _troubles(self) -> Troubles:
        return Troubles(self._service.policy, safe=self._safe)

    @cached_property
    def _refused(self) -> dict[int, BaseError]:
        """What is to be sent anew."""
        return {}

    @cached_property
    def _own(self) -> dict[int, Shape]:
        """The shapes of those that have one of their own."""
        return {}

    def _open_batch(self) -> None:
        service = self._service
        self._prepared = prepared = service.prepare(self._shape)
        self._origin = service.origin
        self._heard = observed.is_heard()
        kind = service.kinds.get((self._origin, self._heard, self._manner)) or self._make_kind(*self._manner)
        self.batch = Batch(
            kind,
            prepared.lines,
            prepared.signer,
            self._most_in_flight,
            self._window,
            self._cut_over,
            BEGINNING,
            self._piece,
        )
        self._effect = Background(self.batch) if self._background else self.batch

    def _sign_anew(self) -> None:
        """Sign what is still to be sent with the present time and credential."""
        self._prepared = self._service.prepare(self._shape)
        if self._prepared.signer is not None:
            self.batch.renew(self._prepared.signer)

    def _make_kind(
        self,
        method: str,
        safe: bool,
        patient: bool,
        keep_head: bool,
        each: bool,
        most_body: int | None,
        successes: tuple[int, ...] | None,
        sums: str | None,
        brief: bool,
        hedged: bool,
    ) -> Kind:
        """Make, and remember, what batches to this service have in common that are made and judged in this manner."""
        service = self._service
        kind = Kind(
            self._origin,
            method,
            service.patient_settings if patient else service.settings,
            keep_head=keep_head,
            each=each,
            safe=safe,
            most_connections=service.most_connections,
            careful=service.careful,
            most_body=LARGEST_REPLIES.get(method, LARGEST_WORD) if most_body is None else most_body,
            successes=service.dialect.successes.get(method, ()) if successes is None else successes,
            slow=[code for code, row in service.dialect.codes.items() if row.throttled],
            silent=method in SILENT,
            sums=sums,
            brief=SLOW if brief else 0,
            hedged=hedged,
            watched=self._heard,
            tally=service.stats.tally,
        )
        service.kinds[self._origin, self._heard, self._manner] = kind
        return kind

    @property
    def total(self) -> int:
        """How many requests there are."""
        return self.batch.total

    @property
    def settled(self) -> int:
        """How many of them are done or have failed for good."""
        return self.batch.settled

    @property
    def over(self) -> bool:
        """Whether all are, and no more will come."""
        return self.batch.over

    @property
    def bytes_received(self) -> int:
        """How many bytes of bodies have come."""
        return self.batch.bytes_received

    @property
    def bytes_sent(self) -> int:
        """How many bytes of bodies were sent by requests that ended well."""
        return self.batch.bytes_sent

    def add(
        self,
        target: bytes,
        range: Range = WHOLE,
        *,
        shape: Shape | None = None,
        body: Buffer | tuple[int, int, int] | None = None,
        out: Target | None = None,
    ) -> None:
        """Add a request, with headers of its own where `shape` is given."""
        self._asked = self._service.policy.clock()
        if self._added is not None:
            self._added.append((self._add, (target, range, shape, body, out)))
        self._add(target, range, shape, body, out)

    def add_reads(self, base: bytes, reads: Reads, tail: bytes) -> None:
        """Add many reads: of the keys below a path, with the same query."""
        self._asked = self._service.policy.clock()
        if self._added is not None:
            self._added.append((self.add_reads, (base, reads, tail)))
        self.batch.add_reads(base, reads.keys, reads.ranges, tail, reads.targets)

    def _add(
        self,
        target: bytes,
        range: Range,
        shape: Shape | None,
        body: Buffer | tuple[int, int, int] | None,
        out: Target | None,
    ) -> None:
        lines, signer = None, None
        if shape is not None:
            self._own[self.batch.total] = shape
            prepared = self._service.prepare(shape)
            lines, signer = prepared.lines, prepared.signer
        buffer, start, length = out or (None, 0, -1)
        self.batch.add(target, range.start, range.end, lines, signer, body, buffer, start, length)

    def begin(self) -> Plan[None]:
        """Send what there is, while the caller adds more."""
        self.batch.wake_after = 0
        yield self._effect

    def seal(self) -> None:
        """Say that no more requests will be added."""
        self.batch.seal()

    def begin_anew(self, shape: Shape) -> bool:
        """Send all requests anew, elsewhere or with other headers, once the failures are dealt with; False where some
        have succeeded already."""
        if self._added is not None:
            self._shape = shape
            self._anew = True
        return self._anew

    def _send_anew(self) -> None:
        """Send all requests anew; or none, where one may have been carried out that must not be twice."""
        added, self._added, self._anew = self._added, None, False
        if added is None or not self._troubles.allow_all_anew:
            for index, error in self._refused.items():
                self._fail(index, error)
        else:
            self._open_anew(added)
        self._refused.clear()

    def _open_anew(self, added: Iterable[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
        sealed = self.batch.is_sealed
        self.batch.close()
        if self._heard:
            self._tell()
        before = [self.batch.reply(index) for index in range(self.batch.total)]
        self._troubles.begin_anew({reply.index: reply.attempts for reply in before})
        self.errors.clear()
        self._own.clear()
        self._open_batch()
        for add, arguments in added:
            add(*arguments)
        for reply in before:
            self.batch.remember(reply.index, reply.attempts, reply.lost)
        if sealed:
            self.batch.seal()

    def left_open(self, index: int = 0) -> bool:
        """Tell whether a try of a request that failed may have been carried out."""
        return self._troubles.leave_open(index)

    def news(self, within: float | None = None) -> Plan[None]:
        """Wait until something has changed, or `within` seconds have passed; retry what failed and may be retried."""
        batch = self.batch
        if batch.is_started:
            yield from self.renew()
        batch.wake_after = self._time_to_wait() if within is None else within
        yield self._effect
        if self._shape.method not in READS:
            note_write()
        if self._heard:
            self._tell()
        self._count_successes()
        self._knock_for_another()
        while failures := batch.failures():
            yield from self.renew()
            for reply in failures:
                yield from self._decide(reply)
            if not self._anew:
                self._count_successes()  # those that wait for one may have come to that meanwhile
        if self._anew and (self._safe or batch.settled == batch.total):  # the answers of others may still come
            self._send_anew()

    def _count_successes(self) -> None:
        """Note that some have succeeded since this was last looked at."""
        succeeded = self.batch.settled - len(self.errors) - (len(self._refused) if self._anew else 0)
        if succeeded > self._counted:
            self._service.policy.note_success(succeeded - self._counted)
            self._counted = succeeded
            self._added = None
            if self._origin not in ANSWERED:
                self._service.note_answer()

    def finish(self, patience: float = 0) -> Plan[None]:
        """Add no more requests, and wait for all there are; interrupted or cancelled, `patience` seconds more."""
        self.seal()
        try:
            while not self.batch.over:
                yield from self.news()
        except BaseException as error:
            if not isinstance(error, Exception | GeneratorExit):
                yield from self._linger(patience)
            raise
        finally:
            self.close()

    def finish_within(self, seconds: float) -> Plan[None]:
        """Add no more requests, and wait for all there are, but no longer than so many seconds."""
        self.seal()
        try:
            yield from self._linger(seconds)
        finally:
            self.close()

    def _linger(self, patience: float) -> Plan[None]:
        """Wait a little longer for what is on its way."""
        clock = self._service.policy.clock
        until = clock() + patience
        while not self.batch.over and (left := until - clock()) > 0:
            yield from self.news(left)

    def only(self, patience: float = 0) -> Plan[Reply]:
        """Wait for the one request there is, and return its reply."""
        yield from self.finish(patience)
        return self.reply()

    def close(self) -> None:
        """End what is still under way, and return when nothing touches the caller's memory any more."""
        self._added = None
        self.batch.close()
        if self._shape.method not in READS:
            note_write()
        self._leave_parked()
        if self._heard:
            self._tell()

    def _knock_for_another(self) -> None:
        """Find out whether the server is back, where one who was to do so does not read what that has brought."""
        policy = self._service.policy
        if policy.parked and self.batch.parked and policy.budget.stand_in():
            self.batch.unpark(1)

    def _leave_parked(self) -> None:
        """Wait no longer for the server; if it was one of these that was to find it back, another has to."""
        policy = self._service.policy
        policy.parked.discard(self.batch)
        if policy.parked:
            if len(self.errors) + self._counted < self.batch.total:
                policy.unpark(1)
            else:
                policy.hand_on()

    def _time_to_wait(self) -> float | None:
        """Return when to come back without news: what is still to be sent by then is signed afresh."""
        within = observed.TOLD_WITHIN if self._heard else None
        if within is None and self._service.policy.parked:
            within = Budget.MISSED_SECONDS
        total = self.batch.total
        if (total == 1 or total <= self._most_in_flight) and self._prepared.is_lasting:
            return within
        renewal = max(self._prepared.renew_at - self._service.policy.clock(), SHORTEST_LOOK)
        return renewal if within is None else min(renewal, within)

    def _tell(self) -> None:
        """Tell those who listen of the tries that have ended."""
        name, describe = self._name, self._service.describe
        tries = self.batch.tries()
        observed.tell(describe(each, self._origin, self._shape.method, name(each.index)) for each in tries)

    def renew(self) -> Plan[None]:
        """Sign with the present time and credential from now on, if it is time to."""
        if self._service.policy.clock() < self._prepared.renew_at:
            return
        yield from self._service.refresh()
        self._sign_anew()
        for index in filter(self.batch.is_waiting, self._own):
            own = self._signer_for(index)
            if own is not None:
                self.batch.sign_anew(index, own)

    def _decide(self, reply: Reply) -> Plan[None]:
        """Send a failed request again, or let its error stand."""
        index, service = reply.index, self._service
        failure = service.understand(reply, self._shape.method)
        self._note_end(reply, failure)
        trouble = self._troubles.note(reply, failure, self._asked)
        replaced = reply.replaced or (reply.status == 412 and reply.kept > 0)
        if replaced:
            failure = replace(failure, row=REPLACED)
        elif reply.kept and service.may_refuse_condition(reply, self._shape.method):
            self._tell_retry(reply, failure, 0)
            self.batch.retry(index, anew=True)  # nobody can say whether it is another object now: begin it anew
            return
        again = yield from self._is_mended(trouble, failure)
        if again and self._anew:
            self._refused[index] = self._error(reply, failure)
            self.batch.give_up(index)
            return
        answered = service.has_answered
        later = (0.0, False) if again else self._troubles.delay(reply, failure, answered=answered)
        if later is not None:
            self._retry(reply, failure, *later, anew=replaced)
            return
        self._fail(index, self._error(reply, failure))
        self.batch.give_up(index)
        self._tell_waiting(index, failure, answered=answered)

    def _tell_waiting(self, index: int, failure: Failure, *, answered: bool) -> None:
        """Have those that wait fail with a request for which no server was there all the time, or one of them try."""
        policy = self._service.policy
        if self._troubles.is_time_up(index, failure, answered=answered):
            self.batch.fail_waiting(index)
        elif policy.parked:
            policy.hand_on()

    def _note_end(self, reply: Reply, failure: Failure) -> None:
        """Count a failure; fewer requests are sent where a server wants that, not where there is none at all."""
        policy = self._service.policy
        is_silent = policy.silent_since is not None and not reply.status
        policy.budget.note(0, 1)
        if reply.status:
            self._service.note_answer()
        else:
            policy.note_silence()
        if failure.row.throttled and not is_silent and (self._says_why(reply) or policy.budget.failing > MANY):
            self.batch.throttle(reply.index)

    def _says_why(self, reply: Reply) -> bool:
        """Tell whether a refusal has words: the answer to a HEAD has none by which 503 is told from a lone failure."""
        return reply.status != 503 or self._shape.method != "HEAD"

    def _retry(self, reply: Reply, failure: Failure, wait: float, parked: bool, *, anew: bool) -> None:
        """Send a request again after some time; where it is parked, no later than another has succeeded."""
        self._tell_retry(reply, failure, wait)
        self.batch.retry(reply.index, wait, self._signer_for(reply.index), anew=anew, parked=parked)
        if parked:
            self._service.policy.parked.add(self.batch)
            self._service.policy.hand_on()

    def _fail(self, index: int, error: BaseError) -> None:
        """Let a request have failed for good."""
        self.errors[index] = error
        self._service.stats.note_error(error)

    def _tell_retry(self, reply: Reply, failure: Failure, wait: float) -> None:
        """Say in the log that a request is sent again; that the service asks for less, as a warning, once."""
        warn = failure.row.throttled and not self._warned
        self._warned |= warn
        name = self._name(reply.index)
        self._service.tell_retry(reply, failure, self._shape.method, name, wait, warn=warn)

    def _error(self, reply: Reply, failure: Failure) -> BaseError:
        """Make the error of a request that failed for good."""
        index, method = reply.index, self._shape.method
        shape = self._own.get(index, self._shape)
        return self._service.error(
            reply,
            failure,
            method,
            self._name(index),
            self._detail(index),
            sent=(*shape.headers, *([] if shape.body_sum is None else [shape.body_sum.header])),
            maybe_applied=self.left_open(index) and method not in READS,
        )

    def _is_mended(self, trouble: Trouble, failure: Failure) -> Plan[bool]:
        """Tell whether a request that was refused for its credential, clock or region is worth one more try at once."""
        if trouble.mended:
            return False
        mended = yield from self._service.recover(failure)
        moved = failure.row.again == "region" and self._service.origin != self._origin
        if not (mended or moved):
            return False
        trouble.mended = True
        if moved:
            return self.begin_anew(self._shape)
        self._sign_anew()
        self._prepared = replace(self._prepared, renew_at=0.0)  # those that wait with signers of their own are next
        return True

    def _signer_for(self, index: int) -> Signer | None:
        """Sign a request of its own shape afresh; the others follow the batch's signer."""
        shape = self._own.get(index)
        return None if shape is None else self._service.prepare(shape).signer

    # --- what came

    unversioned = False

    @property
    def mixed(self) -> bool:
        """Whether replies were of different versions, or of another than the one asked for."""
        return self.batch.tags_differ

    @property
    def cuts(self) -> int:
        """How many requests have brought only the beginning of what was asked for."""
        return self.batch.cuts

    @property
    def of_parts(self) -> int:
        """How many requests have brought a whole object with a checksum of those of its parts."""
        return self.batch.of_parts

    def whole(self, index: int) -> tuple[Seen, Sums | None] | None:
        """Return what the reply to such a request tells of the object: None, it is none of those that are read for."""
        return None

    def finished(self) -> list[int]:
        """Return the indexes of the requests that ended well since the last call (needs `each`)."""
        return self.batch.finished()

    def sums(self, index: int) -> Sums | None:
        """Return the checksum of the body of a request that ended well, where it was summed up and is not yet taken."""
        return sums_of(self.batch.reply(index))

    def widen(self, window: int) -> None:
        """Set how many bytes may have come and not been taken from now on."""
        self._window = window
        self.batch.widen(window)

    def limit(self, most: int) -> Plan[None]:
        """Have no more requests than `most` in flight from now on, and come back when it is so."""
        self.batch.limit(most)
        while self.batch.in_flight > most:
            yield from self.news()

    def body_sum(self, index: int) -> bytes | None:
        """Return the checksum that went with the body of a request, where the engine made one."""
        return self.batch.body_sum(index)

    def take(self, index: int) -> Bytes:
        """Return the body of a request that ended well, and let go of it."""
        return self.batch.take(index)

    def bodies(self) -> list[Bytes | None]:
        """Return all bodies in order, None for the requests that failed."""
        return self.batch.bodies()

    def reply(self, index: int = 0) -> Reply:
        """Return the reply to a request, or raise its error."""
        if index in self.errors:
            raise self.errors[index]
        return self.batch.reply(index)


def sums_of(reply: Reply) -> Sums | None:
    """Return the checksum of the body of a reply, where it was summed up, and what it tells of the object."""
    if reply.sums is None:
        return None
    return Sums(*reply.sums, reply.total if reply.start >= 0 else reply.content_length)
