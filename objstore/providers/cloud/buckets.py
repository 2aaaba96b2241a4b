"""A bucket as such, and all that an account has: made, found, listed and deleted.

Its one invariant: a bucket whose making or deleting may have been carried out already is not told to have been there
before, or to be missing.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from objstore._core import Buffer
from objstore.exceptions import AlreadyExistsError, CorruptResponseError, NotFoundError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.interface.succession import Marks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from objstore.plans.effects import Plan
    from objstore.providers.requests import Requests
    from objstore.types import BucketMeta


class Buckets:
    """The bucket of a provider, and those beside it.

    Args:
        bucket: Speaks to it.
        query: What the requests for it have as their query.
        mine: The error codes that say that the bucket is there, and the caller's.
        listing: Reads one page of all buckets, after what the last one told of the next.
    """

    _look = "HEAD"

    def __init__(
        self,
        bucket: Requests,
        query: Sequence[tuple[str, str]],
        mine: Sequence[str],
        listing: Callable[[str], Plan[tuple[list[BucketMeta], str]]],
    ) -> None:
        self._bucket = bucket
        self._asked = bucket  # whether it is there
        self._query = query
        self._mine = mine
        self._listing = listing

    def create(self, *, exist_ok: bool) -> Plan[None]:
        """Make the bucket; some services take it for made where it is there already, so it is looked for."""
        if not exist_ok and (yield from self._exists()):
            raise self._there_already()
        yield from self._bucket.service.refresh()  # which may find the region that is described
        try:
            yield from self._send("PUT", self.description())
        except AlreadyExistsError as error:
            if error.code not in self._mine or not (exist_ok or error.maybe_applied):
                raise
            yield from self._exists()  # raises where it is somebody else's, which not every service says

    def description(self) -> bytes:
        """Return the document that says what bucket is to be made."""
        return b""

    def target(self, bucket: Requests) -> bytes:
        """Return the target of requests for the bucket itself."""
        return bucket.target("", self._query)

    def delete(self) -> Plan[None]:
        """Delete the bucket, which has to be empty."""
        try:
            yield from self._send("DELETE")
        except NotFoundError as error:
            if not error.maybe_applied:
                raise

    def all(self) -> Plan[list[BucketMeta]]:
        """List all buckets of the account."""
        found: list[BucketMeta] = []
        tokens, token = Marks(), ""
        while True:
            more, token = yield from self._listing(token)
            found += more
            if not token:
                return found
            if tokens.is_met(token):
                store = self._bucket.service.dialect.store
                raise CorruptResponseError("The list of buckets does not go on: a token came twice", store=store)

    def _there_already(self) -> AlreadyExistsError:
        return AlreadyExistsError(
            f"The bucket {self._bucket.service.bucket!r} exists already",
            hint="Give exist_ok=True to take it as it is.",
            store=self._bucket.service.dialect.store,
            bucket=self._bucket.service.bucket,
        )

    def _exists(self) -> Plan[bool]:
        try:
            yield from self._send(self._look, to=self._asked)
        except NotFoundError:
            return False
        return True

    def _send(self, method: str, body: bytes = b"", to: Requests | None = None) -> Plan[None]:
        bucket = to or self._bucket
        yield from bucket.service.refresh()
        shape = Shape(method, bucket.change_headers)
        kind = f" {bucket.service.dialect.container}"
        exchange = Exchange(bucket.service, shape, lambda _: "", detail=lambda _: kind, keep_head=True)
        own = replace(shape, payload_hash=sha256(body).hexdigest()) if body else None
        exchange.add(self.target(bucket), shape=own, body=Buffer(body) if method == "PUT" else None)
        yield from exchange.only()
