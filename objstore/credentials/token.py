"""Access tokens, as Google and Microsoft issue them (RFC 6750).

Its one invariant: an `AccessToken` can be sent as it is, and its repr does not show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from objstore.settings.masked import hide

if TYPE_CHECKING:
    from datetime import datetime

    from objstore.credentials.answer import Answer


@dataclass(frozen=True, slots=True)
class AccessToken:
    """Hold an access token.

    Args:
        token: What is sent behind ``Bearer``.
        expires_at: When it ends, as an aware datetime; None for never.
    """

    token: str
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Hide what is secret."""
        object.__setattr__(self, "token", hide(self.token))

    @classmethod
    def from_answer(cls, answer: Answer) -> AccessToken:
        """Take over what a credential provider returned.

        Raises:
            UnauthenticatedError: It has another shape.
        """
        return cls(answer.text("token"), answer.expires_at())
