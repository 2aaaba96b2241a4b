"""What came of many requests: results and errors, in the order in which they were asked for."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from objstore.exceptions import BaseError
from objstore.interface.values import PACED
from objstore.operations.arguments import check_at_least
from objstore.operations.progress import settle

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        for index, error in exchange.errors.items():
            raise numbered(error, index)


def in_order(results: list[Any], failed: Mapping[int, BaseError], before: int = 0) -> list[Any]:
    """Put errors in the places of results; `before` is how many requests of the call came before these."""
    for index, error in failed.items():
        results[index] = numbered(error, before + index)
    return results


def numbered(error: BaseError, index: int) -> BaseError:
    """Return an error that says of which request it is; several that shared a reply share one."""
    if error.index is not None:
        error = copy(error)
    error.index = index
    return error


class Counted:
    """Have what is raised say of which request of the call it is: so many came before these."""

    __slots__ = ("_before",)

    def __init__(self, before: int) -> None:
        self._before = before

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Count those before."""
        if isinstance(error, BaseError) and error.index is not None:
            error.index += self._before
