"""One way to ask for a row, in a process of its own: a job comes on stdin, the seconds of each call go to stdout.

The first call finds no connection and knows nothing of the network. One more follows in any case, and others as long as
there is time. What they brought is compared, outside the clock.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import data
from bench.net.rows import CURL, DEFAULT, LARGE_BYTES, OBSTORE, OF_ONE, ROWS
from bench.peers import Target
from bench.rows import Row

LEAST_CALLS, MOST_CALLS, SECONDS = 2, 6, 2.0
PIECE = 1 << 20

Asks = list[tuple[str, int, int]]
"""Paths, and from where to where."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure and where."""

    row: str
    way: str
    url: str
    files: str
    certificate: str


def measure(job: Job) -> list[float]:
    """Run one job in this process."""
    row = next(row for row in ROWS if row.name == job.row)
    asks = asks_of(row)
    call = _call(Target(row, job.url, Path(job.certificate)), job.way, asks)
    expected = b"".join(_read(Path(job.files), ask) for ask in asks)
    seconds: list[float] = []
    while len(seconds) < LEAST_CALLS or (len(seconds) < MOST_CALLS and sum(seconds) < SECONDS):
        began = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - began)
        assert result is None or b"".join(result) == expected, f"{row.name}, {job.way}: not its bytes"
    return seconds


def asks_of(row: Row) -> Asks:
    """Return what a row asks for."""
    if row.operation == "many":
        return [(key_of(row, index), 0, row.each) for index in range(row.count)]
    if row.operation in OF_ONE:
        return [(row.key, 0, LARGE_BYTES)]
    starts = random.Random(2).sample(range(LARGE_BYTES - row.each), row.per_call)
    return [(row.key, start, start + row.each) for start in starts]


def key_of(row: Row, index: int) -> str:
    """Return the path of a small object."""
    return f"small/{row.each}/{index:05d}"


def _read(files: Path, ask: tuple[str, int, int]) -> bytes:
    path, start, end = ask
    with (files / data.BUCKET / path).open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def _call(target: Target, way: str, asks: Asks) -> Callable[[], Any]:
    if way == OBSTORE:
        return _by_obstore(target, asks)
    if way.startswith(CURL):
        return _by_curls(target, asks, int(way.removeprefix(CURL)))
    return _by_default(target, asks) if way == DEFAULT else _by_hand(target, asks, int(way))


def _by_default(target: Target, asks: Asks) -> Callable[[], Any]:
    from bench.peers.objstore import store_for

    store, row = store_for(target), target.row
    starts = [start for _, start, _ in asks]
    calls: dict[str, Callable[[], Any]] = {
        "many": lambda: store.get_many([path for path, _, _ in asks]),
        "ranges": lambda: store.get_ranges(row.key, starts=starts, lengths=[row.each] * len(starts)),
        "whole": lambda: [store.get(row.key).bytes()],
        "stream": lambda: _count(store.get(row.key).stream()),
        "file": lambda: _count(_pieces(store.open(row.key))),
    }
    return calls[row.operation]


def _pieces(file: Any) -> Iterator[Any]:
    """Read a file to its end."""
    while piece := file.read(PIECE):
        yield piece


def _count(pieces: Iterable[Any]) -> None:
    """Take one piece after the other, and keep none."""
    came = sum(map(len, pieces))
    assert came == LARGE_BYTES, f"{came} bytes"


def _by_hand(target: Target, asks: Asks, in_flight: int) -> Callable[[], Any]:
    from bench.peers.objstore import store_for

    store = store_for(target)
    requests: list[Any] = [*_parts(asks[0], in_flight)] if target.row.operation in OF_ONE else asks
    if target.row.operation == "many":
        requests = [path for path, _, _ in asks]
    return lambda: store.get_many(requests, max_concurrency=in_flight)


def _parts(ask: tuple[str, int, int], count: int) -> Iterator[tuple[str, int, int]]:
    path, start, end = ask
    size = (end - start) // count
    return ((path, at, at + size) for at in range(start, end, size))


def _by_curls(target: Target, asks: Asks, count: int) -> Callable[[], None]:
    """Have so many programs share the work, each on a connection of its own; the bytes are counted, and thrown away."""
    pieces = [*_parts(asks[0], count)] if target.row.operation in OF_ONE else asks
    scripts = ["next\n".join(_transfer(target, ask) for ask in pieces[number::count]) for number in range(count)]
    size = sum(end - start for _, start, end in asks)

    def work() -> None:
        command = ["curl", "--config", "-"]
        curls = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in scripts]
        for curl, script in zip(curls, scripts, strict=True):
            assert curl.stdin is not None
            curl.stdin.write(script)
            curl.stdin.close()
        came = sum(int(line) for curl in curls for line in curl.stdout or ())
        assert came == size, f"{target.row.name}, {count} curls: {came} bytes"
        assert not any(curl.wait() for curl in curls)

    return work


def _transfer(target: Target, ask: tuple[str, int, int]) -> str:
    """Return what curl is to do, in the words of its configuration file."""
    path, start, end = ask
    lines = [f'url = "{target.url}/{data.BUCKET}/{path}"', f'cacert = "{target.certificate}"', 'output = "/dev/null"']
    if target.row.operation != "many":
        lines.append(f'range = "{start}-{end - 1}"')
    return "\n".join([*lines, "silent", "fail", 'write-out = "%{size_download}\\n"', ""])


def _by_obstore(target: Target, asks: Asks) -> Callable[[], Any]:
    import obstore

    from bench.peers.obstore import WORKS, store_for

    key = target.row.key
    if target.row.operation in ("stream", "file"):
        store = store_for(target)
        if target.row.operation == "stream":
            return lambda: _count(obstore.get(store, key).stream())
        return lambda: _count(_pieces(obstore.open_reader(store, key)))
    calls: dict[str, Callable[[], Any]] = {
        "many": lambda: WORKS["many", "tasks"](target),
        "ranges": lambda: WORKS["ranges", "get_ranges"](target),
        "whole": lambda: WORKS["whole", "get"](target),
    }
    work = calls[target.row.operation]()
    if target.row.operation == "many":
        return lambda: work([path for path, _, _ in asks])
    if target.row.operation == "whole":
        return lambda: [work(key)]
    return lambda: work([[start for _, start, _ in asks]])[0]


if __name__ == "__main__":
    print(json.dumps(measure(Job(**json.load(sys.stdin)))))
