"""Settings that can be shown: their repr hides what is secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MASK = "***"


class Masked(dict[str, Any]):
    """A dict of settings like any other, but for its repr.

    Args:
        given: The settings.
        secrets: The names of those whose values are not shown. Where a value may be a URL with a user and a password in
            it, it is not shown either.
    """

    __slots__ = ("_secrets",)

    def __init__(self, given: Mapping[str, Any], secrets: frozenset[str]) -> None:
        super().__init__(given)
        self._secrets = secrets

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


def has_user(value: object) -> bool:
    """Tell whether a value may be a URL with a user and a password in it."""
    before, mark, _ = value.partition("@") if isinstance(value, str) else ("", "", "")
    return bool(mark) and not {":", "/"}.isdisjoint(before)
