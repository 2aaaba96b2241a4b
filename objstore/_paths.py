"""Paths, as callers write them, and keys, as services store them.

A path is checked before anything is sent. What a store's prefix adds in front of it makes the key.
"""

from __future__ import annotations

import re

from objstore.exceptions import InvalidPathError

MOST_BYTES = 1024

_UNFIT = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f]")


def check_path(path: str) -> str:
    """Return a path without a slash at either end.

    Raises:
        TypeError: It is not a str.
        InvalidPathError: It is empty, has an empty segment, ``.`` or ``..`` or a control character, or is too long.
    """
    if not isinstance(path, str):
        raise TypeError(f"a path is a str, {path!r} is a {type(path).__name__}: give str(path)")
    if path[:1] == "/" or path[-1:] == "/":
        path = path.removeprefix("/").removesuffix("/")
    if _UNFIT.search(path):
        raise InvalidPathError(f"{path!r} cannot be a path: {_fault(path)}", path=path)
    if len(path) > MOST_BYTES // 4 and len(path.encode()) > MOST_BYTES:
        raise InvalidPathError(f"{path[:40]!r}... cannot be a path: it is longer than {MOST_BYTES} bytes", path=path)
    return path


def _fault(path: str) -> str:
    if not path:
        return "it is empty"
    control = re.search(r"[\x00-\x1f\x7f]", path)
    if control:
        return f"it has the control character {control[0]!r} in it"
    return "a segment between slashes is empty, '.' or '..'"


def check_prefix(prefix: str | None) -> str:
    """Return a prefix as the beginning of keys: empty, or with a slash at its end."""
    if prefix is None or prefix.strip("/") == "":
        return ""
    return check_path(prefix) + "/"
