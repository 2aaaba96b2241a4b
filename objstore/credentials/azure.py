"""Credentials of Azure storage: an account's key, a shared access signature, or an access token.

Its one invariant: a credential is complete, and its repr shows no secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

from objstore.credentials.answer import Answer
from objstore.credentials.token import AccessToken
from objstore.settings.masked import hide
from objstore.settings.value_types import BASE64

if TYPE_CHECKING:
    from datetime import datetime

_SHAPE = "Return a dict of expires_at and one of access_key, sas_token and token."
_NAME = re.compile(r"(?!(?:comp|restype|snapshot|versionid)$)[a-z-]+")
_FORMS = ("access_key", "sas_token", "token")


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Hold a key of a storage account.

    Args:
        key: The key, in Base64.
        expires_at: When it ends, as an aware datetime; None for never.
    """

    key: str
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Hide what is secret."""
        object.__setattr__(self, "key", hide(self.key))


@dataclass(frozen=True, slots=True)
class SharedAccess:
    """Hold a shared access signature.

    Args:
        pairs: The names and values of its query, decoded.
        expires_at: When it ends, as an aware datetime; None for never.
    """

    pairs: tuple[tuple[str, str], ...]
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Hide what is secret."""
        object.__setattr__(self, "pairs", tuple((name, hide(value)) for name, value in self.pairs))


AzureCredential: TypeAlias = AccountKey | SharedAccess | AccessToken


def from_mapping(mapping: object) -> AzureCredential:
    """Check what a credential provider returned, and take it over.

    Args:
        mapping: A dict of ``expires_at`` (an aware datetime, or None for never) and one of ``access_key`` (Base64),
            ``sas_token`` (a query, or its names and values as pairs) and ``token``.

    Raises:
        UnauthenticatedError: It has another shape.
    """
    answer = Answer(mapping, _SHAPE)
    forms = [name for name in _FORMS if answer.get(name) is not None]
    if len(forms) != 1:
        raise answer.refusal(f"returned {' and '.join(forms) or 'none of ' + ', '.join(_FORMS)}")
    if forms == ["token"]:
        return AccessToken.from_answer(answer)
    try:
        if forms == ["access_key"]:
            return AccountKey(BASE64.read(answer.get("access_key")), answer.expires_at())
        return SharedAccess(read_signature(answer.get("sas_token")), answer.expires_at())
    except (TypeError, ValueError):
        raise answer.refusal(f"returned {forms[0]} in a form that it cannot have") from None


def read_signature(value: object) -> tuple[tuple[str, str], ...]:
    """Return the names and values of a shared access signature.

    Args:
        value: Its query, with a question mark or without, or the pairs themselves. Each value is decoded by itself, and
            a plus sign stays one: signatures are Base64.

    Raises:
        TypeError: It is neither a text nor pairs of texts.
        ValueError: There is no signature (``sig``) in it, or something else that would go with every request.

    Source: https://learn.microsoft.com/rest/api/storageservices/create-service-sas
    """
    if isinstance(value, str):
        fields = [field.partition("=") for field in value.strip().removeprefix("?").split("&") if field]
        pairs = tuple((unquote(name), unquote(text)) for name, _, text in fields)
    elif isinstance(value, Sequence):
        pairs = tuple((name, text) for name, text in value)
    else:
        raise TypeError
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        raise TypeError
    names = [name for name, _ in pairs]
    if not dict(pairs).get("sig"):
        raise ValueError("has no signature (sig) in it")
    if len({*names}) < len(names) or not all(_NAME.fullmatch(name) for name in names):
        raise ValueError("has more in it than a signature, or one twice")
    return pairs
