"""Libraries that are only needed by those who use them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from objstore.settings.extras import missing


def extra(name: str, module: str) -> Any:
    """Return a module of an optional library.

    Args:
        name: The extra of objstore that brings it.
        module: The module.

    Raises:
        ImportError: It is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing(f"{module} is not installed", name) from error
