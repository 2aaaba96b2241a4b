"""What Azure Blob Storage calls things, and what its error codes mean: a table, no logic.

https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from __future__ import annotations

from objstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    InvalidRangeError,
    NotFoundError,
    ObjectChangedError,
    PermissionDeniedError,
    PreconditionError,
    RequestTimeoutError,
)
from objstore.http.dialect import EXPIRED, THROTTLED, Dialect
from objstore.http.retry import FAILED, Row

_BUSY = Row(GenericError, "another operation on it is under way", "always", refused=True)
_DAMAGED = Row(GenericError, "the bytes arrived damaged", "always", refused=True)
_CONFLICT = Row(GenericError, "it conflicts with what is there")
_THERE = Row(AlreadyExistsError, "there is a blob already")
_LEASED = Row(PreconditionError, "the blob or container is leased")
_MISSING = Row(NotFoundError, "there is no such object")
_KEPT = Row(PermissionDeniedError, "a policy or a legal hold keeps the blob from being changed")
_KEYED = Row(GenericError, "the blob is encrypted by a key of its caller's, and not by the one that was given")
_FULL_DIRECTORY = Row(GenericError, "it is a directory with something in it")

COPIES = (201, 202)
"""The statuses of a copy that is made, or being made: it is asked about until it is."""

DIALECT = Dialect(
    store="AzureStore",
    container="container",
    metadata="x-ms-meta-",
    version_header="x-ms-version-id",
    version_query="versionid",
    attributes={"Storage-Class": "x-ms-access-tier"},
    encryption="x-ms-encryption-",
    written={
        "Cache-Control": "x-ms-blob-cache-control",
        "Content-Disposition": "x-ms-blob-content-disposition",
        "Content-Encoding": "x-ms-blob-content-encoding",
        "Content-Language": "x-ms-blob-content-language",
        "Content-Type": "x-ms-blob-content-type",
    },
    tells_written=True,
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
        "BlobCustomerSpecifiedEncryptionMismatch": _KEYED,
        "BlobDoesNotUseCustomerSpecifiedEncryption": Row(GenericError, "the blob is not encrypted by a caller's key"),
        "BlobImmutableDueToLegalHold": _KEPT,
        "BlobImmutableDueToPolicy": _KEPT,
        "BlobNotFound": _MISSING,
        "BlobUsesCustomerSpecifiedEncryption": _KEYED,
        "BlockCountExceedsLimit": Row(GenericError, "too many blocks are there that no blob is made of"),
        "CannotVerifyCopySource": Row(GenericError, "the service cannot read what is to be copied"),
        "ContainerAlreadyExists": Row(AlreadyExistsError, "the container exists already"),
        "ContainerBeingDeleted": Row(NotFoundError, "the container is being deleted"),
        "ContainerDisabled": Row(PermissionDeniedError, "the container is disabled"),
        "ContainerNotFound": Row(NotFoundError, "there is no such container"),
        "Crc64Mismatch": _DAMAGED,
        "DestinationPathIsBeingDeleted": _BUSY,
        "DirectoryIsNotEmpty": _FULL_DIRECTORY,
        "DirectoryNotEmpty": _FULL_DIRECTORY,
        "ExpiredAuthenticationToken": EXPIRED,
        "FilesystemBeingDeleted": Row(NotFoundError, "the container is being deleted"),
        "FilesystemNotFound": Row(NotFoundError, "there is no such container"),
        "InternalError": FAILED,
        "InvalidAuthenticationInfo": EXPIRED,
        "InvalidBlobOrBlock": Row(GenericError, "somebody else began an upload whose block ids have another length"),
        "InvalidBlobType": Row(GenericError, "the blob is not a block blob"),
        "InvalidBlockList": Row(GenericError, "blocks are gone: after a week, or by another write"),
        "InvalidRange": Row(InvalidRangeError, "the range lies outside the object"),
        "LeaseAlreadyPresent": _LEASED,
        "LeaseIdMismatchWithBlobOperation": _LEASED,
        "LeaseIdMissing": _LEASED,
        "Md5Mismatch": _DAMAGED,
        "OperationNotAllowedOnRootBlob": Row(PermissionDeniedError, "it is the version that a read without one gets"),
        "OperationTimedOut": Row(RequestTimeoutError, "the server could not finish in time", "safe"),
        "PathAlreadyExists": _THERE,
        "PathNotFound": _MISSING,
        "PendingCopyOperation": _BUSY,
        "PublicAccessNotPermitted": Row(PermissionDeniedError, "the account allows no anonymous access"),
        "RenameDestinationParentPathNotFound": Row(NotFoundError, "the directory of the new name does not exist"),
        "ResourceNotFound": _MISSING,
        "ResourceTypeMismatch": Row(GenericError, "it is a directory, or would be in a blob"),
        "ServerBusy": THROTTLED,
        "SnapshotsPresent": Row(GenericError, "the blob has snapshots"),
        "SourceConditionNotMet": Row(ObjectChangedError, "the object was replaced while it was copied"),
        "SourcePathIsBeingDeleted": _BUSY,
        "SourcePathNotFound": _MISSING,
    },
    successes={"PUT": (200, 201, 204), "POST": (200, 202), "DELETE": (200, 202, 204)},
    statuses={(method, 409): _CONFLICT for method in ("GET", "HEAD", "PUT", "POST", "DELETE")},
    hints={
        "AuthenticationFailed": "Check account_key or sas_key, and the clock of this machine.",
        "AuthorizationFailure": "Check that the account's firewall lets this machine in, and what the token allows.",
        "AuthorizationPermissionMismatch": "Check the role of the identity, or what the signature allows.",
        "ContainerNotFound": "Check container_name, account_name and endpoint.",
        "DirectoryIsNotEmpty": "Delete what is in it by delete_prefix: the directory goes with it.",
        "DirectoryNotEmpty": "Delete what is in it by delete_prefix: the directory goes with it.",
        "BlobArchived": "Set its tier to Hot or Cool, and wait until that is done.",
        "BlobCustomerSpecifiedEncryptionMismatch": "Give the encryption_key that it was written with.",
        "BlobDoesNotUseCustomerSpecifiedEncryption": "Read it by a store without encryption_key.",
        "BlobUsesCustomerSpecifiedEncryption": "Give the encryption_key that it was written with.",
        "BlockCountExceedsLimit": "Write the object by one request, or wait: they go after a week.",
        "OperationNotAllowedOnRootBlob": "Delete the object without a version first: that makes an earlier one of it.",
        "BlobImmutableDueToLegalHold": "Clear the legal hold of the blob or its container.",
        "BlobImmutableDueToPolicy": "Wait until the policy of the blob or its container has ended.",
        "CannotVerifyCopySource": "Check that the service can reach the source, and that the credential may read it.",
        "InvalidBlobOrBlock": "Write it by one request (use_multipart=False), which drops them, or wait a week.",
        "InvalidBlockList": "Write the object again.",
        "InvalidMetadata": "Give names of letters, digits and underscores, as the service wants them.",
        "LeaseIdMissing": "Wait until the lease ends, or break it.",
        "PublicAccessNotPermitted": "Give a credential, and leave skip_signature out.",
        "SnapshotsPresent": "Delete its snapshots first; deleted with it, they would be gone for good.",
    },
    most_parts=50_000,
    smallest_part=256 << 10,  # ours: the service takes any, but a request for a few bytes each is never meant
    delete_batch=256,
)
"""Source: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes"""
