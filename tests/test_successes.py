"""What counts as done: a status that says so, and no page or error in its body; else nobody is told that it is."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    CorruptResponseError,
    GenericError,
    PermissionDeniedError,
)
from objstore.store import AzureStore, GCSStore, HTTPStore, S3Store
from tests.engine.raw import Raw, answering

Store = S3Store | GCSStore | AzureStore | HTTPStore
PORTAL = "<!DOCTYPE html><html><body>Sign in to the network</body></html>"
PAGES = [PORTAL, " \r\n<HTML>x</HTML>", '<?xml version="1.0"?>\n<!doctype HTML><p>', "\ufeff<html/>"]
OPTIONS: dict[str, Any] = {
    "client_options": {"allow_http": True},
    "retry_config": {"backoff": {"init_backoff": timedelta(seconds=0.001)}},
}


def s3(origin: str) -> Store:
    return S3Store(
        "bucket", endpoint=origin, region="here", skip_signature=True, copy_if_not_exists="header:A:b", **OPTIONS
    )


def gcs(origin: str) -> Store:
    return GCSStore("bucket", base_url=origin, skip_signature=True, **OPTIONS)


def azure(origin: str) -> Store:
    return AzureStore("bucket", account_name="me", endpoint=origin, skip_signature=True, **OPTIONS)


def http(origin: str) -> Store:
    return HTTPStore(origin, **OPTIONS)


STORES = {"s3": s3, "gcs": gcs, "azure": azure, "http": http}
WRITES = {"s3": "PUT", "gcs": "POST", "azure": "PUT", "http": "PUT"}
each_service = pytest.mark.parametrize("service", STORES)


def reply(status: int, body: str = "", *lines: str) -> bytes:
    head = [f"HTTP/1.1 {status} So", 'ETag: "e"', *lines]
    content = b"" if status == 204 else body.encode()
    if status != 204:
        head.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*head, "", ""]).encode() + content


MISSING = reply(404)
Answers = Callable[[str, int], bytes]
"""The reply to a method, given how many of it there were before."""


@contextmanager
def serving(service: str, answers: Answers) -> Iterator[tuple[Store, Callable[[str], int]]]:
    def sent(method: str) -> int:
        return sum(head.startswith(method.encode() + b" ") for head in raw.heads)

    def answer(connection: socket.socket) -> None:
        head = raw.heads[-1]
        length = re.search(rb"(?i)content-length: (\d+)", head)
        left = int(length[1]) if length else 0
        while left:
            left -= len(connection.recv(left))
        method = head.split(b" ")[0].decode()
        told = answers(method, sent(method) - 1)
        connection.sendall(told.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == "HEAD" else told)

    raw: Raw
    with answering(answer) as raw:
        yield STORES[service](raw.origin), sent


GCS_DONE = '{"generation": "1", "crc32c": "AAAAAA==", "etag": "e"}'


@each_service
@pytest.mark.parametrize("status", [202, 203, 205, 206, 207, 226, 299])
def test_a_write_is_not_done_by_a_status_that_does_not_say_so(service: str, status: int) -> None:
    with serving(service, lambda method, _: reply(status, GCS_DONE) if method == WRITES[service] else MISSING) as (
        store,
        sent,
    ):
        with pytest.raises(CorruptResponseError) as error:
            store.put("a", b"1")
        assert (error.value.status, error.value.maybe_applied, error.value.attempts) == (status, True, 2)
        assert sent(WRITES[service]) == 2


@each_service
@pytest.mark.parametrize("status", [202, 206, 226])
def test_a_conditional_write_is_sent_once_and_looked_after(service: str, status: int) -> None:
    """What is there may be ours: nothing tells."""
    there = False

    def answers(method: str, before: int) -> bytes:
        nonlocal there
        if method == WRITES[service]:
            there = True
            return reply(status, GCS_DONE)
        return reply(200, "1", "x-goog-generation: 1") if there else MISSING

    with serving(service, answers) as (store, sent):
        with pytest.raises(AlreadyExistsError) as error:
            store.put("a", b"1", mode="create")
        assert (error.value.status, error.value.maybe_applied, sent(WRITES[service])) == (status, True, 1)


@pytest.mark.parametrize("service", ["s3", "azure", "http"])
@pytest.mark.parametrize("status", [200, 201, 204])
def test_what_says_so_is_done(service: str, status: int) -> None:
    with serving(service, lambda method, _: reply(status)) as (store, sent):
        assert store.put("a", b"1")["e_tag"] == '"e"'
        assert sent("PUT") == 1


@pytest.mark.parametrize("service", ["s3", "azure", "http"])
@pytest.mark.parametrize("page", PAGES)
def test_a_web_page_is_no_answer_to_a_write(service: str, page: str) -> None:
    with serving(service, lambda method, _: reply(200, page) if method == "PUT" else MISSING) as (store, _):
        with pytest.raises(CorruptResponseError) as error:
            store.put("a", b"1")
        assert error.value.maybe_applied
        found = store.put_many([("b", b"1"), ("c", b"2")], on_error="return")
        assert all(isinstance(each, CorruptResponseError) for each in found)


@pytest.mark.parametrize("service", ["gcs"])
def test_a_web_page_is_no_answer_to_an_insert(service: str) -> None:
    with (
        serving(service, lambda method, _: reply(200, PORTAL) if method == "POST" else MISSING) as (store, _),
        pytest.raises(CorruptResponseError),
    ):
        store.put("a", b"1")


def test_apache_says_created_by_a_page() -> None:
    page = "<!DOCTYPE HTML PUBLIC><html><head><title>201 Created</title></head></html>"
    with serving("http", lambda method, _: reply(201, page)) as (store, _):
        store.put("a", b"1")


@pytest.mark.parametrize("service", ["s3", "azure", "http"])
@pytest.mark.parametrize("body", ["ok", "<ok/>", "<PutObjectResult/>", "{}"])
def test_other_words_do_no_harm(service: str, body: str) -> None:
    with serving(service, lambda method, _: reply(200, body)) as (store, _):
        store.put("a", b"1")


def error_of(code: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>m</Message></Error>'


@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "ServiceUnavailable"])
def test_an_error_in_the_success_of_a_write_is_tried_again(code: str) -> None:
    with serving("s3", lambda method, before: reply(200, "" if before else error_of(code))) as (store, sent):
        store.put("a", b"1")
        assert sent("PUT") == 2


@pytest.mark.parametrize(
    ("code", "kind", "applied"),
    [("AccessDenied", PermissionDeniedError, False), ("NobodyKnows", GenericError, False)],
)
def test_an_error_in_the_success_of_a_write_is_one(code: str, kind: type[BaseError], applied: bool) -> None:
    with serving("s3", lambda method, _: reply(200, error_of(code))) as (store, sent):
        with pytest.raises(kind) as error:
            store.put("a", b"1")
        assert (error.value.code, error.value.maybe_applied, sent("PUT")) == (code, applied, 1)


@pytest.mark.parametrize("answer", [reply(202), reply(206), reply(200, PORTAL), reply(200, error_of("NobodyKnows"))])
def test_a_part_that_is_not_there_makes_no_object(answer: bytes) -> None:
    begun = "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"

    def answers(method: str, before: int) -> bytes:
        return answer if method == "PUT" else reply(200, begun) if method == "POST" else reply(204)

    with serving("s3", answers) as (store, sent):
        with pytest.raises(BaseError):
            store.put("a", bytes(11 << 20), chunk_size=5 << 20)
        assert (sent("POST"), sent("DELETE")) == (1, 1)


@pytest.mark.parametrize("status", [202, 206, 207])
def test_a_block_list_that_is_not_taken_makes_no_object(status: int) -> None:
    def answers(method: str, before: int) -> bytes:
        return reply(201 if before < 2 else status) if method == "PUT" else MISSING

    with serving("azure", answers) as (store, _):
        with pytest.raises(CorruptResponseError) as error:
            store.put("a", bytes(600 << 10), chunk_size=300 << 10, use_multipart=True, max_concurrency=1)
        assert (error.value.status, error.value.maybe_applied) == (status, True)


@pytest.mark.parametrize("service", ["s3", "azure", "http"])
@pytest.mark.parametrize("answer", [reply(203), reply(206), reply(226), reply(200, PORTAL)])
def test_a_delete_is_not_done_by_what_does_not_say_so(service: str, answer: bytes) -> None:
    with serving(service, lambda method, _: answer if method == "DELETE" else reply(405)) as (store, _):
        with pytest.raises(CorruptResponseError) as error:
            store.delete("a")
        assert error.value.maybe_applied


@pytest.mark.parametrize(("service", "done"), [("s3", False), ("azure", True), ("http", False)])
def test_a_delete_that_is_to_be_done_is_done_on_azure_alone(service: str, done: bool) -> None:
    """https://learn.microsoft.com/rest/api/storageservices/delete-blob"""
    with serving(service, lambda method, _: reply(202) if method == "DELETE" else reply(405)) as (store, _):
        if done:
            store.delete("a")
        else:
            with pytest.raises(CorruptResponseError):
                store.delete("a")


