"""Buffers of others: whether their bytes can be sent as they lie, and filled."""

from __future__ import annotations

import re
from typing import Any

from objstore._core import Buffer

_FIELD_NAMES = re.compile(":[^:]*:")


def bytes_of(data: Any) -> memoryview:
    """Return the bytes of a buffer.

    Raises:
        TypeError: It has none that could be sent.
    """
    view = memoryview(data)
    if _holds_objects(view):
        raise TypeError(fault(data))
    return view.cast("B")


def writable(data: Any) -> Buffer:
    """Return a buffer to be filled.

    Raises:
        TypeError: It cannot be.
    """
    try:
        buffer = Buffer(data, writable=True)
        if _holds_objects(memoryview(data)):
            raise TypeError(fault(data))
    except (TypeError, ValueError, BufferError) as error:
        reason = fault(data) or f"is none: {error}"
        raise TypeError(f"a writable buffer in C order is needed; {type(data).__name__} {reason}") from None
    return buffer


def fault(data: Any) -> str | None:
    """Return why the memory of a buffer is neither sent nor filled, and what to give in its place; None if it is."""
    try:
        view = memoryview(data)
    except (TypeError, ValueError, BufferError):
        return None
    if not view.c_contiguous:
        return (
            "is not in one piece in C order: give an array that is (numpy.ascontiguousarray makes one), "
            "or .T of an array in Fortran order"
        )
    if _holds_objects(view):
        return (
            "holds Python objects, of which there are only addresses: give an array of numbers, or pickle.dumps of it"
        )
    return None


def _holds_objects(view: memoryview) -> bool:
    """Tell whether a buffer has the format ``O`` (PEP 3118), in a field too."""
    return "O" in view.format and "O" in _FIELD_NAMES.sub("", view.format)
