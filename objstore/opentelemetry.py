"""Spans and metrics of OpenTelemetry: what a program does with its stores, in its traces.

    objstore.opentelemetry.instrument()

Every call of an operation is a span, with what its requests came to. A request that no such call made (pages of a
stream, a file that is read) has a span of its own. Every try of a request counts in ``http.client.request.duration``
and the metrics beside it. Queries of URLs are in none of them.

Its one invariant: nothing of it is loaded or called before `instrument`, and what it does never changes what an
operation returns or raises.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/,
https://opentelemetry.io/docs/specs/semconv/http/http-metrics/, https://opentelemetry.io/docs/specs/semconv/object-stores/s3/
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from objstore.http.observed import set_hook
from objstore.interface.store import BaseStore
from objstore.plans.run import set_watch
from objstore.results import GetResult
from objstore.settings.extras import missing
from objstore.version import VERSION

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode
except ImportError as error:
    raise missing("objstore.opentelemetry needs opentelemetry-api", "opentelemetry") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from objstore.types import RequestInfo

__all__ = ["instrument", "uninstrument"]

DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Where the conventions cut the durations of requests, in seconds."""

NO_REPLY = "no_reply"
"""The type of the error of a request that was not answered."""

NANOSECONDS = 1_000_000_000


def instrument(*, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None) -> None:
    """Have all operations traced and measured from the next call on.

    Args:
        tracer_provider: Where spans go; where the program's own go, if not given.
        meter_provider: Where metrics go; where the program's own go, if not given.
    """
    telemetry = _Telemetry(tracer_provider, meter_provider)
    set_watch(telemetry.call)
    set_hook(telemetry.request, "opentelemetry")


def uninstrument() -> None:
    """Have nothing traced or measured any more."""
    set_watch(None)
    set_hook(None, "opentelemetry")


@dataclass(slots=True)
class _Call:
    """What the requests of a call have come to so far."""

    span: Span
    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    last: dict[str, Any] = field(default_factory=dict)

    def add(self, info: RequestInfo) -> None:
        """Add a request; one that failed is told of where it happened."""
        self.requests += 1
        self.retries += info.attempt > 1
        self.bytes_sent += info.bytes_sent
        self.bytes_received += info.bytes_received
        self.last = _facts(info)
        if "error.type" in self.last:
            ended = int((info.started + info.seconds) * NANOSECONDS)
            self.span.add_event("request failed", {**self.last, "url.full": info.url}, ended)

    def attributes(self) -> dict[str, Any]:
        """Return what its requests have come to."""
        if not self.requests:
            return {}
        last = {name: value for name, value in self.last.items() if name != "error.type"}
        return {
            **last,
            "objstore.requests": self.requests,
            "objstore.retries": self.retries,
            "objstore.bytes_sent": self.bytes_sent,
            "objstore.bytes_received": self.bytes_received,
        }


_current: ContextVar[_Call | None] = ContextVar("objstore.opentelemetry", default=None)


class _Telemetry:
    """The tracer and the instruments."""

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        self._tracer = trace.get_tracer("objstore", VERSION, tracer_provider)
        meter = metrics.get_meter("objstore", VERSION, meter_provider)
        self._duration = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=DURATIONS,
        )
        self._requests = meter.create_counter("objstore.requests", "{request}", "Requests, each try for itself.")
        self._retries = meter.create_counter("objstore.retries", "{request}", "Requests that were sent again.")
        self._connections = meter.create_counter("objstore.connections", "{connection}", "Connections made.")
        self._bytes = meter.create_counter("objstore.io", "By", "Bytes of bodies, sent and received.")

    @contextmanager
    def call(self, name: str, args: tuple[Any, ...]) -> Iterator[None]:
        """Surround a call of an operation by a span."""
        owner = args[0] if args else None
        if not isinstance(owner, BaseStore | GetResult):
            yield
            return
        known = _place(owner, args)
        kind = SpanKind.CLIENT if "server.address" in known else SpanKind.INTERNAL
        name = f"objstore.{name.lstrip('_')}"
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=known, record_exception=False, set_status_on_exception=False
        ) as span:
            call = _Call(span)
            before = _current.set(call)
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(Status(StatusCode.ERROR, str(error)))
                raise
            finally:
                _current.reset(before)
                span.set_attributes(call.attributes())

    def request(self, info: RequestInfo) -> None:
        """Count a try of a request, and tell the call it belongs to."""
        call, facts = _current.get(), _facts(info)
        self._measure(info)
        if call is not None:
            call.add(info)
            return
        begun = int(info.started * NANOSECONDS)
        span = self._tracer.start_span(
            info.method,
            kind=SpanKind.CLIENT,
            attributes={**facts, **_object(info.store, info.bucket, info.path), "url.full": info.url},
            start_time=begun,
        )
        if "error.type" in facts:
            span.set_status(Status(StatusCode.ERROR, info.error))
        span.end(begun + int(info.seconds * NANOSECONDS))

    def _measure(self, info: RequestInfo) -> None:
        measured, place = _kind(info), _server(info.url)
        self._duration.record(info.seconds, measured)
        self._requests.add(1, measured)
        if info.attempt > 1:
            self._retries.add(1, place)
        if info.connection == "new":
            self._connections.add(1, place)
        for direction, size in (("transmit", info.bytes_sent), ("receive", info.bytes_received)):
            if size:
                self._bytes.add(size, {**place, "network.io.direction": direction})


def _kind(info: RequestInfo) -> dict[str, Any]:
    """Return what the conventions want of a request in metrics, where it must not have many values."""
    kind = {"http.request.method": info.method, **_server(info.url)}
    if info.status is not None:
        kind["http.response.status_code"] = info.status
    if info.status is None or info.status >= 400:
        kind["error.type"] = NO_REPLY if info.status is None else str(info.status)
    return kind


def _facts(info: RequestInfo) -> dict[str, Any]:
    """Return what they want of it in spans."""
    facts = _kind(info)
    if info.attempt > 1:
        facts["http.request.resend_count"] = info.attempt - 1
    if info.request_id and info.store == "S3Store":
        facts["aws.request_id"] = info.request_id
    return facts


def _server(url: str) -> dict[str, Any]:
    """Return where a request goes."""
    parts = urlsplit(url)
    return {
        "server.address": parts.hostname or "",
        "server.port": parts.port or {"https": 443}.get(parts.scheme, 80),
        "url.scheme": parts.scheme,
    }


def _place(owner: BaseStore | GetResult, args: tuple[Any, ...]) -> dict[str, Any]:
    """Return what is known of a call before it begins."""
    provider = owner.provider if isinstance(owner, BaseStore) else owner._provider
    path = owner.meta["path"] if isinstance(owner, GetResult) else next(iter(args[1:2]), None)
    service = getattr(provider, "service", None)
    known = _object(
        None if service is None else service.dialect.store,
        None if service is None else service.bucket,
        path if isinstance(path, str) else None,
    )
    return known if service is None else {**_server(service.origin), **known}


def _object(store: str | None, bucket: str | None, path: str | None) -> dict[str, Any]:
    """Return which object it is about; the names of S3 are in the conventions, the others are ours."""
    prefix = "aws.s3" if store == "S3Store" else "objstore"
    named = {f"{prefix}.bucket": bucket, f"{prefix}.key": path}
    return {name: value for name, value in named.items() if value}
