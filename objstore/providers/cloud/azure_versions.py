"""The versions and the snapshots of a container's blobs.

https://learn.microsoft.com/rest/api/storageservices/list-blobs
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from objstore.exceptions import PermissionDeniedError
from objstore.http.client import parse_http_date
from objstore.interface.values import Conditions
from objstore.providers.cloud.azure_blobs import SNAPSHOT
from objstore.providers.cloud.azure_documents import is_directory_row
from objstore.providers.cloud.versions import Token, VersionPage, Versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objstore.http.xml import Element
    from objstore.plans.effects import Plan
    from objstore.providers.cloud.documents import Documents
    from objstore.types import ObjectVersion


def azure_versions(container: Documents) -> Versions:
    """Return the versions and snapshots of a container's blobs; a deleted blob has versions, and no mark."""
    return _Versions(container, "EnumerationResults", _query, _read)


class _Versions(Versions):
    """Those of a container that may keep none."""

    def delete(self, key: str, version: str) -> Plan[None]:
        """Delete one version for good, once it has been seen: a service that keeps none would delete the blob."""
        if not version.startswith(SNAPSHOT):
            with suppress(PermissionDeniedError):  # who may not read may delete
                yield from self._bucket.head(key, Conditions(version=version))
        yield from super().delete(key, version)


def _query(prefix: str, token: Token) -> Sequence[tuple[str, str]]:
    named = {"marker": token[0] if token else "", "prefix": prefix}
    told = [(name, value) for name, value in named.items() if value]
    return [("comp", "list"), ("include", "metadata,snapshots,versions"), ("restype", "container"), *told]


def _read(root: Element) -> VersionPage:
    rows = [row for rows in root.find_all("Blobs") for row in rows.find_all("Blob") if not is_directory_row(row)]
    marker = root.find_text("NextMarker")
    return [_version(row) for row in rows], (marker,) if marker else ()


def _version(row: Element) -> ObjectVersion:
    (properties,) = row.find_all("Properties")
    snapshot, version, tag = row.find_text("Snapshot"), row.find_text("VersionId"), properties.find_text("Etag")
    modified = parse_http_date(properties.find_text("Last-Modified"))
    if modified is None:
        raise ValueError("Last-Modified")
    return {
        "path": row.find_text("Name"),
        "last_modified": modified,
        "size": int(properties.find_text("Content-Length")),
        "e_tag": f'"{tag.strip(chr(34))}"' if tag else None,
        "version": f"{SNAPSHOT}{snapshot}" if snapshot else version or None,
        "is_latest": not snapshot and (not version or row.find_text("IsCurrentVersion") == "true"),
        "delete_marker": False,
    }
