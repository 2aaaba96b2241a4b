"""Which ranges of an object to ask for together.

Two neighbours are read by one request when the gap between them costs less than a second request would, and what is
read together stays small enough that several requests can share the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from objstore._core import Bytes
from objstore.interface.values import FAST, Range, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.values import Pace

LEAST_COST = 15e-6
"""What a request costs at the least, in seconds of CPU, however near the server."""

MOST_MERGED = 8 << 20
"""The most that one request reads for several ranges, so that there are others to run beside it."""

SINGLE, OF_MANY = 256, 16
"""How many requests are sent for one range each to find out what a request costs, where that is one in so many."""


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

    def targets(self, wanted: Sequence[Target]) -> list[Target | None]:
        """Return where the body of each request goes: there, if its ranges lie there as they do in the object; else to
        memory of its own, of which nothing but its ranges is copied.

        Args:
            wanted: Where each range goes; two of one buffer do not overlap.
        """
        found: list[Target | None] = [None] * len(self.requests)
        filled = [0] * len(self.requests)
        for (index, offset, length), target in zip(self.places, wanted, strict=True):
            whole = Target(target.buffer, target.start - offset, self._size(index))
            found[index] = whole if filled[index] == 0 or _is_same(found[index], whole) else None
            filled[index] += length
        return [target if filled[index] == self._size(index) else None for index, target in enumerate(found)]

    def beside(self, targets: Sequence[Target | None]) -> int:
        """Return how many bytes go to memory of their own."""
        return sum(self._size(index) for index, target in enumerate(targets) if target is None)

    def ranges_in(self) -> list[list[int]]:
        """Return for each request the indexes of the ranges that it brings."""
        found: list[list[int]] = [[] for _ in self.requests]
        for number, (index, _, _) in enumerate(self.places):
            if index >= 0:
                found[index].append(number)
        return found

    def _size(self, index: int) -> int:
        start, end = self.requests[index]
        return end - start


def _is_same(one: Target | None, two: Target) -> bool:
    return one is not None and one.buffer is two.buffer and one.start == two.start


def cheap_gap(pace: Pace, ranges: Sequence[Range]) -> int:
    """Return the gap that costs as much to read as one more request, in bytes.

    Where all are in flight at once, one more costs nothing but the work; else it shares a round with the others, as
    far as their own bytes do not fill it.

    Args:
        pace: What the network does.
        ranges: What is wanted.
    """
    cost = max(pace.cost or 0, LEAST_COST)
    if ranges and pace.wait > cost * pace.reads:  # else a share of a round is less
        size = sum(end - start for start, end in ranges) / len(ranges)
        at_once = _at_once(pace, ranges, size)
        cost = max(cost, pace.wait / at_once - size / pace.bytes_per_second if len(ranges) > at_once else 0)
    return int(cost * pace.bytes_per_second)


def _at_once(pace: Pace, ranges: Sequence[Range], size: float) -> float:
    """Return how many reads come to be in flight: where bytes were the limit, more of those that are smaller."""
    if len(ranges) <= pace.reads or pace.reads < FAST.reads:  # fewer than that: the server has asked for it
        return pace.reads
    return max(pace.reads, min(pace.wait * pace.bytes_per_second / max(size, 1), pace.most))


def single(pace: Pace, requests: int) -> int:
    """Return how many requests are to be for one range each, so that their cost is known from then on.

    Where the network makes them wait, their cost is not to be seen, and of no matter.

    Args:
        pace: What the network does.
        requests: How many there would be without gaps that are read along.
    """
    return SINGLE if pace.cost is None and pace.wait <= FAST.wait and requests >= SINGLE * OF_MANY else 0


def coalesce(ranges: Sequence[Range], gap: int, single: int = 0) -> Merged:
    """Decide what to ask for.

    Args:
        ranges: What is wanted, in any order; empty ones ask for nothing.
        gap: The largest gap between two ranges that is read along, in bytes.
        single: How many requests at the beginning are for one range each, unless these overlap.
    """
    requests: list[Range] = []
    places = [(-1, 0, 0)] * len(ranges)
    first, last = -1, -1
    for index in sorted(range(len(ranges)), key=ranges.__getitem__):
        start, end = wanted = ranges[index]
        if end <= start:
            continue
        near = start - last <= gap and (start <= last or len(requests) > single)
        if near and requests and max(end, last) - first <= MOST_MERGED:
            last = max(end, last)
            requests[-1] = Range(first, last)
        else:
            first, last = start, end
            requests.append(wanted)
        places[index] = (len(requests) - 1, start - first, end - start)
    return Merged(requests, places)
