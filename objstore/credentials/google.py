"""Credentials of Google Cloud, as a credential provider returns them."""

from __future__ import annotations

from objstore.credentials.answer import Answer
from objstore.credentials.token import AccessToken

_SHAPE = "Return a dict of token and expires_at."


def from_mapping(mapping: object) -> AccessToken:
    """Check what a credential provider returned, and take it over.

    Args:
        mapping: A dict of ``token`` and ``expires_at`` (an aware datetime, or None for never).

    Raises:
        UnauthenticatedError: It has another shape.
    """
    return AccessToken.from_answer(Answer(mapping, _SHAPE))
