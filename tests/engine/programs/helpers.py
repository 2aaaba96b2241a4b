"""Programs with a chosen libcurl or number of helper threads."""

from __future__ import annotations

import os

from objstore._core import engine_info
from objstore.plans.run import run
from tests.engine.client import batch, settle
from tests.engine.programs.asking import good


def helpers(origin: str) -> None:
    """Print how many helper threads run after large batches, and how many threads of this process did the work."""
    for _ in range(3):
        made = batch(origin, [f"/2000/{index}" for index in range(3000)], most_in_flight=256)
        assert run(settle(made, background=True)) == {}
        assert sum(len(body or b"") for body in made.bodies()) == 6_000_000
        assert good(origin) == 60
    print(engine_info()["threads"])
    print(len(os.listdir("/proc/self/task")) - 1)


def lookups(origin: str) -> None:
    """Send requests to a host by its name, over connections that come and go; print the libcurl and how many failed."""
    failed = 0
    for number in range(20):
        close = "?close=1" if number % 2 else ""
        made = batch(origin, [f"/100/{index}{close}" for index in range(20)])
        failed += len(run(settle(made, background=number % 3 == 0)))
    print(engine_info()["libcurl_path"], failed)
