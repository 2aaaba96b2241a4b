"""Answers by which something was done, or is there, without what the service always says with that."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    CorruptResponseError,
    GenericError,
    PreconditionError,
)
from objstore.providers import conditional_headers
from objstore.store import AzureStore
from tests.test_successes import GCS_DONE, MISSING, OPTIONS, WRITES, Answers, reply, serving

BARE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NO_RESOURCE = ["{}", '{"kind": "storage#object"}', '{"generation": null}', '{"generation": ""}', '{"generation": "x"}',
               '{"name": "a", "etag": "e"}', '{"generation": true}', '{"generation": {}}', "[" * 100_000]  # fmt: skip
EMPTY_TAG = b"HTTP/1.1 200 OK\r\nETag:\r\nContent-Length: 0\r\n\r\n"


def to_writes(service: str, answer: bytes) -> Answers:
    return lambda method, _: answer if method == WRITES[service] else MISSING


@pytest.mark.parametrize("service", ["s3", "azure"])
@pytest.mark.parametrize("answer", [BARE, EMPTY_TAG, BARE.replace(b"200 OK", b"201 Created")])
def test_a_write_that_is_answered_by_no_e_tag_may_not_have_been_one(service: str, answer: bytes) -> None:
    with serving(service, to_writes(service, answer)) as (store, sent):
        with pytest.raises(CorruptResponseError, match="read it") as error:
            store.put("a", b"1")
        assert (error.value.maybe_applied, error.value.path, error.value.attempts) == (True, "a", 1)
        assert sent("PUT") == 1


@pytest.mark.parametrize("document", NO_RESOURCE)
def test_an_insert_that_is_answered_by_no_generation_may_not_have_been_one(document: str) -> None:
    with serving("gcs", to_writes("gcs", reply(200, document))) as (store, sent):
        with pytest.raises(CorruptResponseError) as error:
            store.put("a", b"1")
        assert (error.value.maybe_applied, error.value.path, sent("POST")) == (True, "a", 1)


@pytest.mark.parametrize(("service", "untold", "told"), [
    ("s3", BARE, reply(200)),
    ("azure", BARE, reply(201)),
    ("gcs", reply(200, "{}"), reply(200, GCS_DONE)),
])  # fmt: skip
def test_of_many_writes_only_those_fail_that_are_not_told_of(service: str, untold: bytes, told: bytes) -> None:
    with serving(service, lambda _, before: untold if before == 0 else told) as (store, _):
        found = store.put_many([("a", b""), ("b", b""), ("c", b"")], on_error="return", max_concurrency=1)
        assert [isinstance(each, CorruptResponseError) for each in found] == [True, False, False]


def test_any_web_server_may_leave_out_e_tags() -> None:
    with serving("http", to_writes("http", BARE)) as (store, _):
        assert store.put("a", b"1")["e_tag"] is None


def test_a_part_without_an_e_tag_makes_no_object() -> None:
    begun = "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"

    def answers(method: str, before: int) -> bytes:
        return BARE if method == "PUT" else reply(200, begun) if method == "POST" else reply(204)

    with serving("s3", answers) as (store, sent):
        with pytest.raises(CorruptResponseError):
            store.put("a", bytes(11 << 20), chunk_size=5 << 20)
        assert (sent("POST"), sent("DELETE")) == (1, 1)  # begun, and dropped


@pytest.mark.parametrize("document", NO_RESOURCE)
def test_parts_are_composed_only_where_that_is_said(document: str) -> None:
    held = json.dumps({"permissions": [f"storage.objects.{what}" for what in ("create", "delete", "get", "list")]})
    listing = '{"kind": "storage#objects"}'

    def answers(method: str, before: int) -> bytes:
        if method == "GET":
            return reply(200, held if before == 0 else listing)
        return reply(200, '{"generation": "1"}' if before < 3 else document)

    with serving("gcs", answers) as (store, sent):
        with pytest.raises((CorruptResponseError, AlreadyExistsError)) as error:  # what cannot be read is looked after
            store.put("a", bytes(11 << 20), chunk_size=5 << 20, max_concurrency=2, mode="create")
        assert (error.value.maybe_applied, sent("POST")) == (True, 4)


@pytest.mark.parametrize("document", NO_RESOURCE)
def test_a_session_that_does_not_say_what_it_has_made_has_made_nothing_known(document: str) -> None:
    begun = reply(200, "", "Location: http://x/upload?upload_id=1")

    def answers(method: str, before: int) -> bytes:
        return {"POST": begun, "PUT": reply(200, document), "GET": reply(403)}.get(method, MISSING)

    with serving("gcs", answers) as (store, _):
        with pytest.raises(CorruptResponseError) as error:
            store.put("a", bytes(300 << 10), use_multipart=True, mode="create", chunk_size=1 << 20)
        assert error.value.maybe_applied


def test_a_session_that_ends_before_its_end_is_an_error() -> None:
    begun = reply(200, "", "Location: http://x/upload?upload_id=1")

    def answers(method: str, before: int) -> bytes:
        return {"POST": begun, "PUT": reply(200, GCS_DONE), "GET": reply(403)}.get(method, MISSING)

    with serving("gcs", answers) as (store, sent):
        with pytest.raises(CorruptResponseError, match="not all is sent") as error:
            store.put("a", bytes(1 << 20), use_multipart=True, mode="create", chunk_size=256 << 10)
        assert (error.value.maybe_applied, sent("PUT")) == (True, 1)


@pytest.mark.parametrize("answer", [
    reply(202),
    BARE.replace(b"200 OK", b"201 Created"),
    BARE.replace(b"200 OK", b"202 Accepted"),
    reply(202, "", "x-ms-copy-id: 1"),
    reply(202, "", "x-ms-copy-id: 1", "x-ms-copy-status: pending"),
])  # fmt: skip
def test_a_copy_on_azure_is_done_only_once_that_is_said(answer: bytes) -> None:
    def answers(method: str, before: int) -> bytes:
        return answer if method == "PUT" else reply(200, "1", "x-ms-copy-id: 1")

    with serving("azure", answers) as (store, _):
        with pytest.raises(BaseError, match="not answered by a word of it") as error:
            store.copy("a", "b")
        assert error.value.maybe_applied


def in_batch(*lines: str) -> bytes:
    parts = "".join(
        f"--b\r\nContent-Type: application/http\r\nContent-ID: {head}\r\n\r\nHTTP/1.1 {status} So\r\n\r\n\r\n"
        for head, status in (line.split("=") for line in lines)
    )
    body = f"{parts}--b--\r\n"
    head = f"HTTP/1.1 202 So\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


@pytest.mark.parametrize(("service", "answer"), [
    ("azure", in_batch("0=202", "1=206")),
    ("azure", in_batch("0=202", "1=100")),
    ("azure", in_batch("0=202", "1=404", "1=202")),
    ("gcs", in_batch("<response-x+0>=204", "<response-x+1>=202").replace(b" 202 So", b" 200 So", 1)),
    ("gcs", in_batch("<response-x+0>=204", "<response-x+1>=100").replace(b" 202 So", b" 200 So", 1)),
])  # fmt: skip
def test_an_answer_among_many_is_believed_only_if_it_says_so(service: str, answer: bytes) -> None:
    """What is not said to be deleted is asked for by itself, or is an error."""

    def answers(method: str, before: int) -> bytes:
        return answer if method == "POST" else reply(403)

    with serving(service, answers) as (store, _), pytest.raises(BaseError):
        store.delete(["a", "b"])


# --- what there is


@pytest.mark.parametrize("document", [
    "{}",
    '{"items": []}',
    '{"kind": "storage#buckets"}',
    '{"kind": "storage#objects", "items": {"name": "a"}}',
    '{"kind": "storage#objects", "items": [{"name": "a"}]}',
    '{"kind": "storage#objects", "items": [{"name": "a", "size": "-1"}]}',
    '{"kind": "storage#objects", "items": [{"name": "a", "size": "1.5"}]}',
    '{"kind": "storage#objects", "items": [{"name": "a", "size": true}]}',
    '{"kind": "storage#objects", "items": [{"name": 5, "size": "1"}]}',
    '{"kind": "storage#objects", "items": ["a"]}',
    '{"kind": "storage#objects", "items": [{"name": "a", "size": "1", "updated": "soon"}]}',
    '{"kind": "storage#objects", "items": [{"name": "\\ud800", "size": "1"}]}',
    '{"kind": "storage#objects", "prefixes": ["\\ud800/"]}',
    '{"kind": "storage#objects", "prefixes": 5}',
    "[" * 100_000,
])  # fmt: skip
@pytest.mark.parametrize("listed", [
    lambda store: store.list().collect(),
    lambda store: store.list_with_delimiter(),
    lambda store: [*store.walk()],
    lambda store: store.delete_prefix("x/"),
], ids=["all", "level", "walk", "delete"])  # fmt: skip
def test_a_listing_of_google_says_that_it_is_one(document: str, listed: Callable[[object], object]) -> None:
    with serving("gcs", lambda *_: reply(200, document)) as (store, sent):
        with pytest.raises(CorruptResponseError):
            listed(store)
        assert sent("DELETE") == 0


def test_an_empty_listing_of_google_is_one() -> None:
    with serving("gcs", lambda *_: reply(200, '{"kind": "storage#objects"}')) as (store, _):
        assert store.list().collect() == []


def multistatus(*paths: str, prop: str = "<getcontentlength>1</getcontentlength>") -> bytes:
    ok = f"<propstat><status>HTTP/1.1 200 OK</status><prop>{prop}</prop></propstat>"
    rows = "".join(f"<response><href>{path}</href>{ok}</response>" for path in paths)
    return reply(207, f'<multistatus xmlns="DAV:">{rows}</multistatus>')


FOLDER = "<resourcetype><collection/></resourcetype>"


@pytest.mark.parametrize("answer", [
    multistatus(),
    multistatus("/top/a"),
    multistatus("/top/a", "/top/b/c"),
    multistatus("a"),
    multistatus("/"),
    multistatus("http://elsewhere/top/a"),
    multistatus("/top/%ff"),
    multistatus("/to"),
    multistatus("/top2/"),
], ids=["nothing", "one", "two", "relative", "above", "url", "bytes", "shorter", "longer"])  # fmt: skip
def test_an_answer_about_a_folder_names_it(answer: bytes) -> None:
    """RFC 4918, section 9.1: an empty answer is not that of an empty folder."""
    with serving("http", lambda method, _: answer if method == "PROPFIND" else reply(405)) as (store, _):
        for listed in (lambda: store.list("top/").collect(), lambda: store.list_with_delimiter("top/")):
            with pytest.raises(CorruptResponseError):
                listed()


@pytest.mark.parametrize("href", ["/top", "/top/", "http://here/top/", "/t%6Fp/", "./"])
def test_an_answer_about_an_empty_folder_names_it_and_no_more(href: str) -> None:
    with serving("http", lambda method, _: multistatus(href, prop=FOLDER) if method == "PROPFIND" else reply(405)) as (
        store,
        _,
    ):
        assert store.list("top/").collect() == []


def test_a_folder_that_is_said_to_be_gone_has_nothing() -> None:
    gone = "<response><href>/top/</href><status>HTTP/1.1 404 Not Found</status></response>"
    answer = reply(207, f'<multistatus xmlns="DAV:">{gone}</multistatus>')
    with serving("http", lambda method, _: answer if method == "PROPFIND" else reply(405)) as (store, _):
        assert store.list("top/").collect() == []


def test_nothing_is_deleted_that_the_server_does_not_speak_of() -> None:
    """It may be a folder, and all that is in it would go."""
    with serving("http", lambda method, _: multistatus() if method == "PROPFIND" else reply(204)) as (store, sent):
        with pytest.raises(CorruptResponseError):
            store.delete("a")
        assert sent("DELETE") == 0


@pytest.mark.parametrize(("service", "answer"), [
    ("s3", reply(200)),
    ("s3", reply(200, "<ListBucketResult/>")),
    ("s3", reply(200, "<DeleteResult><Deleted>")),
    ("s3", reply(200, "ok")),
    ("s3", reply(200, "<DeleteResult><Error><Key>a</Key><Code>InternalError</Code></Error></DeleteResult>")),
    ("gcs", reply(200, "{}")),
    ("gcs", in_batch("<response-x+0>=204", "<response-x+1>=500").replace(b" 202 So", b" 200 So", 1)),
    ("gcs", in_batch("<response-x+0>=204", "<response-x+9>=204").replace(b" 202 So", b" 200 So", 1)),
])  # fmt: skip
def test_many_deletes_whose_answer_cannot_be_read_may_have_been_done(service: str, answer: bytes) -> None:
    with serving(service, lambda *_: answer) as (store, _), pytest.raises(BaseError) as error:
        store.delete(["a", "b"])
    assert error.value.maybe_applied


@pytest.mark.parametrize("document", [
    "<EnumerationResults/>",
    "<EnumerationResults><Blobs/></EnumerationResults>",
    "<EnumerationResults><Blobs><NextMarker/></Blobs></EnumerationResults>",
    "<EnumerationResults><Blobs><BlobPrefix><Name>a/</Name></BlobPrefix></Blobs></EnumerationResults>",
])  # fmt: skip
def test_a_listing_of_azure_says_whether_it_goes_on(document: str) -> None:
    with serving("azure", lambda *_: reply(200, document)) as (store, _):
        for listed in (lambda: store.list().collect(), store.list_with_delimiter):
            with pytest.raises(CorruptResponseError):
                listed()


# --- what is said not to be done, and was


CHANGES = ("PUT", "POST", "DELETE", "COPY", "MOVE")


def done_but(first: bytes, then: bytes) -> Answers:
    """The first write is done, and answered by `first`; what comes next is refused by `then`."""
    written: list[str] = []

    def answers(method: str, before: int) -> bytes:
        if method not in CHANGES:
            return reply(200, "1", "x-goog-generation: 1") if written else MISSING
        written.append(method)
        return first if len(written) == 1 else then

    return answers


@pytest.mark.parametrize("status", [408, 429, 503])
@pytest.mark.parametrize(("service", "refusal"), [("s3", 412), ("gcs", 412), ("azure", 412), ("http", 412)])
def test_a_write_that_was_refused_after_a_busy_answer_may_be_ours(service: str, refusal: int, status: int) -> None:
    """Who asks for patience may have done it all the same: then it is our own object that is in the way."""
    with serving(service, done_but(reply(status), reply(refusal))) as (store, sent):
        with pytest.raises(AlreadyExistsError, match="read it") as error:
            store.put("a", b"1", mode="create")
        assert (error.value.maybe_applied, error.value.attempts, sent(WRITES[service])) == (True, 2, 2)
    with serving(service, done_but(reply(status), reply(refusal))) as (store, sent):
        found = store.put_many([("a", b"1")], mode="create", on_error="return", max_concurrency=1)
        assert [isinstance(each, AlreadyExistsError) and each.maybe_applied for each in found] == [True]


@pytest.mark.parametrize("status", [408, 429, 503])
def test_a_delete_or_a_copy_that_was_refused_after_a_busy_answer_may_be_ours(status: int) -> None:
    with serving("s3", lambda method, before: reply(412 if before else status) if method == "PUT" else reply(200)) as (
        store,
        _,
    ):
        with pytest.raises(AlreadyExistsError) as error:
            store.copy("a", "b", overwrite=False)
        assert error.value.maybe_applied
    with serving("azure", done_but(reply(status), reply(412))) as (store, _):
        with pytest.raises(PreconditionError) as refused:
            store.delete("a", if_match='"e"')
        assert refused.value.maybe_applied


def test_a_request_that_was_itself_refused_was_not_carried_out() -> None:
    conflict = reply(409, "<Error><Code>ConditionalRequestConflict</Code></Error>")
    with serving("s3", done_but(conflict, reply(412))) as (store, _):
        with pytest.raises(AlreadyExistsError) as error:
            store.put("a", b"1", mode="create")
        assert not error.value.maybe_applied


def test_a_busy_answer_before_a_refusal_leaves_the_condition_proved() -> None:
    with serving("s3", done_but(reply(503), reply(412))) as (store, sent):
        for _ in range(2):
            with pytest.raises(AlreadyExistsError):
                store.put("a", b"1", mode="create")
        assert sent("HEAD") == 2  # one before the proof, one after the answer that left it open


def test_who_asks_for_patience_to_the_end_is_asked_no_more() -> None:
    with serving("azure", to_writes("azure", reply(503))) as (store, sent):
        store = AzureStore(
            config=store.config, client_options=OPTIONS["client_options"], retry_config={"max_retries": 1}
        )
        with pytest.raises(GenericError) as error:
            store.put("a", b"1", mode="create")
        assert (error.value.status, error.value.maybe_applied, sent("HEAD")) == (503, True, 0)


def test_what_became_of_a_write_is_looked_for_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a write that may have been done is told soon, also where nobody says what is there."""
    monkeypatch.setattr(conditional_headers, "LOOK_SECONDS", 0.0)
    with serving("azure", lambda method, _: reply(500 if method == "PUT" else 503)) as (store, sent):
        with pytest.raises(GenericError) as error:
            store.put("a", b"1", mode="create")
        assert (error.value.status, error.value.maybe_applied, sent("HEAD")) == (500, True, 0)
