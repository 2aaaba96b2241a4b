"""Many objects copied between two servers that fail, by four workers of which one is killed again and again.

The servers are real, each behind a proxy that breaks 5 % of the replies in every way it knows. The whole job is killed
once, too, and run again. Then every object is there with its bytes, and the manifest has each piece once.

Usage: python -m tests.kills [OBJECTS]
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import islice
from multiprocessing import active_children, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from objstore._distributed import manifest as manifests
from objstore.distributed import JobError, Manifest, Totals, copy
from objstore.store import LocalStore, S3Store
from tests.faulty_proxy import FAULTS, Fault, Plan, faulty_proxy
from tests.servers import REGION, rclone

ROOT = Path(__file__).parent.parent
SHARE = 0.05
"""Which part of the replies is broken."""

WORKERS = 4
PIECES, KILLS = 100, 8
"""Into how many pieces the work is cut, about, and how often a worker is killed."""

REFUSED = 75
"""How a runner ends that another one keeps away."""

LEASE, SEGMENT = 3.0, 0.3  # seconds: those of the library, but so that a test need not wait for a minute
AT_A_TIME = 5000


class Job(NamedTuple):
    """What a runner is told."""

    source: str
    target: str
    folder: str
    count: int
    dies: bool


# --- the objects


def sizes(count: int) -> Iterator[tuple[str, int]]:
    """Return paths, and sizes of which most are small."""
    chance = random.Random(count)
    for number in range(count):
        most = chance.choices((4 << 10, 64 << 10, 1 << 20), (90, 9, 1))[0]
        yield f"{number // 500:03}/{number:06}", chance.randrange(most)  # rclone is slow with large folders


def body(path: str, size: int) -> bytes:
    """Return what an object holds; no two that are not empty begin alike."""
    return (hashlib.sha256(path.encode()).digest() * (size // 32 + 1))[:size]


def planned(count: int) -> tuple[int, int]:
    """Return how many bytes there are, and how many a piece has."""
    total = sum(size for _, size in sizes(count))
    return total, max(total // PIECES, 1)


def store_on(endpoint: str) -> S3Store:
    return S3Store(
        "kills",
        endpoint=endpoint,
        region=REGION,
        access_key_id="tester-key-id",
        secret_access_key="tester-secret-key",
        client_options={"allow_http": True},
        retry_config={"backoff": {"init_backoff": timedelta(milliseconds=10), "max_backoff": timedelta(seconds=0.2)}},
    )


# --- servers that fail


class Broken(Plan):
    """Breaks some of the replies, by chance."""

    def __init__(self) -> None:
        super().__init__()
        self.chance = random.Random(5)
        self.requests = self.faults = 0

    def next(self) -> Fault | None:
        """Return what is to happen to a request."""
        self.requests += 1
        if self.chance.random() >= SHARE:
            return None
        self.faults += 1
        return self.chance.choice(FAULTS)


def proxy(endpoint: str, ours: Connection) -> None:
    """Run a proxy, until it is asked what it has done."""
    with faulty_proxy(endpoint, plan := Broken()) as (place, _):
        ours.send(place)
        ours.recv()
        ours.send((plan.requests, plan.faults))


@contextmanager
def failing(endpoint: str, told: list[tuple[int, int]]) -> Iterator[str]:
    """Run a proxy in a process of its own; at the end note how many requests came, and how many were broken."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=proxy, args=(endpoint, there), daemon=True)
    process.start()
    yield here.recv()
    here.send(None)
    told.append(here.recv())
    process.join()


# --- a runner


