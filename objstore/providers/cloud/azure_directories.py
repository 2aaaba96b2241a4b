"""Directories of an account with a hierarchical namespace, and the empty blobs that stand for them in others.

They are no objects, and stay behind when all that is in them is deleted. The interface for files (DFS) renames them,
and deletes them with all that is in them; where it is not known, they are deleted one by one, the deepest first.

https://learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from objstore._core import Buffer, Listing, encode_path
from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    ConnectionFailedError,
    NotFoundError,
    PermissionDeniedError,
)
from objstore.http.exchange import LARGEST_DOCUMENT, Exchange
from objstore.http.shape import Shape
from objstore.interface.succession import Succession
from objstore.interface.values import ANY, WHOLE, ListQuery, Page, WriteOptions
from objstore.providers.cloud.azure_documents import is_directory, read_directories
from objstore.providers.cloud.listed import checked
from objstore.providers.conditional_headers import look_after, write_error, write_headers
from objstore.settings.paths import outermost
from objstore.signing.sigv4 import canonical_query

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore._core import Reply
    from objstore.http.service import Service
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.azure_blobs import Blobs
    from objstore.types import PutMode

CONTINUATION = "x-ms-continuation"
"""The header with what a request is to be repeated with, that has done only a part."""

DELETES_IN_FLIGHT = 20
NO_DIRECTORY = "RenameDestinationParentPathNotFound"


class Directories:
    """The directories of a container.

    Args:
        blobs: The container, as the interface for blobs has it.
        list_target: Returns path and query of a page of its listing.
        above: The path of the account below its origin, as emulators have it.
        files: The interface for files; None where nobody knows it.

    Attributes:
        seen: Whether a listing has had one.
    """

    def __init__(
        self, blobs: Blobs, list_target: Callable[[ListQuery], bytes], above: str, files: Service | None
    ) -> None:
        self.seen = False
        self._blobs = blobs
        self._list_target = list_target
        self._above = above.encode()
        self._files = files
        self._hierarchical: bool | None = None  # not known until something in the account was looked at

    # --- renamed

    def rename(self, source: str, target: str, *, mode: PutMode) -> Plan[bool]:
        """Rename a file or a directory in one step; tell whether the account can, and it is done."""
        if self._files is None or not (yield from self._is_hierarchical(source)):
            return False
        options = WriteOptions(mode=mode)
        try:
            yield from self._rename_below(source, target, options)
        except BaseError as error:
            if not self._is_out_of_reach(error):
                raise
            return False
        return True

    def _is_out_of_reach(self, error: BaseError) -> bool:
        """Tell whether the interface for files is one that this machine cannot reach, and remember it.

        Private networks may have that for blobs alone.
        """
        unreached = isinstance(error, ConnectionFailedError) or error.code == "AuthorizationFailure"
        if unreached and not error.maybe_applied:
            self._files = None
        return self._files is None

    def _rename_below(self, source: str, target: str, options: WriteOptions) -> Plan[None]:
        """Rename, and make the directory of the new name first where it is missing."""
        try:
            yield from self._rename(source, target, options)
        except NotFoundError as error:
            if error.code != NO_DIRECTORY:
                raise
            yield from self._make(target.rstrip("/").rpartition("/")[0])
            yield from self._rename(source, target, options)

    def _is_hierarchical(self, key: str) -> Plan[bool]:
        """Tell whether the account has directories, of which what is known about anything in it tells."""
        if self._hierarchical is None:
            yield from self._kind(key)
        return bool(self._hierarchical)

    def _rename(self, source: str, target: str, options: WriteOptions) -> Plan[None]:
        signer = self._blobs.identity.signer(Shape("PUT", {}), self._blobs.service.host, {})
        query = b"?" + signer.query if signer is not None and signer.query else b""
        path = self._blobs.path(source).removeprefix(self._above)
        headers = {"x-ms-rename-source": (path + query).decode(), **write_headers(options)}
        try:
            yield from self._repeat("PUT", target, headers, {}, safe=False, detail=f" from {source!r}")
        except NotFoundError as error:
            if error.code != NO_DIRECTORY:
                error.path = self._blobs.service.path(source)
            raise
        except BaseError as error:
            head = self._blobs.head(target, ANY)
            raise (yield from look_after(write_error(error, options), options, head)) from None

    def _make(self, key: str) -> Plan[None]:
        """Make a directory, and those above it."""
        headers = write_headers(WriteOptions(mode="create"))
        try:
            yield from self._repeat("PUT", key, headers, {"resource": "directory"})
        except AlreadyExistsError:
            return

    # --- deleted

    def remove(self, prefix: str) -> Plan[None]:
        """Delete the directories that begin with a prefix.

        Where the service does it in one step, what has been put there meanwhile goes too.
        """
        found = yield from self._below(prefix)
        if prefix.endswith("/") and (yield from self._kind(prefix[:-1], missing_ok=True)) == "directory":
            found.append(prefix[:-1])
        if self._files is not None and self._hierarchical:
            try:
                yield from self._remove_whole(outermost(found))
            except BaseError as error:
                if not self._is_out_of_reach(error):
                    raise
            else:
                return
        yield from self._remove_singly(found)

    def _remove_whole(self, keys: Sequence[str]) -> Plan[None]:
        """Delete directories by the interface for files, with all that is in them."""
        for key in keys:
            yield from self._repeat("DELETE", key, {}, {"recursive": "true"}, missing_ok=True)

    def _remove_singly(self, keys: list[str]) -> Plan[None]:
        """Delete directories by the interface for blobs, which wants them empty: the deepest first."""
        deepest = sorted(keys, key=_depth, reverse=True)
        for _, level in groupby(deepest, _depth):
            for error in (yield from self._blobs.delete_singly([*level], DELETES_IN_FLIGHT)).values():
                if error.code != "DirectoryIsNotEmpty":  # something has just been put there
                    raise error

    def _below(self, prefix: str) -> Plan[list[str]]:
        """Return the directories that begin with a prefix; none is looked for where there has never been one."""
        query, succession = ListQuery(prefix), Succession(prefix)
        found: list[str] = []
        while self.seen:
            yield from self._blobs.service.refresh()
            exchange = Exchange(self._blobs.service, Shape("GET", {}), lambda _: prefix, most_body=LARGEST_DOCUMENT)
            exchange.add(self._list_target(query))
            names, token = read_directories((yield from exchange.only()).body)
            page = succession.take(checked(Page(Listing.of(()), names, token), query))
            found += page.common_prefixes
            if not token:
                break
            query = ListQuery(prefix, token=token)
        return found

    def _kind(self, key: str, *, missing_ok: bool = False) -> Plan[str]:
        """Return whether a key names a file or a directory; nothing, where the account has no such things."""
        try:
            reply = yield from self._blobs.read_one("HEAD", key, WHOLE, ANY)
        except (NotFoundError, PermissionDeniedError) as error:
            if missing_ok and not (self.seen and isinstance(error, PermissionDeniedError)):
                return ""  # who may delete and not read has found no directory
            raise
        kind = reply.headers.get("x-ms-resource-type", "")
        self._hierarchical = bool(kind)
        return kind or ("directory" if missing_ok and is_directory(reply) else "")

    # --- sent

    def _repeat(
        self,
        method: str,
        key: str,
        headers: dict[str, str],
        query: dict[str, str],
        *,
        safe: bool = True,
        missing_ok: bool = False,
        detail: str = "",
    ) -> Plan[None]:
        """Send a request to the interface for files until all is done that it asks for."""
        continuation: str | None = ""
        while continuation is not None:
            named = {**query, "continuation": continuation} if continuation else query
            try:
                reply = yield from self._send(method, key, headers, named, safe=safe, detail=detail)
            except NotFoundError as error:
                if missing_ok and error.code == "PathNotFound":
                    return
                raise
            continuation = reply.headers.get(CONTINUATION) or None

    def _send(
        self, method: str, key: str, headers: dict[str, str], query: dict[str, str], *, safe: bool, detail: str
    ) -> Plan[Reply]:
        assert self._files is not None
        yield from self._files.refresh()
        exchange = Exchange(
            self._files,
            Shape(method, headers),
            lambda _: key,
            detail=lambda _: detail,
            safe=safe,
            patient=True,
            keep_head=True,
        )
        tail = f"?{canonical_query([*query.items()])}" if query else ""
        body = Buffer(b"") if method == "PUT" else None
        exchange.add(self._blobs.base + b"/" + encode_path(key) + tail.encode(), body=body)
        return (yield from exchange.only())


def _depth(key: str) -> int:
    return key.count("/")
