"""The names of objects as those of local files: which are safe, and that no two are one file.

Names come from a store, and so from whoever may write there. Its one invariant: what is accepted names files below a
folder, each another one.
"""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from typing import TYPE_CHECKING

from objstore.exceptions import InvalidPathError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_UNSAFE = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|\x00|^[A-Za-z]:")


def check_names(names: Iterable[str], *, folds: bool) -> None:
    """Raise unless names are safe ones of files below a folder, each of another.

    Args:
        names: The names, relative to the folder.
        folds: Whether the file system takes names for the same that differ in case.

    Raises:
        InvalidPathError: One leads elsewhere, is no name, or is that of a file or folder that another is.
    """
    files: dict[str, str] = {}
    for name in names:
        if _UNSAFE.search(name):
            raise InvalidPathError(
                f"{name!r} cannot be the name of a local file: it is empty, has an empty segment, '.', '..' or NUL, or "
                "begins with a slash or a drive letter",
                hint="Download it by itself, to a name of your own.",
                path=name,
            )
        key = _folded(name) if folds else name
        if key in files:
            raise _same(name, files[key])
        files[key] = name
    for key, name in files.items():
        while key := key.rpartition("/")[0]:
            if key in files:
                raise _same(name, files[key])


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _same(name: str, other: str) -> InvalidPathError:
    return InvalidPathError(
        f"{name!r} and {other!r} cannot both be local files: they would be one, or one a folder and a file",
        hint="Download them to different folders.",
        path=name,
    )


def folds_case(folder: Path) -> bool:
    """Tell whether the file system of a folder takes names for the same that differ in case."""
    with tempfile.NamedTemporaryFile(prefix=".objstore-a", dir=folder) as file:
        above, name = os.path.split(file.name)
        return os.path.exists(os.path.join(above, name.swapcase()))