def run_job(job: Job) -> Totals:
    """Copy, and kill workers on the way; half way the whole process group, where the job is to die."""
    total, most = planned(job.count)

    def kill(done: int, planned: int, size: int) -> None:
        if job.dies and size > total / 2:
            os.killpg(0, signal.SIGKILL)
        if done % (PIECES // KILLS) == 0 and (workers := active_children()):
            os.kill(workers[done % len(workers)].pid or 0, signal.SIGKILL)

    manifests.LEASE, manifests.SEGMENT = LEASE, SEGMENT
    return copy(
        store_on(job.source),
        store_on(job.target),
        sizes(job.count),
        executor=partial(ProcessPoolExecutor, WORKERS, mp_context=get_context("fork")),
        manifest=Manifest(LocalStore(job.folder), "manifest"),
        bytes=most,
        most_in_flight=2 * WORKERS,
        new_executors=PIECES,
        progress=kill,
    )


def runner(job: Job) -> int:
    """Run a job; return how that ended."""
    try:
        print(*run_job(job), flush=True)
    except JobError as error:
        if "kept by another runner" not in str(error):
            raise
        return REFUSED
    return 0


def run_apart(job: Job) -> tuple[int, str]:
    """Run a job in a process group of its own, again while it is refused; return how it ended and what it said."""
    command = [sys.executable, "-m", "tests.kills", *map(str, job[:-1]), "dies" if job.dies else "lives"]
    while True:
        done = subprocess.run(command, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, text=True)
        if done.returncode != REFUSED:
            return done.returncode, done.stdout.strip()
        time.sleep(0.2)


# --- what is to come of it


class Found(NamedTuple):
    """What a job has come to."""

    objects: int
    size: int
    pieces: int
    runners: int
    seconds: float
    requests: int
    faults: int

    def __str__(self) -> str:
        """Return it as a sentence."""
        return (
            f"{self.objects:,} objects, {self.size:,} bytes in {self.pieces} pieces by {self.runners} runners in "
            f"{self.seconds:.0f} s; {self.faults:,} of {self.requests:,} requests were broken"
        )


def copied(count: int) -> Found:
    """Fill a server, copy all of it to another one, and check what is there then."""
    told: list[tuple[int, int]] = []
    with rclone() as source, rclone() as target, tempfile.TemporaryDirectory() as folder:
        for server in (source, target):
            server.make_bucket("kills")
        fill(store_on(source.endpoint), count)
        begun = time.monotonic()
        with failing(source.endpoint, told) as one, failing(target.endpoint, told) as other:
            job = Job(one, other, folder, count, dies=True)
            code, _ = run_apart(job)
            assert code == -signal.SIGKILL, code
            before = check_manifest(folder)
            code, said = run_apart(job._replace(dies=False))
            assert code == 0, code
        seconds = time.monotonic() - begun
        total, _ = planned(count)
        assert said == f"{count} {total}"
        check_objects(store_on(target.endpoint), count)
        pieces, size, runners = check_manifest(folder)
        assert (size, runners) == (total, 2)
        assert 0 < before[0] < pieces
        requests, faults = (sum(each) for each in zip(*told, strict=True))
        return Found(count, total, pieces, runners, seconds, requests, faults)


def groups(count: int) -> Iterator[list[tuple[str, int]]]:
    named = sizes(count)
    while group := [*islice(named, AT_A_TIME)]:
        yield group


def fill(store: S3Store, count: int) -> None:
    for group in groups(count):
        store.put_many((path, body(path, size)) for path, size in group)


def check_objects(store: S3Store, count: int) -> None:
    """Raise unless all objects are there, nothing else, and every byte is right."""
    found = {meta["path"]: meta["size"] for page in store.list() for meta in page}
    assert found == dict(sizes(count)), f"{len(found)} objects of {count}"
    for group in groups(count):
        for (path, size), got in zip(group, store.get_many([path for path, _ in group]), strict=True):
            assert bytes(got) == body(path, size), path


def check_manifest(folder: str) -> tuple[int, int, int]:
    """Return how many pieces are done, their bytes, and how many runners there were; raise if one was done twice."""
    segments = [json.loads(path.read_bytes()) for path in sorted(Path(folder, "manifest").iterdir())]
    done = [tuple(each) for segment in segments for each in segment["done"]]
    assert len({number for number, *_ in done}) == len(done)
    return len(done), sum(size for *_, size in done), len({segment["runner"] for segment in segments})


def main(arguments: list[str]) -> int:
    """Be the runner of a job, or see to one."""
    if len(arguments) > 1:
        source, target, folder, count, what = arguments
        return runner(Job(source, target, folder, int(count), what == "dies"))
    print(copied(int(arguments[0]) if arguments else 100_000))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
