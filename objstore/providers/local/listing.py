"""Listings of the files beneath a directory, in the order of S3: that of whole keys, byte by byte.

A folder's names are read when the walk comes to it, and sorted as its keys are: a folder as if a slash ended its name
(``a.b`` comes before ``a/b``). So the walk gives keys in order, and holds the names of no more than one folder for each
level. Folders that cannot have a key of the page are not read.

Names that are not UTF-8 are no keys, and neither are unfinished files, broken symlinks and such as lead out of the
root: none is listed. A symlink to a folder that it is in itself is not followed. What cannot be looked at, for it must
not be entered or the process may open no more files, is an error that names it.

Its one invariant: keys come in ascending order, whatever changes meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from objstore._core import Listing
from objstore.disk.part_files import NAME
from objstore.exceptions import BaseError
from objstore.interface.values import ListQuery, Page
from objstore.providers.local.root import Root, Version, as_error, version_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from objstore.types import ObjectMeta

PAGE = 1000
MOST_KEPT = 16
"""How many listings may wait for their next page with what they have read of their folders."""


_GONE = (errno.ENOENT, errno.ENOTDIR, errno.EXDEV, errno.ELOOP)
"""What says that a name is none: it was removed, or a symlink leads in a circle or out of the root."""


@contextmanager
def _looking_at(key: str) -> Iterator[None]:
    """Pass over what is gone; all else that keeps us from looking is an error, not a gap in the listing."""
    try:
        yield
    except BaseError:
        raise
    except OSError as error:
        if error.errno not in _GONE:
            raise as_error(key, error.errno or errno.EIO) from error


class _Found(NamedTuple):
    """An object, or a prefix of the keys of objects (without a version)."""

    key: str
    version: Version | None


class _Level:
    """A folder that a walk is in.

    Args:
        above: Its key, with a slash at its end.
        names: The names in it, in order; a slash ends those of folders.
        identity: What tells it from all other folders.
    """

    def __init__(self, above: str, names: list[str], identity: tuple[int, int]) -> None:
        self.above = above
        self.names = names
        self.identity = identity
        self.at = 0

    def take_objects(self, most: int) -> list[str]:
        """Return the names before the next folder, no more than so many of them."""
        start = self.at
        while self.at < min(len(self.names), start + most) and self.names[self.at][-1] != "/":
            self.at += 1
        return self.names[start : self.at]

    def take_folder(self) -> str:
        """Return the next name."""
        self.at += 1
        return self.names[self.at - 1]


class Walk:
    """The objects beneath a directory, in order.

    Args:
        root: The directory.
        query: Which keys.
    """

    def __init__(self, root: Root, query: ListQuery) -> None:
        self._root = root
        self._prefix = query.prefix
        self._one_level = bool(query.delimiter)
        self._after = max(query.offset, query.token)
        self._passed = query.token

    def __iter__(self) -> Generator[_Found, None, None]:
        """Walk."""
        folder, slash, _ = self._prefix.rpartition("/")
        if slash and not {"", ".", ".."}.isdisjoint(folder.split("/")):
            return  # no key begins with that
        levels = [self._level(folder + slash)]
        while levels:
            level = levels[-1]
            if level.at == len(level.names):
                levels.pop()
                continue
            objects = level.take_objects(PAGE)
            if objects:
                yield from self._objects(level.above, objects)
                continue
            key = level.above + level.take_folder()
            if not self._one_level or self._prefix.startswith(key):
                inner = self._level(key)
                if inner.identity not in [outer.identity for outer in levels]:
                    levels.append(inner)
            elif key > self._passed and self._has_objects(key):
                yield _Found(key, None)

    def _has_objects(self, key: str) -> bool:
        """Tell whether a folder has an object of the listing: any will do, whichever its name comes first."""
        folders: list[tuple[str, tuple[tuple[int, int], ...]]] = [(key, ())]
        while folders:
            above, outer = folders.pop()
            if self._has_file(above):
                return True
            level = self._level(above)
            if level.identity in outer:
                continue
            if self._objects(above, [name for name in level.names if name[-1] != "/"]):
                return True
            within = (*outer, level.identity)
            folders += [(above + name, within) for name in reversed(level.names) if name[-1] == "/"]
        return False

    def _has_file(self, above: str) -> bool:
        """Tell whether there is a file right in a folder that is an object of the listing."""
        with _looking_at(above), self._root.folder(above.rstrip("/").encode()) as folder, os.scandir(folder) as entries:
            return any(entry.is_file(follow_symlinks=False) and self._name(above, entry) for entry in entries)
        return False

    def _level(self, above: str) -> _Level:
        """Read the names in a folder that can have a key of the listing."""
        with _looking_at(above or self._root.path), self._root.folder(above.rstrip("/").encode()) as folder:
            found = os.fstat(folder)
            with os.scandir(folder) as entries:
                names = [name for entry in entries if (name := self._name(above, entry)) is not None]
            return _Level(above, sorted(names), (found.st_dev, found.st_ino))
        return _Level(above, [], (0, 0))

    def _name(self, above: str, entry: os.DirEntry[str]) -> str | None:
        raw = os.fsencode(entry.name)
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            return None
        if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and self._leads_to_folder(above + name)):
            name += "/"
        elif NAME.fullmatch(raw):
            return None
        return name if self._is_wanted(above + name) else None

    def _is_wanted(self, key: str) -> bool:
        """Tell whether a key, or one below it, can be in the listing."""
        if not key.startswith(self._prefix) and not (key[-1] == "/" and self._prefix.startswith(key)):
            return False
        return key > self._after or (key[-1] == "/" and self._after.startswith(key))

    def _leads_to_folder(self, key: str) -> bool:
        found = self._stat(key)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def _objects(self, above: str, names: list[str]) -> list[_Found]:
        """Return which of the names in a folder are objects."""
        objects = []
        with _looking_at(above or self._root.path), self._root.folder(above.rstrip("/").encode()) as folder:
            for name in names:
                found = self._look(folder, above + name, name)
                if found is not None and stat.S_ISREG(found.st_mode):
                    objects.append(_Found(above + name, version_of(found)))
        return objects

    def _look(self, folder: int, key: str, name: str) -> os.stat_result | None:
        with _looking_at(key):
            found = os.stat(name.encode(), dir_fd=folder, follow_symlinks=False)
            return self._stat(key) if stat.S_ISLNK(found.st_mode) else found
        return None

    def _stat(self, key: str) -> os.stat_result | None:
        """Look at what a symlink leads to; None where that is nothing, or outside the root."""
        with _looking_at(key):
            descriptor = self._root.open(key.encode(), os.O_PATH)
            try:
                return os.fstat(descriptor)
            finally:
                os.close(descriptor)
        return None


class Pages:
    """The pages of listings; a page goes on with the walk of the one before it, where that is still known."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._walks: dict[tuple[str, str, str], Iterator[_Found]] = {}

    def read(self, query: ListQuery) -> Page:
        """Read one page."""
        walk = self._walks.pop((query.prefix, query.delimiter, query.token), None) if query.token else None
        if walk is None:
            walk = iter(Walk(self._root, query))
        found = [*islice(walk, PAGE)]
        if len(found) < PAGE:
            return _page(found, "")
        token = found[-1].key
        self._keep((query.prefix, query.delimiter, token), walk)
        return _page(found, token)

    def _keep(self, place: tuple[str, str, str], walk: Iterator[_Found]) -> None:
        while len(self._walks) >= MOST_KEPT:
            with suppress(KeyError, StopIteration, RuntimeError):  # another thread may change it
                del self._walks[next(iter(self._walks))]
        self._walks[place] = walk


def _page(found: list[_Found], token: str) -> Page:
    objects: list[ObjectMeta] = [each.version.meta(each.key) for each in found if each.version is not None]
    return Page(Listing.of(objects), [each.key for each in found if each.version is None], token)
