"""The tags of an object that is there already: read, replaced and removed; its bytes stay, and so does its ETag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import NotSupportedError
from objstore.operations.arguments import read_tags
from objstore.operations.naming import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.interface.provider import Tags
    from objstore.interface.store import BaseStore
    from objstore.plans.effects import Plan


def get_tags(store: BaseStore, path: str, *, version: str | None = None) -> Plan[dict[str, str]]:
    """Read the tags of an object.

    Args:
        store: Where it is.
        path: Its path.
        version: Which version of it; without, the newest.

    Raises:
        NotFoundError: There is no such object.
        NotSupportedError: The store keeps no tags.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    """
    tags = _tags(store)
    key = yield from key_of(store, path)
    return (yield from tags.get(key, version))


def put_tags(store: BaseStore, path: str, tags: Mapping[str, str], *, version: str | None = None) -> Plan[None]:
    """Give an object tags, in the place of all that it has.

    Args:
        store: Where it is.
        path: Its path.
        tags: The tags; none: it has none from then on.
        version: Which version of it; without, the newest.

    Raises:
        NotFoundError: There is no such object.
        NotSupportedError: The store keeps no tags.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    """
    there, given = _tags(store), read_tags(tags)
    key = yield from key_of(store, path)
    yield from there.put(key, given, version)


def delete_tags(store: BaseStore, path: str, *, version: str | None = None) -> Plan[None]:
    """Remove all tags of an object.

    Args:
        store: Where it is.
        path: Its path.
        version: Which version of it; without, the newest.

    Raises:
        NotFoundError: There is no such object.
        NotSupportedError: The store keeps no tags.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    """
    return put_tags(store, path, {}, version=version)


def _tags(store: BaseStore) -> Tags:
    tags = store.provider.tags
    if tags is None:
        raise NotSupportedError(
            f"{type(store).__name__} keeps no tags here",
            hint="Store what you have to say as attributes; with disable_tagging, leave that setting out.",
        )
    return tags
