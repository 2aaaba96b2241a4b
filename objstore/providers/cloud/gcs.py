"""Google Cloud Storage: its dialect, and how its settings make a provider.

https://cloud.google.com/storage/docs/xml-api/overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore._core import encode_path
from objstore.credentials.google_chain import GoogleAccess, google_access
from objstore.exceptions import (
    ConfigurationError,
    GenericError,
    InvalidRangeError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    RequestTimeoutError,
    UnauthenticatedError,
)
from objstore.http.client import split_endpoint
from objstore.http.dialect import EXPIRED, THROTTLED, Dialect
from objstore.http.retry import FAILED, UNAVAILABLE, Row
from objstore.providers.cloud.gcs_options import GCS_OPTIONS
from objstore.providers.cloud.kind import BucketKind
from objstore.providers.cloud.settings_only import SettingsOnly, Source
from objstore.settings.options import RetryOptions, Settings, Table

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = Table("GCSStore", ("google_",), GCS_OPTIONS)

DIALECT = Dialect(
    store="GCSStore",
    metadata="x-goog-meta-",
    version_header="x-goog-generation",
    version_query="generation",
    storage_class="x-goog-storage-class",
    tags="",
    copy_source="x-goog-copy-source",
    request_id="x-guploader-uploadid",
    codes={
        "AccessDenied": Row(PermissionDeniedError, "access is denied"),
        "AuthenticationRequired": Row(UnauthenticatedError, "the server wants a valid credential", "credential"),
        "EntityTooSmall": Row(GenericError, "a part but the last is smaller than the service takes"),
        "ExpiredToken": EXPIRED,
        "InternalError": FAILED,
        "InvalidRange": Row(InvalidRangeError, "the range lies outside the object"),
        "NoSuchBucket": Row(NotFoundError, "there is no such bucket"),
        "NoSuchKey": Row(NotFoundError, "there is no such object"),
        "NoSuchUpload": Row(NotFoundError, "there is no such multipart upload"),
        "ObjectUnderActiveHold": Row(PermissionDeniedError, "the object is on hold"),
        "PreconditionFailed": Row(PreconditionError, "a precondition does not hold"),
        "RequestTimeTooSkewed": Row(PermissionDeniedError, "this machine's clock is wrong", "clock"),
        "RequestTimeout": Row(RequestTimeoutError, "the server gave up waiting for the request", "always"),
        "RetentionPolicyNotMet": Row(PermissionDeniedError, "the bucket must keep the object for longer"),
        "ServiceUnavailable": UNAVAILABLE,
        "SignatureDoesNotMatch": Row(PermissionDeniedError, "the signature is wrong"),
        "SlowDown": THROTTLED,
        "TokenRefreshRequired": EXPIRED,
        "UserProjectMissing": Row(PermissionDeniedError, "the requester must pay, and names no project"),
    },
    hints={
        "AccessDenied": "Check that the account's roles allow the operation on this bucket.",
        "NoSuchBucket": "Check the bucket's name and base_url.",
        "RequestTimeTooSkewed": "Set the clock of this machine.",
    },
    delete_batch=100,
)
"""Source: https://cloud.google.com/storage/docs/xml-api/reference-status"""


def open_gcs(
    settings: Settings, retry: RetryOptions, provider: Callable[[], object] | None, user_agent: str, prefix: str
) -> SettingsOnly:
    """Make the provider of a bucket.

    Args:
        settings: What the caller and the environment say.
        retry: What is tried again.
        provider: The caller's own source of credentials.
        user_agent: The User-Agent where the caller set none.
        prefix: What the store puts in front of paths.

    Raises:
        ConfigurationError: The settings contradict each other, one is missing, or a file of credentials cannot be used.
    """
    values = settings.values
    bucket = values["bucket"]
    if not bucket:
        raise ConfigurationError("GCSStore needs a bucket", hint="Give its name as the first argument.")
    access = google_access(values, provider, user_agent)
    origin, base = _address(values, access)
    name = access.credentials.source
    return SettingsOnly(DIALECT, origin, f"{base}/{encode_path(bucket).decode()}", Source(name))


def _address(values: Any, access: GoogleAccess) -> tuple[str, str]:
    """Return the origin, and the path of the service below it."""
    emulator = values["emulator_host"]
    if values["base_url"]:
        return split_endpoint(values["base_url"], values["allow_http"])
    if emulator:
        return split_endpoint(emulator if "://" in emulator else f"http://{emulator}", True)
    return split_endpoint(access.base_url or f"https://storage.{access.universe_domain}", values["allow_http"])


GCS = BucketKind(TABLE, "bucket", ("bucket",), open_gcs, "gcs")
"""What `GCSStore` is made of."""
