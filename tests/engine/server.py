"""A fast server of small replies that counts what it sees. Runs as a process of its own, plain and over TLS.

A request for /SIZE/NAME gets SIZE bytes of the generated content (`tests.faults.content`); Range is honoured. The
query says what else happens:

    delay=SECONDS       before the reply
    held=1              no reply before GET /-/release
    stall=N             N bytes of the body are sent, then nothing; "head": not even the head
    status=N            instead of 200, with `busy` as body
    once=N              that status for the first request for each target only
    close=1             the connection is closed after the reply
    rate=N              the request's body is read at N bytes a second
    echo=1              the reply's body is the request's head
    digest=1            the reply's body is the SHA-256 of the request's
    ranges=0            Range is ignored; "suffix": only one that asks for the end
    framing=chunked     the body comes in chunks, without Content-Length; "close": it ends with the connection
    head=status         that status for HEAD
    weak=1, untagged=1  the ETag is weak, or there is none
    header=LINE         one more header line
    hops=N              N redirects by status `by` (302) to the same target on the server `to` (this one)

Under /-/ is the control: GET /-/seen returns the counts, GET /-/forget breaks off what is under way and sets them back,
GET /-/release sends the replies that are held, GET /-/hang-up closes every connection that has no request under way.

Usage: python -m tests.engine.server PORT TLS_PORT
"""

from __future__ import annotations

import asyncio
import datetime
import json
import resource
import socket
import ssl
import sys
import tempfile
import time
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.faults.content import content


