"""Turns a row into inputs: what warms up, what is timed, and the check of every byte that came back."""

from __future__ import annotations

import filecmp
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import data
from bench.rows import Row

_CHECKED_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True)
class Workload:
    """The inputs of one measurement; `check` raises AssertionError on any wrong byte."""

    warm: Any
    timed: Any
    requests: int
    """What CPU and rates are divided by: requests, ranges, or one whole operation."""
    bytes: int
    check: Callable[[Any], None]


def workload(row: Row, files: Path, share: int) -> Workload:
    """Return the inputs of a row, one in `share` of its requests where it has many."""
    return _MAKERS[row.operation](row, files, share)


def _keys(row: Row, files: Path, share: int) -> Workload:
    count = row.count // share
    keys = [data.small_key(index % data.SMALL_COUNT) for index in range(count + 2 * row.concurrency)]
    random.Random(1).shuffle(keys)
    warm, timed = keys[count:], keys[:count]

    def check(results: Sequence[Any]) -> None:
        assert len(results) == count, f"{len(results)} results of {count}"
        for key, result in zip(timed, results, strict=True):
            assert bytes(result) == expected(key), f"{key}: not its bytes"

    def expected(key: str) -> bytes:
        return data.DELAYED_BODY if row.delay else contents[key]

    contents = {key: (files / data.BUCKET / key).read_bytes() for key in set(timed)}
    return Workload(warm, timed, count, count * row.each, check)


def _ranges(row: Row, files: Path, share: int) -> Workload:
    size, rng = data.LARGE["big"], random.Random(2)
    spacing = size // row.per_call
    calls = [
        [
            index * spacing + rng.randrange(spacing // 2) if row.variant == "sparse" else rng.randrange(size - row.each)
            for index in range(row.per_call)
        ]
        for _ in range(row.count // share or 1)
    ]

    def check(results: Sequence[Sequence[Any]]) -> None:
        body = data.mapped(files, row.key)
        for starts, parts in zip(calls, results, strict=True):
            for start, part in zip(starts, parts, strict=True):
                assert bytes(part) == body[start : start + row.each], f"range at {start}: not its bytes"

    total = len(calls) * row.per_call
    return Workload([calls[0][:128]], calls, total, total * row.each, check)


def _whole(row: Row, files: Path, share: int) -> Workload:
    size = data.LARGE[row.key]

    def check(result: Any) -> None:
        got, body = np.frombuffer(result, np.uint8), np.frombuffer(data.mapped(files, row.key), np.uint8)
        assert got.size == size, f"{got.size} bytes of {size}"
        for start in range(0, size, _CHECKED_AT_ONCE):
            part = slice(start, start + _CHECKED_AT_ONCE)
            assert np.array_equal(got[part], body[part]), f"bytes from {start}: not those of {row.key}"

    return Workload(data.small_key(0), row.key, 1, size, check)


def _put(row: Row, files: Path, share: int) -> Workload:
    warm, timed = files / data.BUCKET / "warm", files / data.BUCKET / row.key
    if row.variant == "file":
        return Workload(warm, timed, 1, data.LARGE[row.key], _nothing)
    return Workload(warm.read_bytes(), timed.read_bytes(), 1, data.LARGE[row.key], _nothing)


def _list(row: Row, files: Path, share: int) -> Workload:
    count = data.HUGE_KEYS if row.variant == "huge" else data.LISTED_KEYS

    def check(result: tuple[int, str, str]) -> None:
        expected = count, data.listed_key(0), data.listed_key(count - 1)
        assert result == expected, f"listed {result}, not {expected}"

    return Workload("warm/", "listed/", 1, 0, check)


def _folder(row: Row, files: Path, share: int) -> Workload:
    keys = [(data.small_key(index), data.SMALL_BYTES) for index in range(row.count)]  # no less: one object is large
    keys.append((row.key, data.LARGE[row.key]))
    into = files.parent / "into"
    shutil.rmtree(into, ignore_errors=True)

    def check(result: Any) -> None:
        for key, _ in keys:
            assert filecmp.cmp(into / "timed" / key, files / data.BUCKET / key, shallow=False), f"{key}: not its bytes"
        shutil.rmtree(into)

    warm = [(data.small_key(index), data.SMALL_BYTES) for index in range(200)], into / "warm"
    return Workload(warm, (keys, into / "timed"), len(keys), sum(size for _, size in keys), check)


def _nothing(result: Any) -> None:
    """Of an upload the sink counts and sums the bytes, in the audited pass."""


_MAKERS: dict[str, Callable[[Row, Path, int], Workload]] = {
    "many": _keys,
    "serial": _keys,
    "tasks": _keys,
    "ranges": _ranges,
    "whole": _whole,
    "put": _put,
    "list": _list,
    "folder": _folder,
}
