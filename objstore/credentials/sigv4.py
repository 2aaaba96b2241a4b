"""Who we are to Amazon S3 and its like: a key pair that signs requests, asked for again before it expires.

Its one invariant: at most one credential request is under way at a time, however many operations wait for it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from objstore.credentials.aws import Credential
from objstore.exceptions import BaseError, UnauthenticatedError
from objstore.plans.effects import Call, Plan, Wait
from objstore.signing import sigv4

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore._core import Reply, Signer
    from objstore.credentials.cache import CredentialCache
    from objstore.http.identity import Identity
    from objstore.http.retry import Failure
    from objstore.http.shape import Shape


class SigV4:
    """A key pair that signs as Amazon does, or nobody.

    Args:
        credential: The key, where it is fixed; None for anonymous requests, or where there are `credentials`.
        credentials: Where the key comes from otherwise.
        region: The region in signatures.
    """

    def __init__(
        self,
        credential: Credential | None,
        credentials: CredentialCache[Credential] | None,
        region: str,
    ) -> None:
        self._credential = credential
        self._credentials = credentials
        self.region = region
        self._skew = timedelta(0)

    def refresh(self) -> Plan[bool]:
        """Have a credential that is good for a while: ask for a new one when it is time."""
        cache = self._credentials
        while cache is not None:
            decision = cache.decide(datetime.now(UTC))
            if decision.refresh:
                yield from self._ask(cache)
            elif decision.credential is None and decision.flight is not None:
                yield Wait(decision.flight)
            credential = cache.current(datetime.now(UTC))
            if credential is not None:
                before, self._credential = self._credential, credential
                return credential != before
        return False

    def _ask(self, cache: CredentialCache[Credential]) -> Plan[None]:
        try:
            answer = yield Call(cache.provider)
            cache.store(Credential.from_mapping(answer), datetime.now(UTC))
        except BaseException as error:
            failure = _credential_error(error)
            still_good = cache.fail(failure, datetime.now(UTC))
            if still_good is None or not isinstance(error, Exception):
                raise failure from error

    def recover(self, failure: Failure) -> Plan[bool]:
        """Mend the clock, the region or the credential."""
        if failure.row.again == "clock" and failure.server_time is not None:
            self._skew = failure.server_time - datetime.now(UTC)
            return True
        if failure.row.again == "region" and failure.region is not None and self._credential is not None:
            self.region = failure.region
            return True
        if failure.row.again != "credential" or self._credentials is None or self._credential is None:
            return False
        if not self._credentials.invalidate(self._credential, datetime.now(UTC)):
            return False
        yield from self.refresh()
        return True

    def headers(self) -> Mapping[str, str]:
        """Return none: all is in the signature."""
        return {}

    def signer(self, shape: Shape, host: str, headers: Mapping[str, str]) -> Signer | None:
        """Return what signs requests of a shape."""
        if self._credential is None:
            return None
        return sigv4.signer(
            shape.method,
            host,
            headers=headers,
            payload_hash=shape.payload_hash,
            credential=self._credential,
            region=self.region,
            now=datetime.now(UTC) + self._skew,
        )

    def signed_url(
        self, method: str, scheme: str, host: str, path: str, query: Sequence[tuple[str, str]], expires_in: timedelta
    ) -> str:
        """Return a URL that carries its own signature, by the credential of now."""
        if self._credential is None:
            raise UnauthenticatedError(
                "A URL cannot be signed without a credential", hint="Give one, and leave skip_signature out."
            )
        return sigv4.presign(
            method,
            scheme,
            host,
            path,
            query,
            credential=self._credential,
            region=self.region,
            now=datetime.now(UTC) + self._skew,
            expires=int(expires_in.total_seconds()),
            headers={},
        )

    def is_same_as(self, other: Identity) -> bool:
        """Tell whether the other has the same key, for the same region."""
        return (
            isinstance(other, SigV4)
            and self._credential is not None
            and (self._credential, self.region) == (other._credential, other.region)
        )

    def hint(self, reply: Reply) -> str | None:
        """Name the region of the bucket, where it is another."""
        region = reply.headers.get("x-amz-bucket-region")
        if not region or region == self.region:
            return None
        return f"The bucket is in the region {region}, the store is set to {self.region}: give region={region!r}."


def _credential_error(error: BaseException) -> BaseException:
    """Return the error for the caller: what the provider raised, named, unless the caller itself was stopped."""
    if isinstance(error, BaseError) or not isinstance(error, Exception):
        return error
    return UnauthenticatedError(
        f"The credential provider failed with {type(error).__name__}: {error}",
        hint="Call it by itself to see why.",
    )
