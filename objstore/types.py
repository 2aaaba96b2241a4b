"""The shapes of what goes into a store and what comes out, for annotations and at run time.

Results are plain dicts, as the public face promises; these are their types. This module imports nothing of the library.

Its one invariant: every name can be imported at run time on every supported Python.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import (
    IO,
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
)

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from os import PathLike

    from typing_extensions import Buffer
elif sys.version_info >= (3, 12):
    from collections.abc import Buffer
else:
    Buffer = bytes | bytearray | memoryview

__all__ = [
    "HTTP_METHOD",
    "Attribute",
    "Attributes",
    "AzureAccessKey",
    "AzureBearerToken",
    "AzureConfig",
    "AzureCredential",
    "AzureCredentialProvider",
    "AzureKeywords",
    "AzureSASToken",
    "BackoffConfig",
    "Buffer",
    "ClientConfig",
    "CredentialInfo",
    "GCSConfig",
    "GCSCredential",
    "GCSCredentialProvider",
    "GCSKeywords",
    "GetOptions",
    "ListChunkType",
    "ListResult",
    "Listed",
    "ObjectHead",
    "ObjectMeta",
    "ObjectVersion",
    "OffsetRange",
    "Progress",
    "PutInput",
    "PutItem",
    "PutMode",
    "PutOptions",
    "PutResult",
    "Request",
    "RequestInfo",
    "RestoreState",
    "RetryConfig",
    "S3Config",
    "S3Credential",
    "S3CredentialProvider",
    "S3Keywords",
    "SignedPost",
    "StoreStats",
    "SuffixRange",
    "SyncAction",
    "SyncResult",
    "Transfer",
    "UpdateVersion",
    "UploadPart",
]

HTTP_METHOD: TypeAlias = Literal["GET", "PUT", "POST", "HEAD", "PATCH", "TRACE", "DELETE", "OPTIONS", "CONNECT"]
"""The methods that a URL can be signed for."""

Attribute: TypeAlias = (
    Literal[
        "Content-Disposition",
        "Content-Encoding",
        "Content-Language",
        "Content-Type",
        "Cache-Control",
        "Storage-Class",
    ]
    | str
)
"""The name of an attribute: one of the reserved ones, in any case, or else a name of the user's own metadata."""

Attributes: TypeAlias = dict[Attribute, str]
"""What is stored with an object beside its bytes."""


class RestoreState(TypedDict):
    """How far an archived object is restored: whether that is under way, and until when it can be read then."""

    ongoing: bool
    expiry: datetime | None


class ObjectMeta(TypedDict):
    """What a store says about an object: time in UTC, size in bytes."""

    path: str
    last_modified: datetime
    size: int
    e_tag: str | None
    version: str | None


class Listed(TypedDict):
    """What is enough of an ObjectMeta to say which object is meant, and how large it is."""

    path: str
    size: int


class ObjectHead(ObjectMeta):
    """The same, as `head` tells it: with ``restore``, of an archived object that is restored, or being restored."""

    restore: NotRequired[RestoreState]


class ObjectVersion(ObjectMeta):
    """What a store says about one version of an object, or about the mark that it was deleted."""

    is_latest: bool
    delete_marker: bool


class PutResult(TypedDict):
    """What a store says about an object just written."""

    e_tag: str | None
    version: str | None


ListChunkType = TypeVar("ListChunkType", covariant=True)
"""The type of a page of a listing: ``Sequence[ObjectMeta]``, or an Arrow table or record batch."""


class Transfer(NamedTuple):
    """A file that was uploaded, or an object that was downloaded.

    Args:
        file: The local file.
        path: The path of the object.
        size: How many bytes it has.
    """

    file: Path
    path: str
    size: int


class SyncAction(NamedTuple):
    """What `sync` does with one object.

    Args:
        action: Whether it is copied to the target, deleted there, or the same on both sides.
        path: Its path, below the prefixes.
        size: How many bytes it has.
    """

    action: Literal["copy", "delete", "same"]
    path: str
    size: int


class SyncResult(NamedTuple):
    """What `sync` has done.

    Args:
        copied: How many objects were copied.
        deleted: How many were deleted at the target.
        same: How many were the same on both sides.
        bytes: How many bytes those have that were copied.
    """

    copied: int
    deleted: int
    same: int
    bytes: int


