"""Directories, which most object stores do not have.

A directory is a beginning of keys that ends with a slash; the root is the empty one. As in pyarrow's own S3 file
system, one exists when a key begins with it, and an empty one is kept by an empty object whose key it is. Local files
and WebDAV servers have folders, and theirs are the directories.

Its one invariant: what cannot be named by a path (a key with an empty segment) is left out of listings, never altered.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from objstore._core import may_have_threads
from objstore.exceptions import BaseError, NotFoundError, PermissionDeniedError
from objstore.interface.values import EPOCH, ListQuery
from objstore.operations.listing import has_any
from objstore.plans.run import run
from objstore.providers.web.multistatus import Entry as Answer
from objstore.providers.web.webdav import meta_of
from objstore.store import HTTPStore, LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from objstore.store import Store
    from objstore.types import ObjectMeta

Entry: TypeAlias = "tuple[str, ObjectMeta | None]"
"""A name below a directory, and the metadata of an object, or None for a directory."""

MARK = {"Content-Type": "application/x-directory"}
"""What pyarrow's S3 file system stores with the object of an empty directory."""

PAGE = 1000
"""How many objects are deleted at a time."""

LISTINGS_AT_ONCE = 16
"""How many paths are looked at for being directories at a time."""


class Directories:
    """The directories of a store.

    Args:
        store: A store with raw keys.
    """

    are_prefixes = True
    """Whether they are nothing but beginnings of keys: a key that names an object is no directory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def look(self, keys: Sequence[str]) -> dict[str, ObjectMeta | BaseError | None]:
        """Say what each key is: an object, a directory (None), or neither. All objects are asked for at once."""
        return self.completed(dict(zip(keys, self._store.head_many(keys, on_error="return"), strict=True)))

    def completed(self, objects: Mapping[str, ObjectMeta | BaseError]) -> dict[str, ObjectMeta | BaseError | None]:
        """Say what each key is, of which it is known whether there is an object."""
        found: dict[str, ObjectMeta | BaseError | None] = {**objects}
        missing = [key for key, meta in found.items() if isinstance(meta, NotFoundError)]
        with ThreadPoolExecutor(LISTINGS_AT_ONCE) as pool:
            look = pool.map if len(missing) > 1 and may_have_threads() else map
            exist = look(self.exists, [f"{key}/" for key in missing])
            found.update((key, None) for key, exists in zip(missing, exist, strict=True) if exists)
        return found

    def exists(self, directory: str) -> bool:
        """Tell whether a directory exists; the root does."""
        return not directory or run(has_any(self._store, self._store.full_prefix(directory)))

    def make(self, directories: Iterable[str]) -> None:
        """Make directories; those that exist stay as they are."""
        self._store.put_many([(directory, b"") for directory in directories if directory], attributes=MARK)

    def remove(self, directory: str) -> bool:
        """Delete a directory and all that is in it; tell whether there was anything."""
        found = False
        for page in self._store.list(directory, chunk_size=PAGE):
            self._delete([meta["path"] for meta in page])
            found = True
        run(self._store.provider.remove_directories(self._store.full_prefix(directory, by="string")))
        return found

    def _delete(self, paths: Sequence[str]) -> None:
        """Delete objects, some of which another call may have deleted first."""
        try:
            self._store.delete(paths)
        except NotFoundError:  # of the others, what could be deleted has been
            for path in paths:
                with suppress(NotFoundError):
                    self._store.delete(path)

    def modified(self, key: str, meta: ObjectMeta | None) -> int | None:
        """Return when an object was written, in nanoseconds since 1970; None of a directory, which has no time."""
        return None if meta is None else microseconds(meta) * 1000

    def level(self, directory: str) -> list[Entry]:
        """List what is right below a directory."""
        listed = self._store.list_with_delimiter(directory)
        skip = len(directory)
        below: list[Entry] = [(prefix[skip:].removesuffix("/"), None) for prefix in listed["common_prefixes"]]
        objects: list[Entry] = [(meta["path"][skip:], meta) for meta in listed["objects"]]
        return [(name, meta) for name, meta in below + objects if name]

    def tree(self, directory: str) -> list[Entry]:
        """List all that is below a directory, each directory once and before what is in it."""
        entries: dict[tuple[str, bool], ObjectMeta | None] = {}
        for page in self._store.list(directory, chunk_size=PAGE):
            for meta in page:
                *folders, file = meta["path"][len(directory) :].split("/")
                if "" in folders:
                    continue
                for depth in range(len(folders)):
                    entries.setdefault(("/".join(folders[: depth + 1]), True), None)
                if file:
                    entries[("/".join([*folders, file]), False)] = meta
        return [(name, meta) for (name, _), meta in entries.items()]


class Folders(Directories):
    """The directories of a store of local files: its folders.

    Args:
        store: The store, with raw keys.
    """

    are_prefixes = False

    def __init__(self, store: LocalStore) -> None:
        super().__init__(store)
        self._root = store.prefix or Path("/")

    def _folder(self, directory: str) -> Path:
        """Return the folder of a directory; nothing leads out of the store's own."""
        folder = (self._root / directory).resolve()
        if not folder.is_relative_to(self._root):
            raise PermissionDeniedError(f"{directory!r} leads out of {str(self._root)!r}", path=directory)
        return folder

    def exists(self, directory: str) -> bool:
        """Tell whether a folder exists."""
        return self._folder(directory).is_dir()

    def make(self, directories: Iterable[str]) -> None:
        """Make folders; those that exist stay as they are."""
        for directory in directories:
            self._folder(directory).mkdir(parents=True, exist_ok=True)

    def remove(self, directory: str) -> bool:
        """Delete a folder and all that is in it, of the root only what is in it; tell whether there was one."""
        folder = self._folder(directory)
        if not folder.is_dir():
            return False
        super().remove(directory)
        for path, folders, _ in os.walk(folder, topdown=False):
            for name in folders:
                (Path(path) / name).rmdir()
        if directory:
            folder.rmdir()
        return True

    def modified(self, key: str, meta: ObjectMeta | None) -> int | None:
        """Return when a file or folder was written, to the nanosecond, which metadata do not have room for."""
        try:
            found = os.stat(self._root / key).st_mtime_ns
        except OSError:  # it is gone meanwhile
            return super().modified(key, meta)
        return found if meta is None or found // 1000 == microseconds(meta) else super().modified(key, meta)

    def level(self, directory: str) -> list[Entry]:
        """List what is right below a folder, empty folders too."""
        entries = super().level(directory)
        folder = self._folder(directory)
        below = [entry.name for entry in os.scandir(folder) if entry.is_dir()] if folder.is_dir() else []
        return entries + self._empty(entries, below)

    def tree(self, directory: str) -> list[Entry]:
        """List all that is below a folder, empty folders too."""
        entries, top = super().tree(directory), self._folder(directory)
        below = (Path(path, name).relative_to(top).as_posix() for path, names, _ in os.walk(top) for name in names)
        return entries + self._empty(entries, below)

    def _empty(self, entries: Iterable[Entry], folders: Iterable[str]) -> list[Entry]:
        """Return the folders that are not among the entries: there is no object in them."""
        known = {name for name, meta in entries if meta is None}
        return [(name, None) for name in sorted(set(folders) - known)]


