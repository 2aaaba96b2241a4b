"""What went wrong with a request, and whether to send it again.

Two tables say what a failure means: one by CURLcode, where no reply came, one by status, where one did. A row names the
error for the caller and whether the request may be sent again. A budget for each origin keeps retries from multiplying
the load on a service that is down.

Its one invariant: whether to retry is decided from the failed reply and the clock alone; nothing is sent or awaited
    here.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    ConfigurationError,
    ConnectionFailedError,
    CorruptResponseError,
    GenericError,
    IntegrityError,
    InvalidRangeError,
    NotFoundError,
    NotModifiedError,
    NotSupportedError,
    ObjectChangedError,
    PermissionDeniedError,
    PreconditionError,
    RequestTimeoutError,
    SourceChangedError,
    UnauthenticatedError,
)
from objstore.http.client import parse_http_date

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from objstore._core import Batch, Reply
    from objstore.settings.options import RetryOptions


class Row(NamedTuple):
    """One way to fail: the error it is for the caller, and when the request may be sent again.

    Args:
        error: The class of the error.
        words: What happened; a full sentence is made of it.
        again: ``never``; ``safe``: if sending it twice does no harm; ``once``: likewise, but only one more time;
            ``always``: the server says that it has not acted on it; ``damaged``: nor on what arrived otherwise than it
            was sent, which may lie with the sender: only a few more times; ``briefly``: likewise, for what more of the
            same would hardly mend;
            ``credential``, ``clock``, ``region``: with another credential, or signed by the server's clock, or for
            the region that it names.
        throttled: The server asked for less, or has to be asked for less.
        patience: For how many seconds to try again where the origin has never answered: it may not be there at all.
            None for as long as elsewhere.
        unasked: There was no server to ask, so that trying again is no load for any.
        refused: The request itself was refused, and not carried out; a server that is busy may have begun.
    """

    error: type[BaseError]
    words: str
    again: str = "never"
    throttled: bool = False
    patience: float | None = None
    unasked: bool = False
    refused: bool = False

    @property
    def leaves_open(self) -> bool:
        """Whether the server may have acted on the request all the same: who asks for patience may have done it."""
        return self.again in ("safe", "once", "always") and not self.refused

    @property
    def may_repeat(self) -> bool:
        """Whether the server says that it has not acted on the request, so that any may be sent again."""
        return self.again in ("always", "damaged", "briefly")


NOBODY_SECONDS = 3.0
"""How long to look for a server that has never answered."""

SILENT_SECONDS = 10.0
"""How long to knock where nobody has ever answered, and nobody refused: it may be behind a firewall."""


def nobody(words: str) -> Row:
    """Return the row of a request that found no server."""
    return Row(ConnectionFailedError, words, "always", patience=NOBODY_SECONDS, unasked=True)


CURL_ROWS: dict[int, Row] = {
    1: Row(CorruptResponseError, "the reply is not HTTP", "once"),
    5: nobody("the proxy's name could not be resolved"),
    6: nobody("the server's name could not be resolved"),
    7: nobody("the server could not be reached"),
    8: Row(CorruptResponseError, "the reply is not HTTP", "once"),
    16: Row(ConnectionFailedError, "the HTTP/2 connection failed", "safe"),
    18: Row(ConnectionFailedError, "the reply was cut short", "safe"),
    23: Row(CorruptResponseError, "the reply is longer than what was asked for", "once"),
    27: Row(GenericError, "there is no memory or no descriptor for the transfer", "always"),
    28: Row(RequestTimeoutError, "a time limit ran out", "safe"),
    35: Row(ConnectionFailedError, "the TLS connection could not be made", "always", patience=NOBODY_SECONDS),
    42: Row(SourceChangedError, "the file to send is shorter than when the upload began"),
    47: Row(GenericError, "the server redirected more than ten times"),
    52: Row(ConnectionFailedError, "the server closed the connection without a reply", "safe", patience=NOBODY_SECONDS),
    55: Row(ConnectionFailedError, "the connection broke while the request was sent", "safe"),
    56: Row(ConnectionFailedError, "the connection broke while the reply was read", "safe", patience=NOBODY_SECONDS),
    60: Row(ConnectionFailedError, "the server's certificate is not trusted", patience=0),
    63: Row(CorruptResponseError, "the reply is larger than such a reply can be"),
    65: Row(ConnectionFailedError, "the connection broke while the request was sent", "safe"),
    77: Row(ConfigurationError, "the file of trusted certificates cannot be read"),
    92: Row(ConnectionFailedError, "the HTTP/2 stream failed", "safe"),
    97: Row(ConnectionFailedError, "the proxy refused", "always"),
    1000: Row(IntegrityError, "the body is damaged", "safe"),
    1001: Row(NotFoundError, "it is a directory"),
    1002: Row(CorruptResponseError, "the end of the reply cannot be told from a cut", "once"),
}
"""By CURLcode (https://curl.se/libcurl/c/libcurl-errors.html), and the engine's own beside them, from 1000 on."""

STATUS_ROWS: dict[int, Row] = {
    304: Row(NotModifiedError, "the object has not been modified"),
    400: Row(GenericError, "the server refused the request as malformed"),
    401: Row(UnauthenticatedError, "the server wants a valid credential"),
    403: Row(PermissionDeniedError, "access is denied"),
    404: Row(NotFoundError, "there is no such object"),
    408: Row(RequestTimeoutError, "the server gave up waiting for the request", "always"),
    409: Row(AlreadyExistsError, "it conflicts with what is there"),
    412: Row(PreconditionError, "a precondition does not hold"),
    416: Row(InvalidRangeError, "the range lies outside the object"),
    429: Row(GenericError, "the server asks for fewer requests", "always", True),
    500: Row(GenericError, "the server failed", "safe"),
    501: Row(NotSupportedError, "the server does not support it"),
    502: Row(GenericError, "the gateway failed", "safe"),
    503: Row(GenericError, "the server is unavailable", "always"),
    504: Row(RequestTimeoutError, "the gateway gave up waiting for the server", "safe"),
}
"""By status (RFC 9110, section 15)."""

UNAVAILABLE = STATUS_ROWS[503]
"""It is down, or a part of it; not as with a server that asks for fewer requests."""

UNCONNECTED = Row(
    RequestTimeoutError, "no connection could be made in time", "always", throttled=True, patience=SILENT_SECONDS
)
"""A time limit ran out before the request was sent, as with a server that has more connections than it can take."""

PLAIN = Row(ConnectionFailedError, "the server does not speak TLS", "always", patience=0)
"""What it says is no TLS: a port for plain HTTP; or one that fails, where it has answered before."""

PLAIN_WORDS = ("wrong version number", "packet length too long", "unexpected TLS packet")
"""What OpenSSL and GnuTLS say of it."""

UNPROVEN = Row(ConnectionFailedError, "the server does not take our side of TLS", "always", patience=0)
"""It says so by an alert: it wants a client certificate, or versions and ciphers that we do not have."""

UNPROVEN_WORDS = (
    "alert certificate required",
    "alert bad certificate",
    "alert handshake failure",
    "alert protocol version",
    "alert access denied",
)
"""What OpenSSL says of these alerts (RFC 8446, section 6.2); of TLS 1.3 they may come in the place of a reply."""

REFUSED = Row(GenericError, "the server refused the request")
REFUSED_IN_SUCCESS = Row(GenericError, "the server failed")
FAILED = Row(GenericError, "the server failed", "safe")
UNKNOWN = Row(GenericError, "the transfer failed", "safe")
REDIRECTED = Row(GenericError, "the server sent the request elsewhere")
LED_AWAY = Row(GenericError, "the server redirected to a URL that this store does not go to")
DELETED = Row(NotFoundError, "the version is a delete marker")
REPLACED = Row(ObjectChangedError, "the object was replaced while it was read", "safe")
CONTRADICTED = Row(CorruptResponseError, "the reply does not hold what was asked for", "once")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed reply, understood.

    Args:
        row: What it means.
        code: The service's own error code, where it gave one.
        message: The service's own words, or libcurl's.
        wait: How long the server asked to wait, in seconds; None where it did not say.
        server_time: What time it was at the server; None where it did not say.
        region: The region in which the server says the bucket is.
    """

    row: Row
    code: str | None
    message: str
    wait: float | None = None
    server_time: datetime | None = None
    region: str | None = None


def understand(reply: Reply, codes: Mapping[str, Row], code: str | None, message: str) -> Failure:
    """Say what a failed reply means.

    Args:
        reply: The failed reply.
        codes: Rows by the service's own error codes, which count more than the status.
        code: The service's error code, where the reply has one.
        message: The service's message, where it has one.
    """
    if reply.error is not None:
        return Failure(_by_curl_code(reply), None, reply.error)
    row = codes.get(code or "", REFUSED_IN_SUCCESS if code and reply.status < 300 else by_status(reply.status))
    return Failure(row, code, message, _retry_after(reply), parse_http_date(reply.headers.get("date", "")))


def _by_curl_code(reply: Reply) -> Row:
    if reply.curl_code == 1 and reply.status != 0:
        return LED_AWAY
    if reply.curl_code == 28 and not reply.sent:
        return UNCONNECTED
    if reply.curl_code == 35 and any(words in (reply.error or "") for words in PLAIN_WORDS):
        return PLAIN
    if reply.curl_code in (35, 56) and any(words in (reply.error or "") for words in UNPROVEN_WORDS):
        return UNPROVEN
    return CURL_ROWS.get(reply.curl_code, UNKNOWN)


def by_status(status: int) -> Row:
    """Return what a status means, whatever the request."""
    if status < 300:
        return CONTRADICTED
    other = REDIRECTED if status < 400 else REFUSED if status < 500 else FAILED
    return STATUS_ROWS.get(status, other)


def _retry_after(reply: Reply) -> float | None:
    """Return how long the server asks to wait: milliseconds of AWS, or Retry-After (RFC 9110, section 10.2.3)."""
    text = reply.headers.get("x-amz-retry-after", "")
    if text.isdecimal():
        return float(text) / 1000
    text = reply.headers.get("retry-after", "")
    if text.isdecimal():
        return float(text)
    date = parse_http_date(text) if text else None
    return None if date is None else max(0.0, date.timestamp() - time.time())


class Budget:
    """How many retries an origin may still be sent.

    While at least a tenth of what it answered lately succeeded, retries cost nothing: a flaky service is worth the
    insistence. Below that it is down, and each retry is paid from a fixed sum that successes refill, so that an outage
    is met with at most twice the requests that there were to begin with. What finds no server costs nothing either,
    until it waits as long as it takes to knock.
    """

    FULL = 500.0
    COST = 14.0
    COST_THROTTLED = 5.0
    MEMORY_SECONDS = 10.0
    MEMORY_ANSWERS = 32
    KNOCK_SECONDS = 0.8
    KNOCK_SHARE = 0.05  # of an outage
    MISSED_SECONDS = 2.0  # after which who was to knock is not waited for: nobody may read what it brings
    WEIGHED_AFTER = 0.1  # seconds: successes are only counted for so long, which is all that most calls wait for
    CHANCE_SECONDS = 1.0  # for so long it may be but chance that hardly any of a few answers succeeded

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens = self.FULL
        self._successes = 0.0
        self._failures = 0.0
        self._seen = self._well_at = self._knock_at = clock()
        self._fair_at = -math.inf
        self._counted = 0

    def note(self, successes: int, failures: int) -> None:
        """Count how requests ended."""
        self._counted += successes
        now = self._clock()
        if successes:
            self._well_at = self._knock_at = now
        if failures or now - self._seen > self.WEIGHED_AFTER:
            self._weigh(now, failures)

    def _weigh(self, now: float, failures: int) -> None:
        """Have what was counted take its place beside what was answered before, which counts ever less."""
        successes, self._counted = self._counted, 0
        kept = 0.5 ** ((now - self._seen) / (self.MEMORY_SECONDS / 2))
        self._seen = now
        self._successes = self._successes * kept + successes
        self._failures = self._failures * kept + failures
        crowd = (self._successes + self._failures) / self.MEMORY_ANSWERS
        if crowd > 1:
            self._successes /= crowd
            self._failures /= crowd
        self._tokens = min(self.FULL, self._tokens + successes)
        if self.well:
            self._fair_at = now

    @property
    def well(self) -> bool:
        """Whether at least a tenth of what was answered lately succeeded."""
        successes = self._successes + self._counted
        return successes >= 0.1 * (successes + self._failures)

    @property
    def was_well(self) -> bool:
        """Whether that is so, or was a moment ago."""
        return self.well or self._clock() - self._fair_at < self.CHANCE_SECONDS

    @property
    def failing(self) -> float:
        """The share of what was answered lately that failed; before anything was, one success is assumed."""
        return self._failures / (self._successes + self._counted + self._failures + 1)

    @property
    def is_nobody_knocking(self) -> bool:
        """Whether nobody is about to try whether the server is back."""
        return self._clock() >= self._knock_at

    def knock(self) -> float | None:
        """Return after how many seconds one may try whether the server is back; None: another does.

        It is tried every second, and ever more rarely the longer nothing has succeeded.
        """
        now = self._clock()
        if now < self._knock_at:
            return None
        pause = max(self.KNOCK_SECONDS, self.KNOCK_SHARE * (now - self._well_at))
        self._knock_at = now + pause
        return pause

    def stand_in(self) -> bool:
        """Tell whether to try now, in the place of one who was to and has not been heard of since."""
        now = self._clock()
        if now < self._knock_at + self.MISSED_SECONDS:
            return False
        return self.knock() is not None

    def spend(self, throttled: bool) -> bool:
        """Pay for a retry; False when the budget does not allow it."""
        if self.well:
            return True
        cost = self.COST_THROTTLED if throttled else self.COST
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True


FEW_TRIES = {"once": 1, "damaged": 2, "briefly": 2}
"""How often what is understood so is tried again: more of the same would bring no other end."""


class Policy:
    """The decision on one request after another of a store.

    Args:
        options: How often and how long to try.
        budget: What the origin may still be sent.
        clock: Seconds, monotonic.
    """

    THROTTLED_BACKOFF = 1.0  # the first bound of a throttled request where all are
    WELL_BACKOFF = 0.8  # the last bound where most requests succeed
    PATIENT_TRIES = 2
    LATELY = 60.0  # for how many seconds a silence is remembered in which nobody asks
    BAD_LUCK = 0.001  # a request that fails so often has more against it than chance
    WORST_LUCK = 1e-9  # so few requests have more, where all fail alike

    def __init__(
        self, options: RetryOptions, budget: Budget | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.options = options
        self.budget = budget or Budget(clock)
        self.clock = clock
        self.silent_since: float | None = None
        self._silent_at = 0.0
        self.parked: set[Batch] = set()  # some of their requests wait for the server to answer

    def note_answer(self) -> None:
        """The server has answered."""
        self.silent_since = None

    def note_success(self, count: int) -> None:
        """Requests have succeeded: two of those that wait for that are sent, ever more while all succeed."""
        self.budget.note(count, 0)
        self.silent_since = None
        if self.parked:
            self.unpark(2)

    def hand_on(self) -> None:
        """Have another find out whether the server is back, where no request is about to."""
        if self.budget.is_nobody_knocking:
            self.unpark(1, least=self.budget.KNOCK_SECONDS)

    def unpark(self, most: int, *, least: float = 0) -> None:
        """Have so many sent of those that wait for the server, and would for `least` seconds more."""
        others = []
        while most > 0 and (batch := self._take_parked()) is not None:
            most -= batch.unpark(most, least)
            if batch.parked:
                others.append(batch)
        self.parked.update(others)

    def _take_parked(self) -> Batch | None:
        try:
            return self.parked.pop()
        except KeyError:  # there is none, or another thread was faster
            return None

    def note_silence(self) -> None:
        """A try has ended without an answer."""
        now = self.clock()
        if self.silent_since is None or now - self._silent_at > self.LATELY:
            self.silent_since = now
        self._silent_at = now

    def delay(
        self, failure: Failure, attempts: int, since: float, *, safe: bool, answered: bool = True
    ) -> float | None:
        """Return how many seconds to wait before the next try, or None to give up.

        Args:
            failure: What went wrong with the last try.
            attempts: How many tries there were.
            since: When the request last made progress, or was first in vain, by the policy's clock.
            safe: Whether sending the request twice does no harm.
            answered: Whether the origin has ever answered.
        """
        left = self.patience(failure, attempts, since, safe=safe, answered=answered)
        if left is None:
            return None
        row = failure.row
        wait = self._backoff(row, attempts)
        if row.patience is not None and not answered:
            wait = min(wait, left)  # the last try is at the very end
        has_tries = wait <= left and self._has_tries(row, attempts)
        if failure.wait is not None:
            wait = min(max(failure.wait, wait) + random.uniform(0, 0.1 * failure.wait), left)
        if has_tries and (self._is_free(row, wait) or (not row.unasked and self.budget.spend(row.throttled))):
            return wait
        pause = self.budget.knock()
        return None if pause is None else min(max(failure.wait or 0, random.uniform(pause, 1.1 * pause)), left)

    def patience(
        self, failure: Failure, attempts: int, since: float, *, safe: bool, answered: bool = True
    ) -> float | None:
        """Return how many seconds a request has left, of which `delay` is told so; None to give up."""
        row = failure.row
        left = self.left(row, since, answered=answered)
        tries = self._has_tries(row, attempts) or self._looks_for_others(row)
        return left if tries and (safe or row.may_repeat) and left > 0 and left >= (failure.wait or 0) else None

    def left(self, row: Row, since: float, *, answered: bool) -> float:
        """Return for how many seconds more a request may be tried again that failed so: none are left below zero."""
        limit = self.options.retry_timeout
        if row.patience is not None and not answered:
            limit = min(limit, row.patience)
        return since + limit - self.clock()

    def _has_tries(self, row: Row, attempts: int) -> bool:
        """Tell whether there are tries left."""
        most = self.options.usual_retries
        if row.again in FEW_TRIES:
            return attempts <= min(most, FEW_TRIES[row.again])
        if row.unasked and self.options.max_retries is None:
            return True
        return row.again in ("always", "safe") and (attempts <= most or self._insists(attempts))

    def _is_free(self, row: Row, wait: float) -> bool:
        """Tell whether a request may be sent again at no cost: it found no server, and does not go on with that."""
        return row.unasked and (self.options.max_retries is not None or wait <= self.budget.KNOCK_SECONDS)

    def _looks_for_others(self, row: Row) -> bool:
        """Tell whether a request that has had its tries goes on: others wait to hear of it that the server is back."""
        return bool(self.parked) and self.options.max_retries is None and row.again in ("always", "safe")

    def _insists(self, attempts: int) -> bool:
        """Tell whether it is but chance that a request has failed so often, and nobody said how often it may."""
        chance = self.budget.failing**attempts
        return self.options.max_retries is None and self.budget.was_well and chance > self.WORST_LUCK

    def _backoff(self, row: Row, attempts: int) -> float:
        """Return a random part of a bound that grows with every try (full jitter), and with the share that fails.

        Where there is no server it is half of the bound at the least: chance is not to use up the tries of one request
        before it comes back.
        """
        badly = max(0.0, 2 * self.budget.failing - 1) ** 2  # 0 while half of them succeed, 1 when nothing does
        first = self.options.init_backoff
        if row.throttled:
            first += badly * max(0.0, self.THROTTLED_BACKOFF - first)
        bound = min(self.options.max_backoff, first * self.options.base ** (attempts - 1))
        bound = min(bound, max(first, self._most_after(attempts, badly)))
        return random.uniform(bound / 2 if row.unasked else 0, bound)

    def _most_after(self, attempts: int, badly: float) -> float:
        """Return how far the bound grows: not far where others succeed, but for the last tries: a part may be down."""
        last = attempts > self.options.usual_retries - self.PATIENT_TRIES
        if last and self.budget.failing**attempts < self.BAD_LUCK and not self._insists(attempts):
            return self.options.max_backoff
        return self.WELL_BACKOFF + badly * max(0.0, self.options.max_backoff - self.WELL_BACKOFF)
