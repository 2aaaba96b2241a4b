"""The API of object-store-python (module `object_store`), for programs written for it.

    from objstore.compat.object_store import ObjectStore
    store = ObjectStore("memory://")

Every operation also has a twin that ends in ``_async``. Errors are FileNotFoundError, FileExistsError and other
`objstore.exceptions`. pyarrow is imported only with `objstore.compat.object_store.arrow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore.compat.object_store import _operations
from objstore.compat.object_store._values import (
    DELIMITER,
    BytesLike,
    ClientOptions,
    ListResult,
    ObjectMeta,
    Path,
    PathLike,
    _as_bytes,
    _as_path,
)
from objstore.plans.run import both
from objstore.stores.urls import open_root
from objstore.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.compat.object_store.arrow import ArrowFileSystemHandler
    from objstore.stores.base import Store

__version__ = VERSION

__all__ = [
    "DELIMITER",
    "ArrowFileSystemHandler",
    "BytesLike",
    "ClientOptions",
    "ListResult",
    "ObjectMeta",
    "ObjectStore",
    "Path",
    "PathLike",
    "__version__",
    "_as_bytes",
    "_as_path",
]


class ObjectStore:
    """Objects in a store, under object-store-python's names.

    Args:
        root: A URL, a local path, or one of our stores; a path in it is put in front of all paths.
        options: Settings of the store.
        client_options: Settings of the HTTP client.
    """

    def __init__(
        self,
        root: str | Store,
        options: Mapping[str, str] | None = None,
        client_options: ClientOptions | None = None,
    ) -> None:
        self.store = open_root(root, options, client_options)
        self._client_options = client_options

    head, head_async = both(_operations.head)
    get, get_async = both(_operations.get)
    get_range, get_range_async = both(_operations.get_range)
    put, put_async = both(_operations.put)
    delete, delete_async = both(_operations.delete)
    list, list_async = both(_operations.list)
    list_with_delimiter, list_with_delimiter_async = both(_operations.list_with_delimiter)
    copy, copy_async = both(_operations.copy)
    copy_if_not_exists, copy_if_not_exists_async = both(_operations.copy_if_not_exists)
    rename, rename_async = both(_operations.rename)
    rename_if_not_exists, rename_if_not_exists_async = both(_operations.rename_if_not_exists)

    def content_type(self, location: Path) -> str | None:
        """Return the content type that the client options give to a path."""
        return self._client_options.content_type(location) if self._client_options else None

    def __repr__(self) -> str:
        """Return the store it is a face of."""
        return f"ObjectStore({self.store!r})"


def __getattr__(name: str) -> Any:
    """Import the handler for pyarrow when it is asked for."""
    if name == "ArrowFileSystemHandler":
        from objstore.compat.object_store.arrow import ArrowFileSystemHandler

        return ArrowFileSystemHandler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