class UploadPart(NamedTuple):
    """A part of an upload that has arrived, by whoever sent it.

    Args:
        number: Which it is, from 1 on.
        e_tag: What the store calls these bytes.
        size: How many there are.
        checksum: Their checksum, in Base64, where the store was sent one.
    """

    number: int
    e_tag: str
    size: int
    checksum: str | None = None


class BucketMeta(TypedDict):
    """What is known about a bucket: its name, and when it was made (Azure: last changed), where the service says so."""

    name: str
    created: datetime | None


class SignedPost(TypedDict):
    """A form that carries its own signature: the URL to post it to as ``multipart/form-data``, and the fields that come
    before that of the file, which is called ``file`` and is the last."""

    url: str
    fields: dict[str, str]


class ListResult(TypedDict, Generic[ListChunkType]):
    """One level of a listing: the prefixes below it (with no trailing slash) and the objects in it."""

    common_prefixes: Sequence[str]
    objects: ListChunkType


class OffsetRange(TypedDict):
    """All bytes from ``offset`` on."""

    offset: int


class SuffixRange(TypedDict):
    """The last ``suffix`` bytes."""

    suffix: int


class GetOptions(TypedDict, total=False):
    """Conditions and choices of a read; ``None`` is the same as leaving the key out.

    Times are aware. ``range`` is ``(start, end)`` in bytes with ``end`` exclusive, or an offset, or a suffix. ``head``
    asks for everything but the body.
    """

    if_match: str | None
    if_none_match: str | None
    if_modified_since: datetime | None
    if_unmodified_since: datetime | None
    range: tuple[int, int] | Sequence[int] | OffsetRange | SuffixRange
    version: str | None
    head: bool


class StreamOptions(GetOptions, total=False):
    """The same, of a body that is read as a stream: ``read_ahead`` is the most bytes that it fetches before they are
    asked for."""

    read_ahead: int | None


class UpdateVersion(TypedDict, total=False):
    """The version of an object that a write may replace."""

    e_tag: str | None
    version: str | None


PutMode: TypeAlias = Literal["create", "overwrite"] | UpdateVersion
"""Whether a write must create the object, may replace it, or may replace one version only."""

PutInput: TypeAlias = str | Path | IO[bytes] | Buffer | Iterable[Buffer] | AsyncIterable[Buffer]
"""What can be uploaded: a local file (path or open binary file), a buffer, or an iterable of buffers."""

Progress: TypeAlias = Callable[[int, int, int], object]
"""What is told how far an operation is: how much is done, how much there is, and how many bytes have been moved.

Much is counted in requests or parts; where objects are listed or deleted, in objects, and there are no bytes.
"""

Request: TypeAlias = str | tuple[str, int, int | None] | tuple[str, int, int | None, str | None]
"""An item of ``get_many``: a path, or ``(path, start, end)`` in bytes, where ``None`` is the end of the object, or
``(path, start, end, e_tag)`` for the one version that is meant; ``(path, 0, None, e_tag)`` is all of it."""


class PutOptions(TypedDict, total=False):
    """What is stored with one of many objects, and what it may replace: as of ``put``."""

    attributes: Attributes | None
    tags: dict[str, str] | None
    mode: PutMode | None


PutItem: TypeAlias = tuple[str, PutInput] | tuple[str, PutInput, PutOptions]
"""An item of ``put_many``: ``(path, bytes)``, or ``(path, bytes, options)``, which count for more than those of all."""


class RequestInfo(NamedTuple):
    """How one try of a request ended, as a hook of ``objstore.configure`` is told.

    Args:
        method: The method.
        url: Where it was sent, without the query, which may hold secrets.
        store: The name of the store's class; None for a request that belongs to no store, as one for a token.
        bucket: The bucket or container, where there is one.
        path: The object it was about, or the prefix that was listed.
        status: The status of the reply, None where none came.
        error: What went wrong with the connection, None where nothing did.
        attempt: Which try it was, from 1 on.
        connection: Whether one was made for it; None where there was none.
        bytes_sent: The bytes of its body.
        bytes_received: Those of the body of the reply.
        started: When it began, in seconds since 1970.
        wait: After how many seconds the reply began, None where none did.
        seconds: How long all of it took.
        request_id: What the service calls it in its own logs.
    """

    method: str
    url: str
    store: str | None
    bucket: str | None
    path: str
    status: int | None
    error: str | None
    attempt: int
    connection: Literal["new", "used"] | None
    bytes_sent: int
    bytes_received: int
    started: float
    wait: float | None
    seconds: float
    request_id: str | None


