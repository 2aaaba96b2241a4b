"""Roles that a profile assumes with the credential of another place, or of another profile.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from objstore.credentials.chains.aws.keys import environment, nowhere
from objstore.credentials.chains.aws.metadata import container, instance
from objstore.credentials.chains.aws.places import BOTO3, OF_PROFILE
from objstore.credentials.chains.aws.profiles import Section, text
from objstore.credentials.chains.aws.sts import AssumedRole, session_name
from objstore.exceptions import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from objstore.credentials.aws import Credential
    from objstore.credentials.chains.aws.config import AwsConfig
    from objstore.credentials.chains.aws.keys import Found
    from objstore.credentials.current import Source

_SOURCES: Mapping[str, Callable[[AwsConfig], Found]] = {
    "Environment": environment,
    "EcsContainer": container,
    "Ec2InstanceMetadata": instance,
}
"""What ``credential_source`` may name."""


def assume_role(config: AwsConfig) -> Found:
    """Return the role that the profile assumes with another credential."""
    return role_of(config, (config.name,)) if _has_role(config) else f"the profile {config.name!r} has no role_arn"


def role_of(config: AwsConfig, visited: tuple[str, ...]) -> Source[Credential]:
    """Return the role of a profile.

    Args:
        config: The settings, for that profile.
        visited: The profiles that led here, and this one.

    Raises:
        UnauthenticatedError: It cannot be assumed.
    """
    profile = config.profile
    parent, named = text(profile, "source_profile"), text(profile, "credential_source")
    if (parent is None) == (named is None):
        both = "both source_profile and credential_source" if parent else "neither source_profile nor credential_source"
        raise UnauthenticatedError(f"The profile {config.name!r} has a role_arn and {both}", hint="Give one of them.")
    if text(profile, "mfa_serial"):
        raise UnauthenticatedError(
            f"The role of the profile {config.name!r} wants a code of a device (MFA)", hint=BOTO3
        )
    source = _named(config, named) if named is not None else _of_profile(config, str(parent), visited)
    return AssumedRole(config, source, _parameters(profile))


def _has_role(config: AwsConfig) -> bool:
    profile = config.profile
    return text(profile, "role_arn") is not None and text(profile, "web_identity_token_file") is None


def _named(config: AwsConfig, name: str) -> Source[Credential]:
    find = _SOURCES.get(name)
    if find is None:
        raise UnauthenticatedError(
            f"The profile {config.name!r} has credential_source = {name!r}",
            hint="Give Environment, Ec2InstanceMetadata or EcsContainer.",
        )
    found = find(replace(config, chosen=False))
    if isinstance(found, str):
        raise UnauthenticatedError(f"credential_source = {name} of the profile {config.name!r} has none: {found}")
    return found


def _of_profile(config: AwsConfig, name: str, visited: tuple[str, ...]) -> Source[Credential]:
    """Return the credential of a profile that another one names as its source."""
    if name not in config.files:
        raise UnauthenticatedError(f"The profile {config.name!r} names the source_profile {name!r}, which is not there")
    source = config.of(name)
    has_key = not {"aws_access_key_id", "aws_secret_access_key"}.isdisjoint(source.profile)
    if name in visited and not (name == config.name and has_key):
        path = " -> ".join((*visited, name))
        raise UnauthenticatedError(f"The profiles name each other as their source: {path}")
    if _has_role(source) and not has_key:
        return role_of(source, (*visited, name))
    reasons = []
    for place, find in OF_PROFILE:
        found = find(source)
        if not isinstance(found, str):
            return found
        reasons.append((place, found))
    raise nowhere(reasons)


def _parameters(profile: Section) -> dict[str, str]:
    """Return the parameters of AssumeRole."""
    wanted = {
        "RoleArn": text(profile, "role_arn"),
        "RoleSessionName": text(profile, "role_session_name") or session_name(),
        "ExternalId": text(profile, "external_id"),
        "DurationSeconds": _whole(text(profile, "duration_seconds")),
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _whole(value: str | None) -> str | None:
    """Return a whole number; None for what is none, as AWS's own tools pass over it."""
    try:
        return None if value is None else str(int(value))
    except ValueError:
        return None
