"""Copies: within a store, between buckets of one service, and between stores that know nothing of each other.

The service copies where it can. Where it cannot, the bytes go through this machine, in parallel parts both ways and in
bounded memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from objstore.exceptions import BaseError, IntegrityError, ObjectChangedError
from objstore.interface.provider import OutOfReachError, alone
from objstore.interface.store import BaseStore
from objstore.interface.values import ANY, WriteOptions, carried
from objstore.operations.arguments import check_at_least, read_get_options, read_overwrite
from objstore.operations.bars import called, drawn
from objstore.operations.naming import key_of
from objstore.operations.objects import DEFAULT_CHUNK, get, put_body
from objstore.operations.outcomes import OnError, in_flight_of
from objstore.operations.requested import Groups, two_of
from objstore.operations.sources import END, Pieces
from objstore.operations.transfers import PARTS, Room, Transfers, kept_of

if TYPE_CHECKING:
    from objstore._core import Bytes
    from objstore.exceptions import BaseError
    from objstore.interface.provider import Share
    from objstore.operations.results import BytesStream, GetResult
    from objstore.operations.transfers import Expected
    from objstore.plans.effects import Plan
    from objstore.types import Listed, Progress, PutMode, UpdateVersion

PARTS_IN_FLIGHT = 12


@drawn
def copy(
    store: BaseStore,
    from_: str,
    to: str,
    *,
    overwrite: bool | UpdateVersion = True,
    if_match: str | None = None,
    to_store: BaseStore | None = None,
    progress: Progress | bool | None = None,
) -> Plan[None]:
    """Copy an object: on the server where the service can, else through this machine.

    Args:
        store: Where it is.
        from_: Its path.
        to: The path of the copy.
        overwrite: Whether the copy may replace an object; ``{"e_tag": ...}``: the one version at `to` that it may.
        if_match: The ETag of the version of `from_` that is meant. Where the service cannot see to that, the bytes go
            through this machine.
        to_store: Where the copy goes; the same store if not given.
        progress: True draws a bar; a function is called with how many parts are done, how many there are so far, and
            the bytes moved; a copy on the server calls it once.

    Raises:
        InvalidPathError: A path is none, or `from_` has a slash at an end: without it, it would name another object.
        NotFoundError: There is no such object.
        PreconditionError: It is not the version that is meant, or at `to` is not the one that may be replaced. If the
            first shows once the copy is made, as some services ignore which is meant, the error says ``maybe_applied``.
        AlreadyExistsError: There is an object at `to`, and it may not be replaced.
        NotSupportedError: It may not be replaced, or one version of it only, and the service has no known way to see to
            that: say by the setting `copy_if_not_exists` what it has.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    """
    progress = called(progress)
    other = _other(store, to_store)
    mode = read_overwrite(overwrite)
    source, target = store.exact_key(from_), (yield from key_of(other, to))
    e_tag = read_get_options({"if_match": if_match})[1].if_match
    yield from copy_key(Way(store, other, mode, if_match=e_tag), source, target, progress)


def _other(store: BaseStore, to_store: object) -> BaseStore:
    """Return the store that copies go to."""
    if to_store is not None and not isinstance(to_store, BaseStore):
        raise TypeError(f"to_store = {to_store!r}: give a store")
    return store if to_store is None else to_store


@overload
def copy_many(
    store: BaseStore,
    pairs: Iterable[tuple[str | Listed, str]] | Mapping[str, str],
    *,
    overwrite: bool = True,
    to_store: BaseStore | None = None,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[None]]: ...


@overload
def copy_many(
    store: BaseStore,
    pairs: Iterable[tuple[str | Listed, str]] | Mapping[str, str],
    *,
    overwrite: bool = True,
    to_store: BaseStore | None = None,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[BaseError | OSError | None]]: ...


@drawn
def copy_many(
    store: BaseStore,
    pairs: Iterable[tuple[str | Listed, str]] | Mapping[str, str],
    *,
    overwrite: bool = True,
    to_store: BaseStore | None = None,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Any]]:
    """Copy many objects, each as `copy` does, many at a time.

    Args:
        store: Where they are.
        pairs: The path of each and that of its copy, or a mapping of these. An iterator is read as the copies are made.
            In the place of its path, an object may be given as it was listed: a service that is not known to refuse
            what is too large for one request is then not asked how large a small one is.
        overwrite: Whether a copy may replace an object.
        to_store: Where the copies go; the same store if not given.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result.
        max_concurrency: How many requests are in flight at the most, at the source and at the target: one for each
            object under way, and more for large ones, while there is room. If not given, as many as the network has use
            for, and fit into memory where the bytes go through this machine.
        progress: True draws a bar; a function is called with how many are copied, how many there are so far, and the
            bytes that went through this machine.

    Returns:
        A None for each, in order.

    Raises:
        InvalidPathError: A path is none, or has a slash at an end.
        NotFoundError: There is no such object (and so on, with ``on_error="raise"``); its `index` says which it is.
    """
    progress = called(progress)
    kept = kept_of(on_error)
    other = _other(store, to_store)
    most = in_flight_of(max_concurrency)
    mode = read_overwrite(overwrite)
    if not isinstance(mode, str):
        raise TypeError(f"overwrite = {overwrite!r}: no version is that of many objects, give True or False")
    groups: Groups[Any] = Groups(pairs.items() if isinstance(pairs, Mapping) else pairs)
    return (yield from copy_groups(Way(store, other, mode), groups, kept, most, progress))


def copy_groups(
    way: Way, groups: Groups[Any], kept: Expected, most_in_flight: int, progress: Progress | None
) -> Plan[list[Any]]:
    """Copy many objects one way.

    Args:
        way: From where to where.
        groups: Pairs of the path of each, or the object as it was listed, and the path of its copy.
        kept: The errors that take the place of results.
        most_in_flight: How many requests may be in flight.
        progress: Is told of all of them.
    """
    store, other = way.store, way.other
    room = room_for(most_in_flight, store, other)

    def read(group: list[Any]) -> list[tuple[str, str, int | None]]:
        named = [two_of(pair, "a path and that of its copy") for pair in group]
        listed = [_as_listed(source) for source, _ in named]
        sources, targets = store.keys([path for path, _ in listed]), other.keys([target for _, target in named])
        return [*zip(sources, targets, [size for _, size in listed], strict=True)]

    def begin(pair: tuple[str, str, int | None], share: Share, told: Progress | None) -> Plan[None]:
        source, target, size = pair
        return copy_key(way._replace(share=share, parts=PARTS, room=room, size=size), source, target, told)

    return (yield from Transfers(groups, read, begin, kept, progress, room).run())


def _as_listed(source: Any) -> tuple[Any, int | None]:
    """Return the path of an object that is given by it, or as it was listed, and its size where that is told."""
    if not isinstance(source, Mapping):
        return source, None
    if not {"path", "size"} <= source.keys():
        raise TypeError(f"{source!r} is no object as it was listed: give its path, or a dict with path and size")
    return source["path"], check_at_least("size", source["size"], 0)


def room_for(asked: int, store: BaseStore, other: BaseStore) -> Room:
    """Return the room for copies."""
    origin, provider = store.provider, other.provider
    return Room(asked, provider, None if provider.can_copy_from(origin) else origin)


class Way(NamedTuple):
    """From where to where copies go.

    Args:
        store: Where the objects are.
        other: Where the copies go.
        mode: What a copy may replace.
        plain: Whether the bytes alone are copied.
        share: Tells how many parts of an object are in flight.
        parts: Of one that has to be carried, how many are read, and sent, at the most.
        if_match: The ETag of the version that is meant.
        room: What those share that are carried at the same time, if others are.
        size: How many bytes the object had when it was listed; None: nobody knows.
    """

    store: BaseStore
    other: BaseStore
    mode: PutMode = "overwrite"
    plain: bool = False
    share: Share = alone
    parts: int = PARTS_IN_FLIGHT
    if_match: str | None = None
    room: Room | None = None
    size: int | None = None


def copy_key(way: Way, source: str, target: str, progress: Progress | None) -> Plan[None]:
    """Copy the object of a key: on the server where the service can, else through this machine."""
    try:
        copied = yield from _is_copied(way, source, target)
        if not copied:
            yield from _carry_sound(way, source, target, progress)
    except BaseError as error:
        _say(error, way.store.path(source), way.other.path(target))
        raise
    if copied and progress is not None:
        progress(1, 1, 0)


def _say(error: BaseError, from_: str, to: str) -> None:
    """Have an error say from where to where something was to go, unless it does."""
    if not all(f"{path}'" in str(error) for path in (from_, to)):
        error.args = (f"From {from_!r} to {to!r}: {error}",)


def _is_copied(way: Way, source: str, target: str) -> Plan[bool]:
    """Have the service copy an object, where it can; tell whether it has."""
    origin, provider = way.store.provider, way.other.provider
    if way.plain or not provider.can_copy_from(origin):
        return False
    try:
        if way.if_match is None:
            yield from provider.copy(source, target, mode=way.mode, origin=origin, share=way.share, size=way.size)
        else:
            yield from provider.copy_if(source, target, way.if_match, mode=way.mode, origin=origin, share=way.share)
    except OutOfReachError:
        return False
    return True


def _carry_sound(way: Way, source: str, target: str, progress: Progress | None) -> Plan[None]:
    """Carry an object; once more, where its body is damaged or it was replaced, of which nothing was written then."""
    try:
        yield from _carry(way, source, target, progress)
    except (IntegrityError, ObjectChangedError) as error:
        if error.maybe_applied or way.if_match is not None:
            raise
        yield from _carry(way, source, target, None)


def _carry(way: Way, source: str, target: str, progress: Progress | None) -> Plan[None]:
    """Read an object here and write it there, a few parts at a time."""
    store = way.store.with_raw_keys()
    result = yield from get(store, store.path(source), options={"if_match": way.if_match})
    write = _write(way, result, target, progress)
    yield from write if way.room is None else way.room.holding(result.meta["size"], write)


def _write(way: Way, result: GetResult, target: str, progress: Progress | None) -> Plan[None]:
    attributes = {} if way.plain else carried(result.attributes)
    written = WriteOptions(attributes, mode=way.mode)
    with way.share(result.meta["size"], way.parts) as parts:
        body = _Remote(result._streamed(DEFAULT_CHUNK, parts * DEFAULT_CHUNK), result.meta["size"])
        try:
            yield from put_body(way.other.provider, target, body, written, None, DEFAULT_CHUNK, parts, progress)
        finally:
            body.close()


class _Remote(Pieces):
    """The body of an object elsewhere, as something to upload.

    Every part is of the same version, or reading it has failed.
    """

    def __init__(self, stream: BytesStream, size: int) -> None:
        super().__init__(_Streamed(stream), size)
        self._stream = stream

    def close(self) -> None:
        """Stop reading."""
        super().close()
        self._stream.close()


class _Streamed:
    """The pieces of a stream."""

    def __init__(self, stream: BytesStream) -> None:
        self._stream = stream
        self._here: deque[Bytes] = deque()

    def next(self, size: int) -> Plan[Any]:
        """Return the next one."""
        if not self._here:
            self._here += yield from self._stream.next_pieces()
        return self._here.popleft() if self._here else END


@drawn
def rename(
    store: BaseStore,
    from_: str,
    to: str,
    *,
    overwrite: bool | UpdateVersion = True,
    progress: Progress | bool | None = None,
) -> Plan[None]:
    """Rename an object; where the service cannot, copy it and delete the old one. Renamed to itself, it stays.

    Args:
        store: Where it is.
        from_: Its path.
        to: Its new path.
        overwrite: Whether it may replace an object; ``{"e_tag": ...}``: the one version at `to` that it may.
        progress: True draws a bar; a function is called once, with 1, 1 and 0, when it is done.

    Raises:
        InvalidPathError: A path is none, or has a slash at an end: without it, it would name another object.
        NotFoundError: There is no such object.
        AlreadyExistsError: There is an object at `to`, and it may not be replaced.
        PreconditionError: At `to` is another version than the one to be replaced.
        NotSupportedError: It may not be replaced, or one version of it only, and the service has no known way to see to
            that, as for `copy`.
    """
    progress = called(progress)
    mode = read_overwrite(overwrite)
    source, target = store.exact_key(from_), store.exact_key(to)
    try:
        if source != target:
            yield from store.provider.rename(source, target, mode=mode)
        else:
            yield from store.provider.head(source, ANY)
    except BaseError as error:
        _say(error, from_, to)
        raise
    if progress is not None:
        progress(1, 1, 0)
