"""What a service says in the document of an error: XML as Amazon writes it, or JSON as Google does.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#RESTErrorResponses
https://cloud.google.com/storage/docs/json_api/v1/status-codes
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from objstore.exceptions import CorruptResponseError
from objstore.http.xml import parse

if TYPE_CHECKING:
    from objstore.http.xml import Element


class Words(NamedTuple):
    """The service's code for an error, its message, and the region that it names, where it says so."""

    code: str | None = None
    message: str = ""
    region: str | None = None


def read_words(body: bytes) -> Words:
    """Return what the document of an error says; nothing, where it is none."""
    if body.lstrip().startswith(b"{"):
        return _read_json(body)
    try:
        document = parse(body, "Error")
    except CorruptResponseError:
        return Words()
    code, region = document.find_text("Code"), document.find_text("Region")
    return Words(code or None, _message(document), region or None)


def _message(document: Element) -> str:
    """Return what an error says, and of an archived object, how it is stored (InvalidObjectState).

    Azure's ends with lines for the request's id and the time, which are in its headers too.
    """
    told = [f"{name} {text}" for name in ("StorageClass", "AccessTier") if (text := document.find_text(name))]
    said = document.find_text("Message").partition("\nRequestId:")[0]
    return said + (f" ({', '.join(told)})" if told else "")


def _read_json(body: bytes) -> Words:
    try:
        error = json.loads(body).get("error")
    except ValueError:
        return Words()
    if not isinstance(error, dict):
        return Words(error if isinstance(error, str) else None)
    code = _reason(error) or error.get("status")
    return Words(str(code) if code else None, str(error.get("message") or ""))


def _reason(error: dict[str, Any]) -> object:
    """Return the reason of the first of the errors that a reply lists."""
    listed = error.get("errors")
    first = listed[0] if isinstance(listed, list) and listed else None
    return first.get("reason") if isinstance(first, dict) else None
