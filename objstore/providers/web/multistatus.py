"""What a WebDAV server says about files and folders: the question and its answer (PROPFIND, RFC 4918, section 9.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from objstore.exceptions import CorruptResponseError
from objstore.http.client import parse_http_date
from objstore.http.xml import Element, build, parse

if TYPE_CHECKING:
    from datetime import datetime

QUESTION = build(
    "propfind",
    [("prop", [(name, "") for name in ("resourcetype", "getcontentlength", "getlastmodified", "getetag")])],
    namespace="DAV:",
)
"""The body of a PROPFIND that asks for what a listing shows."""


class Entry(NamedTuple):
    """A file or folder: its path below the one that was asked about, without a slash at either end."""

    path: str
    is_folder: bool
    size: int
    modified: datetime | None
    e_tag: str | None


def read_multistatus(body: bytes, path: str) -> list[Entry]:
    """Return the entries of an answer; that of the folder itself, if it is there, has an empty path.

    An answer names at least what was asked about, be it gone (RFC 4918, section 9.1): one that does not is none, and
    nobody knows what is there.

    Args:
        body: The answer.
        path: The decoded path of the folder that was asked about, with a slash at its end.

    Raises:
        CorruptResponseError: It is no such document, or speaks of something else.
    """
    answers = parse(body, "multistatus").find_all("response")
    found = [(_below(response.find_text("href").strip(), path), _properties(response)) for response in answers]
    if not any(below == "" for below, _ in found):
        raise CorruptResponseError(f"The server was asked about {path!r} and does not say what that is")
    return [_entry(below, properties) for below, properties in found if properties is not None]


def _properties(response: Element) -> Element | None:
    """Return the properties that were found; None of something that is gone.

    Raises:
        CorruptResponseError: The server cannot say what it is: to leave it out would be to say that it is not there.
    """
    said = [_status(response)]
    for answer in response.find_all("propstat"):
        status, found = _status(answer), answer.find_all("prop")
        if found and status in ("", "200"):
            return found[0]
        said.append(status)
    unknown = [status for status in said if status not in ("", "404", "410")]
    if unknown:
        raise CorruptResponseError(
            f"The server does not say what {response.find_text('href').strip()!r} is (status {unknown[0]})"
        )
    return None


def _status(answer: Element) -> str:
    """Return the status in an answer, empty where it has none."""
    return next(iter(answer.find_text("status").split()[1:]), "")


def _entry(path: str, properties: Element) -> Entry:
    types = [kind.tag for each in properties.find_all("resourcetype") for kind in each.children]
    size = properties.find_text("getcontentlength").strip()
    if size and not (size.isascii() and size.isdigit()):
        raise CorruptResponseError(f"The length of {path!r} is {size!r}, which is no number of bytes")
    return Entry(
        path=path,
        is_folder="collection" in types,
        size=int(size) if size else -1,
        modified=parse_http_date(properties.find_text("getlastmodified").strip()),
        e_tag=_tag(properties.find_text("getetag").strip()),
    )


def _tag(text: str) -> str | None:
    """Return an ETag as the header has it: some servers leave out its quotes here."""
    return f'"{text}"' if text and not text.endswith('"') else text or None


def _below(href: str, path: str) -> str:
    """Return a reference as a path below the folder that was asked about; it may be a URL, a path, or relative."""
    scheme, mark, rest = href.partition("://")
    if mark and "/" not in scheme:
        href = "/" + rest.partition("/")[2]
    try:
        found = unquote(href, errors="strict")
    except UnicodeDecodeError:
        raise CorruptResponseError(f"The server names an object {href!r}, which is not UTF-8") from None
    found = found if found.startswith("/") else path + found.removeprefix("./")
    if not (found.rstrip("/") + "/").startswith(path):
        raise CorruptResponseError(f"The server was asked about {path!r} and speaks of {found!r}")
    return found[len(path) :].strip("/")
