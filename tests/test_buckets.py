"""Where buckets of Amazon's are made and listed, and how long lists of them come."""

from __future__ import annotations

from typing import Any, cast

import pytest

from objstore.exceptions import CorruptResponseError, NotSupportedError
from objstore.http.xml import parse
from objstore.plans.effects import Plan
from objstore.plans.run import run
from objstore.providers.cloud import s3_buckets
from objstore.providers.cloud.buckets import Buckets
from objstore.providers.requests import Requests
from objstore.store import S3Store
from objstore.types import BucketMeta
from tests.servers import S3Server

KEYS = {"access_key_id": "k", "secret_access_key": "s"}


def buckets_of(bucket: str = "bucket", **settings: Any) -> Any:
    return S3Store(bucket, **KEYS, **settings).provider.buckets


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1"])
def test_a_bucket_is_made_in_the_region_of_the_store(region: str) -> None:
    document = parse(buckets_of(region=region).description(), "CreateBucketConfiguration")
    assert document.find_text("LocationConstraint") == region


@pytest.mark.parametrize(
    "settings",
    [{"region": "us-east-1"}, {"region": "eu-west-1", "endpoint": "https://h.example"}],
)
def test_the_first_region_and_other_services_are_told_of_none(settings: dict[str, str]) -> None:
    assert buckets_of(**settings).description() == b""


LINK = "https://bucket.vpce-1a2b3c4d-5e6f.s3.us-west-2.vpce.amazonaws.com"
"""A host of PrivateLink, which begins with this word whatever the bucket is called."""


@pytest.mark.parametrize(
    ("settings", "origin", "above"),
    [
        ({"region": "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com", ""),
        ({"region": "eu-west-1", "virtual_hosted_style_request": True}, "https://s3.eu-west-1.amazonaws.com", ""),
        ({"region": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn", ""),
        ({"region": "us-west-2", "use_accelerate_endpoint": True}, "https://s3.us-west-2.amazonaws.com", ""),
        ({"endpoint": "https://h.example:1/x"}, "https://h.example:1", "/x"),
        (
            {"endpoint": "https://bucket.h.example", "virtual_hosted_style_request": True},
            "https://h.example",
            "",
        ),
        ({"endpoint": "https://h.example", "virtual_hosted_style_request": True}, "https://h.example", ""),
        ({"endpoint": "https://bucket.s3.us-west-2.amazonaws.com"}, "https://s3.us-west-2.amazonaws.com", ""),
        *(({"endpoint": LINK, **style}, LINK, "") for style in ({}, {"virtual_hosted_style_request": True})),
    ],
)
def test_buckets_are_listed_at_the_host_of_the_service(settings: dict[str, Any], origin: str, above: str) -> None:
    service, path = run(buckets_of(**settings)._home())
    assert (service.origin, path) == (origin, above)


def test_no_bucket_is_made_by_acceleration() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/transfer-acceleration.html."""
    store = S3Store("bucket", region="us-west-2", use_accelerate_endpoint=True, request_payer=True, **KEYS)
    maker = store.provider.buckets._bucket  # type: ignore[union-attr]
    assert store.provider.service.origin == "https://bucket.s3-accelerate.amazonaws.com"  # type: ignore[attr-defined]
    assert (maker.service.origin, maker.path("")) == ("https://s3.us-west-2.amazonaws.com", b"/bucket")
    assert maker.change_headers == {"x-amz-request-payer": "requester"}


def test_an_access_point_has_no_buckets() -> None:
    store = S3Store("arn:aws:s3:us-east-1:123456789012:accesspoint/point", **KEYS)
    with pytest.raises(NotSupportedError, match="S3Store cannot make"):
        store.list_buckets()


def test_long_lists_come_in_pages(ministack: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {ministack.make_bucket(f"paged-{number}") for number in range(3)}
    store = S3Store(
        "paged-0",
        endpoint=ministack.endpoint,
        region=ministack.region,
        access_key_id=ministack.access_key_id,
        secret_access_key=ministack.secret_access_key,
        allow_http=True,
    )
    monkeypatch.setattr(s3_buckets, "PAGE", "1")
    first, token = run(store.provider.buckets._page(""))  # type: ignore[union-attr]
    assert len(first) == 1
    assert token
    assert names <= {row["name"] for row in store.list_buckets()}


def test_a_list_of_buckets_that_goes_round_is_an_error() -> None:
    store = S3Store("bucket", region="r", access_key_id="k", secret_access_key="s")
    following = {"": "a", "a": "b", "b": "a"}

    def page(token: str) -> Plan[tuple[list[BucketMeta], str]]:
        return [], following[token]
        yield

    with pytest.raises(CorruptResponseError, match="does not go on"):
        run(Buckets(cast(Requests, store.provider), (), (), page).all())
