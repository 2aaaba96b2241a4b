"""The operations on one object or one listing, as plans, for any provider.

Nothing here blocks or awaits. Each function is the plan of a public operation; its docstring is the public one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from objstore._core import Buffer, Bytes
from objstore.disk.room import Place
from objstore.exceptions import BaseError, InvalidRangeError, NotFoundError
from objstore.interface.values import (
    ANY,
    PACED,
    WHOLE,
    WITH_HEDGE,
    Conditions,
    Fetched,
    Range,
    Source,
    WriteOptions,
)
from objstore.operations.ahead import first_of
from objstore.operations.arguments import (
    check_at_least,
    read_get_options,
    read_read_ahead,
    read_write_options,
    span,
    spans,
)
from objstore.operations.bars import called, drawn
from objstore.operations.naming import key_of, readable_key_of
from objstore.operations.outcomes import Counted, numbered
from objstore.operations.parts import begin_parts
from objstore.operations.progress import told_of
from objstore.operations.ranges import bodies_of, lone, ranges_of
from objstore.operations.requested import Groups
from objstore.operations.results import GetResult
from objstore.operations.sources import Body, opened_body
from objstore.operations.versions import delete_one

if TYPE_CHECKING:
    from objstore.interface.provider import Provider
    from objstore.interface.store import BaseStore
    from objstore.plans.effects import Plan
    from objstore.types import (
        Attributes,
        GetOptions,
        ObjectHead,
        Progress,
        PutInput,
        PutMode,
        PutResult,
        StreamOptions,
    )

EMPTY = Source(Buffer(b""), 0)
DELETED_AT_ONCE = 20_000
"""How many keys are deleted between two reports of progress, or pages of a listing."""

DEFAULT_CHUNK = 5 << 20


@drawn
def get(
    store: BaseStore,
    path: str,
    *,
    options: GetOptions | StreamOptions | None = None,
    progress: Progress | bool | None = None,
) -> Plan[GetResult]:
    """Get an object.

    Args:
        store: Where it is.
        path: Its path.
        options: Conditions, a range, a version, ``head`` for the metadata alone, or ``read_ahead``, the most bytes that
            a stream of the body fetches before they are asked for; 64 MiB if not given.
        progress: True draws a bar; a function is called with how many parts of the body have come, how many there are,
            and their bytes: now, and as the rest is read. A stream over slow connections has more, and smaller ones.

    Returns:
        The metadata, and the body to be read once; its beginning has come already: 4 MiB, or what of them came soon (of
        a whole object at Amazon, which tells its checksum to no other request, all of what is smaller, or 1 MiB);
        64 KiB, where `read_ahead` is less than 4 MiB or `configure(memory_limit=...)` leaves less.

    Raises:
        NotFoundError: There is no such object.
        PreconditionError, NotModifiedError: A condition does not hold.
        InvalidRangeError: The range is empty, or lies outside the object.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    progress = called(progress)
    range, conditions, head_only = read_get_options(options)
    ahead = read_read_ahead(options)
    provider, key = store.provider, (yield from readable_key_of(store, path))
    if head_only:
        fetched = yield from provider.head(key, conditions)
        span = fetched.range
    else:
        fetched = yield from _first(provider, key, range, conditions, first_of(ahead))
        span = range.within(fetched.meta["size"])
        fetched = fetched._replace(body=fetched.body[: span[1] - span[0]])
    meta = store.named(fetched.meta)
    version = conditions.version or fetched.meta["version"]
    return GetResult(provider, key, meta, fetched, span, version, progress, ahead)


