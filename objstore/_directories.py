"""Directories, which object stores do not have.

A directory is a beginning of keys that ends with a slash; the root is the empty one. As in pyarrow's own S3 file
system, one exists when a key begins with it, and an empty one is kept by an empty object whose key it is.

Its one invariant: what cannot be named by a path (a key with an empty segment) is left out of listings, never altered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

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


def parents(key: str) -> list[str]:
    """Return the directories that a key is in, the outermost first, without the root."""
    segments = key.rstrip("/").split("/")
    return ["/".join(segments[:depth]) + "/" for depth in range(1, len(segments))]
