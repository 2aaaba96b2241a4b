"""Spans and metrics of OpenTelemetry, as its own SDK has them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed: pip install opentelemetry-sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import objstore
from objstore import exceptions
from objstore.opentelemetry import instrument, uninstrument
from objstore.store import HTTPStore, MemoryStore
from objstore.types import RequestInfo
from tests.faults.client import ROOT, FaultServer
from tests.faults.content import content
from tests.servers import free_port
from tests.test_faults import SIZE, store_on

CALM = 64 << 10
"""How large the objects of the calm scenario are."""

spans_to = InMemorySpanExporter()
tracers = TracerProvider(shutdown_on_exit=False)
tracers.add_span_processor(SimpleSpanProcessor(spans_to))


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def seen(reader: InMemoryMetricReader) -> Iterator[Callable[[], list[ReadableSpan]]]:
    """What spans there are."""
    spans_to.clear()
    instrument(tracer_provider=tracers, meter_provider=MeterProvider([reader], shutdown_on_exit=False))
    yield lambda: [*spans_to.get_finished_spans()]
    uninstrument()


Seen = Callable[[], list[ReadableSpan]]


def points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Return the data points of each metric."""
    data = reader.get_metrics_data()
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
    return {metric.name: [*metric.data.data_points] for scope in scopes for metric in scope.metrics}


def test_a_call_is_a_span(fault_server: FaultServer, seen: Seen) -> None:
    store = store_on(fault_server)
    store.head("calm/a")
    (span,) = seen()
    assert (span.name, span.kind, span.status.status_code) == ("objstore.head", SpanKind.CLIENT, StatusCode.UNSET)
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "objstore"
    known = dict(span.attributes or {})
    assert isinstance(known.pop("aws.request_id", ""), str)
    assert known == {
        "server.address": "127.0.0.1",
        "server.port": int(fault_server.endpoint.rpartition(":")[2]),
        "url.scheme": "http",
        "aws.s3.bucket": "bucket",
        "aws.s3.key": "calm/a",
        "http.request.method": "HEAD",
        "http.response.status_code": 200,
        "objstore.requests": 1,
        "objstore.retries": 0,
        "objstore.bytes_sent": 0,
        "objstore.bytes_received": 0,
    }


def test_coroutines_have_their_own(fault_server: FaultServer, seen: Seen) -> None:
    store, paths = store_on(fault_server), [f"calm/{number}" for number in range(5)]

    async def read() -> None:
        await asyncio.gather(*(store.head_async(path) for path in paths))

    with tracers.get_tracer("program").start_as_current_span("outer") as outer:
        asyncio.run(read())
    spans = seen()[:-1]
    assert sorted((span.attributes or {})["aws.s3.key"] for span in spans) == paths
    assert {(span.attributes or {})["objstore.requests"] for span in spans} == {1}
    assert {span.parent.span_id for span in spans if span.parent} == {outer.get_span_context().span_id}


def test_a_failed_try_is_an_event_and_what_fails_for_good_the_error_of_the_span(
    fault_server: FaultServer, seen: Seen
) -> None:
    store = store_on(fault_server)
    assert store.get("throttled-once/a").bytes() == content(0, SIZE)
    with pytest.raises(exceptions.NotFoundError):
        store.head("missing/a")
    first, *_, last = seen()
    (event,) = first.events
    assert (event.attributes or {})["http.response.status_code"] == 429
    assert ((first.attributes or {})["objstore.retries"], first.status.status_code) == (1, StatusCode.UNSET)
    assert ((last.attributes or {})["error.type"], last.status.status_code) == ("NotFoundError", StatusCode.ERROR)
    assert "missing/a" in (last.status.description or "")


def test_a_batch_is_one_span(fault_server: FaultServer, seen: Seen) -> None:
    store_on(fault_server).get_many([f"calm/{number}" for number in range(20)])
    (span,) = seen()
    known = span.attributes or {}
    assert (span.name, known["objstore.requests"]) == ("objstore.get_many", 20)
    assert known["objstore.bytes_received"] == 20 * CALM


