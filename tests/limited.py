"""A server that takes so many requests a second, or so many at a time, and refuses others. A process of its own.

It knows two kinds of requests, `reads` (GET, HEAD, PROPFIND) and `writes`, each with a limit of its own. It answers
PUT, POST and DELETE as Amazon does, and every read with the same small object.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

BODY = b"12345"
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
VERSION = ('ETag: "1"', "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT")
READS = ("GET", "HEAD", "PROPFIND")
ANSWERS = {
    "POST": b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>",
    "COPY": b"<CopyObjectResult><ETag>1</ETag><LastModified>2025-01-01T00:00:00Z</LastModified></CopyObjectResult>",
}


@dataclass(slots=True)
class Limit:
    """What is taken of one kind of requests.

    Args:
        a_second: How many a second; 0: any number.
        burst: How many of them at once.
        at_once: How many are answered at a time; 0: any number.
        takes: After how many seconds one is answered.
        status: By which status others are refused,
        refusal: with which body,
        headers: and which header lines.
    """

    a_second: float = 0
    burst: float = 0
    at_once: int = 0
    takes: float = 0.002
    status: int = 503
    refusal: bytes = SLOW_DOWN
    headers: tuple[str, ...] = ("Content-Type: application/xml",)


@dataclass(slots=True)
class Taken:
    """What has become of one kind of requests."""

    limit: Limit
    came: int = 0
    refused: int = 0
    under_way: int = 0
    most: int = 0
    tokens: float = 0
    filled: float = 0

    def takes(self) -> bool:
        """Tell whether one more is taken."""
        self.came += 1
        limit, now = self.limit, time.monotonic()
        self.tokens = min(limit.burst, self.tokens + (now - self.filled) * limit.a_second)
        self.filled = now
        fits = not limit.at_once or self.under_way < limit.at_once
        taken = fits and (not limit.a_second or self.tokens >= 1)
        self.tokens -= taken
        self.refused += not taken
        return taken


class Server(asyncio.Protocol):
    """One connection: requests one after the other."""

    transport: asyncio.Transport

    def __init__(self, kinds: dict[str, Taken]) -> None:
        self.kinds, self.buffer = kinds, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
        if not end or len(rest) < length:
            return
        self.buffer = rest[length:]
        method = lines[0].split(" ")[0]
        kind = self.kinds["reads" if method in READS else "writes"]
        copies = any(line.lower().startswith("x-amz-copy-source") for line in lines)
        if not kind.takes():
            limit = kind.limit
            self.reply(limit.status, limit.refusal if method != "HEAD" else b"", limit.headers)
            return
        kind.under_way += 1
        kind.most = max(kind.most, kind.under_way)
        body = BODY if method in READS else ANSWERS.get("COPY" if copies else method, b"")
        asyncio.get_running_loop().call_later(kind.limit.takes, self.answer, kind, method, body)

    def answer(self, kind: Taken, method: str, body: bytes) -> None:
        kind.under_way -= 1
        self.reply(204 if method == "DELETE" else 200, body, VERSION)

    def reply(self, status: int, body: bytes, headers: tuple[str, ...]) -> None:
        length = () if status == 204 else (f"Content-Length: {len(body)}",)
        head = "\r\n".join([f"HTTP/1.1 {status} Said", *length, *headers, "", ""]).encode()
        self.transport.write(head + body)


class Limited:
    """A server that runs."""

    def __init__(self, control: Connection) -> None:
        self._control = control
        self.url = f"http://127.0.0.1:{control.recv()}"

    def set(self, kind: str, limit: Limit) -> None:
        """Have another limit from now on, and count anew."""
        self._control.send((kind, limit))
        self._control.recv()

    def seen(self, kind: str) -> Taken:
        """Return what has become of the requests of a kind since its limit was set."""
        self._control.send((kind, None))
        taken: Taken = self._control.recv()
        return taken


@contextmanager
def limited(*, reads: Limit | None = None, writes: Limit | None = None) -> Iterator[Limited]:
    """Run a server until the block is left."""
    ours, theirs = get_context("spawn").Pipe()
    limits = {"reads": reads or Limit(), "writes": writes or Limit()}
    server = get_context("spawn").Process(target=_run, args=(theirs, limits), daemon=True)
    server.start()
    try:
        yield Limited(ours)
    finally:
        server.kill()
        server.join()


def _run(control: Connection, limits: dict[str, Limit]) -> None:
    asyncio.run(_serve(control, limits))


def _begun(limit: Limit) -> Taken:
    return Taken(limit, tokens=limit.burst, filled=time.monotonic())


async def _serve(control: Connection, limits: dict[str, Limit]) -> None:
    kinds = {kind: _begun(limit) for kind, limit in limits.items()}
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: Server(kinds), "127.0.0.1", 0, backlog=4096) as server:
        control.send(server.sockets[0].getsockname()[1])
        while True:
            kind, limit = await asyncio.to_thread(control.recv)
            if limit is not None:
                kinds[kind] = _begun(limit)
            control.send(kinds[kind])
