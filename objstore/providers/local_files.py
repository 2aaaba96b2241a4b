"""Files beneath a directory: opened, written aside and put in their place, with their attributes.

It relies on Linux: openat2, O_TMPFILE, renameat2 and flock, each with another way where a file system lacks it.

Its invariants: no path leads out of the root, whatever symlinks there are; and a file appears under its name whole, or
not at all.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from objstore import exceptions as errors
from objstore._core import open_beneath, rename_new
from objstore.exceptions import BaseError
from objstore.providers.conditions import check_mode
from objstore.providers.provider import Source
from objstore.providers.works import Work
from objstore.types import ObjectMeta, PutMode, PutResult

STORE = "LocalStore"
ATTRIBUTES = "user.objstore.attributes"
"""The extended attribute that holds what is stored with an object, as a JSON object."""

STAGING = re.compile(rb"\.objstore-[0-9a-f]{16}\.part")
"""The names of files that are being written. No key may have such a segment, and no listing shows one."""

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
"""How to open a file to read it; should it be none, opening it must not wait for somebody to write to it."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY
PIECE = 16 << 20
LONGEST_NAME = 255
TRIES = 100
"""How often to make a folder anew that others remove because it is empty."""

EPOCH = datetime.fromtimestamp(0, UTC)
HAS_PROC = os.path.isdir("/proc/self/fd")  # where a file without a name can be found to give it one


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
    errno.ENOENT: (errors.NotFoundError, "does not exist"),
    errno.ENOTDIR: (errors.NotFoundError, "does not exist: a part of its path is an object itself"),
    errno.EISDIR: (errors.NotFoundError, "does not exist: there is a folder, or no regular file"),
    errno.ENXIO: (errors.NotFoundError, "does not exist: there is no regular file"),
    errno.EEXIST: (errors.AlreadyExistsError, "exists already"),
    errno.EXDEV: (errors.PermissionDeniedError, "is a symlink, or below one, that leads out of the root"),
    errno.EACCES: (errors.PermissionDeniedError, "must not be accessed"),
    errno.EPERM: (errors.PermissionDeniedError, "must not be accessed"),
    errno.EROFS: (errors.PermissionDeniedError, "is on a file system that is read-only"),
    errno.ENAMETOOLONG: (errors.InvalidPathError, "has a segment that is too long for a file name"),
    errno.ESTALE: (errors.ObjectChangedError, "was replaced while it was being read"),
}


def as_error(key: str, code: int) -> BaseError:
    """Return the error for what the system said about a key."""
    kind, words = _KINDS.get(code, (errors.GenericError, f"failed: {os.strerror(code)}"))
    return kind(f"{key!r} {words}", store=STORE, path=key, code=errno.errorcode.get(code))


@contextmanager
def reported(key: str) -> Iterator[None]:
    """Turn errors of the system into the library's, with their cause."""
    try:
        yield
    except BaseError:
        raise
    except OSError as error:
        raise as_error(key, error.errno or errno.EIO) from error


def _both(key: str) -> BaseError:
    return errors.NotSupportedError(
        f"{key!r} cannot be written: a file cannot be a folder too, and there are objects below this path, or one at "
        "the beginning of it",
        store=STORE,
        path=key,
    )


