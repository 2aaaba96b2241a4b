"""URLs and forms by which others use a bucket of Google Cloud Storage, signed in the name of a service account.

https://cloud.google.com/storage/docs/access-control/signed-urls,
https://cloud.google.com/storage/docs/xml-api/post-object-forms
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from objstore.exceptions import NotSupportedError, UnauthenticatedError
from objstore.providers.cloud.forms import Forms
from objstore.providers.cloud.gcs_objects import Objects
from objstore.providers.cloud.signed import check_url, encrypting
from objstore.signing.forms import Proof, unsigned_form
from objstore.signing.goog4 import RSA, scope_of, unsigned_url
from objstore.signing.sigv4 import GOOGLE, amz_date

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from objstore.credentials.chains.google.accounts import Signer
    from objstore.interface.values import UrlTerms
    from objstore.plans.effects import Plan
    from objstore.signing.forms import Form


class Signed(Objects):
    """The objects of a bucket, and what lets others use them."""

    _algorithm = RSA
    signer: Signer | None = None
    """Who signs."""
    payer: str = ""
    """The project that pays for requests, where it is not the bucket's own."""

    def sign(self, keys: Sequence[str], terms: UrlTerms) -> Plan[list[str]]:
        """Return a URL for each key that carries its own signature."""
        check_url(self, terms)
        yield from self.service.refresh()
        signer = self._signer()
        account = yield from signer.email()
        service, life = self.service, _life_of(signer, account, terms.expires_in)
        urls = []
        for key in keys:
            unsigned = unsigned_url(
                terms.method,
                service.origin.partition(":")[0],
                service.host,
                self.path(key).decode(),
                [*terms.parameters(), *([("userProject", self.payer)] if self.payer else [])],
                account=account,
                now=datetime.now(UTC),
                expires=int(life.total_seconds()),
                headers=terms.headers,
                algorithm=self._algorithm,
            )
            urls.append(unsigned.signed((yield from signer.sign(unsigned.text))))
        return urls

    @property
    def forms(self) -> Forms:
        """The forms by which browsers may write."""
        return Forms(self, self.bucket, self._refusing, "user_project" if self.payer else None)

    def _refusing(self, form: Form, expires_in: timedelta | None) -> Plan[dict[str, str]]:
        """Sign a form, but refuse one with an encryption, of which the service says nothing."""
        if encrypting(self, form.fields):
            raise NotSupportedError(
                "A form of Google cannot say how the object is encrypted",
                hint="Sign a URL for PUT; or use a store without encryption_key and kms_key_name.",
                store=self.service.dialect.store,
            )
        return (yield from self.signed_form(form, expires_in))

    def signed_form(self, form: Form, expires_in: timedelta | None) -> Plan[dict[str, str]]:
        """Return the fields of a form that carries its own signature."""
        signer = self._signer()
        account = yield from signer.email()
        now = datetime.now(UTC)
        time = amz_date(now)
        proof = Proof(GOOGLE.prefix, RSA, f"{account}/{scope_of(time)}", time)
        unsigned = unsigned_form(form, proof, now=now, life=_life_of(signer, account, expires_in))
        return unsigned.signed((yield from signer.sign(unsigned.text)))

    def _signer(self) -> Signer:
        """Return who signs URLs."""
        if self.signer is None:
            raise UnauthenticatedError(
                "A URL cannot be signed without the key of a service account",
                hint="Give service_account or service_account_key, or an HMAC key.",
                store=self.service.dialect.store,
            )
        return self.signer


def _life_of(signer: Signer, account: str, expires_in: timedelta | None) -> timedelta:
    """Return for how long something is to be good that is signed."""
    if expires_in is not None and expires_in > signer.longest:
        raise ValueError(
            f"expires_in is {expires_in}, and what {account} signs here is good for {signer.longest} at the most: "
            "give less, or expires_in='credential'"
        )
    return signer.longest if expires_in is None else expires_in
