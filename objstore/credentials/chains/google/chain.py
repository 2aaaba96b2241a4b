"""Who we are to Google: as the settings say, else as application default credentials say, in the order of Google's own
libraries.

https://google.aip.dev/auth/4110, https://cloud.google.com/docs/authentication/application-default-credentials

Its one invariant: what was given is used, and then nothing else is looked at, let alone asked.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objstore.credentials.chains.google.accounts import UNIVERSE
from objstore.credentials.chains.google.document import read_document, read_file
from objstore.credentials.chains.google.files import FileAccount, account_of
from objstore.credentials.chains.google.metadata import MetadataAccount
from objstore.credentials.current import Credentials
from objstore.credentials.google import from_mapping
from objstore.credentials.shared import provided, shared
from objstore.credentials.token import AccessToken
from objstore.credentials.web import Web
from objstore.exceptions import BaseError, ConfigurationError, UnauthenticatedError
from objstore.plans.effects import Call
from objstore.settings.masked import hide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from objstore.credentials.chains.google.accounts import Account, Signer
    from objstore.credentials.chains.google.document import Document
    from objstore.plans.effects import Plan

_GCLOUD = "gcloud's file"
_REMEDY = (
    "Run `gcloud auth application-default login`, or give service_account, credential_provider or skip_signature=True."
)


@dataclass(frozen=True, slots=True)
class GoogleAccess:
    """Who we are to Google, and what else a file of credentials says.

    Args:
        credentials: The access token, and how another one is had.
        signer: Who signs URLs; None for nobody.
        headers: What is sent beside the token: the project that requests count for.
        universe_domain: The domain that services are in.
        base_url: The service that the file names, where it is not Google's (emulators).
    """

    credentials: Credentials[AccessToken]
    signer: Signer | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    universe_domain: str = UNIVERSE
    base_url: str | None = None


def google_access(values: Mapping[str, Any], provider: Callable[[], object] | None, user_agent: str) -> GoogleAccess:
    """Return who we are, as settings and environment say; nobody is asked yet.

    Args:
        values: The typed values of the store's settings and of its ``client_options``.
        provider: The caller's own source of credentials.
        user_agent: The User-Agent where the caller set none.

    Raises:
        ConfigurationError: A setting, or the file that counts, cannot be used.
    """
    universe = values["universe_domain"] or UNIVERSE
    if values["skip_signature"]:
        return GoogleAccess(Credentials(), universe_domain=universe)
    if provider is not None:
        return GoogleAccess(provided(provider, from_mapping), universe_domain=universe)
    if values["bearer_token"]:
        return GoogleAccess(Credentials(AccessToken(values["bearer_token"])), universe_domain=universe)
    if values["emulator_host"] and not values["base_url"]:
        return GoogleAccess(Credentials())  # a real credential is nothing for it
    web = Web(values, user_agent)
    return _of_key(values, web, universe) or _default(values, web, hide(dict(os.environ)))


def _of_key(values: Mapping[str, Any], web: Web, universe: str) -> GoogleAccess | None:
    """Return who a given key is of."""
    path, text = values["service_account"], values["service_account_key"]
    if path and text:
        raise ConfigurationError(
            "GCSStore has two keys, service_account and service_account_key",
            hint="Give the file, or its content, not both.",
        )
    if path:
        return _of_file(path, "service_account", web, universe)
    if not text:
        return None
    document = read_document(text, "service_account_key")
    return _of_document(document, lambda: account_of(document, web), universe, lambda: (web.told, text))


def _default(values: Mapping[str, Any], web: Web, environment: Mapping[str, str]) -> GoogleAccess:
    """Return who the application default credentials are of."""
    named = values["universe_domain"]
    access = _of_default_file(values["application_credentials"], web, environment, named or UNIVERSE)
    if access is None:
        account = MachineAccount(gcloud_file(environment), web, named or UNIVERSE)
        told = partial(_of_machine, web, named or UNIVERSE)
        credentials = shared(lambda: account, told(), told)
        access = GoogleAccess(credentials, account.signer(credentials), {}, named or UNIVERSE)
    if named and named != access.universe_domain:
        raise ConfigurationError(
            f"The file of credentials is of the universe {access.universe_domain}, "
            f"and universe_domain (GOOGLE_CLOUD_UNIVERSE_DOMAIN) is {named}",
            hint="Leave it out, or give a file of that universe.",
        )
    quota = environment.get("GOOGLE_CLOUD_QUOTA_PROJECT")
    return replace(access, headers=_quota(quota)) if quota else access


def _of_default_file(path: str | None, web: Web, environment: Mapping[str, str], universe: str) -> GoogleAccess | None:
    """Return who the file is of that is named, or that gcloud has left; None if there is none."""
    if path:
        return _of_file(path, "application_credentials", web, universe)
    gcloud = gcloud_file(environment)
    return _of_file(gcloud, _GCLOUD, web, universe) if Path(gcloud).is_file() else None


def _of_file(path: str, setting: str, web: Web, universe: str) -> GoogleAccess:
    document = read_document(read_file(path, setting), f"The file {path!r} ({setting})")
    told = partial(_of_text, path, setting, web)
    return _of_document(document, lambda: FileAccount(path, setting, web), universe, told)


def _of_text(path: str, setting: str, web: Web) -> object:
    """Return all that a file's account depends on."""
    return web.told, path, setting, read_file(path, setting)


