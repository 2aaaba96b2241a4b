"""What can be shown: secrets whose repr hides them, and settings that have such.

Its one invariant: what is secret is held in one of these from where it comes in, so that nothing which prints objects,
attributes or the variables of a traceback prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsIndex

MASK = "***"

MOST_SHOWN = 200
"""How many letters of a value a message shows."""


class Hidden(str):
    """A secret text: a str like any other, but for its repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the mask."""
        return repr(MASK)

    def __getitem__(self, place: SupportsIndex | slice) -> Hidden:
        """Return a part of it, which is secret too: long texts are cut before they are shown."""
        return Hidden(super().__getitem__(place))


class HiddenBytes(bytes):
    """Secret bytes: like any others, but for their repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the mask."""
        return repr(MASK.encode())

    def __getitem__(self, place: Any) -> Any:
        """Return a part of them, which is secret too."""
        part = super().__getitem__(place)
        return HiddenBytes(part) if isinstance(part, bytes) else part


def hide(value: Any) -> Any:
    """Return a value whose texts, at whatever depth of it, are all hidden; what is no text, list or dict as it is."""
    if isinstance(value, str):
        return Hidden(value)
    if isinstance(value, bytes):
        return HiddenBytes(value)
    if isinstance(value, Mapping):
        return {name: hide(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(hide, value)) if type(value) in (list, tuple) else value
    return value


class Masked(dict[str, Any]):
    """A dict of settings like any other, but for its repr.

    Args:
        given: The settings.
        secrets: The names of those whose values are not shown. Where a value may be a URL with a user and a password in
            it, it is not shown either.
    """

    __slots__ = ("_secrets",)

    def __init__(self, given: Mapping[str, Any], secrets: frozenset[str]) -> None:
        self._secrets = secrets
        super().__init__({name: hide(value) if self._hides(name, value) else value for name, value in given.items()})

    def __repr__(self) -> str:
        """Return the settings, with the secrets masked."""
        return repr({name: MASK if self._hides(name, value) else value for name, value in self.items()})

    def _hides(self, name: str, value: object) -> bool:
        return (name in self._secrets and bool(value)) or has_user(value)

    def copy(self) -> Masked:
        """Return the same settings in a dict of their own."""
        return Masked(self, self._secrets)

    def __or__(self, more: Mapping[str, Any]) -> Masked:  # type: ignore[override]  # any mapping will do
        """Return these settings and others, which count more."""
        return Masked({**self, **more}, self._secrets)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy what is hidden too."""
        return Masked, (dict(self), self._secrets)


def briefly(value: object) -> str:
    """Return a value as messages show it: cut where it is long, such as a file's content."""
    shown = repr(value)
    return shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}..."


def has_user(value: object) -> bool:
    """Tell whether a value may be a URL with a user and a password in it."""
    before, mark, _ = value.partition("@") if isinstance(value, str) else ("", "", "")
    return bool(mark) and not {":", "/"}.isdisjoint(before)
