"""Keys of AWS that lie open, in the environment and in files: each found, or a few words on why there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from objstore.credentials.aws import Credential
from objstore.credentials.aws_answers import WINDOW, can_be_sent, moment
from objstore.credentials.aws_config import AwsConfig
from objstore.credentials.aws_profiles import Section, config_path, shared_path, text
from objstore.credentials.current import Source
from objstore.exceptions import ConfigurationError, UnauthenticatedError

if TYPE_CHECKING:
    from objstore.plans.effects import Plan

Found: TypeAlias = Source[Credential] | str
"""A source, or a few words on why there is none."""

_TOKENS = ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN", "AWS_TOKEN")


class Fixed:
    """A credential that is known.

    Args:
        name: Where it stood.
        credential: The credential.
    """

    refresh_threshold = WINDOW

    def __init__(self, name: str, credential: Credential) -> None:
        self.name = name
        self.credential = credential

    def fetch(self) -> Plan[Credential]:
        """Return the credential."""
        return self.credential
        yield


def nowhere(passed: list[tuple[str, str]]) -> UnauthenticatedError:
    """Return the error for a machine without a credential."""
    tried = "; ".join(f"{name}: {reason}" for name, reason in passed)
    return UnauthenticatedError(
        f"There is no AWS credential. Tried: {tried}",
        hint="Give access_key_id and secret_access_key, a profile, a credential_provider, or skip_signature=True.",
    )


def environment(config: AwsConfig) -> Found:
    """Return the key in the environment."""
    variables = config.variables
    if config.chosen:
        return f"passed over, as the profile {config.name!r} was given"
    key, secret = variables.get("AWS_ACCESS_KEY_ID"), variables.get("AWS_SECRET_ACCESS_KEY")
    if not key:
        return "AWS_ACCESS_KEY_ID is not set"
    if not secret:
        raise ConfigurationError("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not", hint="Set both.")
    token = next((variables[name] for name in _TOKENS if variables.get(name)), None)
    credential = _checked(Credential(key, secret, token), "the environment")
    ends = variables.get("AWS_CREDENTIAL_EXPIRATION")
    return Fixed(
        "environment", replace(credential, expires_at=moment(ends, "AWS_CREDENTIAL_EXPIRATION")) if ends else credential
    )


def shared_key(config: AwsConfig) -> Found:
    """Return the key in the credentials file."""
    where = shared_path(config.variables)
    return _key(config.files.shared.get(config.name, {}), "credentials-file", where, config.name)


def config_key(config: AwsConfig) -> Found:
    """Return the key in the config file."""
    where = config_path(config.variables)
    return _key(config.files.config.get(config.name, {}), "config-file", where, config.name)


def _key(section: Section, name: str, where: str, profile: str) -> Found:
    key, secret = text(section, "aws_access_key_id"), text(section, "aws_secret_access_key")
    if not key:
        return f"{where!r} has no aws_access_key_id for the profile {profile!r}"
    if not secret:
        raise ConfigurationError(f"{where!r} has half a credential: aws_secret_access_key is missing", hint="Add it.")
    token = text(section, "aws_security_token") or text(section, "aws_session_token") or None
    return Fixed(name, _checked(Credential(key, secret, token), repr(where)))


def _checked(credential: Credential, where: str) -> Credential:
    parts = {"key": credential.access_key_id, "secret": credential.secret_access_key, "token": credential.token}
    for name, value in parts.items():
        if value is not None and not can_be_sent(value):
            raise ConfigurationError(f"The {name} in {where} has characters that no credential has", hint="Mend it.")
    return credential
