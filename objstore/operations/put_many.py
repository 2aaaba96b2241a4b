"""Many objects written in one call, each in one request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, overload

from objstore.disk.room import Place
from objstore.exceptions import BaseError
from objstore.operations.arguments import read_put_options, read_write_options
from objstore.operations.bars import called, drawn
from objstore.operations.objects import EMPTY
from objstore.operations.outcomes import (
    Counted,
    OnError,
    check_on_error,
    finish,
    in_flight_of,
    in_order,
    raise_first,
)
from objstore.operations.progress import onward
from objstore.operations.requested import AT_A_TIME, Groups
from objstore.operations.sources import check_file, opened_body
from objstore.plans.several import Several, given

if TYPE_CHECKING:
    from objstore.interface.store import BaseStore
    from objstore.interface.values import Source, WriteOptions
    from objstore.plans.effects import Plan
    from objstore.types import Attributes, Progress, PutInput, PutItem, PutMode, PutResult

MOST_OPEN = 256
"""How many local files `put_many` has open at a time: a process may often have no more than 1024."""

MOST_READ = 64 << 20
"""How many bytes of what has to be read first are in memory at a time."""

SMALL = MOST_READ // AT_A_TIME
"""How large an object is that counts for one."""

MOST_GROUPS = 64
"""How many groups of objects with different options are sent at a time, where nobody says how many."""

_ITEMS, _PATHS = (tuple, list), (str, Path)
_Written: TypeAlias = tuple[list[Any], int]


@overload
def put_many(
    store: BaseStore,
    items: Iterable[PutItem] | Mapping[str, PutInput],
    *,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    mode: PutMode | None = None,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[PutResult]]: ...


@overload
def put_many(
    store: BaseStore,
    items: Iterable[PutItem] | Mapping[str, PutInput],
    *,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    mode: PutMode | None = None,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[PutResult | BaseError]]: ...


@drawn
def put_many(
    store: BaseStore,
    items: Iterable[PutItem] | Mapping[str, PutInput],
    *,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    mode: PutMode | None = None,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Any]]:
    """Put many objects, each in one request, in one call.

    Args:
        store: Where to.
        items: ``(path, bytes)`` each, the bytes being a buffer, the path of a file or a binary file, or a mapping of
            such; or ``(path, bytes, options)`` with `attributes`, `tags` and `mode` of its own, in the place of those
            below. An iterator is read as its objects are sent, 64 MiB of buffers at a time.
        attributes: What to store with each.
        tags: Tags to give each, where the store keeps tags.
        mode: ``"overwrite"``, ``"create"``, or ``{"e_tag": ...}`` for the one version that may be replaced.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result.
        max_concurrency: How many requests are in flight at the most; as many as the network has use for if not given.
        progress: True draws a bar; a function is called ten times a second with how many are done, how many there are,
            and the bytes sent.

    Returns:
        The ETag and version of each, in order.
    """
    progress = called(progress)
    check_on_error(on_error)
    shared = _Shared(
        store, read_write_options(store.provider, attributes, tags, mode), on_error, in_flight_of(max_concurrency)
    )
    groups: Groups[Any] = Groups(items.items() if isinstance(items, Mapping) else items, _weight)
    results: list[PutResult | BaseError] = []
    size = 0
    while not groups.over:
        group = yield from groups.next()
        with Counted(len(results)):
            left = deque(_read_items(shared, group))
        while left:
            told = onward(progress, len(results), size)
            with Counted(len(results)):
                size += yield from _put_some(shared, left, told, results)
    return results


def _weight(item: Any) -> int:
    """Return for how many small objects one counts: its bytes are kept until they are sent."""
    try:
        return 1 + memoryview(item[1]).nbytes // SMALL
    except (TypeError, IndexError, BufferError):
        return 1


class _Shared(NamedTuple):
    """What all writes of a call share."""

    store: BaseStore
    options: WriteOptions
    on_error: OnError
    in_flight: int


class _Write(NamedTuple):
    """One of many objects to be written."""

    key: str
    file: PutInput
    options: WriteOptions


def _read_items(shared: _Shared, items: Iterable[Any]) -> list[_Write]:
    """Return what is to be written, checked."""
    writes: list[_Write] = []
    try:
        for item in items:
            writes.append(_read_item(shared, item))
    except BaseError as error:
        error.index = len(writes)
        raise
    return writes


def _read_item(shared: _Shared, item: Any) -> _Write:
    own = shared.options
    if isinstance(item, _ITEMS) and len(item) == 2:
        path, file = item
    elif isinstance(item, _ITEMS) and len(item) == 3:
        path, file, options = item
        own = _own_options(shared.store, own, options)
    else:
        raise TypeError(f"{item!r} is no pair of a path and its bytes, nor these with a dict of options")
    if isinstance(file, _PATHS):
        check_file(file)
    return _Write(shared.store.exact_key(path), file, own)


def _own_options(store: BaseStore, shared: WriteOptions, own: Any) -> WriteOptions:
    """Return the options of an object that has some of its own."""
    given = {name: value for name, value in read_put_options(own).items() if value is not None}
    read = read_write_options(store.provider, given.get("attributes"), given.get("tags"), given.get("mode"))
    return replace(shared, **{name: getattr(read, name) for name in given})


def _put_some(
    shared: _Shared, left: deque[_Write], progress: Progress | None, results: list[PutResult | BaseError]
) -> Plan[int]:
    """Put as many of the objects that are left as may be open at a time, add what came of them, and return how many
    bytes were sent."""
    with ExitStack() as opened:
        place = opened.enter_context(Place())
        items: list[tuple[str, Source]] = []
        options: list[WriteOptions] = []
        files = size = 0
        more = len(left)
        while left and files < MOST_OPEN and size < MOST_READ:
            if isinstance(left[0].file, _PATHS):
                if files and not place.more():
                    break
                if not files:
                    yield from place.take()
            key, file, own = left.popleft()
            body = yield from opened_body(file)
            if not body.in_memory:  # a callback costs more than the rest
                opened.callback(body.close)
            source = yield from body.all()
            files += isinstance(file, _PATHS)
            size += 0 if source is None or body.size is not None else source.size
            items.append((key, source or EMPTY))
            options.append(own)
        told = onward(progress, 0, 0, more - len(items))
        written, sent = yield from _put_items(shared, items, options, told)
        for at, result in enumerate(written, len(results)):
            if isinstance(result, BaseError):
                result.index = at
        results += written
        return sent


def _put_items(
    shared: _Shared, items: Sequence[tuple[str, Source]], options: Sequence[WriteOptions], progress: Progress | None
) -> Plan[_Written]:
    """Put objects: those with the same options together, all of these at the same time."""
    alike: dict[object, list[int]] = {}
    if any(own is not shared.options for own in options):
        for index, own in enumerate(options):
            alike.setdefault(_content(own), []).append(index)
    if len(alike) <= 1:
        return (yield from _put_alike(shared, items, options[0], progress))
    written = _Gathered(len(items), [*alike.values()], progress)
    plans = (_put_alike(shared, [items[at] for at in each], options[each[0]], None) for each in alike.values())
    yield from Several(given(plans), shared.in_flight or MOST_GROUPS).each(written.take)
    return written.results, written.sent


def _content(options: WriteOptions) -> object:
    """Return what is the same for the same options, in whatever order they were given; no repr: that hides secrets."""
    mode = options.mode if isinstance(options.mode, str) else frozenset(options.mode.items())
    return frozenset(options.attributes.items()), frozenset(options.tags.items()), mode


class _Gathered:
    """What came of several groups of writes, put together."""

    def __init__(self, total: int, groups: Sequence[list[int]], progress: Progress | None) -> None:
        self.results: list[Any] = [None] * total
        self.sent = 0
        self._done = 0
        self._groups = groups
        self._progress = progress

    def take(self, number: int, written: _Written | Exception) -> None:
        """Take what came of a group."""
        indexes = self._groups[number]
        if isinstance(written, Exception):
            if isinstance(written, BaseError) and written.index is not None:
                written.index = indexes[written.index]
            raise written
        results, sent = written
        for index, result in zip(indexes, results, strict=True):
            self.results[index] = result
        self.sent += sent
        self._done += len(indexes)
        if self._progress is not None:
            self._progress(self._done, len(self.results), self.sent)


def _put_alike(
    shared: _Shared, items: Sequence[tuple[str, Source]], options: WriteOptions, progress: Progress | None
) -> Plan[_Written]:
    """Put objects with the same options; return what came of each, and how many bytes were sent."""
    exchange = yield from shared.store.provider.put_many(items, options, most_in_flight=shared.in_flight)
    try:
        yield from finish(exchange, shared.on_error, progress)
        written = exchange.results()
        raise_first(exchange, shared.on_error)
        return in_order(written, exchange.errors), exchange.bytes_sent
    finally:
        exchange.close()
