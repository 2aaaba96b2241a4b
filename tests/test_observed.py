"""What one sees of requests: the log, the hook and the counts of a store; and that nothing else changes by them."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import objstore
from objstore import exceptions
from objstore.http.stats import percentiles
from objstore.store import HTTPStore, LocalStore, MemoryStore, S3Store
from objstore.types import RequestInfo
from tests.faults.client import ROOT, FaultServer
from tests.faults.content import content
from tests.listener import Listener
from tests.servers import free_port
from tests.test_faults import SIZE, store_on

Get = Callable[[S3Store, str], bytes]


def get(store: S3Store, path: str) -> bytes:
    return bytes(store.get(path).bytes())


async def _get(store: S3Store, path: str) -> bytes:
    return bytes(await (await store.get_async(path)).bytes_async())


def get_async(store: S3Store, path: str) -> bytes:
    return asyncio.run(_get(store, path))


def get_many(store: S3Store, path: str) -> bytes:
    return bytes(store.get_many([path])[0])


def get_many_async(store: S3Store, path: str) -> bytes:
    async def read() -> bytes:
        return bytes((await store.get_many_async([path]))[0])

    return asyncio.run(read())


GETS = [get, get_async, get_many, get_many_async]


@pytest.fixture
def seen() -> Iterator[list[RequestInfo]]:
    """What a hook is told."""
    told: list[RequestInfo] = []
    objstore.configure(on_request=told.append)
    yield told
    objstore.configure(on_request=None)


@pytest.mark.parametrize("read", GETS)
def test_the_hook_is_told_of_every_try(
    fault_server: FaultServer, carrier: str, read: Get, seen: list[RequestInfo]
) -> None:
    assert read(store_on(fault_server), "throttled-once/a") == content(0, SIZE)
    first, second = seen
    one, two = fault_server.requests("throttled-once")
    assert (first.method, first.store, first.bucket, first.path) == ("GET", "S3Store", "bucket", "throttled-once/a")
    assert first.url == f"{fault_server.endpoint}/bucket/throttled-once/a"
    assert (first.status, second.status) == (429, second.status)
    assert second.status in (200, 206)
    assert (first.attempt, second.attempt) == (1, 2)
    assert (first.error, second.error, first.bytes_sent, second.bytes_received) == (None, None, 0, SIZE)
    assert (second.connection == "used") == (one["connection"] == two["connection"])
    assert first.wait is not None
    assert 0 <= first.wait <= first.seconds
    assert first.started < second.started


def test_a_connection_is_new_once(fault_server: FaultServer, carrier: str, seen: list[RequestInfo]) -> None:
    store = store_on(fault_server)
    for path in ("calm/a", "calm/b", "calm/c"):
        store.head(path)
    ports = [request["connection"] for request in fault_server.requests("calm")]
    assert [info.connection for info in seen[1:]] == [
        "used" if before == after else "new" for before, after in pairwise(ports)
    ]
    assert store.stats()["connections"] == sum(info.connection == "new" for info in seen)


@pytest.mark.parametrize("read", GETS)
def test_the_bytes_of_a_body_are_counted_once(
    fault_server: FaultServer, carrier: str, read: Get, seen: list[RequestInfo]
) -> None:
    store = store_on(fault_server)
    assert read(store, "cut-by-fin/a") == content(0, SIZE)
    first, second = seen
    assert first.error is not None
    assert 0 < first.bytes_received < SIZE
    assert first.bytes_received + second.bytes_received == SIZE
    assert store.stats()["bytes_received"] == SIZE


def test_what_is_written_is_counted(fault_server: FaultServer, carrier: str, seen: list[RequestInfo]) -> None:
    store = store_on(fault_server)
    store.put_many([("calm/a", bytes(1000)), ("calm/b", bytes(500))])
    assert sorted(info.bytes_sent for info in seen) == [500, 1000]
    assert store.stats()["bytes_sent"] == 1500


def test_no_connection_is_a_try_too(seen: list[RequestInfo]) -> None:
    store = HTTPStore(
        f"http://127.0.0.1:{free_port()}", client_options={"allow_http": True}, retry_config={"max_retries": 0}
    )
    with pytest.raises(exceptions.BaseError):
        store.head("a")
    info = seen[0]
    assert (info.status, info.connection, info.wait, info.store) == (None, None, None, "HTTPStore")
    assert info.error


def test_no_query_is_told(fault_server: FaultServer, seen: list[RequestInfo], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "objstore")
    store_on(fault_server).list("calm/secret").collect()
    info = seen[0]
    assert (info.url, info.path) == (f"{fault_server.endpoint}/bucket", "calm/secret/")
    assert fault_server.requests()[0]["target"].partition("?")[2]
    assert "?" not in caplog.text


class Holding(BaseHTTPRequestHandler):
    """Answers a request for `held` when the other one was told of."""

    told: threading.Event

    def do_GET(self) -> None:
        if self.path == "/held":
            self.told.wait(60)
        self.send_response(200 if self.told.is_set() or self.path != "/held" else 500)
        self.send_header("Content-Length", "2")
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("read", ["get_many", "get_many_async"])
def test_what_has_ended_is_told_while_others_are_under_way(read: str) -> None:
    told = threading.Event()
    with Listener(("127.0.0.1", 0), type("Handler", (Holding,), {"told": told})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        store = HTTPStore(f"http://127.0.0.1:{server.server_port}", client_options={"allow_http": True})
        objstore.configure(on_request=lambda _: told.set())
        try:
            bodies: Any = getattr(store, read)(["held", "free"])
            bodies = asyncio.run(_awaited(bodies)) if read == "get_many_async" else bodies
        finally:
            objstore.configure(on_request=None)
            server.shutdown()
    assert [bytes(body) for body in bodies] == [b"ok", b"ok"]


async def _awaited(coroutine: Any) -> Any:
    return await coroutine


# --- the log


def test_the_log_has_a_line_for_every_try(fault_server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "objstore")
    get(store_on(fault_server, raw_keys=True), "throttled-once/a b\n")
    lines = [record for record in caplog.records if record.name == "objstore.request"]
    assert [record.levelname for record in lines] == ["DEBUG", "DEBUG"]
    url = f"{fault_server.endpoint}/bucket/throttled-once/a%20b%0A"
    assert lines[0].getMessage().startswith(f"GET {url} -> 429, 0 bytes sent, ")
    assert r"(S3Store 'bucket' 'throttled-once/a b\n', try 1, connection " in lines[0].getMessage()
    assert isinstance(vars(lines[1])["request"], RequestInfo)


def test_a_retry_is_told_and_throttling_warned_of_once(
    fault_server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "objstore")
    get(store_on(fault_server), "busy-twice/a")
    told = [record for record in caplog.records if record.name.startswith("objstore")]
    assert [(record.name, record.levelname) for record in told] == [
        ("objstore.retry", "WARNING"),
        ("objstore.retry", "INFO"),
    ]
    message = told[0].getMessage()
    assert message.startswith("GET 'busy-twice/a': ")
    assert "from bucket 'bucket' at" in message
    assert "sent again in 0." in message


def test_a_level_above_is_silent(fault_server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "objstore")
    get(store_on(fault_server), "throttled-once/a")
    assert not caplog.records


def program(server: FaultServer, text: str, level: str) -> subprocess.CompletedProcess[str]:
    """Run a program that has a `store`, with OBJSTORE_LOG set."""
    given = f"endpoint={server.endpoint!r}, region='r', access_key_id='id', secret_access_key='the-secret'"
    options = "client_options={'allow_http': True}"
    store = f"from objstore.store import S3Store\nstore = S3Store('bucket', {given}, {options})\n"
    return subprocess.run(
        [sys.executable, "-c", store + text],
        env={"OBJSTORE_LOG": level, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_environment_turns_it_on(fault_server: FaultServer) -> None:
    done = program(fault_server, "store.head('calm/a')", "debug")
    (line,) = done.stderr.splitlines()
    assert " DEBUG objstore.request: HEAD " in line
    assert "the-secret" not in line


def test_a_program_with_handlers_of_its_own_gets_each_line_once(fault_server: FaultServer) -> None:
    done = program(
        fault_server, "import logging; logging.basicConfig(format='mine %(message)s'); store.head('a')", "DEBUG"
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("mine HEAD ")


def test_without_it_nothing_is_written(fault_server: FaultServer) -> None:
    done = program(fault_server, "import logging; store.get('throttled-once/a')", "")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_level_that_is_none_is_refused(fault_server: FaultServer) -> None:
    done = program(fault_server, "", "loud")
    assert "ConfigurationError: OBJSTORE_LOG is 'loud'" in done.stderr
    assert "debug, info, warning, error" in done.stderr


# --- nothing else changes


def outcome(server: FaultServer, read: Get, path: str) -> tuple[object, ...]:
    """Return what a read comes to, error or not."""
    server.forget()
    try:
        return (read(store_on(server, retries=1), path),)
    except exceptions.BaseError as error:
        facts = (error.status, error.code, error.request_id, error.attempts, error.url, error.maybe_applied)
        words = str(error).replace("Received HTTP/0.9 when not allowed", "Invalid status line")  # of libcurl, by chance
        return type(error), words, *facts


@pytest.mark.parametrize("read", GETS)
@pytest.mark.parametrize(
    "scenario",
    ["calm", "busy-always", "cut-by-fin", "forbidden", "missing", "not-http", "short-range", "two-lengths", "teapot"],
)
def test_listening_changes_nothing(
    fault_server: FaultServer, carrier: str, read: Get, scenario: str, caplog: pytest.LogCaptureFixture
) -> None:
    plain = outcome(fault_server, read, f"{scenario}/a")
    caplog.set_level(logging.DEBUG, "objstore")
    told: list[RequestInfo] = []
    objstore.configure(on_request=told.append)
    try:
        assert outcome(fault_server, read, f"{scenario}/a") == plain
    finally:
        objstore.configure(on_request=None)
    assert told
    assert caplog.records


@pytest.mark.usefixtures("carrier", "seen")
def test_the_rest_of_what_is_large_is_of_the_same_version(fault_server: FaultServer) -> None:
    """It is known by the head of the reply that brought the beginning, which the listener is told of too."""
    store, body = store_on(fault_server), content(0, 33 << 20)
    written = store.put("large", body, use_multipart=False)
    wanted = [body, body[5:]]
    found = dict(store.iter_many(["large", ("large", 5, 33 << 20)]))
    assert [bytes(found[index]) for index in range(2)] == wanted
    tags = {each["headers"].get("if-match") for each in fault_server.requests("large") if each["method"] == "GET"}
    assert tags == {None, written["e_tag"]}


@pytest.mark.parametrize("read", GETS)
def test_a_hook_that_raises_is_complained_of_once(
    fault_server: FaultServer, read: Get, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[RequestInfo] = []

    def hook(info: RequestInfo) -> None:
        calls.append(info)
        raise ValueError("planted")

    objstore.configure(on_request=hook)
    try:
        assert read(store_on(fault_server), "throttled-once/a") == content(0, SIZE)
    finally:
        objstore.configure(on_request=None)
    complaints = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(calls) == 2
    assert len(complaints) == 1
    assert "on_request" in complaints[0].getMessage()
    assert complaints[0].exc_info is not None


def test_a_log_filter_that_raises_breaks_nothing(fault_server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    def fault(_: logging.LogRecord) -> bool:
        raise ValueError("planted")

    caplog.set_level(logging.DEBUG, "objstore")
    loggers = [logging.getLogger(name) for name in ("objstore", "objstore.request", "objstore.retry")]
    for logger in loggers:
        logger.addFilter(fault)
    try:
        assert get(store_on(fault_server), "throttled-once/a") == content(0, SIZE)
    finally:
        for logger in loggers:
            logger.removeFilter(fault)


@pytest.mark.parametrize("read", [get, get_many])
def test_what_a_hook_reads_itself_is_not_told(fault_server: FaultServer, read: Get) -> None:
    store, calls = store_on(fault_server), list[RequestInfo]()

    def hook(info: RequestInfo) -> None:
        calls.append(info)
        assert read(store, "calm/log") == content(0, SIZE)

    objstore.configure(on_request=hook)
    try:
        read(store, "calm/a")
    finally:
        objstore.configure(on_request=None)
    assert [info.path for info in calls] == ["calm/a"]


def test_a_hook_must_be_a_function_that_is_not_awaited() -> None:
    async def hook(info: RequestInfo) -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="not awaited"):
        objstore.configure(on_request=hook)


def test_a_hook_must_be_a_function() -> None:
    with pytest.raises(TypeError, match="on_request must be a function"):
        objstore.configure(on_request="print")  # type: ignore[arg-type]


# --- counts


@pytest.mark.parametrize("read", GETS)
def test_a_store_counts_its_requests(fault_server: FaultServer, carrier: str, read: Get) -> None:
    store = store_on(fault_server)
    read(store, "throttled-once/a")
    with pytest.raises(exceptions.NotFoundError):
        read(store, "missing/a")
    stats = store.stats()
    tries = len(fault_server.requests())
    assert (stats["requests"], stats["retries"], stats["errors"]) == (tries, 1, {"NotFoundError": 1})
    assert stats["connections"] <= tries
    assert 0 < stats["waits"]["p50"] <= stats["waits"]["p90"] <= stats["waits"]["p99"]


@pytest.mark.parametrize("read", ["store.get_many(paths)", "asyncio.run(store.get_many_async(paths))"])
@pytest.mark.parametrize("threads", [0, 3])
def test_all_is_seen_whichever_threads_do_the_work(fault_server: FaultServer, threads: int, read: str) -> None:
    text = f"""
