"""Amazon S3, and everything that speaks it: its dialect, and how its settings make a provider.

https://docs.aws.amazon.com/AmazonS3/latest/API/
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from objstore.credentials.sigv4 import SigV4
from objstore.exceptions import (
    AlreadyExistsError,
    ConfigurationError,
    GenericError,
    InvalidRangeError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    RequestTimeoutError,
)
from objstore.http.client import client_settings, split_endpoint, text_headers
from objstore.http.dialect import EXPIRED, THROTTLED, Dialect
from objstore.http.retry import FAILED, UNAVAILABLE, Policy, Row
from objstore.http.service import Service
from objstore.interface.values import LOCKS
from objstore.providers.cloud import s3_encryption
from objstore.providers.cloud.bucket import Bucket
from objstore.providers.cloud.checksums import ALGORITHMS, CONTENT_ENCODING
from objstore.providers.cloud.documents import Documents
from objstore.providers.cloud.forms import Forms
from objstore.providers.cloud.kind import BucketKind
from objstore.providers.cloud.proofs import is_known
from objstore.providers.cloud.region import FIRST, RegionalService, ServiceToFind
from objstore.providers.cloud.s3_account import Account, region_nearby
from objstore.providers.cloud.s3_arn import is_arn
from objstore.providers.cloud.s3_buckets import S3Buckets
from objstore.providers.cloud.s3_directory import DIRECTORY
from objstore.providers.cloud.s3_endpoint import Address, Wishes, check_dots, control, home, locate
from objstore.providers.cloud.s3_express import directory_bucket
from objstore.providers.cloud.s3_objects import ARCHIVED
from objstore.providers.cloud.s3_options import S3_OPTIONS
from objstore.providers.cloud.writes import Guard
from objstore.settings.options import RetryOptions, Settings, Table
from objstore.settings.s3_hosts import is_amazon, region_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from objstore.plans.effects import Plan

PATIENCE = 20
"""How many times as long as for other replies it is waited for those to requests that are much work."""

TABLE = Table("S3Store", ("aws_",), S3_OPTIONS)

_NO_SUMS = "If the service takes no checksums, leave out checksum_algorithm and request_checksum_calculation."
_NO_TAGS = "If the service keeps no tags, leave them out, or give disable_tagging=True."
_NO_CLASS = "If the service has no storage classes, leave out the attribute Storage-Class."
_NO_LOCKS = "If the service locks no objects, leave out the attributes that begin with Object-Lock."
_NO_ENCRYPTION = "If the service does not encrypt so, leave out server_side_encryption and sse_customer_key_base64."
_NO_PAYER = "If at the service nobody but the owner pays, leave out request_payer."
_NO_CONDITIONS = "If the service has no conditional writes, say so by conditional_put='disabled'."

CONFLICT = Row(GenericError, "another write was under way", "always", refused=True)
DAMAGED = Row(GenericError, "what arrived has another checksum than what was sent", "damaged")

_OF_BODIES = (CONTENT_ENCODING, "x-amz-checksum-")

UNRESOLVED = "6"
"""The CURLcode of a host that is not found."""

DIALECT = Dialect(
    store="S3Store",
    metadata="x-amz-meta-",
    version_header="x-amz-version-id",
    version_query="versionId",
    attributes={name: f"x-amz-{name.lower()}" for name in ("Storage-Class", *LOCKS)},
    encryption=s3_encryption.ENCRYPTION,
    tells_written=True,
    tags="x-amz-tagging",
    copy_source="x-amz-copy-source",
    source_headers=s3_encryption.SOURCE_HEADERS,
    request_id="x-amz-request-id",
    region="x-amz-bucket-region",
    deleted="x-amz-delete-marker",
    codes={
        "AccessDenied": Row(PermissionDeniedError, "access is denied"),
        "AuthorizationHeaderMalformed": Row(GenericError, "it was signed for another region", "region"),
        "BadDigest": DAMAGED,
        "BucketAlreadyExists": Row(AlreadyExistsError, "somebody else has a bucket of that name"),
        "BucketAlreadyOwnedByYou": Row(AlreadyExistsError, "the bucket exists already"),
        "BucketNotEmpty": Row(GenericError, "the bucket is not empty"),
        "ConditionalRequestConflict": CONFLICT,
        "EntityTooSmall": Row(GenericError, "a part but the last is smaller than the service takes"),
        "ExpiredToken": EXPIRED,
        "ExpiredTokenException": EXPIRED,
        "InternalError": FAILED,
        "InvalidAccessKeyId": Row(PermissionDeniedError, "the service does not know the access key"),
        "XAdminUserNotFound": Row(PermissionDeniedError, "the service does not know the access key"),  # versitygw's
        ARCHIVED: Row(PermissionDeniedError, "the object is archived: it must be restored before it is read"),
        "InvalidRange": Row(InvalidRangeError, "the range lies outside the object"),
        "InvalidToken": EXPIRED,
        "NoSuchBucket": Row(NotFoundError, "there is no such bucket"),
        "NoSuchKey": Row(NotFoundError, "there is no such object"),
        "NoSuchUpload": Row(NotFoundError, "there is no such multipart upload"),
        "OperationAborted": CONFLICT,
        "PreconditionFailed": Row(PreconditionError, "a precondition does not hold"),
        "RequestTimeTooSkewed": Row(PermissionDeniedError, "this machine's clock is wrong", "clock"),
        "RequestTimeout": Row(RequestTimeoutError, "the server gave up waiting for the request", "always"),
        "SignatureDoesNotMatch": Row(PermissionDeniedError, "the signature is wrong"),
        "SlowDown": THROTTLED,
        "XAmzContentChecksumMismatch": DAMAGED,  # MinIO's
        "ServiceUnavailable": UNAVAILABLE,
        "TokenRefreshRequired": EXPIRED,
    },
    # the end of an upload, which is then to be begun anew:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
    codes_for={("POST", "ConditionalRequestConflict"): CONFLICT._replace(again="briefly")},
    # The answer to a HEAD has no document that could say SlowDown, so an answer without words may be that.
    # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    statuses={("HEAD", 503): THROTTLED},
    lacks={
        ("GET", "x-amz-checksum-mode"): "Leave response_checksum_validation out.",
        ("DELETE", "if-match"): "Leave if_match and conditional_delete out, if the service has no conditional deletes.",
        (
            "PUT",
            "x-amz-copy-source",
        ): "If the service has no copies of this kind, say what it has by copy_if_not_exists.",
        **dict.fromkeys((("PUT", "x-amz-storage-class"), ("POST", "x-amz-storage-class")), _NO_CLASS),
        **dict.fromkeys((("PUT", "x-amz-object-lock-"), ("POST", "x-amz-object-lock-")), _NO_LOCKS),
        **{(of, s3_encryption.ENCRYPTION): _NO_ENCRYPTION for of in ("GET", "HEAD", "PUT", "POST")},
        **{(of, "x-amz-request-payer"): _NO_PAYER for of in ("GET", "HEAD", "PUT", "POST", "DELETE")},
        **dict.fromkeys((("PUT", "x-amz-checksum-"), ("PUT", "x-amz-trailer"), ("POST", "x-amz-checksum-")), _NO_SUMS),
        **dict.fromkeys((("PUT", "x-amz-tagging"), ("POST", "x-amz-tagging")), _NO_TAGS),
        **{(of, f"if-{kind}"): _NO_CONDITIONS for of in ("PUT", "POST") for kind in ("match", "none-match")},
    },
    hints={
        "InvalidAccessKeyId": "Check access_key_id.",
        ARCHIVED: "Restore it (RestoreObject) and wait until it is there.",
        "BucketAlreadyExists": "Names are shared by all accounts: choose another.",
        "BucketNotEmpty": "Delete its objects first, old versions and unfinished uploads too.",
        "AuthorizationHeaderMalformed": "Give the region that the service wants.",
        "XAmzContentSHA256Mismatch": "If the service takes no body without its hash, give unsigned_payload=False.",
        "NoSuchBucket": "Check the bucket's name and the endpoint.",
        "SignatureDoesNotMatch": "Check secret_access_key and region.",
        "RequestTimeTooSkewed": "Set the clock of this machine.",
        "Access Denied because object protected by object lock.": "Wait until its retention ends and no legal hold is "
        "on it.",
        "AccessDenied": "Check that the key's policy allows the operation on this bucket.",
        UNRESOLVED: "Check `endpoint` and region; virtual_hosted_style_request puts the bucket into the name.",
    },
)


def open_s3(
    settings: Settings, retry: RetryOptions, provider: Callable[[], object] | None, user_agent: str, prefix: str
) -> Bucket:
    """Make the provider of a bucket.

    Args:
        settings: What the caller and the environment say.
        retry: What is tried again.
        provider: The caller's own source of credentials.
        user_agent: The User-Agent where the caller set none.
        prefix: What the store puts in front of paths.

    Raises:
        ConfigurationError: The settings contradict each other, or one is missing.
    """
    account = Account(settings, provider, user_agent)
    values = account.values()
    bucket = values["bucket"]
    if not bucket:
        raise ConfigurationError("S3Store needs a bucket", hint="Give its name as the first argument.")
    of_profile = settings["virtual_hosted_style_request"] is None
    wishes = _wishes(values, account.sources(values), virtual_for_all=of_profile)
    address = _address(values, _region(values), wishes)
    identity = SigV4(account.credentials(), address.region, address.service)
    options = _options(values, retry, address, identity, user_agent, prefix)
    service, base = _service(values, address, identity, options, wishes)
    s3_encryption.check_customer_key(values, service.origin)
    if address.service == DIRECTORY:
        asked = control(bucket, address.region, _given_endpoint(values), wishes)
        return directory_bucket(values, address, asked, service, options, _ways(values, address))
    if values["s3_express_session_mode"]:
        raise ConfigurationError("s3_express_session_mode says nothing of this bucket", hint="Leave it out.")
    return Bucket(
        service,
        base,
        f"{bucket}/object" if is_arn(bucket) else f"/{bucket}",
        tagging=not values["disable_tagging"],
        buckets=None if is_arn(bucket) else _buckets(values, identity, options, wishes),
        forms=None if is_arn(bucket) else _forms(values, identity),
        **_ways(values, address),
    )


def _ways(values: Any, address: Address) -> dict[str, Any]:
    """Return how the objects of a bucket are read and written."""
    payer = {"x-amz-request-payer": "requester"} if values["request_payer"] else {}
    return {
        "guard": _guard(values),
        "bounds_copies": _is_amazon(values),
        "read_headers": {**payer, **s3_encryption.read_headers(values)},
        "get_headers": _checksum_mode(values),
        "change_headers": payer,
        "write_headers": {**payer, **s3_encryption.write_headers(values), **_default_type(values)},
        "sign_payload": values["unsigned_payload"] is False,
        "bulk_delete": not values["disable_bulk_delete"],
        "checksum": ALGORITHMS.get(_checksum(values)),
        "trailers": _takes_trailers(values, address),
        "conditional_writes": _has_conditional_writes(values, address),
        "conditional_deletes": _has_conditional_deletes(values, address),
        "asks_for_checksums": values["response_checksum_validation"] == "when_supported",
        "tells_of_wholes": _is_amazon(values) and bool(_checksum_mode(values)),
    }


def _options(
    values: Any, retry: RetryOptions, address: Address, identity: SigV4, user_agent: str, prefix: str
) -> dict[str, Any]:
    """Return what services are made of, beside their origin."""
    scheme = address.origin.partition(":")[0]
    return {
        "dialect": DIALECT,
        "settings": client_settings(values, scheme, user_agent),
        "patient_settings": client_settings(values, scheme, user_agent, patience=PATIENCE),
        "policy": Policy(retry),
        "identity": identity,
        "headers": text_headers(values["default_headers"]),
        "bucket": values["bucket"],
        "prefix": prefix,
        "most_connections": values["max_connections"],
        "takes_many": is_amazon(urlsplit(address.origin).hostname or ""),
    }


def _service(
    values: Any, address: Address, identity: SigV4, options: dict[str, Any], wishes: Wishes
) -> tuple[Service, str]:
    """Return the service, and the path of the bucket below its origin."""
    if _endpoint(values) is not None or is_arn(values["bucket"]) or address.service == DIRECTORY:
        return Service(origin=address.origin, **options), address.base
    origin = partial(_origin, values["bucket"], wishes)
    region = _region(values)
    if region is None:
        near = partial(region_nearby, identity.credentials)
        return ServiceToFind(address=origin, base=address.base, near=near, **options), address.base
    return RegionalService(address=origin, region=region, **options), address.base


def _buckets(values: Any, identity: SigV4, options: dict[str, Any], wishes: Wishes) -> Callable[[Documents], S3Buckets]:
    """Return what makes of the provider of a bucket that of the buckets of its account."""

    def find() -> Plan[tuple[Service, str]]:
        yield from identity.refresh()
        region = _region(values) or (yield from region_nearby(identity.credentials)) or FIRST
        address = home(values["bucket"], region, _given_endpoint(values), wishes)
        who = SigV4(identity.credentials, address.region)
        return Service(origin=address.origin, **{**options, "identity": who, "bucket": None}), address.base

    def buckets(bucket: Documents) -> S3Buckets:
        maker = _unaccelerated(values, bucket, identity, options, wishes) if wishes.accelerate else bucket
        return S3Buckets(maker, identity if _is_amazon(values) else None, find)

    return buckets


def _unaccelerated(
    values: Any, bucket: Documents, identity: SigV4, options: dict[str, Any], wishes: Wishes
) -> Documents:
    """Return what speaks to a bucket not by Transfer Acceleration, by which none is made or deleted.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/transfer-acceleration.html
    """
    plain = replace(wishes, accelerate=False)
    service, base = _service(values, _address(values, _region(values), plain), identity, options, plain)
    service.stats = bucket.service.stats
    return Documents(service, base, change_headers=bucket.change_headers)


def _forms(values: Any, identity: SigV4) -> Callable[[Documents], Forms]:
    """Return what makes of the provider of a bucket the forms of browsers."""
    payer = "request_payer" if values["request_payer"] else None
    return lambda bucket: Forms(bucket, values["bucket"], identity.signed_form, payer)


def _endpoint(values: Any) -> str | None:
    """Return the URL of the service, where one is given."""
    endpoint: str | None = values["endpoint_url_s3"] or values["endpoint"]
    return endpoint


def _address(values: Any, region: str | None, wishes: Wishes) -> Address:
    """Return where the bucket is, if it is in this region."""
    given = _given_endpoint(values)
    if values["virtual_hosted_style_request"]:
        check_dots(values["bucket"], given[0] if given else "https:")
    return locate(values["bucket"], region, given, wishes)


def _given_endpoint(values: Any) -> tuple[str, str] | None:
    """Return the origin of the service and the path below it, where one is given."""
    endpoint = _endpoint(values)
    return None if endpoint is None else split_endpoint(endpoint, values["allow_http"])


def _wishes(values: Any, sources: Mapping[str, str], *, virtual_for_all: bool) -> Wishes:
    """Return how the bucket is to be reached."""
    return Wishes(
        virtual=values["virtual_hosted_style_request"],
        fips=values["use_fips_endpoint"],
        dual_stack=values["use_dualstack_endpoint"],
        accelerate=values["use_accelerate_endpoint"],
        use_arn_region=values["s3_use_arn_region"],
        no_multi_region=values["s3_disable_multiregion_access_points"],
        directory=values["s3_express"],
        sessions=not values["s3_disable_express_session_auth"],
        virtual_for_all=virtual_for_all,
        sources=sources,
    )


def _origin(bucket: str, wishes: Wishes, region: str) -> str:
    """Return the origin of a bucket in a region of Amazon's."""
    return locate(bucket, region, None, wishes).origin


