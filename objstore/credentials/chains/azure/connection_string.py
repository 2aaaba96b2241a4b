"""Connection strings of storage accounts: where the account is, and a key or a signature for it, in one text.

https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string

Its one invariant: no message quotes a value of one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from objstore.exceptions import ConfigurationError
from objstore.settings.azure_hosts import ACCOUNT_NAME
from objstore.settings.masked import Hidden
from objstore.settings.value_types import BASE64

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from objstore.settings.masked import Masked

_NAMES = (
    "DefaultEndpointsProtocol",
    "AccountName",
    "AccountKey",
    "SharedAccessSignature",
    "EndpointSuffix",
    "BlobEndpoint",
    "UseDevelopmentStorage",
    "DevelopmentStorageProxyUri",
)
_PASSED_OVER = tuple(
    f"{service}{kind}Endpoint"
    for service in ("Blob", "Queue", "Table", "File", "Dfs", "Web")
    for kind in ("", "Secondary")
    if service + kind != "Blob"
)
"""The endpoints of other services, and copies to read from, which no store asks."""

_SPELLINGS = {name.lower(): name for name in (*_NAMES, *_PASSED_OVER)}
_CREDENTIALS = ("account_key", "sas_key", "token", "client_secret", "federated_token_file", "client_certificate_path")


def read_connection_string(text: str) -> dict[str, str]:
    """Return the parts of a connection string by their names.

    Raises:
        ConfigurationError: It has a part that is none, twice, empty, or at odds with another.
    """
    parts: dict[str, str] = {}
    for number, part in enumerate(filter(None, (part.strip() for part in text.split(";"))), 1):
        spelling, equals, value = part.partition("=")
        name = _SPELLINGS.get(spelling.strip().lower())
        if not equals or not value.strip():
            _refuse(f"part {number} has no name and value")
        if name is None:
            _refuse(f"part {number} has a name that is none of {', '.join(_NAMES)}")
        if name in parts:
            _refuse(f"{name} is there twice")
        parts[name] = Hidden(value.strip())
    _check(parts)
    return parts


def _check(parts: Mapping[str, str]) -> None:
    if parts.get("UseDevelopmentStorage", "true").lower() != "true":
        _refuse("UseDevelopmentStorage is not true")
    if "UseDevelopmentStorage" in parts and not parts.keys() <= {"UseDevelopmentStorage", "DevelopmentStorageProxyUri"}:
        _refuse("UseDevelopmentStorage stands beside an account")
    if "AccountKey" in parts and "SharedAccessSignature" in parts:
        _refuse("it has both AccountKey and SharedAccessSignature")
    if parts.get("DefaultEndpointsProtocol", "https").lower() not in ("http", "https"):
        _refuse("DefaultEndpointsProtocol is neither https nor http")
    if not re.fullmatch(ACCOUNT_NAME, parts.get("AccountName", ""), re.ASCII):
        _refuse("AccountName is not the name of an account")
    if "UseDevelopmentStorage" not in parts and not {"AccountName", "BlobEndpoint"} & parts.keys():
        _refuse("it names neither AccountName nor BlobEndpoint")
    if "AccountKey" in parts:
        _check_key(parts)


def _check_key(parts: Mapping[str, str]) -> None:
    if "AccountName" not in parts:
        _refuse("it has AccountKey without AccountName")
    try:
        BASE64.read(parts["AccountKey"])
    except (TypeError, ValueError):
        _refuse("AccountKey is no Base64")


def _refuse(fault: str) -> NoReturn:
    raise ConfigurationError(
        f"connection_string cannot be used: {fault}", hint="Copy it from the portal, as `Access keys` shows it."
    ) from None


def with_connection_string(values: Masked, given: Collection[str], *, known: bool) -> Masked:
    """Return settings with those that a connection string stands for.

    Args:
        values: The typed values of the settings.
        given: The names of those that the caller gave.
        known: Whether something else says who we are, before which one of the environment gives way.

    Raises:
        ConfigurationError: It cannot be used, or says something else than another setting.
    """
    text = values["connection_string"]
    if not text or (known and "connection_string" not in given):
        return values
    said = _settings(read_connection_string(text))
    strong = given if "connection_string" in given else {*said} - {"emulator_url"} | {*given}
    for name, value in said.items():
        if values[name] and values[name] != value and name in strong:
            raise ConfigurationError(f"connection_string and {name} contradict each other", hint="Give one of them.")
    others = [name for name in _CREDENTIALS if values[name] and name not in said]
    if others and {"account_key", "sas_key"} & said.keys():
        raise ConfigurationError(
            f"connection_string has a credential, and {' and '.join(others)} is another", hint="Give one of them."
        )
    return values | said


def _settings(parts: Mapping[str, str]) -> dict[str, object]:
    """Return the settings that say the same."""
    if "UseDevelopmentStorage" in parts:
        proxy = parts.get("DevelopmentStorageProxyUri")
        return {"use_emulator": True, **({"emulator_url": f"{proxy.rstrip('/')}:10000"} if proxy else {})}
    endpoint = _endpoint(parts)
    account = parts.get("AccountName") or _account_of(endpoint or "")
    found = {
        "account_name": account,
        "account_key": parts.get("AccountKey"),
        "sas_key": parts.get("SharedAccessSignature"),
        "endpoint": endpoint,
    }
    return {name: value for name, value in found.items() if value}


def _endpoint(parts: Mapping[str, str]) -> str | None:
    """Return where the account's blobs are; None for the usual place."""
    if "BlobEndpoint" in parts:
        return parts["BlobEndpoint"].rstrip("/")
    protocol, suffix = parts.get("DefaultEndpointsProtocol", "https").lower(), parts.get("EndpointSuffix")
    if protocol == "https" and suffix is None:
        return None
    return f"{protocol}://{parts['AccountName']}.blob.{suffix or 'core.windows.net'}"


def _account_of(endpoint: str) -> str:
    """Return the account that a host of Azure's begins with."""
    account, _, rest = (urlsplit(endpoint).hostname or "").partition(".")
    if not rest.startswith("blob."):
        _refuse("it names no AccountName, and BlobEndpoint does not begin with one")
    return account
