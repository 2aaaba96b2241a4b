"""Who we are to services that take access tokens (RFC 6750)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore._core import Signer
from objstore.exceptions import NotSupportedError
from objstore.http.client import header_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from objstore._core import Reply
    from objstore.credentials.current import Credentials
    from objstore.credentials.token import AccessToken
    from objstore.http.identity import Identity
    from objstore.http.retry import Failure
    from objstore.http.shape import Shape
    from objstore.plans.effects import Plan
    from objstore.types import CredentialInfo


class Bearer:
    """An access token in every request, or nobody.

    Args:
        credentials: The token.
        more: What else says in whose name requests are sent (such as the project that pays).
    """

    def __init__(self, credentials: Credentials[AccessToken], more: Mapping[str, str] | None = None) -> None:
        self.credentials = credentials
        self.is_fixed = credentials.is_fixed
        self._more = dict(more or {})

    def refresh(self) -> Plan[bool]:
        """Have a token that is good for a while."""
        return (yield from self.credentials.refresh())

    def recover(self, failure: Failure) -> Plan[bool]:
        """Have another token, where this one was refused."""
        return (yield from self.credentials.recover(failure))

    def lasts(self) -> float:
        """Return for how many seconds requests may go on being signed by the credential of now."""
        return self.credentials.lasts()

    def headers(self) -> Mapping[str, str]:
        """Return what there is beside the token."""
        return self._more

    def signer(self, shape: Shape, host: str, headers: Mapping[str, str]) -> Signer | None:
        """Return what sends the token, which may be replaced while requests are under way."""
        token = self.credentials.current
        if token is None:
            return None
        return Signer.unsigned(headers=[header_line("Authorization", f"Bearer {token.token}")])

    def signed_url(
        self,
        method: str,
        scheme: str,
        host: str,
        path: str,
        query: Sequence[tuple[str, str]],
        expires_in: timedelta | None,
        headers: Mapping[str, str],
    ) -> str:
        """Refuse: a token signs nothing."""
        raise NotSupportedError("A URL cannot be signed by an access token", hint="Give a key.")

    def credential_info(self) -> CredentialInfo:
        """Return where the credential came from, and when it ends."""
        return self.credentials.info()

    def is_same_as(self, other: Identity) -> bool:
        """Tell whether the other has the same token."""
        return isinstance(other, Bearer) and self.credentials.is_same_as(other.credentials)

    def hint(self, reply: Reply) -> str | None:
        """There is nothing to say."""
        return None
