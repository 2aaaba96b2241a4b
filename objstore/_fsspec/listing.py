"""What there is: files and folders, one, a level or all of them, as plans.

An object store has no folders. A path is a folder here if an object's key begins with it and a slash, and a bucket is
one. Objects whose keys end in a slash are the marks that some programs leave for empty folders: they are shown as
folders, and deleted with them.

Its one invariant: where an object and a folder have the same name, the object is the one that is told of.
"""

from __future__ import annotations

import os
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from objstore._fsspec.services import ANY_BUCKET
from objstore._fsspec.web_paths import is_whole
from objstore.exceptions import NotFoundError, NotSupportedError
from objstore.operations import buckets, listing, objects
from objstore.operations.head_many import head_many
from objstore.plans.effects import Call, Plan
from objstore.plans.several import Several, given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from objstore._fsspec.filesystem import FileSystem
    from objstore.store import Store
    from objstore.types import ObjectMeta

Info: TypeAlias = dict[str, Any]
"""What fsspec calls the details of a path: name, size, type, and what else is known."""

T = TypeVar("T")
W = TypeVar("W")

MOST_AT_ONCE = 16
PAGE = 1000


def info(fs: FileSystem, path: str, *, refresh: bool = False) -> Plan[Info]:
    """Return what is known about a file or a folder; of the cache, unless it is to be fresh."""
    path = fs._strip_protocol(path)
    bucket, key = fs._split_path(path)
    if not key:
        return (yield from _root(fs, path, bucket))
    cached = None if refresh else _cached(fs, path)
    if cached is not None:
        return cached
    try:
        return (yield from _object(fs, path, bucket, key))
    except FileNotFoundError:
        if (yield from _is_folder(fs, path, fs._construct_store(bucket), key)):
            return folder(path)
    raise missing(fs.shown(path))


def _object(fs: FileSystem, path: str, bucket: str, key: str) -> Plan[Info]:
    """Return what is known about a file."""
    meta = yield from objects.head(fs._construct_store(bucket), key)
    return {**_file(fs, bucket, meta), "name": path}


def is_only_folder(fs: FileSystem, path: str) -> Plan[bool]:
    """Tell whether there is a folder at a path where there is no file, as is known."""
    path = fs._strip_protocol(path)
    bucket, key = fs._split_path(path)
    return (yield from (_is_folder(fs, path, fs._construct_store(bucket), key) if key else isdir(fs, path)))


def _is_folder(fs: FileSystem, path: str, store: Store, key: str) -> Plan[bool]:
    """Tell whether there is a folder where there is no object."""
    if fs.service.has_folders:
        found: bool = yield Call(partial(os.path.isdir, path))
        return found
    return (yield from _has_any(store, key + "/"))


def _root(fs: FileSystem, path: str, bucket: str) -> Plan[Info]:
    """Return what is known about a bucket: that it is there; or about a URL."""
    if bucket and fs.service.has_urls:
        return (yield from _url(fs, path, bucket))
    if bucket:
        yield from listing.has_any(fs._construct_store(bucket), "")
    return folder(path)


def _url(fs: FileSystem, path: str, url: str) -> Plan[Info]:
    """Return what is known about a whole URL, or a server: a folder, where it has some."""
    server, key = fs._split_folder(path)
    if not is_whole(server) and not key and (yield from _lists(fs._construct_store(server))):
        return folder(path)
    try:
        return {**_file(fs, url, (yield from objects.head(fs._construct_store(url), ""))), "name": path}
    except NotFoundError:
        if key and (yield from _has_any(fs._construct_store(server), key + "/")):
            return folder(path)
    raise missing(fs.shown(path))


def _lists(store: Store) -> Plan[bool]:
    """Tell whether a web server lists what it has."""
    try:
        yield from listing.has_any(store, "")
    except NotSupportedError:
        return False
    return True


def _cached(fs: FileSystem, path: str) -> Info | None:
    found: list[Info] | None = fs._ls_from_cache(path)
    if found is None:
        return None
    return next((entry for entry in found if entry["name"] == path), folder(path))


def following(fs: FileSystem, path: str) -> Plan[list[Info]]:
    """Return the files that a page of a listing has behind another one of their folder, where no more is to be read."""
    bucket, key = fs._split_path(path)
    store = fs._construct_store(bucket)
    if fs.keeps_listings or not store.provider.lists_from_anywhere:
        return []
    above = key.rpartition("/")[0]
    page = yield from listing.list_level(store, f"{above}/" if above else None, offset=key).next_item()
    return [] if page is None else [_file(fs, bucket, meta) for meta in page["objects"]]


