"""Who we are to Amazon, and what a profile of the AWS command line says of where a bucket is and how to ask for it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from objstore.credentials.aws import Credential
from objstore.credentials.chains.aws.chain import AwsChain, aws_credentials
from objstore.credentials.chains.aws.config import AwsConfig, read_config
from objstore.credentials.chains.aws.profiles import inner, text
from objstore.credentials.current import Credentials
from objstore.credentials.shared import provided
from objstore.exceptions import ConfigurationError
from objstore.http.client import client_settings
from objstore.settings.options import of_client

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from objstore._core import ClientSettings
    from objstore.plans.effects import Plan
    from objstore.settings.masked import Masked
    from objstore.settings.options import Settings

_OF_CHAIN = (
    "allow_http",
    "container_authorization_token_file",
    "container_credentials_full_uri",
    "container_credentials_relative_uri",
    "default_region",
    "endpoint_url_sts",
    "ignore_configured_endpoint_urls",
    "imdsv1_fallback",
    "metadata_endpoint",
    "profile",
    "region",
    "role_arn",
    "role_session_name",
    "use_fips_endpoint",
    "web_identity_token_file",
)
"""The settings that say where a credential is looked for."""

_PLACES = ("region", "default_region", "endpoint", "endpoint_url_s3")
_KEY = ("access_key_id", "secret_access_key")

_NEEDS = {
    "role_arn": ("web_identity_token_file",),
    "role_session_name": ("web_identity_token_file",),
    "container_authorization_token_file": ("container_credentials_full_uri", "container_credentials_relative_uri"),
}
"""Settings that say nothing without one of others."""

_OTHERS = (
    "web_identity_token_file",
    "role_arn",
    "container_credentials_full_uri",
    "container_credentials_relative_uri",
)
"""Settings that name a credential, and so do not go with another one."""

_CHECKSUMS = ("request_checksum_calculation", "response_checksum_validation")
"""Settings that say what is summed up, which the profile may say too."""

_WAYS = ("use_fips_endpoint", "use_dualstack_endpoint", "use_accelerate_endpoint")
"""Settings for hosts of other kinds, which the profile may ask for."""

_DECIDING = {
    "endpoint": ("endpoint_url_s3", "endpoint"),
    "region": ("region", "default_region"),
    **{name: (name,) for name in (*_WAYS, "virtual_hosted_style_request", "s3_use_arn_region")},
}
"""The settings that decide where requests go, by what errors call them, and by which names they are given."""

_STYLES = {"auto": None, "virtual": True, "path": False}
_CALCULATED = ("when_supported", "when_required")
_FLAGS = {
    "s3_disable_express_session_auth": "disable_s3_express_session_auth",
    "s3_use_arn_region": "use_arn_region",
    "s3_disable_multiregion_access_points": "s3_disable_multiregion_access_points",
}
"""Settings that a profile has in a section ``s3`` too, and what they are called there."""


class Account:
    """Say who we are, and what the profile says.

    Args:
        settings: What the caller and the environment say.
        provider: The caller's own source of credentials.
        user_agent: The User-Agent where the caller set none.

    Raises:
        ConfigurationError: The settings contradict each other, or a file cannot be understood.
    """

    def __init__(self, settings: Settings, provider: Callable[[], object] | None, user_agent: str) -> None:
        self._settings = settings
        self._provider = provider
        values = {name: settings[name] for name in _OF_CHAIN}
        given = frozenset(name for name in _OF_CHAIN if name in settings.config)
        client = partial(_client, settings.values, user_agent)
        self._read = partial(read_config, values, given, client, settings["user_agent"] or user_agent)
        self._config = None if self._is_told_all() else self._read()

    def _is_told_all(self) -> bool:
        """Return whether the caller said who we are, and where the bucket is: then no file is read."""
        given, values = self._settings.config, self._settings.values
        has_credential = self._provider is not None or values["skip_signature"] or all(map(given.__contains__, _KEY))
        return bool(has_credential) and "profile" not in given and any(map(given.__contains__, _PLACES))

    def values(self) -> Masked:
        """Return the settings, and those of the profile where nobody else says anything."""
        values = self._settings.values
        if self._config is None:
            passed_over = {"endpoint", "endpoint_url_s3"} - self._settings.config.keys()
            return values | dict.fromkeys(passed_over) if values["ignore_configured_endpoint_urls"] else values
        endpoint = _endpoint(self._config, self._settings)
        found = {"endpoint_url_s3": endpoint, "endpoint": None, "region": self._config.region, "default_region": None}
        ways = _ways(self._config, self._settings)
        return _trusting(values, self._config.ca_bundle) | {**found, **_of_s3(self._config, self._settings), **ways}

    def sources(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Return where the settings come from that decide where requests go, but for those that were given.

        Args:
            values: What `values` has returned.
        """
        found = {told: self._source(names, values) for told, names in _DECIDING.items()}
        return {told: source for told, source in found.items() if source is not None}

    def _source(self, names: Sequence[str], values: Mapping[str, Any]) -> str | None:
        """Return where a setting comes from, None where it was given or is missing; a default is of no interest."""
        value = next((values[name] for name in names if values[name] is not None), None)
        if value is None or any(self._settings.config.get(name) is not None for name in names):
            return None
        if value in [self._settings[name] for name in names]:
            return "the environment" if self._provider is None else None  # which says settings too
        assert self._config is not None
        return f"the profile {self._config.name!r}"

    def credentials(self) -> Credentials[Credential]:
        """Return the credential that was given, or where it is looked for; neither for anonymous requests."""
        given, values = self._settings.config, self._settings.values
        if values["skip_signature"]:
            return Credentials()
        has_key = any(given.get(name) for name in _KEY)
        if self._provider is not None:
            _refuse_others(given, "credential_provider", (*_KEY, "session_token", *_OTHERS))
            return provided(self._provider, Credential.from_mapping)
        if has_key:
            _refuse_others(given, "access_key_id", _OTHERS)
            return Credentials(_key(values))
        _refuse_half(given, values)
        return aws_credentials(self._read, self._config or self._read(), of_client(values))


