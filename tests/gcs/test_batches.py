"""Answers to many deletes in one request: without numbers, in other orders, missing, twice, and refused as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("google_crc32c", reason="google-crc32c is not installed")

from objstore.exceptions import CorruptResponseError, PermissionDeniedError
from objstore.providers.cloud.gcs_batch import read_batch
from objstore.store import GCSStore
from tests.gcs.messages import Answer
from tests.gcs.server import Fault, StrictServer, error, strict_server
from tests.gcs.test_wire import open_store

HEADERS = {"content-type": "multipart/mixed; boundary=b"}


@pytest.fixture
def server() -> Iterator[StrictServer]:
    with strict_server() as running:
        running.make_bucket("bucket")
        yield running


@pytest.fixture
def store(server: StrictServer) -> GCSStore:
    store = open_store(server)
    store.put_many(dict.fromkeys("abc", b""))
    return store


def written(parts: list[tuple[str | None, int]], line: str = "\r\n") -> bytes:
    """Return a reply of parts: a Content-ID, where there is one, and a status."""
    text = ""
    for name, status in parts:
        named = f"Content-ID: {name}{line}" if name is not None else ""
        document = json.dumps({"error": {"message": "said"}}) if status >= 300 else ""
        text += f"--b{line}Content-Type: application/http{line}{named}{line}"
        text += f"HTTP/1.1 {status} X{line}Content-Type: application/json{line}{line}{document}{line}"
    return f"{text}--b--{line}".encode()


def statuses(parts: list[tuple[str | None, int]], count: int, line: str = "\r\n") -> dict[int, int]:
    found = read_batch(HEADERS, written(parts, line), count)
    return {number: answer.status for number, answer in found.items()}


@given(st.permutations(range(5)), st.sampled_from(["\r\n", "\n"]), st.sampled_from(["<response-x+{}>", "response-{}"]))
def test_answers_in_any_order(order: list[int], line: str, form: str) -> None:
    parts: list[tuple[str | None, int]] = [(form.format(number), 200 + number) for number in order]
    assert statuses(parts, 5, line) == {number: 200 + number for number in range(5)}


def test_answers_without_numbers_are_in_order_if_all_are_there() -> None:
    assert statuses([(None, 204), (None, 404), (None, 204)], 3) == {0: 204, 1: 404, 2: 204}
    assert statuses([(None, 204), (None, 404)], 3) == {}
    assert statuses([(None, 204), ("<response-x+0>", 404), (None, 204)], 3) == {0: 404}


@pytest.mark.parametrize("name", ["<response-x+-1>", "", "<response-x>", "<response-x+1>y"])
def test_numbers_of_no_call(name: str) -> None:
    assert statuses([(name, 204), ("<response-x+1>", 204)], 2) == {1: 204}


@pytest.mark.parametrize("number", [2, 3, 7])
def test_the_answers_to_another_batch_are_not_believed(number: int) -> None:
    with pytest.raises(CorruptResponseError, match="nobody made"):
        statuses([("<response-x+0>", 204), (f"<response-x+{number}>", 204), ("<response-x+1>", 204)], 2)


def test_a_call_that_is_answered_in_two_ways_is_not_answered() -> None:
    assert statuses([("<response-x+0>", 204), ("<response-x+0>", 403), ("<response-x+1>", 204)], 2) == {1: 204}


def test_what_a_document_says_is_no_number_and_no_status() -> None:
    inner = b"--b\r\nContent-Type: application/http\r\n\r\nnone\r\n\r\nContent-ID: <response-x+0>\r\nHTTP/1.1 204 X\r\n"
    assert read_batch(HEADERS, inner + b"--b--", 2) == {}


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    assert {*read_batch(HEADERS, b"--b\r\n" + body, 3)} <= {0, 1, 2}


# --- what a store makes of them


def changed(server: StrictServer, change: Callable[[Answer], Answer], times: int = 1) -> None:
    """Change the next answers to batches."""
    act, left = server._act, [times]

    def answer(call: Any) -> Answer:
        said = act(call)
        if not call.path.startswith("/batch") or not left[0]:
            return said
        left[0] -= 1
        return change(said)

    server._act = answer  # type: ignore[method-assign]


def without_one(said: Answer) -> Answer:
    """Leave the last of the answers out."""
    parts = said.body.split(b"--answers")
    return said._replace(body=b"--answers".join([*parts[:-2], parts[-1]]))


def test_what_was_not_answered_is_deleted_again(store: GCSStore, server: StrictServer) -> None:
    changed(server, without_one)
    store.delete(["a", "b", "c"])
    assert (store.list().collect(), len(server.lines("POST /batch"))) == ([], 2)


def test_what_is_never_answered_is_deleted_by_itself(store: GCSStore, server: StrictServer) -> None:
    changed(server, without_one, 99)
    store.delete(["a", "b", "c"])
    assert (store.list().collect(), len(server.lines("DELETE"))) == ([], 3)


def refusing(status: int, reason: str) -> Callable[[Answer], Answer]:
    """Return what refuses the first call of a batch."""
    done, refused = (f"HTTP/1.1 {each} Answer\r\nContent-Type: application/json\r\n\r\n" for each in (204, status))
    instead = refused.encode() + error(status, reason).body
    return lambda said: said._replace(body=said.body.replace(done.encode(), instead, 1))


@pytest.mark.parametrize(
    ("status", "reason"), [(429, "rateLimitExceeded"), (503, "backendError"), (500, "internalError")]
)
def test_what_is_throttled_is_deleted_again(store: GCSStore, server: StrictServer, status: int, reason: str) -> None:
    changed(server, refusing(status, reason))
    store.delete(["a", "b", "c"])
    assert (store.list().collect(), len(server.lines("POST /batch"))) == ([], 2)


def test_a_batch_that_is_throttled_is_sent_again(store: GCSStore, server: StrictServer) -> None:
    throttled = error(429, "rateLimitExceeded")
    server.faults = [Fault("POST /batch", throttled), Fault("POST /batch"), Fault("POST /batch", acts=True)]
    store.delete(["a", "b", "c"])
    assert (store.list().collect(), server.lines("DELETE")) == ([], [])


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 501])
def test_a_batch_that_is_refused_is_taken_apart(store: GCSStore, server: StrictServer, status: int) -> None:
    server.faults = [Fault("POST /batch", error(status, "refused"))]
    store.delete(["a", "b", "missing"])
    assert [meta["path"] for meta in store.list().collect()] == ["c"]
    assert len(server.lines("DELETE")) == 3


def test_who_may_not_delete_is_told_so_of_each(store: GCSStore, server: StrictServer) -> None:
    server.faults = [Fault(line, error(403, "forbidden")) for line in ("POST /batch", "DELETE", "DELETE")]
    with pytest.raises(PermissionDeniedError):
        store.delete(["a", "b"])


def test_a_credential_that_is_refused_inside_is_replaced(server: StrictServer) -> None:
    tokens = ["old", "new"]
    store = open_store(server, credential_provider=lambda: {"token": tokens.pop(0), "expires_at": None})
    store.put_many(dict.fromkeys("ab", b""))
    changed(server, refusing(401, "authError"))
    store.delete(["a", "b"])
    assert [call.headers["Authorization"] for call in server.calls[-2:]] == ["Bearer old", "Bearer new"]
