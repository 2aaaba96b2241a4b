"""`python -m bench.bounds`: what is held at the most, by objstore and by obstore, with nothing set.

Memory is the growth of the peak of resident memory, in MiB; descriptors are counted from without, every few
milliseconds. Of the calls of a row that have not succeeded after 25 s, the table says how many.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench import data
from bench.asked import add_choice
from bench.bounds.rows import OBJECTS, ROWS, SIZE, Held, Row, key_of
from bench.runner import PROXIES
from bench.servers import process
from bench.servers.nginx import Nginx
from bench.servers.process import MissingProgramError
from bench.site import HERE

LIBRARIES = "objstore", "obstore"
DELAY_MS = "25", "75"


def main() -> int:
    """Print the table, and draw the picture if one is wanted."""
    asked = _arguments()
    measured: dict[str, dict[str, Held | None]] = {}
    print(f"{'':72} {'bound':>6} {'objstore':>18} {'obstore':>18}  (load {os.getloadavg()[0]:.1f})")
    with tempfile.TemporaryDirectory(prefix="objstore-bench-", dir=data.folder()) as folder:
        try:
            with served(Path(folder)) as urls:
                for row in asked.rows:
                    measured[row.name] = {name: _held(row, name, urls[bool(row.calls)]) for name in LIBRARIES}
                    print(_line(row, measured[row.name]), flush=True)
        except MissingProgramError as missing:
            print(missing, file=sys.stderr)
            return 1
    if asked.picture is not None:
        from bench.bounds import picture  # matplotlib is heavy, and not everybody wants a picture

        picture.draw(asked.rows, measured, asked.picture)
    return 0


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve the large objects, and small ones after a while; the URLs of both."""
    files, etc = folder / "files", folder / "etc"
    (files / data.BUCKET / key_of(0)).parent.mkdir(parents=True)
    etc.mkdir()
    (files / data.BUCKET / key_of(0)).write_bytes(data.content(0, SIZE))
    for index in range(1, OBJECTS):
        (files / data.BUCKET / key_of(index)).hardlink_to(files / data.BUCKET / key_of(0))
    program = process.compile_c(HERE / "servers" / "origin.c", folder)
    nginx = Nginx(files, etc)
    with process.listening_socket() as listener:
        origin = process.start([str(program), str(listener.fileno()), *DELAY_MS, "swallow"], [listener], os.environ)
        try:
            yield f"http://127.0.0.1:{nginx.ports['plain']}", f"http://127.0.0.1:{process.port_of(listener)}"
        finally:
            process.stop(origin)
            nginx.close()


def _held(row: Row, library: str, url: str) -> Held | None:
    """Run a row in a process of its own."""
    if row.name == "window" and library == "obstore":
        return None  # it has no such call
    environment = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    command = [sys.executable, "-m", "bench.bounds.worker", row.name, library, url]
    with subprocess.Popen(command, cwd=HERE.parent, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        descriptors = _most_descriptors(worker)
        assert worker.stdout is not None
        told = json.loads(worker.stdout.read())
    return Held(descriptors if row.calls else told["memory"], told["failed"])


def _most_descriptors(worker: subprocess.Popen[str]) -> int:
    """Return how many descriptors a process had at the most, once it has ended."""
    most = 0
    while worker.poll() is None:
        try:
            most = max(most, len(os.listdir(f"/proc/{worker.pid}/fd")))
        except OSError:  # it has ended meanwhile
            break
        time.sleep(0.005)
    return most


def _line(row: Row, held: Mapping[str, Held | None]) -> str:
    return f"{row.title:72} {row.bound:6} {' '.join(_cell(row, held[name]) for name in LIBRARIES)}"


def _cell(row: Row, held: Held | None) -> str:
    if held is None:
        return f"{'-':>18}"
    text = f"{held.most}, {held.failed} failed" if row.calls else f"{held.most} MiB"
    return f"{text:>18}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.bounds", description=__doc__)
    add_choice(parser, "--rows", ROWS)
    parser.add_argument("--picture", type=Path, help="where to draw what was measured")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
