"""Programs with a chosen libcurl or number of helper threads."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import objstore
from objstore._core import engine_info
from objstore.plans.run import run
from objstore.store import HTTPStore
from tests.engine.client import SETTINGS, batch, new_batch, settle
from tests.engine.programs.asking import good
from tests.engine.raw import answering, sends


def helpers(origin: str) -> None:
    """Print how many helper threads run after large batches, and how many threads of this process did the work."""
    for _ in range(3):
        made = batch(origin, [f"/2000/{index}" for index in range(3000)], most_in_flight=256)
        assert run(settle(made, background=True)) == {}
        assert sum(len(body or b"") for body in made.bodies()) == 6_000_000
        assert good(origin) == 60
    print(engine_info()["threads"])
    print(len(os.listdir("/proc/self/task")) - 1)


def few_threads(origin: str, room: str) -> None:
    """Want two helper threads where there is memory for the stacks of so many; print which run, and what came of it."""
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    stack = 2 << 20 if stack == resource.RLIM_INFINITY else stack  # as the C library has it
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(float(room) * stack), resource.RLIM_INFINITY))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        made = batch(origin, ["/5/a"])
        try:
            print(engine_info()["threads"], run(settle(made, background=True)))
        except RuntimeError as error:
            print(error, len(os.listdir("/proc/self/fd")) - before)


def lookups(origin: str) -> None:
    """Send requests to a host by its name, over connections that come and go; print the libcurl and how many failed."""
    failed = 0
    for number in range(20):
        close = "?close=1" if number % 2 else ""
        made = batch(origin, [f"/100/{index}{close}" for index in range(20)])
        failed += len(run(settle(made, background=number % 3 == 0)))
    print(engine_info()["libcurl_path"], failed)


def slow_reader(origin: str) -> None:
    """Stream an object by libcurl, slower than it comes; print its size, and how many requests are in flight then."""
    objstore.configure(http="curl")
    store = HTTPStore(origin, client_options={"allow_http": True}, retry_config={"max_retries": 0})
    size = 0
    for chunk in store.get("k", options={"read_ahead": 1}):
        size += len(chunk)
        time.sleep(0.1)
    print(size, engine_info()["origins"][origin]["in_flight"])


def carrier() -> None:
    """Print who speaks HTTP, and how a field is written that only the engine leaves as it was given."""
    with answering(sends(b"HTTP/1.1 204 No Content\r\n\r\n")) as raw:
        made = new_batch(raw.origin, "GET", SETTINGS, headers=[b"host: example.com"])
        made.add(b"/a")
        made.seal()
        run(settle(made))
        print(
            engine_info()["http"], next(line for line in raw.heads[0].decode().split("\r\n") if "example.com" in line)
        )
