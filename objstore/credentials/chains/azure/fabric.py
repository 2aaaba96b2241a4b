"""Tokens for notebooks of Microsoft Fabric, which a service of the workspace gives out.

Its one invariant: arithmetic with times that others have written ends at the first and last moment there is.
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from objstore.credentials.chains.azure.answers import (
    REFRESH_THRESHOLD,
    RESOURCE,
    Said,
    failure,
    moment,
    said,
)
from objstore.credentials.token import AccessToken
from objstore.credentials.web import check_url, sendable
from objstore.settings.masked import hide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.credentials.web import Web
    from objstore.plans.effects import Plan

_WHAT = "Fabric's token service"
_LIFE = 3600.0
"""How long a token is good that does not say so itself."""


class FabricSession:
    """A session of Fabric, which may ask for tokens.

    Args:
        web: How to ask.
        url: Where.
        host: The host of the workload.
        session_token: What lets the session ask.
        cluster: The identifier of the cluster.
        token: A token for storage that the session has been given; it is used as long as it is good.

    Raises:
        ConfigurationError: The URL is none that a secret may be sent to.
    """

    name = "fabric"
    refresh_threshold = REFRESH_THRESHOLD

    def __init__(self, web: Web, url: str, host: str, session_token: str, cluster: str, token: str | None) -> None:
        self._web = web
        self._url = check_url(url, "fabric_token_service_url", allow_http=web.allow_http)
        self._host = host
        self._session_token = hide(session_token)
        self._cluster = cluster
        self._token = hide(token)

    def fetch(self) -> Plan[AccessToken]:
        """Take the token that there is, or ask for one.

        Raises:
            BaseError: The service refuses, fails, or answers with something else.
        """
        end = token_end(self._token) if self._token else None
        if self._token and end is not None and end - time.time() > REFRESH_THRESHOLD.total_seconds():
            return AccessToken(self._token, moment(end))
        url = f"{self._url}{'&' if '?' in self._url else '?'}resource={RESOURCE}"
        answer = said((yield from self._web.try_to_ask("GET", url, headers=self._headers())))
        return _read(url, answer, self._session_token)

    def _headers(self) -> Mapping[str, str]:
        return {
            "x-ms-partner-token": self._session_token,
            "x-ms-cluster-identifier": self._cluster,
            "x-ms-workload-resource-moniker": self._cluster,
            "x-ms-proxy-host": self._host,
        }


def _read(url: str, answer: Said, secret: str) -> AccessToken:
    """Return the token that an answer is."""
    if answer.status != 200:
        raise failure(_WHAT, url, answer, [secret])
    token = sendable(_WHAT, answer.body.decode("ascii", "replace").strip().strip('"'))
    end = token_end(token)
    return AccessToken(token, moment(time.time() + _LIFE if end is None else end))


def token_end(token: str) -> float | None:
    """Return when a JWT says that it ends (RFC 7519, section 4.1.4), as an epoch; None where it does not say."""
    try:
        part = token.split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        end = claims["exp"]
        number = float(end) if isinstance(end, (int, float)) and not isinstance(end, bool) else None
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    return None if number is None or number != number else number