def check_key(key: str) -> None:
    """Raise if a key cannot be a file: it is kept for files that are being written, or a segment of it is too long."""
    if len(key) * 4 <= LONGEST_NAME and ".objstore-" not in key:
        return
    for segment in key.encode().split(b"/"):
        if len(segment) > LONGEST_NAME:
            raise as_error(key, errno.ENAMETOOLONG)
        if STAGING.fullmatch(segment):
            raise errors.InvalidPathError(
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
    """

    def __init__(self, path: str) -> None:
        self.path = path

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
        real = os.path.realpath(os.path.join(base, path))
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
        for _ in range(TRIES):
            try:
                return self.open(path, FOLDER), made
            except NotADirectoryError:
                raise _both(key) from None
            except FileNotFoundError:
                with suppress(FileNotFoundError, NotADirectoryError):  # others remove folders that are empty
                    made = self._make_missing(path.split(b"/"))
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def _make_missing(self, names: list[bytes]) -> int:
        made = 0
        for depth, name in enumerate(names):
            with self.folder(b"/".join(names[:depth])) as outer, suppress(FileExistsError):
                os.mkdir(name, dir_fd=outer)
                made += 1
        return made

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


def split(key: str) -> tuple[bytes, bytes]:
    """Return the folder of a key and its name in it."""
    folder, _, name = key.encode().rpartition(b"/")
    return folder, name


@contextmanager
def locked(folder: int, *, alone: bool = False) -> Iterator[None]:
    """Hold a lock on a folder while a name in it changes.

    What looks at a version and then replaces it is alone; all others share the lock, so that none comes in between.
    """
    try:
        fcntl.flock(folder, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
    except OSError as error:
        if alone:
            raise errors.NotSupportedError("This file system has no locks, which an update needs") from error
        yield
        return
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)


# --- attributes


def pack_attributes(attributes: Mapping[str, str]) -> bytes:
    """Return attributes as they are stored; nothing where there are none."""
    return json.dumps(dict(attributes), ensure_ascii=False).encode() if attributes else b""


def stored_attributes(descriptor: int) -> bytes:
    """Return what is stored with a file, as it is stored."""
    try:
        return os.getxattr(descriptor, ATTRIBUTES)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return b""
        raise


def read_attributes(descriptor: int) -> dict[str, str]:
    """Return the attributes of a file."""
    stored = stored_attributes(descriptor)
    return {str(name): str(value) for name, value in json.loads(stored).items()} if stored else {}


def _store_attributes(descriptor: int, key: str, packed: bytes) -> None:
    try:
        os.setxattr(descriptor, ATTRIBUTES, packed)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            raise errors.NotSupportedError(
                f"{key!r} cannot have attributes: its file system has no extended attributes", store=STORE, path=key
            ) from error
        if error.errno in (errno.ENOSPC, errno.E2BIG, errno.ERANGE):
            raise errors.NotSupportedError(
                f"{key!r} cannot have {len(packed)} bytes of attributes: its file system has no room for so many",
                store=STORE,
                path=key,
            ) from error
        raise


# --- writing


def put_in_place(key: str, folder: int, name: bytes, new: Callable[[], None], over: Callable[[], None] | None) -> None:
    """Give a file its name.

    Args:
        key: The key it is to have.
        folder: The folder of the name.
        name: The name.
        new: Gives it the name if that is free.
        over: Gives it the name whatever has it now; None if it may replace nothing.
    """
    for _ in range(TRIES):
        with suppress(FileExistsError):
            return new()
        if _is_folder(folder, name):
            _remove_if_empty(key, folder, name)
        elif over is None:
            raise as_error(key, errno.EEXIST)
        else:
            return over()
    raise _both(key)


def _is_folder(folder: int, name: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _remove_if_empty(key: str, folder: int, name: bytes) -> None:
    """Remove a folder that objects below it have left behind."""
    try:
        with suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=folder)
    except OSError:
        raise _both(key) from None


def move(from_folder: int, source: bytes, to_folder: int, target: bytes) -> None:
    """Rename a file to a name that is free."""
    try:
        rename_new(from_folder, source, to_folder, target)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        os.link(source, target, src_dir_fd=from_folder, dst_dir_fd=to_folder, follow_symlinks=False)
        os.unlink(source, dir_fd=from_folder)


class Staging:
    """A file that is being written, in the folder of its key.

    It has no name while it is written (O_TMPFILE), so that not even a killed process leaves anything behind; where the
    file system cannot do that, it has one that no listing shows.

    Args:
        root: Where it is.
        key: The key it is to have.
        mode: What it may replace.
        attributes: What is stored with it, packed.
    """

    def __init__(self, root: Root, key: str, mode: PutMode, attributes: bytes) -> None:
        self._root = root
        self._key = key
        self._mode = mode
        self._attributes = attributes
        self._above, self._target = split(key)
        self._folder = -1
        self._descriptor = -1
        self._made = 0
        self._name: bytes | None = None

    def open(self) -> None:
        """Begin, unless the mode forbids it already."""
        check_key(self._key)
        with reported(self._key):
            self._check_mode()
            self._find_place()
            if self._attributes:
                _store_attributes(self._descriptor, self._key, self._attributes)

    def _check_mode(self) -> None:
        if self._mode == "overwrite":
            return
        try:
            with self._root.file(self._key) as (_, version):
                found = version.e_tag
        except errors.NotFoundError:
            found = None
        check_mode(STORE, self._key, found, self._mode)

    def _find_place(self) -> None:
        for _ in range(TRIES):
            self._open_folder()
            with suppress(FileNotFoundError):  # others have removed the folder: it was empty
                return self._open_file()
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def _open_folder(self) -> None:
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1
        self._folder, made = self._root.make_folder(self._key)
        self._made = max(self._made, made)

    def _open_file(self) -> None:
        if HAS_PROC:
            try:
                self._descriptor = os.open(b".", os.O_TMPFILE | os.O_RDWR, 0o666, dir_fd=self._folder)
                return
            except OSError as error:
                if not os.fstat(self._folder).st_nlink:  # ext4 says EPERM to a folder that was removed
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
                if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                    raise
        name = _staging_name()
        self._descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666, dir_fd=self._folder)
        self._name = name

    def write(self, source: Source, at: int) -> Work[None]:
        """Write bytes in their place."""
        with reported(self._key):
            if isinstance(source.data, tuple):
                yield from self._copy(*source.data, at)
                return
            view = memoryview(source.data)
            while len(view):
                written = os.pwrite(self._descriptor, view[:PIECE], at)
                view, at = view[written:], at + written
                yield

    def _copy(self, descriptor: int, offset: int, length: int, at: int) -> Work[None]:
        """Copy a stretch of another file; the file system shares its blocks, where it can."""
        while length:
            size = min(length, PIECE)
            copied = _copied_by_kernel(descriptor, offset, self._descriptor, at, size)
            if not copied:
                copied = os.pwrite(self._descriptor, os.pread(descriptor, size, offset), at)
            if not copied:
                raise errors.SourceChangedError("The file became shorter while it was read", hint="Do it again.")
            offset, at, length = offset + copied, at + copied, length - copied
            yield

    def publish(self) -> PutResult:
        """Give it the name of its key, if the mode allows it."""
        with reported(self._key):
            os.close(os.dup(self._descriptor))  # what a file system puts off until a file is closed fails here
            now = time.time_ns()  # finer than the kernel's own clock: no two versions have the same time
            os.utime(self._descriptor, ns=(now, now))
            version = version_of(os.fstat(self._descriptor))
            for _ in range(TRIES):
                try:
                    self._put_in_place()
                except FileNotFoundError as error:  # others have removed the folder: it was empty
                    if isinstance(error, BaseError) or self._name is not None:
                        raise
                    self._open_folder()
                else:
                    self._made, self._name = 0, None
                    return {"e_tag": version.e_tag, "version": None}
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def _put_in_place(self) -> None:
        with locked(self._folder, alone=not isinstance(self._mode, str)):
            if not isinstance(self._mode, str):
                self._check_mode()
            over = None if self._mode == "create" else self._replace
            put_in_place(self._key, self._folder, self._target, self._appear, over)

    def _appear(self) -> None:
        if self._name is None:
            self._link(self._target)
        else:
            move(self._folder, self._name, self._folder, self._target)

    def _replace(self) -> None:
        if self._name is None:
            name = _staging_name()
            self._link(name)
            self._name = name
        os.rename(self._name, self._target, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _link(self, name: bytes) -> None:
        os.link(b"/proc/self/fd/%d" % self._descriptor, name, dst_dir_fd=self._folder, follow_symlinks=True)

    def close(self) -> None:
        """Let go of it; unless it was published, nothing stays behind."""
        if self._name is not None:
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._folder)
        for descriptor in (self._descriptor, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._root.remove_empty(self._above, self._made)
        self._name, self._descriptor, self._folder, self._made = None, -1, -1, 0

    def __enter__(self) -> Staging:
        """Begin."""
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of it."""
        self.close()


def _staging_name() -> bytes:
    return b".objstore-%s.part" % os.urandom(8).hex().encode()


def _copied_by_kernel(source: int, offset: int, target: int, at: int, size: int) -> int:
    """Copy bytes without bringing them here; return how many, 0 where that is not possible."""
    try:
        return os.copy_file_range(source, target, size, offset, at)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
            raise
        return 0
