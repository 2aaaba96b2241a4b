"""Who we are to Amazon S3 and its like: a key pair that signs requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from objstore._core import Signer
from objstore.exceptions import UnauthenticatedError
from objstore.signing import sigv4
from objstore.signing.forms import Proof, unsigned_form
from objstore.signing.life import life_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore._core import Reply
    from objstore.credentials.aws import Credential
    from objstore.credentials.current import Credentials
    from objstore.http.identity import Identity
    from objstore.http.retry import Failure
    from objstore.http.shape import Shape
    from objstore.plans.effects import Plan
    from objstore.signing.forms import Form
    from objstore.types import CredentialInfo


class SigV4:
    """A key pair that signs as Amazon does, or nobody.

    Args:
        credentials: The key.
        region: The region in signatures.
        service: The service in signatures.
        kind: What the vendor calls things in them.
    """

    def __init__(
        self,
        credentials: Credentials[Credential],
        region: str,
        service: str = "s3",
        kind: sigv4.Kind = sigv4.AMAZON,
    ) -> None:
        self.credentials = credentials
        self.is_fixed = credentials.is_fixed
        self.region = region
        self.service = service
        self._kind = kind
        self._skew = timedelta(0)

    def refresh(self) -> Plan[bool]:
        """Have a credential that is good for a while."""
        return self.credentials.refresh()

    def recover(self, failure: Failure) -> Plan[bool]:
        """Mend the clock, the region or the credential."""
        if failure.row.again == "clock" and failure.server_time is not None:
            self._skew = failure.server_time - datetime.now(UTC)
            return True
        if failure.row.again == "region" and failure.region is not None and self.credentials.current is not None:
            self.region = failure.region
            return True
        return (yield from self.credentials.recover(failure))

    def lasts(self) -> float:
        """Return for how many seconds requests may go on being signed by the credential of now."""
        return self.credentials.lasts()

    def headers(self) -> Mapping[str, str]:
        """Return none: all is in the signature."""
        return {}

    def signer(self, shape: Shape, host: str, headers: Mapping[str, str]) -> Signer | None:
        """Return what signs requests of a shape, and sums their bodies."""
        credential = self.credentials.current
        if credential is None:
            return None if shape.body_sum is None else Signer.unsigned(sum=shape.body_sum.for_engine())
        return sigv4.signer(
            shape.method,
            host,
            headers=headers,
            payload_hash=shape.payload_hash,
            credential=credential,
            region=self.region,
            service=self.service,
            now=datetime.now(UTC) + self._skew,
            kind=self._kind,
            body_sum=shape.body_sum,
        )

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
        credential = self._credential("A URL")
        return sigv4.presign(
            method,
            scheme,
            host,
            path,
            query,
            credential=credential,
            region=self.region,
            service=self.service,
            now=datetime.now(UTC) + self._skew,
            expires=int(life_of(expires_in, credential.expires_at, "The credential").total_seconds()),
            headers=headers,
            kind=self._kind,
        )

    def signed_form(self, form: Form, expires_in: timedelta | None) -> Plan[dict[str, str]]:
        """Return the fields of a form that carries its own signature, by the credential of now."""
        credential, now = self._credential("A form"), datetime.now(UTC) + self._skew
        scope = sigv4.Scope(credential, sigv4.amz_date(now), self.region, self.service, self._kind)
        proof = Proof(self._kind.prefix, self._kind.algorithm, scope.identity(), scope.time, credential.token)
        life = life_of(expires_in, credential.expires_at, "The credential")
        unsigned = unsigned_form(form, proof, now=now, life=life)
        return unsigned.signed(scope.sign(unsigned.text))
        yield

    def _credential(self, what: str) -> Credential:
        credential = self.credentials.current
        if credential is None:
            raise UnauthenticatedError(
                f"{what} cannot be signed without a credential", hint="Give one, and leave skip_signature out."
            )
        return credential

    def credential_info(self) -> CredentialInfo:
        """Return where the credential came from, and when it ends."""
        return self.credentials.info()

    def is_same_as(self, other: Identity) -> bool:
        """Tell whether the other has the same key, for the same region and service."""
        return (
            isinstance(other, SigV4)
            and (self.region, self.service) == (other.region, other.service)
            and self.credentials.is_same_as(other.credentials)
        )

    def hint(self, reply: Reply) -> str | None:
        """Name the region of the bucket, where it is another."""
        region = reply.headers.get("x-amz-bucket-region")
        if not region or region == self.region:
            return None
        return f"The bucket is in the region {region}, the store is set to {self.region}: give region={region!r}."
