"""The bytes of files: read whole or in ranges, written, and deleted, as plans. Many at once are one batch.

Ranges are those of Python's slices: a negative bound counts from the end, None is the beginning or the end, and what
lies beyond the end is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from objstore._fsspec import folders
from objstore._fsspec.listing import Info, at_once, by_bucket, info, is_folder, is_mark, missing
from objstore._fsspec.patterns import expand
from objstore.exceptions import BaseError, InvalidRangeError
from objstore.interface.values import ANY, PACED, Range
from objstore.operations import listing, objects
from objstore.operations.coalesce import cheap_gap, coalesce
from objstore.operations.get_many import get_many
from objstore.operations.pieces import changed
from objstore.operations.progress import settle
from objstore.operations.put_many import put_many
from objstore.settings.paths import outermost

if TYPE_CHECKING:
    import os

    from objstore._core import Bytes
    from objstore._fsspec.filesystem import FileSystem
    from objstore.plans.effects import Plan
    from objstore.store import Store
    from objstore.types import Buffer, GetOptions, PutResult

Mode: TypeAlias = Literal["overwrite", "create"]
Bound: TypeAlias = int | None

GAP = 1 << 20
"""How large a gap between two ranges of a file may be at the most that is read along with them, in bytes."""

MOST_DELETED = 100_000
"""How many files of a tree are deleted at once."""

LARGE = 64 << 20
"""From how many bytes on a value is written in parts."""


def cat_file(fs: FileSystem, path: str, start: Bound = None, end: Bound = None) -> Plan[bytes]:
    """Get the bytes of a file, or a range of them; a large one by parallel requests.

    Args:
        fs: Where it is.
        path: Its path.
        start: The first byte; negative: counted from the end.
        end: The byte after the last; negative: counted from the end.

    Raises:
        FileNotFoundError: There is no such file.
    """
    bucket, key = fs._split_file(path)
    store = fs._construct_store(bucket)
    size = -1
    if end is not None and ((start or 0) < 0 or end < 0):
        size = (yield from store.provider.look(store.key(key), ANY)).meta["size"]
        start, end, _ = slice(start, end).indices(size)
    if end is not None and end <= (start or 0):
        yield from objects.head(store, key)
        return b""
    try:
        result = yield from objects.get(store, key, options=_only(start or 0, end))
    except InvalidRangeError:
        return b""
    if size not in (-1, result.meta["size"]):
        raise changed(fs.shown(path))
    return bytes((yield from result._bytes()))


def _only(start: int, end: Bound) -> GetOptions | None:
    """Return a range that is not empty as `get` takes it."""
    if end is not None:
        return {"range": (start, end)}
    if start < 0:
        return {"range": {"suffix": -start}}
    return {"range": {"offset": start}} if start else None


class _Wanted(NamedTuple):
    """A range of a file, and its place in the answer."""

    place: int
    start: int
    end: int | None


def cat_ranges(
    fs: FileSystem,
    paths: Sequence[str],
    starts: Sequence[Bound] | Bound,
    ends: Sequence[Bound] | Bound,
    max_gap: int | None = None,
    batch_size: int | None = None,
    on_error: Literal["return", "raise"] = "return",
) -> Plan[list[Any]]:
    """Get ranges of many files, in one batch; neighbours in a file are read by one request where that costs less.

    Args:
        fs: Where they are.
        paths: The file of each range.
        starts: The first byte of each, or of all; negative: counted from the end.
        ends: The byte after the last of each, or of all; negative: counted from the end.
        max_gap: The largest gap between two ranges of a file that may be read along, in bytes; 1 MiB if not given.
        batch_size: How many requests are in flight at the most; as many as the network has use for if not given.
        on_error: ``"return"``: an error takes the place of its range. ``"raise"``: the first error is raised.

    Returns:
        The bytes of each range, in order.
    """
    if isinstance(paths, str):
        raise TypeError(f"paths = {paths!r} is one path: give a list")
    firsts, lasts = _one_each("starts", starts, len(paths)), _one_each("ends", ends, len(paths))
    files: dict[str, list[_Wanted]] = {}
    for index, (path, start, end) in enumerate(zip(paths, firsts, lasts, strict=True)):
        files.setdefault(fs._strip_protocol(path), []).append(_Wanted(index, start or 0, end))
    answers: list[Any] = [b""] * len(paths)
    yield from _resolve(fs, files, answers)
    gap = GAP if max_gap is None else max_gap
    reads = [
        (bucket, [(key, ranges) for (_, key), ranges in zip(items, _of_bucket(files, items), strict=True)])
        for bucket, items in by_bucket(fs, files).items()
    ]
    yield from at_once(lambda read: _read_ranges(fs, *read, gap, batch_size, answers), reads)
    failed = next((answer for answer in answers if isinstance(answer, BaseException)), None)
    if failed is not None and on_error == "raise":
        raise failed
    return answers


def _of_bucket(files: Mapping[str, list[_Wanted]], items: Iterable[tuple[int, str]]) -> list[list[_Wanted]]:
    ranges = [*files.values()]
    return [ranges[index] for index, _ in items]


def _one_each(name: str, bounds: Sequence[Bound] | Bound, count: int) -> Sequence[Bound]:
    if bounds is None or isinstance(bounds, int):
        return [bounds] * count
    if len(bounds) != count:
        raise ValueError(f"there are {count} paths but {len(bounds)} {name}")
    return bounds


def _resolve(fs: FileSystem, files: dict[str, list[_Wanted]], answers: list[Any]) -> Plan[None]:
    """Look how large the files are where a bound counts from the end; count such bounds from the beginning.

    HEAD will not do: it may tell another size than that of what is read.
    """
    counted = [path for path, ranges in files.items() if any(_from_end(wanted) for wanted in ranges)]
    if not counted:
        return
    for bucket, items in by_bucket(fs, counted).items():
        store = fs._construct_store(bucket)
        sizes = yield from _sizes(store, [key for _, key in items])
        for (index, _), size in zip(items, sizes, strict=True):
            path = counted[index]
            if isinstance(size, BaseError):
                for wanted in files.pop(path):
                    answers[wanted.place] = size
            else:
                files[path] = [_within(wanted, size) for wanted in files[path]]


def _sizes(store: Store, keys: Sequence[str]) -> Plan[list[int | BaseError]]:
    """Return the sizes of objects, as reads of them will tell them."""
    looks = yield from store.provider.look_many(store.keys(keys), most_in_flight=PACED)
    try:
        yield from settle(looks, None, past_errors=True)
        found = enumerate(looks.metas())
        return [looks.errors[index] if meta is None else meta["size"] for index, meta in found]
    finally:
        looks.close()


def _from_end(wanted: _Wanted) -> bool:
    return wanted.start < 0 or (wanted.end is not None and wanted.end < 0)


def _within(wanted: _Wanted, size: int) -> _Wanted:
    start, end, _ = slice(wanted.start, wanted.end).indices(size)
    return _Wanted(wanted.place, start, end)


def _read_ranges(
    fs: FileSystem,
    bucket: str,
    files: list[tuple[str, list[_Wanted]]],
    gap: int,
    batch_size: int | None,
    answers: list[Any],
) -> Plan[None]:
    """Read ranges of the files of one bucket, all in one batch, into their places among the answers."""
    store = fs._construct_store(bucket)
    requests: list[tuple[str, int, int | None]] = []
    cuts: list[tuple[int, int, int, int | None]] = []  # where to, and of which body: from, to
    gap = min(gap, cheap_gap(store.provider.pace, [span for _, ranges in files for span in _spans(ranges)]))
    for key, ranges in files:
        closed = [wanted for wanted in ranges if wanted.end is not None]
        merged = coalesce(_spans(ranges), gap)
        for wanted, (request, offset, length) in zip(closed, merged.places, strict=True):
            if request >= 0:
                cuts.append((wanted.place, len(requests) + request, offset, offset + length))
        requests += [(key, *span) for span in merged.requests]
        for wanted in ranges:
            if wanted.end is None:
                cuts.append((wanted.place, len(requests), 0, None))
                requests.append((key, wanted.start, None))
    bodies = yield from get_many(store, requests, on_error="return", max_concurrency=batch_size or fs.batch_size)
    for index, request, first, last in cuts:
        answers[index] = _answer(bodies[request], first, last)


def _spans(ranges: Iterable[_Wanted]) -> list[Range]:
    """Return the ranges whose end is known."""
    return [Range(wanted.start, wanted.end) for wanted in ranges if wanted.end is not None]


def _answer(body: Bytes | BaseError, first: int, last: int | None) -> bytes | BaseError:
    if isinstance(body, InvalidRangeError):
        return b""  # it begins beyond the end
    return body if isinstance(body, BaseError) else bytes(body[first:last])


def cat(
    fs: FileSystem,
    path: str | Sequence[str],
    recursive: bool = False,
    on_error: Literal["raise", "omit", "return"] = "raise",
    batch_size: int | None = None,
) -> Plan[Any]:
    """Get the bytes of files, in one batch.

    Args:
        fs: Where they are.
        path: A path or pattern, or several.
        recursive: Take all files below the folders too.
        on_error: ``"raise"`` the first error, ``"omit"`` what failed, or ``"return"`` the error in its place.
        batch_size: How many requests are in flight at the most; as many as the network has use for if not given.

    Returns:
        The bytes, if one path was given and stands for itself, else a dict of them by path.

    Raises:
        FileNotFoundError: The paths stand for no file.
    """
    if on_error not in ("raise", "omit", "return"):
        raise ValueError(f"on_error = {on_error!r}: give 'raise', 'omit' or 'return'")
    found = yield from expand(fs, path, recursive)
    names = sorted(name for name, entry in found.items() if not is_folder(entry))
    if not names:
        raise missing(fs.shown(path) if isinstance(path, str) else str(path))
    itself = isinstance(path, str) and names == [fs._strip_protocol(path)]
    if itself and on_error == "raise":
        return (yield from cat_file(fs, names[0]))
    ranges_error: Literal["raise", "return"] = "raise" if on_error == "raise" else "return"
    answers = yield from cat_ranges(fs, names, None, None, None, batch_size, ranges_error)
    if itself and on_error == "return":
        return answers[0]
    kept = zip(names, answers, strict=True)
    return {name: answer for name, answer in kept if on_error == "return" or not isinstance(answer, BaseException)}


def pipe_file(fs: FileSystem, path: str, value: Buffer | None, mode: Mode = "overwrite") -> Plan[PutResult]:
    """Write a file.

    Args:
        fs: Where to.
        path: Its path.
        value: Its bytes.
        mode: ``"create"``: there must be none yet.

    Raises:
        FileExistsError: There is one already, and the mode is ``"create"``.
        TypeError: The value is not bytes.
    """
    bucket, key = fs._split_file(path)
    result = yield from objects.put(fs._construct_store(bucket), key, _checked(value), mode=mode)
    fs.invalidate_cache(path)
    return result


def _checked(value: Any) -> Buffer:
    """Return a value that is bytes: a str would be taken for the name of a local file."""
    if isinstance(value, str):
        raise TypeError("the value is text, not bytes: give value.encode()")
    memoryview(value)
    return value  # type: ignore[no-any-return]


def pipe(
    fs: FileSystem,
    path: str | Mapping[str, Buffer],
    value: Buffer | None = None,
    mode: Mode = "overwrite",
    batch_size: int | None = None,
) -> Plan[None]:
    """Write files, in one batch.

    Args:
        fs: Where to.
        path: A path; or a dict of the bytes of files by their paths.
        value: The bytes, where one path was given.
        mode: ``"create"``: there must be none yet.
        batch_size: How many requests are in flight at the most; as many as the network has use for if not given.
    """
    values = path if isinstance(path, Mapping) else {path: value}
    large = {name for name, each in values.items() if memoryview(_checked(each)).nbytes >= LARGE}
    small = [name for name in values if name not in large]
    for bucket, items in by_bucket(fs, small).items():
        pairs = [(key, _checked(values[small[index]])) for index, key in items]
        most = batch_size or fs.batch_size
        yield from put_many(fs._construct_store(bucket), pairs, mode=mode, max_concurrency=most)
    for name in small:
        fs.invalidate_cache(name)
    for name in large:
        yield from pipe_file(fs, name, values[name], mode)


def rm_file(fs: FileSystem, path: str) -> Plan[None]:
    """Delete a file; one that does not exist counts as deleted."""
    yield from delete(fs, {fs._strip_protocol(path): None})


def rm(
    fs: FileSystem,
    path: str | os.PathLike[str] | Sequence[str],
    recursive: bool = False,
    maxdepth: int | None = None,
    batch_size: int | None = None,
) -> Plan[None]:
    """Delete files, many by one request; one that does not exist counts as deleted, unless files are local.

    Args:
        fs: Where they are.
        path: A path or pattern, or several.
        recursive: Delete all that is below them too. The bucket itself stays.
        maxdepth: Delete only so many levels.
        batch_size: Has no effect: the service says how many go into a request.

    Raises:
        FileNotFoundError: There is nothing at the path, and `recursive` is set.
    """
    if fs.service.has_folders and maxdepth is None:
        yield from folders.remove((yield from expand(fs, path)), recursive)
    elif not recursive or maxdepth is not None:
        yield from delete(fs, (yield from expand(fs, path, recursive, maxdepth)))
    else:
        for name in outermost((yield from expand(fs, path))):
            if not (yield from _rm_tree(fs, name)):
                raise missing(fs.shown(name))


def _rm_tree(fs: FileSystem, name: str) -> Plan[bool]:
    """Delete an object, all whose keys go on behind it with a slash, and what a service keeps of folders beside them.

    A file and a folder may have one name, and so may a file and the mark of a folder: all of them go.
    """
    bucket, key = fs._split_folder(name)
    store = fs._construct_store(bucket)
    below = f"{key}/" if key else None
    found = yield from _is_object(store, key)
    if found:
        yield from _delete_keys(store, [key])
    next_page = listing.list(store, below, chunk_size=MOST_DELETED).next_item
    while (page := (yield from next_page())) is not None:
        yield from _delete_keys(store, [meta["path"] for meta in page])
        found = True
    found = found or is_folder((yield from _known(fs, name)))
    yield from store.provider.remove_directories(store.full_prefix(below, by="string"))
    fs.invalidate_cache(name)
    return found


def _known(fs: FileSystem, name: str) -> Plan[Info | None]:
    try:
        return (yield from info(fs, name, refresh=True))
    except FileNotFoundError:
        return None


def _is_object(store: Store, key: str) -> Plan[bool]:
    try:
        return bool(key) and bool((yield from objects.head(store, key)))
    except FileNotFoundError:
        return False


def _delete_keys(store: Store, keys: Sequence[str]) -> Plan[None]:
    failed = yield from store.provider.delete(store.keys(keys), most_in_flight=PACED)
    objects.raise_first(objects.not_gone(failed), len(keys))


def delete(fs: FileSystem, entries: Mapping[str, Info | None]) -> Plan[None]:
    """Delete entries: the files, and the marks of folders."""
    names = [name for name, entry in entries.items() if is_mark(entry) or not is_folder(entry)]
    for bucket, items in by_bucket(fs, names).items():
        keys = [key + "/" if is_mark(entries[names[index]]) else key for index, key in items]
        yield from _delete_keys(fs._construct_store(bucket), keys)
    for name in entries:
        fs.invalidate_cache(name)
