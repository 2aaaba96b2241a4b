"""Forms by which browsers write objects of a bucket, in Amazon's dialect and Google's.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html,
https://cloud.google.com/storage/docs/xml-api/post-object-forms
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.exceptions import NotSupportedError
from objstore.providers.cloud.signed import check_form, encrypting
from objstore.signing.forms import Form

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from objstore.interface.values import FormTerms
    from objstore.plans.effects import Plan
    from objstore.providers.requests import Requests
    from objstore.types import SignedPost


class Forms:
    """The forms of a bucket.

    Args:
        bucket: Where objects are to be written.
        name: Its name.
        signed: Signs what a form is to allow, for a while, and returns all its fields.
        payer: Which setting says that others pay, if one does: no form can.
    """

    def __init__(
        self,
        bucket: Requests,
        name: str,
        signed: Callable[[Form, timedelta | None], Plan[dict[str, str]]],
        payer: str | None = None,
    ) -> None:
        self._bucket = bucket
        self._name = name
        self._signed = signed
        self._payer = payer

    def sign(self, key: str, terms: FormTerms) -> Plan[SignedPost]:
        """Return where a form is to be posted, and its fields."""
        bucket = self._bucket
        if self._payer:
            raise NotSupportedError(
                f"A form cannot say who pays, as {self._payer} does", hint="Sign a URL for PUT, or leave it out."
            )
        yield from bucket.service.refresh()
        ours = self._open_fields()
        fields = {**ours, **terms.fields}
        check_form(bucket, fields)
        conditions = [*terms.conditions, *({name: value} for name, value in ours.items())]  # whatever others allow
        signed = yield from self._signed(Form(self._name, key, conditions, fields), terms.expires_in)
        return {"url": bucket.service.origin + bucket.path("").decode(), "fields": signed}

    def _open_fields(self) -> dict[str, str]:
        """Return the fields of encryption that are no secrets: a form is for everybody to see."""
        told = encrypting(self._bucket, self._bucket.write_headers)
        return {name: value for name, value in told.items() if name not in self._bucket.read_headers}
