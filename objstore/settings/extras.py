"""Libraries that are only needed by those who use them: the extras of the distribution."""

from __future__ import annotations

from objstore.version import DISTRIBUTION


def missing(what: str, extra: str) -> ImportError:
    """Return the error for a library that is not installed; it says how to install it.

    Args:
        what: What needs the library.
        extra: The extra that brings it.
    """
    return ImportError(f"{what}: pip install '{DISTRIBUTION}[{extra}]'")
