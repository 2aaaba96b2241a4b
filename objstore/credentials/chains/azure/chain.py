"""Who we are to Azure: as the settings say, else as azure-identity's DefaultAzureCredential finds out, in its order.

https://learn.microsoft.com/python/api/azure-identity/azure.identity.defaultazurecredential

Its one invariant: what was given is used, and then nothing else is looked at, let alone asked.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from objstore.credentials.chains.azure.answers import REFRESH_THRESHOLD, AbsentError
from objstore.credentials.chains.azure.application import Application, Secret, TokenFile, token_url
from objstore.credentials.chains.azure.certificate import Certificate
from objstore.credentials.chains.azure.commands import AZ, AZD, CommandLine
from objstore.credentials.chains.azure.fabric import FabricSession
from objstore.credentials.chains.azure.machine import MachineIdentity, chosen_identity
from objstore.credentials.chains.azure.pinned import TokenProxy
from objstore.credentials.current import Credentials
from objstore.credentials.shared import shared
from objstore.credentials.web import Web
from objstore.exceptions import ConfigurationError, NotSupportedError, UnauthenticatedError
from objstore.settings.azure_hosts import AUTHORITY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from objstore.credentials.azure import AzureCredential
    from objstore.credentials.chains.azure.application import Proof
    from objstore.credentials.current import Source
    from objstore.credentials.token import AccessToken
    from objstore.plans.effects import Plan

NEEDED: dict[str, tuple[str, ...]] = {
    "fabric": (
        "fabric_session_token",
        "fabric_token_service_url",
        "fabric_workload_host",
        "fabric_cluster_identifier",
    ),
    "bearer_token": ("token",),
    "access_key": ("account_key",),
    "workload_identity": ("federated_token_file", "client_id", "tenant_id"),
    "client_secret": ("client_secret", "client_id", "tenant_id"),
    "client_certificate": ("client_certificate_path", "client_id", "tenant_id"),
    "sas_token": ("sas_key",),
    "azure_cli": ("use_azure_cli",),
}
"""The credentials that settings can say, the first choice first, and the settings each needs; the first asks for it."""

_APPLICATIONS = ("client_secret", "client_certificate", "workload_identity")
_MACHINE = ("msi_endpoint", "object_id", "msi_resource_id")
_USER = ("AZURE_USERNAME", "AZURE_PASSWORD")
_IDENTITY = "Give credential_provider=objstore.auth.azure.AzureCredentialProvider()."
_OPTIONAL = ("azure_cli",)
_PLACES = ("account_name", "container_name", "endpoint", "encryption_key")
"""Settings that say where objects are, and not who we are."""

_LOGINS = ("~/.azure/azureProfile.json", "~/.azd/auth.json", "~/.azd/config.json")
"""What the command lines write when somebody logs in."""

_VARIABLE = "AZURE_TOKEN_CREDENTIALS"
_REMEDY = (
    "Run `az login`, or give account_key, sas_token, client_secret, credential_provider or skip_signature=True; "
    "objstore.auth.azure has what needs a person or a broker (VS Code, PowerShell, a browser, the shared cache)."
)


def chosen_source(values: Mapping[str, Any], given: Collection[str]) -> str:
    """Return the credential that counts: the wanted one, else the first that is complete, else ``default``.

    Args:
        values: The typed values of the settings.
        given: The names of those that the caller gave: half a credential of the environment is passed over, and what
            the environment says of applications and machines is left to the default order.

    Raises:
        ConfigurationError: There is half a credential.
    """
    if values["credential_type"] != "auto":
        return _wanted(values, values["credential_type"])
    for name, needed in NEEDED.items():
        ours = name not in _APPLICATIONS or any(setting in given for setting in needed)
        if ours and all(values[setting] for setting in needed):
            return name
    if values["use_emulator"]:
        return "access_key"
    for name, needed in NEEDED.items():
        if values[needed[0]] and needed[0] in given:
            return _wanted(values, name)
    return "managed_identity" if any(name in given for name in _MACHINE) else "default"


def _wanted(values: Mapping[str, Any], name: str) -> str:
    """Return the credential that was asked for."""
    missing = [setting for setting in NEEDED.get(name, ()) if not values[setting]]
    emulated = name == "access_key" and values["use_emulator"]
    if missing and name not in _OPTIONAL and not emulated:
        raise ConfigurationError(
            f"AzureStore has half a credential: for {name}, {' and '.join(missing)} is missing",
            hint=f"Give {' and '.join(missing)} too.",
        )
    return name


def azure_source(
    name: str, values: Mapping[str, Any], given: Collection[str], user_agent: str
) -> Source[AccessToken] | None:
    """Return who is asked for tokens; None where the credential is no such token. Nobody is asked yet.

    Args:
        name: The credential, from `chosen_source`.
        values: The typed values of the store's settings and of its ``client_options``.
        given: The names of the settings that the caller gave.
        user_agent: The User-Agent where the caller set none.

    Raises:
        ConfigurationError: A setting cannot be used.
    """
    web = Web(values, user_agent)
    tenant = values["tenant_id"] if "tenant_id" in given else None
    makers: dict[str, Callable[[], Source[AccessToken]]] = {
        "fabric": partial(_fabric, values, web),
        "client_secret": partial(_application, "client_secret", values, web),
        "client_certificate": partial(_application, "client_certificate", values, web),
        "workload_identity": partial(_workload, values, web),
        "managed_identity": lambda: MachineIdentity(web, chosen_identity(values), values["msi_endpoint"]),
        "azure_cli": lambda: CommandLine(AZ, tenant),
        "azure_developer_cli": lambda: CommandLine(AZD, tenant),
        "default": lambda: DefaultChain(values, web),
    }
    if name not in makers:
        return None
    return makers[name]() if name == "default" else Single(makers[name]())


def azure_tokens(
    name: str, values: Mapping[str, Any], given: Collection[str], user_agent: str
) -> Credentials[AzureCredential]:
    """Return the tokens of a credential; the arguments are those of `azure_source`."""
    source = azure_source(name, values, given, user_agent)
    if source is None:
        return Credentials()
    settings = {setting: value for setting, value in values.items() if setting not in _PLACES}
    told = partial(_told, name, settings, sorted(given), user_agent)
    return shared(lambda: source, told(), told)


def _told(*settings: object) -> object:
    """Return all that tokens depend on: settings, and who has logged in by the command lines."""
    return "azure", settings, [_state(path) for path in _LOGINS]


def _state(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).expanduser().stat()
    except (OSError, RuntimeError):
        return None
    return status.st_mtime_ns, status.st_size


class Single:
    """A source that is the only one to be asked: that it has nothing is an error.

    Args:
        source: The source.
    """

    refresh_threshold = REFRESH_THRESHOLD

    def __init__(self, source: Source[AccessToken]) -> None:
        self.name = source.name
        self._source = source

    def fetch(self) -> Plan[AccessToken]:
        """Ask it.

        Raises:
            BaseError: It has no token, or fails.
        """
        try:
            return (yield from self._source.fetch())
        except AbsentError as error:
            text = f"The credential {self.name} gave no token: {error}"
            raise UnauthenticatedError(text, status=error.status, code=error.code) from None


def _fabric(values: Mapping[str, Any], web: Web) -> FabricSession:
    return FabricSession(
        web,
        values["fabric_token_service_url"],
        values["fabric_workload_host"],
        values["fabric_session_token"],
        values["fabric_cluster_identifier"],
        values["token"],
    )


def _application(name: str, values: Mapping[str, Any], web: Web, proxy: TokenProxy | None = None) -> Application:
    proofs: dict[str, Callable[[], Proof]] = {
        "client_secret": lambda: Secret(values["client_secret"]),
        "client_certificate": lambda: Certificate(
            values["client_certificate_path"],
            values["client_certificate_password"],
            values["client_send_certificate_chain"],
        ),
        "workload_identity": lambda: TokenFile(values["federated_token_file"]),
    }
    url = token_url(values["authority_host"] or AUTHORITY, values["tenant_id"])
    return Application(name, web, url, values["client_id"], proofs[name](), proxy)


def _workload(values: Mapping[str, Any], web: Web) -> Application:
    return _application("workload_identity", values, web, TokenProxy.from_environment(_kubernetes()))


def _kubernetes() -> dict[str, str]:
    """Return what the environment says of a cluster, and nothing else: tracebacks may show it."""
    return {name: value for name, value in os.environ.items() if name.startswith("AZURE_KUBERNETES_")}


class Link(NamedTuple):
    """Hold one source of the default order.

    Args:
        name: What AZURE_TOKEN_CREDENTIALS calls it.
        group: The group that AZURE_TOKEN_CREDENTIALS may name.
        make: Makes the source, or raises `AbsentError`.
    """

    name: str
    group: str
    make: Callable[[], Source[AccessToken]]


_ELSEWHERE = ("VisualStudioCodeCredential", "AzurePowerShellCredential", "InteractiveBrowserCredential")


class DefaultChain:
    """The sources of the default order, one after the other until one has a token; that one stays.

    Args:
        values: The typed values of the settings.
        web: How to ask.
    """

    refresh_threshold = REFRESH_THRESHOLD

    def __init__(self, values: Mapping[str, Any], web: Web) -> None:
        self._values = values
        self._web = web
        self._found: Single | None = None
        self.name = "default"

    def fetch(self) -> Plan[AccessToken]:
        """Ask one source after the other.

        Raises:
            UnauthenticatedError: None has a token; the message says why, for each.
            BaseError: One is set up, and fails.
        """
        if self._found is not None:
            return (yield from self._found.fetch())
        reasons = []
        for link in _allowed(self._links(), os.environ.get(_VARIABLE, "").strip()):
            try:
                source = link.make()
                token = yield from source.fetch()
            except AbsentError as error:
                reasons.append(f"{link.name}: {error}")
            else:
                self._found, self.name = Single(source), source.name
                return token
        raise UnauthenticatedError(
            f"There is no credential of Azure's. account_key, sas_token and token are not set; {'; '.join(reasons)}",
            hint=_REMEDY,
        )

    def _links(self) -> list[Link]:
        return [
            Link("EnvironmentCredential", "prod", self._environment),
            Link("WorkloadIdentityCredential", "prod", self._workload),
            Link("ManagedIdentityCredential", "prod", self._machine),
            Link("AzureCliCredential", "dev", lambda: CommandLine(AZ)),
            Link("AzureDeveloperCliCredential", "dev", lambda: CommandLine(AZD)),
        ]

    def _environment(self) -> Application:
        secret, certificate = (self._missing(name) for name in ("client_secret", "client_certificate"))
        if not secret:
            return _application("client_secret", self._values, self._web)
        if not certificate:
            return _application("client_certificate", self._values, self._web)
        if self._values["client_id"] and all(map(os.environ.get, _USER)):
            raise NotSupportedError(f"{' and '.join(_USER)} ask for what needs azure-identity", hint=_IDENTITY)
        raise AbsentError(f"{_listed(secret)} not set, nor {_listed(certificate[:1])}")

    def _workload(self) -> Application:
        missing = self._missing("workload_identity")
        if missing:
            raise AbsentError(f"{_listed(missing)} not set")
        return _workload(self._values, self._web)

    def _machine(self) -> MachineIdentity:
        probe = os.environ.get(_VARIABLE, "").strip().lower() != "managedidentitycredential"
        values = self._values
        return MachineIdentity(self._web, chosen_identity(values), values["msi_endpoint"], probe=probe)

    def _missing(self, name: str) -> list[str]:
        return [setting for setting in NEEDED[name] if not self._values[setting]]


def _listed(settings: list[str]) -> str:
    return " and ".join(f"{name} (AZURE_{name.upper()})" for name in settings)


def _allowed(links: list[Link], wanted: str) -> list[Link]:
    """Return the sources that AZURE_TOKEN_CREDENTIALS lets be asked: a group, one by its name, or all.

    Raises:
        NotSupportedError: It names one that is not here.
        ConfigurationError: It names none.
    """
    word = wanted.lower()
    if not word:
        return links
    found = [link for link in links if word in (link.group, link.name.lower())]
    if found:
        return found
    if word in map(str.lower, _ELSEWHERE):
        raise NotSupportedError(
            f"{_VARIABLE} = {wanted!r} asks for what needs azure-identity",
            hint=_IDENTITY,
        )
    names = ", ".join(("dev", "prod", *(link.name for link in links)))
    raise ConfigurationError(f"{_VARIABLE} = {wanted!r} names no credential", hint=f"There are: {names}.")
