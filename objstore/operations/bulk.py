"""The operations on many objects, and on one object too large for one request, as plans, for any provider.

Bulk is not a loop over single operations: a batch goes to the engine at once, and what fails in it is retried by
    itself.
"""

from __future__ import annotations

import operator
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, overload

from objstore._core import Buffer, Bytes
from objstore.exceptions import BaseError, InvalidRangeError
from objstore.interface.values import PACED, WHOLE, Range, Read, Reads, Target, WriteOptions
from objstore.operations.arguments import check_at_least, read_write_options
from objstore.operations.bars import called, drawn, end, shown
from objstore.operations.naming import key_of
from objstore.operations.objects import EMPTY, put_body
from objstore.operations.progress import news, onward, settle, tell
from objstore.operations.rest import Rests
from objstore.operations.sources import check_file, open_body
from objstore.plans.run import arun, run

if TYPE_CHECKING:
    from objstore.interface.provider import Exchange, Fetch, Provider
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Sums
    from objstore.plans.effects import Plan
    from objstore.types import Attributes, ObjectMeta, Progress, PutInput, PutMode, PutResult, Request

WINDOW = 256 << 20
MOST_OPEN = 256
"""How many local files `put_many` has open at a time: a process may often have no more than 1024."""

ResultT = TypeVar("ResultT", covariant=True)
OnError: TypeAlias = Literal["raise", "return"]


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

    Args:
        store: Where they are.
        requests: A path each, or ``(path, start, end)`` in bytes; an `end` of None is the end of the object.
        out: Where to put the bytes: one writable buffer that takes the ranges one behind the other, or a sequence of
            writable buffers, one for each request. Without, memory of their own.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result, and
            nothing that succeeded is lost.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        progress: True draws a bar; a function is called ten times a second with how many are done, how many there are,
            and the bytes received.

    Returns:
        The bytes of each request, in order; with `out`, as views of it.

    Raises:
        NotFoundError: An object does not exist (and so on, with ``on_error="raise"``).
        ValueError: A request or `out` does not fit.
    """
    progress = called(progress)
    _check_on_error(on_error)
    reads = read_requests(store, requests)
    if out is not None:
        reads = with_targets(reads, out)
    in_flight = in_flight_of(max_concurrency)
    fetch = yield from store.provider.fetch(reads, most_in_flight=in_flight, beginnings=True)
    try:
        yield from _finish(fetch, on_error, progress)
        bodies: list[Any] = _in_order(fetch.bodies(), fetch.errors)
        if fetch.cuts:
            yield from _read_rests(fetch, Rests(store, reads, fetch, in_flight, progress), bodies, on_error)
        return bodies
    finally:
        fetch.close()


def _read_rests(fetch: Fetch, rests: Rests, bodies: list[Any], on_error: OnError) -> Plan[None]:
    """Put what is behind the beginnings of large objects and ranges in their places."""
    for index, body in enumerate(bodies):
        if isinstance(body, Bytes) and (meta := fetch.rest(index)) is not None:
            bodies[index] = yield from _all_of(rests, index, body, meta, fetch.sums(index), on_error)


def _all_of(
    rests: Rests, index: int, body: Bytes, meta: ObjectMeta, sums: Sums | None, on_error: OnError
) -> Plan[Bytes | BaseError]:
    """Return all of an object or range that has begun to come, or its error where errors are returned."""
    try:
        return (yield from rests.read(index, body, meta, sums))
    except BaseError as error:
        if on_error == "raise":
            raise
        return error


def read_requests(store: BaseStore, requests: Iterable[Request]) -> Reads:
    """Return the requests of a bulk read, checked."""
    _check_several(requests)
    paths: list[str] = []
    ranges: list[Range] = []
    for request in requests:
        if isinstance(request, str):
            paths.append(request)
            ranges.append(WHOLE)
        else:
            path, range = _ranged(request)
            paths.append(path)
            ranges.append(range)
    return Reads(store.keys(paths), ranges)


def _check_several(paths: object) -> None:
    if isinstance(paths, str):
        raise TypeError(f"{paths!r} is one path: give a list, [{paths!r}]")


def _ranged(request: Any) -> tuple[str, Range]:
    try:
        path, start, end = request
        first, last = operator.index(start), -1 if end is None else operator.index(end)
    except ValueError:
        raise ValueError(f"{request!r} is no request: give a path or (path, start, end)") from None
    except TypeError:
        raise TypeError(f"{request!r} is no request: give a path or (path, start, end) in whole bytes") from None
    if end is not None and last <= first:
        raise InvalidRangeError(f"Invalid range: {request!r} is empty or reversed, end must be after start")
    if first < 0:
        raise InvalidRangeError(f"Invalid range: {request!r} begins before the object")
    return path, Range(first, last)


def with_targets(reads: Reads, out: Any) -> Reads:
    """Say for each read where its bytes go."""
    if not isinstance(out, list | tuple):
        return Reads(reads.keys, reads.ranges, _side_by_side(reads, _writable(out)))
    if len(out) != len(reads):
        raise ValueError(f"there are {len(out)} buffers in out for {len(reads)} requests")
    buffers = map(_writable, out)
    targets = [Target(buffer, 0, _room(read, len(buffer))) for read, buffer in zip(reads, buffers, strict=True)]
    return Reads(reads.keys, reads.ranges, targets)


def _writable(buffer: Any) -> Buffer:
    try:
        return Buffer(buffer, writable=True)
    except (TypeError, BufferError) as error:
        raise ValueError(
            f"out must be writable, C-contiguous buffers; {type(buffer).__name__} is not: {error}"
        ) from None


def _room(read: Read, room: int) -> int:
    """Return how many bytes a read may write, checked against what it asks for."""
    wanted = _length(read)
    if wanted is not None and wanted > room:
        raise ValueError(f"{wanted} bytes of {read.key!r} do not fit in a buffer of {room}")
    return room if wanted is None else wanted


def _length(read: Read) -> int | None:
    return read.range.end - read.range.start if read.range.end >= 0 else None


def _side_by_side(reads: Reads, out: Buffer) -> list[Target]:
    targets, at = [], 0
    for read in reads:
        length = _length(read)
        if length is None:
            raise ValueError(
                f"one buffer for all needs every length, that of {read.key!r} is open: give (path, start, end), "
                "or a buffer for each request"
            )
        targets.append(Target(out, at, length))
        at += length
    if at > len(out):
        raise ValueError(f"out has {len(out)} bytes, the requests ask for {at}")
    return targets


def in_flight_of(max_concurrency: int | None) -> int:
    return PACED if max_concurrency is None else check_at_least("max_concurrency", max_concurrency, 1)


def _check_on_error(on_error: str) -> None:
    if on_error not in ("raise", "return"):
        raise ValueError(f"on_error = {on_error!r}: give 'raise' or 'return'")


def _finish(exchange: Exchange, on_error: OnError, progress: Progress | None) -> Plan[None]:
    """Wait for every request, telling how far it is; raise the first error, unless they are returned."""
    yield from settle(exchange, progress, past_errors=on_error == "return")
    _raise_first(exchange, on_error)


def _raise_first(exchange: Exchange, on_error: OnError) -> None:
    if on_error == "raise":
        for error in exchange.errors.values():
            raise error


def _in_order(results: list[Any], failed: Mapping[int, BaseError]) -> list[Any]:
    for index, error in failed.items():
        results[index] = error
    return results


class ManyResults(Generic[ResultT]):
    """The results of many reads, as they come: ``(index, bytes)``, or ``(index, error)`` where errors are returned.

    Iterate it synchronously or asynchronously. Dropped early, it ends what is under way.
    """

    def __init__(
        self,
        store: BaseStore,
        reads: Reads,
        on_error: OnError,
        in_flight: int,
        window: int,
        progress: Progress | None,
    ) -> None:
        self._store = store
        self._reads = reads
        self._on_error = on_error
        self._in_flight = in_flight
        self._window = window
        self._told = progress
        self._fetch: Fetch | None = None
        self._rests: Rests | None = None
        self._ready: list[int] = []
        self._begun: deque[int] = deque()
        self._failed: list[int] = []
        self._failures_told: set[int] = set()
        self._closed = False

    @shown
    def _next(self) -> Plan[tuple[int, Any] | None]:
        fetch, rests = yield from self._begin()
        if self._closed and not fetch.over:
            raise ValueError("These results have been closed: call iter_many again")
        while not (self._ready or self._failed):
            over = fetch.over  # asked first: what ends after this is among the finished of the next round
            tell(fetch, rests.progress)
            self._look(fetch)
            if self._ready or self._failed:
                break
            if self._begun:
                return (yield from self._large(fetch, rests, self._begun.popleft()))
            if over:
                return None
            yield from news(fetch, rests.progress)
        if self._failed:
            return self._failure(fetch, self._failed.pop())
        index = self._ready.pop()
        return index, fetch.take(index)

    def _begin(self) -> Plan[tuple[Fetch, Rests]]:
        """Return the reads, under way, and what reads the rests of large ones."""
        if self._fetch is None or self._rests is None:
            self._fetch = yield from self._store.provider.fetch(
                self._reads, most_in_flight=self._in_flight, each=True, window=self._window, beginnings=True
            )
            self._rests = Rests(self._store, self._reads, self._fetch, self._in_flight, self._told)
        return self._fetch, self._rests

    def _look(self, fetch: Fetch) -> None:
        """Note what has come since the last time: what is small, in the order to pop it, and what has but begun."""
        finished = fetch.finished()
        if fetch.cuts:
            self._begun += [index for index in finished if fetch.rest(index) is not None]
            finished = [index for index in finished if fetch.rest(index) is None]
        self._ready = finished[::-1]
        self._failed = [index for index in fetch.errors if index not in self._failures_told]
        self._failures_told.update(self._failed)

    def _large(self, fetch: Fetch, rests: Rests, index: int) -> Plan[tuple[int, Any]]:
        """Read what is behind a beginning now that it is waited for: of any size, beside what fills the window."""
        meta = fetch.rest(index)
        assert meta is not None
        sums = fetch.sums(index)
        return index, (yield from _all_of(rests, index, fetch.take(index), meta, sums, self._on_error))

    def _failure(self, fetch: Fetch, index: int) -> tuple[int, BaseError]:
        if self._on_error == "raise":
            raise fetch.errors[index]
        return index, fetch.errors[index]

    def close(self) -> None:
        """End what is under way."""
        self._closed = True
        if self._fetch is not None:
            self._fetch.close()
        end(self._told)

    def __iter__(self) -> Iterator[tuple[int, ResultT]]:
        """Yield the results as they come."""
        try:
            while (result := run(self._next())) is not None:
                yield result
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[tuple[int, ResultT]]:
        """Yield the results as they come."""
        try:
            while (result := await arun(self._next())) is not None:
                yield result
        finally:
            self.close()


@overload
def iter_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    window: int = WINDOW,
    progress: Progress | bool | None = None,
) -> ManyResults[Bytes]: ...


@overload
def iter_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    window: int = WINDOW,
    progress: Progress | bool | None = None,
) -> ManyResults[Bytes | BaseError]: ...


def iter_many(
    store: BaseStore,
    requests: Iterable[Request],
    *,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    window: int = WINDOW,
    progress: Progress | bool | None = None,
) -> ManyResults[Any]:
    """Get many objects or ranges, and give each as soon as it has come, in bounded memory.

    Args:
        store: Where they are.
        requests: A path each, or ``(path, start, end)`` in bytes; an `end` of None is the end of the object.
        on_error: ``"raise"``: the first error ends the iteration. ``"return"``: it comes in the place of the bytes.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        window: How many bytes may be in flight or have come and not been taken. Of what is larger than its share, the
            rest is read when it is waited for, beside the window.
        progress: True draws a bar; a function is called, while results are waited for, with how many requests are done,
            how many there are, and the bytes received.

    Returns:
        An iterable, and async iterable, of ``(index of the request, bytes)``.
    """
    progress = called(progress, "iter_many")
    _check_on_error(on_error)
    check_at_least("window", window, 1)
    reads, in_flight = read_requests(store, requests), in_flight_of(max_concurrency)
    return ManyResults(store, reads, on_error, in_flight, window, progress)


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
        paths: Their paths.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        progress: True draws a bar; a function is called ten times a second with how many are done, how many there are,
            and the bytes received.

    Returns:
        The metadata of each object, in order.
    """
    progress = called(progress)
    _check_on_error(on_error)
    _check_several(paths)
    keys = store.keys(list(paths))
    exchange = yield from store.provider.head_many(keys, most_in_flight=in_flight_of(max_concurrency))
    try:
        yield from _finish(exchange, on_error, progress)
        metas = [None if meta is None else store.named(meta) for meta in exchange.metas()]
        return _in_order(metas, exchange.errors)
    finally:
        exchange.close()


