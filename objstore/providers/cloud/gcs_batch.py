"""Many calls of Google's JSON API in one request: how they are written, and their answers read.

https://cloud.google.com/storage/docs/batch
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from objstore.exceptions import CorruptResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BOUNDARY = re.compile(r'boundary="?([^";\s]+)"?', re.IGNORECASE)
_NUMBER = re.compile(rb"^content-id:\s*<?response-(?:[^+\r\n]*\+)?(\d+)>?\s*$", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(rb"^HTTP/[\d.]+ (\d{3})\b", re.MULTILINE)


class Answer(NamedTuple):
    """The answer to one call: its status, and its body."""

    status: int
    body: bytes


def write_batch(boundary: str, lines: Sequence[str]) -> bytes:
    """Return the body of a request with many calls.

    Args:
        boundary: What parts them.
        lines: Method and target of each.
    """
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <calls+{number}>\r\n\r\n"
        f"{line} HTTP/1.1\r\nContent-Length: 0\r\n\r\n\r\n"
        for number, line in enumerate(lines)
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


def read_batch(headers: Mapping[str, str], body: bytes) -> dict[int, Answer]:
    """Return the answers in a reply, by the number of the call.

    Raises:
        CorruptResponseError: It is not such a reply.
    """
    boundary = _BOUNDARY.search(headers.get("content-type", ""))
    if boundary is None:
        raise CorruptResponseError(f"Expected the answers to a batch, got {body[:80]!r}")
    answers = {}
    for part in (b"\r\n" + body).split(f"\r\n--{boundary[1]}".encode())[1:]:
        number, status = _NUMBER.search(part), _STATUS.search(part)
        if number is not None and status is not None:
            answers[int(number[1])] = Answer(int(status[1]), _body_behind(part[status.end() :]))
    return answers


def _body_behind(head: bytes) -> bytes:
    """Return what comes after the header lines of an answer."""
    return head.partition(b"\r\n\r\n")[2].strip()