class StoreStats(TypedDict):
    """What the requests of a store have come to, by the calls that have ended.

    ``requests`` counts every try, ``retries`` those that were not the first, ``connections`` those made for them;
    ``hedges`` the late reads that were asked for twice at a time (``hedge`` in ``client_options``), where one of the
    two was dropped and counts for nothing else; ``bytes_sent`` and ``bytes_received`` are of bodies. ``errors`` has how
    many requests failed for good, by the name of the error. ``waits`` has the seconds after which replies to requests
    without a body began: ``p50``, ``p90`` and ``p99``, a quarter too high at the most. ``origin`` is what
    ``engine_info`` knows of the place they are sent to, None where it knows nothing.
    """

    requests: int
    retries: int
    connections: int
    hedges: int
    bytes_sent: int
    bytes_received: int
    errors: dict[str, int]
    waits: dict[str, float]
    origin: dict[str, Any] | None


class ClientConfig(TypedDict, total=False):
    """Settings of the HTTP client; times are seconds, a timedelta, or a text such as ``"1m 30s"``."""

    allow_http: bool | str
    allow_invalid_certificates: bool | str
    connect_timeout: float | timedelta | str
    default_content_type: str
    default_headers: dict[str, str] | dict[str, bytes]
    disable_system_certificates: bool | str
    first_byte_timeout: float | timedelta | str
    hedge: bool | str
    http1_only: bool | str
    http2_keep_alive_interval: float | timedelta | str
    http2_keep_alive_timeout: float | timedelta | str
    http2_keep_alive_while_idle: bool | str
    http2_max_frame_size: int | str
    http2_only: bool | str
    max_connections: int | str
    pool_idle_timeout: float | timedelta | str
    pool_max_idle_per_host: int | str
    proxy_ca_certificate: str | bytes
    proxy_excludes: str
    proxy_url: str
    randomize_addresses: bool | str
    read_timeout: float | timedelta | str
    resolve_interval: float | timedelta | str
    root_certificate: str | bytes
    stall_timeout: float | timedelta | str
    timeout: float | timedelta | str
    user_agent: str


class BackoffConfig(TypedDict, total=False):
    """How long to wait between tries; times are seconds or a timedelta."""

    init_backoff: timedelta | float
    max_backoff: timedelta | float
    base: float


class RetryConfig(TypedDict, total=False):
    """How often, and for how long, a failed request is tried again."""

    backoff: BackoffConfig
    max_retries: int
    retry_timeout: timedelta | float


