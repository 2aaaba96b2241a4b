"""`python -m bench.net.processes`: eight processes on one server beside one alone, over the region's network.

Each asks for small objects again and again. What they bring together is compared with what one does, how equal their
shares are by Jain's index, and how many connections there are by ss.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import data
from bench.net.__main__ import served
from bench.net.network import SERVER
from bench.net.rows import PROFILES, ROWS
from bench.net.worker import asks_of
from bench.peers import Target
from bench.rows import Row
from bench.runner import PROXIES
from bench.servers.process import MissingProgramError
from bench.site import HERE

PROCESSES, SECONDS = 8, 14.0
PROFILE = next(profile for profile in PROFILES if profile.name == "region")
ROW = next(row for row in ROWS if row.name == "many_64k")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="objstore-net-", dir=data.folder()) as folder:
        try:
            with served(Path(folder), [ROW]) as (network, nginx):
                network.become(PROFILE)
                url = f"http://{SERVER}:{nginx.ports[ROW.door]}"
                for count in (1, PROCESSES):
                    _report(*_together(count, url))
        except MissingProgramError as missing:
            print(missing, file=sys.stderr)
    return 0


def _together(count: int, url: str) -> tuple[list[int], int]:
    """Return how much each of so many processes has got in the second half, and the most connections meanwhile."""
    environment = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    end = time.monotonic() + SECONDS
    command = [sys.executable, "-m", __spec__.name, url, str(end)]
    workers = [
        subprocess.Popen(command, cwd=HERE.parent, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    connections = 0
    while time.monotonic() < end:
        time.sleep(1)
        connections = max(connections, _connections())
    return [int(worker.communicate()[0]) for worker in workers], connections


def _connections() -> int:
    shown = subprocess.run(
        ["ss", "-Htn", "state", "established", "dst", SERVER], capture_output=True, text=True, check=True
    )
    return len(shown.stdout.splitlines())


def _report(replies: list[int], connections: int) -> None:
    jain = sum(replies) ** 2 / (len(replies) * sum(each**2 for each in replies))
    each_second = sum(replies) / (SECONDS / 2)
    print(f"{len(replies)} processes: {each_second:.0f} replies a second, Jain {jain:.3f}, {connections} connections")


def work(row: Row, url: str, end: float) -> int:
    """Ask until then; return how many replies came in the second half."""
    from bench.peers.objstore import store_for

    store = store_for(Target(row, url, Path()))
    paths = [path for path, _, _ in asks_of(row)]
    replies = 0
    while time.monotonic() < end:
        store.get_many(paths)
        replies += len(paths) if time.monotonic() > end - SECONDS / 2 else 0
    return replies


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(work(ROW, sys.argv[1], float(sys.argv[2])))
        sys.exit(0)
    sys.exit(main())
