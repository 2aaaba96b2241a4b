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
_NUMBER = re.compile(rb"^content-id:\s*<?(?:response-)?(?:[^+\r\n]*\+)?(\d+)>?\s*$", re.IGNORECASE | re.MULTILINE)
_NAMED = re.compile(rb"^content-id:", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(rb"\s*HTTP/[\d.]+ (\d{3})\b")
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")


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


def read_batch(headers: Mapping[str, str], body: bytes, count: int) -> dict[int, Answer]:
    """Return the answers in a reply, by the number of the call; none to a call that is answered in two ways.

    Args:
        headers: Those of the reply.
        body: Its body.
        count: How many calls there were. If all are answered, and no answer says to which, they are in order.

    Raises:
        CorruptResponseError: It is not such a reply, or that to another batch.
    """
    boundary = _BOUNDARY.search(headers.get("content-type", ""))
    if boundary is None:
        raise CorruptResponseError(f"Expected the answers to a batch, got {body[:80]!r}")
    mark = f"\n--{boundary[1]}".encode()
    parts = [part for part in (b"\n" + body).split(mark)[1:] if not part.startswith(b"--")]
    if len(parts) == count and not any(_NAMED.search(_EMPTY_LINE.split(part, 1)[0]) for part in parts):
        found = [*enumerate(map(_answer, parts))]
    else:
        found = [(_number(part), _answer(part)) for part in parts]
    answers: dict[int, Answer] = {}
    contradicted = set()
    for number, answer in found:
        if number >= count:
            raise CorruptResponseError(f"The reply to a batch of {count} answers call {number}, which nobody made")
        if answer is not None and number >= 0 and answers.setdefault(number, answer).status != answer.status:
            contradicted.add(number)
    return {number: answer for number, answer in answers.items() if number not in contradicted}


def _number(part: bytes) -> int:
    """Return the number of the call that a part answers, as the lines in front of the answer say; -1 for none."""
    number = _NUMBER.search(_EMPTY_LINE.split(part, 1)[0])
    return -1 if number is None else int(number[1])


def _answer(part: bytes) -> Answer | None:
    """Return the answer in a part; None where it holds none."""
    _, *inner = _EMPTY_LINE.split(part, 2)
    status = _STATUS.match(inner[0]) if inner else None
    if status is None:
        return None
    return Answer(int(status[1]), inner[1].strip() if len(inner) > 1 else b"")
