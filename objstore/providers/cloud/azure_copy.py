"""Copies that Azure makes itself: by Copy Blob, waited for where the service takes its time; or read from a URL.

https://learn.microsoft.com/rest/api/storageservices/copy-blob,
https://learn.microsoft.com/rest/api/storageservices/put-blob-from-url,
https://learn.microsoft.com/rest/api/storageservices/put-block-from-url
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore._core import Buffer
from objstore.credentials.token import AccessToken
from objstore.exceptions import BaseError, GenericError, NotFoundError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.interface.provider import OutOfReachError
from objstore.interface.values import ANY, WHOLE, Seen, WriteOptions, carried
from objstore.plans.effects import Sleep
from objstore.providers.cloud.azure_blobs import MOST_AT_ONCE, Blobs, tags_of
from objstore.providers.cloud.azure_dialect import COPIES
from objstore.providers.cloud.azure_upload import BlockUpload
from objstore.providers.conditional_headers import look_after, write_error, write_headers
from objstore.providers.preconditions import check_one_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore._core import Reply
    from objstore.interface.provider import Share
    from objstore.plans.effects import Plan
    from objstore.types import PutMode

NAME = "x-ms-copy-source"
PIN = "x-ms-source-if-match"

UNREADABLE = "CannotVerifyCopySource"

COPIED_BLOCK = 256 << 20
"""The size of the blocks in which more is copied."""

BLOCKS_IN_FLIGHT = 12

KEYS_OF_SOURCES = "2026-02-06"
"""The version of the service that takes the key of what is copied."""

MADE = 201
"""The status of what is made."""

FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0
"""How long to wait before the next question how far a copy is, in seconds."""


def copy(blobs: Blobs, source: str, target: str, *, mode: PutMode, origin: Blobs, share: Share) -> Plan[None]:
    """Copy an object, with what is stored beside it, and wait until the copy is whole.

    Raises:
        OutOfReachError: It is in another account, and the service cannot read it there.
    """
    for each in (origin, blobs):
        yield from each.service.refresh()
    same = blobs.service.is_same_as(origin.service)
    try:
        head = yield from origin.read_one("HEAD", source, WHOLE, ANY)
        found = origin.fetched_head(source, head)  # a directory is nothing to be copied
        tags = yield from _tags(origin, source, head)
        options = WriteOptions(carried(found.attributes), tags, mode)
        pinned = {PIN: found.meta["e_tag"]} if tags and found.meta["e_tag"] else {}  # they are of that version
        if same and not (blobs.read_headers or origin.read_headers):
            headers = {NAME: origin.authorized(source), **pinned}
            yield from _copy_at_once(blobs, source, target, options, headers)
        elif not _by_url(blobs, origin):
            headers = {NAME: origin.readable(source)[NAME], **pinned}
            yield from _copy_at_once(blobs, source, target, options, headers)
        elif found.meta["size"] > MOST_AT_ONCE:
            with share(found.meta["size"], BLOCKS_IN_FLIGHT) as most:
                yield from _copy_in_blocks(blobs, source, target, options, origin, found.seen, most)
        else:
            headers = {**blobs.read_headers, **_readable(source, origin), **pinned, "x-ms-blob-type": "BlockBlob"}
            yield from _copy_at_once(blobs, source, target, options, headers)
    except BaseError as error:
        if error.code == UNREADABLE and not same:
            raise OutOfReachError from error
        if isinstance(error, NotFoundError) and error.code != "ContainerNotFound":
            error.path = origin.service.path(source)
        raise


def _by_url(blobs: Blobs, origin: Blobs) -> bool:
    """Tell whether the service has to read an object as anybody would: Copy Blob knows no tokens, and no keys."""
    keyed = bool(blobs.read_headers or origin.read_headers)
    return keyed or isinstance(origin.identity.credentials.current, AccessToken)


def _readable(source: str, origin: Blobs) -> dict[str, str]:
    """Return the headers that name what is to be read from its URL, and let the service do so."""
    key = {header.replace("x-ms-", "x-ms-source-", 1): value for header, value in origin.read_headers.items()}
    return {**origin.readable(source), **key, **({"x-ms-version": KEYS_OF_SOURCES} if key else {})}


def _copy_at_once(
    blobs: Blobs, source: str, target: str, options: WriteOptions, headers: Mapping[str, str]
) -> Plan[None]:
    """Copy an object by one request (Copy Blob, Put Blob From URL)."""
    shape = Shape("PUT", {**headers, **blobs.tag_headers(options), **write_headers(options)})
    exchange = Exchange(
        blobs.service,
        shape,
        lambda _: target,
        detail=lambda _: f" from {source!r}",
        safe=options.mode == "overwrite",
        patient=True,
        keep_head=True,
        successes=COPIES,
    )
    exchange.add(blobs.target(target), body=Buffer(b""))
    try:
        reply = yield from exchange.only()
    except NotFoundError:
        raise
    except BaseError as error:
        raise (yield from look_after(write_error(error, options), options, blobs.head(target, ANY))) from None
    yield from _wait(blobs, source, target, reply)


def _copy_in_blocks(
    blobs: Blobs, source: str, target: str, options: WriteOptions, origin: Blobs, seen: Seen, most: int
) -> Plan[None]:
    """Copy an object in blocks that the service reads, all of the same version of it."""
    found = seen.meta
    check_one_version(origin.service.dialect.store, source, origin.service.path(source), Seen(found))  # by its ETag
    step = max(COPIED_BLOCK, -(-found["size"] // blobs.most_parts))
    pinned = {PIN: found["e_tag"]} if found["e_tag"] else {}
    upload = BlockUpload(blobs, target, options, most, patient=True)
    try:
        for start in range(0, found["size"], step):
            yield from origin.service.refresh()
            upload.add_copied({**_readable(source, origin), **pinned}, start, min(start + step, found["size"]))
            yield from _settle(upload, most)
        upload.seal()
        yield from _settle(upload, 1)
        yield from upload.complete()
    finally:
        upload.close()


def _settle(upload: BlockUpload, most: int) -> Plan[None]:
    """Wait until fewer blocks are on their way; raise what went wrong with one."""
    while upload.unsettled >= most:
        yield from upload.news()
        upload.finished()
    for error in upload.errors.values():
        raise error


def _tags(origin: Blobs, source: str, head: Reply) -> Plan[dict[str, str]]:
    """Return the tags of an object, which a copy would leave behind (Get Blob Tags)."""
    if head.headers.get("x-ms-tag-count", "0") == "0":
        return {}
    return (yield from tags_of(origin).get(source))


def _wait(blobs: Blobs, source: str, target: str, reply: Reply) -> Plan[None]:
    """Wait until a copy is whole.

    Raises:
        GenericError: It failed, or was stopped, or another one has taken its place.
    """
    ours, wait = reply.headers.get("x-ms-copy-id"), FIRST_WAIT
    while (state := _state(reply)) == "pending":
        yield Sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
        try:
            reply = yield from blobs.read_one("HEAD", target, WHOLE, ANY)
        except NotFoundError:
            raise _failed(blobs, source, target, "it was deleted before it was whole") from None
        if reply.headers.get("x-ms-copy-id") != ours:
            raise _failed(blobs, source, target, "something else was written there meanwhile")
    if state != "success":
        words = reply.headers.get("x-ms-copy-status-description", "")
        raise _failed(blobs, source, target, f"it was {state}{words and ': '}{words}")


def _state(reply: Reply) -> str:
    """Return how far a copy is; that of Put Blob From URL is made once it is answered, and named by its ETag alone."""
    made = "success" if reply.status == MADE and reply.headers.get("etag") else "not answered by a word of it"
    return reply.headers.get("x-ms-copy-status", made)


def _failed(blobs: Blobs, source: str, target: str, words: str) -> GenericError:
    return GenericError(
        f"The copy of {source!r} to {target!r} failed: {words}",
        hint="What is there now is not whole: copy it again.",
        store=blobs.service.dialect.store,
        path=blobs.service.path(target),
        maybe_applied=True,
    )
