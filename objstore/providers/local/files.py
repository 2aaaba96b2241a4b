"""Files that are written aside and put in their place, with their attributes.

It relies on Linux: O_TMPFILE, renameat2 and extended attributes, the first two with another way where they are missing.

Its one invariant: a file appears under its name whole, or not at all.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from objstore._core import rename_new
from objstore.disk.descriptors import copy, write_all
from objstore.disk.part_files import NAME, create, hold, make, name_of, remove_left
from objstore.exceptions import BaseError, NotFoundError, NotSupportedError
from objstore.providers.local.root import (
    FOLDER,
    STORE,
    Root,
    as_error,
    both_at_once,
    check_key,
    in_the_way,
    is_marked,
    locked,
    reported,
    split,
    tries,
    version_of,
)
from objstore.providers.preconditions import check_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from objstore.interface.values import Source
    from objstore.plans.work import Work
    from objstore.types import PutMode, PutResult

ATTRIBUTES = "user.objstore.attributes"
"""The extended attribute that holds what is stored with an object, as a JSON object."""

HAS_PROC = os.path.isdir("/proc/self/fd")  # where a file without a name can be found to give it one


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
            raise NotSupportedError(
                f"{key!r} cannot have attributes: its file system has no extended attributes", store=STORE, path=key
            ) from error
        if error.errno in (errno.ENOSPC, errno.E2BIG, errno.ERANGE):
            raise NotSupportedError(
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
    for _ in tries():
        with suppress(FileExistsError):
            return new()
        if not _is_replaceable(key, folder, name):
            continue
        if over is None:
            raise as_error(key, errno.EEXIST)
        with suppress(IsADirectoryError):
            return over()
    raise both_at_once(key)


_KEPT = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EBUSY)
"""What says that a folder is not to be removed."""


def _is_replaceable(key: str, folder: int, name: bytes) -> bool:
    """Tell whether a name is a file's; folders without use are removed, all else is kept, which is an error."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            _remove_unused(folder, name)
            return False
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in _KEPT:
            raise
        raise in_the_way(key) from error
    if stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and not _leads_to_folder(folder, name)):
        return True
    raise in_the_way(key)


def _leads_to_folder(folder: int, name: bytes) -> bool:
    with suppress(OSError):  # it leads nowhere
        return stat.S_ISDIR(os.stat(name, dir_fd=folder).st_mode)
    return False


def _remove_unused(folder: int, name: bytes) -> None:
    """Remove a folder that a store made, and in which there is nothing but such folders and what a kill left behind.

    Raises:
        OSError: There is something else: objects, or what somebody made by other means.
    """
    inner = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    try:
        if not is_marked(inner):
            raise OSError(errno.ENOTEMPTY, "the folder was not made by a store", os.fsdecode(name))
        for below in map(os.fsencode, os.listdir(inner)):
            if not (NAME.fullmatch(below) and remove_left(inner, below)):
                _remove_unused(inner, below)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=folder)


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
    file system cannot do that, it is a part file from the beginning.

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
        except NotFoundError:
            found = None
        check_mode(STORE, self._key, found, self._mode)

    def _find_place(self) -> None:
        for _ in tries():
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
        self._name, (self._descriptor, _) = create(
            self._folder, self._target, lambda name: make(self._folder, name, 0o666)
        )

    def write(self, source: Source, at: int) -> Work[None]:
        """Write bytes in their place."""
        with reported(self._key):
            if isinstance(source.data, tuple):
                yield from copy(*source.data, self._descriptor, at)
            else:
                yield from write_all(self._descriptor, memoryview(source.data), at)

    def flush(self) -> None:
        """Have what a file system puts off until a file is closed fail here."""
        with reported(self._key):
            os.close(os.dup(self._descriptor))

    def publish(self) -> PutResult:
        """Give it the name of its key, if the mode allows it."""
        with reported(self._key):
            now = time.time_ns()  # finer than the kernel's own clock: no two versions have the same time
            os.utime(self._descriptor, ns=(now, now))
            version = version_of(os.fstat(self._descriptor))
            self._root.sync_file(self._descriptor)
            for _ in tries():
                try:
                    self._put_in_place()
                except FileNotFoundError as error:  # others have removed the folder: it was empty
                    if isinstance(error, BaseError) or self._name is not None:
                        raise
                    self._open_folder()
                else:
                    self._root.sync_folders(self._above, 1 + self._made)
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
            remove_left(self._folder, name_of(self._target, 0))
        else:
            move(self._folder, self._name, self._folder, self._target)

    def _replace(self) -> None:
        if self._name is None:
            hold(self._descriptor)
            self._name, _ = create(self._folder, self._target, self._link)
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
