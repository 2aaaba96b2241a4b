"""Accounts of other identity providers: Google takes their proof, and gives a token for it (RFC 8693).

https://google.aip.dev/auth/4117, https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from objstore.credentials.google_accounts import IAM_SCOPE, REFRESH_THRESHOLD, SCOPE, UNIVERSE, basic
from objstore.credentials.google_aws import AwsSubject
from objstore.credentials.google_impersonation import LONGEST, Impersonated
from objstore.credentials.google_subjects import subject_of
from objstore.credentials.google_web import access_token

if TYPE_CHECKING:
    from objstore.credentials.current import Credentials
    from objstore.credentials.google_accounts import Account
    from objstore.credentials.google_document import Document
    from objstore.credentials.google_subjects import Subject
    from objstore.credentials.google_web import Web
    from objstore.credentials.token import AccessToken
    from objstore.plans.effects import Plan

_AWS = "urn:ietf:params:aws:token-type:aws4_request"
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
_WORKFORCE = re.compile(r"//iam\.googleapis\.com/locations/[^/]+/workforcePools/")
_EMAIL = re.compile(r"/([^/]+):generateAccessToken$")


class ExternalAccount:
    """An account of another identity provider, by federation: a workload's, or a member's of the workforce.

    Args:
        document: The file.
        web: How to ask.
        scope: What the token is to be good for.

    Raises:
        ConfigurationError: The file says nothing that can be used.
    """

    name = "external_account"
    refresh_threshold = REFRESH_THRESHOLD

    def __init__(self, document: Document, web: Web, scope: str = SCOPE) -> None:
        self._audience = document.text("audience")
        self._subject_type = document.text("subject_token_type")
        self._url = _token_url(document, web)
        self._authorization = _client(document)
        self._options = _options(document, self._audience)
        self._subject = _subject(document, self._audience, self._subject_type, web)
        self._web = web
        self._scope = scope

    def signer(self, credentials: Credentials[AccessToken]) -> None:
        """Return nobody: only service accounts sign."""

    def fetch(self) -> Plan[AccessToken]:
        """Exchange a proof for a token."""
        fields = {
            "grant_type": _GRANT,
            "audience": self._audience,
            "scope": self._scope,
            "requested_token_type": _ACCESS_TOKEN,
            "subject_token": (yield from self._subject.token()),
            "subject_token_type": self._subject_type,
            "options": self._options,
        }
        what = "Google's token exchange"
        return access_token(what, (yield from self._web.post_form(what, self._url, fields, self._authorization)))


def external_account(document: Document, web: Web) -> Account:
    """Return the account of a file of the type ``external_account``, or the one that it acts for.

    Args:
        document: The file.
        web: How to ask.

    Raises:
        ConfigurationError: The file says nothing that can be used.
    """
    if "service_account_impersonation_url" not in document:
        return ExternalAccount(document, web)
    seconds = LONGEST
    if "service_account_impersonation" in document:
        options = document.part("service_account_impersonation")
        seconds = options.number("token_lifetime_seconds", LONGEST, 600, 43_200)
    ours = ExternalAccount(document, web, IAM_SCOPE)
    quota = document.optional("quota_project_id")
    return Impersonated(ours, document, web, seconds=seconds, quota_project=quota, signs_by_itself=True)


def _token_url(document: Document, web: Web) -> str:
    if "token_url" in document:
        return document.url("token_url", allow_http=web.allow_http)
    return f"https://sts.{document.optional('universe_domain') or UNIVERSE}/v1/token"


def _client(document: Document) -> dict[str, str]:
    """Return the header of the application that asks, where the file names one."""
    name = document.optional("client_id")
    return basic(name, document.optional("client_secret") or "") if name else {}


def _options(document: Document, audience: str) -> str | None:
    """Return the project that a member of the workforce works for, as the service wants to be told."""
    project = document.optional("workforce_pool_user_project")
    if project and not _WORKFORCE.match(audience):
        raise document.refusal("has a workforce_pool_user_project, and its audience is no workforce pool")
    return quote(json.dumps({"userProject": project})) if project and "client_id" not in document else None


def _subject(document: Document, audience: str, kind: str, web: Web) -> Subject:
    source = document.part("credential_source")
    if kind == _AWS:
        return AwsSubject(source, audience, web)
    email = _EMAIL.search(document.optional("service_account_impersonation_url") or "")
    variables = {
        "GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE": audience,
        "GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE": kind,
        "GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE": "0",
        "GOOGLE_EXTERNAL_ACCOUNT_REVOKE": "0",
        **({"GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL": email[1]} if email else {}),
    }
    return subject_of(source, web, variables)
