"""Roots, as object-store-python takes them, and the stores they mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from objstore.compat.object_store._values import ClientOptions
from objstore.store import Store, from_url


def open_root(
    root: str | Store,
    options: Mapping[str, str] | None = None,
    client_options: ClientOptions | Mapping[str, object] | None = None,
) -> Store:
    """Return the store that a root means.

    Args:
        root: A URL, a local path, or a store.
        options: Settings of the store.
        client_options: Settings of the HTTP client.

    Raises:
        TypeError: Settings are given beside a store.
        ConfigurationError: The URL or a setting cannot be used.
    """
    if isinstance(root, Store):
        if options or client_options:
            raise TypeError("a store has its settings already: give options with a URL")
        return root
    given: dict[str, Any] = {"config": options, "client_options": client_options}
    if isinstance(client_options, ClientOptions):
        given |= {"client_options": client_options.client(), "retry_config": client_options.retry()}
    return from_url(root if "://" in root else Path(root).absolute().as_uri(), **given)
