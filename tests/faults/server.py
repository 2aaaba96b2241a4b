"""The fault server: an S3 service that breaks its replies as a scenario file says. Runs as a process of its own.

A key /bucket/SCENARIO/REST gets the replies of scenarios/SCENARIO.json in their order, counted per key, and then the
true ones. Under /-/ is the control: GET /-/requests returns what was asked, DELETE /-/ forgets all that happened.

Usage: python -m tests.faults.server PORT
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import sys
import time
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.faults.objects import Objects, Request, Response, text
from tests.faults.scenario import Reply, Script, load
from tests.listener import Listener

CHUNK = 1 << 18  # bytes written at once
PAUSE = 0.1  # seconds between the pieces of a body that has a rate
STALL = 120.0  # seconds until a stalled connection is closed if the client does not close it
SCENARIOS = Path(__file__).with_name("scenarios")
BODILESS = {204, 304}


def key_of(path: str) -> str:
    """Return the KEY of /BUCKET/KEY."""
    return path.lstrip("/").partition("/")[2]


def operation(method: str, key: str, query: dict[str, str], headers: dict[str, str]) -> str:
    """Return which S3 operation a request is."""
    if method == "POST":
        return "delete-many" if "delete" in query else "create" if "uploads" in query else "complete"
    if method == "PUT":
        what = "part" if "partNumber" in query else "copy" if "x-amz-copy-source" in headers else "put"
        return "part-copy" if what == "part" and "x-amz-copy-source" in headers else what
    if method == "DELETE":
        return "abort" if "uploadId" in query else "delete"
    if method == "GET" and "uploadId" in query:
        return "list-parts"
    if method == "GET" and "attributes" in query:
        return "attributes"
    if method == "HEAD" and "partNumber" in query:
        return "head-part"
    return "list" if method == "GET" and not key else method.lower()


def flipped(piece: bytes, position: int | None, start: int) -> bytes:
    """Return the bytes from `start` on, with one bit of that at `position` flipped."""
    if position is None or not start <= position < start + len(piece):
        return piece
    changed = bytearray(piece)
    changed[position - start] ^= 1
    return bytes(changed)


class Service:
    """All that the server remembers: the objects, the use of the scenarios, and the requests it saw."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.forget()

    def forget(self) -> None:
        """Return to the state of a server just started."""
        self.objects = Objects()
        self.script = Script(load(SCENARIOS))
        self.requests: list[dict[str, Any]] = []

    def answer(self, request: Request) -> tuple[Response, Reply]:
        """Return the true response and what to do to it."""
        with self.lock:
            reply = self.script.next_reply(request.operation, scenario_target(request), request.headers)
            if reply.replaces:
                return text(reply.status or 200, reply.body or ""), reply
            return self.objects.answer(request, reply), reply


def scenario_target(request: Request) -> str:
    """Return SCENARIO/REST: the key; of a request about the whole bucket, its prefix or the first key in its body."""
    key = key_of(request.path)
    first_key = re.search(rb"<Key>([^<]*)</Key>", request.body) if request.operation == "delete-many" else None
    return key or request.query.get("prefix", "") or (first_key[1].decode() if first_key else "")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: Service

    def handle_request(self) -> None:
        """Answer one request, of whatever method."""
        with suppress(ConnectionError):
            request = self.read_request()
            if request.path.startswith("/-/"):
                self.send(self.control(request), Reply())
                return
            entry = self.log_entry(request)
            try:
                self.send(*self.service.answer(request))
            finally:
                entry["ended"] = time.monotonic()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815

    def read_request(self) -> Request:
        """Read the body and return the request."""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = unquote(url.path)
        body = self.rfile.read(int(headers.get("content-length", 0)))
        meaning = operation(self.command, key_of(path), query, headers)
        return Request(meaning, path, query, headers, body)

    def log_entry(self, request: Request) -> dict[str, Any]:
        """Remember the request for the test that asks, and return what is remembered."""
        entry = {
            "method": self.command,
            "target": self.path,
            "operation": request.operation,
            "path": request.path,
            "headers": request.headers,
            "size": len(request.body),
            "connection": self.client_address[1],
            "time": time.monotonic(),
        }
        with self.service.lock:
            self.service.requests.append(entry)
        return entry

    def control(self, request: Request) -> Response:
        """Serve the control address."""
        with self.service.lock:
            if self.command == "DELETE":
                self.service.forget()
            prefix = request.query.get("prefix", "")
            seen = [entry for entry in self.service.requests if entry["path"].startswith(prefix)]
        return text(200, json.dumps(seen), {"Content-Type": "application/json"})

    def send(self, response: Response, reply: Reply) -> None:
        """Send `response`, broken as `reply` says."""
        time.sleep(reply.delay)
        if reply.fault and reply.at is None:
            return self.break_off(reply.fault)
        if reply.raw is not None:
            return self.send_raw(reply.raw.encode("latin-1"), reply)
        self.wfile.write(self.head(response, reply))
        end = 0 if self.command == "HEAD" else response.length
        self.send_body(response, end if reply.at is None else min(reply.at, end), reply)
        return self.break_off(reply.fault) if reply.fault else None

    def send_raw(self, raw: bytes, reply: Reply) -> None:
        """Send these very bytes, then others for ever, or FIN, or go on."""
        self.wfile.write(raw)
        while reply.endless:
            self.wfile.write(reply.endless.encode("latin-1") * (1 + CHUNK // len(reply.endless)))
        if not reply.keep:
            self.break_off("fin")

    def head(self, response: Response, reply: Reply) -> bytes:
        """Return the status line and the headers; the reply's own headers win, and null removes one."""
        length = {} if response.status in BODILESS else {"Content-Length": str(response.length)}
        date = {"Date": formatdate(usegmt=True), "x-amz-request-id": "1"}
        headers = {**date, **response.headers, **length, **reply.headers}
        port = str(self.connection.getsockname()[1])
        lines = [f"{name}: {value.replace('{port}', port)}" for name, value in headers.items() if value is not None]
        status_line = f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"
        return "\r\n".join([status_line, *lines, "", ""]).encode("latin-1")

    def send_body(self, response: Response, end: int, reply: Reply) -> None:
        """Send the first `end` bytes of the body, at the rate that was asked for."""
        step = int(reply.rate * PAUSE) or CHUNK
        for start in range(0, end, step):
            self.wfile.write(flipped(response.read(start, min(start + step, end)), reply.flip, start))
            time.sleep(PAUSE if reply.rate else 0)

    def break_off(self, fault: str) -> None:
        """End the connection: by FIN, by RST, or by silence until the client gives up."""
        self.close_connection = True
        if fault == "stall":
            self.connection.settimeout(STALL)
            with suppress(TimeoutError):
                self.connection.recv(1)
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # close() would send nothing: rfile still holds the socket

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the control address tells what was asked."""


def main(port: int) -> None:
    """Serve until killed."""
    handler = type("ServiceHandler", (Handler,), {"service": Service()})
    Listener(("127.0.0.1", port), handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
