"""XML, as much of it as the stores speak: replies are read into small trees, request bodies are written as text.

Replies come from the network and are not trusted: no document type (and so no entity), a bounded size and depth, and
the root element must be the one that was asked for. Relies on expat.

Its one invariant: what cannot be read raises CorruptResponseError, and what cannot be written raises InvalidPathError.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import unquote
from xml.parsers import expat

from objstore.exceptions import CorruptResponseError, InvalidPathError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_BYTES = 64 << 20
_MAX_DEPTH = 16

Content: TypeAlias = "str | Sequence[tuple[str, Content]]"
"""What an element to be written holds: a text, or its children as pairs of tag and content."""


class Element(NamedTuple):
    """Hold an element of a reply.

    A named tuple because a listing makes thousands of them, each in a third of the time of a frozen dataclass.

    Args:
        tag: The name, without namespace.
        text: The text directly inside, as it was written.
        children: The elements directly inside, in order.
    """

    tag: str
    text: str
    children: list[Element]

    def find_text(self, name: str, default: str = "") -> str:
        """Return the text of the first child of this name, or the default."""
        for child in self.children:
            if child.tag == name:
                return child.text
        return default

    def find_all(self, name: str) -> list[Element]:
        """Return the children of this name, in order."""
        return [child for child in self.children if child.tag == name]


class _RefusedError(Exception):
    """Tell why a document is not read on."""


class _Builder:
    """Build the tree of one document from expat's callbacks."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self.roots = roots
        self.open: list[tuple[list[str], list[Element]]] = [([], [])]
        self.encoded = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        depth = len(self.open)
        if depth == 1 and _local(tag) not in self.roots:
            raise _RefusedError("it has another root element")
        if depth > _MAX_DEPTH:
            raise _RefusedError(f"its elements are nested more than {_MAX_DEPTH} deep")
        self.open.append(([], []))
        self.encoded = attributes.get("Encoded") == "true"  # Azure's, for names that no document can hold

    def text(self, text: str) -> None:
        self.open[-1][0].append(text)

    def end(self, tag: str) -> None:
        texts, children = self.open.pop()
        text = "".join(texts)
        self.open[-1][1].append(
            Element(_local(tag), unquote(text, errors="strict") if self.encoded else text, children)
        )
        self.encoded = False

    def refuse_document_type(self, *declaration: object) -> None:
        raise _RefusedError("it declares a document type")

    def root(self) -> Element:
        return self.open[0][1][0]


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def parse(data: bytes, root: str | tuple[str, ...]) -> Element:
    """Read a reply and return its root element.

    White space before the document is passed over: S3 sends it to keep a connection alive while it works.

    Args:
        data: The whole body.
        root: The name of the root element, or the names that are all right; without namespace.

    Raises:
        CorruptResponseError: The body is not such a document.
    """
    roots = (root,) if isinstance(root, str) else root
    builder = _Builder(roots)
    try:
        if len(data) > _MAX_BYTES:
            raise _RefusedError(f"it is longer than {_MAX_BYTES} bytes")
        _parser(builder).Parse(data.lstrip(b" \t\r\n"), True)
    except (_RefusedError, expat.ExpatError, ValueError, LookupError) as reason:
        raise CorruptResponseError(
            f"Expected an XML document with the root {' or '.join(roots)}, got {data[:80]!r}: {reason}"
        ) from None
    return builder.root()


def is_cut_short(data: bytes, roots: tuple[str, ...]) -> bool:
    """Tell whether a document that could not be read is right as far as it goes, but ends too early."""
    parser = _parser(_Builder(roots))
    try:
        parser.Parse(data[:_MAX_BYTES].lstrip(b" \t\r\n"), False)
    except (_RefusedError, expat.ExpatError, ValueError, LookupError):
        return False
    try:
        parser.Parse(b"", True)
    except expat.ExpatError:
        return True
    return False


def _parser(builder: _Builder) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse_document_type
    return parser


_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def can_hold(text: str) -> bool:
    """Tell whether XML 1.0 has a way to write a text."""
    return _ILLEGAL.search(text) is None


def build(tag: str, content: Content, *, namespace: str = "") -> bytes:
    """Write a request body.

    Args:
        tag: The name of the root element.
        content: What it holds.
        namespace: The default namespace, if the document has one.

    Raises:
        InvalidPathError: A text has a character that XML 1.0 cannot carry (https://www.w3.org/TR/xml/#charsets).
    """
    opening = f'{tag} xmlns="{namespace}"' if namespace else tag
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{opening}>{_inner(content)}</{tag}>'.encode()


def _inner(content: Content) -> str:
    if isinstance(content, str):
        return _escape(content)
    return "".join([f"<{tag}>{_inner(inner)}</{tag}>" for tag, inner in content])


def _escape(text: str) -> str:
    illegal = _ILLEGAL.search(text)
    if illegal:
        raise InvalidPathError(
            f"{text!r} has the character {illegal[0]!r}, which XML 1.0 cannot carry",
            hint="Use an operation that names the object in the URL, for instance one delete for each path.",
        )
    return text.translate(_ESCAPES)
