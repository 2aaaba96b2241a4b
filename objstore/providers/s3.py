"""Amazon S3, and everything that speaks it: its dialect, and how its settings make a provider.

https://docs.aws.amazon.com/AmazonS3/latest/API/
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from objstore import exceptions as errors
from objstore._core import encode_path
from objstore._http import client_settings, text_headers
from objstore._options import RetryOptions, Settings, Table
from objstore._retry import Policy, Row
from objstore.credentials.aws import Credential
from objstore.credentials.cache import CredentialCache
from objstore.exceptions import ConfigurationError
from objstore.providers.cloud import Cloud
from objstore.providers.dialect import Dialect
from objstore.providers.identity import SigV4
from objstore.providers.provider import BucketKind
from objstore.providers.s3_options import S3_OPTIONS
from objstore.providers.service import Service

TABLE = Table("S3Store", ("aws_",), S3_OPTIONS)

_EXPIRED = Row(errors.UnauthenticatedError, "the credential has expired", "credential")
_THROTTLED = Row(errors.GenericError, "the server asks for fewer requests", "always", throttled=True)
_FAILED = Row(errors.GenericError, "the server failed", "safe")

DIALECT = Dialect(
    store="S3Store",
    metadata="x-amz-meta-",
    version_header="x-amz-version-id",
    version_query="versionId",
    storage_class="x-amz-storage-class",
    tags="x-amz-tagging",
    copy_source="x-amz-copy-source",
    request_id="x-amz-request-id",
    codes={
        "AccessDenied": Row(errors.PermissionDeniedError, "access is denied"),
        "ConditionalRequestConflict": Row(errors.GenericError, "another write was under way", "always"),
        "EntityTooSmall": Row(errors.GenericError, "a part but the last is smaller than the service takes"),
        "ExpiredToken": _EXPIRED,
        "ExpiredTokenException": _EXPIRED,
        "InternalError": _FAILED,
        "InvalidAccessKeyId": Row(errors.PermissionDeniedError, "the service does not know the access key"),
        "InvalidRange": Row(errors.InvalidRangeError, "the range lies outside the object"),
        "InvalidToken": _EXPIRED,
        "NoSuchBucket": Row(errors.NotFoundError, "there is no such bucket"),
        "NoSuchKey": Row(errors.NotFoundError, "there is no such object"),
        "NoSuchUpload": Row(errors.NotFoundError, "there is no such multipart upload"),
        "OperationAborted": Row(errors.GenericError, "another write was under way", "always"),
        "PreconditionFailed": Row(errors.PreconditionError, "a precondition does not hold"),
        "RequestTimeTooSkewed": Row(errors.PermissionDeniedError, "this machine's clock is wrong", "clock"),
        "RequestTimeout": Row(errors.RequestTimeoutError, "the server gave up waiting for the request", "always"),
        "SignatureDoesNotMatch": Row(errors.PermissionDeniedError, "the signature is wrong"),
        "SlowDown": _THROTTLED,
        "ServiceUnavailable": _THROTTLED,
        "TokenRefreshRequired": _EXPIRED,
    },
    hints={
        "InvalidAccessKeyId": "Check access_key_id.",
        "NoSuchBucket": "Check the bucket's name and the endpoint.",
        "SignatureDoesNotMatch": "Check secret_access_key and region.",
        "RequestTimeTooSkewed": "Set the clock of this machine.",
        "AccessDenied": "Check that the key's policy allows the operation on this bucket.",
    },
)


def open_s3(
    settings: Settings, retry: RetryOptions, provider: Callable[[], object] | None, user_agent: str, prefix: str
) -> Cloud:
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
    values = settings.values
    bucket = values["bucket"]
    if not bucket:
        raise ConfigurationError("S3Store needs a bucket", hint="Give its name as the first argument.")
    origin, base = _address(values)
    service = Service(
        DIALECT,
        origin,
        client_settings(values, origin.partition(":")[0], user_agent),
        Policy(retry),
        SigV4(*_credentials(values, provider), _region(values)),
        headers=text_headers(values["default_headers"]),
        prefix=prefix,
        most_in_flight=values["max_connections"],
    )
    payer = {"x-amz-request-payer": "requester"} if values["request_payer"] else {}
    return Cloud(
        service,
        base,
        bucket,
        read_headers={**payer, **_customer_key(values)},
        write_headers={**payer, **_encryption(values), **_default_type(values)},
        sign_payload=values["unsigned_payload"] is False,
        tagging=not values["disable_tagging"],
        bulk_delete=not values["disable_bulk_delete"],
    )


def _region(values: Any) -> str:
    return str(values["region"] or values["default_region"] or "us-east-1")


def _address(values: Any) -> tuple[str, str]:
    """Return the origin, and the path of the bucket below it."""
    bucket = values["bucket"]
    virtual = values["virtual_hosted_style_request"]
    endpoint = values["endpoint_url_s3"] or values["endpoint"]
    if endpoint is None:
        host = f"s3.{_region(values)}.amazonaws.com"
        endpoint = f"https://{bucket}.{host}" if virtual else f"https://{host}"
    parts = urlsplit(endpoint)
    if parts.scheme == "http" and not values["allow_http"]:
        raise ConfigurationError(
            f"The endpoint {endpoint!r} is plain http", hint="Give client_options={'allow_http': True} if you mean it."
        )
    base = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}", base if virtual else f"{base}/{encode_path(bucket).decode()}"


def _credentials(
    values: Any, provider: Callable[[], object] | None
) -> tuple[Credential | None, CredentialCache[Credential] | None]:
    """Return the fixed credential, or the cache of the provider's; neither for anonymous requests."""
    if values["skip_signature"]:
        return None, None
    if provider is not None:
        threshold = getattr(provider, "refresh_threshold", timedelta(minutes=5))
        return None, CredentialCache(provider, threshold)
    key, secret = values["access_key_id"], values["secret_access_key"]
    if bool(key) != bool(secret):
        missing = "secret_access_key" if key else "access_key_id"
        raise ConfigurationError(f"S3Store has half a credential: {missing} is missing", hint=f"Give {missing} too.")
    if key:
        return Credential(key, secret, values["session_token"] or None), None
    return None, CredentialCache(_no_credential)


