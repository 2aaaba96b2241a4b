"""What becomes of imports where a process forks beside threads that import.

CPython holds a lock for each module that is being imported. A forked child waits for it for ever: whoever would let go
of it is not there. So what others had begun of this library and of Python's own, a child imports anew. The engine is
the exception, for no process loads it twice: a fork waits the milliseconds until it is there, and keeps it from being
begun.

Its one invariant: what the thread that forks imports itself is left to it.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from contextlib import suppress
from typing import Any

ENGINE = "objstore._core"
HOOKED = "logging"
"""What has hooks of its own around forks: were it imported meanwhile, by whoever has loaded the engine, only the hooks
behind the fork would run."""

ANEW = {"objstore", *sys.stdlib_module_names}

_bootstrap: Any = sys.modules["_frozen_importlib"]
_held: list[Any] = []  # locks, while somebody forks


def _hold_engine() -> None:
    """Have no other thread be loading the engine, nor begin to before the fork is over."""
    loaded = sys.modules.get(ENGINE)
    if loaded is not None and not loaded.__spec__._initializing:  # type: ignore[union-attr]
        return
    for name in ({HOOKED} - sys.modules.keys()) | {ENGINE}:
        lock = _bootstrap._get_module_lock(name)
        with suppress(_bootstrap._DeadlockError):  # whoever has it waits for what this thread imports
            lock.acquire()
            _held.append(lock)


def _let_go() -> None:
    while _held and _held[-1].owner == get_ident():
        _held.pop().release()


def _begin_anew() -> None:
    """Forget what other threads had begun to import."""
    _let_go()
    for name, reference in [*_bootstrap._module_locks.items()]:
        lock = reference()
        if name.partition(".")[0] not in ANEW or lock is None or lock.owner == get_ident():
            continue
        del _bootstrap._module_locks[name]
        if getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False):
            del sys.modules[name]


if hasattr(os, "register_at_fork") and hasattr(_bootstrap, "_module_locks"):  # of CPython
    os.register_at_fork(before=_hold_engine, after_in_parent=_let_go, after_in_child=_begin_anew)
