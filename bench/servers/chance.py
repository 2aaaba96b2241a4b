"""A server that leaves it to chance how each request ends: soon, late, with a 503, or by a reset."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is closed is reset


@dataclass(frozen=True, slots=True)
class Chances:
    """What becomes of requests.

    Args:
        reply: What most are answered by.
        soon, late: After how many seconds.
        lates, busy, resets: Which shares are answered late, by a 503, and by a reset.
    """

    reply: bytes
    soon: float = 0.002
    late: float = 0.2
    lates: float = 0
    busy: float = 0
    resets: float = 0


class Served:
    """A server that runs."""

    def __init__(self, control: Connection) -> None:
        self._control = control
        self._before = 0
        self.url = f"http://127.0.0.1:{control.recv()}"

    def came(self) -> int:
        """Return how many requests have come since it was last asked."""
        self._control.send(True)
        before, self._before = self._before, self._control.recv()
        return self._before - before


@contextmanager
def served(chances: Chances) -> Iterator[Served]:
    """Run a server, as a process of its own, until the block is left."""
    ours, theirs = get_context("spawn").Pipe()
    server = get_context("spawn").Process(target=_run, args=(theirs, chances), daemon=True)
    server.start()
    try:
        yield Served(ours)
    finally:
        server.kill()
        server.join()


def _run(control: Connection, chances: Chances) -> None:
    asyncio.run(_serve(control, chances))


async def _serve(control: Connection, chances: Chances) -> None:
    """Answer; tell the port, and after each word how many requests have come."""
    came, chance = 0, random.Random(1)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                came += 1
                await asyncio.sleep(chances.late if chance.random() < chances.lates else chances.soon)
                drawn = chance.random()
                if drawn < chances.resets:
                    return _reset(writer)
                writer.write(BUSY if drawn < chances.resets + chances.busy else chances.reply)
        return None

    async with await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096) as server:
        control.send(server.sockets[0].getsockname()[1])
        while True:
            await asyncio.to_thread(control.recv)
            control.send(came)


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
