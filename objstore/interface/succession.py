"""The pages of one listing, one after the other: that none comes twice, and no key.

A service may have any order, or none. Most list by the bytes of the keys, those with directories segment by segment;
that a page does not come behind the one before it, in the order that all have had so far, shows that it is one of
before, or overlaps with it. Where there is no order, and for as long as few names have come, names are compared.

Its one invariant: what is remembered does not grow with the listing, and an endless one is found out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore._core import Listing
from objstore.exceptions import CorruptResponseError
from objstore.interface.values import EPOCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.interface.values import Page

FEW = 16
"""So many names in an order are taken for a sign that it is one; as many are remembered."""


class Marks:
    """Whether something comes again in a sequence, of which one is remembered: ever later ones (Brent).

    https://maths-people.anu.edu.au/~brent/pub/pub051.html
    """

    def __init__(self) -> None:
        self.mark = ""
        self._since = 0
        self._until = 1

    def is_met(self, name: str) -> bool:
        """Tell whether this is the remembered one; a sequence that goes round meets it after a few rounds at most."""
        if name == self.mark:
            return True
        self._since += 1
        if self._since == self._until:
            self.mark, self._since, self._until = name, 0, 2 * self._until
        return False


class _Names:
    """The names in the pages, of objects or of prefixes."""

    def __init__(self, ordered: bool) -> None:
        self._orders = (ordered, ordered)  # whether all have come in the order of bytes, and in that of paths
        self._first: list[str] = []
        self._marks = Marks()
        self._last = ""
        self._count = 0

    def again(self, page: Listing) -> str | None:
        """Return a name that came before, or shows that its page did; None where there is none."""
        if not len(page):
            return None
        found = self._out_of_order(page) or self._known(page.keys(0, FEW) if any(self._orders) else page.keys())
        first, self._last = page.keys(0, 1)[0], page.keys(-1)[0]
        if self._marks.is_met(first):
            return first
        self._first += page.keys(0, FEW - len(self._first))
        self._count += len(page)
        return found

    def _known(self, names: Sequence[str]) -> str | None:
        """Return a name that is known, or comes twice here."""
        known = {*self._first, self._last}
        for name in names:
            if name in known:
                return name
            known.add(name)
        return None

    def _out_of_order(self, page: Listing) -> str | None:
        """Return the first name of a page that does not come behind the one before it; forget an order that fails."""
        if not any(self._orders):
            return None
        orders = self._also(page.orders(self._last))
        if not any(orders) and self._count >= FEW and any(self._also(page.orders())):
            return page.keys(0, 1)[0]
        self._orders = orders
        return None

    def _also(self, orders: tuple[bool, bool]) -> tuple[bool, bool]:
        return self._orders[0] and orders[0], self._orders[1] and orders[1]


class Succession:
    """The pages of one listing, as they come.

    Args:
        prefix: What is listed, for errors.
        ordered: Whether they may be in an order; that pages of a service that has none seem to be means nothing.
    """

    def __init__(self, prefix: str, *, ordered: bool = True) -> None:
        self._prefix = prefix
        self._objects = _Names(ordered)
        self._prefixes = _Names(ordered)
        self._tokens = Marks()

    def take(self, page: Page) -> Page:
        """Return the next page, if it is one that has not come.

        Raises:
            CorruptResponseError: It has come before, or a part of it.
        """
        if page.token and self._tokens.is_met(page.token):
            raise self._broken("the same token came twice, and it does not go on")
        again = self._objects.again(page.objects) or self._prefixes.again(_listed(page.common_prefixes))
        if again is not None:
            raise self._broken(f"{again!r} comes again, or out of the order in which it began")
        return page

    def _broken(self, why: str) -> CorruptResponseError:
        return CorruptResponseError(f"The listing of {self._prefix!r} is none: {why}", path=self._prefix)


def _listed(prefixes: Sequence[str]) -> Listing:
    """Return prefixes as a page of objects has its keys."""
    return Listing.of(
        {"path": prefix, "last_modified": EPOCH, "size": 0, "e_tag": None, "version": None} for prefix in prefixes
    )
