"""Copies that Azure makes itself (Copy Blob): waited for, where the service takes its time.

https://learn.microsoft.com/rest/api/storageservices/copy-blob,
https://learn.microsoft.com/rest/api/storageservices/put-blob-from-url
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore._core import Buffer
from objstore.exceptions import BaseError, GenericError, NotFoundError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.http.xml import parse
from objstore.interface.values import ANY, WHOLE, WriteOptions
from objstore.plans.effects import Sleep
from objstore.providers.cloud.azure_dialect import COPIES
from objstore.providers.conditional_headers import look_after, write_error, write_headers

if TYPE_CHECKING:
    from objstore._core import Reply
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.azure_blobs import Blobs

KEYS_OF_SOURCES = "2026-02-06"
"""The version of the service that takes the key of what is copied."""

FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0
"""How long to wait before the next question how far a copy is, in seconds."""


def copy(blobs: Blobs, source: str, target: str, *, overwrite: bool, origin: Blobs) -> Plan[None]:
    """Copy an object, with what is stored beside it, and wait until the copy is whole."""
    tags = yield from _tags(origin, source)
    options = WriteOptions(mode="overwrite" if overwrite else "create", tags=tags)
    try:
        reply = yield from _begin(blobs, source, target, options, origin)
    except NotFoundError as error:
        if error.code != "ContainerNotFound":
            error.path = origin.service.path(source)
        raise
    except BaseError as error:
        raise (yield from look_after(write_error(error, options), options, blobs.head(target, ANY))) from None
    yield from _wait(blobs, source, target, reply)


def _begin(blobs: Blobs, source: str, target: str, options: WriteOptions, origin: Blobs) -> Plan[Reply]:
    yield from blobs.service.refresh()
    headers = {**_source(blobs, source, origin), **blobs.tag_headers(options), **write_headers(options)}
    shape = Shape("PUT", headers)
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
    return (yield from exchange.only())


def _tags(origin: Blobs, source: str) -> Plan[dict[str, str]]:
    """Return the tags of an object, which a copy would leave behind (Get Blob Tags)."""
    head = yield from origin.read_one("HEAD", source, WHOLE, ANY)
    origin.fetched_head(source, head)  # a directory is nothing to be copied
    if head.headers.get("x-ms-tag-count", "0") == "0":
        return {}
    exchange = Exchange(origin.service, Shape("GET", {}), lambda _: source, detail=lambda _: " tags")
    exchange.add(origin.target(source, [("comp", "tags")]))
    root = parse(bytes((yield from exchange.only()).body), "Tags")
    rows = [tag for tags in root.find_all("TagSet") for tag in tags.find_all("Tag")]
    return {tag.find_text("Key"): tag.find_text("Value") for tag in rows}


def _source(blobs: Blobs, source: str, origin: Blobs) -> dict[str, str]:
    """Return the headers that name what is copied.

    Copy Blob knows no keys of customers: with one, the service reads the object from its URL (Put Blob From URL).
    """
    name = blobs.service.dialect.copy_source
    if not (blobs.read_headers or origin.read_headers):
        return {name: origin.authorized(source)}
    key = {header.replace("x-ms-", "x-ms-source-", 1): value for header, value in origin.read_headers.items()}
    return {
        **blobs.write_headers,
        **key,
        **origin.readable(source),
        "x-ms-blob-type": "BlockBlob",
        "x-ms-version": KEYS_OF_SOURCES,
    }


def _wait(blobs: Blobs, source: str, target: str, reply: Reply) -> Plan[None]:
    """Wait until a copy is whole.

    Raises:
        GenericError: It failed, or was stopped, or another one has taken its place.
    """
    ours, wait = reply.headers.get("x-ms-copy-id"), FIRST_WAIT
    while (state := reply.headers.get("x-ms-copy-status", "success")) == "pending":
        yield Sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
        reply = yield from blobs.read_one("HEAD", target, WHOLE, ANY)
        if reply.headers.get("x-ms-copy-id") != ours:
            raise _failed(blobs, source, target, "something else was written there meanwhile")
    if state != "success":
        words = reply.headers.get("x-ms-copy-status-description", "")
        raise _failed(blobs, source, target, f"it was {state}{words and ': '}{words}")


def _failed(blobs: Blobs, source: str, target: str, words: str) -> GenericError:
    return GenericError(
        f"The copy of {source!r} to {target!r} failed: {words}",
        hint="What is there now is not whole: copy it again.",
        store=blobs.service.dialect.store,
        path=blobs.service.path(target),
        maybe_applied=True,
    )
