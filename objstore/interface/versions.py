"""Which version of an object a reply is of, as far as its validators tell (RFC 9110, section 8.8).

Its one invariant: what cannot be told to be the same counts as another version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from objstore.interface.values import EPOCH, Conditions

if TYPE_CHECKING:
    from objstore.types import ObjectMeta

_STRONG = re.compile(r'"[\x21\x23-\x7e]*"')


def strong(e_tag: str | None) -> str | None:
    """Return an ETag that can pin a version: a weak one cannot, and one that is not well-formed is never sent back."""
    return e_tag if e_tag is not None and _STRONG.fullmatch(e_tag) else None


def pinned(meta: ObjectMeta, version: str | None = None) -> Conditions:
    """Return the conditions of reads that are to go on with the version that a reply was of."""
    return Conditions(if_match=strong(meta["e_tag"]), version=version or meta["version"], expected=meta)


def has_validator(meta: ObjectMeta) -> bool:
    """Tell whether anything tells this version of an object from others; its size does not."""
    return meta["e_tag"] is not None or meta["last_modified"] != EPOCH


def is_same(found: ObjectMeta, expected: ObjectMeta) -> bool:
    """Tell whether a reply is of the version that is expected; a size of -1 is one that the reply does not name.

    Where neither has a validator, the size decides: then all must have been read by one request.
    """
    if found["size"] not in (-1, expected["size"]):
        return False
    if not (has_validator(found) or has_validator(expected)):
        return True
    tags, times = (found["e_tag"], expected["e_tag"]), (found["last_modified"], expected["last_modified"])
    if EPOCH not in times and times[0].replace(microsecond=0) != times[1].replace(microsecond=0):
        return False
    return tags[0] == tags[1] if None not in tags else EPOCH not in times
