"""Folders of local files, as fsspec's own LocalFileSystem makes, shows, moves and removes them: in a thread, as plans.

An object store has none: there a folder is what the keys below it say.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import TYPE_CHECKING

from objstore._fsspec.listing import missing
from objstore.exceptions import AlreadyExistsError
from objstore.plans.effects import Call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from objstore.plans.effects import Plan


def make(path: str, parents: bool, exist_ok: bool) -> Plan[None]:
    """Make a folder, and those above it."""
    yield Call(partial(_make, path, parents, exist_ok), settle=True)


def _make(path: str, parents: bool, exist_ok: bool) -> None:
    if os.path.lexists(path) and not (exist_ok and os.path.isdir(path)):
        raise AlreadyExistsError(f"{path!r} exists already", path=path)
    if parents:
        os.makedirs(path, exist_ok=exist_ok)
    elif not os.path.isdir(path):
        os.mkdir(path)


def touch(path: str) -> Plan[None]:
    """Say that a file was written now."""
    yield Call(partial(os.utime, path), settle=True)


def remove_empty(path: str) -> Plan[None]:
    """Remove a folder with nothing in it."""
    yield Call(partial(os.rmdir, path), settle=True)


def move(pairs: Iterable[tuple[str, str]]) -> Plan[None]:
    """Move files, and folders with all that is in them; where a target is to be in a folder, it is made."""
    yield Call(partial(_move, [*pairs]), settle=True)


def _move(pairs: list[tuple[str, str]]) -> None:
    for source, target in pairs:
        if not os.path.lexists(source):
            raise missing(source)
        if source != target:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.move(source, target)


def remove(paths: Iterable[str], recursive: bool) -> Plan[None]:
    """Remove files, and folders with all that is in them."""
    yield Call(partial(_remove, [*paths], recursive), settle=True)


def _remove(paths: list[str], recursive: bool) -> None:
    for path in paths:
        if not os.path.lexists(path):
            raise missing(path)
        if os.path.isdir(path) and not os.path.islink(path):
            _remove_folder(path, recursive)
        else:
            os.unlink(path)


def _remove_folder(path: str, recursive: bool) -> None:
    if not recursive:
        raise ValueError(f"{path!r} is a folder: give recursive=True to remove all that is in it")
    if os.path.realpath(path) == os.getcwd():
        raise ValueError(f"{path!r} is the folder that this program is in: it is not removed")
    shutil.rmtree(path)
