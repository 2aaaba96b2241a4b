"""Shards: stretches of a listing for many processes, disjoint and together all of it.

`shards` looks at a listing here and there and cuts it into stretches that seem to have as many objects each: whoever
does that once gives the stretches to the others. Where nobody talks to anybody, ``(index, count)`` is a stretch by a
fixed rule, which looks at nothing: so processes that start hours apart, while objects come and go, leave nothing out.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from objstore.interface.values import ListQuery
from objstore.operations.arguments import check_at_least
from objstore.operations.pages import Through, unordered
from objstore.operations.split import WORTH, Split, shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from objstore._core import Listing
    from objstore.interface.provider import Provider
    from objstore.interface.store import BaseStore
    from objstore.operations.arguments import By
    from objstore.operations.results import Rows
    from objstore.operations.split import Stretch
    from objstore.plans.effects import Plan

    Point: TypeAlias = tuple[str, float]
    """A key, and how many objects seem to lie between the point before and it, itself included."""

DIGITS = 8
"""How many hexadecimal digits the places of the fixed rule have."""

PAGES_AT_A_TIME = (8, 64)
"""How many pages are asked for at a time to find out where the keys are: the least, and the most."""

PAGES = 24
"""How many times as many pages are read at the most."""

LAST_BEFORE_SURROGATES = 0xD7FF
POINTS_OF_A_PAGE = 64
CUTS_OF_A_REST = 64
MOST_POINTS = 1 << 16


@dataclass(frozen=True, slots=True)
class Shard:
    """A stretch of the listing of a prefix: what comes after one path, up to and with another.

    Attributes:
        prefix: The prefix, as it was given.
        by: As of `list`.
        after: The path that it comes after; None: from the start.
        end: The last path that belongs to it; None: to the end.
    """

    prefix: str | None
    by: By
    after: str | None
    end: str | None


ShardInput: TypeAlias = Shard | tuple[int, int]


def stretch_of(store: BaseStore, shard: ShardInput, prefix: str | None, by: By) -> tuple[str, str | None]:
    """Return the key that a shard of a listing comes after, and its last key.

    Raises:
        ValueError: It is a shard of another listing, or there is no such one.
        TypeError: It is no shard.
    """
    if not isinstance(shard, Shard):
        return _by_rule(store.full_prefix(prefix, by), *_checked(shard))
    if (shard.prefix, shard.by) != (prefix, by):
        raise ValueError(f"{shard!r} is no shard of the listing of prefix = {prefix!r}, by = {by!r}")
    above = store.full_prefix(None)
    return "" if shard.after is None else above + shard.after, None if shard.end is None else above + shard.end


def _checked(shard: object) -> tuple[int, int]:
    if not isinstance(shard, tuple) or len(shard) != 2:
        raise TypeError(f"shard = {shard!r}: give (index, count), or one of store.shards(...)")
    index = check_at_least("the index of the shard", shard[0], 0)
    count = check_at_least("the count of shards", shard[1], 1)
    if index >= count:
        raise ValueError(f"shard = {shard!r}: the index must be below the count, from 0")
    return index, count


def _by_rule(prefix: str, index: int, count: int) -> tuple[str, str | None]:
    """Return a shard of the keys with a prefix: the cuts are evenly spaced hexadecimal numbers behind the prefix."""

    def cut(place: int) -> str:
        return prefix + f"{place * 16**DIGITS // count:0{DIGITS}x}".rstrip("0")

    return cut(index) if index else "", cut(index + 1) if index + 1 < count else None


def shards(store: BaseStore, prefix: str | None, count: int, *, by: By = "segment") -> Plan[list[Shard]]:
    """Cut a listing into stretches that have about as many objects each, as far as a look at some of its pages tells.

    Call it once, and give each process one of them: ``store.list(prefix, shard=shard)``. Objects that come later belong
    to one of them, too.

    Args:
        store: Where to look.
        prefix: Where to begin, as of `list`.
        count: How many.
        by: As of `list`.

    Returns:
        The shards, in order: small, picklable, disjoint, and together all of the listing.

    Raises:
        NotSupportedError: The service does not list its keys in order.
    """
    check_at_least("count", count, 1)
    if not store.provider.lists_in_order:
        raise unordered()
    full = store.full_prefix(prefix, by)
    points = yield from _points(store.provider, full, count)
    cuts = _even(points, count) or [_by_rule(full, index, count)[0] for index in range(1, count)]
    paths = [None, *map(store.path, cuts), None]
    return [Shard(prefix, by, after, end) for after, end in pairwise(paths)]


def _even(points: Sequence[Point], count: int) -> list[str]:
    """Return the keys that cut a listing into so many stretches of about the same weight; none of an empty one."""
    if not points:
        return []
    sums = [*accumulate(weight for _, weight in points)]
    places = (bisect_left(sums, sums[-1] * index / count) for index in range(1, count))
    return [points[min(place, len(points) - 1)][0] for place in places]


def _points(provider: Provider, prefix: str, count: int) -> Plan[list[Point]]:
    """Return how many objects lie between some keys of a listing, as far as some pages tell; or all, where each page
    costs the way to it."""
    if not provider.lists_from_anywhere:
        return (yield from _points_of_all(provider, prefix))
    least, most = PAGES_AT_A_TIME
    sample = _Sample(prefix, min(max(count, least), most))
    yield from _look_around(provider, prefix, sample)
    return sample.points()


def _points_of_all(provider: Provider, prefix: str) -> Plan[list[Point]]:
    pages = Through(provider, ListQuery(prefix=prefix), None)
    points: list[Point] = []
    while (rows := (yield from pages.next_rows())) is not None:
        points += _points_of(rows)
        if len(points) > MOST_POINTS:
            points = _thinned(points)
    return points


def _points_of(rows: Rows) -> Iterator[Point]:
    keys = rows.page.keys(0, rows.size)
    step = -(-len(keys) // POINTS_OF_A_PAGE) or 1
    for start in range(0, len(keys), step):
        some = keys[start : start + step]
        yield some[-1], len(some)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Return every second point, with the weight of two."""
    return [(points[at + 1][0], points[at][1] + points[at + 1][1]) for at in range(0, len(points) - 1, 2)] + [
        *points[len(points) & ~1 :]
    ]


