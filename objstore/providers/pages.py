"""Pages of listings one after the other, for providers that have nothing to gain from asking for several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import BaseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.interface.values import ListQuery, Page
    from objstore.plans.effects import Plan


class OneByOne:
    """Pages of listings, each read when the one before it has come.

    Args:
        list_page: The provider's own way to read a page.
    """

    def __init__(self, list_page: Callable[[ListQuery], Plan[Page]]) -> None:
        self.errors: dict[int, BaseError] = {}
        self.total = self.settled = self.bytes_received = self.bytes_sent = 0
        self._list_page = list_page
        self._queries: list[ListQuery] = []
        self._pages: dict[int, Page] = {}
        self._untold: list[int] = []

    @property
    def over(self) -> bool:
        """Whether every page that was asked for has come."""
        return self.settled == self.total

    def ask(self, query: ListQuery) -> int:
        """Ask for one more page."""
        self._queries.append(query)
        self.total += 1
        return self.total - 1

    def news(self, within: float | None = None) -> Plan[None]:
        """Read the next page."""
        if self.over:
            return
        index = self.settled
        try:
            self._pages[index] = yield from self._list_page(self._queries[index])
            self._untold.append(index)
        except BaseError as error:
            self.errors[index] = error
        self.settled += 1

    def finished(self) -> list[int]:
        """Return the pages that came since the last call."""
        indexes, self._untold = self._untold, []
        return indexes

    def page(self, index: int) -> Page:
        """Return a page, and let go of it."""
        return self._pages.pop(index)

    def close(self) -> None:
        """Nothing is under way between two pages."""
