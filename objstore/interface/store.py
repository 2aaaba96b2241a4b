"""What an operation needs of a store: its provider, and which key a path means. Public stores add the operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.settings.paths import Keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from objstore.interface.provider import Provider
    from objstore.types import ObjectMeta


class BaseStore:
    """Objects of a provider, and the paths that stand for their keys."""

    provider: Provider
    _keys = Keys()

    def key(self, path: str) -> str:
        """Return the key of a path: checked, and behind the store's prefix."""
        return self._keys.key(path)

    def keys(self, paths: Sequence[str]) -> Sequence[str]:
        """Return the keys of many paths, as `key` does."""
        return self._keys.many(paths)

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
        """Return the path of a common prefix: without its slash, unless keys are raw."""
        path = self._keys.path(prefix)
        return path if self._keys.raw else path.removesuffix("/")

    def named(self, meta: ObjectMeta) -> ObjectMeta:
        """Return metadata with the path in the place of the key."""
        if not self._keys.prefix:
            return meta
        return {**meta, "path": self.path(meta["path"])}