@pytest.mark.parametrize("status", [202, 203, 206, 207, 226])
@pytest.mark.parametrize("operation", ["copy", "rename"])
def test_a_copy_on_a_server_is_not_done_by_another_status(status: int, operation: str) -> None:
    with serving("http", lambda method, _: reply(status) if method in ("COPY", "MOVE") else reply(405)) as (store, _):
        with pytest.raises((CorruptResponseError, GenericError)) as error:
            getattr(store, operation)("a", "b")
        assert (error.value.status, error.value.maybe_applied) == (status, True)


def test_a_copy_of_s3_that_is_a_page_is_an_error() -> None:
    with serving("s3", lambda method, _: reply(200, PORTAL)) as (store, _), pytest.raises(CorruptResponseError):
        store.copy("a", "b")


# --- HEAD


@each_service
@pytest.mark.parametrize("status", [201, 203, 204, 206, 226])
def test_a_head_that_is_of_something_else_is_asked_by_get(service: str, status: int) -> None:
    """Its length may be that of a range, or of what a proxy has made of the object."""

    def answers(method: str, before: int) -> bytes:
        if method == "HEAD":
            return reply(status, "1234567")
        return reply(206, "t", "Content-Range: bytes 0-0/10", "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT")

    with serving(service, answers) as (store, sent):
        assert store.head("a")["size"] == 10
        assert [meta["size"] for meta in store.head_many(["a", "b"])] == [10, 10]
        assert sent("GET") == 3


