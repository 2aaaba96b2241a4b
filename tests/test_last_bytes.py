"""The last bytes of an object, from servers that do not give them, or disagree with themselves about its size."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from objstore.exceptions import ObjectChangedError
from tests.engine.raw import Raw, answering
from tests.test_successes import STORES, Store, each_service

BODY = b"ABCDEFGHIJ"


def reply(status: int, body: bytes, *lines: str, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return (
        "\r\n".join([f"HTTP/1.1 {status} So", 'ETag: "e"', *lines, f"Content-Length: {size}", "", ""]).encode() + body
    )


@contextmanager
def serving(service: str, *, by_head: int = len(BODY), suffixes: bool = False) -> Iterator[Store]:
    """Serve an object by a server that has another size for HEAD, or no last bytes."""

    def answer(connection: socket.socket) -> None:
        head = raw.heads[-1]
        range = re.search(rb"(?i)range: bytes=(\d*)-(\d*)", head)
        if head.startswith(b"HEAD"):
            connection.sendall(reply(200, b"", length=by_head))
        elif range is None:
            connection.sendall(reply(200, BODY))
        elif (not range[1] and not suffixes) or int(range[1] or 0) >= len(BODY):
            connection.sendall(reply(416, b"", f"Content-Range: bytes */{len(BODY)}"))
        else:
            start = int(range[1]) if range[1] else len(BODY) - int(range[2])
            part = BODY[start : int(range[2]) + 1] if range[1] and range[2] else BODY[start:]
            connection.sendall(reply(206, part, f"Content-Range: bytes {start}-{start + len(part) - 1}/{len(BODY)}"))

    raw: Raw
    with answering(answer) as raw:
        yield STORES[service](raw.origin)


@each_service
@pytest.mark.parametrize("count", [1, 3, 9, 10, 11, 1000])
def test_a_server_that_gives_no_last_bytes_gives_all(service: str, count: int) -> None:
    with serving(service) as store:
        found = store.get("a", options={"range": {"suffix": count}})
        assert (found.range, found.bytes()) == ((max(10 - count, 0), 10), BODY[-count:])
        assert b"".join(store.get("a", options={"range": {"suffix": count}}).stream(1)) == BODY[-count:]


@pytest.mark.parametrize("by_head", [5, 8, 12, 50])
def test_what_head_says_is_not_where_the_last_bytes_are(by_head: int) -> None:
    """Azure has no ranges from the end, so that they are asked for by the size."""
    with serving("azure", by_head=by_head, suffixes=True) as store, suppress(ObjectChangedError):
        assert store.get("a", options={"range": {"suffix": 3}}).bytes() == BODY[-3:]
