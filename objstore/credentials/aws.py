"""AWS credentials.

Its one invariant: a `Credential` is complete and can be sent as it is, and its repr shows no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from objstore.exceptions import UnauthenticatedError

_SHAPE = "Return a dict of access_key_id, secret_access_key, expires_at and, for temporary credentials, token."


@dataclass(frozen=True, slots=True)
class Credential:
    """Hold an access key.

    Args:
        access_key_id: The public name of the key.
        secret_access_key: The key itself.
        token: The session token of a temporary key.
        expires_at: When the key ends, as an aware datetime; None for never.
    """

    access_key_id: str
    secret_access_key: str
    token: str | None = None
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        """Return the access key id and the expiry, with the secrets masked."""
        token = None if self.token is None else "***"
        return (
            f"Credential(access_key_id={self.access_key_id!r}, secret_access_key='***', "
            f"token={token!r}, expires_at={self.expires_at!r})"
        )

    @classmethod
    def from_mapping(cls, mapping: object) -> Credential:
        """Check what a credential provider returned, and take it over.

        Args:
            mapping: A dict of ``access_key_id``, ``secret_access_key``, ``expires_at`` (an aware datetime, or None for
                never) and perhaps ``token``.

        Raises:
            UnauthenticatedError: It has another shape.
        """
        if not isinstance(mapping, Mapping):
            raise _refusal(f"returned a {type(mapping).__name__}, not a dict")
        token = mapping.get("token")
        return cls(
            access_key_id=_text(mapping, "access_key_id"),
            secret_access_key=_text(mapping, "secret_access_key"),
            token=None if token is None or token == "" else _text(mapping, "token"),
            expires_at=_expiry(mapping),
        )


def _text(mapping: Mapping[str, object], name: str) -> str:
    value = _present(mapping, name)
    if not isinstance(value, str):
        raise _refusal(f"returned {name} as a {type(value).__name__}, not as a str")
    if not value.isascii() or not value.isprintable() or " " in value or not value:
        raise _refusal(f"returned {name} empty, or with characters that no key has, such as a line break")
    return value


def _expiry(mapping: Mapping[str, object]) -> datetime | None:
    value = _present(mapping, "expires_at")
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise _refusal(f"returned expires_at = {value!r}, not a datetime with a time zone, nor None for never")
    return value


def _present(mapping: Mapping[str, object], name: str) -> object:
    if name not in mapping:
        raise _refusal(f"returned no {name}")
    return mapping[name]


def _refusal(fault: str) -> UnauthenticatedError:
    return UnauthenticatedError(f"The credential provider {fault}", hint=_SHAPE)
