"""Whether the engine has read a reply rightly: what either judge refuses or reads otherwise, it must refuse.

Where that is not so, a table says why, with the section of the RFC that decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.fuzz.grammar import Reply
from tests.fuzz.judges import Read

REFUSED = {
    "the reply does not begin as HTTP/1.1 does": "RFC 9112, section 2.3: HTTP-version; others are spoken otherwise",
    "the status of the reply is none": "RFC 9112, section 4: status-line",
    "a line of the head has a control character in it": "RFC 9110, section 5.5: field-content; RFC 9112, section 2.2",
    "a header line is not a name, a colon and a value": "RFC 9112, section 5: field-line",
    "the length of the reply is none": "RFC 9112, section 6.3, rule 5: Content-Length",
    "the reply is in a coding that nobody asked for": "RFC 9112, section 6.1: chunked alone, once",
    "the reply has both a length and chunks": "RFC 9112, section 6.3, rule 3: ought to be handled as an error",
    "the reply is HTTP/1.0, which has no chunks": "RFC 9112, section 6.1: faulty framing",
    "the reply has chunks and no content": "RFC 9112, section 6.1: not in a 204",
    "the reply has two different ETags": "RFC 9110, section 5.3: no field that is no list comes twice",
    "the chunks of the reply are malformed": "RFC 9112, section 7.1: chunked-body",
    "the server changed to a protocol that nobody asked for": "RFC 9110, section 15.2.2",
    "the reply broke off in its head": "RFC 9112, section 8: incomplete messages",
    ".*unexpected eof while reading": "RFC 9112, section 9.8: TLS that ends without a close_notify may be cut",
    "it has neither a length nor chunks": "RFC 9112, section 8: what only the connection ends may be cut",
    "2.. is not believed": "RFC 9112, section 8: what only the connection ends may be cut; RFC 9110, section 15.3.7: "
    "a part is the one that was asked for",
    "the reply is longer than what was asked for": "RFC 9110, section 15.3.7: a part is the one that was asked for",
}
"""What both judges read alike and the engine refuses, by its words."""

BLANK_BEHIND = re.compile(rb"(?im)^transfer-encoding:[ \t]*chunked[ \t]+\r?$")

READ: dict[str, Callable[[Reply, Read, Read], bool]] = {
    "RFC 9110, section 15.2: http.client takes interim replies but 100 for final ones": (
        lambda _, ours, python: 101 < (python.status or 0) < 200
    ),
    "RFC 9112, section 6.3, rule 1: http.client reads chunks behind a 304": (
        lambda _, ours, python: ours.status == 304
    ),
    "RFC 9110, section 5.4: http.client takes no more than 100 header lines": (
        lambda _, ours, python: "got more than 100 headers" in python.why
    ),
    "RFC 9110, section 5.5: http.client takes the blanks behind a value for a part of it": (
        lambda reply, ours, python: python.to_the_end and BLANK_BEHIND.search(reply.data) is not None
    ),
}
"""What the engine reads as libcurl does, and http.client otherwise."""

CARRIED = {
    "RFC 9112, sections 2.2 and 5.2: libcurl ends a line at a bare LF, and unfolds it": re.compile(rb"[^\r]\n[ \t]"),
}
"""What http.client reads otherwise, and libcurl makes good before the engine sees it: a pattern of the reply."""

PART = re.compile(rb"(?im)^content-range:\s*bytes\s+(\d+)-(\d+)/(\d+|\*)[ \t]*\r?$")


def fault(reply: Reply, ours: Read, curl: Read, python: Read, *, carried: bool) -> str | None:
    """Return what is wrong with how the engine has read a reply, None for nothing.

    Args:
        reply: The bytes that were sent.
        ours: What the engine makes of them.
        curl: What libcurl makes of them.
        python: What http.client makes of them.
        carried: Whether libcurl carried it.
    """
    alike = curl[:2] == python[:2] and curl.status is not None
    if ours.status is None:
        known = any(re.match(words, ours.why) for words in REFUSED)
        return None if not alike or known else f"it is refused without need: {ours.why}"
    excused = any(excuse(reply, ours, python) for excuse in READ.values()) or (
        carried and any(pattern.search(reply.data) for pattern in CARRIED.values())
    )
    if not (ours[:2] == curl[:2] and (alike or excused)):
        return "it is not read as the judges read it"
    if ours.status == 206 and not is_the_part(reply, ours.body):
        return "it is not the part that was asked for"
    return None


def is_the_part(reply: Reply, body: bytes) -> bool:
    """Tell whether a reply names the very range that was asked for, and has as many bytes."""
    labels = PART.findall(reply.data)
    if reply.range is None or len(labels) != 1:
        return False
    first, last, total = (int(number) if number != b"*" else -1 for number in labels[0])
    start, end = reply.range
    return first == start and len(body) == last + 1 - first and (last + 1 == end or last + 1 == total < end)
