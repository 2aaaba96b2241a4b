"""What checksums cost: python -m bench.sums [--rounds 7] [--rows tls,upload] [--over near]

The same reads and writes by two stores, one after the other, in one process: one asks for checksums and compares them,
or makes and sends them, the other does not. Printed is the CPU of this process, of all its threads, in nanoseconds a
byte and microseconds a request, and the ratio of each pair: the median, and in brackets the least and the most. The
servers are processes of their own, and do the same for both, but for the header. They are on loopback, where the kernel
has less to do for a byte than anywhere else, or at the other end of one of the networks of `bench.net`.
"""

from __future__ import annotations

import argparse
import base64
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import data
from bench.net.network import SERVER, Network, Profile
from bench.net.rows import PROFILES
from bench.servers import process
from bench.servers.nginx import Nginx
from bench.site import HERE
from objstore._core import checksum
from objstore.store import S3Store

TOTAL = 256 << 20
"""How many bytes each pass moves."""

PART = 8 << 20
SIZES = {"64 KiB": 64 << 10, "1 MiB": 1 << 20, "8 MiB": 8 << 20}
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is read or written, and through which door of nginx."""

    title: str
    door: str
    size: int
    upload: bool = False


ROWS = tuple(
    row
    for door in ("plain", "tls")
    for row in (
        *(Row(f"{door}: reads of {name}", door, size) for name, size in SIZES.items()),
        Row(f"{door}: upload in parts of 8 MiB", door, PART, upload=True),
    )
)


def key_of(size: int) -> str:
    return f"summed/{size}"


@dataclass(frozen=True, slots=True)
class Served:
    """Where the servers are, and what their certificate is known by."""

    nginx: Nginx
    host: str
    certificate: Path


@contextmanager
def served(profile: Profile | None) -> Iterator[Served]:
    """Run nginx with an object of each size, whose checksum it tells to who asks, and a sink behind it."""
    folder = Path(tempfile.mkdtemp(prefix="objstore-bench-", dir=data.folder()))
    files, sums = folder / "files", {}
    (files / data.BUCKET / "summed").mkdir(parents=True)
    (folder / "etc").mkdir()
    for size in SIZES.values():
        body = data.content(size, size)
        (files / data.BUCKET / key_of(size)).write_bytes(body)
        sums[f"/{data.BUCKET}/{key_of(size)}"] = base64.b64encode(checksum("crc64nvme", body)).decode()
    program = process.compile_c(HERE / "servers" / "origin.c", folder)
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder)
        there: Callable[..., Any] = _here
        listens, host = process.LOOPBACK, process.LOOPBACK
        if profile is not None:
            network = ending.enter_context(Network(process.compile_c(HERE / "servers" / "line.c", folder)))
            network.become(profile)
            there, listens, host = network.there, "0.0.0.0", SERVER
        listener = there(process.listening_socket)
        argv = [str(program), str(listener.fileno()), "0", "0", "swallow"]
        ending.callback(process.stop, there(process.start, argv, [listener], dict(os.environ)))
        sink = f"{process.LOOPBACK}:{process.port_of(listener)}"
        listener.close()
        nginx = there(Nginx, files, folder / "etc", listens, host, sums=sums, sink=sink)
        ending.callback(nginx.close)
        yield Served(nginx, host, folder / "etc" / "ca.pem")


def _here(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Do something on this machine."""
    return work(*args, **kwargs)


def store_for(site: Served, door: str, *, sums: bool) -> S3Store:
    """Return a store that compares and sends checksums, or does neither."""
    options: dict[str, Any] = {"allow_http": True}
    if door == "tls":
        options = {"root_certificate": site.certificate.read_bytes()}
    when: dict[str, Any] = dict.fromkeys(_SETTINGS, "when_supported" if sums else "when_required")
    return S3Store(
        data.BUCKET,
        endpoint=f"{'https' if door == 'tls' else 'http'}://{site.host}:{site.nginx.ports[door]}",
        region=data.REGION,
        access_key_id=data.ACCESS_KEY_ID,
        secret_access_key=data.SECRET_ACCESS_KEY,
        client_options=options,
        **when,
    )


_SETTINGS = ("request_checksum_calculation", "response_checksum_validation")


def work_of(row: Row, store: S3Store) -> Callable[[], None]:
    """Return what is timed."""
    if row.upload:
        body = data.content(0, TOTAL)
        return lambda: store.put("upload", body, chunk_size=row.size) and None
    keys = [key_of(row.size)] * (TOTAL // row.size)
    wanted = data.content(row.size, row.size)

    def work() -> None:
        assert bytes(store.get_many(keys, max_concurrency=16)[-1]) == wanted

    return work


def cpu_of(work: Callable[[], None]) -> float:
    """Return the CPU seconds that a call takes."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def pairs(works: tuple[Callable[[], None], Callable[[], None]], rounds: int) -> list[tuple[float, float]]:
    """Return what both took, round by round; each begins every other round."""
    for work in works:
        work()
    found = []
    for turn in range(rounds):
        order = (0, 1) if turn % 2 else (1, 0)
        took = dict(sorted((each, cpu_of(works[each])) for each in order))
        found.append((took[0], took[1]))
    return found


def line(row: Row, found: list[tuple[float, float]]) -> str:
    """Return a line of the table."""
    without, summed = (median(each) for each in zip(*found, strict=True))
    ratios = sorted(two / one for one, two in found)
    requests = TOTAL // row.size
    cells = [f"{1e9 * cpu / TOTAL:6.3f} {1e6 * cpu / requests:8.1f}" for cpu in (without, summed)]
    return f"{row.title:32} {'   '.join(cells)}   {median(ratios):.3f} ({ratios[0]:.3f} .. {ratios[-1]:.3f})"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.sums", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--rows", default="", help="only rows with one of these words, divided by commas, in their names"
    )
    networks = {profile.name: profile for profile in PROFILES}
    parser.add_argument("--over", choices=networks, help="the network that the servers are behind")
    asked = parser.parse_args()
    rows = [row for row in ROWS if any(word in row.title for word in asked.rows.split(","))]
    print(f"{'':32} {'without: ns/B, us':18} {'with: ns/B, us':16} with : without")
    try:
        with served(networks.get(asked.over)) as site:
            for row in rows:
                stores = [store_for(site, row.door, sums=sums) for sums in (False, True)]
                print(line(row, pairs((work_of(row, stores[0]), work_of(row, stores[1])), asked.rounds)), flush=True)
    except process.MissingProgramError as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
