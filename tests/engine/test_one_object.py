"""The bytes of a body that several tries bring are of one object, or it begins anew."""

from __future__ import annotations

import socket

import pytest

from objstore.exceptions import BaseError, ObjectChangedError
from objstore.store import HTTPStore
from tests.engine.raw import Answer, Raw, answering, sends
from tests.engine.test_replies import ask, head

SIZE = 100_000
CUT = 40_000
OLD, NEW = b"o" * SIZE, b"n" * SIZE
DATE = "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT"
LATER = "Last-Modified: Fri, 02 Jan 2026 00:00:00 GMT"


def whole(body: bytes, *lines: str) -> bytes:
    return head(f"Content-Length: {len(body)}", *lines) + body


def rest(body: bytes, total: object, *lines: str) -> bytes:
    last = len(body) - 1
    return (
        head(
            f"Content-Range: bytes {CUT}-{last}/{total}",
            f"Content-Length: {len(body) - CUT}",
            *lines,
            status="206 Partial Content",
        )
        + body[CUT:]
    )


def cut(reply: bytes, size: int = CUT) -> bytes:
    """Return so much of the body that a reset follows."""
    return reply[: reply.index(b"\r\n\r\n") + 4 + size]


def is_whole(reply: bytes) -> bool:
    top, _, body = reply.partition(b"\r\n\r\n")
    return b"Content-Length: %d" % len(body) in top.split(b"\r\n")


def in_turn(raws: list[Raw], replies: list[bytes]) -> Answer:
    """Give one reply after the other, the last for ever; what is shorter than it says ends with the connection.

    Behind a whole one the connection goes on: were it to end, it might take the next request with it.
    """

    def answer(connection: socket.socket) -> None:
        reply = replies[min(len(raws[0].heads), len(replies)) - 1]
        connection.sendall(reply)
        if not is_whole(reply):
            connection.shutdown(socket.SHUT_RDWR)

    return answer


def read(replies: list[bytes], retries: int = 4) -> tuple[bytes, list[bytes]]:
    """Read one object; return its bytes and the heads of the requests."""
    raws: list[Raw] = []
    with answering(in_turn(raws, replies)) as raw:
        raws.append(raw)
        retry = {"max_retries": retries, "backoff": {"init_backoff": 0.001}}
        store = HTTPStore(raw.origin, client_options={"allow_http": True}, retry_config=retry)  # type: ignore[arg-type]
        (body,) = store.get_many(["k"])
        return bytes(body), raw.heads


FIRST = {
    "whole": cut(whole(OLD, 'ETag: "a"', DATE)),
    "chunked": cut(
        head("Transfer-Encoding: chunked", 'ETag: "a"', DATE) + b"%x\r\n" % SIZE + OLD, CUT + len(b"%x\r\n" % SIZE)
    ),
}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("lines", [['ETag: "a"', DATE], ['ETag: "a"']])
def test_the_rest_of_the_same_object_is_put_behind_what_came(first: str, lines: list[str]) -> None:
    body, heads = read([FIRST[first], rest(OLD, SIZE, *lines)])
    assert body == OLD
    assert len(heads) == 2
    assert b"Range: bytes=40000-" in heads[1]
    assert b'If-Match: "a"' in heads[1]


OTHER = {
    "another ETag": rest(NEW, SIZE, 'ETag: "b"', DATE),
    "no ETag": rest(NEW, SIZE, DATE),
    "a weak ETag": rest(NEW, SIZE, 'ETag: W/"a"', DATE),
    "another size": rest(NEW + b"n", SIZE + 1, 'ETag: "a"', DATE),
    "a size that is not said": rest(NEW, "*", 'ETag: "a"', DATE),
    "another date": rest(NEW, SIZE, 'ETag: "a"', LATER),
    "nothing in it": head("Content-Length: 0", status="206 Partial Content"),
    "another range": rest(NEW, SIZE, 'ETag: "a"', DATE).replace(b"bytes 40000-", b"bytes 39999-"),
    "412": head("Content-Length: 0", status="412 Precondition Failed"),
}


@pytest.mark.parametrize("name", OTHER)
def test_the_rest_of_another_object_is_not_mixed_in(name: str) -> None:
    body, heads = read([FIRST["whole"], OTHER[name], whole(NEW, 'ETag: "b"', LATER)])
    assert body == NEW
    assert len(heads) == 3
    assert b"Range" not in heads[-1]
    assert b"If-Match" not in heads[-1]


@pytest.mark.parametrize("lines", [['ETag: "b"', LATER], ['ETag: "a"', DATE], []])
def test_a_whole_object_in_place_of_the_rest_is_the_object(lines: list[str]) -> None:
    body, heads = read([FIRST["whole"], whole(NEW, *lines)])
    assert body == NEW
    assert len(heads) == 2


