"""How settings make the provider of a directory bucket (S3 Express One Zone).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-overview.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore.credentials.chains.aws.s3_session import session
from objstore.http.service import Service
from objstore.providers.cloud import s3_encryption
from objstore.providers.cloud.bucket import Bucket
from objstore.providers.cloud.checksums import ALGORITHMS
from objstore.providers.cloud.directory_bucket import CHECKSUM, DirectoryBucket
from objstore.providers.cloud.documents import Documents
from objstore.providers.cloud.s3_buckets import DirectoryBuckets
from objstore.providers.cloud.s3_directory import check_settings, is_point, zone_of
from objstore.settings.options import of_client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from objstore.plans.effects import Plan
    from objstore.providers.cloud.s3_endpoint import Address


def directory_bucket(
    values: Any, address: Address, control: Address, keyed: Service, options: Mapping[str, Any], ways: Mapping[str, Any]
) -> DirectoryBucket:
    """Make the provider of a directory bucket.

    Args:
        values: The settings.
        address: Where it is.
        control: Where those of the account are made and listed.
        keyed: Its service, which knows us by our own key.
        options: What services are made of, beside their origin.
        ways: How its objects are read and written.

    Raises:
        ConfigurationError: A setting asks for what it has not.
    """
    check_settings(values)
    bucket, encryption = values["bucket"], s3_encryption.write_headers(values)
    sums = ways["checksum"] is not None and not values["checksum_algorithm"]
    ways = {**ways, "checksum": ALGORITHMS[CHECKSUM]} if sums else dict(ways)
    by_key = Bucket(keyed, address.base, f"/{bucket}", tagging=False, **ways)
    service = keyed
    if address.session:
        mode = {"x-amz-create-session-mode": values["s3_express_session_mode"]}
        asked = {**{name: value for name, value in mode.items() if value}, **encryption}
        who = session(options["identity"], keyed, address.base, asked, of_client(values))
        service = Service(origin=address.origin, **{**options, "identity": who})
        keyed.stats = service.stats
        ways["write_headers"] = {each: told for each, told in ways["write_headers"].items() if each not in encryption}
    return DirectoryBucket(
        service,
        address.base,
        f"/{bucket}",
        by_key=by_key,
        zone=None if is_point(bucket) else address.origin.partition("://")[2].removeprefix(f"{bucket}."),
        drops_tags=values["disable_tagging"],
        buckets=None if is_point(bucket) else _buckets(values, by_key, control, options),
        **ways,
    )


def _buckets(
    values: Any, by_key: Documents, control: Address, options: Mapping[str, Any]
) -> Callable[[Documents], DirectoryBuckets]:
    """Return what makes the directory buckets of the account; another service than Amazon has one host for both."""
    bucket, maker = values["bucket"], by_key
    if not (values["endpoint_url_s3"] or values["endpoint"]):
        maker = Documents(Service(origin=control.origin, **options), f"{control.base}/{bucket}")
    account = Service(origin=control.origin, **{**options, "bucket": None})
    identity = options["identity"]

    def find() -> Plan[tuple[Service, str]]:
        yield from identity.refresh()
        return account, control.base

    return lambda _: DirectoryBuckets(maker, by_key, zone_of(bucket), identity, find)
