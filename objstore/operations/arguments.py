"""The arguments of operations, read and checked before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from operator import add, index
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from objstore.exceptions import InvalidRangeError, NotSupportedError
from objstore.interface.values import ANY, LOCKS, RESERVED, WHOLE, Conditions, Range, WriteOptions
from objstore.types import Attributes, GetOptions, PutMode, StreamOptions, UpdateVersion

if TYPE_CHECKING:
    from objstore.interface.provider import Provider

By: TypeAlias = Literal["segment", "string"]
"""How a prefix to list is meant: as whole segments of paths, or as any beginning of them."""

_GET_OPTIONS = frozenset(
    ("if_match", "if_none_match", "if_modified_since", "if_unmodified_since", "range", "version", "head", "read_ahead")
)


def read_get_options(options: GetOptions | StreamOptions | None) -> tuple[Range, Conditions, bool]:
    """Return the range, the conditions, and whether only the head is wanted.

    Raises:
        ValueError: A key is unknown, a range is none, or what names a version is empty.
        TypeError: A time has no time zone, or a value is of another type.
    """
    given = {name: value for name, value in _dict("options", options).items() if value is not None}
    for name in given.keys() - _GET_OPTIONS:
        near = get_close_matches(name, _GET_OPTIONS, 1)
        raise ValueError(f"{name!r} is not an option of get" + (f": did you mean {near[0]!r}?" if near else ""))
    range = read_range(given.pop("range", None))
    head = bool(given.pop("head", False))
    given.pop("read_ahead", None)
    for name, value in given.items():
        _check_condition(name, value)
    return range, Conditions(**given) if given else ANY, head


def read_read_ahead(options: GetOptions | StreamOptions | None) -> int | None:
    """Return how much a stream may fetch before it is asked for, None where nobody says.

    Raises:
        ValueError: It is less than 1.
    """
    given = _dict("options", options).get("read_ahead")
    return None if given is None else check_at_least("read_ahead", given, 1)


def _dict(name: str, value: Any) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name} = {value!r}: give a dict")
    return value or {}


def _check_condition(name: str, value: object) -> None:
    if name.endswith("_since"):
        if not isinstance(value, datetime) or value.utcoffset() is None:
            raise TypeError(f"{name} = {value!r}: give a datetime with a time zone")
    elif not isinstance(value, str):
        raise TypeError(f"{name} = {value!r}: give a str")
    elif not value:
        raise ValueError(f"{name} is empty, which names no version: leave it out, or give what the store has returned")
    elif not {"\r", "\n", "\0"}.isdisjoint(value):
        raise ValueError(f"{name} = {value!r} has a line break in it")


def read_range(value: Any) -> Range:
    """Return a range given as ``(start, end)``, ``{"offset": n}`` or ``{"suffix": n}``."""
    if value is None:
        return WHOLE
    if isinstance(value, Mapping):
        return _named_range(value)
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise ValueError(f"range = {value!r}: give (start, end), {{'offset': n}} or {{'suffix': n}}")
    return span(value[0], value[1])


def _named_range(value: Mapping[str, Any]) -> Range:
    if set(value) == {"offset"}:
        return Range(_whole_number("offset", value["offset"]))
    if set(value) == {"suffix"}:
        return Range(-1, _positive("suffix", value["suffix"]))
    raise ValueError(f"range = {dict(value)!r}: give {{'offset': n}} or {{'suffix': n}}")


def span(start: int, end: int | None = None, length: int | None = None) -> Range:
    """Return a range given by its start and its end or length.

    Raises:
        ValueError: Both or neither are given.
        InvalidRangeError: It is empty, reversed or negative.
    """
    if (end is None) == (length is None):
        raise ValueError(f"give either end or length, not {'both' if length is not None else 'neither'}")
    first = _whole_number("start", start)
    last = first + _whole_number("length", length) if end is None else _whole_number("end", end)
    if last <= first:
        raise InvalidRangeError(f"Invalid range: from {first} to {last} is empty or reversed, end must be after start")
    return Range(first, last)


def _whole_number(name: str, value: Any) -> int:
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name} = {value!r}: give a whole number of bytes") from None
    if number < 0:
        raise InvalidRangeError(f"{name} = {number} is negative")
    return number


def _positive(name: str, value: Any) -> int:
    number = _whole_number(name, value)
    if number == 0:
        raise InvalidRangeError(f"{name} must be at least 1")
    return number


def spans(starts: Iterable[int], ends: Iterable[int] | None, lengths: Iterable[int] | None) -> list[Range]:
    """Return the ranges of `get_ranges`; they may be many, so they are looked at all together.

    Raises:
        ValueError: There are not as many ends or lengths as starts, or both or neither are given.
        InvalidRangeError: One is empty, reversed or negative.
    """
    others = ends if ends is not None else lengths
    if others is None or (ends is not None and lengths is not None):
        raise ValueError(f"give either ends or lengths, not {'neither' if others is None else 'both'}")
    name = "ends" if ends is not None else "lengths"
    firsts, seconds = _whole_numbers("starts", starts), _whole_numbers(name, others)
    if len(firsts) != len(seconds):
        raise ValueError(f"there are {len(firsts)} starts but {len(seconds)} {name}")
    lasts = seconds if ends is not None else [*map(add, firsts, seconds)]
    for first, last in zip(firsts, lasts, strict=True):
        if last <= first:
            raise InvalidRangeError(f"Invalid range: from {first} to {last} is empty or reversed")
    return [*map(Range, firsts, lasts)]


def _whole_numbers(name: str, values: Iterable[Any]) -> list[int]:
    try:
        numbers = [*map(index, values)]
    except TypeError:
        raise TypeError(f"{name} = {values!r}: give a sequence of whole numbers of bytes") from None
    if numbers and min(numbers) < 0:
        raise InvalidRangeError(f"{name} has {min(numbers)}, which is negative")
    return numbers


def read_write_options(
    provider: Provider, attributes: Attributes | None, tags: Mapping[str, str] | None, mode: PutMode | None
) -> WriteOptions:
    """Return what is to be stored with an object, and what it may replace.

    Raises:
        ValueError: The mode is none, or an attribute has a line break in it.
        TypeError: A name or value is not a str.
        NotSupportedError: The object is to be locked, where none can be.
    """
    named = {_usual(name): value for name, value in texts("attribute", attributes).items()}
    if not provider.has_locks and (locks := named.keys() & {*LOCKS}):
        raise NotSupportedError(
            f"The attribute {min(locks)} would lock the object, and this store knows no locks", hint="Leave it out."
        )
    return WriteOptions(named, texts("tag", tags), _mode(mode))


_PUT_OPTIONS = frozenset(("attributes", "tags", "mode"))


def read_put_options(options: Any) -> Mapping[str, Any]:
    """Return the options of one of many objects to be written.

    Raises:
        ValueError: One is unknown.
        TypeError: They are no dict.
    """
    given = _dict("options", options)
    for name in given.keys() - _PUT_OPTIONS:
        raise ValueError(f"{name!r} is not an option of put_many: give attributes, tags or mode")
    return given


def read_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that an object is to have.

    Raises:
        ValueError: One has no name, or a line break in it.
        TypeError: A name or value is not a str.
    """
    return texts("tag", tags)