def region_nearby(credentials: Credentials[Credential]) -> Plan[str | None]:
    """Return the region of this machine, where it is an instance whose credential counts; None where nobody says."""
    chain = credentials.asked
    return (yield from chain.region()) if isinstance(chain, AwsChain) else None


def _client(values: Masked, user_agent: str, scheme: str, ca_bundle: bytes | None) -> ClientSettings:
    return client_settings(_trusting(values, ca_bundle), scheme, user_agent)


def _trusting(values: Masked, ca_bundle: bytes | None) -> Masked:
    """Return the settings with the profile's certificates in the place of the system's."""
    if ca_bundle is None or values["disable_system_certificates"]:
        return values
    ours = values["root_certificate"] or b""
    return values | {"root_certificate": ours + b"\n" + ca_bundle, "disable_system_certificates": True}


def _key(values: Mapping[str, Any]) -> Credential:
    """Return the key that was given."""
    key, secret = (values[name] for name in _KEY)
    if not key or not secret:
        missing = _KEY[1] if key else _KEY[0]
        raise ConfigurationError(f"S3Store has half a credential: {missing} is missing", hint=f"Give {missing} too.")
    return Credential(key, secret, values["session_token"] or None)


def _refuse_others(given: Mapping[str, Any], chosen: str, others: Sequence[str]) -> None:
    """Raise if a setting names another credential than the one that counts."""
    for name in others:
        if given.get(name):
            raise ConfigurationError(f"S3Store was given {chosen} and {name}", hint="Give one of them.")


def _refuse_half(given: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raise if a setting says nothing, as another one is missing; that of a key, as the key comes from elsewhere."""
    if given.get("session_token"):
        raise ConfigurationError(
            "S3Store was given session_token without its key", hint="Give access_key_id and secret_access_key too."
        )
    for name, others in _NEEDS.items():
        if given.get(name) and not any(values[other] for other in others):
            raise ConfigurationError(f"{name} says nothing without {' or '.join(others)}", hint="Give both.")


def _endpoint(config: AwsConfig, settings: Settings) -> str | None:
    """Return the URL of the service: as was given, or as the environment or the profile says."""
    named: str | None
    for name in ("endpoint_url_s3", "endpoint"):
        if settings.config.get(name):
            return str(settings[name])
    if config.ignores_endpoints:
        return None
    named = settings["endpoint_url_s3"] or settings["endpoint"]
    return named or config.endpoint_in_profile("s3")


def _of_s3(config: AwsConfig, settings: Settings) -> dict[str, Any]:
    """Return what the profile says of S3, of what there is a setting for that nobody else has set."""
    section, style = inner(config.profile, "s3"), _one_of(config, "s3", "addressing_style", _STYLES)
    signed = config.truth("payload_signing_enabled", section.get("payload_signing_enabled"))
    found = {
        "virtual_hosted_style_request": _STYLES[style] if style else None,
        "unsigned_payload": False if signed else None,
        **{name: _one_of(config, None, name, _CALCULATED) for name in _CHECKSUMS},
    }
    flags = {name: config.said(f"AWS_{name.upper()}", name) or section.get(inside) for name, inside in _FLAGS.items()}
    return {
        **{name: value for name, value in found.items() if value is not None and settings[name] is None},
        **{name: config.truth(name, said) for name, said in flags.items() if said and name not in settings.config},
    }


def _one_of(config: AwsConfig, section: str | None, name: str, words: Collection[str]) -> str | None:
    """Return the word that the profile says, or a section of it.

    Raises:
        ConfigurationError: It is none of those that there are.
    """
    said = text(config.profile, name) if section is None else inner(config.profile, section).get(name)
    if said and said.lower() not in words:
        raise ConfigurationError(
            f"The profile {config.name!r} has {name} = {said!r}", hint=f"There are: {', '.join(words)}."
        )
    return said.lower() if said else None


def _ways(config: AwsConfig, settings: Settings) -> dict[str, bool]:
    """Return which hosts of other kinds the environment or the profile asks for, where the caller says nothing."""
    section = inner(config.profile, "s3")
    return {
        name: bool(settings[name])
        or config.truth(name, config.said(f"AWS_{name.upper()}", name))
        or config.truth(name, section.get(name))
        for name in _WAYS
        if name not in settings.config
    }