NO_BYTES = [(service, status) for service in STORES for status in (201, 202, 203, 204, 205, 207, 226)]
NO_BYTES.remove(("http", 203))  # web servers stand behind proxies, and what those changed is what they give


@pytest.mark.parametrize(("service", "status"), NO_BYTES)
def test_bytes_come_with_200_or_206_alone(service: str, status: int) -> None:
    with serving(service, lambda method, _: reply(status, "text")) as (store, _):
        with pytest.raises(CorruptResponseError):
            store.get("a")
        with pytest.raises(CorruptResponseError):
            store.get_range("a", start=0, end=2)


# --- what an answer says of others, or does not say


def undeleted(key: str, code: str) -> str:
    return f"<DeleteResult><Error><Key>{key}</Key><Code>{code}</Code></Error></DeleteResult>"


@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "AccessDenied"])
@pytest.mark.parametrize("key", ["other", "", "A"])
def test_a_delete_that_failed_of_what_nobody_named_touches_nothing_else(code: str, key: str) -> None:
    """It would be tried again, and one of ours be called deleted."""
    with serving("s3", lambda method, _: reply(200, undeleted(key, code))) as (store, sent):
        with pytest.raises(CorruptResponseError, match=f"not asked to delete {key!r}") as error:
            store.delete(["a", "b"])
        assert (error.value.maybe_applied, sent("POST")) == (True, 1)


@pytest.mark.parametrize("document", ["{}", '{"done": null}', '{"error": {"code": 500}}', '{"done": "true"}', "[]"])
def test_a_rewrite_that_does_not_say_that_it_is_done_is_not(document: str) -> None:
    with serving("gcs", lambda method, _: reply(200, document)) as (store, _):
        with pytest.raises(CorruptResponseError) as error:
            store.copy("a", "b")
        assert error.value.maybe_applied


@pytest.mark.parametrize("period", [1, 2, 5])
def test_a_rewrite_that_goes_round_ends(period: int) -> None:
    def answers(method: str, before: int) -> bytes:
        told = f'{{"done": false, "rewriteToken": "{before % period}", "totalBytesRewritten": "1"}}'
        return reply(200, told)

    with serving("gcs", answers) as (store, sent):
        with pytest.raises(CorruptResponseError, match="does not go on"):
            store.copy("a", "b")
        assert sent("POST") <= 4 * period + 2


def test_a_rewrite_with_one_token_goes_on_as_long_as_bytes_come() -> None:
    def answers(method: str, before: int) -> bytes:
        done = str(before == 50).lower()
        return reply(200, f'{{"done": {done}, "rewriteToken": "t", "totalBytesRewritten": "{before}"}}')

    with serving("gcs", answers) as (store, sent):
        store.copy("a", "b")
        assert sent("POST") == 51


def test_an_error_in_the_success_of_a_listing_is_no_empty_one() -> None:
    with (
        serving("gcs", lambda method, _: reply(200, '{"error": {"code": 403, "message": "no"}}')) as (store, _),
        pytest.raises(CorruptResponseError),
    ):
        store.list().collect()
