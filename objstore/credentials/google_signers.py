"""Who signs URLs of Google Cloud Storage: a service account's own key, or the service that keeps such keys.

https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from objstore._core import sign_rs256
from objstore.exceptions import ConfigurationError, PermissionDeniedError, UnauthenticatedError
from objstore.http.single import send

if TYPE_CHECKING:
    from objstore._core import ClientSettings, Reply
    from objstore.credentials.current import Credentials
    from objstore.credentials.google import ServiceAccount
    from objstore.credentials.token import AccessToken
    from objstore.plans.effects import Plan


class UrlSigner(Protocol):
    """Signs in the name of a service account.

    Attributes:
        account: The account.
        longest: How long what it signs is good, at the most.
    """

    account: str
    longest: timedelta

    def sign(self, text: bytes) -> Plan[bytes]:
        """Sign: RSASSA-PKCS1-v1_5 with SHA-256."""


class KeySigner:
    """The key of a service account.

    Args:
        key: The key.
    """

    longest = timedelta(days=7)

    def __init__(self, key: ServiceAccount) -> None:
        self.account = key.client_email
        self._key = key

    def sign(self, text: bytes) -> Plan[bytes]:
        """Sign with the key, here.

        Raises:
            ConfigurationError: It is no key.
        """
        try:
            return sign_rs256(self._key.private_key.encode(), text)
        except ValueError as reason:
            raise ConfigurationError(
                f"The private key of {self.account} cannot be used: {reason}", hint="Download the key again."
            ) from None
        yield


class BlobSigner:
    """The service that has the keys of service accounts, asked by an access token that may use one.

    Args:
        account: The account in whose name to sign.
        credentials: The token.
        origin: Where the service is.
        settings: How to connect.
    """

    longest = timedelta(hours=12)  # then Google may have replaced the key

    def __init__(
        self, account: str, credentials: Credentials[AccessToken], origin: str, settings: ClientSettings
    ) -> None:
        self.account = account
        self._credentials = credentials
        self._origin = origin
        self._settings = settings

    def sign(self, text: bytes) -> Plan[bytes]:
        """Have it signed (projects.serviceAccounts.signBlob).

        Raises:
            PermissionDeniedError: The token may not sign in the account's name.
            UnauthenticatedError: There is no token, or it is not taken.
        """
        yield from self._credentials.refresh()
        token = self._credentials.current
        if token is None:
            raise UnauthenticatedError("There is no access token to have a URL signed with")
        target = f"/v1/projects/-/serviceAccounts/{self.account}:signBlob"
        headers = {"Authorization": f"Bearer {token.token}", "Content-Type": "application/json"}
        body = json.dumps({"payload": base64.b64encode(text).decode()}).encode()
        reply = yield from send("POST", self._origin, target, self._settings, headers=headers, body=body)
        return self._signature(reply)

    def _signature(self, reply: Reply) -> bytes:
        if reply.error is None and reply.status == 200:
            return base64.b64decode(json.loads(bytes(reply.body))["signedBlob"])
        kind = UnauthenticatedError if reply.status == 401 else PermissionDeniedError
        raise kind(
            f"A URL could not be signed in the name of {self.account} ({reply.error or f'HTTP {reply.status}'})",
            hint="Give the account that asks the role iam.serviceAccountTokenCreator on it.",
            status=reply.status or None,
        )
