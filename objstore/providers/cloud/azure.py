"""Azure Blob Storage: how its settings make a provider.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from objstore._core import encode_path
from objstore.credentials.azure import AccountKey, AzureCredential, SharedAccess, from_mapping, read_signature
from objstore.credentials.chains.azure.chain import azure_tokens, chosen_source
from objstore.credentials.chains.azure.connection_string import with_connection_string
from objstore.credentials.current import Credentials
from objstore.credentials.shared import provided
from objstore.credentials.storage_account import StorageAccount
from objstore.credentials.token import AccessToken
from objstore.exceptions import ConfigurationError
from objstore.http.client import client_settings, split_endpoint, text_headers
from objstore.http.retry import Policy
from objstore.http.service import Service
from objstore.providers.cloud.azure_container import Container
from objstore.providers.cloud.azure_dialect import DIALECT
from objstore.providers.cloud.azure_options import AZURE_OPTIONS
from objstore.providers.cloud.kind import BucketKind
from objstore.settings.azure_hosts import MICROSOFT, authority_of, blob_origin, files_origin, is_account
from objstore.settings.options import RetryOptions, Settings, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

TABLE = Table("AzureStore", ("azure_storage_", "azure_"), AZURE_OPTIONS)

PATIENCE = 20
"""How many times as long as for other replies it is waited for those to requests that are much work."""

EMULATOR_ACCOUNT = "devstoreaccount1"
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account of every emulator, and its public key: https://learn.microsoft.com/azure/storage/common/storage-use-azurite"""


def open_azure(
    settings: Settings, retry: RetryOptions, provider: Callable[[], object] | None, user_agent: str, prefix: str
) -> Container:
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
    account = values["account_name"] or (EMULATOR_ACCOUNT if values["use_emulator"] else None)
    if not account:
        raise ConfigurationError("AzureStore needs an account", hint="Give account_name.")
    _check_emulator(values, given)
    origin, above = _address(values, account)
    host = urlsplit(origin).hostname or ""
    values = values | {"authority_host": values["authority_host"] or authority_of(host)}
    identity = StorageAccount(_credentials(values, given, provider, user_agent), account, above)
    scheme = origin.partition(":")[0]
    blobs, files = (
        Service(
            DIALECT,
            place,
            client_settings(values, scheme, user_agent),
            Policy(retry),
            identity,
            headers={"x-ms-version": values["api_version"], **text_headers(values["default_headers"])},
            most_connections=values["max_connections"],
            takes_many=is_account(host),
            bucket=container,
            prefix=prefix,
            patient_settings=client_settings(values, scheme, user_agent, patience=PATIENCE),
        )
        for place in (origin, files_origin(origin))
    )
    return Container(
        blobs,
        above,
        encode_path(container).decode(),
        identity,
        key_headers=_customer_key(values, origin),
        default_type=values["default_content_type"],
        tagging=not values["disable_tagging"],
        checksum=values["checksum_algorithm"],
        files=files if files.origin != origin else None,
        lists_from=is_account(host),
    )


def _check_emulator(values: Any, given: Collection[str]) -> None:
    """Raise if settings of the emulator would not be read, or keep others from being read."""
    if "emulator_url" in given and not values["use_emulator"]:
        raise ConfigurationError("emulator_url is given without use_emulator", hint="Give use_emulator=True too.")
    if values["use_emulator"] and values["use_fabric_endpoint"]:
        raise ConfigurationError("use_emulator and use_fabric_endpoint contradict each other", hint="Give one of them.")


def _address(values: Any, account: str) -> tuple[str, str]:
    """Return the origin, and the path of the account below it."""
    if values["endpoint"]:
        origin, above = split_endpoint(values["endpoint"], values["allow_http"] or values["use_emulator"])
        if above and MICROSOFT.fullmatch(urlsplit(origin).hostname or ""):
            raise ConfigurationError(
                f"The endpoint {origin + above!r} has a path, which would be taken for the container",
                hint="Give the host alone, and the container as container_name.",
            )
        return blob_origin(origin), above
    if values["use_emulator"]:
        origin, base = split_endpoint(values["emulator_url"], True)
        return origin, f"{base}/{account}"
    domain = "fabric.microsoft.com" if values["use_fabric_endpoint"] else "core.windows.net"
    return f"https://{account}.blob.{domain}", ""


def _credentials(
    values: Any, given: Collection[str], provider: Callable[[], object] | None, user_agent: str
) -> Credentials[AzureCredential]:
    """Return who we are: a credential that was given, or who is asked for one; neither for anonymous requests."""
    if values["skip_signature"] or values["credential_type"] == "anonymous":
        return Credentials()
    if provider is not None:
        return provided(provider, from_mapping)
    name = chosen_source(values, given)
    if name == "bearer_token":
        return Credentials(AccessToken(values["token"]))
    if name == "access_key":
        return Credentials(AccountKey(values["account_key"] or EMULATOR_KEY))
    if name == "sas_token":
        return Credentials(SharedAccess(_signature(values["sas_key"])))
    return azure_tokens(name, values, given, user_agent)


def _customer_key(values: Any, origin: str) -> dict[str, str]:
    """Return the headers with the caller's own key.

    Source: https://learn.microsoft.com/azure/storage/blobs/encryption-customer-provided-keys
    """
    key = values["encryption_key"]
    if not key:
        return {}
    if not origin.startswith("https:"):
        raise ConfigurationError(
            f"encryption_key would be sent to {origin} in the open", hint="Use an https endpoint, or leave it out."
        )
    digest = hashlib.sha256(base64.b64decode(key)).digest()
    return {
        "x-ms-encryption-key": key,
        "x-ms-encryption-key-sha256": base64.b64encode(digest).decode(),
        "x-ms-encryption-algorithm": "AES256",
    }


def _signature(text: str) -> tuple[tuple[str, str], ...]:
    try:
        return read_signature(text)
    except ValueError as reason:
        raise ConfigurationError(f"sas_key {reason}", hint="Give the query of a signed URL, sv=...&sig=...") from None


AZURE = BucketKind(TABLE, "container_name", ("container_name", "account_name"), open_azure, "azure")
"""What `AzureStore` is made of."""