import asyncio, objstore
told, paths = [], ['calm/' + str(index) for index in range(150)]
objstore.configure(io_threads={threads}, on_request=told.append)
{read}
assert sorted(info.path for info in told) == sorted(paths)
assert store.stats()["requests"] == 150
assert store.stats()["connections"] == sum(info.connection == "new" for info in told)
"""
    done = program(fault_server, text, "")
    assert (done.returncode, done.stderr) == (0, "")


def test_stores_count_for_themselves(fault_server: FaultServer) -> None:
    first, second = store_on(fault_server), store_on(fault_server)
    first.get_many([f"calm/{index}" for index in range(50)])
    assert (first.stats()["requests"], second.stats()["requests"]) == (50, 0)


@pytest.mark.parametrize("kind", ["memory", "local"])
def test_a_store_without_a_service_has_sent_nothing(kind: str, tmp_path: Path) -> None:
    store = MemoryStore() if kind == "memory" else LocalStore(tmp_path)
    store.put("a", b"a")
    store.get("a")
    stats = store.stats()
    assert not any(stats.values())
    assert stats.keys() == objstore.StoreStats.__annotations__.keys()


def test_percentiles_are_of_replies() -> None:
    assert percentiles([]) == {}
    assert percentiles([(0.001, 1)]) == {"p50": 0.001, "p90": 0.001, "p99": 0.001}
    assert percentiles([(0.001, 50), (0.01, 40), (0.1, 10)]) == {"p50": 0.001, "p90": 0.01, "p99": 0.1}