def _no_credential() -> object:
    raise errors.UnauthenticatedError(
        "There is no credential",
        hint="Give access_key_id and secret_access_key, or a credential_provider, or skip_signature=True.",
    )


def _default_type(values: Any) -> dict[str, str]:
    return {"Content-Type": values["default_content_type"]} if values["default_content_type"] else {}


def _encryption(values: Any) -> dict[str, str]:
    """Return the headers that say how objects are encrypted at rest."""
    algorithm = values["server_side_encryption"]
    if algorithm is None or algorithm == "sse-c":
        return _customer_key(values)
    headers = {"x-amz-server-side-encryption": algorithm}
    if values["sse_kms_key_id"]:
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = values["sse_kms_key_id"]
    if values["sse_bucket_key_enabled"] is not None:
        enabled = str(values["sse_bucket_key_enabled"]).lower()
        headers["x-amz-server-side-encryption-bucket-key-enabled"] = enabled
    return headers


def _customer_key(values: Any) -> dict[str, str]:
    """Return the headers with the caller's own key (SSE-C)."""
    key = values["sse_customer_key_base64"]
    if not key:
        return {}
    digest = hashlib.md5(base64.b64decode(key), usedforsecurity=False).digest()
    return {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": key,
        "x-amz-server-side-encryption-customer-key-MD5": base64.b64encode(digest).decode(),
    }


S3 = BucketKind(TABLE, "bucket", ("bucket",), open_s3)
"""What `S3Store` is made of."""
