"""Two other readers of HTTP/1.1 over the same bytes: libcurl's own HTTP, through pycurl, and Python's http.client."""

from __future__ import annotations

import http.client
import io
import socket
from typing import NamedTuple

import pycurl


class Read(NamedTuple):
    """What a reader makes of a reply.

    Args:
        status: Of the final head; None where the reader refuses the reply.
        body: Its bytes.
        why: The reader's words for a refusal.
        to_the_end: Whether it wanted more than there was.
    """

    status: int | None
    body: bytes = b""
    why: str = ""
    to_the_end: bool = False


class _Given(io.BytesIO):
    """What http.client takes for a connection that has so many bytes and then ends."""

    to_the_end = False

    def makefile(self, mode: str) -> _Given:
        return self

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.to_the_end |= size is None or size < 0 or len(found) < size
        return found

    def readline(self, size: int | None = -1, /) -> bytes:
        found = super().readline(size)
        self.to_the_end |= not found.endswith(b"\n")
        return found


def by_http_client(data: bytes) -> Read:
    """Have http.client read a reply to a GET."""
    given = _Given(data)
    reply = http.client.HTTPResponse(given, method="GET")  # type: ignore[arg-type]
    try:
        reply.begin()
        body = reply.read()
        return Read(reply.status, body, to_the_end=given.to_the_end)
    except (http.client.HTTPException, ValueError, OverflowError, OSError) as error:
        return Read(None, why=repr(error), to_the_end=given.to_the_end)


class Curl:
    """libcurl, on a connection of its own for each reply."""

    def __init__(self) -> None:
        self._easy = pycurl.Curl()

    def read(self, data: bytes) -> Read:
        """Have libcurl read a reply to a GET; what it refuses, twice: 3 in 20,000 it refuses only the first time."""
        found = self._read(data)
        return self._read(data) if found.status is None else found

    def _read(self, data: bytes) -> Read:
        ours, its = socket.socketpair()
        body = io.BytesIO()
        easy = self._easy
        easy.reset()
        easy.setopt(pycurl.URL, "http://127.0.0.1/")
        easy.setopt(pycurl.PROXY, "")
        easy.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        easy.setopt(pycurl.OPENSOCKETFUNCTION, lambda *_: its)
        easy.setopt(pycurl.SOCKOPTFUNCTION, lambda *_: pycurl.SOCKOPT_ALREADY_CONNECTED)
        easy.setopt(pycurl.FORBID_REUSE, 1)
        easy.setopt(pycurl.WRITEFUNCTION, body.write)
        easy.setopt(pycurl.TIMEOUT, 10)
        with ours, its:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            ours.sendall(data)
            ours.shutdown(socket.SHUT_WR)
            try:
                easy.perform()
            except pycurl.error as error:
                return Read(None, why=str(error))
            return Read(easy.getinfo(pycurl.RESPONSE_CODE), body.getvalue())
