"""What says who we are to AWS: what the caller gave, the environment, and a profile in the files, in this order."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objstore.credentials.chains.aws.profiles import Files, Section, config_path, inner, read_files, shared_path, text
from objstore.exceptions import ConfigurationError
from objstore.settings.masked import Hidden
from objstore.settings.partitions import partition_of
from objstore.settings.value_types import BOOL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from objstore._core import ClientSettings

    Client: TypeAlias = Callable[[str, bytes | None], ClientSettings]

_REGION = re.compile("[A-Za-z0-9-]{1,63}")
_SECRETS = frozenset(
    f"AWS_{name}"
    for name in (
        *("SECRET_ACCESS_KEY", "SECURITY_TOKEN", "SESSION_TOKEN", "TOKEN"),
        "CONTAINER_AUTHORIZATION_TOKEN",
    )
)
_NAMED_BY = {
    "web-identity": ("web_identity_token_file",),
    "container": ("container_credentials_full_uri", "container_credentials_relative_uri"),
}
"""Which settings name a place of credentials."""


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """Hold what says who we are, at one moment.

    Args:
        values: The typed settings of the store, which the caller or the environment gave.
        given: The names of those that the caller gave.
        client: Makes the settings of the HTTP client for a scheme, given the certificates to trust in the place of the
            system's.
        user_agent: What requests say that they come from.
        variables: The environment.
        files: What the files say.
        name: The profile.
        chosen: Whether the caller, or another profile, named it: keys and tokens of the environment are then passed
            over.
    """

    values: Mapping[str, Any] = field(repr=False)
    given: frozenset[str]
    client: Client = field(repr=False)
    user_agent: str
    variables: Mapping[str, str] = field(repr=False)
    files: Files
    name: str
    chosen: bool

    @property
    def profile(self) -> Section:
        """What the files say of the profile."""
        return self.files.profile(self.name)

    @property
    def told(self) -> tuple[object, ...]:
        """All that decides who we are, but for the environment and the settings of the HTTP client."""
        files = self.files
        said = (files.config, files.shared, files.sessions, files.services)
        return ("aws", self.values, self.given, self.user_agent, self.name, self.chosen, *said, _logins())

    def of(self, profile: str) -> AwsConfig:
        """Return the same for another profile, which one profile names as its source."""
        return replace(self, name=profile, chosen=True, given=frozenset())

    def setting(self, name: str) -> Any:
        """Return a setting that the caller gave, or the environment where no profile was chosen."""
        return self.values[name] if name in self.given or not self.chosen else None

    @property
    def named(self) -> frozenset[str]:
        """The places of credentials that the caller named: they come before all others."""
        return frozenset(place for place, names in _NAMED_BY.items() if not self.given.isdisjoint(names))

    def said(self, variable: str, name: str) -> str | None:
        """Return what a variable says, or else the profile; blanks are absent."""
        return self.variables.get(variable) or text(self.profile, name) or None

    def is_true(self, variable: str, name: str) -> bool:
        """Return whether a variable, or else the profile, says ``true``."""
        return (self.said(variable, name) or "").lower() == "true"

    def truth(self, name: str, said: str | None) -> bool:
        """Return whether what the profile says, or a variable, is true; nothing is false.

        Raises:
            ConfigurationError: It is neither true nor false.
        """
        try:
            return bool(said and BOOL.read(said))
        except ValueError:
            hint = f"There are: {BOOL.name}."
            raise ConfigurationError(f"The profile {self.name!r} has {name} = {said!r}", hint=hint) from None

    @property
    def ca_bundle(self) -> bytes | None:
        """The certificates to trust in the place of the system's, where the profile names a file of them.

        AWS_CA_BUNDLE, which counts more, is read where the system's are looked for.
        """
        path = text(self.profile, "ca_bundle")
        if not path or self.variables.get("AWS_CA_BUNDLE"):
            return None
        try:
            return Path(os.path.expanduser(path)).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no path"
            raise ConfigurationError(
                f"The profile {self.name!r} has ca_bundle = {path!r}, which cannot be read: {reason}",
                hint="Mend it, or set AWS_CA_BUNDLE.",
            ) from None

    def connect(self, scheme: str) -> ClientSettings:
        """Return the settings of the HTTP client for a scheme."""
        return self.client(scheme, self.ca_bundle)

    @property
    def region(self) -> str | None:
        """The region that somebody named."""
        return self.values["region"] or self.values["default_region"] or text(self.profile, "region") or None

    @property
    def ignores_endpoints(self) -> bool:
        """Whether the URLs that the environment and the profile give do not count."""
        name = "ignore_configured_endpoint_urls"
        ignores: bool = self.values[name]
        if ignores or name in self.given or self.variables.get(f"AWS_{name.upper()}"):
            return ignores
        return self.truth(name, text(self.profile, name))

    def endpoint(self, service: str) -> str | None:
        """Return the URL that the environment or the profile gives for a service.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html

        Args:
            service: Its name, in lower case with underscores.

        Raises:
            ConfigurationError: The profile names a section of services that is not there.
        """
        if self.ignores_endpoints:
            return None
        named = self.variables.get(f"AWS_ENDPOINT_URL_{service.upper()}") or self.variables.get("AWS_ENDPOINT_URL")
        return named or self.endpoint_in_profile(service)

    def endpoint_in_profile(self, service: str) -> str | None:
        """Return the URL that the profile gives for a service."""
        section = text(self.profile, "services")
        if section is not None and section not in self.files.services:
            raise ConfigurationError(
                f"The profile {self.name!r} names the services section {section!r}, which is not there",
                hint=f"Add [services {section}] to {config_path(self.variables)!r}.",
            )
        own = inner(self.files.services[section], service).get("endpoint_url") if section is not None else None
        return own or text(self.profile, "endpoint_url")


def _logins() -> list[tuple[str, int, int]]:
    """Return when each single sign-on was last renewed: another login may be of another user."""
    try:
        with os.scandir(Path.home() / ".aws" / "sso" / "cache") as found:
            known = [(each.name, each.stat()) for each in found]
    except (OSError, RuntimeError):
        return []
    return sorted((name, status.st_mtime_ns, status.st_size) for name, status in known)


def service_url(service: str, region: str) -> str:
    """Return the URL of one of Amazon's services in a region.

    https://docs.aws.amazon.com/general/latest/gr/rande.html

    Raises:
        ConfigurationError: It is no region: secrets would go to another host.
    """
    if not _REGION.fullmatch(region):
        raise ConfigurationError(f"The region {region!r} cannot be a region", hint="Write it like us-east-1.")
    return f"https://{service}.{region}.{partition_of(region).suffix}"


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what is for AWS, with the secrets hidden; what is for others need not be held here."""
    ours = {name: value for name, value in environment.items() if name.startswith("AWS_")}
    return {name: Hidden(value) if name in _SECRETS else value for name, value in ours.items()}


def read_config(values: Mapping[str, Any], given: frozenset[str], client: Client, user_agent: str) -> AwsConfig:
    """Read the environment and the files.

    Args:
        values: The typed settings of the store.
        given: The names of those that the caller gave.
        client: Makes the settings of the HTTP client for a scheme, given the certificates to trust in the place of the
            system's.
        user_agent: What requests say that they come from.

    Raises:
        ConfigurationError: A file cannot be understood, or has no such profile.
    """
    variables = _variables(os.environ)
    files = read_files(variables)
    chosen = values["profile"] if "profile" in given else None
    named = chosen or variables.get("AWS_DEFAULT_PROFILE") or variables.get("AWS_PROFILE")
    if named and named not in files:
        places = f"{config_path(variables)!r} and {shared_path(variables)!r}"
        raise ConfigurationError(
            f"There is no profile {named!r} in {places}",
            hint="Give another profile, or unset AWS_DEFAULT_PROFILE and AWS_PROFILE.",
        )
    return AwsConfig(values, given, client, user_agent, variables, files, named or "default", chosen is not None)