class S3Keywords(TypedDict, total=False):
    """Settings of an S3 store that may be given as keyword arguments; each may also carry the prefix ``aws_``."""

    access_key_id: str
    aws_endpoint_url_s3: str
    checksum_algorithm: Literal["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] | str
    conditional_delete: Literal["etag", "disabled"] | str
    conditional_put: Literal["etag", "disabled"] | str
    container_authorization_token_file: str
    container_credentials_full_uri: str
    container_credentials_relative_uri: str
    copy_if_not_exists: str
    default_region: str
    disable_bulk_delete: bool | str
    disable_tagging: bool | str
    endpoint: str
    endpoint_url_s3: str
    endpoint_url_sts: str
    ignore_configured_endpoint_urls: bool | str
    imdsv1_fallback: bool | str
    metadata_endpoint: str
    profile: str
    region: str
    request_checksum_calculation: Literal["when_supported", "when_required"] | str
    request_payer: bool | str
    response_checksum_validation: Literal["when_supported", "when_required"] | str
    role_arn: str
    role_session_name: str
    s3_disable_express_session_auth: bool | str
    s3_disable_multiregion_access_points: bool | str
    s3_express: bool | str
    s3_express_session_mode: Literal["ReadWrite", "ReadOnly"] | str
    s3_use_arn_region: bool | str
    secret_access_key: str
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse", "sse-c"] | str
    session_token: str
    skip_signature: bool | str
    sse_bucket_key_enabled: bool | str
    sse_customer_key_base64: str
    sse_kms_encryption_context: dict[str, str] | str
    sse_kms_key_id: str
    unsigned_payload: bool | str
    use_accelerate_endpoint: bool | str
    use_dualstack_endpoint: bool | str
    use_fips_endpoint: bool | str
    virtual_hosted_style_request: bool | str
    web_identity_token_file: str


class S3Config(S3Keywords, total=False):
    """Settings of an S3 store."""

    bucket: str


class S3Credential(TypedDict):
    """What a credential provider of an S3 store returns; ``expires_at`` is aware, or ``None`` for never."""

    access_key_id: str
    secret_access_key: str
    token: NotRequired[str | None]
    expires_at: datetime | None


class CredentialInfo(TypedDict):
    """Where a store's credential came from, and when it ends; ``None`` for never, or for none yet."""

    source: str
    expires_at: datetime | None


class S3CredentialProvider(Protocol):
    """A function that returns a credential, or a coroutine that does."""

    def __call__(self) -> S3Credential | Coroutine[Any, Any, S3Credential]:
        """Return a credential that is valid now."""
        ...


class GCSKeywords(TypedDict, total=False):
    """Settings of a GCS store that may be given as keyword arguments; each may also carry the prefix ``google_``."""

    access_key_id: str
    application_credentials: str | PathLike[str]
    base_url: str
    bearer_token: str
    emulator_host: str
    encryption_key: str
    kms_key_name: str
    project_id: str
    secret_access_key: str
    service_account: str | PathLike[str]
    service_account_key: str
    skip_signature: bool | str
    universe_domain: str
    user_project: str


class GCSConfig(GCSKeywords, total=False):
    """Settings of a GCS store."""

    bucket: str


class GCSCredential(TypedDict):
    """What a credential provider of a GCS store returns; ``expires_at`` is aware, or ``None`` for never."""

    token: str
    expires_at: datetime | None


class GCSCredentialProvider(Protocol):
    """A function that returns a credential, or a coroutine that does."""

    def __call__(self) -> GCSCredential | Coroutine[Any, Any, GCSCredential]:
        """Return a credential that is valid now."""
        ...


class AzureKeywords(TypedDict, total=False):
    """Settings of an Azure store that may be given as keyword arguments; each may also carry ``azure_``."""

    account_key: str
    account_name: str
    api_version: str
    authority_host: str
    checksum_algorithm: Literal["crc64nvme", "md5"] | str
    client_certificate_password: str
    client_certificate_path: str | PathLike[str]
    client_id: str
    client_secret: str
    client_send_certificate_chain: bool | str
    connection_string: str
    credential_type: str
    disable_tagging: bool | str
    emulator_url: str
    encryption_key: str
    endpoint: str
    fabric_cluster_identifier: str
    fabric_session_token: str
    fabric_token_service_url: str
    fabric_workload_host: str
    federated_token_file: str | PathLike[str]
    msi_endpoint: str
    msi_resource_id: str
    object_id: str
    sas_key: str
    skip_signature: bool | str
    tenant_id: str
    token: str
    use_azure_cli: bool | str
    use_emulator: bool | str
    use_fabric_endpoint: bool | str


class AzureConfig(AzureKeywords, total=False):
    """Settings of an Azure store."""

    container_name: str


class AzureAccessKey(TypedDict):
    """A key of a storage account, in Base64; ``expires_at`` is aware, or ``None`` for never."""

    access_key: str
    expires_at: datetime | None


class AzureSASToken(TypedDict):
    """A shared access signature: a query, or its names and values decoded, as pairs."""

    sas_token: str | list[tuple[str, str]]
    expires_at: datetime | None


class AzureBearerToken(TypedDict):
    """An access token."""

    token: str
    expires_at: datetime | None


AzureCredential: TypeAlias = AzureAccessKey | AzureSASToken | AzureBearerToken
"""What a credential provider of an Azure store returns."""


class AzureCredentialProvider(Protocol):
    """A function that returns a credential, or a coroutine that does.

    It may have the attributes ``config`` (settings that the caller left out) and ``prefix``.
    """

    def __call__(self) -> AzureCredential | Coroutine[Any, Any, AzureCredential]:
        """Return a credential that is valid now."""
        ...
