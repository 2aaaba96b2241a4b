"""The kinds of values that a setting can have: how each is read, and how it is written back as text.

A reader takes what people write (text, numbers, timedelta, paths) and returns one type. This module imports nothing of
the library and knows no setting.

Its one invariant: a reader that cannot take a value raises TypeError or ValueError, and whoever catches that words the
message; so no value, secret or not, is quoted here.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

Plain: TypeAlias = str | bytes | dict[str, bytes]
"""A value in the form in which a store's ``config`` and ``client_options`` give it back."""


@dataclass(frozen=True, slots=True)
class ValueType:
    """Describe a type of value.

    Args:
        name: What a value looks like, for messages and documentation.
        read: Turns what was given into the typed value, or raises TypeError or ValueError.
        write: Turns a typed value into its plain form.
    """

    name: str
    read: Callable[[object], Any]
    write: Callable[[Any], Plain] = str


def one_of(name: str, words: Mapping[str, object]) -> ValueType:
    """Return the kind whose values are words, in any case, each with its meaning.

    Args:
        name: The name of the kind.
        words: The meaning of each word; words in lower case.
    """

    def read(value: object) -> object:
        word = str(value).lower()
        if word not in words:
            raise ValueError
        return words[word]

    return ValueType(name, read, lambda meaning: str(meaning).lower() if isinstance(meaning, bool) else str(meaning))


def choice(*names: str) -> ValueType:
    """Return the kind that takes one of a few names, in any case, and reads it as written here."""
    return one_of(" | ".join(names), {name.lower(): name for name in names})


def matching(name: str, pattern: str) -> ValueType:
    """Return the kind of a text that a regular expression describes in full."""
    expression = re.compile(pattern, re.ASCII)

    def read(value: object) -> str:
        text = _read_text(value)
        if not expression.fullmatch(text):
            raise ValueError
        return text

    return ValueType(name, read)


BUCKET = matching("a name without slashes: from_url takes URLs, and prefix what is below it", r"(?!\.\.?$)[^/\\]*")
"""The name of a bucket or container: services have rules of their own, but with a slash requests would go elsewhere."""


def whole(minimum: int) -> ValueType:
    """Return the kind of a whole number that is at least ``minimum``."""

    def read(value: object) -> int:
        number = _read_number(value)
        if number < minimum or not number.is_integer():
            raise ValueError
        return int(number)

    return ValueType(f"a whole number from {minimum} on", read)


def number(minimum: float) -> ValueType:
    """Return the kind of a number that is at least ``minimum``."""

    def read(value: object) -> float:
        number = _read_number(value)
        if not minimum <= number < float("inf"):
            raise ValueError
        return number

    return ValueType(f"a number from {minimum:g} on", read)


def _read_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    return float(value)


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def _read_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(given, (str, int, float)):
        raise TypeError
    text = str(given)
    if _UNPRINTABLE.search(text):
        raise ValueError
    return text


_SECONDS = {
    **dict.fromkeys(("nsec", "ns"), 1e-9),
    **dict.fromkeys(("usec", "us"), 1e-6),
    **dict.fromkeys(("msec", "ms"), 1e-3),
    **dict.fromkeys(("seconds", "second", "secs", "sec", "s"), 1.0),
    **dict.fromkeys(("minutes", "minute", "mins", "min", "m"), 60.0),
    **dict.fromkeys(("hours", "hour", "hrs", "hr", "h"), 3600.0),
    **dict.fromkeys(("days", "day", "d"), 86400.0),
    **dict.fromkeys(("weeks", "week", "wks", "wk", "w"), 604800.0),
}
_SPAN = r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*"
_SPANS = re.compile(f"({_SPAN})+", re.ASCII)


def _read_duration(value: object) -> float:
    if isinstance(value, str) and _SPANS.fullmatch(value):
        return _sum_spans(value)
    seconds = value.total_seconds() if isinstance(value, timedelta) else _read_number(value)
    if not 0 <= seconds < float("inf"):
        raise ValueError
    return seconds


def _sum_spans(text: str) -> float:
    spans = re.findall(_SPAN, text)
    if any(unit not in _SECONDS for _, unit in spans):
        raise ValueError
    return sum((float(count) * _SECONDS[unit] for count, unit in spans), 0.0)


_MICROSECONDS = {"days": 86400_000_000, "h": 3600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1000, "us": 1}


def _write_duration(seconds: float) -> str:
    rest = round(seconds * 1_000_000)
    spans = []
    for unit, size in _MICROSECONDS.items():
        count, rest = divmod(rest, size)
        if count:
            spans.append(f"{count}{unit}")
    return " ".join(spans) or "0s"


def _read_dict(value: object) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    return dict(value)


def _read_texts(value: object) -> str:
    """Return an object of texts as JSON, which can be given as one text, and read again."""
    import json

    found = json.loads(value) if isinstance(value, str) else value
    pairs = _read_dict(found)
    if not all(isinstance(text, str) for pair in pairs.items() for text in pair):
        raise TypeError
    return json.dumps(pairs, sort_keys=True)


_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(rb"[^\x00\r\n]*")


def _read_headers(value: object) -> dict[str, bytes]:
    return {_read_header_name(name): _read_header_value(text) for name, text in _read_dict(value).items()}


def _read_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError
    return name


def _read_header_value(value: str | bytes) -> bytes:
    raw = value.encode("ascii") if isinstance(value, str) else value
    if not _HEADER_VALUE.fullmatch(raw):
        raise ValueError
    return raw


def _read_pem(value: object) -> bytes:
    if not isinstance(value, (str, bytes)):
        raise TypeError
    pem = value.encode() if isinstance(value, str) else value
    blocks = _CERTIFICATE.findall(pem)
    if len(blocks) != pem.count(b"-----BEGIN CERTIFICATE-----") or not blocks:
        raise ValueError
    for block in blocks:
        if not b64decode(b"".join(block.split()), validate=True).startswith(b"\x30"):
            raise ValueError
    return pem


_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
"""What stands between the lines is DER in Base64, a SEQUENCE (RFC 7468, RFC 5280)."""


_TRUTH = {
    **dict.fromkeys(("1", "true", "on", "yes", "y"), True),
    **dict.fromkeys(("0", "false", "off", "no", "n"), False),
}

TEXT = ValueType("text without control characters", _read_text)
BOOL = one_of("true | false", _TRUTH)
BOOL_OR_REQUESTER = one_of("true | false | requester", {**_TRUTH, "requester": True})
DURATION = ValueType("a number of seconds, a timedelta, or text such as '1m 30s'", _read_duration, _write_duration)
URL = matching("a URL such as https://host:port", r"https?://[^\s/?#]+\S*")
PROXY_URL = matching("a URL such as http://host:port or socks5h://host:port", r"(https?|socks(4a?|5h?))://[^\s/?#]+\S*")
BASE64 = matching("text in Base64", r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)")
BASE64_OF_32_BYTES = matching("32 bytes in Base64", r"[A-Za-z0-9+/]{43}=")
TOKEN = matching("a token of letters, digits and -._~+/=", r"[A-Za-z0-9._~+/-]+=*")
DICT = ValueType("a dict", _read_dict, dict)
TEXTS = ValueType('a dict of texts, or one as JSON such as {"name": "value"}', _read_texts)
HEADERS = ValueType("a dict of header names and ASCII values without line breaks", _read_headers, dict)
PEM = ValueType("certificates in PEM form: No certificates found in this", _read_pem, bytes)
