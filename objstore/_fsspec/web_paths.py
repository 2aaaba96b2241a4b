"""Paths that are URLs: which server and which key one means, and what of it may be shown.

Percent-escapes in a URL are those of its key. What a key would not be sent as (a query, an escaped slash, a plus sign,
empty segments) is sent as it is: then the whole URL is the place, and its only key is ''.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from objstore.exceptions import InvalidPathError
from objstore.settings.paths import check_exact

_READ_OTHERWISE = re.compile(r"[%?#]")
_AS_IT_IS = re.compile(r"[!$&'()*+,;=:@]")
"""What a URL may have in its path, and a key is sent with escaped: some servers take a plus sign for a blank."""

_HOST = re.compile(r"[^/?#]*")


def strip(text: str) -> str:
    """Return a URL without its scheme and the slashes at its ends; those of a query stay."""
    text = text.lstrip("/")
    return text if "?" in text else text.rstrip("/")


def split(path: str) -> tuple[str, str]:
    """Return the server and the key of a file, or the whole URL and ''."""
    host, rest = _parts(path)
    key = None if _AS_IT_IS.search(rest) else _key(rest)
    return (host, key) if key else (f"{host}/{rest}", "")


def split_folder(path: str) -> tuple[str, str]:
    """Return the server and the key of a folder, or the whole URL and '' of what can be none."""
    host, rest = _parts(path)
    key = _key(rest)
    return (f"{host}/{rest}", "") if key is None else (host, key)


def _parts(path: str) -> tuple[str, str]:
    """Return the server and the rest, without the fragment, which servers are not told."""
    path = path.partition("#")[0]
    host = _HOST.match(path)
    assert host is not None
    return host[0], path[host.end() :].removeprefix("/")


def _key(rest: str) -> str | None:
    """Return the key that the path of a URL stands for, None where there is none."""
    if not rest:
        return ""
    if "?" in rest or "%2f" in rest.lower():
        return None
    try:
        return check_exact(unquote(rest, errors="strict"))
    except (UnicodeDecodeError, InvalidPathError):
        return None


def is_whole(bucket: str) -> bool:
    """Tell whether a place is a whole URL, not a server alone."""
    return "/" in bucket


def join(key: str) -> str:
    """Return a key as it stands in a URL: what would be read otherwise is escaped."""
    return _READ_OTHERWISE.sub(lambda found: quote(found[0]), key)


def shown(path: str) -> str:
    """Return what of a URL may be shown: neither its user nor its query, which may hold a secret."""
    host, slash, rest = path.partition("/")
    bare, mark, _ = f"{host.rpartition('@')[2]}{slash}{rest}".partition("?")
    return f"{bare}?..." if mark else bare


def may_be_pattern(path: str) -> bool:
    """Tell whether what looks like a pattern may be one: no query is."""
    return "=" not in path.partition("?")[2]
