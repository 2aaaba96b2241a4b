"""`python -m bench.servers.listing FD SECONDS`: a listing of very many keys (ListObjectsV2), a while away.

It answers from any key, as S3 does: by start-after and by continuation token. Each page is answered after a delay.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from bisect import bisect_right
from urllib.parse import parse_qs, urlsplit

from bench import data

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n"


class Huge:
    """The keys, and the entry of each as it is sent."""

    def __init__(self, count: int) -> None:
        self.keys = [data.listed_key(index) for index in range(count)]
        self.entries = [data.entry(index, key).encode() for index, key in enumerate(self.keys)]

    def page(self, query: dict[str, list[str]]) -> bytes:
        """Return the page that a query asks for."""
        prefix = query.get("prefix", [""])[0]
        if not prefix.startswith("listed/"):
            return data.page(data.entry(0, f"{prefix}only"), 1, None).encode()
        after = max(query.get(name, [""])[0] for name in ("start-after", "continuation-token"))
        first = bisect_right(self.keys, after)
        last = min(first + data.PAGE_KEYS, len(self.keys))
        token = self.keys[last - 1] if last < len(self.keys) else None
        before, _, behind = data.page("|", last - first, token).partition("|")
        return b"".join([before.encode(), *self.entries[first:last], behind.encode()])


async def serve(listener: socket.socket, huge: Huge, delay: float) -> None:
    """Answer until this process is ended."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(delay)
            body = huge.page(parse_qs(urlsplit(head.split(b" ", 2)[1].decode()).query))
            writer.writelines([HEAD % len(body), body])
            await writer.drain()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1])), Huge(data.HUGE_KEYS), float(sys.argv[2])))
