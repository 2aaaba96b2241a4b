"""The versions of objects, in buckets that keep them: listed, and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from objstore.exceptions import CorruptResponseError, NotSupportedError
from objstore.interface.succession import Marks
from objstore.operations.arguments import read_get_options
from objstore.operations.bars import called, shown
from objstore.operations.progress import Found
from objstore.operations.results import Stream
from objstore.plans.run import both

if TYPE_CHECKING:
    from objstore.interface.provider import Versions
    from objstore.interface.store import BaseStore
    from objstore.operations.arguments import By
    from objstore.plans.effects import Plan
    from objstore.types import ObjectVersion, Progress


class VersionStream(Stream["Sequence[ObjectVersion]"]):
    """The pages of a listing of versions. Iterate them, or collect the rest."""

    def __init__(self, store: BaseStore, versions: Versions, prefix: str, progress: Progress | None) -> None:
        self._store = store
        self._versions = versions
        self._prefix = prefix
        self._told = progress
        self._found = Found(progress)
        self._tokens = Marks()
        self._token: tuple[str, ...] | None = ()

    @shown
    def next_item(self) -> Plan[Sequence[ObjectVersion] | None]:
        """Return the next page that has something; None at the end."""
        while self._token is not None:
            page, token = yield from self._versions.page(self._prefix, self._token)
            if token and self._tokens.is_met("\0".join(token)):
                raise CorruptResponseError(f"The versions below {self._prefix!r} do not go on: a token came twice")
            self._token = token or None
            self._found.add(len(page))
            if page:
                return [{**each, "path": self._store.path(each["path"])} for each in page]
        return None

    def _collect(self) -> Plan[list[ObjectVersion]]:
        """Return all that is left."""
        found: list[ObjectVersion] = []
        while (page := (yield from self.next_item())) is not None:
            found += page
        return found

    collect, collect_async = both(_collect)


def list_versions(
    store: BaseStore, prefix: str | None = None, *, by: By = "segment", progress: Progress | bool | None = None
) -> VersionStream:
    """List all versions of the objects below a prefix, in pages: deleted objects too, where their versions are kept.

    Each has what a listing says of an object, its ``version``, ``is_latest`` (it is what a read without a version gets)
    and ``delete_marker`` (it is S3's mark that the object was deleted, and has no bytes). Give the version to `get`,
    `head` or `delete`.

    Args:
        store: Where to look.
        prefix: Where to begin; whole segments only. A slash at either end is left out, unless keys are raw.
        by: ``"string"``: the prefix is any beginning of a path.
        progress: True draws a bar; a function is called with how many versions have been found so far, the same number
            again, and 0.

    Returns:
        A stream of pages, to be iterated or collected, synchronously or asynchronously.

    Raises:
        NotSupportedError: The store keeps no versions.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    """
    told = called(progress, "list_versions", counting=True)
    return VersionStream(store, versions_of(store), store.full_prefix(prefix, by), told)


def versions_of(store: BaseStore) -> Versions:
    """Return the versions of a store's objects.

    Raises:
        NotSupportedError: It keeps none.
    """
    versions = store.provider.versions
    if versions is None:
        raise NotSupportedError(
            f"{type(store).__name__} keeps no versions here, or cannot list them",
            hint="S3Store, GCSStore (but with HMAC keys) and AzureStore do, where the bucket is set to.",
        )
    return versions


def delete_one(store: BaseStore, path: object, version: object, e_tag: object) -> Plan[None]:
    """Delete one version of an object, or the object if it is still the one that an ETag names.

    Raises:
        TypeError: There is more than one path, or what names the version is no text.
        ValueError: It is empty: without it, the object would go whatever it is. Or there is a version and an ETag.
    """
    name, given = ("version", version) if e_tag is None else ("if_match", e_tag)
    if not isinstance(path, str) or not isinstance(given, str):
        raise TypeError(f"{name} = {given!r} is to be a str, and is of one object: give one path")
    read_get_options({"version": given} if e_tag is None else {"if_match": given})
    if e_tag is not None and version is not None:
        raise ValueError("version and if_match do not go together: a version is what it is, give it alone")
    (key,) = store.keys([path])
    if e_tag is None:
        yield from versions_of(store).delete(key, given)
    else:
        yield from store.provider.delete_if(key, given)