def _first(provider: Provider, key: str, range: Range, conditions: Conditions, most: int) -> Plan[Fetched]:
    """Read the beginning of what was asked for: all of it, where it is small."""
    start, end = range
    if range == WHOLE:
        narrow = WHOLE if provider.tells_of_wholes else Range(0, most)
    elif start < 0:
        narrow = range
    else:
        narrow = Range(start, start + most if end < 0 else min(end, start + most))
    try:
        return (yield from provider.fetch_one(key, narrow, conditions, brief=True))
    except InvalidRangeError:
        if range != WHOLE and start >= 0:
            raise
        # an empty object has no first byte, and no last ones; and some services refuse more last bytes than there are,
        # or the last ones altogether
        fetched = yield from provider.fetch_one(key, WHOLE, conditions)
        start, end = range.within(fetched.meta["size"])
        if (start, end) == fetched.range:
            return fetched
        return fetched._replace(range=(start, end), body=fetched.body[start:end], sums=None)


@drawn
def get_range(
    store: BaseStore,
    path: str,
    *,
    start: int,
    end: int | None = None,
    length: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[Bytes]:
    """Get one range of an object.

    Args:
        store: Where it is.
        path: Its path.
        start: The first byte.
        end: The byte after the last; past the end of the object, it means its end.
        length: The number of bytes, instead of `end`.
        progress: True draws a bar; a function is called ten times a second with whether it is done, 1, and the bytes
            received.

    Raises:
        NotFoundError: There is no such object.
        InvalidRangeError: The range is empty, or begins after the end of the object.
    """
    if progress is not None:
        progress = called(progress)
    wanted = span(start, end, length)
    reads = lone(store, (yield from readable_key_of(store, path)), wanted)
    return (yield from bodies_of(store, reads, WITH_HEDGE, ANY, progress))[0] or Bytes()


@drawn
def get_ranges(
    store: BaseStore,
    path: str,
    *,
    starts: Sequence[int],
    ends: Sequence[int] | None = None,
    lengths: Sequence[int] | None = None,
    coalesce: int = 1 << 20,
    if_match: str | None = None,
    out: Any = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Bytes]]:
    """Get many ranges of one object, in one call.

    Neighbours are read by one request where that costs less than two; up to 64 requests are in flight.

    Args:
        store: Where it is.
        path: Its path.
        starts: The first byte of each range.
        ends: The byte after the last of each.
        lengths: The number of bytes of each, instead of `ends`.
        coalesce: The largest gap between two ranges that may be read along with them, in bytes.
        if_match: The ETag of the version that is meant.
        out: Where to put the bytes, as in `get_many`: one writable buffer that takes the ranges one behind the other;
            an array whose rows do not lie one behind the other, or a sequence of writable buffers, with a row or buffer
            for each range. What is read together is read to there if it lies there as it does in the object; else it
            is copied as it comes, or in the end where it may be all of the object. Where the call fails, some bytes may
            have been written. Without, memory of their own.
        progress: True draws a bar; a function is called ten times a second with how many requests are done, how many
            there are, and the bytes received: those of merged ranges have the gaps between them too.

    Returns:
        The ranges, in the order asked for; with `out`, as views of it.

    Raises:
        ValueError: There are not as many ends or lengths as starts, or `out` does not fit.
        NotFoundError: There is no such object.
        InvalidRangeError: A range is empty or reversed, or begins after the end of the object.
        PreconditionError: It is not the version that is meant.
        ObjectChangedError: The object was replaced meanwhile.
    """
    progress = called(progress)
    conditions = read_get_options({"if_match": if_match})[1]
    ranges = spans(starts, ends, lengths)
    gap = check_at_least("coalesce", coalesce, 0)
    return (yield from ranges_of(store, path, ranges, conditions, gap, progress, out))


