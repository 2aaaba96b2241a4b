"""The buckets of a project of Google Cloud.

https://cloud.google.com/storage/docs/json_api/v1/buckets

Its one invariant: a bucket whose making or deleting may have been carried out already is not told to have been there
before, or to be missing.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from objstore.exceptions import AlreadyExistsError, BaseError, ConfigurationError, CorruptResponseError, NotFoundError
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.interface.succession import Marks
from objstore.providers.conditional_headers import as_kind
from objstore.signing.sigv4 import canonical_query

if TYPE_CHECKING:
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.gcs_objects import Objects
    from objstore.types import BucketMeta


class GoogleBuckets:
    """A bucket of Google's, and those beside it.

    Args:
        bucket: Speaks to it.
        project: The project that has them; empty where nobody says which.
    """

    def __init__(self, bucket: Objects, project: str) -> None:
        self._bucket = bucket
        self._project = project

    def create(self, *, exist_ok: bool) -> Plan[None]:
        """Make the bucket (Buckets: insert)."""
        bucket = self._bucket
        body = json.dumps({"name": bucket.bucket}).encode()
        try:
            yield from bucket.ask("POST", self._all([("fields", "name")]), "", body=body, detail=" bucket")
        except BaseError as error:
            if error.status != 409:
                raise
            if not (exist_ok or error.maybe_applied):
                raise as_kind(AlreadyExistsError, error, "Give exist_ok=True to take it as it is.") from None
            yield from self._send("GET")  # raises where it is somebody else's

    def delete(self) -> Plan[None]:
        """Delete the bucket, which has to be empty (Buckets: delete)."""
        try:
            yield from self._send("DELETE")
        except NotFoundError as error:
            if not error.maybe_applied:
                raise

    def all(self) -> Plan[list[BucketMeta]]:
        """List all buckets of the project (Buckets: list)."""
        found: list[BucketMeta] = []
        tokens, token = Marks(), ""
        while True:
            query = [("fields", "items(name,timeCreated),nextPageToken"), *([("pageToken", token)] if token else [])]
            document = yield from self._bucket.ask("GET", self._all(query), "", detail=" buckets")
            found += _described(document)
            token = str(document.get("nextPageToken") or "")
            if not token:
                return found
            if tokens.is_met(token):
                raise CorruptResponseError("The list of buckets does not go on", store="GCSStore")

    def _all(self, query: list[tuple[str, str]]) -> bytes:
        """Return path and query of what is asked of the project."""
        if not self._project:
            raise ConfigurationError(
                "A bucket of Google's is made and listed in a project, and none is given", hint="Give project_id."
            )
        return f"{self._bucket.api}/storage/v1/b?{canonical_query([('project', self._project), *query])}".encode()

    def _send(self, method: str) -> Plan[None]:
        bucket = self._bucket
        yield from bucket.service.refresh()
        exchange = Exchange(bucket.service, Shape(method, {}), lambda _: "", detail=lambda _: " bucket", keep_head=True)
        exchange.add(f"{bucket.api}/storage/v1/b/{quote(bucket.bucket, safe='')}".encode())
        yield from exchange.only()


def _described(document: dict[str, Any]) -> list[BucketMeta]:
    try:
        return [{"name": str(item["name"]), "created": _time(item)} for item in document.get("items") or ()]
    except (KeyError, TypeError) as error:
        raise CorruptResponseError(f"The list of buckets cannot be read: {error!r}", store="GCSStore") from None


def _time(item: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(item.get("timeCreated")))
    except ValueError:
        return None
