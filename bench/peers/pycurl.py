"""pycurl, unsigned: a plain loop over CurlMulti in Python, the fastest that it allows without threads."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import pycurl

from bench.data import BUCKET
from bench.peers import Target, Work

Ask = tuple[str, str | None]


class Multi:
    """Up to `limit` handles on one multi, each reused for the next request as soon as it is done."""

    def __init__(self, target: Target) -> None:
        self._target, self._multi = target, pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, target.row.concurrency)
        self._idle = [handle_for(target) for _ in range(target.row.concurrency)]

    def fetch(self, asks: Sequence[Ask]) -> list[bytes]:
        results: list[bytes] = [b""] * len(asks)
        waiting = iter(enumerate(asks))
        self._fill(waiting)
        running = 1
        while running:
            self._multi.select(1.0)
            running = self._multi.perform()[1]
            _, finished, failed = self._multi.info_read()
            for handle, code, message in failed:
                raise RuntimeError(f"{handle.index}: {code} {message}")
            for handle in finished:
                results[handle.index] = handle.body.getvalue()
                self._multi.remove_handle(handle)
            self._idle.extend(finished)
            running += self._fill(waiting)
        return results

    def _fill(self, waiting: Iterable[tuple[int, Ask]]) -> int:
        started = 0
        while self._idle and (following := next(iter(waiting), None)):
            handle = self._idle.pop()
            handle.index, (key, part) = following
            aim(handle, self._target, key, part)
            self._multi.add_handle(handle)
            started += 1
        return started


def handle_for(target: Target) -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.CAINFO, str(target.certificate))
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.BUFFERSIZE, 1 << 18)
    handle.setopt(pycurl.FAILONERROR, 1)
    return handle


def aim(handle: pycurl.Curl, target: Target, key: str, part: str | None) -> None:
    handle.body = io.BytesIO()
    handle.setopt(pycurl.URL, f"{target.url}/{BUCKET}/{key}")
    handle.setopt(pycurl.WRITEDATA, handle.body)
    if part:
        handle.setopt(pycurl.RANGE, part)


def many(target: Target) -> Work:
    multi = Multi(target)
    return lambda keys: multi.fetch([(key, None) for key in keys])


def ranges(target: Target) -> Work:
    multi, row = Multi(target), target.row
    return lambda calls: [
        multi.fetch([(row.key, f"{start}-{start + row.each - 1}") for start in starts]) for starts in calls
    ]


def whole(target: Target) -> Work:
    handle = handle_for(target)

    def work(key: str) -> Any:
        aim(handle, target, key, None)
        handle.perform()
        return handle.body.getbuffer()

    return work


def serial(target: Target) -> Work:
    handle, part = handle_for(target), f"0-{target.row.each - 1}"

    def fetch(key: str) -> Any:
        aim(handle, target, key, part)
        handle.perform()
        return handle.body.getvalue()

    return lambda keys: [fetch(key) for key in keys]


WORKS = {
    ("many", "CurlMulti"): many,
    ("ranges", "CurlMulti"): ranges,
    ("whole", "perform"): whole,
    ("serial", "perform"): serial,
}