def _has_any(store: Store, prefix: str) -> Plan[bool]:
    try:
        return (yield from listing.has_any(store, store.full_prefix(prefix)))
    except NotSupportedError:  # a plain web server, which has no folders
        return False


def _pages(store: Store, prefix: str | None) -> Callable[[], Plan[Sequence[ObjectMeta] | None]]:
    """Return what makes the plan of the next page of a listing; None is its end."""
    return listing.list(store, prefix, chunk_size=PAGE).next_item


def folder(path: str) -> Info:
    """Return what is known about a folder."""
    return {"name": path, "size": 0, "type": "directory"}


def missing(path: str) -> NotFoundError:
    """Return the error for a path where there is nothing."""
    return NotFoundError(f"{path!r} does not exist", path=path)


def _file(fs: FileSystem, bucket: str, meta: ObjectMeta) -> Info:
    name = fs._join_path(bucket, meta["path"])
    known = {
        "e_tag": meta["e_tag"],
        "last_modified": meta["last_modified"],
        "mtime": meta["last_modified"].timestamp(),
        "version": meta["version"],
    }
    if meta["path"].endswith("/"):
        return {**folder(name.rstrip("/")), **known}
    return {"name": name, "size": meta["size"], "type": "file", **known}


def is_mark(entry: Info | None) -> bool:
    """Tell whether a folder has an object that marks it."""
    return entry is not None and entry["type"] == "directory" and "e_tag" in entry


def is_folder(entry: Info | None) -> bool:
    """Tell whether an entry is known to be a folder."""
    return entry is not None and entry["type"] == "directory"


def exists(fs: FileSystem, path: str, *, refresh: bool = False) -> Plan[bool]:
    """Tell whether there is a file or a folder at a path."""
    return (yield from _type(fs, path, refresh)) is not None


def isfile(fs: FileSystem, path: str) -> Plan[bool]:
    """Tell whether there is an object at a path; whether it is a folder, nobody has to be asked."""
    path = fs._strip_protocol(path)
    bucket, key = fs._split_path(path)
    if not key or _cached(fs, path) is not None:
        return (yield from _type(fs, path)) == "file"
    try:
        found = yield from _object(fs, path, bucket, key)
    except FileNotFoundError:
        return False
    return not is_folder(found)


def isdir(fs: FileSystem, path: str) -> Plan[bool]:
    """Tell whether there is anything below a path, and no object at it."""
    return (yield from _type(fs, path)) == "directory"


def _type(fs: FileSystem, path: str, refresh: bool = False) -> Plan[str | None]:
    try:
        found = yield from info(fs, path, refresh=refresh)
    except FileNotFoundError:
        return None
    kind: str = found["type"]
    return kind


def ls(fs: FileSystem, path: str, detail: bool = False, *, refresh: bool = False) -> Plan[Any]:
    """List one level: the files and folders right below a path, sorted.

    Args:
        fs: Where to look.
        path: The path of a folder; of a file, the listing is the file.
        detail: Give what is known about each, instead of the names alone.
        refresh: Ask the service, even if there is a listing in the cache.

    Raises:
        FileNotFoundError: There is nothing at the path.
        NotSupportedError: The path has no bucket, and the service does not list buckets.
    """
    path = fs._strip_protocol(path)
    entries = None if refresh else fs.dircache.get(path)
    if entries is None:
        entries = yield from _level(fs, path)
        if fs.keeps_listings:
            fs.dircache[path] = entries
    return entries if detail else [entry["name"] for entry in entries]


def _level(fs: FileSystem, path: str) -> Plan[list[Info]]:
    bucket, key = fs._split_folder(path)
    if not bucket and fs.service.has_buckets:
        return (yield from _buckets(fs))
    if is_whole(bucket):
        return [(yield from _root(fs, path, bucket))]
    store = fs._construct_store(bucket)
    result = yield from listing.list_with_delimiter(store, key + "/" if key else None)
    files = [_file(fs, bucket, meta) for meta in result["objects"]]
    entries = [folder(fs._join_path(bucket, prefix.rstrip("/"))) for prefix in result["common_prefixes"]]
    entries = [entry for entry in entries + files if entry["name"] != path]  # a folder is not in itself
    if fs.service.has_folders:
        known = {entry["name"] for entry in entries}
        entries += [folder(name) for name in (yield Call(partial(_folders_in, path))) if name not in known]
    empty = not (entries or files or result["common_prefixes"])
    if empty and key and not (fs.service.has_folders and (yield Call(partial(os.path.isdir, path)))):
        entries = [_file(fs, bucket, (yield from objects.head(store, key)))]
    return sorted(entries, key=lambda entry: str(entry["name"]))


