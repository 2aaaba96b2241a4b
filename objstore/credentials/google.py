"""Credentials of Google Cloud: what a credential provider returns, and the files that hold keys.

Its one invariant: what leaves here is complete, and neither a repr nor a message shows a secret.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objstore.credentials.answer import Answer
from objstore.credentials.token import AccessToken
from objstore.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHAPE = "Return a dict of token and expires_at."


def from_mapping(mapping: object) -> AccessToken:
    """Check what a credential provider returned, and take it over.

    Args:
        mapping: A dict of ``token`` and ``expires_at`` (an aware datetime, or None for never).

    Raises:
        UnauthenticatedError: It has another shape.
    """
    return AccessToken.from_answer(Answer(mapping, _SHAPE))


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Hold the key of a service account.

    Args:
        client_email: The account.
        private_key: Its RSA key, in PEM form.
        private_key_id: The name of that key.
        base_url: The service that the file names, where it is not Google's.
        anonymous: Whether the file says to send no credential (emulators).
    """

    client_email: str
    private_key: str = field(repr=False)
    private_key_id: str = ""
    base_url: str | None = None
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class AuthorizedUser:
    """Hold what ``gcloud auth application-default login`` leaves: a token that buys access tokens.

    Args:
        client_id: The application that the user has allowed.
        client_secret: Its secret.
        refresh_token: What the user has allowed.
    """

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)


def read_key_file(path: str, setting: str) -> ServiceAccount | AuthorizedUser:
    """Read a file of Google credentials.

    Args:
        path: The file.
        setting: The setting that names it, for messages.

    Raises:
        ConfigurationError: It cannot be read, or holds nothing that can be used.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"{setting} = {path!r} cannot be read: {reason}", hint="Give another file.") from None
    return read_key(text, f"The file {path!r} ({setting})")


def read_key(text: str, where: str) -> ServiceAccount | AuthorizedUser:
    """Read the JSON of Google credentials.

    Args:
        text: The JSON.
        where: What it is, for messages.

    Raises:
        ConfigurationError: It is malformed, or a kind that needs Google's own library.

    Source: https://cloud.google.com/docs/authentication/application-default-credentials
    """
    fields = _object(text, where)
    kind = fields.get("type", "service_account")
    if kind == "service_account":
        return _service_account(fields, where)
    if kind == "authorized_user":
        names = ("client_id", "client_secret", "refresh_token")
        return AuthorizedUser(*(_text(fields, name, where) for name in names))
    raise ConfigurationError(
        f"{where} holds credentials of the type {kind!r}",
        hint="Give credential_provider=objstore.auth.google.GoogleCredentialProvider(): google-auth knows all types.",
    )


def _service_account(fields: Mapping[str, Any], where: str) -> ServiceAccount:
    anonymous = fields.get("disable_oauth") is True
    return ServiceAccount(
        client_email="" if anonymous else _text(fields, "client_email", where),
        private_key="" if anonymous else _text(fields, "private_key", where),
        private_key_id=str(fields.get("private_key_id") or ""),
        base_url=fields.get("gcs_base_url") or None,
        anonymous=anonymous,
    )


def _object(text: str, where: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:  # its message would quote the text
        fields = None
    if not isinstance(fields, dict):
        raise ConfigurationError(f"{where} is not a JSON object", hint="Download the key again.")
    return fields


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where} has no {name}", hint="Download the key again.")
    return value
