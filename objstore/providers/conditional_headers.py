"""What must hold for a read or a write, as HTTP says it, and what it means where it does not.

https://www.rfc-editor.org/rfc/rfc9110#section-13
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, NotSupportedError, PreconditionError
from objstore.http.client import http_date

if TYPE_CHECKING:
    from objstore.http.shape import Shape
    from objstore.interface.values import Conditions, WriteOptions


IF_MATCH = "If-Match"
"""The header that keeps reads to one version; some servers refuse it."""


def unconditional(shape: Shape) -> Shape:
    """Return the shape of the same requests without the header that keeps them to one version."""
    return shape._replace(headers={name: value for name, value in shape.headers.items() if name != IF_MATCH})


def read_headers(conditions: Conditions) -> dict[str, str]:
    """Return the headers that make a read conditional."""
    headers = {
        IF_MATCH: conditions.if_match,
        "If-None-Match": conditions.if_none_match,
        "If-Modified-Since": conditions.if_modified_since and http_date(conditions.if_modified_since),
        "If-Unmodified-Since": conditions.if_unmodified_since and http_date(conditions.if_unmodified_since),
    }
    return {name: value for name, value in headers.items() if value}


def write_headers(options: WriteOptions) -> dict[str, str]:
    """Return the header that makes a write conditional."""
    mode = options.mode
    if mode == "overwrite":
        return {}
    if mode == "create":
        return {"If-None-Match": "*"}
    if not isinstance(mode, str) and mode.get("e_tag"):
        return {IF_MATCH: str(mode["e_tag"])}
    raise NotSupportedError("An update needs the ETag it replaces", hint="Give mode={'e_tag': ...}.")


def write_error(error: BaseError, options: WriteOptions) -> BaseError:
    """Say what a failed condition means for the write that carried it."""
    if options.mode == "create" and isinstance(error, PreconditionError):
        return as_kind(AlreadyExistsError, error)
    if not isinstance(options.mode, str) and isinstance(error, NotFoundError):
        return as_kind(PreconditionError, error)
    return error


def as_kind(kind: type[BaseError], error: BaseError) -> BaseError:
    """Return the same error as another kind."""
    fields = {name: getattr(error, name) for name in ("store", "path", "status", "code", "request_id", "attempts")}
    return kind(str(error), **fields)
