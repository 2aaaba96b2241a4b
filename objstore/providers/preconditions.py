"""What a service decides about a request, for the stores that have none: conditions, ranges, and what may be replaced.

Its one invariant: nothing here reads or writes an object; it is given what is known and raises, or does not.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from objstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    InvalidRangeError,
    NotFoundError,
    NotModifiedError,
    NotSupportedError,
    PreconditionError,
)
from objstore.interface.values import WHOLE, Conditions, Range
from objstore.interface.versions import can_pin

if TYPE_CHECKING:
    from datetime import datetime

    from objstore.interface.values import Seen
    from objstore.types import PutMode


def check_conditions(store: str, key: str, e_tag: str, modified: datetime, conditions: Conditions) -> None:
    """Raise if a condition does not hold; If-Match comes before times (RFC 9110, section 13.2.2)."""
    if conditions.version is not None:
        raise NotSupportedError(f"A {store} keeps no versions, {conditions.version!r} cannot be read", path=key)
    modified = modified.replace(microsecond=0)
    if conditions.if_match is not None:
        refused = not matches(e_tag, conditions.if_match)
    else:
        refused = conditions.if_unmodified_since is not None and modified > conditions.if_unmodified_since
    if refused:
        raise PreconditionError(f"{key!r} is not what was expected", store=store, path=key)
    if conditions.if_none_match is not None:
        same = matches(e_tag, conditions.if_none_match)
    else:
        same = conditions.if_modified_since is not None and modified <= conditions.if_modified_since
    if same:
        raise NotModifiedError(f"{key!r} has not been modified", store=store, path=key)


def matches(e_tag: str | None, wanted: str) -> bool:
    """Tell whether an ETag is one of a list."""
    return wanted.strip() == "*" or e_tag in [each.strip() for each in wanted.split(",")]


def resolve(store: str, key: str, range: Range, size: int) -> tuple[int, int]:
    """Return which bytes of an object of `size` bytes a range means."""
    if range == WHOLE:
        return 0, size
    if range.start < 0:
        return max(size - range.end, 0), size
    if range.start >= size:
        raise begins_after_the_end(store, key, range, size)
    return range.start, size if range.end < 0 else min(range.end, size)


def begins_after_the_end(store: str, key: str, range: Range, size: int) -> InvalidRangeError:
    """Return the error for a range that has no byte of an object."""
    return InvalidRangeError(
        f"the range of {key!r} begins at {range.start}, the object has {size} bytes", store=store, path=key
    )


def does_not_fit(key: str, size: int, room: int) -> GenericError:
    """Return the error for a body that is larger than the buffer it was to go to."""
    return GenericError(f"{size} bytes of {key!r} do not fit in a buffer of {room}", path=key)


def check_mode(store: str, key: str, e_tag: str | None, mode: PutMode) -> None:
    """Raise if an object may not be replaced.

    Args:
        store: The kind of the store.
        key: The object.
        e_tag: Its ETag; None if it does not exist.
        mode: What may be replaced.
    """
    if mode == "create" and e_tag is not None:
        raise AlreadyExistsError(f"{key!r} exists already", store=store, path=key, errno=errno.EEXIST)
    if isinstance(mode, str):
        return
    if not mode.get("e_tag"):
        raise NotSupportedError("An update needs the ETag it replaces", hint="Give mode={'e_tag': ...}.")
    if e_tag != mode.get("e_tag"):
        now = "does not exist" if e_tag is None else f"has the ETag {e_tag}"
        raise PreconditionError(f"{key!r} {now}, not {mode.get('e_tag')}", store=store, path=key)


def ended_upload(store: str, key: str) -> NotFoundError:
    """Return the error for an upload that there is not."""
    return NotFoundError(
        f"There is no such upload of {key!r}", hint="It has been completed or aborted.", store=store, path=key
    )


def changed_part(store: str, key: str, number: int) -> GenericError:
    """Return the error for a part that is not there, or no longer as it was sent."""
    return GenericError(
        f"Part {number} of {key!r} is not there as it is told",
        hint="Give the parts that put_part returned last, or none for all there are.",
        store=store,
        path=key,
    )


def check_one_version(store: str, key: str, path: str, seen: Seen) -> None:
    """Refuse to have an object copied by several requests if nothing keeps them to one version of it.

    Raises:
        NotSupportedError: What the service tells of it has no strong validator.
    """
    if not can_pin(seen):
        raise NotSupportedError(
            f"{key!r} cannot be copied in parts: the service names no strong ETag, and no time that is a minute old",
            hint="Get it and put it, so that the bytes go through this machine.",
            store=store,
            path=path,
        )
