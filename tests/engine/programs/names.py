"""Programs that reach servers by names: each line of standard input is a step, whose outcome is a line of output."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from objstore._core import Batch, ClientSettings, Kind, engine_info
from objstore.plans.run import arun, run
from tests.engine.client import PATIENT, new_batch, settle


def made(step: dict[str, Any]) -> Batch:
    settings = ClientSettings(user_agent="tests", **{**PATIENT, **step.get("settings", {})})
    count = step.get("count", 1)
    one = new_batch(step["origin"], settings=settings, most_in_flight=count)
    for index in range(count):
        one.add(f"/{index}".encode(), *step.get("range", []))
    one.seal()
    return one


def blocking(step: dict[str, Any]) -> Any:
    return outcome(one := made(step), run(settle(one)))


def background(step: dict[str, Any]) -> Any:
    return outcome(one := made(step), run(settle(one, background=True)))


def awaited(step: dict[str, Any]) -> Any:
    async def main() -> Any:
        return outcome(one := made(step), await arun(settle(one)))

    return asyncio.run(main())


def cancelled(step: dict[str, Any]) -> Any:
    one = made(step)
    one.start(background=True)
    one.wait(0.1)
    in_flight = one.in_flight
    one.close()
    return [in_flight, one.in_flight]


def passing(step: dict[str, Any]) -> None:
    """Let so many seconds pass."""
    ctypes.CDLL(None).hosts_pass(step["count"])


def in_threads(step: dict[str, Any]) -> Any:
    """Send a request from each of so many threads at once; return how many succeed, and how many loops there are."""
    all_there = threading.Barrier(step["count"])

    def one(_: int) -> bool:
        all_there.wait(60)
        return run(settle(made({**step, "count": 1}))) == {}

    with ThreadPoolExecutor(step["count"]) as pool:
        return [sum(pool.map(one, range(step["count"]))), engine_info()["loops"]]


def late(step: dict[str, Any]) -> Any:
    """Read what is late, one after the other, and quick things meanwhile; return who answered."""
    kind = Kind(step["origin"], "GET", ClientSettings(user_agent="tests", hedge=True, **PATIENT), hedged=True)

    def read(targets: list[str]) -> Batch:
        one = Batch(kind)
        for target in targets:
            one.add(target.encode())
        one.seal()
        return one

    answers = []
    for index in range(step["count"]):
        waits = read([f"/late/{index}"])
        waits.start(background=True)
        while not waits.over:
            run(settle(read(["/quick"] * 40)))
        answers += outcome(waits, run(settle(waits)))
    return answers


def in_a_child(step: dict[str, Any]) -> Any:
    child = os.fork()
    if child == 0:
        print(json.dumps(blocking(step)), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    return "forked"


def outcome(one: Batch, failed: dict[int, Any]) -> list[Any]:
    """Return the bodies, and for what failed the code and its words."""
    return [
        bytes(body).decode() if body is not None else [failed[index].curl_code, failed[index].error]
        for index, body in enumerate(one.bodies())
    ]


WAYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    function.__name__: function
    for function in (blocking, background, awaited, cancelled, passing, in_threads, late, in_a_child)
}


def steps() -> None:
    for line in sys.stdin:
        step = json.loads(line)
        print(json.dumps(WAYS[step["way"]](step)), flush=True)
