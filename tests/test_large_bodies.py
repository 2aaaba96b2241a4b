"""What is sent by one request and comes in pieces: beyond some MiB it waits in a file, so that it can be sent again."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from objstore.operations import sources
from objstore.store import HTTPStore, MemoryStore, S3Store
from tests.listener import Listener

PIECES = [bytes([number]) * 300_000 for number in range(9)]
ALL = b"".join(PIECES)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bodies: list[bytes]
    refuses: int

    def do_PUT(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(503 if len(self.bodies) <= self.refuses else 200)
        self.send_header("ETag", '"a"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Listener]:
    handler = type("OwnHandler", (Handler,), {"bodies": [], "refuses": 2})
    with Listener(("127.0.0.1", 0), handler) as made:
        Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have little gathered in memory; return the sizes of what was put into files."""
    spooled: list[int] = []
    write = sources.write_all

    def noted(descriptor: int, view: memoryview, at: int) -> Any:
        spooled.append(len(view))
        return write(descriptor, view, at)

    monkeypatch.setattr(sources, "IN_MEMORY", 1 << 20)
    monkeypatch.setattr(sources, "write_all", noted)
    return spooled


def web(origin: str) -> HTTPStore:
    return HTTPStore(origin, client_options={"allow_http": True})


def bucket(origin: str) -> S3Store:
    keys = {"access_key_id": "key", "secret_access_key": "secret", "region": "r"}
    return S3Store("bucket", endpoint=origin, client_options={"allow_http": True}, **keys)


async def awaited() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


@pytest.mark.parametrize("store_of", [web, bucket])
@pytest.mark.parametrize("made", [lambda: iter(PIECES), awaited])
def test_an_iterator_is_sent_again_out_of_a_file(
    store_of: Callable[[str], Any], made: Callable[[], Any], server: Listener, files: list[int]
) -> None:
    store, handler = store_of(f"http://127.0.0.1:{server.server_port}"), server.RequestHandlerClass
    before, file = unnamed(), made()
    if isinstance(file, AsyncIterator):
        asyncio.run(store.put_async("k", file, use_multipart=False))
    else:
        store.put("k", file, use_multipart=False)
    assert handler.bodies == [ALL] * 3  # type: ignore[attr-defined]
    assert sum(files) == len(ALL)
    assert unnamed() == before


def unnamed() -> list[str]:
    """Return the files that are open and have no name: pytest has some."""
    links = [Path(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")]
    named = [str(link.readlink()) for link in links if link.is_symlink()]
    return [name for name in named if name.startswith(tempfile.gettempdir()) and name.endswith("(deleted)")]


def test_what_is_small_stays_in_memory(server: Listener, files: list[int]) -> None:
    store, handler = web(f"http://127.0.0.1:{server.server_port}"), server.RequestHandlerClass
    store.put("k", iter(PIECES[:3]))
    assert handler.bodies[-1] == b"".join(PIECES[:3])  # type: ignore[attr-defined]
    assert files == []


def test_copies_and_many_too(server: Listener, files: list[int]) -> None:
    store, handler = web(f"http://127.0.0.1:{server.server_port}"), server.RequestHandlerClass
    memory = MemoryStore()
    memory.put("k", ALL)
    memory.copy("k", "x", to_store=store)
    store.put_many([("y", iter(PIECES))])
    assert handler.bodies[-2:] == [ALL] * 2  # type: ignore[attr-defined]
    assert sum(files) == 2 * len(ALL)


def test_an_iterator_that_fails_sends_nothing(server: Listener) -> None:
    def failing() -> Iterator[bytes]:
        yield from PIECES
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        web(f"http://127.0.0.1:{server.server_port}").put("k", failing())
    assert server.RequestHandlerClass.bodies == []  # type: ignore[attr-defined]