def test_requests_of_no_call_have_spans_of_their_own(fault_server: FaultServer, seen: Seen) -> None:
    store = store_on(fault_server)
    with store.open("calm/a", "rb") as file:
        assert len(file.read()) == CALM
    for span in seen():
        known = span.attributes or {}
        assert (span.name, span.kind) == (known["http.request.method"], SpanKind.CLIENT)
        assert known["aws.s3.key"] == "calm/a"
        assert known["url.full"] == f"{fault_server.endpoint}/bucket/calm/a"
        assert span.end_time is not None
        assert span.start_time is not None
        assert span.end_time >= span.start_time
    assert len(seen()) == len(fault_server.requests())


def test_no_query_is_in_a_span(fault_server: FaultServer, seen: Seen) -> None:
    store_on(fault_server).list("calm/secret").collect()
    assert fault_server.requests()[0]["target"].partition("?")[2]
    (span,) = seen()
    assert "?" not in span.to_json()


def test_metrics(fault_server: FaultServer, seen: Seen, reader: InMemoryMetricReader) -> None:
    store = store_on(fault_server)
    store.get("throttled-once/a").bytes()
    store.put("calm/b", bytes(1000))
    found = points(reader)
    durations = found["http.client.request.duration"]
    kinds = {
        (point.attributes["http.request.method"], point.attributes["http.response.status_code"]) for point in durations
    }
    assert kinds >= {("GET", 429), ("PUT", 200)}
    assert sum(point.count for point in durations) == len(fault_server.requests())
    assert durations[0].explicit_bounds[:2] == (0.005, 0.01)
    assert {point.attributes.get("error.type") for point in durations} == {None, "429"}
    assert sum(point.value for point in found["objstore.requests"]) == len(fault_server.requests())
    assert [point.value for point in found["objstore.retries"]] == [1]
    moved = {point.attributes["network.io.direction"]: point.value for point in found["objstore.io"]}
    assert moved == {"receive": store.stats()["bytes_received"], "transmit": 1000}
    assert sum(point.value for point in found.get("objstore.connections", [])) == store.stats()["connections"]
    names = {name for metric in found.values() for point in metric for name in point.attributes}
    assert not names & {"aws.s3.key", "aws.request_id", "url.full"}


def test_no_answer_is_an_error_too(seen: Seen, reader: InMemoryMetricReader) -> None:
    store = HTTPStore(
        f"http://127.0.0.1:{free_port()}", client_options={"allow_http": True}, retry_config={"max_retries": 0}
    )
    with pytest.raises(exceptions.BaseError):
        store.head("a")
    (span,) = seen()
    assert ((span.attributes or {})["objstore.key"], span.status.status_code) == ("a", StatusCode.ERROR)
    (point,) = points(reader)["http.client.request.duration"]
    assert point.attributes["error.type"] == "no_reply"


def test_stores_without_a_service_have_spans_inside_the_program(seen: Seen) -> None:
    store = MemoryStore()
    store.put("a", b"1")
    assert store.get("a").bytes() == b"1"
    assert [(span.name, span.kind) for span in seen()] == [
        ("objstore.put", SpanKind.INTERNAL),
        ("objstore.get", SpanKind.INTERNAL),
        ("objstore.bytes", SpanKind.INTERNAL),
    ]


def test_the_hook_of_the_program_stays(fault_server: FaultServer, seen: Seen) -> None:
    told: list[RequestInfo] = []
    objstore.configure(on_request=told.append)
    try:
        instrument(tracer_provider=tracers)
        store_on(fault_server).head("calm/a")
    finally:
        objstore.configure(on_request=None)
    store_on(fault_server).head("calm/a")
    assert (len(told), len(seen())) == (1, 2)
    uninstrument()
    store_on(fault_server).head("calm/a")
    assert len(seen()) == 2


def test_without_the_library_it_says_what_to_install() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
try:
    import objstore.opentelemetry
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    said = "objstore.opentelemetry needs opentelemetry-api: pip install 'objstore-client[opentelemetry]'\n"
    assert done.stdout == said
