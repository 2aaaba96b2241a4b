"""A directory that nothing leads out of: how its files are opened, told apart and locked, and what errors mean.

It relies on Linux: openat2 and flock, each with another way where a system lacks it.

Its one invariant: no path leads out of the root, whatever symlinks there are, and whoever changes them meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from random import random
from typing import TYPE_CHECKING, NamedTuple

from objstore._core import open_beneath
from objstore.disk.part_files import NAME
from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    LocalFileError,
    NotFoundError,
    NotSupportedError,
    ObjectChangedError,
    PermissionDeniedError,
)
from objstore.settings.paths import check_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from objstore.types import ObjectMeta

STORE = "LocalStore"

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
"""How to open a file to read it; should it be none, opening it must not wait for somebody to write to it."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY
LONGEST_NAME = 255
MARK = "user.objstore.folder"
"""The extended attribute of the folders that a store has made for its objects."""

TRIES = 100
"""How often to make a folder anew that others remove because it is empty."""

EPOCH = datetime.fromtimestamp(0, UTC)


class Version(NamedTuple):
    """What tells one version of a file from another."""

    inode: int
    modified: int
    size: int

    @property
    def e_tag(self) -> str:
        """The ETag, as other stores on files make it: inode, microseconds and size in hexadecimal."""
        return f'"{self.inode:x}-{self.modified // 1000:x}-{self.size:x}"'

    @property
    def time(self) -> datetime:
        """When it was written."""
        return EPOCH + timedelta(microseconds=self.modified // 1000)

    def meta(self, key: str) -> ObjectMeta:
        """Return the metadata of the object."""
        return {"path": key, "last_modified": self.time, "size": self.size, "e_tag": self.e_tag, "version": None}


def version_of(found: os.stat_result) -> Version:
    """Return the version of a file."""
    return Version(found.st_ino, found.st_mtime_ns, found.st_size)


# --- errors

_KINDS: Mapping[int, tuple[type[BaseError], str]] = {
    errno.ENOENT: (NotFoundError, "does not exist"),
    errno.ENOTDIR: (NotFoundError, "does not exist: a part of its path is an object itself"),
    errno.EISDIR: (NotFoundError, "does not exist: there is a folder, or no regular file"),
    errno.ENXIO: (NotFoundError, "does not exist: there is no regular file"),
    errno.EEXIST: (AlreadyExistsError, "exists already"),
    errno.EXDEV: (PermissionDeniedError, "is a symlink, or below one, that leads out of the root"),
    errno.EACCES: (PermissionDeniedError, "must not be accessed"),
    errno.EPERM: (PermissionDeniedError, "must not be accessed"),
    errno.EROFS: (PermissionDeniedError, "is on a file system that is read-only"),
    errno.ENAMETOOLONG: (InvalidPathError, "has a segment that is too long for a file name"),
    errno.ESTALE: (ObjectChangedError, "was replaced while it was being read"),
}


def as_error(key: str, code: int) -> BaseError:
    """Return the error for what the system said about a key."""
    kind, words = _KINDS.get(code, (LocalFileError, f"cannot be read or written: {os.strerror(code)}"))
    return kind(f"{key!r} {words}", store=STORE, path=key, code=errno.errorcode.get(code), errno=code)


def tries() -> Iterator[int]:
    """Count how often something is tried; wait ever longer, and never equally long: others may be in step with us."""
    for number in range(TRIES):
        if number > 3:
            time.sleep(random() * 1e-4 * number)
        yield number


@contextmanager
def reported(key: str) -> Iterator[None]:
    """Turn errors of the system into the library's, with their cause."""
    try:
        yield
    except BaseError:
        raise
    except OSError as error:
        raise as_error(key, error.errno or errno.EIO) from error


def both_at_once(key: str) -> BaseError:
    """Return the error for a key that would have to be a file and a folder."""
    return NotSupportedError(
        f"{key!r} cannot be written: a file cannot be a folder too, and there are objects below this path, or one at "
        "the beginning of it",
        store=STORE,
        path=key,
    )


def in_the_way(key: str) -> BaseError:
    """Return the error for a key that has the path of something that is kept."""
    return NotSupportedError(
        f"{key!r} cannot be written: this is the path of a folder that has something in it or was not made by a "
        "LocalStore, or of a file that is no regular one",
        hint="Remove what is there, if nobody needs it.",
        store=STORE,
        path=key,
    )


def check_key(key: str) -> None:
    """Raise if a key cannot be a file: it is no path, is kept for unfinished files, or has too long a segment."""
    if check_path(key) != key:
        raise InvalidPathError(f"{key!r} cannot be a file: it has a slash at an end", store=STORE, path=key)
    if len(key) * 4 <= LONGEST_NAME and ".objstore-" not in key:
        return
    for segment in key.encode().split(b"/"):
        if len(segment) > LONGEST_NAME:
            raise as_error(key, errno.ENAMETOOLONG)
        if NAME.fullmatch(segment):
            raise InvalidPathError(
                f"{key!r} cannot be a path: a LocalStore keeps names like {segment.decode()!r} for unfinished files",
                store=STORE,
                path=key,
            )


# --- finding files


class Root:
    """A directory that nothing leads out of.

    The kernel resolves each path beneath it, in one step (openat2, RESOLVE_BENEATH), so that no race can lead out
    either. Absolute symlinks, which it refuses even if they stay within, and systems without openat2 take another way:
    the path is resolved, and what it resolves to is opened segment by segment, none of which may be a symlink any more.

    Args:
        path: Its path, absolute and without symlinks.
        fsync: Whether what is written is forced out to the disk.
    """

    def __init__(self, path: str, *, fsync: bool = False) -> None:
        self.path = path
        self._fsync = fsync

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        """Open the root itself."""
        root = os.open(self.path, os.O_PATH | os.O_DIRECTORY)
        try:
            yield root
        finally:
            os.close(root)

    def open(self, path: bytes, flags: int) -> int:
        """Open what is at a path; the empty path is the root."""
        with self.descriptor() as root:
            try:
                return open_beneath(root, path or b".", flags)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EPERM, errno.EAGAIN):
                    raise
                return self._open_resolved(root, path, flags)

    def _open_resolved(self, root: int, path: bytes, flags: int) -> int:
        base = os.fsencode(self.path)
        try:
            real = os.path.realpath(os.path.join(base, path))
        except OSError:  # a link was there, and is none any more: whoever changes it meanwhile gets no second look
            real = b"/"
        if os.path.commonpath([base, real]) != base:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        *folders, name = os.path.relpath(real, base).split(b"/")
        folder = os.dup(root)
        try:
            for segment in folders:
                inner = os.open(segment, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = inner
            return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)

    @contextmanager
    def file(self, key: str) -> Iterator[tuple[int, Version]]:
        """Open an object to read it."""
        check_key(key)
        with reported(key):
            descriptor = self.open(key.encode(), READ)
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise as_error(key, errno.EISDIR)
                yield descriptor, version_of(found)
            finally:
                os.close(descriptor)

    @contextmanager
    def folder(self, path: bytes) -> Iterator[int]:
        """Open a folder."""
        descriptor = self.open(path, FOLDER)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def make_folder(self, key: str) -> tuple[int, int]:
        """Open the folder of a key, and make it and those above it where they are missing; return how many too."""
        path, made = split(key)[0], 0
        for _ in tries():
            try:
                return self.open(path, FOLDER), made
            except NotADirectoryError:
                raise both_at_once(key) from None
            except FileNotFoundError:
                with suppress(FileNotFoundError, NotADirectoryError):  # others remove folders that are empty
                    made = self._make_missing(path.split(b"/"))
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def _make_missing(self, names: list[bytes]) -> int:
        made = 0
        for depth, name in enumerate(names):
            with self.folder(b"/".join(names[:depth])) as outer, suppress(FileExistsError):
                os.mkdir(name, dir_fd=outer)
                _mark(outer, name)
                made += 1
        return made

    def sync_file(self, descriptor: int) -> None:
        """Force the bytes of a file out to the disk, if that is wanted."""
        if self._fsync:
            os.fsync(descriptor)

    def sync_folders(self, path: bytes, most: int = 1) -> None:
        """Force the names in a folder and those above it out to the disk, `most` of them, if that is wanted."""
        for _ in range(most if self._fsync else 0):
            with self.folder(path) as folder:
                os.fsync(folder)
            path = path.rpartition(b"/")[0]

    def remove_empty(self, path: bytes, most: int) -> None:
        """Remove a folder and those above it, as long as they are empty, `most` of them."""
        while path and most:
            above, _, name = path.rpartition(b"/")
            try:
                with self.folder(above) as outer:
                    os.rmdir(name, dir_fd=outer)
            except OSError:
                return
            path, most = above, most - 1


def _mark(outer: int, name: bytes) -> None:
    """Mark a folder as made by a store. Without marks, on file systems that have none, it is not replaced by a file."""
    with suppress(OSError):
        folder = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=outer)
        try:
            os.setxattr(folder, MARK, b"1")
        finally:
            os.close(folder)


def is_marked(folder: int) -> bool:
    """Tell whether a store has made a folder."""
    with suppress(OSError):
        return bool(os.getxattr(folder, MARK))
    return False


def split(key: str) -> tuple[bytes, bytes]:
    """Return the folder of a key and its name in it."""
    folder, _, name = key.encode().rpartition(b"/")
    return folder, name


@contextmanager
def locked(folder: int, *, alone: bool = False) -> Iterator[None]:
    """Hold a lock on a folder while a name in it changes.

    What looks at a version and then replaces it is alone; all others share the lock, so that none comes in between.
    """
    held = True
    try:
        fcntl.flock(folder, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
    except OSError as error:
        if alone:
            raise NotSupportedError("This file system has no locks, which an update needs") from error
        held = False
    try:
        yield
    finally:
        if held:
            fcntl.flock(folder, fcntl.LOCK_UN)
