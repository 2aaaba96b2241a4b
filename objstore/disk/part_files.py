"""Part files: files that are not whole yet, and how one that was left behind is told from one that is being written.

A part file lies in the folder of its target and is called ``.objstore-<16 hexadecimal digits>.part``; the digits are a
hash of the target's name and a number, which is 0 unless several write to the same target at once. Whoever writes one
holds a lock on it (flock), and the kernel lets go of that when the process ends, however it ends.

Its one invariant: a part file that somebody holds is neither written to nor removed by anybody else.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")

NAME = re.compile(rb"\.objstore-[0-9a-f]{16}\.part")
"""Their names. No key may have such a segment, and no listing shows one."""

MOST = 1000
"""How many may be written for one target at a time."""


def name_of(target: bytes, number: int) -> bytes:
    """Return the name of a part file of a target."""
    return b".objstore-%s.part" % blake2b(b"%d/%s" % (number, target), digest_size=8).hexdigest().encode()


def hold(descriptor: int) -> bool:
    """Lock a part file for as long as it is open; return whether the file system has locks.

    Raises:
        BlockingIOError: Somebody else holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def is_named(descriptor: int, folder: int, name: bytes) -> bool:
    """Tell whether an open file still has a name."""
    with suppress(FileNotFoundError):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return os.path.samestat(os.fstat(descriptor), found)
    return False


def remove_left(folder: int, name: bytes) -> bool:
    """Remove a part file that nobody holds; return whether its name is free."""
    if not os.access(name, os.F_OK, dir_fd=folder):  # as a rule, and told without an exception
        return True
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError:  # somebody else's
        return False
    try:
        if not hold(descriptor) or not is_named(descriptor, folder, name):
            return False
        os.unlink(name, dir_fd=folder)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def create(folder: int, target: bytes, make: Callable[[bytes], T]) -> tuple[bytes, T]:
    """Make a part file under the first name that is free; what was left behind under these names is removed.

    Args:
        folder: Where.
        target: The name that it is to have in the end.
        make: Makes it under a name; raises FileExistsError where that is taken.

    Returns:
        Its name, and what `make` returned.
    """
    for number in range(MOST):
        name = name_of(target, number)
        for _ in range(2):
            try:
                made = make(name)
            except FileExistsError:
                if not remove_left(folder, name):
                    break
            else:
                remove_left(folder, name_of(target, number + 1))
                return name, made
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def make(folder: int, name: bytes, mode: int) -> tuple[int, bool]:
    """Make and hold a part file; return its descriptor, and whether the file system has locks.

    Raises:
        FileExistsError: The name is taken, or somebody took the file for one that was left behind.
    """
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=folder)
    try:
        held = hold(descriptor)
        if is_named(descriptor, folder, name):
            return descriptor, held
    except BlockingIOError:
        pass
    os.close(descriptor)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def claim(folder: int, target: bytes, mode: int) -> tuple[bytes, int, bool]:
    """Open the part file that an earlier call left behind, to go on with it, or make one.

    Args:
        folder: Where.
        target: The name that it is to have in the end.
        mode: The permissions of a new one.

    Returns:
        Its name, its descriptor, and whether a later call will find it.
    """
    first = name_of(target, 0)
    descriptor = _reopened(folder, first)
    if descriptor >= 0:
        remove_left(folder, name_of(target, 1))
        return first, descriptor, True
    name, (descriptor, held) = create(folder, target, lambda name: make(folder, name, mode))
    return name, descriptor, held and name == first


def _reopened(folder: int, name: bytes) -> int:
    """Open and hold a part file that is our own and nobody else holds; return -1 where there is none."""
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return -1
    with suppress(BlockingIOError):
        if _is_own(os.fstat(descriptor)) and hold(descriptor) and is_named(descriptor, folder, name):
            return descriptor
    os.close(descriptor)
    return -1


def _is_own(found: os.stat_result) -> bool:
    """Tell whether nobody else can have prepared a file, in a folder that all may write to."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid()
