"""What patterns and folders stand for, as plans. The patterns are fsspec's own, translated by it.

Its one invariant: a folder is listed only if something below it can match.
"""

from __future__ import annotations

import os
import re
from functools import partial
from glob import has_magic
from time import monotonic
from typing import TYPE_CHECKING, Any

from fsspec.utils import glob_translate

from objstore._fsspec.listing import Info, add_itself, check_depth, find_entries, is_folder, isfile, missing
from objstore._fsspec.web_paths import may_be_pattern
from objstore.exceptions import NotSupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from objstore._fsspec.filesystem import FileSystem
    from objstore.plans.effects import Plan


def glob(
    fs: FileSystem, path: str, maxdepth: int | None = None, *, detail: bool = False, withdirs: bool = True
) -> Plan[Any]:
    """Find files and folders by a pattern: ``*``, ``?`` and ``[...]`` within a name, ``**`` for any number of levels.

    Folders that cannot match are not listed.

    Args:
        fs: Where to look.
        path: The pattern; with a slash at its end, only folders match.
        maxdepth: How many levels ``**`` may stand for.
        detail: Give a dict of what is known about each, instead of the names alone.
        withdirs: Find folders too.
    """
    asked = monotonic()
    found = yield from glob_entries(fs, path, maxdepth, withdirs)
    fs.note_listed(found.values(), asked)
    return dict(sorted(found.items())) if detail else sorted(found)


def glob_entries(fs: FileSystem, path: str, maxdepth: int | None, withdirs: bool = True) -> Plan[dict[str, Info]]:
    """Return what matches a pattern, by name."""
    check_depth(maxdepth)
    only_folders = path.endswith("/")
    path = fs._strip_protocol(path)
    if not (yield from is_pattern(fs, path)):
        found: dict[str, Info] = {}
        yield from add_itself(fs, path, True, found)
        return found
    root = re.split(r"[*?[]", path, maxsplit=1)[0].rpartition("/")[0]
    depth = _depth(path[len(root) :].lstrip("/"), maxdepth)
    enter, itself = partial(_may_match, path.split("/")), "**" in path  # else it has too few levels to match
    found = yield from find_entries(fs, root, depth, withdirs, enter=enter, itself=itself)
    matches = re.compile(glob_translate(path + "/" if only_folders else path)).match
    slash = only_folders or path.endswith("/**")
    return {name: entry for name, entry in found.items() if matches(name + "/" if slash and is_folder(entry) else name)}


def is_pattern(fs: FileSystem, path: str) -> Plan[bool]:
    """Tell whether a path is a pattern; not where it is the URL of something."""
    if not (has_magic(path) and fs.service.has_urls):
        return has_magic(path)
    return may_be_pattern(path) and not (yield from isfile(fs, path))


def _depth(pattern: str, maxdepth: int | None) -> int | None:
    """Return how many levels a pattern can reach."""
    before, stars, _ = pattern.partition("**")
    if not stars:
        return pattern.count("/") + 1
    return None if maxdepth is None else before.count("/") + maxdepth


def _may_match(pattern: list[str], name: str) -> bool:
    """Tell whether something below a folder can match a pattern."""
    depth = name.count("/") + 1
    beginning = pattern[:depth]
    return "**" in "/".join(beginning) or re.match(glob_translate("/".join(beginning)), name) is not None


def expand_path(
    fs: FileSystem,
    path: str | os.PathLike[str] | Iterable[str],
    recursive: bool = False,
    maxdepth: int | None = None,
    assume_literal: bool = False,
) -> Plan[list[str]]:
    """Return all that patterns and folders stand for, sorted.

    Args:
        fs: Where to look.
        path: A path or pattern, or several.
        recursive: Take all that is below the folders too.
        maxdepth: Only so many levels.
        assume_literal: Take patterns as names.

    Raises:
        FileNotFoundError: They stand for nothing.
    """
    return sorted((yield from expand(fs, path, recursive, maxdepth, assume_literal)))


def expand(
    fs: FileSystem,
    path: str | os.PathLike[str] | Iterable[str],
    recursive: bool = False,
    maxdepth: int | None = None,
    assume_literal: bool = False,
) -> Plan[dict[str, Info | None]]:
    """Return all that patterns and folders stand for, by name; None where nothing had to be asked."""
    check_depth(maxdepth)
    found: dict[str, Info | None] = {}
    for each in [path] if isinstance(path, str | os.PathLike) else path:
        name = fs._strip_protocol(each)
        if not assume_literal and (yield from is_pattern(fs, name)):
            found |= yield from _matching(fs, name, recursive, maxdepth)
        elif recursive:
            found |= yield from find_entries(fs, name, maxdepth, True)
        else:
            found.setdefault(name, None)
    if not found:
        raise missing(fs.shown(fs._strip_protocol(path)) if isinstance(path, str) else str(path))
    return found


def _matching(fs: FileSystem, pattern: str, recursive: bool, maxdepth: int | None) -> Plan[dict[str, Info]]:
    try:
        found = yield from glob_entries(fs, pattern, maxdepth)
    except NotSupportedError:
        if fs.service.has_urls:  # a plain web server, where only a URL could have been meant
            return {}
        raise
    left = None if maxdepth is None else maxdepth - 1
    if recursive and left != 0:
        for name in [name for name, entry in found.items() if is_folder(entry)]:
            found |= yield from find_entries(fs, name, left, True)
    return found
