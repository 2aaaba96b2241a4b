"""What came of many requests: results and errors, in the order in which they were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from objstore.interface.values import PACED
from objstore.operations.arguments import check_at_least
from objstore.operations.progress import settle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.exceptions import BaseError
    from objstore.interface.provider import Exchange
    from objstore.plans.effects import Plan
    from objstore.types import Progress

OnError: TypeAlias = Literal["raise", "return"]


def in_flight_of(max_concurrency: int | None) -> int:
    return PACED if max_concurrency is None else check_at_least("max_concurrency", max_concurrency, 1)


def check_on_error(on_error: str) -> None:
    if on_error not in ("raise", "return"):
        raise ValueError(f"on_error = {on_error!r}: give 'raise' or 'return'")


def finish(exchange: Exchange, on_error: OnError, progress: Progress | None) -> Plan[None]:
    """Wait for every request, telling how far it is; raise the first error, unless they are returned."""
    yield from settle(exchange, progress, past_errors=on_error == "return")
    raise_first(exchange, on_error)


def raise_first(exchange: Exchange, on_error: OnError) -> None:
    if on_error == "raise":
        for error in exchange.errors.values():
            raise error


def in_order(results: list[Any], failed: Mapping[int, BaseError]) -> list[Any]:
    for index, error in failed.items():
        results[index] = error
    return results
