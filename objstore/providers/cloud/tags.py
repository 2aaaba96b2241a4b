"""The tags of objects that are there already: read, replaced and removed.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html,
https://learn.microsoft.com/rest/api/storageservices/set-blob-tags
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from objstore._core import Buffer
from objstore.http.exchange import Exchange
from objstore.http.shape import Shape
from objstore.http.xml import build

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.plans.effects import Plan
    from objstore.providers.cloud.documents import Documents


class Tags:
    """The tags of a bucket's objects.

    Args:
        bucket: Speaks to it.
        query: What the requests for them have as their query.
        root: The name of the document that has them.
        namespace: The namespace of that which is sent.
        deletes: Whether all of them are removed by a DELETE (DeleteObjectTagging), not by an empty document.
    """

    def __init__(
        self, bucket: Documents, query: tuple[str, str], root: str, *, namespace: str = "", deletes: bool = False
    ) -> None:
        self._bucket = bucket
        self._query = query
        self._root = root
        self._namespace = namespace
        self._deletes = deletes

    def get(self, key: str, version: str | None = None) -> Plan[dict[str, str]]:
        """Return the tags of an object (GetObjectTagging, Get Blob Tags)."""
        shape, target = Shape("GET", self._bucket.change_headers), self._target(key, version)
        root, _ = yield from self._bucket.document(shape, target, key, (self._root,), safe=True, detail=" tags")
        rows = [tag for tags in root.find_all("TagSet") for tag in tags.find_all("Tag")]
        return {tag.find_text("Key"): tag.find_text("Value") for tag in rows}

    def put(self, key: str, tags: Mapping[str, str], version: str | None = None) -> Plan[None]:
        """Give an object tags in the place of those it has (PutObjectTagging, Set Blob Tags)."""
        if not tags and self._deletes:
            yield from self._send(Shape("DELETE", self._bucket.change_headers), key, version)
            return
        rows = [("Tag", [("Key", name), ("Value", value)]) for name, value in tags.items()]
        body = build(self._root, [("TagSet", rows)], namespace=self._namespace)
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        headers = {**self._bucket.change_headers, "Content-MD5": digest, "Content-Type": "application/xml"}
        yield from self._send(Shape("PUT", headers, hashlib.sha256(body).hexdigest()), key, version, body)

    def _send(self, shape: Shape, key: str, version: str | None, body: bytes | None = None) -> Plan[None]:
        yield from self._bucket.service.refresh()
        exchange = Exchange(self._bucket.service, shape, lambda _: key, detail=lambda _: " tags")
        exchange.add(self._target(key, version), body=None if body is None else Buffer(body))
        yield from exchange.only()

    def _target(self, key: str, version: str | None) -> bytes:
        versioned = [] if version is None else self._bucket.version_query(version)
        return self._bucket.target(key, [self._query, *versioned])
