"""Turns at what the processes of a user share, such as a program that signs in and the files it keeps."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from objstore.plans.work import Work

T = TypeVar("T")


def alone(name: str, patience: float, work: Work[T]) -> Work[T]:
    """Do work while holding a lock that one process of a user holds at a time.

    Where no lock can be had (a home that cannot be written to), go on without.

    Args:
        name: What it is for: a file name.
        patience: For how many seconds to wait for it.
        work: The work.

    Returns:
        What the work returns.

    Raises:
        TimeoutError: Others have held it all the time.
    """
    try:
        import fcntl

        descriptor = os.open(_lock(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (ImportError, OSError, RuntimeError):
        return (yield from work)
    try:
        until = time.monotonic() + patience
        while not _is_locked(fcntl, descriptor):
            if time.monotonic() > until:
                raise TimeoutError(f"other processes have kept it busy for {patience:g} seconds")
            time.sleep(0.05)
            yield
        return (yield from work)
    finally:
        os.close(descriptor)


def _is_locked(fcntl: Any, descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(name: str) -> Path:
    """Return the file whose lock is needed; no other user can reach its folder."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "objstore"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{name}.lock"