class Collections(Directories):
    """The directories of a web server: the folders that WebDAV tells of. Without WebDAV there is none but the root.

    Args:
        store: The store, with raw keys.
    """

    are_prefixes = False

    def __init__(self, store: HTTPStore) -> None:
        super().__init__(store)
        self._provider = store.provider

    def look(self, keys: Sequence[str]) -> dict[str, ObjectMeta | BaseError | None]:
        """Say what each key is; HEAD is asked only where WebDAV does not tell."""
        answers = run(self._provider.look_at(keys)) if keys else {}
        found: dict[str, ObjectMeta | BaseError | None] = {}
        for key, answer in answers.items():
            if isinstance(answer, Answer) and (answer.is_folder or answer.size >= 0):
                found[key] = None if answer.is_folder else meta_of(answer)
            elif isinstance(answer, BaseError):
                found[key] = answer
        untold = [key for key in keys if key not in found]
        found.update(zip(untold, self._store.head_many(untold, on_error="return"), strict=True))
        return found

    def exists(self, directory: str) -> bool:
        """Tell whether a folder exists."""
        if not directory:
            return True
        [answer] = run(self._provider.look_at([directory.removesuffix("/")])).values()
        return isinstance(answer, Answer) and answer.is_folder

    def make(self, directories: Iterable[str]) -> None:
        """Make folders; those that exist stay as they are."""
        for directory in directories:
            run(self._provider.make_folders(self._provider.target(directory)))

    def remove(self, directory: str) -> bool:
        """Delete a folder and all that is in it, of the root only what is in it; tell whether there was one."""
        if not self.exists(directory):
            return False
        folders = [directory.removesuffix("/")] if directory else []
        if not directory:
            super().remove(directory)
            folders = [name for name, meta in self.level(directory) if meta is None]
        for folder in folders:
            run(self._provider.delete_folder(folder))
        return True

    def tree(self, directory: str) -> list[Entry]:
        """List all that is below a folder, empty folders too."""
        page, skip = run(self._provider.list_page(ListQuery(prefix=directory))), len(directory)
        folders: list[Entry] = [(prefix[skip:].removesuffix("/"), None) for prefix in page.common_prefixes]
        return folders + [(meta["path"][skip:], meta) for meta in page.objects.objects()]


def directories_of(store: Store) -> Directories:
    """Return the directories of a store, as that kind of store has them."""
    raw = store.with_raw_keys()
    if isinstance(raw, HTTPStore):
        return Collections(raw)
    return Folders(raw) if isinstance(raw, LocalStore) else Directories(raw)


def microseconds(meta: ObjectMeta) -> int:
    """Return the time of metadata, in microseconds since 1970."""
    return (meta["last_modified"] - EPOCH) // timedelta(microseconds=1)


def parents(key: str) -> list[str]:
    """Return the directories that a key is in, the outermost first, without the root."""
    segments = key.rstrip("/").split("/")
    return ["/".join(segments[:depth]) + "/" for depth in range(1, len(segments))]
