"""Which ranges of an object to ask for together.

Two neighbours are read by one request when the gap between them costs less than a second request would, and what is
read together stays small enough that several requests can share the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from objstore._core import Bytes
from objstore.interface.values import Range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.values import Pace

LEAST_COST = 15e-6
"""What a request costs at the least, in seconds of CPU, however near the server."""

MOST_MERGED = 8 << 20
"""The most that one request reads for several ranges, so that there are others to run beside it."""


class Merged(NamedTuple):
    """Requests, and for each range wanted where it lies: (request, offset in it, length)."""

    requests: list[Range]
    places: list[tuple[int, int, int]]

    def cut(self, bodies: Sequence[Bytes | None]) -> list[Bytes]:
        """Return each range wanted, cut from what was read, without a copy."""
        return [
            body[offset : offset + length] if index >= 0 and (body := bodies[index]) is not None else Bytes()
            for index, offset, length in self.places
        ]


def cheap_gap(pace: Pace, requests: int) -> int:
    """Return the gap that costs as much to read as one more request, in bytes.

    Where all are in flight at once, one more costs nothing but the work; else it shares a round with the others.

    Args:
        pace: What the network does.
        requests: How many there would be without gaps that are read along.
    """
    wait = pace.wait / pace.reads if requests > pace.reads else 0
    return int(max(wait, LEAST_COST) * pace.bytes_per_second)


def coalesce(ranges: Sequence[Range], gap: int) -> Merged:
    """Decide what to ask for.

    Args:
        ranges: What is wanted, in any order; empty ones ask for nothing.
        gap: The largest gap between two ranges that is read along, in bytes.
    """
    requests: list[Range] = []
    places = [(-1, 0, 0)] * len(ranges)
    first, last = -1, -1
    for index in sorted(range(len(ranges)), key=ranges.__getitem__):
        start, end = ranges[index]
        if end <= start:
            continue
        if requests and start <= last + gap and max(end, last) - first <= MOST_MERGED:
            last = max(end, last)
            requests[-1] = Range(first, last)
        else:
            first, last = start, end
            requests.append(Range(first, last))
        places[index] = (len(requests) - 1, start - first, end - start)
    return Merged(requests, places)
