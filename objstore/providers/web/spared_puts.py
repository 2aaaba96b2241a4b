"""Many writes under way, without those that are not to be sent: what must hold of them does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.exceptions import BaseError
    from objstore.interface.provider import PutMany
    from objstore.plans.effects import Plan
    from objstore.types import PutResult


class SparedPuts:
    """Many writes under way, some of which are refused before they are sent.

    Args:
        sent: The others, under way, in their order.
        refused: Why those are refused, by their index among all.
    """

    def __init__(self, sent: PutMany, refused: Mapping[int, BaseError]) -> None:
        self.errors: dict[int, BaseError] = {**refused}
        self.total = sent.total + len(refused)
        self._sent = sent
        self._refused = refused
        self._places = [index for index in range(self.total) if index not in refused]

    @property
    def settled(self) -> int:
        """How many are done or have failed for good."""
        return self._sent.settled + len(self._refused)

    @property
    def over(self) -> bool:
        """Whether all are."""
        return self._sent.over

    @property
    def bytes_received(self) -> int:
        """None that count."""
        return self._sent.bytes_received

    @property
    def bytes_sent(self) -> int:
        """How many bytes of bodies were sent by requests that ended well."""
        return self._sent.bytes_sent

    def news(self, within: float | None = None) -> Plan[None]:
        """Wait until something has changed."""
        yield from self._sent.news(within)
        self._note()

    def results(self) -> list[PutResult | None]:
        """Return the result of each write, in order; None where it failed."""
        results: list[PutResult | None] = [None] * self.total
        for index, result in enumerate(self._sent.results()):
            results[self._places[index]] = result
        self._note()
        return results

    def _note(self) -> None:
        self.errors |= {self._places[index]: error for index, error in self._sent.errors.items()}

    def close(self) -> None:
        """End what is still under way."""
        self._sent.close()
