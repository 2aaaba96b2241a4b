"""JSON that says who we are to Google: files of credentials, and parts of them, read field by field.

https://google.aip.dev/auth/4110

Its one invariant: no message quotes a value that may be a secret.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objstore.credentials.web import check_url
from objstore.exceptions import ConfigurationError
from objstore.settings.masked import Hidden, hide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_AGAIN = "Download the file again, or make it anew with gcloud."


class Document:
    """A JSON object of credentials.

    Args:
        fields: What it holds.
        where: What it is, for messages.
    """

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        self._fields = fields  # all are hidden: some are secret
        self.where = where

    def __contains__(self, name: str) -> bool:
        """Tell whether there is such a field, and something in it."""
        return self._fields.get(name) not in (None, "")

    def text(self, name: str) -> str:
        """Return a field that must be there.

        Raises:
            ConfigurationError: It is missing, empty or no text.
        """
        value = self.optional(name)
        if value is None:
            raise self.refusal(f"has no {name}")
        return value

    def optional(self, name: str) -> str | None:
        """Return a field, or None if it is missing or empty.

        Raises:
            ConfigurationError: It is no text.
        """
        value = self._fields.get(name)
        if value is not None and not isinstance(value, str):
            raise self.refusal(f"has a {name} that is a {type(value).__name__}, not a text")
        return value or None

    def texts(self, name: str) -> Sequence[str]:
        """Return a list of texts, or a text of several words; none if it is missing.

        Raises:
            ConfigurationError: It is neither.
        """
        value = self._fields.get(name) or []
        if isinstance(value, str):
            return value.split()
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.refusal(f"has a {name} that is no list of texts")
        return value

    def mapping(self, name: str) -> Mapping[str, str]:
        """Return an object of texts; an empty one if it is missing.

        Raises:
            ConfigurationError: It is something else.
        """
        value = self._fields.get(name) or {}
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise self.refusal(f"has a {name} that is no object of texts")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number.

        Raises:
            ConfigurationError: It is none, or out of bounds.
        """
        value = self._fields.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.refusal(f"has a {name} that is no whole number from {least} to {most}")
        return value

    def flag(self, name: str) -> bool:
        """Return whether a field is true."""
        return self._fields.get(name) is True

    def url(self, name: str, *, allow_http: bool, near: bool = False) -> str:
        """Return a URL that must be there.

        Args:
            name: The field.
            allow_http: Whether plain http to this machine will do.
            near: Whether plain http to this machine or its metadata server will do without that.

        Raises:
            ConfigurationError: It is missing, or no URL that may be asked.
        """
        return check_url(self.text(name), f"{self.where}: {name}", allow_http=allow_http, near=near)

    def part(self, name: str) -> Document:
        """Return an object within this one.

        Raises:
            ConfigurationError: There is none.
        """
        value = self._fields.get(name)
        if not isinstance(value, dict):
            raise self.refusal(f"has no object {name}")
        return Document(value, f"{self.where}, {name},")

    def refusal(self, fault: str, hint: str = _AGAIN) -> ConfigurationError:
        """Return the error for something in it that cannot be used."""
        return ConfigurationError(f"{self.where} {fault}", hint=hint)


def read_document(text: str, where: str) -> Document:
    """Read the text of a JSON object.

    Args:
        text: The JSON.
        where: What it is, for messages.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):  # its message would quote the text
        fields = None
    if not isinstance(fields, dict):
        raise ConfigurationError(f"{where} is not a JSON object", hint=_AGAIN)
    return Document(hide(fields), where)


def read_file(path: str, setting: str) -> str:
    """Return what is in a file of credentials.

    Args:
        path: The file.
        setting: What names it, for messages.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        return Hidden(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
    raise ConfigurationError(f"{setting} = {path!r} cannot be read: {reason}", hint="Give another file.")