@overload
def put_many(
    store: BaseStore,
    items: Iterable[tuple[str, PutInput]] | Mapping[str, PutInput],
    *,
    attributes: Attributes | None = None,
    mode: PutMode | None = None,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
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
    progress: Progress | bool | None = None,
) -> Plan[list[PutResult | BaseError]]: ...


@drawn
def put_many(
    store: BaseStore,
    items: Iterable[tuple[str, PutInput]] | Mapping[str, PutInput],
    *,
    attributes: Attributes | None = None,
    mode: PutMode | None = None,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Any]]:
    """Put many objects, each in one request, in one call.

    Args:
        store: Where to.
        items: Pairs of a path and its bytes (a buffer, the path of a file, a binary file), or a mapping of them.
        attributes: What to store with each.
        mode: ``"overwrite"`` or ``"create"``.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        progress: True draws a bar; a function is called ten times a second with how many are done, how many there are,
            and the bytes sent.

    Returns:
        The ETag and version of each, in order.
    """
    progress = called(progress)
    _check_on_error(on_error)
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
            yield from _finish(exchange, on_error, progress)
            written = exchange.results()
            _raise_first(exchange, on_error)
            results += _in_order(written, exchange.errors)
            return exchange.bytes_sent
        finally:
            exchange.close()


@drawn
def upload(
    store: BaseStore,
    file: str | Path,
    path: str,
    *,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    mode: PutMode | None = None,
    chunk_size: int = 16 << 20,
    max_concurrency: int = 16,
    progress: Progress | bool | None = None,
) -> Plan[PutResult]:
    """Upload a local file, in parallel parts that are read from it as they are sent.

    Args:
        store: Where to.
        file: The local file.
        path: The path of the object.
        attributes: What to store with it.
        tags: Tags to give it, where the store keeps tags.
        mode: ``"overwrite"``, ``"create"``, or ``{"e_tag": ...}`` for the one version that may be replaced.
        chunk_size: The size of a part in bytes; smaller files are sent in one request.
        max_concurrency: How many parts are in flight.
        progress: True draws a bar; a function is called with how many parts have arrived, how many there are so far,
            and their bytes.

    Returns:
        The ETag and the version of the new object.

    Raises:
        OSError: The file cannot be read.
        SourceChangedError: It changed meanwhile.
    """
    progress = called(progress)
    check_at_least("chunk_size", chunk_size, 1)
    check_at_least("max_concurrency", max_concurrency, 1)
    options = read_write_options(attributes, tags, mode)
    key, body = (yield from key_of(store, path)), open_body(Path(file))
    try:
        return (yield from put_body(store.provider, key, body, options, None, chunk_size, max_concurrency, progress))
    finally:
        body.close()
