"""What every page of a listing must be, whatever the service: below the prefix, behind the offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import CorruptResponseError, NotSupportedError

if TYPE_CHECKING:
    from objstore.interface.values import ListQuery, Page


def checked(page: Page, query: ListQuery) -> Page:
    """Return a page, if it is what was asked for.

    Raises:
        CorruptResponseError: It has something else: to read, or to delete, that would be to touch what nobody named.
        NotSupportedError: It begins before the offset.
    """
    other = page.objects.outside(query.prefix)
    if other is None:
        other = next((name for name in page.common_prefixes if not name.startswith(query.prefix)), None)
    if other is not None:
        raise CorruptResponseError(f"The listing of {query.prefix!r} has {other!r} in it", path=query.prefix)
    before = _before(page, query.offset)
    if before is not None:
        raise NotSupportedError(
            f"The listing of {query.prefix!r} was to begin behind {query.offset!r}, and has {before!r} in it: the "
            "service does not begin where it is asked to, or not in the order of the keys",
            hint="List without an offset, and with max_concurrency=1.",
            path=query.prefix,
        )
    return page


def _before(page: Page, offset: str) -> str | None:
    """Return a name that does not come behind an offset; a prefix may be one of keys behind it."""
    if not offset:
        return None
    key = page.objects.before(offset)
    if key is not None:
        return key
    return next((name for name in page.common_prefixes if name <= offset and not offset.startswith(name)), None)