def _folders_in(path: str) -> list[str]:
    """Return the folders in a local one, empty ones too."""
    try:
        with os.scandir(path) as found:
            return [entry.path for entry in found if entry.is_dir()]
    except OSError:  # it is a file, or not there, or nobody's business
        return []


def _folders_below(path: str) -> list[str]:
    """Return all folders below a local one, empty ones too."""
    return [os.path.join(above, name) for above, names, _ in os.walk(path) for name in names]


def _buckets(fs: FileSystem) -> Plan[list[Info]]:
    """List the buckets of the account."""
    found = yield from buckets.list_buckets(fs._construct_store(ANY_BUCKET))
    return [{**folder(bucket["name"]), "created": bucket["created"]} for bucket in found]


def _place(fs: FileSystem, path: str) -> tuple[str, str]:
    bucket, key = fs._split_folder(path)
    if not bucket and fs.service.has_buckets:
        raise NotSupportedError("All buckets at once are not looked through", hint="Give a path that has a bucket.")
    return bucket, key


def find(
    fs: FileSystem,
    path: str,
    maxdepth: int | None = None,
    withdirs: bool = False,
    detail: bool = False,
    prefix: str = "",
) -> Plan[Any]:
    """List all files below a path; all the levels of a store are one listing.

    Args:
        fs: Where to look.
        path: The path of a folder; of a file, the listing is the file.
        maxdepth: List only so many levels, one after the other.
        withdirs: List folders as well, and the path itself.
        detail: Give a dict of what is known about each, instead of the names alone.
        prefix: List only what begins with this text, behind the path.
    """
    path = fs._strip_protocol(path)
    asked = monotonic()
    found = yield from find_entries(fs, path, maxdepth, withdirs, prefix=prefix)
    fs.note_listed(found.values(), asked)
    return dict(sorted(found.items())) if detail else sorted(found)


def find_entries(
    fs: FileSystem,
    path: str,
    maxdepth: int | None = None,
    withdirs: bool = False,
    *,
    prefix: str = "",
    enter: Callable[[str], bool] = bool,
    itself: bool = True,
) -> Plan[dict[str, Info]]:
    """Return what is below a path, and it `itself`, by name; of several levels, only the folders worth to `enter`."""
    check_depth(maxdepth)
    bucket, key = _place(fs, path)
    if is_whole(bucket):
        found: dict[str, Info] = {}
        yield from add_itself(fs, path, withdirs, found)
        return found
    try:
        found = yield from (_levels(fs, path, maxdepth, enter) if maxdepth else _all_below(fs, bucket, key))
    except FileNotFoundError:  # there is no such bucket
        return {}
    if not withdirs:
        found = {name: entry for name, entry in found.items() if not is_folder(entry)}
    if path and itself and (withdirs or not found):
        yield from add_itself(fs, path, withdirs, found)
    below = f"{path}/{prefix}" if path else prefix
    return {name: entry for name, entry in found.items() if name.startswith(below)} if prefix else found


def check_depth(maxdepth: int | None) -> None:
    """Raise if a number of levels is none."""
    if maxdepth is not None and maxdepth < 1:
        raise ValueError(f"maxdepth = {maxdepth}: give at least 1")


def add_itself(fs: FileSystem, path: str, withdirs: bool, found: dict[str, Info]) -> Plan[None]:
    """Add the path itself to what was found: a file, or, with folders wanted, a folder, as it is if it has any."""
    bucket, key = fs._split_path(path)
    try:
        itself = yield from (_object(fs, path, bucket, key) if found and key else info(fs, path))
    except FileNotFoundError:
        if not found:
            return
        itself = folder(path)
    if not is_folder(itself):
        found[path] = itself
    elif withdirs:
        found.setdefault(path, itself)


