"""Many local files to objects, and many objects to local files.

A folder is what a local store of it is: nothing leads out of it, symlinks neither, and a file appears when it is whole.
Its files get their bytes alone, and no attributes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from objstore.disk.room import Place
from objstore.interface.store import store_of
from objstore.interface.values import ListQuery
from objstore.operations.arguments import read_write_options
from objstore.operations.bars import called, drawn
from objstore.operations.copying import Way, copy_key, room_for
from objstore.operations.glob import Pattern, is_pattern
from objstore.operations.listing import glob
from objstore.operations.local_names import check_names, folds_case
from objstore.operations.objects import DEFAULT_CHUNK, put_body
from objstore.operations.outcomes import OnError, in_flight_of
from objstore.operations.pages import OneAfterTheOther
from objstore.operations.requested import Groups, two_of
from objstore.operations.sources import check_file, opened_body
from objstore.operations.transfers import PARTS, Room, Transfers, kept_of
from objstore.plans.effects import Call
from objstore.types import Transfer

if TYPE_CHECKING:
    from objstore.exceptions import BaseError
    from objstore.interface.provider import Share
    from objstore.interface.store import BaseStore
    from objstore.interface.values import WriteOptions
    from objstore.plans.effects import Plan
    from objstore.types import Attributes, Progress, PutMode


class _File(NamedTuple):
    """A local file, and the key of the object that it is to be."""

    file: Path
    key: str


@overload
def upload_many(
    store: BaseStore,
    files: str | Path | Iterable[tuple[str | Path, str]] | Mapping[str, str],
    prefix: str | None = None,
    *,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    mode: PutMode | None = None,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Transfer]]: ...


@overload
def upload_many(
    store: BaseStore,
    files: str | Path | Iterable[tuple[str | Path, str]] | Mapping[str, str],
    prefix: str | None = None,
    *,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    mode: PutMode | None = None,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Transfer | BaseError | OSError]]: ...


@drawn
def upload_many(
    store: BaseStore,
    files: str | Path | Iterable[tuple[str | Path, str]] | Mapping[str, str],
    prefix: str | None = None,
    *,
    attributes: Attributes | None = None,
    tags: dict[str, str] | None = None,
    mode: PutMode | None = None,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Any]]:
    """Upload many local files, many at a time.

    Args:
        store: Where to.
        files: A folder: all files below it, as a local store lists them, have their paths relative to it. A pattern
            (``"data/**/*.csv"``): the files that match have their paths relative to what is in front of its first
            wildcard. Or pairs of a file and the path of its object, or a mapping of these.
        prefix: What comes in front of all paths.
        attributes: What to store with each.
        tags: Tags to give each, where the store keeps tags.
        mode: ``"overwrite"`` or ``"create"``.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result.
        max_concurrency: How many requests are in flight at the most: one for each file under way, and up to three for
            large ones while there is room. As many as the network has use for if not given.
        progress: True draws a bar; a function is called with how many files are uploaded, how many there are so far,
            and the bytes sent.

    Returns:
        What was uploaded, in order: ``(file, path, size)``.

    Raises:
        InvalidPathError: A file has a name that is no path.
        OSError: A file cannot be read.
        SourceChangedError: It changed meanwhile.
    """
    progress = called(progress)
    kept = kept_of(on_error)
    room = Room(in_flight_of(max_concurrency), store.provider)
    options = read_write_options(store.provider, attributes, tags, mode)
    front = store.path(store.full_prefix(prefix))
    groups: Groups[Any]
    if isinstance(files, str | Path):
        groups = Groups((yield from _found(files)))
    else:
        groups = Groups(files.items() if isinstance(files, Mapping) else files)

    def read(group: list[Any]) -> list[_File]:
        pairs = [two_of(pair, "a file and the path of its object") for pair in group]
        for file, _ in pairs:
            check_file(Path(file))
        keys = store.keys([front + path for _, path in pairs])
        return [_File(Path(file), key) for (file, _), key in zip(pairs, keys, strict=True)]

    def begin(file: _File, share: Share, told: Progress | None) -> Plan[Transfer]:
        return _upload(store, file, options, share, told)

    return (yield from Transfers(groups, read, begin, kept, progress, room).run())


def _upload(
    store: BaseStore, file: _File, options: WriteOptions, share: Share, progress: Progress | None
) -> Plan[Transfer]:
    with Place() as place:
        yield from place.take()
        body = yield from opened_body(file.file)
        try:
            size = body.size or 0
            with share(body.size, PARTS) as parts:
                yield from put_body(store.provider, file.key, body, options, None, DEFAULT_CHUNK, parts, progress)
        finally:
            body.close()
    return Transfer(file.file, store.path(file.key), size)


def _found(files: str | Path) -> Plan[list[tuple[Path, str]]]:
    """Return the files below a folder, or that match a pattern, and their paths relative to it."""
    folder = os.fspath(files)
    wanted = "**"
    if is_pattern(folder) and not os.path.exists(folder):
        pattern, above = Pattern.of(folder), "/" if folder.startswith("/") else ""
        wanted = folder.removeprefix("/").removeprefix(pattern.folder)
        folder = above + pattern.folder or "."
    pages = glob(store_of(folder), wanted)
    names: list[str] = []
    while (page := (yield from pages.next_item())) is not None:
        names += [meta["path"] for meta in page]
    return [(Path(folder, name), name) for name in names]


@overload
def download_many(
    store: BaseStore,
    paths: str | Iterable[str],
    folder: str | Path,
    *,
    on_error: Literal["raise"] = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Transfer]]: ...


@overload
def download_many(
    store: BaseStore,
    paths: str | Iterable[str],
    folder: str | Path,
    *,
    on_error: Literal["return"],
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Transfer | BaseError | OSError]]: ...


@drawn
def download_many(
    store: BaseStore,
    paths: str | Iterable[str],
    folder: str | Path,
    *,
    on_error: OnError = "raise",
    max_concurrency: int | None = None,
    progress: Progress | bool | None = None,
) -> Plan[list[Any]]:
    """Download many objects to files below a folder, many at a time.

    All names are looked at before anything is written: none leads out of the folder, and no two are one file. A file
    is replaced when its object is there as a whole.

    Args:
        store: Where they are.
        paths: A prefix, whole segments only, or ``""`` for all: files are named by what is behind it; the folder marks
            of consoles are left out. A pattern (``"data/**/*.csv"``): files are named by what is behind the folder in
            front of its first wildcard. Or paths, by which the files are named.
        folder: The local folder; it is made if it is missing.
        on_error: ``"raise"``: the first error ends the call. ``"return"``: an error takes the place of its result.
        max_concurrency: How many requests are in flight at the most: one for each object under way, and up to three for
            large ones while there is room. If not given, as many as the network has use for and fit into memory.
        progress: True draws a bar; a function is called with how many objects are downloaded, how many there are, and
            the bytes received.

    Returns:
        What was downloaded, in order: ``(file, path, size)``.

    Raises:
        InvalidPathError: A name would lead out of the folder, or is no name of a file, or two would be one file.
        PermissionDeniedError: A symlink in the folder leads out of it, or nobody may write there.
        NotFoundError: There is no such object (and so on, with ``on_error="raise"``); its `index` says which it is.
    """
    progress = called(progress)
    kept = kept_of(on_error)
    asked = in_flight_of(max_concurrency)
    keys, names = yield from _named(store, paths)
    check_names(names, folds=False)
    target = store_of(folder, mkdir=True).with_raw_keys()
    root = Path(folder)
    if (yield Call(lambda: folds_case(root))):
        check_names(names, folds=True)
    room = room_for(asked, store, target)
    way = Way(store, target, plain=True, room=room)

    def begin(named: tuple[str, str], share: Share, told: Progress | None) -> Plan[Transfer]:
        return _download(way._replace(share=share, parts=PARTS), *named, root, told)

    groups: Groups[Any] = Groups([*zip(keys, names, strict=True)])
    return (yield from Transfers(groups, list, begin, kept, progress, room).run())


def _download(way: Way, key: str, name: str, root: Path, progress: Progress | None) -> Plan[Transfer]:
    moved = [0]

    def told(done: int, total: int, size: int) -> None:
        moved[0] = size
        if progress is not None:
            progress(done, total, size)

    yield from copy_key(way, key, name, told)
    return Transfer(root / name, way.store.path(key), moved[0])


def _named(store: BaseStore, paths: str | Iterable[str]) -> Plan[tuple[list[str], list[str]]]:
    """Return the keys of what is meant, and the name of the file that each is to be."""
    if not isinstance(paths, str | Iterable):
        raise TypeError(f"paths = {paths!r}: give a prefix, a pattern, or a list of paths")
    if not isinstance(paths, str):
        given = [*paths]
        return [*store.keys(given)], given
    if is_pattern(paths):
        return (yield from _matching(store, paths))
    prefix = store.full_prefix(paths)
    pages = OneAfterTheOther(store.provider, ListQuery(prefix=prefix))
    keys: list[str] = []
    while (page := (yield from pages.next_page())) is not None:
        keys += [meta["path"] for meta in page.objects.objects("") if not is_mark(meta["path"], meta["size"])]
    return keys, [key[len(prefix) :] for key in keys]


def is_mark(key: str, size: int) -> bool:
    """Tell whether an object is but the mark of a folder, as consoles make them."""
    return key.endswith("/") and size == 0


def _matching(store: BaseStore, text: str) -> Plan[tuple[list[str], list[str]]]:
    pages, front = glob(store, text), len(Pattern.of(text).folder)
    found: list[str] = []
    while (page := (yield from pages.next_item())) is not None:
        found += [meta["path"] for meta in page if not is_mark(meta["path"], meta["size"])]
    top = store.full_prefix(None)
    return [top + path for path in found], [path[front:] for path in found]
