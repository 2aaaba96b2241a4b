"""Google Cloud Storage: its dialect, and how its settings make a provider.

https://cloud.google.com/storage/docs/xml-api/overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore._core import encode_path
from objstore.credentials.google import AuthorizedUser, ServiceAccount, read_key, read_key_file
from objstore.credentials.token import AccessToken
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
    source = _source(values, provider)
    origin, base = _address(values, source)
    return SettingsOnly(DIALECT, origin, f"{base}/{encode_path(bucket).decode()}", source)


def _source(values: Any, provider: Callable[[], object] | None) -> Source:
    """Return who we are; a file is read only where nothing else says so."""
    if values["skip_signature"]:
        return Source("anonymous")
    if provider is not None:
        return Source("provider", provider)
    if values["bearer_token"]:
        return Source("bearer_token", AccessToken(values["bearer_token"]))
    if values["emulator_host"] and not values["base_url"]:
        return Source("anonymous")  # a real credential is nothing for it
    key = _key(values)
    if key is not None:
        return Source("anonymous" if isinstance(key, ServiceAccount) and key.anonymous else "key", key)
    return Source("default")


def _key(values: Any) -> ServiceAccount | AuthorizedUser | None:
    path, text = values["service_account"], values["service_account_key"]
    if path and text:
        raise ConfigurationError(
            "GCSStore has two keys, service_account and service_account_key",
            hint="Give the file, or its content, not both.",
        )
    if text:
        return read_key(text, "service_account_key")
    if path:
        return read_key_file(path, "service_account")
    if values["application_credentials"]:
        return read_key_file(values["application_credentials"], "application_credentials")
    return None


def _address(values: Any, source: Source) -> tuple[str, str]:
    """Return the origin, and the path of the service below it."""
    named = source.credential.base_url if isinstance(source.credential, ServiceAccount) else None
    emulator = values["emulator_host"]
    if values["base_url"]:
        return split_endpoint(values["base_url"], values["allow_http"])
    if emulator:
        return split_endpoint(emulator if "://" in emulator else f"http://{emulator}", True)
    return split_endpoint(named or "https://storage.googleapis.com", values["allow_http"])


GCS = BucketKind(TABLE, "bucket", ("bucket",), open_gcs, "gcs")
"""What `GCSStore` is made of."""
