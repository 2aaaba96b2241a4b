"""Who we are to a service: the part of a `Service` that differs by how requests are signed."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Protocol

from objstore.exceptions import NotSupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from objstore._core import Reply, Signer
    from objstore.http.retry import Failure
    from objstore.http.shape import Shape
    from objstore.plans.effects import Plan
    from objstore.types import CredentialInfo


class Identity(Protocol):
    """How requests of a store say whose they are.

    Attributes:
        is_fixed: Whether there is never another credential.
    """

    is_fixed: bool

    def refresh(self) -> Plan[bool]:
        """Have a credential that is good for a while; tell whether it is another one than before."""

    def recover(self, failure: Failure) -> Plan[bool]:
        """Mend what a refused request shows to be wrong; tell whether to try again."""

    def lasts(self) -> float:
        """Return for how many seconds requests may go on being signed as they are now, as far as we know."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers that say it without a signature."""

    def signer(self, shape: Shape, host: str, headers: Mapping[str, str]) -> Signer | None:
        """Return what signs requests of a shape, and sums their bodies if it says so; None for neither."""

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
        """Return a URL that carries its own signature, by the credential of now."""

    def credential_info(self) -> CredentialInfo:
        """Return where the credential came from, and when it ends."""

    def is_same_as(self, other: Identity) -> bool:
        """Tell whether another store's requests are known to be by the same account."""

    def hint(self, reply: Reply) -> str | None:
        """Return what to do about a refused request, where this is about who we are."""


class Authorization:
    """One header that is the same in all requests (RFC 7617, RFC 6750), or nobody.

    Args:
        value: The header's value; None for anonymous requests.
    """

    is_fixed = True

    def __init__(self, value: str | None) -> None:
        self._value = value

    def refresh(self) -> Plan[bool]:
        """There is nothing to refresh."""
        return False
        yield

    def recover(self, failure: Failure) -> Plan[bool]:
        """There is nothing to mend."""
        return False
        yield

    def lasts(self) -> float:
        """Return that it has no end."""
        return inf

    def headers(self) -> Mapping[str, str]:
        """Return the header."""
        return {} if self._value is None else {"Authorization": self._value}

    def signer(self, shape: Shape, host: str, headers: Mapping[str, str]) -> Signer | None:
        """Sign nothing."""
        return None

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
        """Refuse: the header is all that the server knows."""
        raise NotSupportedError("An HTTP server has no signed URLs", hint="Sign with a cloud service's store.")

    def credential_info(self) -> CredentialInfo:
        """Return that it was given."""
        return {"source": "none" if self._value is None else "given", "expires_at": None}

    def is_same_as(self, other: Identity) -> bool:
        """Tell whether the other has the same header."""
        return isinstance(other, Authorization) and self._value == other._value

    def hint(self, reply: Reply) -> str | None:
        """There is nothing to say."""
        return None
