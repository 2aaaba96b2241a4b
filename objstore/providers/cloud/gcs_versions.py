"""The generations of a bucket's objects.

https://cloud.google.com/storage/docs/json_api/v1/objects/list
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore.http.exchange import LARGEST_DOCUMENT, Exchange
from objstore.http.shape import Shape
from objstore.providers.cloud.gcs_parts import hidden
from objstore.providers.cloud.gcs_resource import FIELDS, items_of, meta_of, read_document
from objstore.providers.cloud.versions import Token, VersionPage, checked_versions, delete_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.plans.effects import Plan
    from objstore.providers.cloud.gcs_objects import Objects


class Generations:
    """The generations of a bucket's objects; a deleted object has some, and no mark.

    Args:
        bucket: Speaks to it.
    """

    def __init__(self, bucket: Objects) -> None:
        self._bucket = bucket

    def page(self, prefix: str, token: Token) -> Plan[VersionPage]:
        """Read a page of the generations of objects below a prefix."""
        bucket = self._bucket
        named = {"prefix": prefix, "pageToken": token[0] if token else "", "versions": "true"}
        fields = ("fields", f"kind,items({FIELDS},timeDeleted),nextPageToken")
        yield from bucket.service.refresh()
        exchange = Exchange(bucket.service, Shape("GET", {}), lambda _: prefix, most_body=LARGEST_DOCUMENT)
        exchange.add(bucket.object_target("", [fields, *((name, value) for name, value in named.items() if value)]))
        reply = yield from exchange.only()
        return checked_versions(_read, read_document(bytes(reply.body), f"the versions below {prefix!r}"), prefix)

    def delete(self, key: str, version: str) -> Plan[None]:
        """Delete one generation for good."""
        yield from delete_version(self._bucket, key, self._bucket.object_target(key, [("generation", version)]))


def _read(document: Mapping[str, Any]) -> VersionPage:
    items = [item for item in items_of(document) if not hidden(item["name"])]
    token = str(document.get("nextPageToken") or "")
    return [{**meta_of(item), "is_latest": not item.get("timeDeleted"), "delete_marker": False} for item in items], (
        token,
    ) if token else ()