def _all_below(fs: FileSystem, bucket: str, key: str) -> Plan[dict[str, Info]]:
    store = fs._construct_store(bucket)
    folders: dict[str, Info] = {}
    files: dict[str, Info] = {}
    next_page = _pages(store, key + "/" if key else None)
    top = fs._join_path(bucket, key)
    while (page := (yield from next_page())) is not None:
        for meta in page:
            entry = _file(fs, bucket, meta)
            (folders if is_folder(entry) else files)[entry["name"]] = entry
            _add_parents(folders, entry["name"], top)
    if fs.service.has_folders:
        for name in (yield Call(partial(_folders_below, top))):
            folders.setdefault(name, folder(name))
    return {**folders, **files}


def _add_parents(folders: dict[str, Info], name: str, top: str) -> None:
    """Add the folders that a name is in, below the top."""
    parent = name.rpartition("/")[0]
    while len(parent) > len(top) and parent not in folders:
        folders[parent] = folder(parent)
        parent = parent.rpartition("/")[0]


def _levels(fs: FileSystem, path: str, depth: int, enter: Callable[[str], bool]) -> Plan[dict[str, Info]]:
    """List level by level, the folders of each at the same time."""
    found: dict[str, Info] = {}
    paths = [path]
    while paths and depth:
        listings = yield from at_once(partial(_entries, fs), paths)
        entries = [entry for listing in listings for entry in listing]
        for entry in sorted(entries, key=is_folder):
            found.setdefault(entry["name"], entry)
        paths = [entry["name"] for entry in entries if is_folder(entry) and enter(entry["name"])]
        depth -= 1
    return found


def _entries(fs: FileSystem, path: str) -> Plan[list[Info]]:
    try:
        entries: list[Info] = yield from ls(fs, path, detail=True)
    except FileNotFoundError:
        return []
    return [entry for entry in entries if entry["name"] != path]


def at_once(plan: Callable[[T], Plan[W]], items: list[T]) -> Plan[list[W]]:
    """Do the same for each item, for several at the same time; return the results, or raise the first error."""
    results: dict[int, W] = {}

    def take(number: int, result: W | Exception) -> None:
        if isinstance(result, Exception):
            raise result
        results[number] = result

    yield from Several(given(map(plan, items)), MOST_AT_ONCE).each(take)
    return [results[number] for number in range(len(items))]


def size(fs: FileSystem, path: str) -> Plan[int]:
    """Get the size of a file in bytes."""
    found: int = (yield from info(fs, path))["size"]
    return found


def sizes(fs: FileSystem, paths: Iterable[str]) -> Plan[list[int]]:
    """Get the sizes of many files, in bytes."""
    metas = yield from heads(fs, [*paths])
    return [meta["size"] for meta in metas]


def heads(fs: FileSystem, paths: list[str]) -> Plan[list[ObjectMeta]]:
    """Return the metadata of many files, in order; each bucket is asked once for all."""
    found: list[Any] = [None] * len(paths)
    groups = by_bucket(fs, paths)
    answers = yield from at_once(partial(_heads_in, fs), [*groups.items()])
    for items, metas in zip(groups.values(), answers, strict=True):
        for (index, _), meta in zip(items, metas, strict=True):
            found[index] = meta
    return found


def _heads_in(fs: FileSystem, files: tuple[str, list[tuple[int, str]]]) -> Plan[Sequence[ObjectMeta]]:
    """Return the metadata of files of one bucket."""
    bucket, items = files
    return (yield from head_many(fs._construct_store(bucket), [key for _, key in items]))


def by_bucket(fs: FileSystem, paths: Iterable[str]) -> dict[str, list[tuple[int, str]]]:
    """Return for each bucket the keys in it, with the places of their paths."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for index, path in enumerate(paths):
        bucket, key = fs._split_file(path)
        groups.setdefault(bucket, []).append((index, key))
    return groups


def du(
    fs: FileSystem, path: str, total: bool = True, maxdepth: int | None = None, withdirs: bool = False
) -> Plan[int | dict[str, int]]:
    """Count the bytes below a path, by one listing.

    Args:
        fs: Where to look.
        path: The path.
        total: Give the sum, instead of the size of each file.
        maxdepth: Count only so many levels.
        withdirs: Give folders as well, with no bytes.
    """
    found = yield from find_entries(fs, fs._strip_protocol(path), maxdepth, withdirs)
    each = {name: found[name]["size"] for name in sorted(found)}
    return sum(each.values()) if total else each
