"""The buckets of an account of Amazon's, or of a service that speaks S3.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from objstore.http.shape import Shape
from objstore.http.xml import build
from objstore.providers.cloud.buckets import Buckets
from objstore.providers.cloud.documents import Documents
from objstore.providers.cloud.region import FIRST
from objstore.providers.cloud.s3_directory import is_local
from objstore.providers.cloud.upload import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.credentials.sigv4 import SigV4
    from objstore.http.service import Service
    from objstore.plans.effects import Plan
    from objstore.types import BucketMeta

PAGE = "1000"
"""How many buckets are asked for at a time."""


class S3Buckets(Buckets):
    """A bucket of S3, and those beside it.

    Args:
        bucket: Speaks to it.
        identity: Who we are, for the region where it is to be; None where the service has no regions to choose from.
        home: Finds the service of the account, and the path of it below its origin.
    """

    _count = "max-buckets"
    _root = "ListAllMyBucketsResult"

    def __init__(
        self, bucket: Documents, identity: SigV4 | None, home: Callable[[], Plan[tuple[Service, str]]]
    ) -> None:
        elsewhere = () if identity is not None else ("BucketAlreadyExists",)  # rclone's, for instance
        super().__init__(bucket, [], ("BucketAlreadyOwnedByYou", *elsewhere), self._page)
        self._identity = identity
        self._home = home

    def description(self) -> bytes:
        """Return the document that names the region: the first one has none."""
        if self._identity is None or self._identity.region == FIRST:
            return b""
        region = [("LocationConstraint", self._identity.region)]
        return build("CreateBucketConfiguration", region, namespace=NAMESPACE)

    def _page(self, token: str) -> Plan[tuple[list[BucketMeta], str]]:
        """Read a page of the buckets of the account (ListBuckets)."""
        service, above = yield from self._home()
        account = Documents(service, above)
        query = [(self._count, PAGE), *([("continuation-token", token)] if token else [])]
        root, _ = yield from account.document(
            Shape("GET", {}), account.target("", query), "", (self._root,), safe=True, detail=" buckets"
        )
        rows = [row for rows in root.find_all("Buckets") for row in rows.find_all("Bucket")]
        found: list[BucketMeta] = [
            {"name": row.find_text("Name"), "created": _time(row.find_text("CreationDate"))} for row in rows
        ]
        return found, root.find_text("ContinuationToken")


class DirectoryBuckets(S3Buckets):
    """A directory bucket, and those of the account in its region.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListDirectoryBuckets.html

    Args:
        maker: Speaks to what makes and deletes it.
        asked: Speaks to the bucket itself, in its zone.
        zone: The zone.
        identity: Who we are.
        home: Finds the service of the account, and the path of it below its origin.
    """

    _count = "max-directory-buckets"
    _root = "ListAllMyDirectoryBucketsResult"

    def __init__(
        self,
        maker: Documents,
        asked: Documents,
        zone: str,
        identity: SigV4,
        home: Callable[[], Plan[tuple[Service, str]]],
    ) -> None:
        super().__init__(maker, identity, home)
        self._asked = asked
        self._zone = zone

    def description(self) -> bytes:
        """Return the document that names the zone."""
        kind = "LocalZone" if is_local(self._zone) else "AvailabilityZone"
        location = [("Name", self._zone), ("Type", kind)]
        bucket = [("DataRedundancy", f"Single{kind}"), ("Type", "Directory")]
        content = [("Location", location), ("Bucket", bucket)]
        return build("CreateBucketConfiguration", content, namespace=NAMESPACE)


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
