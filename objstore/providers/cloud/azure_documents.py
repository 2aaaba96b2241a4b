"""What Azure answers beside objects: listings in XML, and the answers to many requests in one (RFC 2046, section 5.1).

https://learn.microsoft.com/rest/api/storageservices/list-blobs,
https://learn.microsoft.com/rest/api/storageservices/blob-batch
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from objstore._core import Bytes, Listing
from objstore.exceptions import CorruptResponseError
from objstore.http.xml import Element, parse
from objstore.interface.values import ListQuery, Page
from objstore.providers.cloud.listed import checked

if TYPE_CHECKING:
    from objstore._core import Reply

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_PART = re.compile(rb"\r\n\r\nHTTP/1\.1 (\d{3})[^\r\n]*\r\n(.*)", re.DOTALL)
_ID = re.compile(rb"^content-id: *(\d+)", re.IGNORECASE | re.MULTILINE)


def read_page(body: Bytes, query: ListQuery) -> tuple[Page, bool]:
    """Read a page of a listing: without directories, and without what comes before the offset.

    Returns:
        The page, and whether there were directories.
    """
    try:
        listing = Listing(body, blobs=True)
    except ValueError as reason:
        raise CorruptResponseError(
            f"Expected a listing of {query.prefix!r}, got {bytes(body[:80])!r}: {reason}", path=query.prefix
        ) from None
    rows = listing
    if query.offset:
        rows = listing.pick(index for index, key in enumerate(listing.keys()) if key > query.offset)
    page = checked(Page(rows, listing.common_prefixes, listing.token), replace(query, offset=""))
    return page, bool(listing.directories)


def read_directories(body: Bytes) -> tuple[list[str], str]:
    """Read the directories alone of a page of a listing, and what asks for the next."""
    root = parse(bytes(body), "EnumerationResults")
    if not root.find_all("NextMarker"):
        raise CorruptResponseError(f"Expected a listing, got {bytes(body[:80])!r}: it has no NextMarker")
    blobs = [blob for blobs in root.find_all("Blobs") for blob in blobs.find_all("Blob")]
    return [blob.find_text("Name") for blob in blobs if is_directory_row(blob)], root.find_text("NextMarker")


def is_directory_row(blob: Element) -> bool:
    """Tell whether it is a directory: of an account with a hierarchical namespace, or as Hadoop makes them."""
    kinds = [properties.find_text("ResourceType") for properties in blob.find_all("Properties")]
    marks = [child for metadata in blob.find_all("Metadata") for child in metadata.children]
    return "directory" in kinds or any(mark.tag.lower() == FOLDER and mark.text.lower() == "true" for mark in marks)


def is_directory(reply: Reply) -> bool:
    """Tell whether a reply is about a directory."""
    headers = reply.headers
    marked = headers.get(f"x-ms-meta-{FOLDER}", "").lower() == "true"
    return marked or headers.get("x-ms-resource-type", "file") != "file"


FOLDER = "hdi_isfolder"
"""The metadata that marks a directory."""


class Answer(NamedTuple):
    """The answer to one of many requests in one."""

    status: int
    code: str
    message: str


def read_answers(reply: Reply, count: int) -> list[Answer]:
    """Read the answers to so many requests, in their order.

    Raises:
        CorruptResponseError: One is missing.
    """
    boundary = _BOUNDARY.search(reply.headers.get("content-type", ""))
    parts = bytes(reply.body).split(b"--" + boundary[1].encode()) if boundary else []
    found = [(int(id[1]), answer) for part in parts if (id := _ID.search(part)) and (answer := _answer(part))]
    if sorted(number for number, _ in found) != list(range(count)):
        raise CorruptResponseError(f"Expected the answers to {count} requests, got {len(found)}: {reply.body[:80]!r}")
    return [answer for _, answer in sorted(found)]


def _answer(part: bytes) -> Answer | None:
    found = _PART.search(part)
    if found is None:
        return None
    head, _, body = found[2].partition(b"\r\n\r\n")
    lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n")]
    headers = {name.lower(): value.strip() for name, _, value in lines}
    code, message = headers.get("x-ms-error-code", ""), ""
    try:
        document = parse(body.strip(), "Error")
        code, message = document.find_text("Code") or code, document.find_text("Message")
    except CorruptResponseError:
        pass
    return Answer(int(found[1]), code, message)
