"""A network of this process's own: its namespace, another for the servers, and a line with latency between them.

A namespace belongs to a thread (Linux: unshare(2)). The main thread and all that it starts are the client; a thread
that lives as long as the network is the server, and so is every process and socket that it makes.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.servers import process
from bench.servers.process import MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, Self, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

CLIENT, SERVER = "198.18.0.1", "198.18.0.2"
"""Addresses for benchmarks (RFC 2544)."""

DEVICE, PACKET_BYTES = "line", 9000
QUEUED = 10_240
"""Packets that a device holds until the line's process comes to them, as fq_codel does; the 500 of TUN are less than a
window of requests that leave at once."""

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x01, 0x02


@dataclass(frozen=True, slots=True)
class Profile:
    """What a network is like."""

    name: str
    round_trip_ms: float
    mbit: int
    loss_ppm: int = 0


class Network:
    """Use as a context manager, in the main thread, before there are others.

    Args:
        program: `servers/line.c`, compiled.

    Raises:
        MissingProgramError: There can be no network here; the message says why.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self._line: subprocess.Popen[bytes] | None = None
        self._servers = ThreadPoolExecutor(1)
        try:
            _enter()
            self.there(_enter)
        except (AttributeError, OSError) as error:
            raise MissingProgramError(
                f"SKIPPED: no network can be made here ({error}): it takes root, Python 3.12, /dev/net/tun and ip"
            ) from error

    def there(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something as a server."""
        return self._servers.submit(work, *args, **kwargs).result()

    def become(self, profile: Profile) -> None:
        """Draw the line anew: connections over the last one are lost."""
        self._cut()
        ends = _open_end(CLIENT), self.there(_open_end, SERVER)
        figures = str(profile.round_trip_ms / 2), str(profile.mbit), str(profile.loss_ppm)
        self._line = process.start([str(self._program), *map(str, ends), *figures], ends, dict(os.environ))
        for end in ends:
            os.close(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cut()
        self._servers.shutdown()

    def _cut(self) -> None:
        if self._line is not None:
            process.stop(self._line)
        self._line = None


def _enter() -> None:
    """Put this thread into a network namespace of its own."""
    os.unshare(os.CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.close(os.open("/dev/net/tun", os.O_RDWR))


def _open_end(address: str) -> int:
    """Make this namespace's end of the line, which goes when its descriptor does (Linux: tuntap.rst)."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), flags))
    fcntl.ioctl(end, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)  # segments of 64 KiB: a tenth of the cost
    subprocess.run(["ip", "address", "add", f"{address}/24", "dev", DEVICE], check=True)
    size = "mtu", str(PACKET_BYTES), "txqueuelen", str(QUEUED)
    subprocess.run(["ip", "link", "set", DEVICE, *size, "up"], check=True)
    return end
