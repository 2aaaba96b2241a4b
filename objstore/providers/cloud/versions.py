"""The versions of a bucket's objects: listed, and deleted one by one; and how S3 tells them.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import unquote_plus

from objstore.exceptions import CorruptResponseError
from objstore.http.exchange import LARGEST_DOCUMENT, Exchange
from objstore.http.shape import Shape
from objstore.http.xml import parse
from objstore.providers.cloud.documents import Sent
from objstore.providers.requests import is_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore._core import Reply
    from objstore.http.xml import Element
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.documents import Documents
    from objstore.types import ObjectVersion

T = TypeVar("T")
Token: TypeAlias = tuple[str, ...]
VersionPage: TypeAlias = "tuple[list[ObjectVersion], Token]"

_ROOT = "ListVersionsResult"
_KINDS = ("Version", "DeleteMarker")


class Versions:
    """The versions of a bucket's objects.

    Args:
        bucket: Speaks to it.
        root: The name of the document that lists them.
        query: Returns the query of a request for a page.
        read: Reads a page.
    """

    def __init__(
        self,
        bucket: Documents,
        root: str,
        query: Callable[[str, Token], Sequence[tuple[str, str]]],
        read: Callable[[Element], VersionPage],
    ) -> None:
        self._bucket = bucket
        self._root = root
        self._query = query
        self._read = read

    def page(self, prefix: str, token: Token) -> Plan[VersionPage]:
        """Read a page of the versions of objects below a prefix."""
        bucket = self._bucket

        def send() -> Plan[Sent]:
            yield from bucket.service.refresh()
            shape = Shape("GET", bucket.change_headers)
            exchange = Exchange(bucket.service, shape, lambda _: prefix, most_body=LARGEST_DOCUMENT)
            exchange.add(bucket.target("", self._query(prefix, token)))
            return Sent((yield from exchange.only()))

        def read(reply: Reply) -> VersionPage:
            return checked_versions(self._read, parse(bytes(reply.body), self._root), prefix)

        return (yield from bucket.answer(send, read, (self._root,), "GET", prefix, safe=True))

    def delete(self, key: str, version: str) -> Plan[None]:
        """Delete one version for good."""
        yield from delete_version(self._bucket, key, self._bucket.target(key, self._bucket.version_query(version)))


def delete_version(bucket: Documents, key: str, target: bytes) -> Plan[None]:
    """Delete the version of an object that a target names."""
    yield from bucket.service.refresh()
    exchange = Exchange(bucket.service, Shape("DELETE", bucket.change_headers), lambda _: key)
    exchange.add(target)
    yield from exchange.finish()
    for error in exchange.errors.values():
        if not is_gone(error):
            raise error


def checked_versions(read: Callable[[T], VersionPage], document: T, prefix: str) -> VersionPage:
    """Return a page, if it is what was asked for.

    Raises:
        CorruptResponseError: It has something else, or cannot be read.
    """
    try:
        found, token = read(document)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptResponseError(f"The versions below {prefix!r} cannot be read: {error!r}", path=prefix) from None
    other = next((each["path"] for each in found if not each["path"].startswith(prefix)), None)
    if other is not None:
        raise CorruptResponseError(f"The versions below {prefix!r} have {other!r} among them", path=prefix)
    return found, token


def s3_versions(bucket: Documents) -> Versions:
    """Return the versions of the objects of a bucket of S3."""
    return Versions(bucket, _ROOT, _query_of_s3, _read_of_s3)


def _query_of_s3(prefix: str, token: Token) -> Sequence[tuple[str, str]]:
    key, version = token or ("", "")
    named = {"prefix": prefix, "key-marker": key, "version-id-marker": version}
    told = [(name, value) for name, value in named.items() if value]
    return [("versions", ""), ("encoding-type", "url"), *told]


def _read_of_s3(root: Element) -> VersionPage:
    decoded = unquote_plus if root.find_text("EncodingType") == "url" else str
    found = [_version(item, decoded) for item in root.children if item.tag in _KINDS]
    truncated = root.find_text("IsTruncated")
    if truncated not in ("true", "false"):
        raise ValueError(f"IsTruncated is {truncated!r}, neither true nor false")
    if truncated == "false":
        return found, ()
    key = decoded(root.find_text("NextKeyMarker"))
    if not key:
        raise ValueError("it does not say how it goes on")
    return found, (key, root.find_text("NextVersionIdMarker"))


def _version(item: Element, decoded: Callable[[str], str]) -> ObjectVersion:
    marks = item.tag == "DeleteMarker"
    return {
        "path": decoded(item.find_text("Key")),
        "last_modified": datetime.fromisoformat(item.find_text("LastModified")).astimezone(UTC),
        "size": 0 if marks else int(item.find_text("Size")),
        "e_tag": item.find_text("ETag") or None,
        "version": item.find_text("VersionId") or None,
        "is_latest": item.find_text("IsLatest") == "true",
        "delete_marker": marks,
    }
