"""Paths, as callers write them, and keys, as services store them.

A path is checked before anything is sent. What a store's prefix adds in front of it makes the key. A path has no slash
at its ends: `check_path` leaves out one at either, `check_exact` refuses it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from objstore.exceptions import InvalidPathError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_BYTES = 1024

RAW_KEYS = "A store with raw_keys=True takes paths as the keys they are."

_UNFIT = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f]")


class Keys:
    """How a store names its objects: paths for its users, keys for the service.

    Args:
        prefix: The path in front of all paths of the store.
        raw: Whether paths are taken as the keys they are, slashes at either end and all.
    """

    __slots__ = ("prefix", "raw")

    def __init__(self, prefix: str | None = None, *, raw: bool = False) -> None:
        self.raw = raw
        self.prefix = _text(prefix) if raw else check_prefix(prefix)

    @property
    def shown(self) -> str | None:
        """The prefix as the user sees it."""
        return (self.prefix if self.raw else self.prefix.rstrip("/")) or None

    def key(self, path: str) -> str:
        """Return the key of a path, checked."""
        return self.prefix + (check_raw(path) if self.raw else check_path(path))

    def exact(self, path: str) -> str:
        """Return the key of a path, checked; a slash at an end, which would name another object, is refused."""
        return self.prefix + (check_raw(path) if self.raw else check_exact(path))

    def many(self, paths: Sequence[str]) -> list[str]:
        """Return the keys of many paths, each as `exact` does: all together, where nothing about them is unusual."""
        if self.raw or not _all_plain(paths):
            return self._each(paths)
        return [self.prefix + path for path in paths] if self.prefix else list(paths)

    def _each(self, paths: Sequence[str]) -> list[str]:
        keys: list[str] = []
        try:
            for path in paths:
                keys.append(self.exact(path))
        except InvalidPathError as error:
            error.index = len(keys)
            raise
        return keys

    def below(self, prefix: str | None) -> str:
        """Return the beginning of the keys below a path; in raw mode, the keys that begin with it."""
        return self.prefix + (_text(prefix) if self.raw else check_prefix(prefix))

    def beginning(self, text: str | None) -> str:
        """Return the beginning of the keys whose paths begin with a text, whatever that ends in."""
        return self.prefix + _text(text)

    def path(self, key: str) -> str:
        """Return the path of a key."""
        return key.removeprefix(self.prefix)

    def folder(self, prefix: str) -> str:
        """Return the path of a common prefix: without its slash, unless keys are raw or another slash is behind it."""
        path = self.path(prefix)
        bare = path.removesuffix("/")
        return path if self.raw or not bare or has_outer_slash(bare) else bare


def _all_plain(paths: Sequence[str]) -> bool:
    """Tell whether paths are of printable ASCII, not too long, and have no segment that is empty, ``.`` or ``..``.

    A tenth of what it costs to look at each: every path stands between slashes, so bad segments show at its ends, too.
    """
    try:
        return _is_plain(f"/{'/|/'.join(paths)}/") and len(max(paths, key=len, default="")) <= MOST_BYTES
    except TypeError:  # one is no str
        return False


def _is_plain(text: str) -> bool:
    """Tell whether all paths of a text are plain, each of which stands between slashes."""
    if not (text.isascii() and text.isprintable()) or "//" in text:
        return False
    return "/." not in text or not ("/./" in text or "/../" in text)


def check_raw(path: str) -> str:
    """Return a path that is a key as it is.

    Raises:
        TypeError: It is not a str.
        InvalidPathError: It is empty or too long.
    """
    if not isinstance(path, str):
        raise TypeError(f"the path {path!r} is of the type {type(path).__name__}: give a str")
    if not path:
        raise InvalidPathError("'' cannot be a path: it is empty", path=path)
    return _check_length(path)


def check_path(path: str) -> str:
    """Return a path without a slash at either end.

    Raises:
        TypeError: It is not a str.
        InvalidPathError: It is empty, has an empty segment, ``.`` or ``..`` or a control character, or is too long.
    """
    if not isinstance(path, str):
        raise TypeError(f"the path {path!r} is of the type {type(path).__name__}: give a str")
    if len(path) <= MOST_BYTES and _is_plain(f"/{path}/"):  # to look closely costs more than twice as much
        return path
    path = path.removeprefix("/").removesuffix("/")
    if _UNFIT.search(path):
        hint = RAW_KEYS if path else None
        raise InvalidPathError(f"{path!r} cannot be a path: {_fault(path)}", hint=hint, path=path)
    return _check_length(path)


def check_exact(path: str) -> str:
    """Return a path that has no slash at either end: without it, the path would name another object.

    Raises:
        TypeError: It is not a str.
        InvalidPathError: It has such a slash, or is otherwise no path.
    """
    if check_path(path) != path:
        raise names_another(path)
    return path


def has_outer_slash(path: str) -> bool:
    """Tell whether a path has a slash at either end."""
    return path.strip("/") != path


def names_another(path: str) -> InvalidPathError:
    """Return the error for a path that, with the slash at its end left out, names another object than it should."""
    bare = path.removeprefix("/").removesuffix("/")
    return InvalidPathError(
        f"{path!r} cannot be a path: without the slash at its end it would name another object",
        hint=f"Give {bare!r} if that is meant. {RAW_KEYS}",
        path=path,
    )


def _check_length(path: str) -> str:
    if path.isascii() and len(path) <= MOST_BYTES:
        return path
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise InvalidPathError(f"{path!r} cannot be a path: it has half a surrogate pair in it", path=path) from None
    if size > MOST_BYTES:
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
    text = _text(prefix)
    return check_path(text) + "/" if text.strip("/") else ""


def _text(prefix: str | None) -> str:
    if prefix is not None and not isinstance(prefix, str):
        raise TypeError(f"the prefix {prefix!r} is of the type {type(prefix).__name__}: give a str")
    return prefix or ""


def outermost(folders: Iterable[str]) -> list[str]:
    """Return those of some folders that are in no other of them, in order."""
    found: list[str] = []
    for folder in sorted(folders, key=lambda folder: folder.split("/")):
        if not (found and folder.startswith(f"{found[-1]}/")):
            found.append(folder)
    return found