def test_an_empty_object_in_place_of_the_rest_is_the_object() -> None:
    assert read([FIRST["whole"], whole(b"", 'ETag: "b"')])[0] == b""


def test_a_part_that_was_not_asked_for_is_no_beginning() -> None:
    wrong = cut(rest(OLD, SIZE, 'ETag: "a"'), 1000)  # of 206 to a request for all
    body, heads = read([wrong, whole(NEW, 'ETag: "a"')])
    assert body == NEW
    assert b"Range" not in heads[1]


def test_an_object_that_changes_without_end_is_an_error() -> None:
    turns = [FIRST["whole"], OTHER["another ETag"]] * 20
    with pytest.raises(ObjectChangedError, match="replaced while it was read") as failure:
        read(turns, retries=3)
    assert failure.value.attempts <= 5


@pytest.mark.parametrize("total", [SIZE, "*"])
def test_a_range_goes_on_only_in_the_same_object(total: object) -> None:
    part = head("Content-Range: bytes 10-99/1000", "Content-Length: 90", 'ETag: "a"', status="206 Partial Content")
    more = head(f"Content-Range: bytes 50-99/{total}", "Content-Length: 50", 'ETag: "a"', status="206 Partial Content")
    raws: list[Raw] = []
    replies = [part + b"o" * 40, more + b"n" * 50, part + b"n" * 90]
    with answering(in_turn(raws, replies)) as raw:
        raws.append(raw)
        retry = {"max_retries": 3, "backoff": {"init_backoff": 0.001}}
        store = HTTPStore(raw.origin, client_options={"allow_http": True}, retry_config=retry)  # type: ignore[arg-type]
        assert store.get_range("k", start=10, end=100) == b"n" * 90


def test_the_range_that_was_asked_for_is_read_beside_a_200() -> None:
    """As rclone says it: range and length are what was asked for."""
    reply = head("Content-Range: bytes 10-19/1000", "Content-Length: 10") + b"x" * 10
    raws: list[Raw] = []
    with answering(in_turn(raws, [reply])) as raw:
        raws.append(raw)
        store = HTTPStore(raw.origin, client_options={"allow_http": True}, retry_config={"max_retries": 0})
        assert store.get_range("k", start=10, end=20) == b"x" * 10
        for start, end in ((10, 19), (9, 20), (10, 21), (3, 8)):
            with pytest.raises(BaseError):
                store.get_range("k", start=start, end=end)


@pytest.mark.parametrize("status", ["200 OK", "203 Non-Authoritative"])
def test_a_range_in_a_reply_that_is_no_part_is_not_believed(status: str) -> None:
    reply = head("Content-Range: bytes 11-20/1000", "Content-Length: 10", status=status) + b"x" * 10
    raws: list[Raw] = []
    with answering(in_turn(raws, [reply])) as raw:
        raws.append(raw)
        store = HTTPStore(raw.origin, client_options={"allow_http": True}, retry_config={"max_retries": 0})
        for start, end in ((10, 20), (3, 8)):
            with pytest.raises(BaseError):
                store.get_range("k", start=start, end=end)
        with pytest.raises(BaseError):
            store.get_many(["k"])


AT = "Last-Modified: Thu, 01 Jan 2026 23:59:00 GMT"


@pytest.mark.parametrize(
    ("lines", "settled"),
    [
        ([AT, "Date: Fri, 02 Jan 2026 00:00:00 GMT"], True),
        (["Date: Fri, 02 Jan 2026 00:00:00 GMT", AT, 'ETag: "a"'], True),
        ([AT, "Date: Thu, 01 Jan 2026 23:59:59 GMT"], False),
        ([AT, "Date: Thu, 01 Jan 2026 23:58:00 GMT"], False),
        ([AT], False),
        (["Date: Fri, 02 Jan 2026 00:00:00 GMT"], False),
        ([AT, "Date: Fri, 02 Jan 2026 00:00:00 UTC"], False),
        ([AT, "Date: now"], False),
        ([AT, *["Date: Fri, 02 Jan 2026 00:00:00 GMT"] * 2], False),
        ([AT, AT, "Date: Fri, 02 Jan 2026 00:00:00 GMT"], False),
    ],
)
def test_a_time_is_settled_a_minute_later(lines: list[str], settled: bool) -> None:
    """By the clock that the reply was made by."""
    body, reply = ask(sends(head("Content-Length: 0", *lines)), keep_head=True)
    assert (body, reply.settled) == (b"", settled)