_SPELLINGS = {name.lower().replace("-", ""): name for name in (*RESERVED, *LOCKS)}


@lru_cache(1024)
def _usual(name: str) -> str:
    """Return the usual spelling of a reserved attribute, which may be written in any case and without its dash.

    Raises:
        ValueError: It is none, but nearly: it would be stored as metadata that nobody looks for.
    """
    plain = name.lower().replace("-", "")
    near = [plain] if plain in _SPELLINGS else get_close_matches(plain, _SPELLINGS, 1, 0.9)
    usual = _SPELLINGS[near[0]] if near else name
    if near and near[0] != plain:
        raise ValueError(f"the attribute {name!r} is none that services know: did you mean {usual!r}?")
    return usual


def texts(what: str, given: Mapping[str, str] | None) -> dict[str, str]:
    """Return names and texts.

    Raises:
        ValueError: One has no name, or a line break in it.
        TypeError: A name or value is not a str.
    """
    found = dict(_dict(f"{what}s", given))
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"the {what} {name!r} = {value!r}: give both as str")
        if not name or not {"\r", "\n", "\0"}.isdisjoint(name + value):
            raise ValueError(f"the {what} {name!r} = {value!r} is empty or has a line break in it")
    return found


def _mode(mode: PutMode | None) -> PutMode:
    if mode is None:
        return "overwrite"
    if not isinstance(mode, str):
        if not isinstance(mode, Mapping):
            raise TypeError(f"mode = {mode!r}: give 'create', 'overwrite' or {{'e_tag': ..., 'version': ...}}")
        return _version("mode", mode)
    lower = mode.lower()
    if lower == "create":
        return "create"
    if lower == "overwrite":
        return "overwrite"
    raise ValueError(f"mode = {mode!r}: give 'create', 'overwrite' or {{'e_tag': ..., 'version': ...}}")


def _version(name: str, given: UpdateVersion) -> UpdateVersion:
    """Return which version may be replaced."""
    if set(given) - {"e_tag", "version"}:
        raise ValueError(f"{name} = {dict(given)!r}: it can have e_tag and version only")
    return given


def read_overwrite(overwrite: bool | UpdateVersion) -> PutMode:
    """Return what a copy may replace.

    Raises:
        TypeError: It is neither said whether it may replace an object, nor which version of it.
        ValueError: No version is named, or by something else.
    """
    if isinstance(overwrite, bool):
        return "overwrite" if overwrite else "create"
    if not isinstance(overwrite, Mapping):
        raise TypeError(f"overwrite = {overwrite!r}: give True, False or {{'e_tag': ...}}")
    version = _version("overwrite", overwrite)
    if not any(version.values()):
        raise ValueError(f"overwrite = {dict(overwrite)!r} names no version: give the e_tag that may be replaced")
    for value in version.values():
        if value is not None:
            _check_condition("overwrite", value)
    return version


def check_at_least(name: str, value: int, least: int) -> int:
    """Return a whole number that is at least so large.

    Raises:
        ValueError: It is smaller.
        TypeError: It is no whole number.
    """
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name} = {value!r}: give a whole number") from None
    if number < least:
        raise ValueError(f"{name} = {value}: give at least {least}")
    return number
