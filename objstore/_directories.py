"""Directories, which most object stores do not have.

A directory is a beginning of keys that ends with a slash; the root is the empty one. As in pyarrow's own S3 file
system, one exists when a key begins with it, and an empty one is kept by an empty object whose key it is. Local files
have folders, and theirs are the directories.

Its one invariant: what cannot be named by a path (a key with an empty segment) is left out of listings, never altered.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from objstore.exceptions import PermissionDeniedError
from objstore.store import LocalStore

if TYPE_CHECKING:
    from objstore.store import Store
    from objstore.types import ObjectMeta

Entry: TypeAlias = "tuple[str, ObjectMeta | None]"
"""A name below a directory, and the metadata of an object, or None for a directory."""

MARK = {"Content-Type": "application/x-directory"}
"""What pyarrow's S3 file system stores with the object of an empty directory."""

PAGE = 1000
"""How many objects are deleted at a time."""


class Directories:
    """The directories of a store.

    Args:
        store: A store with raw keys.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def exists(self, directory: str) -> bool:
        """Tell whether a directory exists; the root does."""
        return not directory or next(self._store.list(directory), None) is not None

    def make(self, directories: Iterable[str]) -> None:
        """Make directories; those that exist stay as they are."""
        self._store.put_many([(directory, b"") for directory in directories if directory], attributes=MARK)

    def remove(self, directory: str) -> bool:
        """Delete a directory and all that is in it; tell whether there was anything."""
        found = False
        for page in self._store.list(directory, chunk_size=PAGE):
            self._store.delete([meta["path"] for meta in page])
            found = True
        return found

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


def directories_of(store: Store) -> Directories:
    """Return the directories of a store, as that kind of store has them."""
    raw = store.with_raw_keys()
    return Folders(raw) if isinstance(raw, LocalStore) else Directories(raw)


def parents(key: str) -> list[str]:
    """Return the directories that a key is in, the outermost first, without the root."""
    segments = key.rstrip("/").split("/")
    return ["/".join(segments[:depth]) + "/" for depth in range(1, len(segments))]
