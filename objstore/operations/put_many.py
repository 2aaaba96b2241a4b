"""Many objects written in one call, each in one request."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from objstore.operations.arguments import read_write_options
from objstore.operations.objects import EMPTY
from objstore.operations.outcomes import OnError, check_on_error, finish, in_flight_of, in_order, raise_first
from objstore.operations.progress import onward
from objstore.operations.sources import check_file, open_body

if TYPE_CHECKING:
    from objstore.exceptions import BaseError
    from objstore.interface.provider import Provider
    from objstore.interface.store import BaseStore
    from objstore.interface.values import WriteOptions
    from objstore.plans.effects import Plan
    from objstore.types import Attributes, Progress, PutInput, PutMode, PutResult

MOST_OPEN = 256
"""How many local files `put_many` has open at a time: a process may often have no more than 1024."""


@overload
def put_many(
    store: BaseStore,
    items: Iterable[tuple[str, PutInput]] | Mapping[str, PutInput],
    *,
    attributes: Attributes | None = None,
    mode: PutMode | None = None,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    progress: Progress | None = None,
) -> Plan[list[PutResult]]: ...


@overload
def put_many(
    store: BaseStore,
    items: Iterable[tuple[str, PutInput]] | Mapping[str, PutInput],
    *,
    attributes: Attributes | None = None,
    mode: PutMode | None = None,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    progress: Progress | None = None,
) -> Plan[list[PutResult | BaseError]]: ...


def put_many(
    store: BaseStore,
    items: Iterable[tuple[str, PutInput]] | Mapping[str, PutInput],
    *,
    attributes: Attributes | None = None,
    mode: PutMode | None = None,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    progress: Progress | None = None,
) -> Plan[list[Any]]:
    """Put many objects, each in one request, in one call.

    Args:
        store: Where to.
        items: Pairs of a path and its bytes (a buffer, the path of a file, a binary file), or a mapping of them.
        attributes: What to store with each.
        mode: ``"overwrite"`` or ``"create"``.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        progress: Is called ten times a second with how many are done, how many there are, and the bytes sent.

    Returns:
        The ETag and version of each, in order.
    """
    check_on_error(on_error)
    options = read_write_options(attributes, None, mode)
    pairs = items.items() if isinstance(items, Mapping) else items
    in_flight = in_flight_of(max_concurrency)
    named = [(store.exact_key(path), file) for path, file in map(_pair, pairs)]
    results: list[PutResult | BaseError] = []
    size = 0
    for group in _groups(named):
        told = onward(progress, len(results), size, len(named) - len(results) - len(group))
        size += yield from _put_group(store.provider, group, options, on_error, in_flight, told, results)
    return results


def _pair(item: Any) -> tuple[str, PutInput]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise TypeError(f"{item!r} is no pair of a path and its bytes")
    return item[0], item[1]


def _groups(items: Sequence[tuple[str, PutInput]]) -> list[list[tuple[str, PutInput]]]:
    """Cut items into groups that open a limited number of files each."""
    groups: list[list[tuple[str, PutInput]]] = [[]]
    files = 0
    for item in items:
        if isinstance(item[1], str | Path):
            check_file(item[1])
            files += 1
            if files % MOST_OPEN == 0:
                groups.append([])
        groups[-1].append(item)
    return groups


def _put_group(
    provider: Provider,
    items: Sequence[tuple[str, PutInput]],
    options: WriteOptions,
    on_error: OnError,
    in_flight: int,
    progress: Progress | None,
    results: list[PutResult | BaseError],
) -> Plan[int]:
    """Put some of many objects, add their results, and return how many bytes were sent."""
    with ExitStack() as opened:
        sources = []
        for key, file in items:
            body = open_body(file)
            if not body.in_memory:  # a callback costs more than the rest
                opened.callback(body.close)
            source = yield from body.next(sys.maxsize if body.size is None else max(body.size, 1))
            sources.append((key, source or EMPTY))
        exchange = yield from provider.put_many(sources, options, most_in_flight=in_flight)
        try:
            yield from finish(exchange, on_error, progress)
            written = exchange.results()
            raise_first(exchange, on_error)
            results += in_order(written, exchange.errors)
            return exchange.bytes_sent
        finally:
            exchange.close()
