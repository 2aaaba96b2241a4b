"""A directory of local files as a store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from objstore.exceptions import ConfigurationError
from objstore.interface.store import opens_folders
from objstore.stores.base import LastingStore, ready

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


class LocalStore(LastingStore):
    """A directory of local files: an object is a file, its path that of the file below the directory.

    Nothing leads out of the directory, neither ``..`` nor a symlink. Attributes are kept as extended attributes of the
    files, where the file system has them; there are no tags and no versions. A file appears when it is whole; that it
    is on the disk is only certain with `fsync`.

    A folder is no object. One that a store has made for its objects, and that has none left, is in nobody's way: an
    object may take its path. What was made by other means is kept, and an object on its path refused: an empty folder
    too, a link to a folder, a file that is no regular one.

    Args:
        prefix: The directory; the root of the file system if not given.
        automatic_cleanup: Remove the folders that an object leaves empty when it is deleted or renamed.
        mkdir: Make the directory, and those above it, if it is missing.
        fsync: Force what is written, renamed and deleted out to the disk before a call returns.

    Raises:
        ConfigurationError: There is no such directory.
    """

    def __init__(
        self,
        prefix: str | Path | None = None,
        *,
        automatic_cleanup: bool = False,
        mkdir: bool = False,
        fsync: bool = False,
    ) -> None:
        from objstore.providers.local.provider import Local

        self._root = None if prefix is None else _directory(prefix, mkdir)
        self._automatic_cleanup = automatic_cleanup
        self._mkdir = mkdir
        self._fsync = fsync
        self.provider = ready(Local(str(self._root or "/"), automatic_cleanup=automatic_cleanup, fsync=fsync))

    @classmethod
    def from_url(cls, url: str, *, automatic_cleanup: bool = False, mkdir: bool = False, fsync: bool = False) -> Self:
        """Open the directory of a ``file://`` URL.

        Args:
            url: The URL, percent-encoded.
            automatic_cleanup: As of the constructor.
            mkdir: As of the constructor.
            fsync: As of the constructor.

        Raises:
            ConfigurationError: It is no URL of a local file, or there is no such directory.

        Source: https://www.rfc-editor.org/rfc/rfc8089
        """
        return cls(_directory_of(url), automatic_cleanup=automatic_cleanup, mkdir=mkdir, fsync=fsync)

    def __repr__(self) -> str:
        """Return the directory."""
        return type(self).__name__ + (f'("{self._root}")' if self._root is not None else "")

    @property
    def prefix(self) -> Path | None:
        """The directory: absolute, and without symlinks."""
        return self._root

    def __getnewargs_ex__(self) -> tuple[tuple[Path | None], dict[str, Any]]:
        """Return the arguments that make an equal store."""
        given = {"automatic_cleanup": self._automatic_cleanup, "mkdir": self._mkdir}
        return (self._root,), given | ({"fsync": True} if self._fsync else {})

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        return hash((type(self), self._root))


def _directory(prefix: str | Path, mkdir: bool) -> Path:
    """Return a directory without symlinks on the way to it."""
    from pathlib import Path

    if not isinstance(prefix, str | Path):
        raise TypeError(f"prefix = {prefix!r}: give the directory as a str or a Path")
    try:
        if mkdir:
            os.makedirs(prefix, exist_ok=True)
        path = Path(prefix).resolve(strict=True)
        os.scandir(path).close()
    except OSError as error:
        hint = "Make it, or give LocalStore mkdir=True." if isinstance(error, FileNotFoundError) else None
        raise ConfigurationError(
            f"{str(prefix)!r} cannot be the root of a store: {error.strerror}", hint=hint, errno=error.errno
        ) from error
    return path


def _directory_of(url: str) -> str:
    """Return the directory that a URL names."""
    from objstore.settings.urls import read_url

    scheme, _, prefix = read_url(url)
    if scheme != "local":
        raise ConfigurationError(
            f"LocalStore cannot be made of a URL of the kind {scheme}", hint="Give file:///folder."
        )
    return prefix


opens_folders(lambda folder, mkdir: LocalStore(folder, mkdir=mkdir))
