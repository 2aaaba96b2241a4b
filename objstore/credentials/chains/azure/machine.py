"""The identity that a machine of Azure's has been given. Each platform tells it in its own way: virtual machines, App
Service, Service Fabric, Arc, Cloud Shell and Azure Machine Learning.

https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token

Its one invariant: a token of another identity than was asked for is never taken.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from objstore.credentials.chains.azure.answers import (
    REFRESH_THRESHOLD,
    RESOURCE,
    AbsentError,
    ask,
    failure,
    read,
    said,
    token_of,
)
from objstore.credentials.chains.azure.pinned import send_pinned
from objstore.credentials.web import Limits
from objstore.exceptions import BaseError, ConfigurationError, UnauthenticatedError
from objstore.plans.effects import Call, Sleep
from objstore.settings.masked import Hidden, HiddenBytes, hide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from objstore._core import Reply
    from objstore.credentials.chains.azure.answers import Said
    from objstore.credentials.token import AccessToken
    from objstore.credentials.web import Web
    from objstore.plans.effects import Plan

_IMDS = "http://169.254.169.254"
_PATH = "/metadata/identity/oauth2/token"
_METADATA = {"Metadata": "true"}

_PROBE = Limits(1, 1)
_ONCE = Limits(2, 1)
_NEAR = Limits(5, 3)

_GONE = 410
_PAUSES = {True: (0.0, 5.0, 10.0, 20.0, 40.0), False: (0.0, 1.6, 3.2, 6.4, 12.8)}
"""How long to wait before each new try, where the service is being set up (410), and elsewhere: at least 70 seconds are
asked for while it is. https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#retry-guidance
"""

ARC_FOLDER = "/var/opt/azcmagent/tokens"
ARC_AGENT = "/opt/azcmagent/bin/himds"
_ARC_URL = f"http://localhost:40342{_PATH}"
_MOST_KEY = 4096
"""https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication"""


class Chosen(NamedTuple):
    """Say which of a machine's identities is meant.

    Args:
        kind: ``client_id``, ``object_id`` or ``resource_id``.
        value: The id.
    """

    kind: str
    value: str


def chosen_identity(values: Mapping[str, Any]) -> Chosen | None:
    """Return the identity that the settings name; None for the machine's own.

    Raises:
        ConfigurationError: They name two.
    """
    if values["object_id"] and values["msi_resource_id"]:
        raise ConfigurationError("object_id and msi_resource_id each name an identity", hint="Give one of them.")
    if values["object_id"]:
        return Chosen("object_id", values["object_id"])
    if values["msi_resource_id"]:
        return Chosen("resource_id", values["msi_resource_id"])
    return Chosen("client_id", values["client_id"]) if values["client_id"] else None


class MachineIdentity:
    """The identity of this machine.

    Args:
        web: How to ask.
        chosen: Which identity; None for the machine's own.
        endpoint: Where the settings or IDENTITY_ENDPOINT say that tokens are.
        probe: Whether to look for a metadata service for a second before it is asked.
    """

    name = "managed_identity"
    refresh_threshold = REFRESH_THRESHOLD

    def __init__(self, web: Web, chosen: Chosen | None, endpoint: str | None, *, probe: bool = False) -> None:
        self._web = web
        self._chosen = chosen
        self._endpoint = endpoint
        self._probe = probe

    def fetch(self) -> Plan[AccessToken]:
        """Ask the service of the platform that the environment tells of.

        Raises:
            AbsentError: There is none, or it knows no such identity.
            BaseError: It fails.
        """
        endpoint, header = self._endpoint, hide(os.environ.get("IDENTITY_HEADER"))
        if endpoint and header and os.environ.get("IDENTITY_SERVER_THUMBPRINT"):
            return (yield from self._service_fabric(endpoint, header, os.environ["IDENTITY_SERVER_THUMBPRINT"]))
        if endpoint and header:
            return (yield from self._app_service(endpoint, header))
        if endpoint and os.environ.get("IMDS_ENDPOINT"):
            return (yield from self._arc(endpoint))
        if endpoint and not os.environ.get("IDENTITY_ENDPOINT"):  # it was given
            return (yield from self._app_service(endpoint, None))
        if endpoint:
            raise AbsentError("IDENTITY_ENDPOINT is set, and neither IDENTITY_HEADER nor IMDS_ENDPOINT is")
        if os.environ.get("MSI_ENDPOINT"):
            return (yield from self._older(os.environ["MSI_ENDPOINT"], hide(os.environ.get("MSI_SECRET"))))
        if (yield Call(Path(ARC_AGENT).exists)):
            return (yield from self._arc(_ARC_URL))
        host = os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST") or _IMDS
        return (yield from self._virtual_machine(host.strip("/") + _PATH))

    def _query(self, version: str, **names: str) -> dict[str, str]:
        """Return the parameters of a question; the identity's under the name that the platform has for it."""
        chosen = self._chosen
        identity = {names.get(chosen.kind, chosen.kind): chosen.value} if chosen is not None else {}
        return {"api-version": version, "resource": RESOURCE, **identity}

    def _service_fabric(self, endpoint: str, secret: str, thumbprint: str) -> Plan[AccessToken]:
        """Ask a cluster of Service Fabric, which decides itself by the application whose identity it is.

        https://learn.microsoft.com/azure/service-fabric/how-to-managed-identity-service-fabric-app-code
        """
        what = "Service Fabric"
        if self._chosen is not None and self._chosen.kind != "client_id":
            raise ConfigurationError(
                f"{what} lets nobody choose an identity", hint="Leave object_id and msi_resource_id out."
            )
        if urlsplit(endpoint).scheme != "https":
            raise ConfigurationError(f"IDENTITY_ENDPOINT of {what} is no https URL")
        url = _joined(endpoint, {"api-version": "2019-07-01-preview", "resource": RESOURCE})
        answer = yield Call(lambda: send_pinned("GET", url, {"Secret": secret}, thumbprint))
        return token_of(what, _answered(what, url, answer, [secret]))

    def _app_service(self, endpoint: str, secret: str | None) -> Plan[AccessToken]:
        """Ask App Service, Functions, Container Apps or Automation.

        https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
        """
        what = "App Service's managed identity"
        url = _joined(endpoint, self._query("2019-08-01", resource_id="mi_res_id"))
        headers = {**_METADATA, **({"X-IDENTITY-HEADER": secret} if secret else {})}
        reply = yield from self._web.try_to_ask("GET", url, headers=headers, limits=_NEAR)
        return token_of(what, _answered(what, url, said(reply), [secret or ""]))

    def _older(self, endpoint: str, secret: str | None) -> Plan[AccessToken]:
        """Ask Azure Machine Learning, which gives a secret for it, or Cloud Shell, which does not."""
        if secret:
            what, version = "Azure Machine Learning", "2017-09-01"
            url = _joined(endpoint, self._query(version, client_id="clientid", resource_id="msi_res_id"))
            reply = yield from self._web.try_to_ask("GET", url, headers={"secret": secret}, limits=_NEAR)
        else:
            what, url = "Cloud Shell", _joined(endpoint, {})
            form = {name: value for name, value in self._query("").items() if name != "api-version"}
            headers = {**_METADATA, "Content-Type": "application/x-www-form-urlencoded"}
            reply = yield from self._web.try_to_ask(
                "POST", url, headers=headers, body=urlencode(form).encode(), limits=_NEAR
            )
        return token_of(what, _answered(what, url, said(reply), [secret or ""]))

    def _arc(self, endpoint: str) -> Plan[AccessToken]:
        """Ask the agent of a machine outside of Azure, which wants to see that we can read a file of its."""
        what = "Azure Arc"
        url = _joined(endpoint, self._query("2020-06-01", resource_id="msi_res_id"))
        first = said((yield from self._web.try_to_ask("GET", url, headers=_METADATA, limits=_NEAR)))
        if first.status != 401:
            raise failure(what, url, first, [])
        challenge = first.headers.get("www-authenticate", "")
        key = yield Call(lambda: _read_key(challenge))
        headers = {**_METADATA, "Authorization": Hidden(f"Basic {key}")}
        answer = yield from ask(self._web, what, "GET", url, headers=headers, secrets=[key], limits=_NEAR)
        self._confirm(answer)
        return token_of(what, answer)

    def _confirm(self, answer: Mapping[str, Any]) -> None:
        """Refuse a token of another identity: agents that know only the machine's own give that."""
        if self._chosen is None:
            return
        names = {"resource_id": ("msi_res_id", "mi_res_id")}.get(self._chosen.kind, (self._chosen.kind,))
        if self._chosen.value.lower() not in [str(answer.get(name)).lower() for name in names]:
            raise UnauthenticatedError(
                f"Azure Arc did not say that its token is of the {self._chosen.kind} that was asked for",
                hint="Its agent may know the machine's own identity only: update it, or leave the id out.",
            )

    def _virtual_machine(self, url: str) -> Plan[AccessToken]:
        """Ask the metadata service of a virtual machine."""
        if self._probe and "AZURE_POD_IDENTITY_AUTHORITY_HOST" not in os.environ:
            probed = yield from self._web.try_to_ask("GET", url, limits=_PROBE)
            if probed.error is not None:
                raise AbsentError(f"the metadata service {url} does not answer: {probed.error}")
        url = _joined(url, self._query("2018-02-01", resource_id="msi_res_id"))
        answer = said((yield from self._ask_patiently(url)))
        try:
            return token_of("The metadata service", read("The metadata service", url, answer, []))
        except BaseError as error:  # whatever it is, this may be no machine of Azure's
            raise _absent(error) from None

    def _ask_patiently(self, url: str) -> Plan[Reply]:
        """Ask as often as the service may fail while it is being set up or updated."""
        for tried in range(6):
            reply = yield from self._web.try_to_ask("GET", url, headers=_METADATA, limits=_ONCE)
            passing = reply.error is None and (reply.status in (404, _GONE, 429) or reply.status >= 500)
            if not passing or tried == 5:
                break
            yield Sleep(_PAUSES[reply.status == _GONE][tried])
        return reply


