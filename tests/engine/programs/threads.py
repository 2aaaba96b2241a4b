"""What a free-threaded build must bear: every module of the package, and requests, while it stays free-threaded."""

import importlib
import pkgutil
import sys

import objstore
from objstore.store import MemoryStore

FOREIGN = ("objstore.arrow", "objstore.auth", "objstore.compat", "objstore.fsspec", "objstore.parquet", "objstore.zarr")


def use_everything() -> int:
    """Say whether it is still free-threaded after all that imports no other library."""
    for module in pkgutil.walk_packages(objstore.__path__, "objstore."):
        if not module.name.startswith(FOREIGN):
            importlib.import_module(module.name)
    store = MemoryStore()
    store.put("a", b"b")
    assert store.get("a").bytes() == b"b"
    print("GIL" if sys._is_gil_enabled() else "free")  # type: ignore[attr-defined]
    return 0
