"""Azure Blob Storage: its dialect, and how its settings make a provider.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objstore._core import encode_path
from objstore.credentials.azure import AccountKey, SharedAccess, read_signature
from objstore.credentials.azure_chain import azure_source, chosen_source
from objstore.credentials.azure_connection_string import with_connection_string
from objstore.credentials.token import AccessToken
from objstore.exceptions import (
    ConfigurationError,
    GenericError,
    InvalidRangeError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    RequestTimeoutError,
)
from objstore.http.client import split_endpoint
from objstore.http.dialect import EXPIRED, THROTTLED, Dialect
from objstore.http.retry import FAILED, Row
from objstore.providers.cloud.azure_options import AZURE_OPTIONS
from objstore.providers.cloud.kind import BucketKind
from objstore.providers.cloud.settings_only import SettingsOnly, Source
from objstore.settings.options import RetryOptions, Settings, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

TABLE = Table("AzureStore", ("azure_storage_", "azure_"), AZURE_OPTIONS)

EMULATOR_ACCOUNT = "devstoreaccount1"
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account of every emulator, and its public key: https://learn.microsoft.com/azure/storage/common/storage-use-azurite"""

_BUSY = Row(GenericError, "another operation on it is under way", "always")
_LEASED = Row(PreconditionError, "the blob or container is leased")

DIALECT = Dialect(
    store="AzureStore",
    metadata="x-ms-meta-",
    version_header="x-ms-version-id",
    version_query="versionid",
    storage_class="x-ms-access-tier",
    tags="x-ms-tags",
    copy_source="x-ms-copy-source",
    request_id="x-ms-request-id",
    codes={
        "AccountIsDisabled": Row(PermissionDeniedError, "the storage account is disabled"),
        "AuthenticationFailed": Row(PermissionDeniedError, "the credential is not accepted", "credential"),
        "BlobArchived": Row(GenericError, "the blob is archived and must be rehydrated first"),
        "BlobBeingRehydrated": Row(GenericError, "the blob is being rehydrated"),
        "BlobImmutableDueToPolicy": Row(PermissionDeniedError, "a policy keeps the blob from being changed"),
        "ContainerBeingDeleted": Row(NotFoundError, "the container is being deleted"),
        "ContainerDisabled": Row(PermissionDeniedError, "the container is disabled"),
        "ContainerNotFound": Row(NotFoundError, "there is no such container"),
        "ExpiredAuthenticationToken": EXPIRED,
        "InternalError": FAILED,
        "InvalidAuthenticationInfo": EXPIRED,
        "InvalidBlobType": Row(GenericError, "the blob is not a block blob"),
        "InvalidRange": Row(InvalidRangeError, "the range lies outside the object"),
        "LeaseAlreadyPresent": _LEASED,
        "LeaseIdMismatchWithBlobOperation": _LEASED,
        "LeaseIdMissing": _LEASED,
        "Md5Mismatch": Row(GenericError, "the bytes arrived damaged", "always"),
        "OperationTimedOut": Row(RequestTimeoutError, "the server could not finish in time", "safe"),
        "PendingCopyOperation": _BUSY,
        "PublicAccessNotPermitted": Row(PermissionDeniedError, "the account allows no anonymous access"),
        "ServerBusy": THROTTLED,
        "SnapshotsPresent": Row(GenericError, "the blob has snapshots"),
    },
    hints={
        "AuthenticationFailed": "Check account_key or sas_token, and the clock of this machine.",
        "AuthorizationFailure": "Check that the account's firewall lets this machine in, and what the token allows.",
        "AuthorizationPermissionMismatch": "Check the role of the identity, or what the signature allows.",
        "ContainerNotFound": "Check container_name, account_name and endpoint.",
        "PublicAccessNotPermitted": "Give a credential, and leave skip_signature out.",
    },
    most_parts=50_000,
    smallest_part=1,
    delete_batch=256,
)
"""Source: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes"""


def open_azure(
    settings: Settings, retry: RetryOptions, provider: Callable[[], object] | None, user_agent: str, prefix: str
) -> SettingsOnly:
    """Make the provider of a container.

    Args:
        settings: What the caller and the environment say.
        retry: What is tried again.
        provider: The caller's own source of credentials.
        user_agent: The User-Agent where the caller set none.
        prefix: What the store puts in front of paths.

    Raises:
        ConfigurationError: The settings contradict each other, or one is missing.
    """
    given = settings.config.keys()
    known = settings["skip_signature"] or provider is not None or settings["credential_type"] != "auto"
    values = with_connection_string(settings.values, given, known=known)
    container = values["container_name"]
    if not container:
        raise ConfigurationError("AzureStore needs a container", hint="Give its name as the first argument.")
    origin, base = _address(values)
    source = _source(values, given, provider, user_agent)
    return SettingsOnly(DIALECT, origin, f"{base}/{encode_path(container).decode()}", source)


def _address(values: Any) -> tuple[str, str]:
    """Return the origin, and the path of the account below it."""
    account = values["account_name"] or (EMULATOR_ACCOUNT if values["use_emulator"] else None)
    if not account:
        raise ConfigurationError("AzureStore needs an account", hint="Give account_name.")
    if values["endpoint"]:
        return split_endpoint(values["endpoint"], values["allow_http"] or values["use_emulator"])
    if values["use_emulator"]:
        origin, base = split_endpoint(values["emulator_url"], True)
        return origin, f"{base}/{account}"
    domain = "fabric.microsoft.com" if values["use_fabric_endpoint"] else "core.windows.net"
    return f"https://{account}.blob.{domain}", ""


def _source(values: Any, given: Collection[str], provider: Callable[[], object] | None, user_agent: str) -> Source:
    """Return who we are."""
    if values["skip_signature"] or values["credential_type"] == "anonymous":
        return Source("anonymous")
    if provider is not None:
        return Source("provider", provider)
    name = chosen_source(values, given)
    if name == "bearer_token":
        return Source(name, AccessToken(values["token"]))
    if name == "access_key":
        return Source(name, AccountKey(values["account_key"] or EMULATOR_KEY))
    if name == "sas_token":
        return Source(name, SharedAccess(_signature(values["sas_key"])))
    return Source(name, azure_source(name, values, given, user_agent))


def _signature(text: str) -> tuple[tuple[str, str], ...]:
    try:
        return read_signature(text)
    except ValueError:
        raise ConfigurationError(
            "sas_key has no signature (sig) in it", hint="Give the query of a signed URL, sv=...&sig=..."
        ) from None


AZURE = BucketKind(TABLE, "container_name", ("container_name", "account_name"), open_azure, "azure")
"""What `AzureStore` is made of."""
