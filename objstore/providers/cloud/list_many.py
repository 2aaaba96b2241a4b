"""Pages of listings under way, each of which may have to be asked for again: it may be an error, or cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from objstore.exceptions import BaseError
from objstore.http.exchange import LARGEST_DOCUMENT, Exchange
from objstore.http.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore._core import Reply
    from objstore.http.service import Service
    from objstore.interface.values import ListQuery, Page
    from objstore.plans.effects import Plan


class Listed(Protocol):
    """A bucket whose listing comes in pages."""

    service: Service
    change_headers: Mapping[str, str]

    def list_target(self, query: ListQuery) -> bytes:
        """Return path and query of a page of a listing."""

    def list_page(self, query: ListQuery, first: Reply | None = None) -> Plan[Page]:
        """Read one page of a listing, the first answer to which may be here."""


class ListMany(Exchange):
    """Pages of listings under way."""

    def __init__(self, bucket: Listed, most_in_flight: int) -> None:
        super().__init__(
            bucket.service,
            Shape("GET", bucket.change_headers),
            lambda index: self._queries[index].prefix,
            background=True,
            each=True,
            most_in_flight=most_in_flight,
            most_body=LARGEST_DOCUMENT,
        )
        self._bucket = bucket
        self._queries: list[ListQuery] = []
        self._pages: dict[int, Page] = {}
        self._untold: list[int] = []

    def ask(self, query: ListQuery) -> int:
        """Ask for one more page; return its index."""
        self._queries.append(query)
        self.add(self._bucket.list_target(query))
        return self.total - 1

    def news(self, within: float | None = None) -> Plan[None]:
        """Wait until something has changed, and read the pages that came."""
        yield from super().news(within)
        for index in super().finished():
            reply = self.reply(index)
            self.take(index)
            try:
                self._pages[index] = yield from self._bucket.list_page(self._queries[index], reply)
            except BaseError as error:
                self.errors[index] = error
            else:
                self._untold.append(index)

    def finished(self) -> list[int]:
        """Return the indexes of the pages that came since the last call."""
        indexes, self._untold = self._untold, []
        return indexes

    def page(self, index: int) -> Page:
        """Return a page that came, and let go of it."""
        return self._pages.pop(index)
