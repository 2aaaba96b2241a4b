"""Writes whose answer was lost: what is safe is sent again, and nothing is called failed, or done, without a look.

The scenarios are those of tests/faults: a key SCENARIO/NAME gets the replies of that scenario.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    ConnectionFailedError,
    GenericError,
    NotFoundError,
    PreconditionError,
)
from objstore.store import HTTPStore, S3Store
from tests.engine.client import SOON
from tests.engine.raw import answering, ends, resets, sends
from tests.faults.client import FaultServer

PART = 5 << 20
BODY = bytes(PART + 5)


def store_on(server: FaultServer, *, retries: int = 4, **settings: Any) -> S3Store:
    return S3Store(
        server.bucket,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        retry_config={"max_retries": retries},
        **{"client_options": {"allow_http": True}, "conditional_put": "etag", **settings},
    )


def sent(server: FaultServer, operation: str) -> int:
    return sum(request["operation"] == operation for request in server.requests())


# --- one request


@pytest.mark.parametrize("scenario", ["lost-put", "lost-put-fin"])
@pytest.mark.parametrize("warm", [True, False])
def test_a_lost_create_is_sent_once_and_not_said_to_be_anothers(
    fault_server: FaultServer, scenario: str, warm: bool
) -> None:
    store = store_on(fault_server)
    if warm:
        store.get("warm")
    with pytest.raises(AlreadyExistsError, match="read it") as error:
        store.put(f"{scenario}/lock", b"me", mode="create")
    assert (error.value.maybe_applied, error.value.attempts, error.value.path) == (True, 1, f"{scenario}/lock")
    assert sent(fault_server, "put") == 1
    assert store.get(f"{scenario}/lock").bytes() == b"me"


def test_a_lost_create_is_looked_at_in_coroutines_too(fault_server: FaultServer) -> None:
    store = store_on(fault_server)

    async def main() -> None:
        await store.get_async("warm")
        with pytest.raises(AlreadyExistsError) as error:
            await store.put_async("lost-put/lock", b"me", mode="create")
        assert (error.value.maybe_applied, error.value.attempts) == (True, 1)
        with pytest.raises(AlreadyExistsError) as error:
            await store.put_many_async([("lost-put-fin/1", b"1"), ("plain/2", b"2")], mode="create")
        assert error.value.maybe_applied

    asyncio.run(main())
    assert sent(fault_server, "put") == 3


def test_of_two_who_create_the_same_only_one_is_told_so(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    store.put("lost-second-put/lock", b"same", mode="create")
    with pytest.raises(AlreadyExistsError) as error:
        store.put("lost-second-put/lock", b"same", mode="create")
    assert error.value.maybe_applied


def test_a_create_that_was_refused_has_not_been_applied(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    store.put("plain/lock", b"one", mode="create")
    with pytest.raises(AlreadyExistsError) as error:
        store.put("plain/lock", b"one", mode="create")
    assert not error.value.maybe_applied


@pytest.mark.parametrize("warm", [True, False])
def test_a_lost_update_is_sent_once_and_looked_at(fault_server: FaultServer, warm: bool) -> None:
    store = store_on(fault_server)
    before = store.put("lost-second-put/n", b"5")["e_tag"]
    if warm:
        store.get("warm")
    with pytest.raises(PreconditionError) as error:
        store.put("lost-second-put/n", b"6", mode={"e_tag": before})
    assert (error.value.maybe_applied, error.value.attempts) == (True, 1)
    assert sent(fault_server, "put") == 2


def test_a_write_that_the_server_failed_at_is_left_open(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    before = store.head("failed-put/n")["e_tag"]
    with pytest.raises(GenericError) as error:
        store.put("failed-put/n", b"6", mode={"e_tag": before})
    assert (error.value.status, error.value.maybe_applied, error.value.attempts) == (500, True, 1)
    assert sent(fault_server, "put") == 1


def test_one_of_many_creates_is_looked_at(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    items = [("plain/1", b"1"), ("lost-put/2", b"2"), ("plain/3", b"3")]
    with pytest.raises(AlreadyExistsError) as error:
        store.put_many(items, mode="create")
    assert (error.value.path, error.value.maybe_applied) == ("lost-put/2", True)
    assert sent(fault_server, "put") == 3


@pytest.mark.parametrize("scenario", ["lost-put", "lost-put-fin"])
def test_a_lost_overwrite_is_sent_again_and_counted(fault_server: FaultServer, scenario: str) -> None:
    store = store_on(fault_server)
    store.get("warm")
    store.put(f"{scenario}/a", b"1")
    assert sent(fault_server, "put") == 2


def test_an_overwrite_that_is_lost_for_good_may_have_been_applied(fault_server: FaultServer) -> None:
    store = store_on(fault_server, retries=0)
    with pytest.raises(ConnectionFailedError) as error:
        store.put("lost-put-always/a", b"1")
    assert error.value.maybe_applied
    assert error.value.attempts == sent(fault_server, "put")


def test_a_read_is_never_said_to_be_applied(fault_server: FaultServer) -> None:
    with pytest.raises(ConnectionFailedError) as error:
        store_on(fault_server, retries=0).get("cut-always/a").bytes()
    assert not error.value.maybe_applied


def test_what_is_gone_when_a_lost_delete_is_sent_again_was_deleted(fault_server: FaultServer) -> None:
    store_on(fault_server).delete("lost-delete/a")
    assert sent(fault_server, "delete") == 2


def test_a_lost_delete_of_one_version_is_sent_once(fault_server: FaultServer) -> None:
    store = store_on(fault_server, conditional_delete="etag")
    e_tag = store.put("lost-delete/a", b"1")["e_tag"]
    with pytest.raises(ConnectionFailedError) as error:
        store.delete("lost-delete/a", if_match=e_tag)
    assert (error.value.maybe_applied, error.value.attempts, error.value.path) == (True, 1, "lost-delete/a")
    assert sent(fault_server, "delete") == 1


# --- copies


@pytest.mark.parametrize("setting", ["header:If-None-Match:*", "header-with-status:If-None-Match:*:412"])
@pytest.mark.parametrize("operation", ["copy", "rename"])
def test_a_lost_copy_that_replaces_nothing_is_sent_once(
    fault_server: FaultServer, setting: str, operation: str
) -> None:
    store = store_on(fault_server, copy_if_not_exists=setting)
    store.put("a", b"1")
    with pytest.raises(AlreadyExistsError) as error:
        getattr(store, operation)("a", "lost-copy/b", overwrite=False)
    assert (error.value.maybe_applied, error.value.attempts, error.value.path) == (True, 1, "lost-copy/b")
    assert sent(fault_server, "copy") == 1
    assert store.get("a").bytes() == b"1"


def test_a_lost_copy_that_may_replace_is_sent_again(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    store.copy("a", "lost-copy/b")
    assert sent(fault_server, "copy") == 2


# --- uploads in parts


@pytest.mark.parametrize("mode", ["overwrite", "create"])
def test_a_lost_complete_is_found_by_its_upload(fault_server: FaultServer, mode: Any) -> None:
    store = store_on(fault_server)
    store.get("warm")
    result = store.put("lost-complete/a", BODY, mode=mode, chunk_size=PART)
    assert result["e_tag"] == store.head("lost-complete/a")["e_tag"]
    assert sent(fault_server, "complete") == 2
    assert sent(fault_server, "abort") == 0


@pytest.mark.parametrize("mode", ["overwrite", "create"])
def test_a_complete_whose_reply_cannot_be_read_is_looked_at(fault_server: FaultServer, mode: Any) -> None:
    store = store_on(fault_server)
    result = store.put("unreadable-complete/a", BODY, mode=mode, chunk_size=PART)
    assert result["e_tag"] == store.head("unreadable-complete/a")["e_tag"]
    assert (sent(fault_server, "complete"), sent(fault_server, "abort")) == (1, 0)


def test_of_two_who_create_the_same_in_parts_only_one_is_told_so(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    store.put("lost-second-complete/a", BODY, mode="create", chunk_size=PART)
    with pytest.raises(AlreadyExistsError) as error:
        store.put("lost-second-complete/a", BODY, mode="create", chunk_size=PART)
    assert error.value.maybe_applied
    assert sent(fault_server, "abort") == 1


def test_a_lost_update_in_parts_is_found_by_its_upload(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    before = store.put("lost-complete/a", b"small")["e_tag"]
    result = store.put("lost-complete/a", BODY, mode={"e_tag": before}, chunk_size=PART)
    assert result["e_tag"] == store.head("lost-complete/a")["e_tag"]


@pytest.mark.parametrize("scenario", ["conflict-ends-upload", "complete-without-code"])
@pytest.mark.parametrize(
    ("mode", "kind"),
    [("overwrite", GenericError), ("create", AlreadyExistsError), ({"e_tag": '"x"'}, PreconditionError)],
)
def test_an_upload_that_ended_otherwise_is_no_missing_object(
    fault_server: FaultServer, scenario: str, mode: Any, kind: type[BaseError]
) -> None:
    with pytest.raises(kind, match="The upload has ended") as error:
        store_on(fault_server).put(f"{scenario}/a", BODY, mode=mode, chunk_size=PART)
    assert not isinstance(error.value, NotFoundError)
    assert error.value.maybe_applied


@pytest.mark.parametrize(
    "write", [lambda store, path: store.put(path, b"1", mode="create"), lambda store, path: store.copy("a", path)]
)
def test_a_conflict_is_tried_again(fault_server: FaultServer, write: Callable[[S3Store, str], object]) -> None:
    store = store_on(fault_server)
    write(store, "conflict-once/a")
    assert store.head("conflict-once/a")["size"] > 0


def test_a_silent_complete_is_waited_for(fault_server: FaultServer) -> None:
    store = store_on(fault_server, client_options={"allow_http": True, "first_byte_timeout": 0.3})
    store.put("slow-complete/a", BODY, chunk_size=PART)
    store.copy("a", "slow-complete/b")
    assert (sent(fault_server, "complete"), sent(fault_server, "copy")) == (1, 1)


# --- WebDAV


FOUND = (
    b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>/a</D:href><D:propstat><D:prop><D:resourcetype/>'
    b"<D:getcontentlength>1</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
    b"</D:response></D:multistatus>"
)


def reply(status: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Dav:
    """A WebDAV server with /a, where /b comes to be by a request whose answer is lost."""

    def __init__(self, close: Callable[[bytes], Callable[[socket.socket], None]]) -> None:
        self.close = close
        self.heads: list[bytes] = []
        self.done = False

    def __call__(self, connection: socket.socket) -> None:
        method, path, _ = self.heads[-1].split(b" ", 2)
        length = [int(line[15:]) for line in self.heads[-1].split(b"\r\n") if line.startswith(b"Content-Length:")]
        connection.recv(sum(length), socket.MSG_WAITALL)
        there = path == b"/a" or self.done
        if method in (b"PUT", b"MOVE", b"COPY"):
            answer = sends(reply("412 Precondition Failed")) if self.done else self.close(b"")
            self.done = True
            answer(connection)
        elif not there:
            sends(reply("404 Not Found"))(connection)
        elif method == b"PROPFIND":
            sends(reply("207 Multi-Status", FOUND.replace(b"/a<", path + b"<")))(connection)
        else:
            sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + (b"" if method == b"HEAD" else b"1"))(connection)

    def sent(self, *methods: bytes) -> int:
        return sum(head.split(b" ")[0] in methods for head in self.heads)


@pytest.mark.parametrize("close", [ends, resets])
@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.put("b", b"1", mode="create"),
        lambda store: store.copy("a", "b", overwrite=False),
        lambda store: store.rename("a", "b", overwrite=False),
    ],
)
def test_a_lost_write_on_a_webdav_server_is_sent_once(close: Any, write: Callable[[HTTPStore], object]) -> None:
    dav = Dav(close)
    with answering(dav) as raw:
        dav.heads = raw.heads
        store = HTTPStore(raw.origin, client_options={"allow_http": True})
        store.get("a")
        with pytest.raises(AlreadyExistsError) as error:
            write(store)
    assert (error.value.maybe_applied, error.value.path, error.value.attempts) == (True, "b", 1)
    assert dav.sent(b"PUT", b"MOVE", b"COPY") == 1


def test_a_lost_move_is_not_sent_again() -> None:
    dav = Dav(ends)
    with answering(dav) as raw:
        dav.heads = raw.heads
        store = HTTPStore(raw.origin, client_options={"allow_http": True})
        with pytest.raises(ConnectionFailedError, match="'a' to 'b'") as error:
            store.rename("a", "b")
    assert (error.value.maybe_applied, dav.sent(b"MOVE")) == (True, 1)


def test_a_delete_that_is_answered_by_what_is_left_has_failed() -> None:
    left = FOUND.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 423 Locked")

    def answer(connection: socket.socket) -> None:
        asks = raw.heads[-1].startswith(b"PROPFIND")
        length = [int(line[15:]) for line in raw.heads[-1].split(b"\r\n") if line.startswith(b"Content-Length:")]
        connection.recv(sum(length), socket.MSG_WAITALL)
        connection.sendall(reply("207 Multi-Status", FOUND if asks else left))

    with answering(answer) as raw:
        store = HTTPStore(raw.origin, client_options={"allow_http": True})
        with pytest.raises(GenericError, match="DELETE 'a' failed: it was done in part only") as error:
            store.delete("a")
    assert (error.value.status, error.value.path, error.value.maybe_applied) == (207, "a", True)


def test_what_became_of_many_writes_is_looked_for_side_by_side() -> None:
    asked, answered, at_once = [], [], []
    found = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nLast-Modified: Wed, 01 Jan 2020 00:00:00 GMT\r\n\r\n"
    all_put = threading.Barrier(8)

    def put(connection: socket.socket) -> None:
        all_put.wait(SOON)
        ends(b"")(connection)

    def head(connection: socket.socket) -> None:
        asked.append(connection)
        at_once.append(len(asked) - len(answered))
        time.sleep(0.3)
        answered.append(connection)
        connection.sendall(found)

    def answer(connection: socket.socket) -> None:
        (head if len(raw.heads) > 8 else put)(connection)

    with answering(answer) as raw:
        options = {"allow_http": True}
        store = S3Store(
            "bucket", endpoint=raw.origin, skip_signature=True, conditional_put="etag", client_options=options
        )
        results = store.put_many([(f"{n}", b"") for n in range(8)], mode="create", on_error="return")
    assert [type(error) for error in results] == [AlreadyExistsError] * 8
    assert max(at_once) > 1


def test_an_upload_whose_end_meets_another_write_is_ended_soon() -> None:
    begun = b"<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"
    refusal = b"<Error><Code>ConditionalRequestConflict</Code></Error>"

    def answer(connection: socket.socket) -> None:
        head = raw.heads[-1]
        _read_body(connection, head)
        conflict = head.startswith(b"POST") and b"uploadId=U" in head
        body = refusal if conflict else begun if head.startswith(b"POST") else b""
        status = b"409 Conflict" if conflict else b"204 Done" if head.startswith(b"DELETE") else b"200 OK"
        length = b"" if head.startswith(b"DELETE") else b"Content-Length: %d\r\n" % len(body)
        connection.sendall(b'HTTP/1.1 %b\r\nETag: "e"\r\n%b\r\n%b' % (status, length, body))

    with answering(answer) as raw:
        options = {"allow_http": True}
        store = S3Store(
            "bucket", endpoint=raw.origin, skip_signature=True, conditional_put="etag", client_options=options
        )
        with pytest.raises(GenericError, match="another write was under way") as caught:
            store.put("a", BODY, chunk_size=PART, mode="create")
    assert (caught.value.attempts, caught.value.maybe_applied) == (3, False)


def _read_body(connection: socket.socket, head: bytes) -> None:
    found = re.search(rb"(?i)content-length: (\d+)", head)
    left = int(found[1]) if found else 0
    while left:
        left -= len(connection.recv(left))
