"""The metadata of many objects in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from objstore.operations.bars import called, drawn
from objstore.operations.outcomes import Counted, OnError, check_on_error, finish, in_flight_of, in_order
from objstore.operations.progress import onward
from objstore.operations.requested import Groups

if TYPE_CHECKING:
    from collections.abc import Iterable

    from objstore.exceptions import BaseError
    from objstore.interface.store import BaseStore
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta, Progress


@overload
def head_many(
    store: BaseStore,
    paths: Iterable[str],
    *,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[ObjectMeta]]: ...


@overload
def head_many(
    store: BaseStore,
    paths: Iterable[str],
    *,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[ObjectMeta | BaseError]]: ...


@drawn
def head_many(
    store: BaseStore,
    paths: Iterable[str],
    *,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Any]]:
    """Get the metadata of many objects, in one call.

    Args:
        store: Where they are.
        paths: Their paths. An iterator is read as its requests are sent, some thousands at a time.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        progress: True draws a bar; a function is called ten times a second with how many are done, how many there are,
            and the bytes received.

    Returns:
        The metadata of each object, in order.
    """
    progress = called(progress)
    check_on_error(on_error)
    in_flight, groups = in_flight_of(max_concurrency), Groups(paths)
    results: list[Any] = []
    size = 0
    while not groups.over:
        group = yield from groups.next()
        told = onward(progress, len(results), size)
        with Counted(len(results)):
            size += yield from _head_group(store, group, on_error, in_flight, told, results)
    return results


def _head_group(
    store: BaseStore,
    paths: list[str],
    on_error: OnError,
    in_flight: int,
    progress: Progress | None,
    results: list[Any],
) -> Plan[int]:
    """Get the metadata of some of many objects, add what came, and return how many bytes that took."""
    exchange = yield from store.provider.head_many(store.keys(paths), most_in_flight=in_flight)
    try:
        yield from finish(exchange, on_error, progress)
        metas = [None if meta is None else store.named(meta) for meta in exchange.metas()]
        results += in_order(metas, exchange.errors, len(results))
        return exchange.bytes_received
    finally:
        exchange.close()
