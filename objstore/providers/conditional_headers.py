"""What must hold for a read or a write, as HTTP says it, and what it means where it does not.

https://www.rfc-editor.org/rfc/rfc9110#section-13
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    NotSupportedError,
    ObjectChangedError,
    PreconditionError,
)
from objstore.http.client import http_date
from objstore.plans.limits import within

if TYPE_CHECKING:
    from objstore.http.shape import Shape
    from objstore.interface.values import Conditions, Fetched, WriteOptions
    from objstore.plans.effects import Plan
    from objstore.types import ObjectMeta

IT_MAY_BE_OURS = "What is there now may be what was written, or another's: read it to find out."


AROUND = ("NoSuchBucket", "NoSuchUpload", "ContainerNotFound", "FilesystemNotFound", "notFound")
"""What services say where it is not the object that is missing, and no condition of a write says anything of it."""

BUSY = (408, 429, 503)
"""The statuses of a service that asks for patience: after the last try it is not asked for more."""

LOOK_SECONDS = 3.0
"""How long to try to find out what a write has done whose answer was lost: the error is to be told soon."""

IF_MATCH = "If-Match"
"""The header that keeps reads to one version; some servers refuse it."""


def unconditional(shape: Shape) -> Shape:
    """Return the shape of the same requests without the header that keeps them to one version."""
    return replace(shape, headers={name: value for name, value in shape.headers.items() if name != IF_MATCH})


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
    if isinstance(error, ObjectChangedError):  # what was to be copied, not what is there
        return error
    if options.mode == "create" and isinstance(error, PreconditionError):
        return as_kind(AlreadyExistsError, error)
    if not isinstance(options.mode, str) and isinstance(error, NotFoundError) and error.code not in AROUND:
        return as_kind(PreconditionError, error)
    return error


def look_after(error: BaseError, options: WriteOptions, head: Plan[Fetched]) -> Plan[BaseError]:
    """Say what a conditional write may have done whose answer was lost, by what is there now.

    That another has come first cannot be told from that this write has: two may have written the same bytes.
    """
    if options.mode == "overwrite" or not error.maybe_applied or error.status in BUSY:
        return error
    try:
        found = yield from what_is_there(head)
    except BaseError:
        return error
    return after_all(error, options, found)


def what_is_there(head: Plan[Fetched]) -> Plan[ObjectMeta | None]:
    """Return what is known about an object, None where there is none; fail soon where nobody answers."""
    try:
        return (yield from within(LOOK_SECONDS, head)).meta
    except NotFoundError:
        return None


def after_all(error: BaseError, options: WriteOptions, found: ObjectMeta | None) -> BaseError:
    """Return the error of a write that may have been done, given what is there now."""
    if options.mode == "create":
        return as_kind(AlreadyExistsError, error, IT_MAY_BE_OURS) if found is not None else error
    if isinstance(options.mode, str) or (found is not None and found["e_tag"] == options.mode.get("e_tag")):
        return error
    return as_kind(PreconditionError, error, IT_MAY_BE_OURS)


def as_kind(kind: type[BaseError], error: BaseError, hint: str | None = None) -> BaseError:
    """Return the same error as another kind."""
    names = ("store", "path", "bucket", "url", "status", "code", "request_id", "attempts", "maybe_applied")
    return kind(str(error), hint=hint, **{name: getattr(error, name) for name in names})
