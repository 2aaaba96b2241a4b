"""A service that is spoken to over HTTP: where it is, who we are to it, and what its failures mean."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from objstore._core import origin_info
from objstore.http.client import header_lines
from objstore.http.observed import request_info, tell_retry
from objstore.http.retry import DELETED, STATUS_ROWS, UNPROVEN, Failure, Policy, understand
from objstore.http.stats import Stats
from objstore.http.words import Words, read_words
from objstore.interface.values import FAST, Pace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from objstore._core import ClientSettings, Kind, Reply, Signer, Try
    from objstore.exceptions import BaseError
    from objstore.http.dialect import Dialect
    from objstore.http.identity import Identity
    from objstore.http.shape import Shape
    from objstore.interface.values import UrlTerms
    from objstore.plans.effects import Plan
    from objstore.signing.sigv4 import BodySum
    from objstore.types import RequestInfo

RENEW_SECONDS = 240.0
"""How long one signature is used: services take it for 15 minutes, retries and clocks need some of them."""

SIGNER_SECONDS = 30.0
"""How long the signer of a bare request is used again: making one costs as much as sending it."""

MOST_CONNECTIONS = 1024
"""How many requests may be in flight to a service at a time, where the settings do not say."""

ELSEWHERE = (301, 400)
"""How a service says that the bucket is in another region."""

ANSWERED: set[str] = set()
"""The origins that have ever answered in this process."""

_REGION = re.compile("[A-Za-z0-9-]{1,63}")

CURL_HINTS = {
    23: "If it was given a buffer in `out`, give a larger one.",
    6: "Check the host name in the URL or `endpoint`.",
    7: "Check the URL or `endpoint`, and that the server runs.",
    35: "If the server speaks plain HTTP there, write http:// and give client_options={'allow_http': True}.",
    28: "Raise connect_timeout, first_byte_timeout or stall_timeout in client_options if the server is just slow.",
    60: "Give the authority's certificate in client_options['root_certificate'].",
}

CERTIFICATE_HINTS = {
    "has expired": "The server needs a new one; or this machine's clock is wrong.",
    "not yet valid": "This machine's clock may be wrong.",
    "no alternative certificate": "It is another host's: use the name that it has in the URL or `endpoint`.",
}
"""What to do about a certificate, by what libcurl says of it."""

PLAIN_HINTS = CURL_HINTS | dict.fromkeys((52, 56), "If the server speaks TLS there, write https://.")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What requests of a shape are sent with.

    Args:
        lines: The header lines that need no signature.
        signer: What sends the others.
        reuse_until: Until when others may be sent with the same.
        renew_at: When it is to be made anew for those that are still to be sent.
        is_lasting: Whether its credential lasts longer than that.
    """

    lines: list[bytes]
    signer: Signer | None
    reuse_until: float
    renew_at: float
    is_lasting: bool


