"""Objects in the memory of this process as a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore.exceptions import ConfigurationError
from objstore.settings.paths import Keys
from objstore.stores.base import Store, ready

if TYPE_CHECKING:
    from typing import Self

    from objstore.providers.memory import Memory


class MemoryStore(Store):
    """Objects in the memory of this process; gone with the store.

    A pickle of it is good in the same process, and in those forked from it: for a store on the same objects.

    Args:
        raw_keys: Take paths as the keys they are: with ``//``, ``.`` and ``..`` segments, and slashes at either end.
    """

    provider: Memory

    def __init__(self, *, raw_keys: bool = False) -> None:
        from objstore.providers.memory import Memory

        self._keys = Keys(raw=raw_keys)
        self.provider = ready(Memory())

    @classmethod
    def from_url(cls, url: str, *, raw_keys: bool = False) -> Self:
        """Make an empty store.

        Args:
            url: ``memory:///``. A path behind it makes no difference: nobody else sees these objects.
            raw_keys: As for the class.

        Raises:
            ConfigurationError: The URL is of another kind, or names a host.
        """
        from objstore.settings.urls import read_url

        scheme, _, _ = read_url(url)
        if scheme != "memory":
            raise ConfigurationError(
                f"MemoryStore cannot be made of a URL of the kind {scheme}", hint="Give memory:///."
            )
        return cls(raw_keys=raw_keys)

    def __repr__(self) -> str:
        """Return the name of the class: there is nothing more to say."""
        return f"{type(self).__name__}()"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the name of the memory, not as what is in it."""
        return reopen, (type(self), self.provider.name, self._keys.prefix, self._keys.raw)

    def __eq__(self, other: object) -> bool:
        """Tell whether two stores have the same objects under the same names."""
        return type(self) is type(other) and self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        """Hash what equal stores share."""
        return hash(self.provider)


def reopen(kind: type[MemoryStore], name: str, prefix: str, raw: bool) -> MemoryStore:
    """Make a store on a memory of this process."""
    from objstore.providers.memory import memory_of

    store = object.__new__(kind)
    store._keys = Keys(prefix, raw=raw)
    store.provider = memory_of(name)
    return store