def _guard(values: Any) -> Guard | None:
    """Return how a copy is kept from replacing an object: as the setting says, or by the header that Amazon has."""
    kind, _, rest = (values["copy_if_not_exists"] or "").partition(":")
    if kind == "multipart":
        return Guard({})
    if kind == "header":
        return Guard(_header(rest))
    if kind == "header-with-status":
        header, _, status = rest.rpartition(":")
        return Guard(_header(header), int(status))
    return Guard({"If-None-Match": "*"}, compares=True) if _is_amazon(values) else None


def _has_conditional_writes(values: Any, address: Address) -> bool | None:
    """Tell whether writes may have a condition: as the setting says, or as is known; None: that is to be proved."""
    said: str | None = values["conditional_put"]
    if said is not None:
        return said == "etag"
    amazon = _is_amazon(values) and address.service in ("s3", DIRECTORY)
    return True if amazon or is_known(urlsplit(address.origin).hostname or "") else None


def _has_conditional_deletes(values: Any, address: Address) -> bool:
    """Tell whether deletes may have a condition: as the setting says, or where Amazon has them (not on Outposts)."""
    said: str | None = values["conditional_delete"]
    return said == "etag" or (said is None and _is_amazon(values) and address.service in ("s3", DIRECTORY))


def _is_amazon(values: Any) -> bool:
    """Tell whether the service is at one of Amazon's own hosts."""
    endpoint = _endpoint(values)
    return endpoint is None or is_amazon(urlsplit(endpoint).hostname or "")


