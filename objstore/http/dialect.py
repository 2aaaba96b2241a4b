"""A dialect: what one service calls the things that all services have. A table, no logic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from objstore.exceptions import GenericError, UnauthenticatedError
from objstore.http.retry import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPIRED = Row(UnauthenticatedError, "the credential has expired", "credential")
SUCCESSES = {"PUT": (200, 201, 204), "POST": (200, 201), "DELETE": (200, 204)}
"""The statuses by which a server says that a request was done: not that it will be (202), or that somebody else has
changed the answer (203), or that it was in part (206, 207). Of reads, the body is compared with what was asked for.

Source: RFC 9110, section 15.3
"""

THROTTLED = Row(GenericError, "the server asks for fewer requests", "always", throttled=True)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Name what a service calls its headers and query parameters, and what its error codes mean.

    An empty name is of something that the service does not have.

    Args:
        store: The name of the store's class.
        container: What it calls that which has the objects.
        metadata: The prefix of headers with the user's own metadata.
        version_header: The reply header with an object's version.
        version_query: The query parameter that asks for one.
        attributes: The headers of reserved attributes that are not those of HTTP.
        written: The headers that set reserved attributes, where they are not those that tell them.
        tells_written: Whether it answers every write, of an object or a part, by the ETag of that.
        encryption: What the headers begin with that say how objects are encrypted.
        tags: The request header with tags, form-encoded.
        copy_source: The request header of a copy.
        source_headers: What a copy calls the headers that a read of its source would have.
        request_id: The reply header that identifies a request in the service's logs.
        region: The reply header that names the region of the bucket.
        deleted: The reply header that says "true" where what was asked for is a delete marker.
        error_code: The reply header with an error's code, for replies that have no document.
        codes: What the service's error codes mean, where the status does not say enough.
        codes_for: What such a code means in reply to a method, where that is not what it usually means.
        successes: The statuses that are successes, by method; of a method that is not there, all from 200 on.
        statuses: What a status means in reply to a method, where that is not what it usually means.
        hints: What to do about the message of an error or its code, or a status without, or a CURLcode without reply.
        lacks: What to do where a service refuses a request for a header that it does not know: by the method, and what
            the header begins with, in small letters.
        most_parts: How many parts an upload may have.
        smallest_part: The least size of every part but the last, in bytes.
        delete_batch: How many keys one request may delete.
    """

    store: str
    container: str = "bucket"
    metadata: str = ""
    version_header: str = ""
    version_query: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)
    tells_written: bool = False
    encryption: str = ""
    tags: str = ""
    copy_source: str = ""
    source_headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""
    region: str = ""
    deleted: str = ""
    error_code: str = ""
    codes: Mapping[str, Row] = field(default_factory=dict)
    codes_for: Mapping[tuple[str, str], Row] = field(default_factory=dict)
    successes: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: SUCCESSES)
    statuses: Mapping[tuple[str, int], Row] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    lacks: Mapping[tuple[str, str], str] = field(default_factory=dict)
    most_parts: int = 10_000
    smallest_part: int = 5 << 20
    delete_batch: int = 1000
