"""Reads and writes of open files that end when all is done.

The system may do less than it was asked for, and never does more than 2 GiB at a time.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from objstore.exceptions import SourceChangedError

if TYPE_CHECKING:
    from objstore.plans.work import Work

PIECE = 16 << 20
"""How many bytes are read or written at a time."""


def cut_short() -> SourceChangedError:
    """Return the error for a file that ends before all that was asked for."""
    return SourceChangedError("The file became shorter while it was read", hint="Do it again.")


def read_into(descriptor: int, view: memoryview, at: int) -> Work[int]:
    """Fill memory from a file; return how many bytes there were, fewer only where the file ends."""
    done = 0
    while done < len(view):
        got = os.preadv(descriptor, [view[done : done + PIECE]], at + done)
        if not got:
            break
        done += got
        yield
    return done


def write_all(descriptor: int, view: memoryview, at: int) -> Work[None]:
    """Write bytes at their place in a file."""
    while len(view):
        written = os.pwrite(descriptor, view[:PIECE], at)
        view, at = view[written:], at + written
        yield


def copy(source: int, offset: int, length: int, target: int, at: int) -> Work[None]:
    """Copy a stretch of a file into another one; the file system shares its blocks, where it can.

    Raises:
        SourceChangedError: The file ends before the stretch does.
    """
    while length:
        size = min(length, PIECE)
        copied = _copied_by_kernel(source, offset, target, at, size)
        if not copied:
            copied = os.pwrite(target, os.pread(source, size, offset), at)
        if not copied:
            raise cut_short()
        offset, at, length = offset + copied, at + copied, length - copied
        yield


def _copied_by_kernel(source: int, offset: int, target: int, at: int, size: int) -> int:
    """Copy bytes without bringing them here; return how many, 0 where that is not possible."""
    try:
        return os.copy_file_range(source, target, size, offset, at)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
            raise
        return 0
