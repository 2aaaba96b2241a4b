"""The options of other filesystems of fsspec (s3fs, gcsfs, adlfs), as the settings of our stores.

An option of theirs that has a meaning here is translated; one that has none is refused with the remedy, never passed
over in silence. All other names are settings of the store. This module knows names alone, no store.

Its one invariant: no message made here shows the value of an option.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from objstore.credentials.chains.azure.connection_string import read_connection_string
from objstore.exceptions import ConfigurationError, UnknownConfigurationKeyError

_SECRET = re.compile(r"secret|token|passw|key|credential|sas|connection_string|headers|cookie|proxy|auth", re.I)


@dataclass(slots=True, repr=False)
class Given:
    """Hold what a filesystem was given for its stores and files.

    Args:
        settings: The settings of the store.
        client_options: The settings of the HTTP client.
        retry_config: How often to try again.
        config: The dict of settings of the store, as it was given.
        credential_provider: The function that returns credentials.
        files: How files are opened: the buffer size and the kind of cache.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    client_options: dict[str, Any] = field(default_factory=dict)
    retry_config: dict[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    credential_provider: Callable[[], Any] | None = None
    files: dict[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of a store of a cloud service."""
        return {
            **self.settings,
            "config": self.config,
            "client_options": self.client_options or None,
            "retry_config": self.retry_config or None,
            "credential_provider": self.credential_provider,
        }

    def refuse(self, protocol: str, *taken: str) -> None:
        """Raise if anything was given that this kind of store does not take."""
        for name in sorted({*self.settings, *(self.config or {})} - {*taken}):
            known = f"There are: {', '.join(sorted(taken))}." if taken else "Leave it out: it has none."
            raise UnknownConfigurationKeyError(f"{protocol} has no setting {name!r}", hint=known)

    def set(self, name: str, value: Any) -> None:
        """Set one setting of the store, by the name of our own."""
        _once(self.settings, name, value)

    def set_client(self, name: str, value: Any) -> None:
        """Set one setting of the HTTP client."""
        _once(self.client_options, name, value)


def _once(settings: dict[str, Any], name: str, value: Any) -> None:
    if name in settings and settings[name] != value:
        raise ConfigurationError(f"{name} is given twice, under two of its names", hint="Give it once.")
    settings[name] = value


Rule: TypeAlias = Callable[[str, Any, Given], None]
"""What an option means: is called with its name, its value, and what is to be told."""


def read_options(options: Mapping[str, Any], names: Mapping[str, Rule], given: Given) -> Given:
    """Translate options; what is not in `names` is a setting of the store as it is.

    An option that is None counts as not given, as with the other filesystems.

    Raises:
        ConfigurationError: An option has no meaning here, or is given twice.
    """
    for name, value in options.items():
        if value is not None:
            rule = names.get(name)
            given.set(name, value) if rule is None else rule(name, value, given)
    return given


def _to(ours: str) -> Rule:
    """Return the rule of an option that we have under another name."""
    return lambda name, value, given: given.set(ours, value)


def _to_client(ours: str) -> Rule:
    return lambda name, value, given: given.set_client(ours, value)


def _to_files(ours: str) -> Rule:
    return lambda name, value, given: given.files.__setitem__(ours, value)


def _unless(unchanged: tuple[Any, ...], hint: str) -> Rule:
    """Return the rule of an option that can only be left as it usually is."""

    def rule(name: str, value: Any, given: Given) -> None:
        if value not in unchanged:
            raise ConfigurationError(f"The option {name!r} has no meaning here", hint=hint)

    return rule


def _no(hint: str) -> Rule:
    return _unless((), hint)


def _nested(names: Mapping[str, Rule]) -> Rule:
    """Return the rule of an option that is a dict of options."""

    def rule(outer: str, values: Any, given: Given) -> None:
        if not isinstance(values, Mapping):
            raise ConfigurationError(f"The option {outer!r} is a {type(values).__name__}", hint="Give a dict.")
        for name, value in values.items():
            if name not in names:
                known = ", ".join(sorted(names))
                raise ConfigurationError(f"{outer}[{name!r}] has no meaning here", hint=f"There are: {known}.")
            if value is not None:
                names[name](f"{outer}[{name!r}]", value, given)

    return rule


def _endpoint(setting: str) -> Rule:
    """Return the rule of a URL: one without TLS says that it may be without, as it does for s3fs and gcsfs."""

    def rule(name: str, value: Any, given: Given) -> None:
        given.set(setting, value)
        if str(value).lower().startswith("http://"):
            given.client_options.setdefault("allow_http", True)

    return rule


def _use_ssl(name: str, value: Any, given: Given) -> None:
    if not value:
        given.client_options.setdefault("allow_http", True)


def _verify(name: str, value: Any, given: Given) -> None:
    if isinstance(value, bool):
        if not value:
            given.set_client("allow_invalid_certificates", True)
    else:
        given.set_client("root_certificate", Path(value).read_bytes())


def _addressing(name: str, value: Any, given: Given) -> None:
    styles = {"path": False, "virtual": True}
    if value not in (*styles, "auto"):
        raise ConfigurationError(f"{name} is none of path, virtual, auto", hint="Give one of them.")
    if value in styles:
        given.set("virtual_hosted_style_request", styles[value])


def _retries(name: str, value: Any, given: Given) -> None:
    """Take how often to try again, or, as botocore's ``total_max_attempts``, how often to try at all."""
    told = value if isinstance(value, Mapping) else {"max_attempts": value}
    total, again = told.get("total_max_attempts"), told.get("max_attempts")
    given.retry_config.setdefault("max_retries", total - 1 if isinstance(total, int) else total or again)


def _kms_context(name: str, value: Any, given: Given) -> None:
    """Take what KMS binds the encryption to: JSON in Base64, as the service wants it."""
    try:
        text = base64.b64decode(value, validate=True).decode()
        json.loads(text)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{name} is no JSON in Base64", hint="Write it as boto3 takes it.") from None
    given.set("sse_kms_encryption_context", text)


def _customer_key(name: str, value: Any, given: Given) -> None:
    """Take a caller's own key, which boto3 takes as it is."""
    key = value.encode() if isinstance(value, str) else value
    if not isinstance(key, bytes) or len(key) != 32:
        raise ConfigurationError(f"{name} is no key of 32 bytes", hint="Give the key itself, not in Base64.")
    given.set("sse_customer_key_base64", base64.b64encode(key).decode())


def _checksum_algorithm(name: str, value: Any, given: Given) -> None:
    given.set("checksum_algorithm", str(value).lower())


_ONE_WAY = "Leave it out: it is done by itself."
_EACH = "Give it to open(), among the attributes of what is written."
_PROVIDER = "Give credential_provider=: a function that returns the credential."

_BOTO_CLIENT: dict[str, Rule] = {
    "endpoint_url": _endpoint("endpoint"),
    "region_name": _to("region"),
    "verify": _verify,
    "use_ssl": _use_ssl,
    "aws_access_key_id": _to("access_key_id"),
    "aws_secret_access_key": _to("secret_access_key"),
    "aws_session_token": _to("session_token"),
}
_BOTO_CONFIG: dict[str, Rule] = {
    "s3": _nested({"addressing_style": _addressing}),
    "region_name": _to("region"),
    "connect_timeout": _to_client("connect_timeout"),
    "read_timeout": _to_client("stall_timeout"),
    "max_pool_connections": _to_client("max_connections"),
    "retries": _retries,
    "user_agent": _to_client("user_agent"),
}
_S3_EXTRA: dict[str, Rule] = {
    "ServerSideEncryption": _to("server_side_encryption"),
    "SSEKMSKeyId": _to("sse_kms_key_id"),
    "SSEKMSEncryptionContext": _kms_context,
    "BucketKeyEnabled": _to("sse_bucket_key_enabled"),
    "SSECustomerAlgorithm": _unless(("AES256",), "Give AES256: S3 has no other."),
    "SSECustomerKey": _customer_key,
    "SSECustomerKeyMD5": _no(_ONE_WAY),
    **{f"CopySourceSSECustomer{part}": _no(_ONE_WAY) for part in ("Algorithm", "Key", "KeyMD5")},
    "ChecksumAlgorithm": _checksum_algorithm,
    **{f"ObjectLock{part}": _no(_EACH) for part in ("Mode", "RetainUntilDate", "LegalHoldStatus")},
    "StorageClass": _no(_EACH),
    "RequestPayer": _to("request_payer"),
}
FILE_NAMES: Mapping[str, Rule] = {
    "default_block_size": _to_files("block_size"),
    "default_cache_type": _to_files("cache_type"),
}
"""How files are opened, with any store."""

S3_NAMES: Mapping[str, Rule] = {
    **FILE_NAMES,
    "anon": _to("skip_signature"),
    "key": _to("access_key_id"),
    "username": _to("access_key_id"),
    "secret": _to("secret_access_key"),
    "password": _to("secret_access_key"),
    "token": _to("session_token"),
    "endpoint_url": _endpoint("endpoint"),
    "use_ssl": _use_ssl,
    "requester_pays": _to("request_payer"),
    "client_kwargs": _nested(_BOTO_CLIENT),
    "config_kwargs": _nested(_BOTO_CONFIG),
    "s3_additional_kwargs": _nested(_S3_EXTRA),
    "session": _no(_PROVIDER),
    "version_aware": _unless((False,), "Open a version with objstore.get(..., options={'version': ...})."),
    "cache_regions": _unless((False,), "Give region=."),
    "fixed_upload_size": _unless((False,), _ONE_WAY),
    "default_fill_cache": _unless((True, False), _ONE_WAY),
    "max_concurrency": _no(_ONE_WAY),
}
"""The options of s3fs."""


def _google_token(name: str, value: Any, given: Given) -> None:
    """Take what gcsfs calls a token: a word, the file of a credential, or the key of a service account."""
    if value == "anon":
        given.set("skip_signature", True)
    elif isinstance(value, Mapping):
        given.set("service_account_key", json.dumps(dict(value)))
    elif isinstance(value, str | os.PathLike) and value not in ("google_default", "cloud"):
        given.set("application_credentials", os.fspath(value))
    elif not isinstance(value, str):
        raise ConfigurationError(f"The option {name!r} is a {type(value).__name__}", hint=_PROVIDER)


def _google_payer(name: str, value: Any, given: Given) -> None:
    """Take the project that pays."""
    if isinstance(value, str):
        given.set("user_project", value)
    elif value:
        raise ConfigurationError(f"The option {name!r} is {value!r}", hint="Name the project that pays.")


GCS_NAMES: Mapping[str, Rule] = {
    **FILE_NAMES,
    "token": _google_token,
    "endpoint_url": _endpoint("base_url"),
    "project": _to("project_id"),
    "access": _unless(("full_control", "read_write"), "Leave it out: what is allowed is for the credential to say."),
    "requester_pays": _google_payer,
    "version_aware": _unless((False,), "Open a version with objstore.get(..., options={'version': ...})."),
}
"""The options of gcsfs."""


def _connection_string(name: str, value: Any, given: Given) -> None:
    """Take it as the store does; one without TLS says that it may be without, as it does for adlfs."""
    given.set(name, value)
    parts = read_connection_string(str(value))
    places = (parts.get(part, "") for part in ("BlobEndpoint", "DefaultEndpointsProtocol"))
    if any(place.lower().partition(":")[0] == "http" for place in places):
        given.client_options.setdefault("allow_http", True)


def _azure_credential(name: str, value: Any, given: Given) -> None:
    """Take the key of an account or a shared access signature; objects of azure-identity have a provider."""
    if not isinstance(value, str):
        raise ConfigurationError(f"The option {name!r} is a {type(value).__name__}", hint=_PROVIDER)
    given.set("sas_key" if "sig=" in value else "account_key", value)


AZURE_NAMES: Mapping[str, Rule] = {
    **FILE_NAMES,
    "anon": _to("skip_signature"),
    "account_host": lambda name, value, given: given.set("endpoint", f"https://{value}"),
    "connection_string": _connection_string,
    "credential": _azure_credential,
    "location_mode": _unless(("primary",), _ONE_WAY),
    "max_concurrency": _no(_ONE_WAY),
    "version_aware": _unless((False,), "Open a version with objstore.get(..., options={'version': ...})."),
}
"""The options of adlfs."""

HTTP_NAMES: Mapping[str, Rule] = {
    **FILE_NAMES,
    "block_size": _to_files("block_size"),
    "headers": _to_client("default_headers"),
    "client_kwargs": _nested({"headers": _to_client("default_headers")}),
}
"""The options of fsspec's own filesystem of the web."""

LOCAL_NAMES: Mapping[str, Rule] = {
    **FILE_NAMES,
    "auto_mkdir": _unless((True,), "Leave it out: folders are made by themselves."),
}
"""The options of fsspec's own local filesystem."""


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without any whose name sounds like a secret, inside of dicts too."""
    kept = {name: value for name, value in options.items() if not _SECRET.search(str(name))}
    return {name: without_secrets(value) if isinstance(value, Mapping) else value for name, value in kept.items()}
