"""Google Cloud Storage: its dialect, and how its settings make a provider.

https://cloud.google.com/storage/docs/apis
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from objstore.credentials.bearer import Bearer
from objstore.credentials.chains.google.chain import GoogleAccess, google_access
from objstore.credentials.hmac_key import HmacKey
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
from objstore.http.client import client_settings, split_endpoint, text_headers
from objstore.http.dialect import EXPIRED, THROTTLED, Dialect
from objstore.http.retry import FAILED, STATUS_ROWS, UNAVAILABLE, Policy, Row
from objstore.http.service import Service
from objstore.providers.cloud.gcs_bucket import GoogleBucket
from objstore.providers.cloud.gcs_objects import EncryptionKeys
from objstore.providers.cloud.gcs_options import GCS_OPTIONS
from objstore.providers.cloud.gcs_xml_bucket import XmlBucket
from objstore.providers.cloud.kind import BucketKind
from objstore.settings.options import RetryOptions, Settings, Table

if TYPE_CHECKING:
    from collections.abc import Callable


PATIENCE = 20
"""How many times as long as for other replies it is waited for those to requests that are much work."""

NO_PAYER = Row(PermissionDeniedError, "the requester must pay, and names no project")
MISSING = Row(NotFoundError, "there is no such object, or bucket")

KEY = ("access_key_id", "secret_access_key")

STRONGER = ("bearer_token", "service_account", "service_account_key", "application_credentials")
"""The credentials before which an HMAC key gives way: all of the service takes them."""

TABLE = Table("GCSStore", ("google_",), GCS_OPTIONS)

DIALECT = Dialect(
    store="GCSStore",
    metadata="x-goog-meta-",
    version_header="x-goog-generation",
    version_query="generation",
    attributes={"Storage-Class": "x-goog-storage-class"},
    encryption="x-goog-encryption-",
    tells_written=True,
    tags="",
    copy_source="x-goog-copy-source",
    request_id="x-guploader-uploadid",
    codes={
        "AccessDenied": Row(PermissionDeniedError, "access is denied"),
        "AuthenticationRequired": Row(UnauthenticatedError, "the server wants a valid credential", "credential"),
        "EntityTooSmall": Row(GenericError, "a part but the last is smaller than the service takes"),
        "ExpiredToken": EXPIRED,
        "InternalError": FAILED,
        "InvalidAccessKeyId": Row(PermissionDeniedError, "the service does not know the HMAC key"),
        "InvalidSecurity": Row(PermissionDeniedError, "the service does not take the HMAC key"),
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
        "UserProjectMissing": NO_PAYER,
        "authError": Row(UnauthenticatedError, "the server wants a valid credential", "credential"),
        "backendError": UNAVAILABLE,
        "conditionNotMet": Row(PreconditionError, "a precondition does not hold"),
        "conflict": Row(GenericError, "it conflicts with what is there"),
        "forbidden": Row(PermissionDeniedError, "access is denied"),
        "insufficientPermissions": Row(PermissionDeniedError, "access is denied"),
        "internalError": FAILED,
        "notFound": MISSING,
        "notModified": STATUS_ROWS[304],
        "objectUnderActiveHold": Row(PermissionDeniedError, "the object is on hold"),
        "quotaExceeded": Row(GenericError, "a quota of the project is used up"),
        "rateLimitExceeded": THROTTLED,
        "requestedRangeNotSatisfiable": Row(InvalidRangeError, "the range lies outside the object"),
        "required": Row(UnauthenticatedError, "the server wants a credential", "credential"),
        "requestTimeout": Row(RequestTimeoutError, "the server gave up waiting for the request", "always"),
        "retentionPolicyNotMet": Row(PermissionDeniedError, "the bucket must keep the object for longer"),
        "uploadBrokenConnection": UNAVAILABLE,
        "userProjectAccessDenied": Row(PermissionDeniedError, "the project that is to pay may not be used"),
        "userProjectInvalid": Row(PermissionDeniedError, "there is no such project to pay"),
        "userProjectMissing": NO_PAYER,
        "userRateLimitExceeded": THROTTLED,
    },
    hints={
        "AccessDenied": "Check that the account's roles allow the operation on this bucket.",
        "InvalidAccessKeyId": "Check access_key_id.",
        "InvalidSecurity": "Check access_key_id and secret_access_key.",
        "NoSuchBucket": "Check the bucket's name and base_url.",
        "RequestTimeTooSkewed": "Set the clock of this machine.",
        "SignatureDoesNotMatch": "Check secret_access_key.",
        "UserProjectMissing": "Name the project that pays in user_project.",
        "authError": "Check the credential.",
        "forbidden": "Check that the account's roles allow the operation on this bucket.",
        "notFound": "Check the bucket's name and base_url, if it is not the object that is missing.",
        "userProjectMissing": "Name the project that pays in user_project.",
    },
    delete_batch=100,
)
"""By the codes of the XML API, and the reasons of the JSON API.

