"""What nobody has bounded ends all the same: bodies of errors and documents, in size and in time; no signal kills."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import pytest

from objstore._core import ClientSettings
from objstore.exceptions import BaseError, CorruptResponseError
from objstore.plans.run import run
from objstore.store import S3Store
from tests.engine.client import SETTINGS, new_batch, run_program, settle
from tests.engine.raw import Answer, answering, drips, pours, sends
from tests.engine.test_replies import ask, head

MIB = 1 << 20
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
CHUNKED = "Transfer-Encoding: chunked"
ENDLESS = 1002
"""The engine's code for a body that only the end of the connection would end."""
LATE = 30  # seconds; what these tests tell from it never ends


@pytest.mark.parametrize("lines", [[CHUNKED], ["Content-Length: 34000000000"], []])
@pytest.mark.parametrize("status", [404, 500, 302])
def test_an_error_without_end_is_told_by_its_status(status: int, lines: list[str]) -> None:
    body, reply = ask(pours(head(*lines, status=f"{status} So"), CHUNK))
    assert (body, reply.status, reply.curl_code, reply.error) == (None, status, 0, None)
    assert 256 << 10 <= len(reply.body) < MIB


@pytest.mark.parametrize("lines", [[CHUNKED], ["Content-Length: 34000000000"], []])
def test_an_error_that_drips_is_told_by_its_status(lines: list[str]) -> None:
    begun = time.monotonic()
    with answering(drips(head(*lines, status="404 Gone"), b"1\r\nx\r\n", 0.05)) as raw:
        made = new_batch(raw.origin, "GET", ClientSettings(user_agent="tests", stall_timeout=0.5))
        made.add(b"/a")
        made.seal()
        failed = run(settle(made))
    assert (failed[0].status, failed[0].error) == (404, None)
    assert time.monotonic() - begun < LATE


@pytest.mark.parametrize("reply", [head(CHUNKED), head("Content-Length: 1300000000"), head()])
@pytest.mark.parametrize("method", ["PUT", "POST", "GET"])
def test_a_reply_larger_than_it_can_be_is_refused(reply: bytes, method: str) -> None:
    with answering(pours(reply, CHUNK)) as raw:
        made = new_batch(raw.origin, method, SETTINGS, most_body=MIB)
        made.add(b"/a")
        made.seal()
        failed = run(settle(made))
    assert failed[0].curl_code == (ENDLESS if method == "GET" and reply == head() else 63)
    assert len(failed[0].body) <= 2 * MIB


def store_at(origin: str) -> S3Store:
    return S3Store(
        "bucket",
        endpoint=origin,
        region="local",
        access_key_id="a",
        secret_access_key="b",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


OPERATIONS: dict[str, Callable[[S3Store], object]] = {
    "list": lambda store: store.list().collect(),
    "put": lambda store: store.put("a", b""),
    "delete one": lambda store: store.delete("a"),
    "delete many": lambda store: store.delete(["a", "b"]),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_operation_takes_in_a_reply_without_end(operation: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        answering(pours(head(CHUNKED), 16 * CHUNK)) as raw,
        pytest.raises(CorruptResponseError, match="larger than such a reply can be") as failure,
    ):
        OPERATIONS[operation](store_at(raw.origin))
    assert failure.value.attempts == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # KiB


def test_an_object_whose_end_nobody_tells_is_not_read_in_vain() -> None:
    begun = time.monotonic()
    body, reply = ask(pours(head(), b"x" * MIB))
    assert (body, reply.status, reply.curl_code, len(reply.body)) == (None, 200, ENDLESS, 0)
    assert time.monotonic() - begun < LATE
    assert ask(pours(head(), b"x" * MIB), 10, 20)[0] == b"x" * 10


NEAR = [2**63 - 1, 2**63 - 2, 2**63 - 100, 2**62, 2**64 + 10]


@pytest.mark.parametrize("number", NEAR)
@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: {0}"],
        ["Content-Range: bytes 10-{0}/*", "Content-Length: 10"],
        ["Content-Range: bytes {0}-{0}/{0}", "Content-Length: 10"],
        ["Content-Range: bytes 10-19/{0}", "Content-Length: {0}"],
    ],
)
def test_lengths_that_nothing_has_are_refused(lines: list[str], number: int) -> None:
    status = "206 Partial Content" if len(lines) == 2 else "200 OK"
    answer: Answer = sends(head(*(line.format(number) for line in lines), status=status) + b"x" * 10)
    assert ask(answer, 10, 20)[0] is None


def test_ranges_near_the_end_of_all_numbers_are_asked_for_in_peace() -> None:
    with answering(sends(head("Content-Length: 0", status="416 No"))) as raw:
        made = new_batch(raw.origin, "GET", SETTINGS, window=MIB, most_in_flight=8)
        for start in (0, 1, 2**62, 2**63 - 2):
            for _ in range(4):
                made.add(b"/a", start, 2**63 - 1)
        made.seal()
        assert len(run(settle(made))) == 16


def test_a_hung_up_upload_raises_no_signal() -> None:
    ended = run_program("pipes.upload_files")
    assert (ended.returncode, ended.stdout) == (0, "alive"), ended.stderr


def test_errors_of_stores_name_the_status_of_an_endless_reply() -> None:
    with answering(pours(head(CHUNKED, status="404 Not Found"), CHUNK)) as raw, pytest.raises(BaseError) as failure:
        store_at(raw.origin).get("a")
    assert failure.value.status == 404