def _answered(what: str, url: str, answer: Said, secrets: list[str]) -> Mapping[str, Any]:
    """Return what a platform answers; that it has no token for us is no failure of its own.

    Raises:
        AbsentError: It refuses.
        BaseError: It does not answer.
    """
    try:
        return read(what, url, answer, secrets)
    except UnauthenticatedError as error:
        raise _absent(error) from None


def _absent(error: BaseError) -> AbsentError:
    return AbsentError(str(error), status=error.status, code=error.code)


def _joined(endpoint: str, query: Mapping[str, str]) -> str:
    """Return the URL of a question.

    Raises:
        ConfigurationError: The endpoint is none that can be asked.
    """
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable or not endpoint.isascii() or not endpoint.isprintable() or " " in endpoint or "#" in endpoint:
        raise ConfigurationError(
            "The endpoint of the managed identity is no URL that can be asked",
            hint="Check IDENTITY_ENDPOINT, MSI_ENDPOINT and msi_endpoint.",
        )
    return "".join(_with(endpoint, query))


def _with(endpoint: str, query: Mapping[str, str]) -> Iterator[str]:
    yield endpoint
    if query:
        yield "&" if "?" in endpoint else "?"
        yield urlencode(query)


def _read_key(challenge: str) -> str:
    """Return what the file has that a challenge names; only files that the agent writes are read.

    Raises:
        UnauthenticatedError: It names another file, or one that cannot be read.
    """
    kind, _, path = challenge.partition("=")
    if kind.strip().lower() != "basic realm" or not path:
        raise UnauthenticatedError("Azure Arc answered without naming a file: WWW-Authenticate: Basic realm=FILE")
    file = Path(path.strip().strip('"'))
    if str(file.parent) != ARC_FOLDER or file.suffix != ".key" or file.name == ".key":
        raise UnauthenticatedError(f"Azure Arc names a file that is not one of {ARC_FOLDER}/*.key")
    try:
        with file.open("rb") as opened:
            data = HiddenBytes(opened.read(_MOST_KEY + 1))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise UnauthenticatedError(
            f"The file {str(file)!r} of Azure Arc cannot be read: {reason}",
            hint="Make the user of this process a member of the group himds.",
        ) from None
    text = Hidden(data.decode("ascii", "replace").strip())
    if len(data) > _MOST_KEY or not text or not text.isascii() or not text.isprintable():
        raise UnauthenticatedError(f"The file {str(file)!r} of Azure Arc holds no key, or more than {_MOST_KEY} bytes")
    return text
