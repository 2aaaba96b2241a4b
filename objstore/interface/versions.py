"""Which version of an object a reply is of, as far as its validators tell (RFC 9110, section 8.8).

Its one invariant: what cannot be told to be the same counts as another version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from objstore.interface.values import EPOCH, Conditions

if TYPE_CHECKING:
    from objstore.interface.values import Seen
    from objstore.types import ObjectMeta

_STRONG = re.compile(r'"[\x21\x23-\x7e]*"')


def strong(e_tag: str | None) -> str | None:
    """Return an ETag that can pin a version: a weak one cannot, and one that is not well-formed is never sent back."""
    return e_tag if e_tag is not None and _STRONG.fullmatch(e_tag) else None


def pinned(seen: Seen, version: str | None = None) -> Conditions:
    """Return the conditions of reads that are to go on with the version that a reply was of."""
    meta = seen.meta
    return Conditions(if_match=strong(meta["e_tag"]), version=version or meta["version"], expected=seen)


def can_pin(seen: Seen) -> bool:
    """Tell whether a reply has a strong validator, which tells this version of an object from all others.

    Its size does not, nor a weak ETag; nor a time of modification of the last minute, for several versions may have
    been written in one second. What has none is read by one request.
    """
    return strong(seen.meta["e_tag"]) is not None or _is_settled(seen)


def _is_settled(seen: Seen) -> bool:
    return seen.settled and seen.meta["last_modified"] != EPOCH


def is_same(found: Seen, expected: Seen) -> bool:
    """Tell whether a reply is of the version that is expected; a size of -1 is one that a reply does not name.

    Where the expected one has no strong validator, it is enough that nothing speaks against it: then all must have been
    read by one request.
    """
    return _agree(found.meta, expected.meta) and (not can_pin(expected) or _is_proven(found, expected))


def _is_proven(found: Seen, expected: Seen) -> bool:
    """Tell whether replies that agree have the same strong validator."""
    tag = strong(found.meta["e_tag"])
    return (tag is not None and tag == expected.meta["e_tag"]) or (_is_settled(found) and _is_settled(expected))


def _agree(found: ObjectMeta, expected: ObjectMeta) -> bool:
    """Tell whether all that two replies both say is the same, and they say as much as can be compared."""
    if found["size"] != expected["size"] and -1 not in (found["size"], expected["size"]):
        return False
    if not (_says_something(found) or _says_something(expected)):
        return True
    tags, times = (found["e_tag"], expected["e_tag"]), (found["last_modified"], expected["last_modified"])
    if EPOCH not in times and times[0].replace(microsecond=0) != times[1].replace(microsecond=0):
        return False
    return tags[0] == tags[1] if None not in tags else EPOCH not in times


def _says_something(meta: ObjectMeta) -> bool:
    return meta["e_tag"] is not None or meta["last_modified"] != EPOCH
