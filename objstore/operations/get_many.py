"""Many objects and ranges in one call.

A batch goes to the engine at once, and what fails in it is retried by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, overload

from objstore._core import Bytes
from objstore.exceptions import BaseError
from objstore.interface.values import PACED
from objstore.operations.bars import called, drawn
from objstore.operations.outcomes import Counted, OnError, check_on_error, finish, in_flight_of, in_order, numbered
from objstore.operations.progress import onward
from objstore.operations.requested import Asked
from objstore.operations.rest import Rests
from objstore.plans.several import Several, given

if TYPE_CHECKING:
    from collections.abc import Collection

    from objstore.interface.provider import Fetch
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Reads
    from objstore.plans.effects import Plan
    from objstore.types import Progress, Request


COMPARED_AT_ONCE = 64
"""How many objects are compared at a time with the checksums of their parts."""


@overload
def get_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    out: Any = None,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Bytes]]: ...


@overload
def get_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    out: Any = None,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Bytes | BaseError]]: ...


@drawn
def get_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    out: Any = None,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Any]]:
    """Get many objects or ranges, in one call.

    Each request is a read of its own. What comes with a checksum is compared with it; ranges of one object may be of
    different versions of it, and are not put together to be compared with the checksum of the whole: `get_ranges` does
    both.

    Args:
        store: Where they are.
        requests: A path each, or ``(path, start, end)`` in bytes; an `end` of None is the end of the object. A fourth
            item is the ETag of the version that is meant; of another one the bytes are not given, though they may have
            been written to `out`. An iterator is read as its requests are sent, some thousands at a time.
        out: Where to put the bytes: one writable buffer that takes the ranges one behind the other; an array whose rows
            do not lie one behind the other, or a sequence of writable buffers that share no memory, with a row or
            buffer for each request. Without, memory of their own.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result, and
            nothing that succeeded is lost.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        progress: True draws a bar; a function is called ten times a second with how many are done, how many there are,
            and the bytes received.

    Returns:
        The bytes of each request, in order; with `out`, as views of it.

    Raises:
        NotFoundError: An object does not exist (and so on, with ``on_error="raise"``); its `index` says of which
            request that is.
        PreconditionError: It is not the version that is meant.
        ValueError: A request or `out` does not fit.
    """
    progress = called(progress)
    check_on_error(on_error)
    in_flight, asked = in_flight_of(max_concurrency), Asked(store, requests, out)
    results: list[Any] = []
    size = 0
    while not asked.over:
        reads = yield from asked.next()
        told = onward(progress, len(results), size)
        with Counted(len(results)):
            size += yield from _get_group(store, reads, on_error, in_flight, told, results)
    return results


def _get_group(
    store: BaseStore,
    reads: Reads,
    on_error: OnError,
    in_flight: int,
    progress: Progress | None,
    results: list[Any],
) -> Plan[int]:
    """Get some of many objects, add what came, and return how many bytes that is."""
    fetch = yield from store.provider.fetch(reads, most_in_flight=in_flight, beginnings=True)
    try:
        yield from finish(fetch, on_error, progress)
        bodies: list[Any] = fetch.bodies()
        if fetch.cuts or fetch.of_parts or reads.e_tags:
            yield from _complete(fetch, Rests(store, reads, fetch, in_flight, progress), bodies, on_error)
        results += in_order(bodies, fetch.errors, len(results))
        return fetch.bytes_received
    finally:
        fetch.close()


def _complete(fetch: Fetch, rests: Rests, bodies: list[Any], on_error: OnError) -> Plan[None]:
    """Put what is behind the beginnings of large objects and ranges in their places, and compare what is to be."""
    compared: Collection[int] = (yield from _compare(fetch, rests, bodies, on_error)) if fetch.of_parts else ()
    for index, body in enumerate(bodies):
        if body is not None and index not in compared:
            try:
                bodies[index] = yield from all_of(fetch, rests, index, body)
            except BaseError as error:
                if on_error == "raise":
                    raise numbered(error, index) from None
                fetch.errors[index] = error


def _compare(fetch: Fetch, rests: Rests, bodies: list[Any], on_error: OnError) -> Plan[set[int]]:
    """Compare objects with the checksums of their parts, and return which: each may take a question, or be got anew."""
    indexes = [index for index, body in enumerate(bodies) if body is not None and fetch.whole(index) is not None]

    def take(number: int, outcome: Bytes | Exception) -> None:
        index = indexes[number]
        if isinstance(outcome, BaseError) and on_error == "return":
            fetch.errors[index] = outcome
        elif isinstance(outcome, BaseError):
            raise numbered(outcome, index)
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            bodies[index] = outcome

    plans = (all_of(fetch, rests, index, bodies[index]) for index in indexes)
    most = rests.most_in_flight
    at_once = COMPARED_AT_ONCE if most == PACED else min(COMPARED_AT_ONCE, most)
    yield from Several(given(plans), at_once).each(take)
    return set(indexes)


def all_of(fetch: Fetch, rests: Rests, index: int, body: Bytes | None = None) -> Plan[Bytes]:
    """Return all of an object or range of which more may be to come, if it is of the version that was asked for."""
    seen = fetch.rest(index) if fetch.cuts else None
    sums = None if seen is None else fetch.sums(index)
    whole = fetch.whole(index) if fetch.of_parts else None
    body = fetch.take(index) if body is None else body
    rests.check(index)
    if whole is not None:
        return (yield from rests.compare(index, body, *whole))
    return body if seen is None else (yield from rests.read(index, body, seen, sums))
