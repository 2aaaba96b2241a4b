"""A listing cut into stretches of the key space, so that many of its pages can be asked for at once.

Nobody knows beforehand where the keys are. So the first page is asked for alone; then, wherever a stretch turns out to
go on, it is cut behind what has come, where the keys seen so far branch. A cut in an empty part costs one request and
tells that it is empty. This module decides what to ask for; it asks nobody.

Its one invariant: the stretches lie side by side and cover the whole listing, so that their pages, taken in their
order, are the listing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from math import inf
from typing import TYPE_CHECKING

from objstore.exceptions import CorruptResponseError, NotSupportedError
from objstore.interface.succession import Marks
from objstore.operations.results import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore._core import Listing
    from objstore.interface.values import Page

HELD = 8
"""How many pages may have come and not been taken, for each that is in flight at the most."""

DIGITS = 12
"""How many characters count for the length of a stretch."""

LETTERS = 3
"""How many characters a place between two keys is written with."""

WORTH = 2.0
"""How many pages a stretch must seem to have left to be cut."""


@dataclass(eq=False, slots=True)
class Stretch:
    """A stretch of the key space: keys after `after`, up to and with `end` (None: to the end of the listing).

    It goes on by its last key, as another could; by the service's token only where a page has none.
    """

    after: str
    end: str | None
    first: str = ""
    is_cut: bool = False
    asked: bool = False
    done: bool = False
    token: str = ""
    tokens: Marks = field(default_factory=Marks)
    pages: deque[Rows] = field(default_factory=deque)


class Split:
    """The stretches of one listing.

    Args:
        prefix: What every key begins with.
        after: The key after which the listing begins.
        most: How many pages may be asked for at a time.
        end: The last key of the listing (None: to its end).
    """

    def __init__(self, prefix: str, after: str, most: int, end: str | None = None) -> None:
        self._prefix = prefix
        self.most = most
        self._stretches = [Stretch(after, end)]
        self._alphabet: Sequence[str] = ()

    @property
    def over(self) -> bool:
        """Whether the whole listing has been taken."""
        return not self._stretches

    def to_ask(self) -> list[Stretch]:
        """Return the stretches whose next page is to be asked for now."""
        free = self.most - sum(stretch.asked for stretch in self._stretches)
        room = HELD * self.most - sum(len(stretch.pages) for stretch in self._stretches)
        unfinished = [stretch for stretch in self._stretches if not stretch.done]
        if room <= 0:  # the caller takes its time, or waits for the first stretch
            unfinished = [] if self._stretches[0].pages else unfinished[: max(self.most // 4, 1)]
        chosen = [stretch for stretch in unfinished if not stretch.asked][: max(free, 0)]
        chosen += self._cut(unfinished, free - len(chosen))
        for stretch in chosen:
            stretch.asked = True
        return chosen

    def came(self, stretch: Stretch, page: Page) -> None:
        """Take a page of a stretch."""
        listing = page.objects
        stretch.asked = stretch.is_cut = False
        count = len(listing) if stretch.end is None else listing.through(stretch.end)
        if len(listing):
            stretch.first, last = listing.keys(0, 1)[0], listing.keys(-1)[0]
            self._check_order(listing, stretch)
            self._learn(listing.keys(0, 100))
        if count:
            stretch.pages.append(Rows(listing, count))
        stretch.done = count < len(listing) or not page.token
        stretch.token = "" if len(listing) or stretch.done else page.token
        if stretch.token and stretch.tokens.is_met(stretch.token):
            raise CorruptResponseError("The listing does not go on: the same token came twice")
        if not stretch.done and len(listing):
            stretch.after = last

    def take(self) -> Rows | None:
        """Return the next page of the listing, if it is here."""
        while self._stretches:
            stretch = self._stretches[0]
            if stretch.pages:
                return stretch.pages.popleft()
            if not stretch.done:
                return None
            del self._stretches[0]
        return None

    def _check_order(self, listing: Listing, stretch: Stretch) -> None:
        if listing.disorder(stretch.after) >= 0:
            raise NotSupportedError(
                "The service does not list its keys in order from where it is asked to", hint="Give max_concurrency=1."
            )

    def _learn(self, keys: Sequence[str]) -> None:
        """Add the characters of some keys to those that cuts are made of."""
        skip = len(self._prefix)
        self._alphabet = sorted(set(self._alphabet).union(*(key[skip:] for key in keys)))

    def _cut(self, stretches: Sequence[Stretch], free: int) -> list[Stretch]:
        """Cut the stretches that are known to go on, the longest first, into as many as may be asked for."""
        new: list[Stretch] = []
        lengths = {stretch: self._pages_left(stretch) for stretch in stretches if stretch.first and not stretch.is_cut}
        going_on = sorted((s for s, pages in lengths.items() if pages > WORTH), key=lengths.__getitem__, reverse=True)
        for count, stretch in enumerate(going_on):
            share = int(min(-(-(free - len(new)) // (len(going_on) - count)), lengths[stretch]))
            if share <= 0:
                break
            new += self._cut_one(stretch, self._cuts(stretch, share))
        return new

    def _cut_one(self, stretch: Stretch, cuts: Sequence[str]) -> list[Stretch]:
        ends = [*cuts[1:], stretch.end]
        new = [Stretch(cut, end) for cut, end in zip(cuts, ends, strict=True)] if cuts else []
        if new:
            stretch.end = cuts[0]
            stretch.is_cut = True  # it is cut again only once its next page has come
            at = self._stretches.index(stretch) + 1
            self._stretches[at:at] = new
        return new

    def _cuts(self, stretch: Stretch, count: int) -> Sequence[str]:
        """Return where a stretch may be cut, in order."""
        if stretch.end is None:  # one of each level in turn
            branches = chain.from_iterable(zip_longest(*self._branches(stretch)))
            return sorted(islice((cut for cut in branches if cut is not None), count))
        skip = shared(stretch.after, stretch.end)
        start, end = self._place(stretch.after[skip:]), self._place(stretch.end[skip:])
        texts = {self._text(start + (end - start) * part / (count + 1)) for part in range(1, count + 1)}
        cuts = (stretch.after[:skip] + text for text in texts)
        return sorted(cut for cut in cuts if stretch.after < cut < stretch.end)

    def _branches(self, stretch: Stretch) -> list[list[str]]:
        """Return places beside the last key that came, at each level where keys branch."""
        last = stretch.after
        common = shared(stretch.first, last)
        levels = range(len(self._prefix), min(max(common, len(self._prefix)) + 2, len(last)))
        return [[last[:at] + letter for letter in self._after(last[at])] for at in levels]

    def _after(self, letter: str) -> Sequence[str]:
        return self._alphabet[bisect_right(self._alphabet, letter) :]

    def _pages_left(self, stretch: Stretch) -> float:
        """Return how many pages a stretch may still have, if its keys go on as densely as those of its last page."""
        if stretch.end is None:
            return inf
        skip = shared(stretch.first, stretch.end)
        first, last, end = (self._place(key[skip:]) for key in (stretch.first, stretch.after, stretch.end))
        return (end - last) / (last - first) if last > first else inf

    def _place(self, text: str) -> float:
        """Return where a text lies between all that could be, from 0 to 1."""
        base = len(self._alphabet) + 1
        letters = enumerate(text[:DIGITS], 1)
        return sum(((bisect_left(self._alphabet, letter) + 1) / base**at for at, letter in letters), 0.0)

    def _text(self, place: float) -> str:
        """Return a short text that lies at a place."""
        text, base = "", len(self._alphabet) + 1
        for _ in range(LETTERS):
            digit, place = divmod(place * base, 1)
            if not digit:
                break
            text += self._alphabet[int(digit) - 1]
        return text


def shared(one: str, other: str) -> int:
    """Return how many characters two keys have in common at their beginning."""
    differ = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differ, min(len(one), len(other)))