def _checksum_mode(values: Any) -> dict[str, str]:
    """Return the header that asks for the checksum of what is read: as the setting says, or where Amazon answers."""
    wanted = values["response_checksum_validation"]
    asks = _is_amazon(values) if wanted is None else wanted == "when_supported"
    return {"x-amz-checksum-mode": "ENABLED"} if asks else {}


def _checksum(values: Any) -> str:
    """Return which checksum goes with what is written: as the settings say, or where Amazon takes it; or none."""
    wanted = values["request_checksum_calculation"]
    sums = _is_amazon(values) if wanted is None else wanted == "when_supported"
    return values["checksum_algorithm"] or ("crc64nvme" if sums else "")


def _takes_trailers(values: Any, address: Address) -> bool:
    """Tell whether a checksum may come behind a body: who does not know of that stores what is around the bytes.

    As in the SDKs over TLS alone, where bodies are not signed; not where nobody signs, or a header of all requests says
    how bodies are encoded or what they sum up to.
    """
    signs_heads = not values["skip_signature"] and values["unsigned_payload"] is not False
    told = any(name.lower().startswith(_OF_BODIES) for name in values["default_headers"] or {})
    return _is_amazon(values) and address.origin.startswith("https:") and signs_heads and not told


def _header(text: str) -> dict[str, str]:
    name, _, value = text.partition(":")
    return {name.strip(): value.strip()}


def _region(values: Any) -> str | None:
    """Return the region that was given, or that the host names."""
    region: str | None = values["region"] or values["default_region"]
    origin, _ = _given_endpoint(values) or ("", "")
    return region or region_of(urlsplit(origin).hostname or "")


def _default_type(values: Any) -> dict[str, str]:
    return {"Content-Type": values["default_content_type"]} if values["default_content_type"] else {}


S3 = BucketKind(TABLE, "bucket", ("bucket",), open_s3, "s3")
"""What `S3Store` is made of."""
