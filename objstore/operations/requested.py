"""What many reads ask for, and where their bytes go, checked before anything is sent."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from objstore._core import Buffer
from objstore.exceptions import InvalidRangeError
from objstore.interface.values import WHOLE, Range, Read, Reads, Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from objstore.interface.store import BaseStore
    from objstore.types import Request


def read_requests(store: BaseStore, requests: Iterable[Request]) -> Reads:
    """Return the requests of a bulk read, checked."""
    check_several(requests)
    paths: list[str] = []
    ranges: list[Range] = []
    for request in requests:
        if isinstance(request, str):
            paths.append(request)
            ranges.append(WHOLE)
        else:
            path, range = _ranged(request)
            paths.append(path)
            ranges.append(range)
    return Reads(store.keys(paths), ranges)


def check_several(paths: object) -> None:
    if isinstance(paths, str):
        raise TypeError(f"{paths!r} is one path: give a list, [{paths!r}]")


def _ranged(request: Any) -> tuple[str, Range]:
    try:
        path, start, end = request
        first, last = operator.index(start), -1 if end is None else operator.index(end)
    except ValueError:
        raise ValueError(f"{request!r} is no request: give a path or (path, start, end)") from None
    except TypeError:
        raise TypeError(f"{request!r} is no request: give a path or (path, start, end) in whole bytes") from None
    if end is not None and last <= first:
        raise InvalidRangeError(f"Invalid range: {request!r} is empty or reversed, end must be after start")
    if first < 0:
        raise InvalidRangeError(f"Invalid range: {request!r} begins before the object")
    return path, Range(first, last)


def with_targets(reads: Reads, out: Any) -> Reads:
    """Say for each read where its bytes go."""
    if not isinstance(out, list | tuple):
        return Reads(reads.keys, reads.ranges, _side_by_side(reads, _writable(out)))
    if len(out) != len(reads):
        raise ValueError(f"there are {len(out)} buffers in out for {len(reads)} requests")
    buffers = map(_writable, out)
    targets = [Target(buffer, 0, _room(read, len(buffer))) for read, buffer in zip(reads, buffers, strict=True)]
    return Reads(reads.keys, reads.ranges, targets)


def _writable(buffer: Any) -> Buffer:
    try:
        return Buffer(buffer, writable=True)
    except (TypeError, BufferError) as error:
        raise ValueError(
            f"out must be writable, C-contiguous buffers; {type(buffer).__name__} is not: {error}"
        ) from None


def _room(read: Read, room: int) -> int:
    """Return how many bytes a read may write, checked against what it asks for."""
    wanted = _length(read)
    if wanted is not None and wanted > room:
        raise ValueError(f"{wanted} bytes of {read.key!r} do not fit in a buffer of {room}")
    return room if wanted is None else wanted


def _length(read: Read) -> int | None:
    return read.range.end - read.range.start if read.range.end >= 0 else None


def _side_by_side(reads: Reads, out: Buffer) -> list[Target]:
    targets, at = [], 0
    for read in reads:
        length = _length(read)
        if length is None:
            raise ValueError(
                f"one buffer for all needs every length, that of {read.key!r} is open: give (path, start, end), "
                "or a buffer for each request"
            )
        targets.append(Target(out, at, length))
        at += length
    if at > len(out):
        raise ValueError(f"out has {len(out)} bytes, the requests ask for {at}")
    return targets
