"""A proxy that takes the place of any https server: programs reach servers on loopback by the names of real ones.

A client that is told of it, and trusts its certificates, asks it to CONNECT to a host. It speaks TLS as that host, and
hands on what it hears to the server that stands in for it.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Proxy(NamedTuple):
    """Where the proxy is, and the file with the certificate that it is to be trusted by."""

    url: str
    certificates: Path


Change = Callable[[bytes], bytes]


@contextmanager
def standing_in(servers: Mapping[str, str], folder: Path) -> Iterator[Proxy]:
    """Run a proxy until the block is left.

    Args:
        servers: The URL of the server, on loopback, that stands in for each host.
        folder: Where certificate and key are kept.
    """

    def handle(client: StreamRequestHandler, context: ssl.SSLContext) -> None:
        host = client.rfile.readline().split()[1].decode().partition(":")[0]
        while client.rfile.readline().strip():
            pass
        client.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        _relay(client.request, context, servers[host])

    certificates = write_certificate([*servers], folder)
    with _listening(certificates, handle) as port:
        yield Proxy(f"http://127.0.0.1:{port}", certificates)


@contextmanager
def fronting(server: str, folder: Path, change: Change = bytes, room: int | None = None) -> Iterator[Proxy]:
    """Speak TLS as localhost for a server on loopback, until the block is left.

    Args:
        server: Its URL.
        folder: Where certificate and key are kept.
        change: What becomes of the bytes that it is sent.
        room: How many bytes the kernel holds of those, if that is to be few.
    """

    def handle(client: StreamRequestHandler, context: ssl.SSLContext) -> None:
        _relay(client.request, context, server, change)

    certificates = write_certificate(["localhost"], folder)
    with _listening(certificates, handle, room) as port:
        yield Proxy(f"https://localhost:{port}", certificates)


@contextmanager
def _listening(
    certificates: Path, handle: Callable[[StreamRequestHandler, ssl.SSLContext], None], room: int | None = None
) -> Iterator[int]:
    """Handle connections to a port, each in a thread, by what speaks TLS with these certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates)

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            handle(self, context)

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        if room is not None:
            server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _relay(request: socket.socket, context: ssl.SSLContext, server: str, change: Change = bytes) -> None:
    """Speak TLS with a client, and hand on what it says to a server, and what that says."""
    backend = urlsplit(server)
    with (
        suppress(OSError),
        context.wrap_socket(request, server_side=True) as client,
        socket.create_connection((backend.hostname, backend.port)) as behind,
    ):
        back = Thread(target=_pass_on, args=(behind, client))
        back.start()
        _pass_on(client, behind, change)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket, change: Change = bytes) -> None:
    """Hand on what comes until it ends, and say so."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(change(data))
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def write_certificate(hosts: list[str], folder: Path, days: int = 1) -> Path:
    """Write a certificate for the hosts, signed by itself and good for so many days, and its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    now, day = datetime.now(UTC), timedelta(days=1)
    number, begin, end = x509.random_serial_number(), now - 3 * day, now + days * day
    builder = x509.CertificateBuilder(name, name, key.public_key(), number, begin, end)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    basic = x509.BasicConstraints(ca=True, path_length=None)
    signed = builder.add_extension(names, critical=False).add_extension(basic, critical=True).sign(key, SHA256())
    file = folder / "stand-in.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(signed.public_bytes(Encoding.PEM) + private)
    return file