def _look_around(provider: Provider, prefix: str, sample: _Sample) -> Plan[None]:
    """Read pages here and there, until enough is known."""
    listings = yield from provider.list_many(most_in_flight=sample.most)
    asked: dict[int, Stretch] = {}
    try:
        while True:
            for stretch in sample.to_ask():
                query = ListQuery(prefix, offset="" if stretch.token else stretch.after, token=stretch.token)
                asked[listings.ask(query)] = stretch
            if not asked:
                return
            yield from listings.news()
            for error in listings.errors.values():
                raise error
            for index in listings.finished():
                sample.came(asked.pop(index), listings.page(index))
    finally:
        listings.close()


class _Sample(Split):
    """The stretches of a listing, with a page of each: the longest is cut in two, again and again.

    Args:
        prefix: What every key begins with.
        most: How many pages may be asked for at a time.
    """

    def __init__(self, prefix: str, most: int) -> None:
        super().__init__(prefix, "", most)
        self._left = PAGES * most

    def to_ask(self) -> list[Stretch]:
        """Return the stretches of which a page is to be asked for now; none once enough is known."""
        free = min(self.most - sum(stretch.asked for stretch in self._stretches), self._left)
        chosen: list[Stretch] = []
        for stretch in self._longest():
            if len(chosen) >= free:
                break
            cuts = self._places(stretch)[: free - len(chosen)] if self._rest(stretch) > WORTH else []
            chosen += self._cut_one(stretch, sorted(cuts)) or [stretch]
        for stretch in chosen:
            stretch.asked = True
        self._left -= len(chosen)
        return chosen

    def _longest(self) -> list[Stretch]:
        """Return the stretches that go on, the longest first."""
        going_on = [stretch for stretch in self._stretches if not (stretch.done or stretch.asked)]
        return sorted(going_on, key=self._rest, reverse=True)

    def _rest(self, stretch: Stretch) -> float:
        return self._pages_left(stretch) if stretch.first else 0.0

    def _places(self, stretch: Stretch) -> Sequence[str]:
        """Return where to cut: in the middle; where there is no end to it, everywhere that keys branch."""
        if stretch.end is None:
            return [*chain.from_iterable(self._branches(stretch))]
        return self._gap(stretch.after, stretch.end) or self._cuts(stretch, 1)

    def _gap(self, after: str, end: str) -> list[str]:
        """Return a cut where two keys part, if no key has shown which characters there are between theirs."""
        skip = shared(after, end)
        low, high = (ord(key[skip]) if skip < len(key) else 0 for key in (after, end))
        if high - low < 2 or any(letter < chr(high) for letter in self._after(chr(low))[:1]):
            return []
        return [after[:skip] + chr(min((low + high) // 2, LAST_BEFORE_SURROGATES))]

    def _check_order(self, listing: Listing, stretch: Stretch) -> None:
        if listing.disorder(stretch.after) >= 0:
            raise unordered()

    def points(self) -> list[Point]:
        """Return how many objects there are between some keys: those that came, and what seems to be left."""
        left = [0.0 if stretch.done else self._rest(stretch) for stretch in self._stretches]
        most = max((pages for pages in left if pages < inf), default=1.0)
        points: list[Point] = []
        for stretch, pages in zip(self._stretches, left, strict=True):
            points += chain.from_iterable(map(_points_of, stretch.pages))
            points += self._expected(stretch, min(pages, most))
        return points

    def _expected(self, stretch: Stretch, pages: float) -> list[Point]:
        """Return points of what has not come of a stretch, as if it went on as it has begun."""
        if not pages:
            return []
        ends = [*self._cuts(stretch, CUTS_OF_A_REST - 1), *([] if stretch.end is None else [stretch.end])]
        weight = pages * stretch.pages[-1].size / max(len(ends), 1)
        return [(end, weight) for end in ends]
