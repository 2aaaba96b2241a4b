"""Objects of Google Cloud Storage as its JSON API describes them, and how their versions are named.

A version is its generation, a number. The two APIs of the service disagree about ETags (that of the JSON API changes
with the metadata, that of the XML API cannot be told from a listing), so the ETag of an object is its generation here,
in quotes: the same wherever the object is met, and good for every condition.

https://cloud.google.com/storage/docs/json_api/v1/objects#resource
https://cloud.google.com/storage/docs/generations-preconditions
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from objstore.exceptions import CorruptResponseError, NotSupportedError
from objstore.interface.values import EPOCH, WriteOptions
from objstore.providers.conditional_headers import IF_MATCH, read_headers
from objstore.providers.requests import untold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.interface.values import Conditions
    from objstore.types import ObjectMeta, PutResult

FIELDS = "generation,name,size,updated"
"""What is asked for of an object in a listing."""

LISTING = "storage#objects"
"""The kind of a listing, which it says itself: of an empty one, that is all there is to tell it by."""

_RESERVED = {
    "Content-Disposition": "contentDisposition",
    "Content-Encoding": "contentEncoding",
    "Content-Language": "contentLanguage",
    "Content-Type": "contentType",
    "Cache-Control": "cacheControl",
    "Storage-Class": "storageClass",
}
_NUMBER = re.compile(r"\d{1,19}", re.ASCII)
_GENERATION = re.compile(r'"(\d{1,19})"')
_SEVERAL = re.compile(r'"\d{1,19}"\s*,|,\s*"\d{1,19}"')
_NATIVE = {IF_MATCH: "x-goog-if-generation-match", "If-None-Match": "x-goog-if-generation-not-match"}


def e_tag(generation: str) -> str:
    """Return the ETag of a generation."""
    return f'"{generation}"'


def condition_headers(conditions: Conditions) -> dict[str, str]:
    """Return the headers that make a read conditional: ETags that are generations are compared as such.

    Raises:
        NotSupportedError: A condition names several generations, which no header can.
    """
    headers = read_headers(conditions)
    for name, native in _NATIVE.items():
        value = headers.get(name, "").strip()
        if found := _GENERATION.fullmatch(value):
            del headers[name]
            headers[native] = found[1]
        elif _SEVERAL.search(value):
            raise NotSupportedError(
                f"{name} = {value!r} names several generations, and the service compares with one",
                hint="Give one ETag.",
                store="GCSStore",
            )
    return headers


def with_generation(options: WriteOptions) -> WriteOptions:
    """Return how to write an object, where it may replace one version only: with the ETag of that.

    Raises:
        NotSupportedError: The mode names no version, or one that the service cannot compare with.
    """
    mode = options.mode
    if isinstance(mode, str):
        return options
    version, tag = mode.get("version"), mode.get("e_tag")
    if not (version or tag):
        raise NotSupportedError(
            "An update needs the ETag or the version it replaces", hint="Give mode={'version': ...}."
        )
    wanted = tag or e_tag(str(version))
    if not _GENERATION.fullmatch(wanted) or (version and wanted != e_tag(version)):
        raise NotSupportedError(
            f"mode = {mode!r} does not name one generation of the object",
            hint="Give the version, or the e_tag, that the store has returned.",
            store="GCSStore",
        )
    return replace(options, mode={"e_tag": wanted})


def generation_named(e_tag: str) -> str:
    """Return the generation that an ETag is.

    Raises:
        NotSupportedError: It is none, and so the service cannot compare with it.
    """
    found = _GENERATION.fullmatch(e_tag)
    if found is None:
        raise NotSupportedError(
            f"if_match = {e_tag!r} does not name one generation of the object",
            hint="Give the e_tag that the store has returned.",
            store="GCSStore",
        )
    return found[1]


def generation_match(options: WriteOptions) -> list[tuple[str, str]]:
    """Return the query that makes a write conditional, for options that `with_generation` has seen."""
    mode = options.mode
    if mode == "overwrite":
        return []
    generation = "0" if isinstance(mode, str) else str(mode.get("e_tag")).strip('"')
    return [("ifGenerationMatch", generation)]


def resource(attributes: Mapping[str, str]) -> dict[str, Any]:
    """Return the description of an object that has these attributes."""
    fixed: dict[str, Any] = {_RESERVED[name]: value for name, value in attributes.items() if name in _RESERVED}
    own = {name: value for name, value in attributes.items() if name not in _RESERVED}
    return {**fixed, "metadata": own} if own else fixed


def meta_of(item: Mapping[str, Any]) -> ObjectMeta:
    """Return the metadata of an object in a listing; times in seconds, as the headers of a reply tell them.

    Raises:
        KeyError: It has no name, or no size.
        ValueError: Its size or its time is none.
    """
    generation = item.get("generation")
    return {
        "path": str(item["name"]),
        "last_modified": _time(item.get("updated") or item.get("timeCreated")),
        "size": _size(item["size"]),
        "e_tag": e_tag(str(generation)) if generation else item.get("etag"),
        "version": str(generation) if generation else None,
    }


def _has_name(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("name"), str)


def _size(told: object) -> int:
    if not _NUMBER.fullmatch(str(told)):
        raise ValueError(f"{told!r} is no number of bytes")
    return int(str(told))


def _time(text: object) -> datetime:
    if not isinstance(text, str):
        return EPOCH
    return datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0)


def put_result_of(described: Mapping[str, Any]) -> PutResult:
    """Return the result of a write, of the description of what it made."""
    generation = generation_of(described)
    return {"e_tag": e_tag(generation), "version": generation}


def generation_of(described: Mapping[str, Any]) -> str:
    """Return the generation that a write has made.

    Raises:
        CorruptResponseError: The answer names none: whoever gave it has not said that anything was written.
    """
    generation = str(described.get("generation"))
    if not _NUMBER.fullmatch(generation):
        raise untold("GCSStore")
    return generation


def read_document(body: bytes, what: str) -> dict[str, Any]:
    """Read a document of the JSON API.

    Args:
        body: The whole document.
        what: What it is, for the message.

    Raises:
        CorruptResponseError: It is none, or an error, for all that the status said.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or "error" in document:
        raise CorruptResponseError(f"Expected {what} in JSON, got {body[:80]!r}", store="GCSStore", maybe_applied=True)
    return document


def items_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a page of a listing lists.

    Raises:
        CorruptResponseError: It is no such page: nothing in it is not the same as nothing there.
    """
    items = document.get("items") or []
    if document.get("kind") != LISTING or not (isinstance(items, list) and all(map(_has_name, items))):
        raise CorruptResponseError(f"Expected a listing, got {str(document)[:80]}", store="GCSStore")
    return items
