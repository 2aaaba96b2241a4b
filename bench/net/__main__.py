"""`python -m bench.net`: over each network, the defaults beside obstore and the best of what is set by hand.

Of each way there are two figures: its first call, which finds no connection and knows nothing, and the median of those
that follow. The ratios are of the latter. A * is what is short of a bar: at most 1.3 times the best by hand, and half
of obstore's time, or nine tenths of what the line or the best of several curls bring.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bench import data
from bench.asked import add_choice
from bench.net.figures import Figures
from bench.net.network import SERVER, Network, Profile
from bench.net.rows import DEFAULT, LARGE, LARGE_BYTES, PROFILES, ROWS, ways_of
from bench.net.worker import Job, asks_of
from bench.rows import Row
from bench.runner import PROXIES
from bench.servers import process
from bench.servers.nginx import Nginx
from bench.servers.process import MissingProgramError
from bench.site import HERE

WORKER_SECONDS = 100
COLUMNS = "{:<12} {:>13} {:>13} {:>13} {:>7} {:>13} {:>4} {:>13} {:>16} {:>14} {:>13}"
HEAD = COLUMNS.format(
    "", "default", "obstore", "curls", "line", "by hand", "at",
    "default/hand", "obstore/default", "curls/default", "line/default",
)  # fmt: skip


def main() -> int:
    asked = _arguments()
    draw = None if asked.picture is None else _drawing()
    with tempfile.TemporaryDirectory(prefix="objstore-net-", dir=data.folder()) as folder:
        try:
            with served(Path(folder), asked.rows) as (network, nginx):
                measured = {}
                for profile in asked.profile:
                    network.become(profile)
                    measured[profile.name] = _measure(profile, asked.rows, nginx)
                if draw is not None:
                    draw(asked.profile, asked.rows, measured, asked.picture)
        except MissingProgramError as missing:
            print(missing, file=sys.stderr)
    return 0


def _drawing() -> Callable[..., None]:
    """Return what draws. matplotlib is heavy, and not everybody wants it; who does, learns at once if it is missing."""
    from bench.net import picture

    return picture.draw


@contextmanager
def served(folder: Path, rows: Sequence[Row]) -> Iterator[tuple[Network, Nginx]]:
    """Serve the rows' objects from the other side of a network."""
    etc = folder / "etc"
    etc.mkdir()
    with Network(process.compile_c(HERE / "servers" / "line.c", folder)) as network:
        _write(folder / "files", rows)
        nginx = network.there(Nginx, folder / "files", etc, "0.0.0.0", SERVER)  # its address comes with a profile
        try:
            yield network, nginx
        finally:
            nginx.close()


def _write(files: Path, rows: Sequence[Row]) -> None:
    (files / data.BUCKET).mkdir(parents=True)
    (files / data.BUCKET / LARGE).write_bytes(data.content(0, LARGE_BYTES))
    for row in rows:
        for index, (key, _, size) in enumerate(asks_of(row) if row.operation == "many" else ()):
            path = files / data.BUCKET / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.content(index << 32, size))


def _measure(profile: Profile, rows: Sequence[Row], nginx: Nginx) -> dict[str, Figures]:
    loss = f", {profile.loss_ppm / 10_000} % lost" if profile.loss_ppm else ""
    load = os.getloadavg()[0]
    measured: dict[str, Figures] = {}
    print(f"{profile.name}: {profile.round_trip_ms} ms, {profile.mbit} Mbit/s{loss} (load {load:.1f})\n{HEAD}")
    for row in rows:
        _seconds(
            row, DEFAULT, nginx
        )  # not counted: whoever comes first finds memory that the machine has yet to be given
        seconds = {way: _seconds(row, way, nginx) for way in ways_of(row)}
        size = sum(end - start for _, start, end in asks_of(row))
        measured[row.name] = Figures.of(seconds, size * 8 / profile.mbit / 1e6)
        print(_line(row, measured[row.name]), flush=True)
    return measured


def _seconds(row: Row, way: str, nginx: Nginx) -> list[float]:
    """Return how long each call took: none, if they failed, which is said."""
    environment = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    scheme = "https" if row.door == "tls" else "http"
    url, certificate = f"{scheme}://{SERVER}:{nginx.ports[row.door]}", nginx.folder / "ca.pem"
    job = Job(row.name, way, url, str(nginx.files), str(certificate))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.net.worker"], input=json.dumps(asdict(job)), cwd=HERE.parent,
            env=environment, capture_output=True, text=True, timeout=WORKER_SECONDS, check=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        print(f"{row.name}, {way}: not done in {WORKER_SECONDS} s", file=sys.stderr)
        return []
    except subprocess.CalledProcessError as failed:
        print(f"{row.name}, {way}: {failed.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return []
    seconds: list[float] = json.loads(done.stdout)
    return seconds


def _line(row: Row, figures: Figures) -> str:
    obstore, curls, line = figures.speed
    ways = figures.default, figures.obstore, figures.curls, f"{figures.line:.2f} s", figures.by_hand
    return COLUMNS.format(
        row.name, *map(str, ways), figures.by_hand.way, _starred(figures.of_best, reached=figures.reaches_best),
        _starred(obstore, reached=figures.reaches_others), f"{curls:.2f}", f"{line:.2f}",
    )  # fmt: skip


def _starred(ratio: float, *, reached: bool) -> str:
    return f"{ratio:.2f}{' ' if reached else '*'}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.net", description=__doc__)
    add_choice(parser, "--profile", PROFILES)
    add_choice(parser, "--rows", ROWS)
    parser.add_argument("--picture", type=Path, help="where to draw what was measured")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
