"""What a credential provider of the user's returned, checked field by field.

Its one invariant: no message quotes a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from objstore.exceptions import UnauthenticatedError
from objstore.settings.masked import Hidden, HiddenBytes


class Answer:
    """A dict that a credential provider returned.

    Args:
        value: What it returned.
        shape: What it should return, in one sentence.

    Raises:
        UnauthenticatedError: It is no dict.
    """

    def __init__(self, value: object, shape: str) -> None:
        self._shape = shape
        if not isinstance(value, Mapping):
            raise self.refusal(f"returned a {_kind(value)}, not a dict")
        self._fields: Mapping[str, object] = value

    def get(self, name: str) -> object:
        """Return a field as it is; None where there is none."""
        return self._fields.get(name)

    def text(self, name: str) -> str:
        """Return a field that can be sent in a header.

        Raises:
            UnauthenticatedError: It is missing, no str, empty, or has characters that no credential has.
        """
        value = self._present(name)
        if not isinstance(value, str):
            raise self.refusal(f"returned {name} as a {_kind(value)}, not as a str")
        if not value.isascii() or not value.isprintable() or " " in value or not value:
            raise self.refusal(f"returned {name} empty, or with characters that no key has, such as a line break")
        return Hidden(value)

    def expires_at(self) -> datetime | None:
        """Return when the credential ends; None for never.

        Raises:
            UnauthenticatedError: It is missing, or no aware datetime.
        """
        value = self._present("expires_at")
        if value is None:
            return None
        if not isinstance(value, datetime) or value.utcoffset() is None:
            raise self.refusal(f"returned expires_at = {value!r}, not a datetime with a time zone, nor None for never")
        return value

    def _present(self, name: str) -> object:
        if name not in self._fields:
            raise self.refusal(f"returned no {name}")
        return self._fields[name]

    def refusal(self, fault: str) -> UnauthenticatedError:
        """Return the error for an answer that cannot be used."""
        return UnauthenticatedError(f"The credential provider {fault}", hint=self._shape)


def _kind(value: object) -> str:
    """Return the name of a value's type, of what we have hidden that which it was."""
    return next(kind.__name__ for kind in type(value).__mro__ if kind not in (Hidden, HiddenBytes))
