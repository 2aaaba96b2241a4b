"""Another account's token, and its signature, asked of IAM by who we are.

https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts
"""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from objstore.credentials.chains.google.accounts import REFRESH_THRESHOLD, SCOPE
from objstore.credentials.current import Credentials
from objstore.credentials.token import AccessToken
from objstore.credentials.web import sendable
from objstore.exceptions import UnauthenticatedError
from objstore.http.dialect import EXPIRED
from objstore.http.retry import Failure
from objstore.settings.masked import Hidden

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from objstore.credentials.chains.google.accounts import Account
    from objstore.credentials.chains.google.document import Document
    from objstore.credentials.web import Web
    from objstore.plans.effects import Plan

_TARGET = re.compile(r"/serviceAccounts/([^/:]+):generateAccessToken")
_WHAT = "IAM, asked for the service account"
SIGNED_BY_IAM = timedelta(hours=12)
"""For how long a signature is good at the least: then Google may have replaced the key."""

LONGEST = 3600
"""For how many seconds a token is good, and the most without a policy of the organisation's."""


class Iam:
    """The service that acts for one service account, asked by who we are.

    Args:
        url: The URL of its tokens: it ends in ``:generateAccessToken``.
        ours: Who we are.
        delegates: The accounts in between, each of which may act for the next.
        quota_project: The project that the question counts for.
        web: How to ask.
    """

    longest = SIGNED_BY_IAM

    def __init__(
        self, url: str, ours: Credentials[AccessToken], delegates: Sequence[str], quota_project: str | None, web: Web
    ) -> None:
        self._base = url.removesuffix(":generateAccessToken")
        self._ours = ours
        self._delegates = list(delegates)
        self._more = {"x-goog-user-project": quota_project} if quota_project else {}
        self._web = web

    def email(self) -> Plan[str]:
        """Return the account."""
        yield from ()
        return unquote(self._base.rpartition("/")[2])

    def token(self, scopes: Sequence[str], seconds: int) -> Plan[AccessToken]:
        """Have a token of the account's."""
        answer = yield from self._ask("generateAccessToken", {"scope": list(scopes), "lifetime": f"{seconds}s"})
        return AccessToken(sendable(_WHAT, answer.get("accessToken")), _time(answer.get("expireTime")))

    def sign(self, data: bytes) -> Plan[bytes]:
        """Have a signature of the account's, by a key that Google keeps."""
        answer = yield from self._ask("signBlob", {"payload": base64.b64encode(data).decode()})
        try:
            return base64.b64decode(sendable(_WHAT, answer.get("signedBlob")), validate=True)
        except ValueError:
            raise UnauthenticatedError(f"{_WHAT} gave no signature") from None

    def _ask(self, action: str, fields: Mapping[str, object]) -> Plan[Mapping[str, object]]:
        """Ask with our token; where it is refused, once more with another one."""
        yield from self._ours.refresh()
        try:
            return (yield from self._ask_once(action, fields))
        except UnauthenticatedError as error:
            refused = error.status == 401 and (yield from self._ours.recover(Failure(EXPIRED, error.code, "")))
            if not refused:
                raise
        return (yield from self._ask_once(action, fields))

    def _ask_once(self, action: str, fields: Mapping[str, object]) -> Plan[Mapping[str, object]]:
        token = self._ours.current
        headers = {**self._more, **({"Authorization": Hidden(f"Bearer {token.token}")} if token else {})}
        more = {"delegates": self._delegates} if self._delegates else {}
        return (yield from self._web.post_json(_WHAT, f"{self._base}:{action}", {**fields, **more}, headers))


def _time(text: object) -> datetime:
    """Return the time that a token ends (RFC 3339)."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise UnauthenticatedError(f"{_WHAT} gave a token without saying when it ends")
    return moment


class Impersonated:
    """A service account that we may act for.

    Args:
        ours: Who we are, with a token for IAM.
        document: The file that names the account.
        web: How to ask.
        delegates: The accounts in between.
        seconds: How long a token is to be good.
        quota_project: The project that our questions count for.
        signs_by_itself: Whether the account signs with its own token, and not with ours.
    """

    refresh_threshold = REFRESH_THRESHOLD

    def __init__(
        self,
        ours: Account,
        document: Document,
        web: Web,
        *,
        delegates: Sequence[str] = (),
        seconds: int = LONGEST,
        quota_project: str | None = None,
        signs_by_itself: bool = False,
    ) -> None:
        self.name = f"{ours.name}, impersonating a service account"
        url = document.url("service_account_impersonation_url", allow_http=web.allow_http)
        if not _TARGET.search(urlsplit(url).path) or not url.endswith(":generateAccessToken"):
            raise document.refusal("has a service_account_impersonation_url that names no account")
        self._iam = Iam(url, Credentials(source=ours), delegates, quota_project, web)
        self._signer = (lambda credentials: Iam(url, credentials, (), None, web)) if signs_by_itself else None
        self._scopes = document.texts("scopes") or (SCOPE,)
        self._seconds = seconds

    def signer(self, credentials: Credentials[AccessToken]) -> Iam:
        """Return IAM, asked by the account itself, or by who we are."""
        return self._signer(credentials) if self._signer is not None else self._iam

    def fetch(self) -> Plan[AccessToken]:
        """Have a token of the account's."""
        return (yield from self._iam.token(self._scopes, self._seconds))
