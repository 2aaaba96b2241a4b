"""A body that broke off and is gone on with: compared with the checksum that any of its replies tells."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from objstore._core import checksum
from objstore.exceptions import CorruptResponseError
from objstore.store import S3Store
from tests.engine.raw import Raw, answering
from tests.faults.content import content

SIZE, CUT = 100_000, 40_000
RIGHT = content(0, SIZE)
WRONG = RIGHT[:100] + bytes([RIGHT[100] ^ 4]) + RIGHT[101:]


def amazon(body: bytes) -> str:
    told = b64encode(checksum("crc32c", body)).decode()
    return f"x-amz-checksum-crc32c: {told}\r\nx-amz-checksum-type: FULL_OBJECT\r\n"


def google(body: bytes) -> str:
    return f"x-goog-hash: crc32c={b64encode(checksum('crc32c', body)).decode()}\r\n"


def of_parts(body: bytes) -> str:
    return amazon(body).replace("FULL_OBJECT", "COMPOSITE")


def whole(body: bytes, told: str = "") -> bytes:
    return f'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: {len(body)}\r\n{told}\r\n'.encode() + body


def broken_off(body: bytes, told: str = "") -> bytes:
    return whole(body, told)[: CUT - len(body)]


def rest(sent: int, body: bytes, told: str = "") -> bytes:
    start = CUT if sent else 0
    head = f'HTTP/1.1 206 P\r\nETag: "a"\r\nContent-Length: {SIZE - start}\r\n{told}'
    return f"{head}Content-Range: bytes {start}-{SIZE - 1}/{SIZE}\r\n\r\n".encode() + body[start:]


@contextmanager
def giving(*replies: bytes) -> Iterator[tuple[S3Store, Raw]]:
    """Run a service with such replies, the last again and again; the first ends the connection."""

    def answer(connection: socket.socket) -> None:
        number = len(raw.heads)
        connection.sendall(replies[min(number, len(replies)) - 1])
        if number == 1:
            connection.shutdown(socket.SHUT_RDWR)

    with answering(answer) as raw:
        yield (
            S3Store(
                "bucket",
                endpoint=raw.origin,
                region="here",
                skip_signature=True,
                client_options={"allow_http": True},
                retry_config={"max_retries": 4, "backoff": {"init_backoff": 0.001}},  # type: ignore[arg-type]
            ),
            raw,
        )


def read(store: S3Store) -> bytes:
    (body,) = store.get_many(["a"])
    return bytes(body)


Told = Callable[[bytes], str]
each_kind = pytest.mark.parametrize("told", [amazon, google])


@each_kind
def test_the_second_reply_alone_tells(told: Told) -> None:
    with giving(broken_off(RIGHT), rest(1, RIGHT, told(RIGHT))) as (store, raw):
        assert read(store) == RIGHT
    assert len(raw.heads) == 2


@each_kind
def test_what_came_before_is_compared_with_what_the_second_reply_tells(told: Told) -> None:
    with giving(broken_off(WRONG), rest(1, WRONG, told(RIGHT)), whole(RIGHT, told(RIGHT))) as (store, raw):
        assert read(store) == RIGHT
    assert len(raw.heads) == 3
    assert b"\r\nRange:" not in raw.heads[2]


@each_kind
def test_a_body_that_is_never_what_the_second_reply_tells_is_an_error(told: Told) -> None:
    with (
        giving(broken_off(WRONG), rest(1, WRONG, told(RIGHT)), whole(WRONG, told(RIGHT))) as (store, _),
        pytest.raises(CorruptResponseError, match="checksum"),
    ):
        read(store)


@each_kind
def test_two_replies_that_tell_of_different_bytes_are_not_of_one_object(told: Told) -> None:
    """The ETag stays: nothing but the checksum shows it."""
    answers = broken_off(WRONG, told(WRONG)), rest(1, RIGHT, told(RIGHT)), whole(RIGHT, told(RIGHT))
    with giving(*answers) as (store, raw):
        assert read(store) == RIGHT
    assert len(raw.heads) == 3


@each_kind
def test_the_first_reply_alone_tells(told: Told) -> None:
    with giving(broken_off(WRONG, told(RIGHT)), rest(1, RIGHT), whole(RIGHT)) as (store, raw):
        assert read(store) == RIGHT
    assert len(raw.heads) == 3


def test_a_checksum_of_checksums_says_nothing() -> None:
    with giving(broken_off(RIGHT, of_parts(WRONG)), rest(1, RIGHT, of_parts(WRONG))) as (store, raw):
        assert read(store) == RIGHT
    assert len(raw.heads) == 2


def test_a_range_of_an_object_is_not_compared_with_the_whole() -> None:
    half = rest(1, RIGHT, google(WRONG))
    with giving(half) as (store, _):
        assert bytes(store.get_range("a", start=CUT, end=SIZE)) == RIGHT[CUT:]
