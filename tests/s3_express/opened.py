"""Stores on the fake, which reach it by the names of Amazon's hosts."""

from __future__ import annotations

from typing import Any

from objstore.store import S3Store
from tests.s3_express.server import KEY, REGION, SECRET
from tests.tls_proxy import Proxy

BUCKET, BESIDE, FAR = "logs--usw2-az1--x-s3", "more--usw2-az1--x-s3", "far--usw2-az2--x-s3"
POINT = "point--usw2-az1--xa-s3"
BUCKETS = (BUCKET, BESIDE, FAR, POINT)


def host_of(bucket: str) -> str:
    """Return the host of a bucket, in its zone."""
    return f"{bucket}.s3express-{bucket.split('--')[-2]}.{REGION}.amazonaws.com"


def opened(proxy: Proxy, bucket: str = BUCKET, **settings: Any) -> S3Store:
    """Return a store."""
    usual: dict[str, Any] = {"region": REGION, "access_key_id": KEY, "secret_access_key": SECRET}
    client = {"proxy_url": proxy.url, "root_certificate": proxy.certificates.read_bytes()}
    retry = {"max_retries": 2}
    return S3Store(bucket, client_options=client, retry_config=retry, **{**usual, **settings})  # type: ignore[arg-type]