def _of_document(
    document: Document, account_of_it: Callable[[], Account], universe: str, told: Callable[[], object]
) -> GoogleAccess:
    base_url = document.optional("gcs_base_url")
    universe = document.optional("universe_domain") or universe
    headers = _quota(document.optional("quota_project_id"))
    if document.flag("disable_oauth"):
        return GoogleAccess(Credentials(), universe_domain=universe, base_url=base_url)
    account = account_of_it()
    credentials = shared(lambda: account, told(), told)
    return GoogleAccess(credentials, account.signer(credentials), headers, universe, base_url)


def _of_machine(web: Web, universe: str) -> object:
    """Return all that a machine's account depends on: gcloud's file, where there is one by now."""
    gcloud = gcloud_file(os.environ)
    return web.told, universe, read_file(gcloud, _GCLOUD) if Path(gcloud).is_file() else None


def _quota(project: str | None) -> Mapping[str, str]:
    return {"x-goog-user-project": project} if project else {}


def gcloud_file(environment: Mapping[str, str]) -> str:
    """Return where gcloud keeps application default credentials."""
    folder = environment.get("CLOUDSDK_CONFIG")
    if not folder:
        roaming = environment.get("APPDATA") if os.name == "nt" else None
        home = environment.get("HOME") or os.path.expanduser("~")
        folder = str(Path(roaming or f"{home}/.config") / "gcloud")
    return str(Path(str(folder)) / "application_default_credentials.json")


class MachineAccount(MetadataAccount):
    """The machine's account; where there is none, the error tells of all that was looked at before.

    Args:
        gcloud: The file that gcloud would have left: it is looked for again.
        web: How to ask.
        universe: The domain that services are in.
    """

    def __init__(self, gcloud: str, web: Web, universe: str) -> None:
        super().__init__(web, universe)
        self._gcloud = gcloud

    def fetch(self) -> Plan[AccessToken]:
        """Ask for a token of what there is."""
        if (yield Call(Path(self._gcloud).is_file)):
            return (yield from FileAccount(self._gcloud, _GCLOUD, self._web).fetch())
        try:
            return (yield from super().fetch())
        except ConfigurationError:
            raise
        except BaseError as error:
            raise error if self.found else self._nothing(error) from None

    def _nothing(self, error: BaseError) -> UnauthenticatedError:
        return UnauthenticatedError(
            "There is no credential of Google's: service_account, service_account_key, bearer_token and "
            "application_credentials (GOOGLE_APPLICATION_CREDENTIALS) are not set; "
            f"gcloud has left no file {self._gcloud!r}; and there is no metadata server: {error}",
            hint=_REMEDY,
        )
