"""Many objects and ranges in one call.

A batch goes to the engine at once, and what fails in it is retried by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, overload

from objstore._core import Bytes
from objstore.exceptions import BaseError
from objstore.operations.outcomes import OnError, check_on_error, finish, in_flight_of, in_order
from objstore.operations.requested import read_requests, with_targets
from objstore.operations.rest import Rests

if TYPE_CHECKING:
    from objstore.interface.provider import Fetch
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Sums
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta, Progress, Request


@overload
def get_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    out: Any = None,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    progress: Progress | None = None,
) -> Plan[list[Bytes]]: ...


@overload
def get_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    out: Any = None,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    progress: Progress | None = None,
) -> Plan[list[Bytes | BaseError]]: ...


def get_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    out: Any = None,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    progress: Progress | None = None,
) -> Plan[list[Any]]:
    """Get many objects or ranges, in one call.

    Args:
        store: Where they are.
        requests: A path each, or ``(path, start, end)`` in bytes; an `end` of None is the end of the object.
        out: Where to put the bytes: one writable buffer that takes the ranges one behind the other, or a sequence of
            writable buffers, one for each request. Without, memory of their own.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result, and
            nothing that succeeded is lost.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        progress: Is called ten times a second with how many are done, how many there are, and the bytes received.

    Returns:
        The bytes of each request, in order; with `out`, as views of it.

    Raises:
        NotFoundError: An object does not exist (and so on, with ``on_error="raise"``).
        ValueError: A request or `out` does not fit.
    """
    check_on_error(on_error)
    reads = read_requests(store, requests)
    if out is not None:
        reads = with_targets(reads, out)
    in_flight = in_flight_of(max_concurrency)
    fetch = yield from store.provider.fetch(reads, most_in_flight=in_flight, beginnings=True)
    try:
        yield from finish(fetch, on_error, progress)
        bodies: list[Any] = in_order(fetch.bodies(), fetch.errors)
        if fetch.cuts:
            yield from _read_rests(fetch, Rests(store, reads, fetch, in_flight, progress), bodies, on_error)
        return bodies
    finally:
        fetch.close()


def _read_rests(fetch: Fetch, rests: Rests, bodies: list[Any], on_error: OnError) -> Plan[None]:
    """Put what is behind the beginnings of large objects and ranges in their places."""
    for index, body in enumerate(bodies):
        if isinstance(body, Bytes) and (meta := fetch.rest(index)) is not None:
            bodies[index] = yield from all_of(rests, index, body, meta, fetch.sums(index), on_error)


def all_of(
    rests: Rests, index: int, body: Bytes, meta: ObjectMeta, sums: Sums | None, on_error: OnError
) -> Plan[Bytes | BaseError]:
    """Return all of an object or range that has begun to come, or its error where errors are returned."""
    try:
        return (yield from rests.read(index, body, meta, sums))
    except BaseError as error:
        if on_error == "raise":
            raise
        return error
