"""Files of credentials: each type is an account of its own, and the file is read again for each token.

https://cloud.google.com/docs/authentication/application-default-credentials
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.credentials.chains.google.accounts import (
    IAM_SCOPE,
    REFRESH_THRESHOLD,
    SCOPE,
    AuthorizedUser,
    ExternalUser,
    ServiceAccount,
)
from objstore.credentials.chains.google.document import read_document, read_file
from objstore.credentials.chains.google.external import external_account
from objstore.credentials.chains.google.impersonation import Impersonated
from objstore.plans.effects import Call

if TYPE_CHECKING:
    from objstore.credentials.chains.google.accounts import Account, Signer
    from objstore.credentials.chains.google.document import Document
    from objstore.credentials.current import Credentials
    from objstore.credentials.token import AccessToken
    from objstore.credentials.web import Web
    from objstore.plans.effects import Plan

GOOGLE_AUTH = "Give credential_provider=objstore.auth.google.GoogleCredentialProvider(): google-auth knows all types."


def account_of(document: Document, web: Web, scope: str = SCOPE) -> Account:
    """Return the account of a file, by its type.

    Args:
        document: The file.
        web: How to ask.
        scope: What a service account's token is to be good for.

    Raises:
        ConfigurationError: It says nothing that can be used, or is of a type that needs Google's own library.
    """
    kind = str(document.optional("type") or "service_account")
    match kind:
        case "service_account":
            return ServiceAccount(document, web, scope)
        case "authorized_user":
            return AuthorizedUser(document, web)
        case "external_account":
            return external_account(document, web)
        case "external_account_authorized_user":
            return ExternalUser(document, web)
        case "impersonated_service_account":
            return _impersonated(document, web)
    raise document.refusal(f"holds credentials of the type {kind!r}", GOOGLE_AUTH)


def _impersonated(document: Document, web: Web) -> Impersonated:
    """Return the account that ``gcloud auth application-default login --impersonate-service-account`` acts for."""
    source = document.part("source_credentials")
    ours = account_of(source, web, IAM_SCOPE)
    quota = source.optional("quota_project_id")
    return Impersonated(ours, document, web, delegates=document.texts("delegates"), quota_project=quota)


class FileAccount:
    """The account of a file that others may replace.

    Args:
        path: The file.
        setting: What names it, for messages.
        web: How to ask.

    Raises:
        ConfigurationError: It cannot be read or used.
    """

    refresh_threshold = REFRESH_THRESHOLD

    def __init__(self, path: str, setting: str, web: Web) -> None:
        self._path = path
        self._setting = setting
        self._web = web
        self._take(read_file(path, setting))

    def _take(self, text: str) -> None:
        self.document = read_document(text, f"The file {self._path!r} ({self._setting})")
        self._account = account_of(self.document, self._web)
        self._text = text
        self.name = f"{self._account.name}, of {self._setting}"

    def _look(self) -> Plan[Account]:
        """Read the file again; what an account has learned stays while its file does."""
        text = yield Call(lambda: read_file(self._path, self._setting))
        if text != self._text:
            self._take(text)
        return self._account

    def fetch(self) -> Plan[AccessToken]:
        """Get a token of the account that the file names now."""
        account = yield from self._look()
        return (yield from account.fetch())

    def signer(self, credentials: Credentials[AccessToken]) -> Signer | None:
        """Return who signs in the name of the account that the file names now."""
        return self._account.signer(credentials)
