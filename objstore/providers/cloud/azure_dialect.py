"""What Azure Blob Storage calls things, and what its error codes mean: a table, no logic.

https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from __future__ import annotations

from objstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    InvalidRangeError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    RequestTimeoutError,
)
from objstore.http.dialect import EXPIRED, THROTTLED, Dialect
from objstore.http.retry import FAILED, Row

_BUSY = Row(GenericError, "another operation on it is under way", "always")
_CONFLICT = Row(GenericError, "it conflicts with what is there")
_THERE = Row(AlreadyExistsError, "there is a blob already")
_LEASED = Row(PreconditionError, "the blob or container is leased")

DIALECT = Dialect(
    store="AzureStore",
    container="container",
    metadata="x-ms-meta-",
    version_header="x-ms-version-id",
    version_query="versionid",
    storage_class="x-ms-access-tier",
    written={
        "Cache-Control": "x-ms-blob-cache-control",
        "Content-Disposition": "x-ms-blob-content-disposition",
        "Content-Encoding": "x-ms-blob-content-encoding",
        "Content-Language": "x-ms-blob-content-language",
        "Content-Type": "x-ms-blob-content-type",
    },
    tags="x-ms-tags",
    copy_source="x-ms-copy-source",
    request_id="x-ms-request-id",
    error_code="x-ms-error-code",
    codes={
        "AccountIsDisabled": Row(PermissionDeniedError, "the storage account is disabled"),
        "AuthenticationFailed": Row(PermissionDeniedError, "the credential is not accepted", "credential"),
        "BlobAlreadyExists": _THERE,
        "BlobArchived": Row(GenericError, "the blob is archived and must be rehydrated first"),
        "BlobBeingRehydrated": Row(GenericError, "the blob is being rehydrated"),
        "BlobNotFound": Row(NotFoundError, "there is no such object"),
        "BlobImmutableDueToPolicy": Row(PermissionDeniedError, "a policy keeps the blob from being changed"),
        "CannotVerifyCopySource": Row(GenericError, "the service cannot read what is to be copied"),
        "ContainerBeingDeleted": Row(NotFoundError, "the container is being deleted"),
        "ContainerDisabled": Row(PermissionDeniedError, "the container is disabled"),
        "ContainerNotFound": Row(NotFoundError, "there is no such container"),
        "DirectoryIsNotEmpty": Row(GenericError, "it is a directory with something in it"),
        "ExpiredAuthenticationToken": EXPIRED,
        "InternalError": FAILED,
        "InvalidAuthenticationInfo": EXPIRED,
        "InvalidBlobOrBlock": Row(GenericError, "somebody else began an upload whose block ids have another length"),
        "InvalidBlobType": Row(GenericError, "the blob is not a block blob"),
        "InvalidBlockList": Row(GenericError, "blocks are gone: after a week, or by another write"),
        "InvalidRange": Row(InvalidRangeError, "the range lies outside the object"),
        "LeaseAlreadyPresent": _LEASED,
        "LeaseIdMismatchWithBlobOperation": _LEASED,
        "LeaseIdMissing": _LEASED,
        "Md5Mismatch": Row(GenericError, "the bytes arrived damaged", "always"),
        "OperationTimedOut": Row(RequestTimeoutError, "the server could not finish in time", "safe"),
        "PendingCopyOperation": _BUSY,
        "PublicAccessNotPermitted": Row(PermissionDeniedError, "the account allows no anonymous access"),
        "ServerBusy": THROTTLED,
        "ResourceNotFound": Row(NotFoundError, "there is no such object"),
        "SnapshotsPresent": Row(GenericError, "the blob has snapshots"),
    },
    statuses={(method, 409): _CONFLICT for method in ("GET", "HEAD", "PUT", "POST", "DELETE")},
    hints={
        "AuthenticationFailed": "Check account_key or sas_key, and the clock of this machine.",
        "AuthorizationFailure": "Check that the account's firewall lets this machine in, and what the token allows.",
        "AuthorizationPermissionMismatch": "Check the role of the identity, or what the signature allows.",
        "ContainerNotFound": "Check container_name, account_name and endpoint.",
        "InvalidMetadata": "Give names of letters, digits and underscores, as the service wants them.",
        "PublicAccessNotPermitted": "Give a credential, and leave skip_signature out.",
    },
    most_parts=50_000,
    smallest_part=256 << 10,  # ours: the service takes any, but a request for a few bytes each is never meant
    delete_batch=256,
)
"""Source: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes"""
