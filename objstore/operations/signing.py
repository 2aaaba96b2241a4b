"""URLs and forms that carry their own signature: anybody can use them for a while, without a credential."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, overload

from objstore.exceptions import NotSupportedError
from objstore.interface.values import FormTerms, UrlTerms
from objstore.operations.arguments import texts
from objstore.operations.naming import key_of
from objstore.types import HTTP_METHOD

if TYPE_CHECKING:
    from objstore.interface.store import BaseStore
    from objstore.plans.effects import Plan
    from objstore.types import SignedPost

Life: TypeAlias = timedelta | Literal["credential"]

_OVERRIDES = frozenset(
    ("content-type", "content-disposition", "content-encoding", "content-language", "cache-control", "expires")
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What the name of a header is (RFC 9110, section 5.6.2)."""

_OPERATORS = ("eq", "starts-with")


@overload
def sign(  # type: ignore[overload-overlap]  # a str is a sequence of str, but the first is looked at first
    store: BaseStore,
    method: HTTP_METHOD,
    paths: str,
    expires_in: Life,
    *,
    response_headers: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Plan[str]: ...


@overload
def sign(
    store: BaseStore,
    method: HTTP_METHOD,
    paths: Sequence[str],
    expires_in: Life,
    *,
    response_headers: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Plan[list[str]]: ...


def sign(
    store: BaseStore,
    method: HTTP_METHOD,
    paths: str | Sequence[str],
    expires_in: Life,
    *,
    response_headers: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Plan[Any]:
    """Make URLs that anybody can use for a while, without a credential.

    Args:
        store: Where the objects are.
        method: The HTTP method that the URLs are good for, in capitals.
        paths: A path, or a sequence of paths.
        expires_in: For how long; 7 days at the most on S3 and Google. ``"credential"`` is as long as that holds.
        response_headers: What the service is to answer in place of what is stored with the object: Content-Type,
            Content-Disposition, Content-Encoding, Content-Language, Cache-Control, Expires.
        headers: Headers that whoever uses the URLs has to send with just these values, or is refused: Content-Type,
            a checksum, and, of a store that encrypts, those of its encryption. Azure knows none.
        query: Further parameters of the URLs, by the service's names: ``uploadId`` and ``partNumber`` for a part of an
            upload; ``versionId`` (S3) or ``generation`` (Google) for a version. Azure signs none.

    Returns:
        A URL, or a list of URLs for a sequence of paths.

    Raises:
        ValueError: The method is none, the time is out of bounds (the URL would outlive what signs it), or a header or
            parameter cannot be bound to a URL.
        ConfigurationError: The store encrypts objects, and the headers do not say so.
        NotSupportedError: This store has no signed URLs, or none with such headers and parameters.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    """
    terms = _url_terms(method, expires_in, response_headers, headers, query)
    if isinstance(paths, str) and method != "DELETE":
        keys: Sequence[str] = [(yield from key_of(store, paths))]
    else:
        keys = store.keys([paths] if isinstance(paths, str) else list(paths))
    urls = yield from store.provider.sign(keys, terms)
    return urls[0] if isinstance(paths, str) else urls


def sign_post(
    store: BaseStore,
    path: str,
    expires_in: Life,
    *,
    conditions: Sequence[Mapping[str, str] | Sequence[str | int]] | None = None,
    fields: Mapping[str, str] | None = None,
) -> Plan[SignedPost]:
    """Make a form by which a browser can write an object for a while, without a credential (a POST policy).

    Args:
        store: Where to.
        path: The path of the object. One that ends in ``${filename}`` stands for all that begin with what is in front:
            the service puts there what the file is called.
        expires_in: For how long; 7 days at the most. ``"credential"`` is as long as that holds.
        conditions: What must hold of the form beside: ``{name: value}``, ``["eq", "$name", value]``,
            ``["starts-with", "$name", prefix]`` and ``["content-length-range", least, most]``.
        fields: Further fields: Content-Type, ``success_action_status`` and the like. They have to have these values,
            where no condition says what else they may have.

    Returns:
        The URL to post to as ``multipart/form-data``, and the fields that go in front of the file.

    Raises:
        ValueError: The time is out of bounds, or a condition is none, or rules out a field of the form.
        ConfigurationError: The store encrypts objects by a key of the caller's, and the fields do not say so.
        NotSupportedError: The store takes no such forms.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
    """
    forms = store.provider.forms
    if forms is None:
        raise NotSupportedError(f"{type(store).__name__} takes no forms here", hint="Sign a URL for PUT.")
    given = [_condition(each) for each in _sequence("conditions", conditions)]
    terms = FormTerms(_life(expires_in), given, texts("field", fields))
    key = yield from key_of(store, path)
    return (yield from forms.sign(key, terms))


def _url_terms(
    method: str,
    expires_in: Life,
    response_headers: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    query: Mapping[str, str] | None,
) -> UrlTerms:
    """Return what URLs are to be good for, once it is checked."""
    if method not in get_args(HTTP_METHOD):
        raise ValueError(f"method = {method!r}: give one of {', '.join(get_args(HTTP_METHOD))}")
    life, answers, asked = _life(expires_in), texts("response header", response_headers), texts("parameter", query)
    for name in answers:
        if name.lower() not in _OVERRIDES:
            raise ValueError(f"a URL cannot set the header {name!r}: it can set {', '.join(sorted(_OVERRIDES))}")
        if f"response-{name.lower()}" in {parameter.lower() for parameter in asked}:
            raise ValueError(f"{name} is given twice, as a response header and as a parameter: give it once")
    return UrlTerms(method, life, answers, _headers(headers), asked)


def _life(expires_in: Life) -> timedelta | None:
    """Return for how long something is to be good; None for as long as the credential."""
    if not (isinstance(expires_in, timedelta) or expires_in == "credential"):
        raise TypeError(f"expires_in = {expires_in!r}: give a timedelta, or 'credential'")
    if isinstance(expires_in, timedelta) and expires_in < timedelta(seconds=1):
        raise ValueError(f"expires_in = {expires_in}: give at least one second")
    return expires_in if isinstance(expires_in, timedelta) else None


def _headers(given: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return headers whose names and values can be sent; no message shows a value, which may be a key."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"headers is a {type(given).__name__}: give a dict")
    for name, value in (given or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"the header {name!r} has a value of the type {type(value).__name__}: give both as str")
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a header: it has letters, digits and dashes")
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"the value of the header {name} has what clients do not send alike: encode it")
    return dict(given or {})


def _condition(given: Any) -> Mapping[str, str] | Sequence[str | int]:
    """Return a condition of a form.

    Raises:
        ValueError: It is none.
    """
    match given:
        case {**pairs} if len(pairs) == 1 and all(isinstance(text, str) for pair in pairs.items() for text in pair):
            return {str(name): str(value) for name, value in pairs.items()}
        case [str(operator), str(name), str(text)] if operator in _OPERATORS and name.startswith("$"):
            return [operator, name, text]
        case ["content-length-range", int(least), int(most)] if 0 <= least <= most and bool not in (*map(type, given),):
            return ["content-length-range", least, most]
    raise ValueError(
        f"the condition {given!r} is none: give {{name: value}}, ['eq', '$name', value], "
        "['starts-with', '$name', prefix] or ['content-length-range', least, most]"
    )


def _sequence(name: str, given: Any) -> Sequence[Any]:
    if given is not None and (isinstance(given, str) or not isinstance(given, Sequence)):
        raise TypeError(f"{name} is a {type(given).__name__}: give a list")
    return given or []
