"""Operations against a server that misbehaves on purpose: what is read is right, or it is an error.

The scenarios are those of tests/faults: a key SCENARIO/NAME gets the replies of that scenario.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from objstore import engine_info
from objstore.exceptions import (
    BaseError,
    ConnectionFailedError,
    CorruptResponseError,
    ObjectChangedError,
    PermissionDeniedError,
)
from objstore.providers.cloud import upload
from objstore.store import S3Store
from tests.engine.client import PATIENT, SOON, wait_until
from tests.faults.client import FaultServer
from tests.faults.content import content

SIZE = 1 << 20


def store_on(server: FaultServer, *, retries: int = 4, raw_keys: bool = False, **client_options: Any) -> S3Store:
    return S3Store(
        server.bucket,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True, **client_options},
        retry_config={"max_retries": retries},
        raw_keys=raw_keys,
    )


def patient(server: FaultServer) -> S3Store:
    """Return a store whose own limits of time do not end what is to end sooner."""
    return store_on(server, **PATIENT)


@pytest.mark.parametrize(
    ("scenario", "requests"),
    [
        ("busy-twice", 3),
        ("cut-by-fin", 2),
        ("cut-by-reset", 2),
        ("fin-first", 2),
        ("request-timeout", 2),
        ("reset-first", 2),
        ("throttled-once", 2),
    ],
)
def test_a_passing_fault_costs_no_more_than_another_try(
    fault_server: FaultServer, scenario: str, requests: int
) -> None:
    store = store_on(fault_server)
    assert store.get(f"{scenario}/a").bytes() == content(0, SIZE)
    assert 2 <= len(fault_server.requests(scenario)) <= requests


def test_a_cut_body_goes_on_where_it_ended(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    assert store.get_many(["cut-by-fin/a"]) == [content(0, SIZE)]
    first, second = fault_server.requests("cut-by-fin")
    assert "range" not in first["headers"]
    assert int(second["headers"]["range"].removeprefix("bytes=").partition("-")[0]) > 0
    assert second["headers"]["if-match"] == '"generated-v1"'


@pytest.mark.parametrize("scenario", ["short-range", "wrong-content-range", "wide-range", "two-lengths", "not-http"])
def test_a_reply_that_contradicts_itself_is_refused_after_a_second_look(
    fault_server: FaultServer, scenario: str
) -> None:
    with pytest.raises((CorruptResponseError, ConnectionFailedError)):
        store_on(fault_server).get_range(f"{scenario}/a", start=1000, end=2000)
    assert len(fault_server.requests(scenario)) == 2


def test_a_range_is_cut_out_of_a_whole_object(fault_server: FaultServer) -> None:
    assert store_on(fault_server).get_range("ignored-range/a", start=1000, end=2000) == content(1000, 2000)


def test_an_absurd_length_ends_nothing_but_the_request(fault_server: FaultServer) -> None:
    with pytest.raises(BaseError):
        store_on(fault_server, retries=1, stall_timeout=0.5).get_many(["huge-length/a"])


def test_ranges_of_two_versions_are_never_mixed(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    starts = range(0, SIZE, 1 << 16)
    with pytest.raises(ObjectChangedError):
        store.get_ranges("replaced-object/a", starts=starts, lengths=[16] * len(starts), coalesce=0)


def test_a_server_without_an_end_to_its_failures_is_left_alone(fault_server: FaultServer) -> None:
    with pytest.raises(BaseError) as failure:
        store_on(fault_server, retries=1).get("busy-always/a")
    assert (failure.value.status, failure.value.attempts) == (503, 2)
    assert len(fault_server.requests("busy-always")) == 2


@pytest.mark.parametrize(
    ("scenario", "limit"), [("stall-first", "first_byte_timeout"), ("stall-in-body", "stall_timeout")]
)
def test_a_stall_is_noticed_and_mended(fault_server: FaultServer, scenario: str, limit: str) -> None:
    store = store_on(fault_server, **{limit: 1})
    assert store.get_many([f"{scenario}/a"]) == [content(0, SIZE)]
    assert len(fault_server.requests(scenario)) == 2


def test_a_part_that_fails_once_is_sent_again(fault_server: FaultServer) -> None:
    body = bytes(12 << 20)
    store = store_on(fault_server)
    store.put("part-fails-once/a", body)
    assert store.head("part-fails-once/a")["size"] == len(body)


def test_a_part_that_is_refused_ends_the_upload_and_leaves_nothing(fault_server: FaultServer) -> None:
    with pytest.raises(PermissionDeniedError):
        store_on(fault_server).put("part-forbidden/a", bytes(12 << 20))
    operations = [request["operation"] for request in fault_server.requests("part-forbidden")]
    assert "abort" in operations
    assert "complete" not in operations


def test_an_abort_is_not_waited_for_for_ever(fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "ABORT_SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(PermissionDeniedError):
        patient(fault_server).put("stalled-abort/a", bytes(12 << 20))
    assert time.monotonic() - begun < SOON


@pytest.mark.parametrize("write", ["put", "open_writer"])
def test_an_upload_cancelled_while_it_begins_leaves_nothing(fault_server: FaultServer, write: str) -> None:
    store = store_on(fault_server)

    async def written() -> None:
        if write == "put":
            await store.put_async("slow-create/a", bytes(12 << 20))
        else:
            async with store.open_writer_async("slow-create/a", buffer_size=5 << 20) as file:
                await file.write(bytes(12 << 20))

    async def main() -> None:
        task = asyncio.create_task(written())
        await asyncio.to_thread(wait_until, lambda: fault_server.requests("slow-create") != [])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    operations = [request["operation"] for request in fault_server.requests("slow-create")]
    assert operations == ["create", "abort"]


def test_a_cancelled_upload_does_not_wait_for_ever(fault_server: FaultServer) -> None:
    store = patient(fault_server)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(store.put_async("stalled-create/a", bytes(12 << 20)), 0.2)

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < SOON


def test_an_upload_interrupted_while_it_begins_leaves_nothing(fault_server: FaultServer) -> None:
    store = store_on(fault_server)

    def interrupt() -> None:
        wait_until(lambda: fault_server.requests("slow-create") != [])
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        store.put("slow-create/a", bytes(12 << 20))
    operations = [request["operation"] for request in fault_server.requests("slow-create")]
    assert operations == ["create", "abort"]


@pytest.mark.parametrize("key", ["a\x01b", "\x1f", "\ufffe", "a b"])
def test_a_key_that_no_document_can_hold_is_asked_for_percent_encoded(fault_server: FaultServer, key: str) -> None:
    store = store_on(fault_server, raw_keys=True)
    store.put(key, bytes(6 << 20), use_multipart=True)
    asked = [request for request in fault_server.requests() if request["operation"] in ("create", "complete")]
    assert {"encoding-type=url" in request["target"] for request in asked} == {key != "a b"}


def test_an_upload_whose_beginning_cannot_be_read_is_aborted(fault_server: FaultServer) -> None:
    with pytest.raises(CorruptResponseError, match="unreadable-create/a"):
        store_on(fault_server).put("unreadable-create/a", bytes(6 << 20), use_multipart=True)
    begun, aborted = fault_server.requests("unreadable-create")
    assert (begun["operation"], aborted["operation"]) == ("create", "abort")
    assert "uploadId=upload-x" in aborted["target"]


def test_an_upload_whose_last_reply_is_lost_is_found_complete(fault_server: FaultServer) -> None:
    body = content(0, 12 << 20)
    store = store_on(fault_server)
    result = store.put("lost-complete/a", body)
    assert result["e_tag"] == store.head("lost-complete/a")["e_tag"]
    assert store.get("lost-complete/a").bytes() == body
    operations = [request["operation"] for request in fault_server.requests("lost-complete")]
    assert operations.count("complete") == 2
    assert "abort" not in operations


def test_a_path_with_a_slash_at_an_end_takes_one_look(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    store.put("plain/a", b"1")
    for path, requests in (("plain/a", 1), ("plain/a/", 2)):
        sent = engine_info()["requests"]
        assert store.get(path).bytes() == b"1"
        assert engine_info()["requests"] - sent == requests


def test_who_may_not_list_has_a_path_from_no_listing(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    assert store.get_range("list-denied/a/", start=0, end=9) == content(0, 9)
    assert store.put("list-denied/b/", b"1")["e_tag"]
    assert store.get("list-denied/b").bytes() == b"1"


def test_a_look_that_fails_is_no_answer(fault_server: FaultServer) -> None:
    store = store_on(fault_server, retries=0)
    with pytest.raises(CorruptResponseError):
        store.put("list-html/a/", b"1")
    assert fault_server.requests("list-html/a") == []


# --- a 200 that is none


@pytest.fixture
def quick(fault_server: FaultServer) -> S3Store:
    """A store that does not wait long before it tries again."""
    return S3Store(
        fault_server.bucket,
        endpoint=fault_server.endpoint,
        region=fault_server.region,
        access_key_id=fault_server.access_key_id,
        secret_access_key=fault_server.secret_access_key,
        client_options={"allow_http": True},
        retry_config={"max_retries": 4, "backoff": {"max_backoff": timedelta(milliseconds=50)}},
    )


def operations(server: FaultServer, name: str) -> list[str]:
    return [request["operation"] for request in server.requests() if request["operation"] == name]


LISTS: dict[str, Callable[[S3Store, str], list[str]]] = {
    "list": lambda store, prefix: [meta["path"] for meta in store.list(prefix, by="string").collect()],
    "side by side": lambda store, prefix: [
        meta["path"] for meta in store.list(prefix, by="string", max_concurrency=8).collect()
    ],
    "level": lambda store, prefix: [meta["path"] for meta in store.list_with_delimiter(prefix)["objects"]],
}


@pytest.mark.parametrize("scenario", ["error-in-list", "list-cut-once"])
@pytest.mark.parametrize("way", LISTS.values(), ids=LISTS)
def test_a_page_that_holds_an_error_or_is_cut_is_asked_for_again(
    fault_server: FaultServer, quick: S3Store, scenario: str, way: Callable[[S3Store, str], list[str]]
) -> None:
    quick.put_many({f"{scenario}/a": b"1", f"{scenario}/b": b"2"})
    assert way(quick, f"{scenario}/" if way is not LISTS["level"] else scenario) == [f"{scenario}/a", f"{scenario}/b"]
    assert len(operations(fault_server, "list")) >= 3


def test_a_page_that_is_denied_is_not_asked_for_again(fault_server: FaultServer, quick: S3Store) -> None:
    for options in ({}, {"max_concurrency": 4}):
        with pytest.raises(PermissionDeniedError):
            quick.list("denied-list", **options).collect()  # type: ignore[arg-type]
    assert len(operations(fault_server, "list")) == 2


def test_a_page_that_stays_cut_is_an_error(fault_server: FaultServer, quick: S3Store) -> None:
    for options in ({}, {"max_concurrency": 4}):
        fault_server.forget()
        with pytest.raises(CorruptResponseError, match="cut short"):
            quick.list("list-cut", **options).collect()  # type: ignore[arg-type]
        assert len(operations(fault_server, "list")) == 5


@pytest.mark.parametrize(("scenario", "requests"), [("error-in-200", 2), ("delete-cut-once", 2), ("delete-slowly", 3)])
def test_a_delete_that_was_put_off_is_sent_again(
    fault_server: FaultServer, quick: S3Store, scenario: str, requests: int
) -> None:
    paths = [f"{scenario}/{name}" for name in ("b", "a", "c")]
    quick.put_many(dict.fromkeys(paths, b"1"))
    quick.delete(paths)
    sent = [request for request in fault_server.requests() if request["operation"] == "delete-many"]
    assert len(sent) == requests
    assert sent[-1]["size"] < sent[0]["size"] or scenario != "delete-slowly"  # only what was refused
    if scenario != "delete-slowly":
        assert list(quick.list(scenario).collect()) == []


def test_of_a_delete_what_is_refused_for_good_is_an_error(fault_server: FaultServer, quick: S3Store) -> None:
    with pytest.raises(PermissionDeniedError, match="delete-denied/a"):
        quick.delete(["delete-denied/b", "delete-denied/a"])
    assert len(operations(fault_server, "delete-many")) == 2


def test_a_cut_answer_to_complete_and_copy_is_asked_for_again(fault_server: FaultServer, quick: S3Store) -> None:
    body = content(0, 12 << 20)
    quick.put("complete-cut/a", body)
    assert quick.get("complete-cut/a").bytes() == body
    quick.copy("complete-cut/a", "complete-cut/b")
    assert quick.head("complete-cut/b")["size"] == len(body)
    assert (len(operations(fault_server, "complete")), len(operations(fault_server, "copy"))) == (2, 2)