def head(store: BaseStore, path: str) -> Plan[ObjectHead]:
    """Get the metadata of an object: path, size, time, ETag and version.

    Of an archived object of S3 that is restored, or is being restored, it says so under ``restore``.

    Args:
        store: Where it is.
        path: Its path.

    Raises:
        NotFoundError: There is no such object.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    fetched = yield from store.provider.head((yield from readable_key_of(store, path)), ANY)
    found = cast("ObjectHead", store.named(fetched.meta))
    return found if fetched.restore is None else {**found, "restore": fetched.restore}


def exists(store: BaseStore, path: str) -> Plan[bool]:
    """Tell whether there is an object at a path. Any error but that there is none is raised.

    Args:
        store: Where it is.
        path: Its path.
    """
    try:
        yield from head(store, path)
    except NotFoundError:
        return False
    return True


@drawn
def put(
    store: BaseStore,
    path: str,
    file: PutInput,
    *,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    mode: PutMode | None = None,
    use_multipart: bool | None = None,
    chunk_size: int = DEFAULT_CHUNK,
    max_concurrency: int = 12,
    progress: Progress | bool | None = None,
) -> Plan[PutResult]:
    """Put an object: from memory, a file, a reader, an iterator or an async iterator.

    Memory and files are sent from where they are, without a copy; all else needs memory for `chunk_size` times
    `max_concurrency` bytes and two of an iterator's pieces at the most. Where there are no parts (web servers, or
    ``use_multipart=False``), what is more than 32 MiB, or than `configure(memory_limit=...)` leaves, is put into an
    unnamed temporary file first (in ``TMPDIR``), so that it can be sent again.

    Args:
        store: Where to.
        path: Its path.
        file: The bytes: a buffer, the path of a local file, a binary file, or an iterable of buffers.
        attributes: What to store with it: Content-Type and the like, or metadata of your own.
        tags: Tags to give it, where the store keeps tags.
        mode: ``"overwrite"``, ``"create"``, or ``{"e_tag": ...}`` for the one version that may be replaced.
        use_multipart: Whether to send it in parts, where the service takes parts; by itself above `chunk_size`.
        chunk_size: The size of a part in bytes; more where the service wants fewer or larger ones. Parts are of one
            size, as some services want them, unless what is read turns out to be more than 9,000 of them, on S3; a
            warning says so then.
        max_concurrency: How many parts are in flight.
        progress: True draws a bar; a function is called with how many parts are sent, how many there are so far, and
            the bytes sent.

    Returns:
        The ETag and the version of the new object.

    Raises:
        AlreadyExistsError: The mode is ``"create"`` and it exists.
        PreconditionError: It is not the version that may be replaced.
        SourceChangedError: The file changed while it was read.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
    """
    progress = called(progress)
    options = read_write_options(store.provider, attributes, tags, mode)
    check_at_least("chunk_size", chunk_size, 1)
    check_at_least("max_concurrency", max_concurrency, 1)
    key = yield from key_of(store, path)
    with Place() as place:
        if isinstance(file, str | Path):
            yield from place.take()
        body = yield from opened_body(file)
        try:
            return (
                yield from put_body(
                    store.provider, key, body, options, use_multipart, chunk_size, max_concurrency, progress
                )
            )
        finally:
            body.close()


def put_body(
    provider: Provider,
    key: str,
    body: Body,
    options: WriteOptions,
    use_multipart: bool | None,
    chunk: int,
    most_in_flight: int,
    progress: Progress | None = None,
) -> Plan[PutResult]:
    """Send a body in one request where it is small enough, else in parts."""
    part_size = _part_size(provider, body.size, chunk)
    if provider.most_parts == 1:
        use_multipart = False
    small = body.size is not None and body.size <= chunk
    whole = use_multipart is False or (use_multipart is None and small)
    first = yield from (body.all() if whole else body.next(part_size))
    if use_multipart is not True and (first is None or first.size < part_size or whole):
        result = yield from told_of(provider.put(key, first or EMPTY, options), progress)
        if progress is not None:
            progress(1, 1, first.size if first is not None else 0)
        return result
    begun = [first or EMPTY]
    del first  # it may be a view of much
    return (yield from send_parts(provider, key, body, begun, options, part_size, most_in_flight, progress))


def _part_size(provider: Provider, size: int | None, chunk: int) -> int:
    """Return a part size that the service takes: not too small, and not too many parts."""
    least = provider.smallest_part
    if size is not None:
        least = max(least, -(-size // provider.most_parts))
    return max(chunk, least)


def send_parts(
    provider: Provider,
    key: str,
    body: Body,
    begun: list[Source],
    options: WriteOptions,
    part_size: int,
    most_in_flight: int,
    progress: Progress | None = None,
) -> Plan[PutResult]:
    """Send a body as a multipart upload; whatever goes wrong, no part stays behind.

    The first part is taken out of `begun`: here and above, nobody holds one that has arrived.
    """
    parts = yield from begin_parts(provider, key, options, part_size, most_in_flight, progress)
    try:
        part: Source | None = begun.pop()
        while part is not None:
            yield from parts.add(part)
            part = None
            part = yield from body.next(parts.next_size)
        yield from parts.settle()
        body.check()
        return (yield from parts.complete())
    except BaseException:
        yield from parts.drop()
        raise


@drawn
def delete(
    store: BaseStore,
    paths: str | Iterable[str],
    *,
    version: str | None = None,
    if_match: str | None = None,
    progress: Progress | bool | None = None,
) -> Plan[None]:
    """Delete one object or many; S3 takes a thousand by one request.

    Args:
        store: Where they are.
        paths: A path, or paths. An object that does not exist counts as deleted, where the service says so. An iterator
            is read as its paths are sent, some thousands at a time.
        version: The one version of the object to delete for good, of `list_versions`; S3's mark of deletion is one:
            without it the object is there again. None: the object, of which a bucket may keep the versions.
        if_match: The ETag that the one object must still have, else it stays. A request whose answer is lost is not
            sent again: the error says ``maybe_applied``.
        progress: True draws a bar; a function is called with how many are deleted, how many there are, and 0.

    Raises:
        InvalidPathError: A path is none, or has a slash at an end: without it, it would name another object.
        NotSupportedError: A version is named, and the store keeps none; or an ETag, and the service has no known way to
            see to that: say by S3's setting `conditional_delete` that it has.
        PreconditionError: The object has another ETag by now.
        NotFoundError: It is gone, and an ETag is named; a few services say then what they say of another ETag, or that
            it is deleted.
        BaseError: The first error, whose `index` says of which path it is; its notes count the others. What could be
            deleted has been.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    """
    progress = called(progress)
    if version is not None or if_match is not None:
        yield from delete_one(store, paths, version, if_match)
        if progress is not None:
            progress(1, 1, 0)
        return
    if not isinstance(paths, Iterable):
        raise TypeError(f"paths is of the type {type(paths).__name__}: give one path, or several")
    groups = Groups([paths] if isinstance(paths, str) else paths)
    failed: dict[str, BaseError] = {}
    total = 0
    while not groups.over:
        group = yield from groups.next()
        with Counted(total):
            keys = store.keys(group)
        failed |= yield from _delete_group(store.provider, keys, total, progress)
        total += len(keys)
    raise_first(failed, total)


def _delete_group(
    provider: Provider, keys: Sequence[str], before: int, progress: Progress | None
) -> Plan[dict[str, BaseError]]:
    """Delete some of many objects, of which so many were before these; return what failed, by key."""
    failed: dict[str, BaseError] = {}
    size = len(keys) if progress is None else DELETED_AT_ONCE
    for start in range(0, len(keys), size or 1):
        group = keys[start : start + size]
        errors = yield from provider.delete(group, most_in_flight=PACED)
        if errors:
            failed |= {key: numbered(errors[key], before + start + at) for at, key in enumerate(group) if key in errors}
        if progress is not None:
            progress(before + start + len(group), before + len(keys), 0)
    return failed


def not_gone(failed: Mapping[str, BaseError]) -> dict[str, BaseError]:
    """Return the errors of a delete but for those of objects that somebody else has deleted first."""
    return {key: error for key, error in failed.items() if not isinstance(error, NotFoundError)}


def raise_first(failed: Mapping[str, BaseError], total: int) -> None:
    """Raise the first of the errors of a bulk delete, with a note of how many more there are."""
    for error in failed.values():
        if len(failed) > 1:
            error.add_note(f"{len(failed) - 1} more of {total} objects could not be deleted")
        raise error
