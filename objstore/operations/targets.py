"""The local file that something is downloaded to: a part file beside it, put in its place when it is whole.

Symlinks are followed, and a file that is replaced leaves its permissions and, where that is allowed, its owner to the
new one. A file with several names is written in place, or the others would go on naming what it was.

Its one invariant: the target is whole, or as it was; only one that has several names is in between for as long as it
takes to copy it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from objstore.disk.descriptors import copy, write_all
from objstore.disk.part_files import claim
from objstore.plans.work import at_once

if TYPE_CHECKING:
    from objstore._core import Bytes


def resolve(file: str | Path) -> str:
    """Return the path of the file that a target is, or will be.

    Raises:
        IsADirectoryError: It is a folder, or could only be one: its name is missing.
        ValueError: It is no regular file.
    """
    name = os.fspath(file)
    if os.path.basename(name) in ("", "."):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    path = os.path.realpath(name)
    found = _look(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{name!r} is not a regular file: open it, and write to it what `get` returns")
    return path


def _look(path: str) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return os.stat(path)
    return None


class Target:
    """A local file to be.

    Args:
        file: Its path.
        fsync: Whether it is forced out to the disk before it is in place.
    """

    def __init__(self, file: str | Path, *, fsync: bool = False) -> None:
        self._file = file
        self._fsync = fsync
        self._path = ""
        self._name = b""
        self._folder = -1
        self._is_kept = False
        self.descriptor = -1

    def open(self) -> None:
        """Open the part file: a new one, or what an earlier call has left."""
        self._path = resolve(self._file)
        folder, name = os.path.split(self._path)
        self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        old = _look(self._path)
        mode = 0o666 if old is None else 0o600
        try:
            self._name, self.descriptor, self._is_kept = claim(self._folder, os.fsencode(name), mode)
        except OSError as error:
            error.filename = self._path  # nobody knows the part file
            raise

    def reserve(self, size: int) -> None:
        """Empty the part file, and make sure that the disk has room for so many bytes."""
        os.ftruncate(self.descriptor, 0)
        try:
            if size:
                os.posix_fallocate(self.descriptor, 0, size)
        except OSError:
            self.discard()
            raise
        self.sync()

    def write(self, data: bytes | Bytes, at: int) -> None:
        """Write bytes where they lie in the file."""
        at_once(write_all(self.descriptor, memoryview(data), at))

    def sync(self) -> None:
        """Force what has been written out to the disk, if that is wanted."""
        if self._fsync:
            os.fsync(self.descriptor)

    def publish(self, size: int) -> None:
        """Put the first `size` bytes of the part file in the target's place."""
        old = _look(self._path)
        if old is not None and old.st_nlink > 1:
            self._fill(size)
            return
        os.ftruncate(self.descriptor, size)
        if old is not None:
            with suppress(PermissionError):
                os.fchown(self.descriptor, old.st_uid, old.st_gid)
            os.fchmod(self.descriptor, stat.S_IMODE(old.st_mode) & 0o777)
        self.sync()
        os.rename(self._name, self._path, src_dir_fd=self._folder)
        self._name = b""
        if self._fsync:
            _sync_folder(os.path.dirname(self._path))

    def _fill(self, size: int) -> None:
        """Write the bytes into the target itself."""
        target = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            at_once(copy(self.descriptor, 0, size, target, 0))
            os.ftruncate(target, size)
            if self._fsync:
                os.fsync(target)
        finally:
            os.close(target)
        self.discard()

    def discard(self) -> None:
        """Delete the part file."""
        self._is_kept = False
        self.close()

    def close(self) -> None:
        """Close the part file; it stays for the next call, unless that would not find it."""
        if self._name and not self._is_kept:
            with suppress(FileNotFoundError):
                os.unlink(self._name, dir_fd=self._folder)
        for descriptor in (self.descriptor, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self.descriptor, self._folder, self._name = -1, -1, b""


def _sync_folder(path: str) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_file(file: str | Path, body: Bytes) -> None:
    """Write a local file; it is there as a whole, or as it was."""
    target = Target(file)
    try:
        target.open()
        target.reserve(len(body))
        target.write(body, 0)
        target.publish(len(body))
    except BaseException:
        target.discard()
        raise
    finally:
        target.close()
