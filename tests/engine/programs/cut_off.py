"""A program, alone in its network namespace, whose server is cut off from it: before a request, or in the middle."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import threading
import time

from objstore._core import ClientSettings
from objstore.plans.run import run
from tests.engine.client import PATIENT, batch, settle

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
SERVER, CLIENT = "10.9.0.1", "10.9.0.254"
NOT_ALLOWED = 77
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
SENT = {b"/whole": HEAD + b"ok", b"/half": HEAD + b"o", b"/none": b""}
asked = threading.Event()


def main() -> int:
    """Print what comes of a request before and of three after: packets go where nobody reads them."""
    try:
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"nowhere", IFF_TUN | IFF_NO_PI))
        ip("link set lo up", f"addr add {CLIENT}/24 dev nowhere", "link set nowhere up")
        be_there()
    except (OSError, subprocess.CalledProcessError):
        return NOT_ALLOWED
    with socket.create_server((SERVER, 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        origin = f"http://{SERVER}:{listener.getsockname()[1]}"
        ask(origin, "/whole")
        be_gone()
        ask(origin, "/whole")
        for path in ("/half", "/none"):
            be_there()
            asked.clear()
            threading.Thread(target=be_gone_when_asked).start()
            ask(origin, path)
    os._exit(0)


def ask(origin: str, path: str) -> None:
    """Print what a request fails with, if it does, and after how many half seconds."""
    settings = ClientSettings(user_agent="tests", **{**PATIENT, "first_byte_timeout": 30})
    began = time.monotonic()
    failed = run(settle(batch(origin, [path], settings=settings)))
    print(path, failed[0].error if failed else "", int((time.monotonic() - began) / 0.5), flush=True)


def be_there() -> None:
    ip(f"addr add {SERVER}/32 dev lo", f"route replace local {SERVER} dev lo table local src {CLIENT}")


def be_gone() -> None:
    ip(f"addr del {SERVER}/32 dev lo", f"route del local {SERVER} table local")


def be_gone_when_asked() -> None:
    asked.wait()
    time.sleep(0.1)  # what was sent is acknowledged by then
    be_gone()


def ip(*changes: str) -> None:
    for change in changes:
        subprocess.run(["ip", *change.split()], check=True, capture_output=True)


def serve(listener: socket.socket) -> None:
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def answer(connection: socket.socket) -> None:
    while request := connection.recv(1 << 16):
        connection.sendall(SENT[request.split()[1]])
        asked.set()
