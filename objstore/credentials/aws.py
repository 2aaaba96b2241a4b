"""AWS credentials.

Its one invariant: a `Credential` is complete and can be sent as it is, and its repr shows no secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from objstore.credentials.answer import Answer
from objstore.settings.masked import hide

if TYPE_CHECKING:
    from datetime import datetime

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

    def __post_init__(self) -> None:
        """Hide what is secret."""
        object.__setattr__(self, "secret_access_key", hide(self.secret_access_key))
        object.__setattr__(self, "token", hide(self.token))

    @classmethod
    def from_mapping(cls, mapping: object) -> Credential:
        """Check what a credential provider returned, and take it over.

        Args:
            mapping: A dict of ``access_key_id``, ``secret_access_key``, ``expires_at`` (an aware datetime, or None for
                never) and perhaps ``token``.

        Raises:
            UnauthenticatedError: It has another shape.
        """
        answer = Answer(mapping, _SHAPE)
        return cls(
            access_key_id=str(answer.text("access_key_id")),
            secret_access_key=answer.text("secret_access_key"),
            token=answer.text("token") if answer.get("token") not in (None, "") else None,
            expires_at=answer.expires_at(),
        )
