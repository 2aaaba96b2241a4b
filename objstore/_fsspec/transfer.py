"""Files and trees from here to a store, back, and between stores, as plans.

Which target belongs to which source is fsspec's own rule (`other_paths`). Small files go many at a time, each by one
request; large ones one after the other, each by parallel requests. No file is in memory as a whole unless it is small.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.implementations.local import LocalFileSystem, make_path_posix, trailing_sep
from fsspec.utils import isfilelike, other_paths

from objstore._fsspec import folders
from objstore._fsspec.content import LARGE, Mode, delete
from objstore._fsspec.listing import (
    Info,
    at_once,
    by_bucket,
    heads,
    info,
    is_folder,
    isdir,
)
from objstore._fsspec.patterns import expand
from objstore.operations import copying, downloads, objects
from objstore.operations.iter_many import iter_many
from objstore.operations.outcomes import in_flight_of
from objstore.operations.put_many import put_many
from objstore.operations.requested import Groups
from objstore.operations.targets import write_file
from objstore.operations.uploads import upload
from objstore.plans.effects import Call, Plan

if TYPE_CHECKING:
    from objstore._fsspec.filesystem import FileSystem
    from objstore.operations.transfers import Expected
    from objstore.types import Listed

Path1: TypeAlias = str | os.PathLike[str] | Sequence[str]
Pair: TypeAlias = tuple[str, str]


# --- what goes where


def _targets(source: Path1, paths: Sequence[str], target: Any, into: bool, pattern: bool) -> list[str]:
    """Return the target of each path that a source stands for; `into`: the target is a folder that exists."""
    if not paths:
        return []
    inside = len(paths) == 1 if pattern else isinstance(source, str) and into and not trailing_sep(source)
    names: list[str] = other_paths([*paths], target, exists=inside, flatten=not isinstance(source, str))
    return names


def _names(fs: FileSystem, paths: Iterable[str]) -> list[str]:
    """Return what files are called where they are copied to: a query is no part of a name."""
    return [path.partition("?")[0] if fs.service.has_urls else path for path in paths]


def _was_pattern(fs: FileSystem, source: Path1, paths: Iterable[str]) -> bool:
    """Tell whether a source is a pattern, not the URL of the one file that was found."""
    magic = isinstance(source, str) and has_magic(source)
    return magic and not (fs.service.has_urls and [*paths] == [fs._strip_protocol(source)])


def _sources(fs: FileSystem, path: Path1, recursive: bool, maxdepth: int | None) -> Plan[dict[str, Info | None]]:
    """Return what a path of the store stands for, sorted; without folders where they are not to be copied."""
    found = yield from expand(fs, path, recursive, maxdepth)
    if isinstance(path, str) and (not recursive or maxdepth is not None):
        for name in [name for name, entry in found.items() if entry is None]:
            found[name] = yield from info(fs, name)
        found = {name: entry for name, entry in found.items() if not is_folder(entry)}
    return dict(sorted(found.items()))


def _is_folder(fs: FileSystem, path: Any) -> Plan[bool]:
    return isinstance(path, str) and (trailing_sep(path) or (yield from isdir(fs, path)))


# --- from the store


def get_file(
    fs: FileSystem, rpath: str, lpath: Any, callback: Callback = DEFAULT_CALLBACK, outfile: Any = None
) -> Plan[None]:
    """Download a file, by parallel requests; broken off, it goes on where it ended the next time.

    Args:
        fs: Where it is.
        rpath: Its path; a folder is made here too.
        lpath: The local file, or a writable binary file.
        callback: Is told the size, and the bytes that have come.
        outfile: A writable binary file, instead of `lpath`.
    """
    if outfile is not None or isfilelike(lpath):
        yield from _stream(fs, rpath, lpath if outfile is None else outfile, callback)
        return
    local = os.fspath(lpath)
    bucket, key = fs._split_file(rpath)
    yield Call(partial(_make_folder, os.path.dirname(local)))
    try:
        yield from downloads.download(fs._construct_store(bucket), key, local, progress=_bytes_to(callback))
    except FileNotFoundError:
        if not (yield from isdir(fs, rpath)):
            raise
        yield Call(partial(_make_folder, local))


def _stream(fs: FileSystem, rpath: str, file: Any, callback: Callback) -> Plan[None]:
    """Write a file, part by part, into one that is open."""
    bucket, key = fs._split_file(rpath)
    result = yield from objects.get(fs._construct_store(bucket), key)
    callback.set_size(result.meta["size"])
    stream = result.stream()
    try:
        while (piece := (yield from stream.next_item())) is not None:
            yield Call(partial(file.write, piece))
            callback.relative_update(len(piece))
    finally:
        stream.close()


def _make_folder(path: str) -> None:
    if path:
        os.makedirs(path, exist_ok=True)


def _bytes_to(callback: Callback) -> Callable[[int, int, int], None] | None:
    """Return what tells a callback how many bytes have been moved; nothing where nobody listens."""
    if callback is DEFAULT_CALLBACK:
        return None
    return lambda done, total, size: callback.absolute_update(size)


def get(
    fs: FileSystem,
    rpath: Path1,
    lpath: Any,
    recursive: bool = False,
    callback: Callback = DEFAULT_CALLBACK,
    maxdepth: int | None = None,
    batch_size: int | None = None,
) -> Plan[None]:
    """Download files and folders: small files many at a time, large ones by parallel requests each.

    Args:
        fs: Where they are.
        rpath: A path or pattern, or several.
        lpath: Where to: a name, a folder (with a slash at its end, or one that exists), or a list of names.
        recursive: Download all that is below the folders too.
        callback: Is told how many files there are and are done; its branches, the bytes of each.
        maxdepth: Download only so many levels.
        batch_size: How many requests are in flight for small files at the most; as many as the network has
            use for if not given.

    Raises:
        FileNotFoundError: There is nothing to download.
        ValueError: The name of an object would place its file outside `lpath`.
    """
    if isinstance(rpath, list) and isinstance(lpath, list):
        sources: dict[str, Info | None] = {fs._strip_protocol(path): None for path in rpath}
        pairs = [(fs._strip_protocol(path), os.fspath(target)) for path, target in zip(rpath, lpath, strict=True)]
    else:
        sources = yield from _sources(fs, rpath, recursive, maxdepth)
        target = make_path_posix(lpath)
        into = isinstance(target, str) and (trailing_sep(lpath) or os.path.isdir(target))
        pattern = _was_pattern(fs, rpath, sources)
        targets = _targets(rpath, _names(fs, sources), target, into, pattern)
        if isinstance(target, str):
            _check_inside(target, targets)
        pairs = [*zip(sources, targets, strict=True)]
    yield from _get_pairs(fs, pairs, sources, callback, batch_size)


def _check_inside(folder: str, files: Iterable[str]) -> None:
    """Raise if a file would not be in a local folder: names of objects may have ``..`` in them."""
    top = os.path.abspath(folder)
    for file in files:
        place = os.path.abspath(file)
        if place != top and not place.startswith(os.path.join(top, "")):
            raise ValueError(f"{file!r} would be {place!r}, outside of {folder!r}: get that file by itself")


def _get_pairs(
    fs: FileSystem, pairs: list[Pair], sources: Mapping[str, Info | None], callback: Callback, batch_size: int | None
) -> Plan[None]:
    callback.set_size(len(pairs))
    files = _files(sources, pairs)
    made = {target for source, target in pairs if is_folder(sources[source])}
    for folder in made | {os.path.dirname(target) for _, target in files}:
        yield Call(partial(_make_folder, folder))
    callback.relative_update(len(pairs) - len(files))
    sizes = yield from _sizes(fs, [source for source, _ in files], sources)
    small = {pair for pair, size in zip(files, sizes, strict=True) if size is not None and size < LARGE}
    yield from _get_small(fs, [pair for pair in files if pair in small], callback, batch_size)
    for source, target in [pair for pair in files if pair not in small]:
        with callback.branched(source, target) as child:
            yield from get_file(fs, source, target, child)
        callback.relative_update(1)


def _sizes(fs: FileSystem, paths: list[str], known: Mapping[str, Info | None]) -> Plan[list[int | None]]:
    """Return the sizes of files; a single one need not be asked for: it is downloaded as a large one is."""
    unknown = [path for path in paths if known[path] is None]
    if len(paths) == 1:
        return [None]
    metas = yield from heads(fs, unknown)
    asked = {path: meta["size"] for path, meta in zip(unknown, metas, strict=True)}
    return [asked[path] if path in asked else known[path]["size"] for path in paths]  # type: ignore[index]


def _get_small(fs: FileSystem, pairs: list[Pair], callback: Callback, batch_size: int | None) -> Plan[None]:
    """Download small files, many at a time, in bounded memory."""
    groups = [*by_bucket(fs, [source for source, _ in pairs]).items()]
    yield from at_once(partial(_get_group, fs, pairs, callback, batch_size), groups)


def _get_group(
    fs: FileSystem,
    pairs: list[Pair],
    callback: Callback,
    batch_size: int | None,
    group: tuple[str, list[tuple[int, str]]],
) -> Plan[None]:
    """Download small files of one bucket."""
    bucket, items = group
    store = fs._construct_store(bucket)
    results = iter_many(store, [key for _, key in items], max_concurrency=batch_size or fs.batch_size)
    try:
        while (result := (yield from results._next())) is not None:
            source, target = pairs[items[result[0]][0]]
            yield Call(partial(write_file, target, result[1]))
            _tell(callback, source, target, len(result[1]))
    finally:
        results.close()


def _tell(callback: Callback, source: str, target: str, size: int) -> None:
    """Tell a callback of a file that is done."""
    with callback.branched(source, target) as child:
        child.set_size(size)
        child.relative_update(size)
    callback.relative_update(1)


# --- to the store


def put_file(
    fs: FileSystem, lpath: Any, rpath: str, callback: Callback = DEFAULT_CALLBACK, mode: Mode = "overwrite"
) -> Plan[None]:
    """Upload a file, a large one in parallel parts; a folder needs none.

    Args:
        fs: Where to.
        lpath: The local file.
        rpath: Its path in the store.
        callback: Is told the size, and the bytes sent.
        mode: ``"create"``: there must be none yet.
    """
    local = os.fspath(lpath)
    if os.path.isdir(local):
        return
    callback.set_size(os.path.getsize(local))
    bucket, key = fs._split_file(rpath)
    yield from upload(fs._construct_store(bucket), local, key, mode=mode, progress=_bytes_to(callback))
    fs.invalidate_cache(rpath)


def put(
    fs: FileSystem,
    lpath: Path1,
    rpath: Any,
    recursive: bool = False,
    callback: Callback = DEFAULT_CALLBACK,
    maxdepth: int | None = None,
    batch_size: int | None = None,
    mode: Mode = "overwrite",
) -> Plan[None]:
    """Upload files and folders: small files many at a time, large ones in parallel parts each.

    Args:
        fs: Where to.
        lpath: A path or pattern here, or several.
        rpath: Where to: a path, a folder (with a slash at its end, or one that exists), or a list of paths.
        recursive: Upload all that is in the folders too.
        callback: Is told how many files there are and are done; its branches, the bytes of each.
        maxdepth: Upload only so many levels.
        batch_size: How many requests are in flight for small files at the most; as many as the network has
            use for if not given.
        mode: ``"create"``: there must be no file yet at any of the paths.
    """
    if isinstance(lpath, list) and isinstance(rpath, list):
        pairs = [*zip(map(os.fspath, lpath), rpath, strict=True)]
    else:
        source = make_path_posix(lpath) if isinstance(lpath, str | os.PathLike) else lpath
        found = yield Call(partial(_local_files, source, recursive, maxdepth))
        into = yield from _is_folder(fs, rpath)
        pattern = isinstance(source, str) and has_magic(source)
        pairs = [*zip(found, _targets(source, found, fs._strip_protocol(rpath), into, pattern), strict=True)]
    files = [pair for pair in pairs if not os.path.isdir(pair[0])]
    yield from _make_folders(fs, [target for local, target in pairs if os.path.isdir(local)])
    callback.set_size(len(files))
    small = {pair for pair in files if os.path.getsize(pair[0]) < LARGE}
    yield from _put_small(fs, [pair for pair in files if pair in small], callback, batch_size, mode)
    for local, target in [pair for pair in files if pair not in small]:
        with callback.branched(local, target) as child:
            yield from put_file(fs, local, target, child, mode)
        callback.relative_update(1)


def _local_files(source: Path1, recursive: bool, maxdepth: int | None) -> list[str]:
    files = LocalFileSystem()
    found: list[str] = files.expand_path(source, recursive=recursive, maxdepth=maxdepth)
    if isinstance(source, str) and (not recursive or maxdepth is not None):
        found = [path for path in found if not (trailing_sep(path) or os.path.isdir(path))]
    return found


def _put_small(fs: FileSystem, pairs: list[Pair], callback: Callback, batch_size: int | None, mode: Mode) -> Plan[None]:
    for bucket, items in by_bucket(fs, [target for _, target in pairs]).items():
        named = [(key, Path(pairs[index][0])) for index, key in items]
        most = batch_size or fs.batch_size
        yield from put_many(fs._construct_store(bucket), named, mode=mode, max_concurrency=most)
        for index, _ in items:
            local, target = pairs[index]
            fs.invalidate_cache(target)
            _tell(callback, local, target, os.path.getsize(local))


# --- within the store, and between stores


def cp_file(fs: FileSystem, path1: str, path2: str) -> Plan[None]:
    """Copy a file, on the server where the service can; between buckets too.

    Raises:
        FileNotFoundError: There is no such file.
    """
    (bucket1, key1), (bucket2, key2) = fs._split_file(path1), fs._split_file(path2)
    source, target = fs._construct_store(bucket1), fs._construct_store(bucket2)
    yield from copying.copy(source, key1, key2, to_store=target)
    fs.invalidate_cache(path2)


def copy(
    fs: FileSystem,
    path1: Path1,
    path2: Any,
    recursive: bool = False,
    on_error: str | None = None,
    maxdepth: int | None = None,
    batch_size: int | None = None,
) -> Plan[None]:
    """Copy files and folders, several at a time; between buckets too.

    Args:
        fs: Where they are.
        path1: A path or pattern, or several.
        path2: Where to: a path, a folder (with a slash at its end, or one that exists), or a list of paths.
        recursive: Copy all that is below the folders too.
        on_error: ``"ignore"`` what does not exist, or ``"raise"``; by itself the former if `recursive`.
        maxdepth: Copy only so many levels.
        batch_size: How many requests are in flight at the most; as many as the network has use for if not given.

    Raises:
        FileNotFoundError: There is nothing to copy.
    """
    sources, pairs = yield from _copy_pairs(fs, path1, path2, recursive, maxdepth)
    yield from _make_folders(fs, [target for source, target in pairs if is_folder(sources[source])])
    ignored = on_error == "ignore" or (on_error is None and recursive)
    yield from _copy_files(fs, sources, _files(sources, pairs), (FileNotFoundError,) if ignored else (), batch_size)


def _make_folders(fs: FileSystem, paths: Iterable[str]) -> Plan[None]:
    """Make folders where they are there by themselves, empty ones too."""
    if fs.service.has_folders:
        for path in paths:
            yield from folders.make(path, True, True)


def _files(sources: Mapping[str, Info | None], pairs: list[Pair]) -> list[Pair]:
    return [pair for pair in pairs if not is_folder(sources[pair[0]])]


def _copy_pairs(
    fs: FileSystem, path1: Path1, path2: Any, recursive: bool, maxdepth: int | None
) -> Plan[tuple[dict[str, Info | None], list[Pair]]]:
    """Return what the sources are, and what is to be copied where."""
    if isinstance(path1, list) and isinstance(path2, list):
        return dict.fromkeys(map(fs._strip_protocol, path1)), _one_to_one(fs, path1, path2)
    sources = yield from _sources(fs, path1, recursive, maxdepth)
    return sources, (yield from _placed(fs, path1, [*sources], path2))


def _one_to_one(fs: FileSystem, sources: list[Any], targets: list[Any]) -> list[Pair]:
    return [*zip(map(fs._strip_protocol, sources), map(fs._strip_protocol, targets), strict=True)]


def _placed(fs: FileSystem, source: Path1, names: list[str], target: Any) -> Plan[list[Pair]]:
    """Return each name that a source stands for, with its target."""
    into = yield from _is_folder(fs, target)
    pattern = _was_pattern(fs, source, names)
    targets = _targets(source, _names(fs, names), fs._strip_protocol(target), into, pattern)
    return [*zip(names, map(fs._strip_protocol, targets), strict=True)]


def _copy_files(
    fs: FileSystem, sources: Mapping[str, Info | None], pairs: list[Pair], ignored: Expected, most: int | None = None
) -> Plan[None]:
    """Copy files, many at a time; of some errors nothing is said."""
    ways: dict[tuple[str, str], list[tuple[str | Listed, str]]] = {}
    for source, target in pairs:
        (bucket, key), (other, new) = fs._split_file(source), fs._split_file(target)
        ways.setdefault((bucket, other), []).append((_listed(key, sources[source]), new))
    try:
        for (bucket, other), named in ways.items():
            way = copying.Way(fs._construct_store(bucket), fs._construct_store(other))
            asked = in_flight_of(most or fs.batch_size)
            yield from copying.copy_groups(way, Groups(named), ignored, asked, None)
    finally:
        for _, target in pairs:
            fs.invalidate_cache(target)


def _listed(key: str, entry: Info | None) -> str | Listed:
    """Return an object as it was listed, its key alone where no size was told."""
    size = None if entry is None else entry["size"]
    return key if size is None or size < 0 else {"path": key, "size": size}


def mv(fs: FileSystem, path1: Path1, path2: Any, recursive: bool = False, maxdepth: int | None = None) -> Plan[None]:
    """Move files and folders: copy them, then delete those that are at another path now. Local ones are renamed.

    Args:
        fs: Where they are.
        path1: A path or pattern, or several.
        path2: Where to, as with `copy`.
        recursive: Move all that is below the folders too.
        maxdepth: Move only so many levels.

    Raises:
        FileNotFoundError: There is nothing to move; if a file went missing meanwhile, nothing is deleted.
        ValueError: It is a folder of an object store, and `recursive` is not set.
    """
    if fs.service.has_folders and maxdepth is None:
        yield from _rename(fs, path1, path2)
        return
    sources, pairs = yield from _copy_pairs(fs, path1, path2, recursive, maxdepth)
    if not (sources or recursive):
        raise ValueError(f"{fs.shown(str(path1))!r} is a folder: give recursive=True to move all that is in it")
    moved = [pair for pair in _files(sources, pairs) if pair[0] != pair[1]]
    yield from _copy_files(fs, sources, moved, ())
    kept = {target for _, target in pairs}
    yield from delete(fs, {name: entry for name, entry in sources.items() if name not in kept})


def _rename(fs: FileSystem, path1: Path1, path2: Any) -> Plan[None]:
    """Move local files and folders as they are."""
    if isinstance(path1, list) and isinstance(path2, list):
        pairs = _one_to_one(fs, path1, path2)
    else:
        pairs = yield from _placed(fs, path1, sorted((yield from expand(fs, path1))), path2)
    yield from folders.move(pairs)
    fs.invalidate_cache()


def mv_file(fs: FileSystem, path1: str, path2: str) -> Plan[None]:
    """Move a file; moved to itself, it stays."""
    yield from mv(fs, [path1], [path2])
