"""The pages of a listing: one after the other, many at a time, and those of a stretch of the key space alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from objstore.exceptions import NotSupportedError
from objstore.interface.succession import Succession
from objstore.operations.results import Rows
from objstore.operations.split import Split

if TYPE_CHECKING:
    from objstore.interface.provider import ListMany, Provider
    from objstore.interface.values import ListQuery, Page
    from objstore.operations.split import Stretch
    from objstore.plans.effects import Plan


class OneAfterTheOther:
    """The pages of a listing, each asked for when it is wanted."""

    def __init__(self, provider: Provider, query: ListQuery) -> None:
        self._provider = provider
        self._query: ListQuery | None = query
        self._succession = Succession(query.prefix, ordered=provider.lists_in_order)

    def next_page(self) -> Plan[Page | None]:
        """Return the next page; None at the end."""
        query = self._query
        if query is None:
            return None
        page = self._succession.take((yield from self._provider.list_page(query)))
        self._query = replace(query, token=page.token, offset="") if page.token else None
        return page

    def next_rows(self) -> Plan[Rows | None]:
        """Return the rows of the next page; None at the end."""
        page = yield from self.next_page()
        return None if page is None else Rows(page.objects, len(page.objects))


class SideBySide:
    """The pages of a listing, up to its key `end`, many asked for at a time."""

    def __init__(self, provider: Provider, query: ListQuery, most: int, end: str | None = None) -> None:
        self._provider = provider
        self._query = query
        self._most = most
        self._split = Split(query.prefix, query.offset, most, end)
        self._listings: ListMany | None = None
        self._asked: dict[int, Stretch] = {}

    def next_page(self) -> Plan[Rows | None]:
        """Return the next page; None at the end."""
        if self._listings is None:
            self._listings = yield from self._provider.list_many(most_in_flight=self._most)
        while True:
            rows = self._split.take()
            for stretch in self._split.to_ask():
                query = replace(self._query, offset="" if stretch.token else stretch.after, token=stretch.token)
                self._asked[self._listings.ask(query)] = stretch
            if rows is not None or self._split.over:
                return rows
            yield from self._listings.news()
            for error in self._listings.errors.values():
                raise error
            for index in self._listings.finished():
                self._split.came(self._asked.pop(index), self._listings.page(index))


class Through:
    """The pages of a listing up to a key, each asked for when it is wanted."""

    def __init__(self, provider: Provider, query: ListQuery, end: str | None) -> None:
        self._pages = OneAfterTheOther(provider, query)
        self._last = query.offset
        self._end = end
        self._over = end is not None and end <= query.offset

    def next_rows(self) -> Plan[Rows | None]:
        """Return the rows of the next page; None at the end.

        Raises:
            NotSupportedError: The keys are in no order, so no stretch of the listing can be told from the others.
        """
        rows = None if self._over else (yield from self._pages.next_rows())
        if rows is None or not rows.size:
            return rows
        if rows.page.disorder(self._last) >= 0:
            raise unordered()
        self._last = rows.page.keys(-1)[0]
        count = rows.size if self._end is None else rows.page.through(self._end)
        self._over = count < rows.size
        return Rows(rows.page, count)


def unordered() -> NotSupportedError:
    """Return the error for a listing that cannot be shared out by its keys."""
    return NotSupportedError(
        "The service does not list its keys in the order of their bytes, so a listing cannot be cut into shards",
        hint="List it once, and share out what that finds.",
    )