class Service:
    """One bucket's service.

    Args:
        dialect: What it calls things.
        origin: Scheme, host and port.
        settings: How to connect.
        policy: What is retried, and when.
        identity: How requests are signed.
        headers: Headers sent with every request.
        most_connections: The most requests in flight at a time, of all calls together; None for as many as it takes.
        takes_many: Whether it is known to take as many as there may be: of others that is found out step by step.
        bucket: The name of the bucket or container, where there is one.
        prefix: What the store puts in front of paths: errors name them without it.
        patient_settings: How to connect for requests that the service may be silent about for long; as the others, if
            not given.
    """

    def __init__(
        self,
        dialect: Dialect,
        origin: str,
        settings: ClientSettings,
        policy: Policy,
        identity: Identity,
        *,
        headers: Mapping[str, str] | None = None,
        most_connections: int | None = None,
        takes_many: bool = False,
        bucket: str | None = None,
        prefix: str = "",
        patient_settings: ClientSettings | None = None,
    ) -> None:
        self.dialect = dialect
        self.kinds: dict[tuple[object, ...], Kind] = {}  # of batches, by how their requests are made and judged
        self.move_to(origin)
        self.settings = settings
        self.patient_settings = patient_settings or settings
        self.policy = policy
        self.identity = identity
        self.most_connections = MOST_CONNECTIONS if most_connections is None else most_connections
        self.careful = most_connections is None and not takes_many
        self._headers = dict(headers or {})
        self.bucket = bucket
        self._prefix = prefix
        self.stats = Stats()
        self.takes_if_match = True  # some servers refuse reads that name the version they mean
        self._signers: dict[tuple[str, str, BodySum | None], Prepared] = {}

    def move_to(self, origin: str) -> None:
        """Send requests to another origin from now on."""
        self.origin = origin
        self.host = _host_header(origin)

    @property
    def has_answered(self) -> bool:
        """Whether there is a server: it has answered in this process."""
        return self.origin in ANSWERED

    def note_answer(self) -> None:
        """Remember that it has answered."""
        ANSWERED.add(self.origin)
        self.policy.note_answer()

    @property
    def pace(self) -> Pace:
        """What the network to the service was lately seen to do."""
        return paced(origin_info(self.origin))

    # --- who we are

    def refresh(self) -> Plan[None]:
        """Have a credential that is good for a while."""
        if not self.identity.is_fixed and (yield from self.identity.refresh()):
            self._signers.clear()

    def recover(self, failure: Failure) -> Plan[bool]:
        """Mend what a refused request shows to be wrong (clock, credential, region); tell whether to try again."""
        mended = yield from self.identity.recover(failure)
        if mended:
            self._signers.clear()
        return mended

    # --- what is sent

    def prepare(self, shape: Shape) -> Prepared:
        """Return what requests of a shape are sent with: signed as before, where that was not long ago."""
        now = self.policy.clock()
        if shape.headers:
            return self._prepare(shape, now)
        key = (shape.method, shape.payload_hash, shape.body_sum)
        known = self._signers.get(key)  # once: another thread may clear them meanwhile
        if known is None or now >= known.reuse_until:
            known = self._signers[key] = self._prepare(shape, now)
        return known

    def _prepare(self, shape: Shape, now: float) -> Prepared:
        headers = {**self._headers, **shape.headers, **self.identity.headers()}
        lines = list(header_lines(headers))
        signer = self.identity.signer(shape, self.host, headers)
        sent = {_name(line) for line in signer.headers} if signer is not None else set()
        if shape.body_sum is not None:
            sent.add(shape.body_sum.header.encode())
        plain = [line for line in lines if _name(line) not in sent]
        if shape.method in ("PUT", "POST") and "content-type" not in {name.lower() for name in headers}:
            plain.append(b"Content-Type:")  # libcurl would send that of a form
        lasts = self.identity.lasts()
        reused, renewed = now + min(lasts, SIGNER_SECONDS), now + min(lasts, RENEW_SECONDS)
        return Prepared(plain, signer, reused, renewed, lasts >= RENEW_SECONDS)

    def signed_url(self, path: str, query: Sequence[tuple[str, str]], terms: UrlTerms) -> str:
        """Return a URL that carries its own signature, by the credential of now."""
        scheme = self.origin.partition(":")[0]
        method, expires_in, headers = terms.method, terms.expires_in, terms.headers
        return self.identity.signed_url(method, scheme, self.host, path, query, expires_in, headers)

    def is_same_as(self, other: Service) -> bool:
        """Return whether another store's service is this one, and knows us by the same key."""
        return self is other or (
            self.dialect is other.dialect and self.origin == other.origin and self.identity.is_same_as(other.identity)
        )

    # --- what came back

    def understand(self, reply: Reply, method: str) -> Failure:
        """Say what a failed reply means."""
        code, message, region = self._words(reply)
        failure = understand(reply, self.dialect.codes, code, message)
        failure = replace(failure, row=self.dialect.codes_for.get((method, code or ""), failure.row))
        region = region_in(reply.headers.get(self.dialect.region)) or region_in(region)
        if region is not None and reply.status in ELSEWHERE and failure.row.again in ("never", "region"):
            failure = replace(failure, region=region, row=failure.row._replace(again="region"))
        if reply.status in (404, 405) and reply.headers.get(self.dialect.deleted) == "true":
            return replace(failure, row=DELETED)
        special = self.dialect.statuses.get((method, reply.status))
        if special is None or reply.error is not None or code in self.dialect.codes:
            return failure
        return replace(failure, row=special)

    def may_refuse_condition(self, reply: Reply, method: str) -> bool:
        """Tell whether a read may have been refused because it names the version it means, and for nothing else."""
        if reply.error is not None or reply.status not in (400, 501):
            return False
        return self.understand(reply, method).row is STATUS_ROWS[reply.status]

    def _words(self, reply: Reply) -> Words:
        """Return what the service says of an error: in a document, or in a header where there is none."""
        if reply.error is not None:
            return Words()
        words = read_words(bytes(reply.body))
        return words if words.code else words._replace(code=reply.headers.get(self.dialect.error_code))

    def path(self, key: str) -> str:
        """Return the path of a key, as the caller gave it."""
        return key.removeprefix(self._prefix)

    def error(
        self,
        reply: Reply,
        failure: Failure,
        method: str,
        key: str,
        detail: str = "",
        *,
        sent: Iterable[str] = (),
        maybe_applied: bool = False,
    ) -> BaseError:
        """Make the error of a request that failed for good, and was sent with headers of these names."""
        attempts = reply.attempts
        reason = _reason(reply, failure)
        said = f": {failure.message}" if failure.message else ""
        tries = f", after {attempts} tries" if attempts > 1 else ""
        target = reply.target.partition(b"?")[0].decode()
        name = key or (target if self.bucket is None else "")  # what is at a URL itself has no key
        what = f"{name!r}{detail}" if name or not detail else detail.lstrip()  # of no key: the bucket itself
        return failure.row.error(
            f"{method} {what} failed: {failure.row.words} ({reason} from {self._place}{said}{tries})",
            hint=self._hint(reply, failure)
            or self._hint_of_lack(reply, failure, method, sent)
            or self._hint_of_wait(failure),
            store=self.dialect.store,
            path=self.path(key),
            bucket=self.bucket,
            url=self.origin + target,
            status=reply.status or None,
            code=failure.code,
            request_id=reply.headers.get(self.dialect.request_id),
            attempts=attempts,
            maybe_applied=maybe_applied,
        )

    def _hint_of_lack(self, reply: Reply, failure: Failure, method: str, sent: Iterable[str]) -> str | None:
        """Return what to do where the service does not know a header: it says so by 501, or by 400 and its name."""
        if reply.status not in (400, 501):
            return None
        names, said = [name.lower() for name in sent], failure.message.lower()
        fits = {
            start.rstrip("-"): hint
            for (of, start), hint in self.dialect.lacks.items()
            if of == method and any(name.startswith(start) for name in names)
        }
        named = [hint for start, hint in fits.items() if start in said]
        if not named and reply.status == 501:  # it may be any of them
            named = [*dict.fromkeys(fits.values())]
        return " ".join(named) or None

    def _hint_of_wait(self, failure: Failure) -> str | None:
        """Return what the server asks for, where it asks for time."""
        options = self.policy.options
        if not failure.wait or not failure.row.leaves_open or options.max_retries == 0:
            return None
        most = options.retry_timeout
        return f"It asks to wait {failure.wait:g} s; retry_config allows {most:g} s in all (retry_timeout)."

    # --- what is told

    def describe(self, tried: Try, origin: str, method: str, key: str) -> RequestInfo:
        """Describe a try for those who listen."""
        names = {"id_header": self.dialect.request_id, "store": self.dialect.store}
        return request_info(tried, method, origin, **names, bucket=self.bucket, path=self.path(key))

    def tell_retry(self, reply: Reply, failure: Failure, method: str, key: str, wait: float, *, warn: bool) -> None:
        """Say in the log that a request is sent again, and why."""
        tell_retry(
            "%s %r: %s (%s from %s), sent again in %.3f s after try %d",
            *(method, self.path(key), failure.row.words, _reason(reply, failure), self._place, wait, reply.attempts),
            warn=warn,
        )

    @property
    def _place(self) -> str:
        return self.origin if self.bucket is None else f"{self.dialect.container} {self.bucket!r} at {self.origin}"

    def _hint(self, reply: Reply, failure: Failure) -> str | None:
        if failure.row is UNPROVEN:
            return "It may want a client certificate, which objstore cannot give: go by a proxy that does."
        if reply.error is not None:
            for words, hint in CERTIFICATE_HINTS.items():
                if reply.curl_code == 60 and words in reply.error:
                    return hint
            hints = PLAIN_HINTS if self.origin.startswith("http:") else CURL_HINTS
            return self.dialect.hints.get(str(reply.curl_code)) or hints.get(reply.curl_code)
        said = self.dialect.hints
        return self.identity.hint(reply) or said.get(failure.message) or said.get(failure.code or str(reply.status))


def paced(seen: Mapping[str, Any] | None) -> Pace:
    """Return the pace that the engine has seen, what it has not seen as of a near and fast server."""
    if seen is None:
        return FAST
    windows = FAST._replace(reads=seen["reads"], writes=seen["writes"])
    if seen["least_wait"] is None:
        return windows
    rate = seen["bytes_per_second"] or FAST.bytes_per_second
    return windows._replace(
        wait=seen["least_wait"],
        bytes_per_second=rate,
        most=seen["most"],
        cost=seen["request_cost"],
        alone=seen["connection_bytes_per_second"],
    )


def region_in(text: str | None) -> str | None:
    """Return the region that a reply names, if it can be one: it becomes part of a host name."""
    return text if text is not None and _REGION.fullmatch(text) else None


def _reason(reply: Reply, failure: Failure) -> str:
    return failure.code or (f"HTTP {reply.status}" if reply.status else "no reply")


def _name(line: bytes) -> bytes:
    return line.replace(b";", b":").partition(b":")[0].lower()


def _host_header(origin: str) -> str:
    """Return the Host header that libcurl sends: with the port, unless it is the scheme's own."""
    parts = urlsplit(origin)
    usual = 443 if parts.scheme == "https" else 80
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"
