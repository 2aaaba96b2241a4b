"""`python -m bench.net.processes`: eight processes on one server beside one alone, over each network.

Each asks for small objects again and again. What they bring together is compared with what one does, how equal their
shares are by Jain's index, and how many connections there are by ss. One and eight take turns: rounds of both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import data
from bench.asked import add_choice
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
ROW = next(row for row in ROWS if row.name == "many_64k")


def main() -> int:
    asked = _arguments()
    if asked.work:
        work(ROW, asked.work)
        return 0
    with tempfile.TemporaryDirectory(prefix="objstore-net-", dir=data.folder()) as folder:
        try:
            with served(Path(folder), [ROW]) as (network, nginx):
                for profile in asked.profile:
                    network.become(profile)
                    for _ in range(asked.rounds):
                        for count in (1, PROCESSES):
                            _report(profile.name, *_together(count, f"http://{SERVER}:{nginx.ports[ROW.door]}"))
        except MissingProgramError as missing:
            print(missing, file=sys.stderr)
    return 0


def _together(count: int, url: str) -> tuple[list[int], int]:
    """Return how much each of so many processes has got in the second half, and the most connections meanwhile."""
    environment = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    command = [sys.executable, "-m", __spec__.name, "--work", url]
    workers = [
        subprocess.Popen(
            command, cwd=HERE.parent, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    end = time.monotonic() + SECONDS
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(f"{end}\n")
        worker.stdin.flush()
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


def _report(place: str, replies: list[int], connections: int) -> None:
    jain = sum(replies) ** 2 / max(len(replies) * sum(each**2 for each in replies), 1)
    each_second = sum(replies) / (SECONDS / 2)
    shown = f"{each_second:.0f} replies a second, Jain {jain:.3f}, {connections} connections"
    print(f"{place}, {len(replies)} processes: {shown}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.net.processes", description=__doc__)
    add_choice(parser, "--profile", PROFILES)
    parser.add_argument("--rounds", type=int, default=1, help="how often each number of processes is looked at")
    parser.add_argument("--work", metavar="URL", help=argparse.SUPPRESS)  # as one of the processes
    return parser.parse_args()


def work(row: Row, url: str) -> None:
    """Say when there is a store, be told until when to ask, and say how many replies came in the second half."""
    from bench.peers.objstore import store_for

    store = store_for(Target(row, url, Path()))
    paths = [path for path, _, _ in asks_of(row)]
    print(flush=True)
    end, replies = float(sys.stdin.readline()), 0
    while time.monotonic() < end:
        for _ in store.iter_many(paths):  # each counts when it comes: calls are long where all are slow
            replies += end - SECONDS / 2 < time.monotonic() < end
    print(replies)


if __name__ == "__main__":
    sys.exit(main())
