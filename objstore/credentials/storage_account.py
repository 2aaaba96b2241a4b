"""Who we are to Azure storage: the key of an account, a shared access signature or an access token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote

from objstore._core import Signer
from objstore.credentials.azure import AccountKey, SharedAccess
from objstore.exceptions import NotSupportedError, UnauthenticatedError
from objstore.http.client import http_date
from objstore.signing.azure import DelegationKey, access_signature, shared_key
from objstore.signing.life import life_of
from objstore.signing.sigv4 import canonical_query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore._core import Reply
    from objstore.credentials.azure import AzureCredential
    from objstore.credentials.current import Credentials
    from objstore.http.identity import Identity
    from objstore.http.retry import Failure
    from objstore.http.shape import Shape
    from objstore.plans.effects import Plan
    from objstore.types import CredentialInfo

WRONG_CLOCK = timedelta(minutes=10)
"""From what difference on a refused signature is taken for that of a wrong clock: 15 minutes are allowed."""

PERMISSIONS = {"GET": "r", "HEAD": "r", "PUT": "cw", "DELETE": "d"}
"""What a URL allows that is good for a method; there are no others that a blob takes by itself."""

ANSWERS = {
    "cache-control": "rscc",
    "content-disposition": "rscd",
    "content-encoding": "rsce",
    "content-language": "rscl",
    "content-type": "rsct",
}
"""The parameters of headers that a signed URL is to be answered with."""


class StorageAccount:
    """An account of Azure storage, and what lets us use it; or nobody.

    What says who we are is lent by signers, none of it by headers: so it is renewed while a batch is under way.

    Args:
        credentials: The key, signature or token.
        account: The name of the account.
        above: The path of the account below its origin, as emulators have it.
    """

    def __init__(self, credentials: Credentials[AzureCredential], account: str, above: str = "") -> None:
        self.credentials = credentials
        self.is_fixed = credentials.is_fixed
        self.account = account
        self._above = above
        self._skew = timedelta(0)

    def refresh(self) -> Plan[bool]:
        """Have a credential that is good for a while."""
        return (yield from self.credentials.refresh())

    def recover(self, failure: Failure) -> Plan[bool]:
        """Mend the clock or the credential."""
        if failure.row.again == "credential" and failure.server_time is not None:
            skew = failure.server_time - datetime.now(UTC)
            if abs(skew - self._skew) > WRONG_CLOCK:
                self._skew = skew
                return True
        return (yield from self.credentials.recover(failure))

    def lasts(self) -> float:
        """Return for how many seconds requests may go on being signed by the credential of now."""
        return self.credentials.lasts()

    def headers(self) -> Mapping[str, str]:
        """Return none: they come with the signer."""
        return {}

    def signer(self, shape: Shape, host: str, headers: Mapping[str, str]) -> Signer | None:
        """Return what signs requests of a shape, or lends what says who we are."""
        credential = self.credentials.current
        if credential is None:
            return None
        if isinstance(credential, SharedAccess):
            return Signer.unsigned(query=canonical_query(credential.pairs).encode())
        date = http_date(datetime.now(UTC) + self._skew)
        if isinstance(credential, AccountKey):
            return shared_key(shape.method, self.account, credential.key, headers, date)
        lines = (f"Authorization: Bearer {credential.token}", f"x-ms-date: {date}")
        return Signer.unsigned(headers=[line.encode("latin-1") for line in lines])

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
        """Return a URL that carries its own signature, by the key of now."""
        if headers:
            raise NotSupportedError(
                f"A signed URL of Azure cannot make anybody send {', '.join(headers)}",
                hint="Leave headers= out; whoever uses the URL may send them all the same.",
            )
        credential = self.credentials.current
        if isinstance(credential, AccountKey):
            life = life_of(expires_in, credential.expires_at, "The credential")
            return self._url(method, scheme, host, path, query, life, credential.key)
        if credential is None:
            raise UnauthenticatedError(
                "A URL cannot be signed without a credential", hint="Give one, and leave skip_signature out."
            )
        raise NotSupportedError(
            "A URL cannot be signed by a shared access signature",
            hint="Give account_key, or an identity with a token that may ask for a user delegation key.",
        )

    def delegated_url(
        self,
        method: str,
        scheme: str,
        host: str,
        path: str,
        query: Sequence[tuple[str, str]],
        expires_in: timedelta | None,
        key: DelegationKey,
    ) -> str:
        """Return a URL that carries its own signature, by a key that the service gave."""
        life = life_of(expires_in, key.expires_at, "The user delegation key")
        return self._url(method, scheme, host, path, query, life, key)

    def _url(
        self,
        method: str,
        scheme: str,
        host: str,
        path: str,
        query: Sequence[tuple[str, str]],
        life: timedelta,
        key: str | DelegationKey,
    ) -> str:
        if method not in PERMISSIONS:
            raise NotSupportedError(f"No URL can be signed for {method}", hint=f"Azure has {', '.join(PERMISSIONS)}.")
        proof = access_signature(
            self.account,
            unquote(path.removeprefix(self._above)).removeprefix("/"),
            key,
            permissions=PERMISSIONS[method],
            expiry=datetime.now(UTC) + self._skew + life,
            https=scheme == "https",
            answers=_answers(query),
        )
        return f"{scheme}://{host}{path}?{canonical_query(proof)}"

    def credential_info(self) -> CredentialInfo:
        """Return where the credential came from, and when it ends."""
        return self.credentials.info()

    def is_same_as(self, other: Identity) -> bool:
        """Tell whether the other has the same credential for the same account."""
        return (
            isinstance(other, StorageAccount)
            and self.account == other.account
            and self.credentials.is_same_as(other.credentials)
        )

    def hint(self, reply: Reply) -> str | None:
        """There is nothing to say."""
        return None


def _answers(query: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters of the headers to answer with.

    Raises:
        NotSupportedError: The service has no parameter for one.
    """
    for name, _ in query:
        if name.lower() not in ANSWERS:
            raise NotSupportedError(
                f"A signed URL of Azure cannot say that {name} is to be answered",
                hint=f"It can say {', '.join(ANSWERS)}.",
            )
    return {ANSWERS[name.lower()]: value for name, value in query}