https://cloud.google.com/storage/docs/xml-api/reference-status
https://cloud.google.com/storage/docs/json_api/v1/status-codes
"""


def open_gcs(
    settings: Settings, retry: RetryOptions, provider: Callable[[], object] | None, user_agent: str, prefix: str
) -> GoogleBucket:
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
    key = _hmac_key(settings, provider)
    access = google_access({**values, "skip_signature": True} if key else values, provider, user_agent)
    origin, api = _address(values, access)
    payer = {"x-goog-user-project": values["user_project"]} if values["user_project"] else {}
    service = Service(
        DIALECT,
        origin,
        client_settings(values, origin.partition(":")[0], user_agent),
        Policy(retry),
        key.identity() if key else Bearer(access.credentials, {**access.headers, **payer}),
        headers=text_headers(values["default_headers"]) | (payer if key else {}),
        most_connections=values["max_connections"],
        takes_many=(urlsplit(origin).hostname or "").endswith("googleapis.com"),
        bucket=bucket,
        prefix=prefix,
        patient_settings=client_settings(values, origin.partition(":")[0], user_agent, patience=PATIENCE),
    )
    kind = XmlBucket if key else GoogleBucket
    made = kind(service, api, bucket, values["default_content_type"] or "", _keys(values, origin))
    made.signer = key or access.signer
    made.project = values["project_id"] or ""
    made.payer = values["user_project"] or ""
    return made


def _hmac_key(settings: Settings, provider: Callable[[], object] | None) -> HmacKey | None:
    """Return the HMAC key that requests are signed by; None where another credential is given, or none is wanted."""
    values = settings.values
    name, secret = values["access_key_id"], values["secret_access_key"]
    if not (name or secret) or provider is not None or values["skip_signature"]:
        return None
    to_emulator = values["emulator_host"] and not values["base_url"]
    if any(values[other] for other in STRONGER) or (to_emulator and not {*KEY} & settings.config.keys()):
        return None  # a real credential of the environment is nothing for an emulator
    if not (name and secret):
        raise ConfigurationError(
            f"GCSStore has {'access_key_id' if name else 'secret_access_key'} alone, which is half of an HMAC key",
            hint="Give access_key_id and secret_access_key.",
        )
    return HmacKey(name, secret)


def _keys(values: Any, origin: str) -> EncryptionKeys:
    """Return what objects are encrypted with.

    https://cloud.google.com/storage/docs/encryption/customer-supplied-keys
    """
    key, kms = values["encryption_key"], values["kms_key_name"]
    if not key:
        return EncryptionKeys(kms=kms or "")
    if kms:
        raise ConfigurationError(
            "GCSStore has two keys to encrypt by, encryption_key and kms_key_name", hint="Give one of them."
        )
    if not origin.startswith("https:"):
        raise ConfigurationError(
            f"encryption_key would be sent in the clear to {origin}", hint="Give a base_url with https."
        )
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode()
    told = {"algorithm": "AES256", "key": key, "key-sha256": digest}
    return EncryptionKeys({f"x-goog-encryption-{name}": value for name, value in told.items()})


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
