"""A web server in this process with one object, which it may replace, tell little of, or tell wrongly of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from threading import Lock, Thread

from objstore.store import HTTPStore, S3Store
from tests.faults.content import content
from tests.listener import Listener

TIMES = ("Wed, 01 Jan 2025 00:00:00 GMT", "Thu, 02 Jan 2025 00:00:00 GMT")
FRESH = "Thu, 02 Jan 2025 23:59:01 GMT"
DATE = "Fri, 03 Jan 2025 00:00:00 GMT"


whole = lru_cache(maxsize=8)(lambda size, number: content(0, size, number))


@dataclass
class Shelf:
    """What the server does. Set the fields as a test needs them.

    Args:
        size: The size of the object.
        validators: What replies say of its version: some of ``strong``, ``weak``, ``time``, and ``fresh``: a time of
            the last minute, which all versions have.
        replaced_after: After how many GETs the object is another one; 0: it never is.
        new_size: The size of that other object; that of the first, where none is given.
        head_length: The Content-Length of HEAD; None: none; -1: the true one.
        head_fields: More fields of HEAD.
        ranges: Whether it knows ranges.
        wholes: How many of the next ranges it answers by all of the object, in chunks.
        chunked: Whether bodies come in chunks, without a length.
        refuses: With which status it refuses If-Match; 0: it takes no notice of it.
        etag: The ETag, in the place of what `validators` say.
        cuts: How many of the next bodies break off in the middle.
    """

    size: int = 5000
    validators: tuple[str, ...] = ("strong",)
    replaced_after: int = 0
    new_size: int | None = None
    head_length: int | None = -1
    head_fields: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    wholes: int = 0
    chunked: bool = False
    refuses: int = 0
    etag: str | None = None
    cuts: int = 0
    origin: str = ""
    heads: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    gets: int = 0
    lock: Lock = field(default_factory=Lock)

    def version(self, number: int) -> bytes:
        """Return the object's bytes: the first, or those that replace it."""
        return whole(self.size if number == 1 or self.new_size is None else self.new_size, number)

    def take(self, method: str, headers: dict[str, str]) -> int:
        """Note a request; return the version that it gets."""
        with self.lock:
            self.heads.append((method, headers))
            self.gets += method == "GET"
            return 2 if self.replaced_after and self.gets > self.replaced_after else 1

    def fields(self, version: int) -> dict[str, str]:
        """Return what a reply says of the version."""
        known = {
            "strong": ("ETag", f'"v{version}"'),
            "weak": ("ETag", f'W/"v{version}"'),
            "time": ("Last-Modified", TIMES[min(version, 2) - 1]),
            "fresh": ("Last-Modified", FRESH),
        }
        named = {"Date": DATE, **dict(known[name] for name in self.validators)}
        return named if self.etag is None else {**named, "ETag": self.etag}

    def http(self) -> HTTPStore:
        """Return a store for it as a web server."""
        return HTTPStore(self.origin, client_options={"allow_http": True}, retry_config={"max_retries": 2})

    def s3(self) -> S3Store:
        """Return a store for it as a bucket."""
        return S3Store(
            "bucket",
            endpoint=self.origin,
            region="us-east-1",
            access_key_id="key",
            secret_access_key="secret",
            client_options={"allow_http": True},
            retry_config={"max_retries": 2},
        )


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    shelf: Shelf

    def do_HEAD(self) -> None:
        shelf = self.shelf
        version = shelf.take("HEAD", self.fields_sent())
        length = len(shelf.version(version)) if shelf.head_length == -1 else shelf.head_length
        fields = {**shelf.fields(version), **shelf.head_fields}
        self.send(200, fields if length is None else {**fields, "Content-Length": str(length)})

    def do_GET(self) -> None:
        shelf, sent = self.shelf, self.fields_sent()
        version = shelf.take("GET", sent)
        if shelf.refuses and "if-match" in sent:
            self.send(shelf.refuses, {"Content-Length": "0"})
            return
        body = shelf.version(version)
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", sent.get("range", ""))
        if found is None or not shelf.ranges or shelf.wholes:
            chunked = found is not None and shelf.wholes > 0
            shelf.wholes -= chunked
            self.send(200, shelf.fields(version), body, chunked=chunked)
            return
        first, last = found.groups()
        start = int(first) if first else max(len(body) - int(last), 0)
        end = min(int(last) + 1 if first and last else len(body), len(body))
        if start >= end:
            self.send(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
            return
        fields = {**shelf.fields(version), "Content-Range": f"bytes {start}-{end - 1}/{len(body)}"}
        self.send(206, fields, body[start:end])

    def fields_sent(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def send(self, status: int, fields: dict[str, str], body: bytes | None = None, *, chunked: bool = False) -> None:
        if body is not None:
            chunked = chunked or self.shelf.chunked
            framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
            fields = {**fields, **framing}
            if chunked:
                body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        if body and self.shelf.cuts:
            self.shelf.cuts -= 1
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode("latin-1") + (body or b""))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(shelf: Shelf) -> Iterator[Shelf]:
    """Serve until the block is left."""
    with Listener(("127.0.0.1", 0), type("ShelfHandler", (Handler,), {"shelf": shelf})) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        shelf.origin = f"http://127.0.0.1:{server.server_port}"
        yield shelf
        server.shutdown()
