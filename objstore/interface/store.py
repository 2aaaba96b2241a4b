"""What an operation needs of a store: its provider, and which key a path means. Public stores add the operations."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from objstore.settings.paths import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Self

    from objstore.interface.provider import Provider
    from objstore.types import ObjectMeta


_folders: list[Callable[[str | Path, bool], BaseStore]] = []


def opens_folders(open: Callable[[str | Path, bool], BaseStore]) -> None:
    """Say what opens a local folder as a store: stores stand above what needs one."""
    _folders[:] = [open]


def store_of(place: BaseStore | str | Path, *, mkdir: bool = False) -> BaseStore:
    """Return a store, or that of a local folder.

    Args:
        place: The store, or the path of the folder.
        mkdir: Whether the folder is made if it is missing.

    Raises:
        TypeError: It is neither.
        ConfigurationError: There is no such folder.
    """
    if isinstance(place, BaseStore):
        return place
    if not isinstance(place, str | PathLike):
        raise TypeError(f"{place!r} is of the type {type(place).__name__}: give a store, or the path of a folder")
    if isinstance(place, str) and "://" in place:
        raise ValueError(f"{place!r} is a URL: give objstore.store.from_url of it, or the path of a local folder")
    return _folders[0](place, mkdir)


class BaseStore:
    """Objects of a provider, and the paths that stand for their keys."""

    provider: Provider
    reads_itself = False
    _keys = Keys()

    def key(self, path: str) -> str:
        """Return the key of a path: checked, without a slash at its ends, and behind the store's prefix."""
        return self._keys.key(path)

    def exact_key(self, path: str) -> str:
        """Return the key of a path as `key` does, but refuse a slash at its ends."""
        return self._keys.exact(path)

    def keys(self, paths: Sequence[str]) -> Sequence[str]:
        """Return the keys of many paths, each as `exact_key` does."""
        return self._keys.many(paths)

    @property
    def leaves_out_slashes(self) -> bool:
        """Whether a slash at an end of a path is left out, though a key may have one there."""
        return not self._keys.raw and self.provider.has_outer_slashes

    def full_prefix(self, prefix: str | None, by: str = "segment") -> str:
        """Return the beginning of the keys below a prefix; by ``"string"``, of those that just begin with it."""
        if by == "string":
            return self._keys.beginning(prefix)
        if by != "segment":
            raise ValueError(f"by = {by!r}: give 'segment' or 'string'")
        return self._keys.below(prefix)

    def path(self, key: str) -> str:
        """Return the path of a key."""
        return self._keys.path(key)

    def with_raw_keys(self) -> Self:
        """Return the same store, but one that takes paths as the keys they are, behind the prefix it has.

        Paths may then have ``//``, ``.`` and ``..`` segments and slashes at either end; a prefix to list is any text.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _keys=Keys(self._keys.prefix, raw=True))
        return twin

    def folder(self, prefix: str) -> str:
        """Return the path of a common prefix: without its slash, unless keys are raw or another slash is behind it."""
        return self._keys.folder(prefix)

    def named(self, meta: ObjectMeta) -> ObjectMeta:
        """Return metadata with the path in the place of the key."""
        if not self._keys.prefix:
            return meta
        return {**meta, "path": self.path(meta["path"])}
