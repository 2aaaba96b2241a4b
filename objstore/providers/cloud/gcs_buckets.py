"""The buckets of a project of Google Cloud.

https://cloud.google.com/storage/docs/json_api/v1/buckets
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    ConfigurationError,
    CorruptResponseError,
    PermissionDeniedError,
)
from objstore.providers.cloud.buckets import Buckets
from objstore.providers.conditional_headers import as_kind
from objstore.signing.sigv4 import canonical_query

if TYPE_CHECKING:
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.gcs_objects import Objects
    from objstore.providers.requests import Requests
    from objstore.types import BucketMeta


class GoogleBuckets(Buckets):
    """A bucket of Google's, and those beside it.

    Args:
        bucket: Speaks to it.
        project: The project that has them; empty where nobody says which.
    """

    _look = "GET"

    def __init__(self, bucket: Objects, project: str) -> None:
        super().__init__(bucket, (), (), self._page)
        self._objects = bucket
        self._project = project

    def create(self, *, exist_ok: bool) -> Plan[None]:
        """Make the bucket (Buckets: insert); where an answer is lost, none says whether it was there before."""
        bucket, target = self._objects, self._all([("fields", "name")])
        if not exist_ok and (yield from self._is_seen()):
            raise self._there_already()
        body = json.dumps({"name": bucket.bucket}).encode()
        try:
            yield from bucket.ask("POST", target, "", body=body, detail=" bucket")
        except BaseError as error:
            if error.status != 409:
                raise
            if not (exist_ok or error.maybe_applied):
                raise as_kind(AlreadyExistsError, error, "Give exist_ok=True to take it as it is.") from None
            yield from self._send("GET")  # raises where it is somebody else's

    def _is_seen(self) -> Plan[bool]:
        """Tell whether it exists, as far as the caller may know: to make one, nobody has to be allowed to look."""
        try:
            return (yield from self._exists())
        except PermissionDeniedError:
            return False

    def target(self, bucket: Requests) -> bytes:
        """Return the target of requests for the bucket itself (Buckets: get, delete)."""
        return f"{self._objects.api}/storage/v1/b/{quote(self._objects.bucket, safe='')}".encode()

    def _page(self, token: str) -> Plan[tuple[list[BucketMeta], str]]:
        """Read one page of all buckets of the project (Buckets: list)."""
        query = [("fields", "items(name,timeCreated),nextPageToken"), *([("pageToken", token)] if token else [])]
        document = yield from self._objects.ask("GET", self._all(query), "", detail=" buckets")
        return _described(document), str(document.get("nextPageToken") or "")

    def _all(self, query: list[tuple[str, str]]) -> bytes:
        """Return path and query of what is asked of the project."""
        if not self._project:
            raise ConfigurationError(
                "A bucket of Google's is made and listed in a project, and none is given", hint="Give project_id."
            )
        return f"{self._objects.api}/storage/v1/b?{canonical_query([('project', self._project), *query])}".encode()


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
