"""The containers of a storage account.

https://learn.microsoft.com/rest/api/storageservices/list-containers2
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.http.client import parse_http_date
from objstore.http.shape import Shape
from objstore.providers.cloud.buckets import Buckets
from objstore.providers.cloud.documents import Documents

if TYPE_CHECKING:
    from objstore.http.xml import Element
    from objstore.plans.effects import Plan
    from objstore.types import BucketMeta


class Containers(Buckets):
    """A container of Azure's, and those beside it.

    Args:
        container: Speaks to it.
        above: The path of the account below its origin.
    """

    def __init__(self, container: Documents, above: str) -> None:
        super().__init__(container, [("restype", "container")], ("ContainerAlreadyExists",), self._page)
        self._account = Documents(container.service, above)

    def _page(self, token: str) -> Plan[tuple[list[BucketMeta], str]]:
        """Read a page of the containers of the account (List Containers)."""
        query = [("comp", "list"), *([("marker", token)] if token else [])]
        target = self._account.target("", query)
        root, _ = yield from self._account.document(
            Shape("GET", {}), target, "", ("EnumerationResults",), safe=True, detail=" containers"
        )
        rows = [row for rows in root.find_all("Containers") for row in rows.find_all("Container")]
        return [_described(row) for row in rows], root.find_text("NextMarker")


def _described(row: Element) -> BucketMeta:
    texts = [properties.find_text("Last-Modified") for properties in row.find_all("Properties")]
    return {"name": row.find_text("Name"), "created": parse_http_date("".join(texts))}