class Seen:
    """What the server counts."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.busy: set[Connection] = set()
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.accepted = self.most_in_flight = 0
        self.held: list[Connection] = []
        self.requests: list[tuple[float, str]] = []
        self.targets: set[str] = set()

    def report(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "accepted": self.accepted,
            "open": len([connection for connection in self.connections if not connection.control]),
            "held": len(self.held),
            "in_flight": len(self.busy),
            "most_in_flight": self.most_in_flight,
            "requests": self.requests,
        }


seen = Seen()


@lru_cache(maxsize=8)
def whole(size: int) -> bytes:
    """Return the bytes of an object."""
    return content(0, size)


def in_one_chunk(body: bytes) -> bytes:
    """Return a body in the chunked coding (RFC 9112, section 7.1)."""
    return (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection: requests one after the other."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.left = 0  # bytes of the request's body still to come
        self.digest = sha256()  # of those that came
        self.head: bytes | None = None  # of the request under way
        self.control = False
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.set_write_buffer_limits(1 << 30)
        seen.connections.add(self)
        seen.accepted += 1

    def connection_lost(self, error: Exception | None) -> None:
        seen.connections.discard(self)
        self.closing = True
        self.end_request()

    def data_received(self, data: bytes) -> None:
        if self.head is None:
            self.buffer += data
            self.begin()
        else:
            self.body_came(data)

    def begin(self) -> None:
        """Read the head of the next request, when all of it has come."""
        head, end, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        if not end:
            return
        self.buffer.clear()
        self.head = head
        self.target = head.split(b" ", 2)[1].decode()
        self.query = dict(parse_qsl(self.target.partition("?")[2]))
        self.framing = self.query.get("framing", "length")
        self.is_head = head.startswith(b"HEAD")
        self.left = int(self.header("content-length") or 0)
        if "rate" in self.query:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.control = self.target.startswith("/-/")
        if self.control:
            seen.accepted -= 1
        else:
            seen.requests.append((time.monotonic(), self.target))
            seen.busy.add(self)
            seen.most_in_flight = max(seen.most_in_flight, len(seen.busy))
        self.digest = sha256()
        self.body_came(rest)

    def header(self, name: str) -> str | None:
        for line in (self.head or b"").decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return None

    def body_came(self, piece: bytes) -> None:
        """Take a piece of the request's body, at the rate that was asked for; answer when it is complete."""
        size = len(piece)
        self.digest.update(piece)
        self.left -= size
        rate = float(self.query.get("rate", 0))
        if rate and size:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(size / rate, self.go_on_reading)
        if self.left <= 0:
            asyncio.get_running_loop().call_later(float(self.query.get("delay", 0)), self.answer)

    def go_on_reading(self) -> None:
        if not self.closing:
            self.transport.resume_reading()

    def end_request(self) -> None:
        seen.busy.discard(self)
        self.head = None

    def answer(self) -> None:
        if self.closing or self.query.get("stall") == "head":
            return
        if "held" in self.query:
            del self.query["held"]
            seen.held.append(self)
            return
        status, body, headers = self.reply()
        framing = {"chunked": ["Transfer-Encoding: chunked"], "close": []}
        lines = [f"HTTP/1.1 {status} Said", *framing.get(self.framing, [f"Content-Length: {len(body)}"]), *headers]
        head = "\r\n".join([*lines, "", ""]).encode()
        wanted = b"" if self.is_head else in_one_chunk(body) if self.framing == "chunked" else body
        if "stall" in self.query:
            self.transport.write(head + wanted[: int(self.query["stall"])])
            return
        self.end_request()
        self.transport.write(head + wanted)
        if "close" in (*self.query, self.framing):
            self.transport.close()

    def reply(self) -> tuple[int, bytes, list[str]]:
        """Return the status, the body, and more header lines."""
        if self.control:
            return 200, self.do_control(), []
        if int(self.query.get("hops", 0)):
            return int(self.query.get("by", 302)), b"elsewhere", [f"Location: {self.onward()}", 'ETag: "elsewhere"']
        status = int(self.query.get("head", 200) if self.is_head else self.query.get("status", 200))
        if status != 200 or ("once" in self.query and self.target not in seen.targets):
            seen.targets.add(self.target)
            return int(self.query.get("once", status)), b"busy", ["X-Twice: 1", "X-Twice: 2"]
        if "echo" in self.query:
            return 200, self.head or b"", []
        if "digest" in self.query:
            return 200, self.digest.hexdigest().encode(), []
        return self.serve(int(self.target.split("/")[1]))

    def onward(self) -> str:
        """Return where a redirect leads: the same target with one hop less."""
        path, _, query = self.target.partition("?")
        hops = f"hops={self.query['hops']}"
        less = query.replace(hops, f"hops={int(self.query['hops']) - 1}")
        return f"{self.query.get('to', '')}{path}?{less}"

    def serve(self, size: int) -> tuple[int, bytes, list[str]]:
        asked = self.header("range") or ""
        first, mark, last = asked.removeprefix("bytes=").partition("-")
        tag = f'ETag: {"W/" if "weak" in self.query else ""}"{size}"' if "untagged" not in self.query else "X-Tag: none"
        headers = [tag, self.query.get("header", "X-Header: none")]
        ignored = self.query.get("ranges")
        if not mark or ignored == "0" or (ignored == "suffix" and not first):
            return 200, whole(size), [*headers, "X-Twice: 1", "X-Twice: 2"]
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last) + 1, size) if first and last else size
        if start >= end:
            return 416, b"", [f"Content-Range: bytes */{size}"]
        return 206, whole(size)[start:end], [*headers, f"Content-Range: bytes {start}-{end - 1}/{size}"]

    def hang_up(self) -> None:
        """Close the connection; over TLS without a word, for a client that sleeps would not answer it."""
        if self.transport.get_extra_info("sslcontext") is not None:
            self.transport.abort()
        else:
            self.transport.close()

    def do_control(self) -> bytes:
        report = seen.report()
        if self.target == "/-/forget":
            for connection in list(seen.busy):
                connection.transport.abort()
                connection.end_request()
            seen.forget()
        if self.target == "/-/release":
            held, seen.held = seen.held, []
            for connection in held:
                connection.answer()
        if self.target == "/-/hang-up":
            for connection in list(seen.connections):
                if connection.head is None:
                    connection.hang_up()
        return json.dumps(report).encode()


def certificate() -> ssl.SSLContext:
    """Return a TLS context with a certificate of its own making."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pem")
        file.write_bytes(pem)
        context.load_cert_chain(file)
    return context


async def main(port: int, tls_port: int) -> None:
    """Serve until killed."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    loop = asyncio.get_running_loop()
    await loop.create_server(Connection, "127.0.0.1", tls_port, ssl=certificate(), backlog=1024)
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=8192)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
