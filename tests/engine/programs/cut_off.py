"""A program, alone in its network namespace, whose server is cut off from it in the middle of a connection."""

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
from tests.engine.raw import sends

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
SERVER, CLIENT = "10.9.0.1", "10.9.0.254"
NOT_ALLOWED = 77


def main() -> int:
    """Print what comes of a request before and of one after: packets go where nobody reads them."""
    try:
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"nowhere", IFF_TUN | IFF_NO_PI))
        ip("link set lo up", f"addr add {CLIENT}/24 dev nowhere", "link set nowhere up", f"addr add {SERVER}/32 dev lo")
        ip(f"route replace local {SERVER} dev lo table local src {CLIENT}")
    except (OSError, subprocess.CalledProcessError):
        return NOT_ALLOWED
    with socket.create_server((SERVER, 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        origin = f"http://{SERVER}:{listener.getsockname()[1]}"
        settings = ClientSettings(user_agent="tests", **{**PATIENT, "first_byte_timeout": 30})
        print(run(settle(batch(origin, ["/before"], settings=settings))), flush=True)
        ip(f"addr del {SERVER}/32 dev lo", f"route del local {SERVER} table local")
        began = time.monotonic()
        print(run(settle(batch(origin, ["/after"], settings=settings)))[0].error, flush=True)
        print("soon" if time.monotonic() - began < 0.6 else "late", flush=True)
    os._exit(0)


def ip(*changes: str) -> None:
    for change in changes:
        subprocess.run(["ip", *change.split()], check=True, capture_output=True)


def serve(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.recv(1 << 16)
    sends(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")(connection)
    connection.recv(1 << 16)
