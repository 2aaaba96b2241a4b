"""Credentials of IAM Identity Center (single sign-on): for the token that ``aws sso login`` leaves.

https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/
https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from objstore.credentials.chains.aws.answers import (
    WINDOW,
    ask,
    can_be_sent,
    credential,
    json_object,
    moment,
    origin_of,
    refused,
)
from objstore.credentials.chains.aws.config import service_url
from objstore.credentials.chains.aws.profiles import text
from objstore.exceptions import UnauthenticatedError
from objstore.plans.effects import Call
from objstore.settings.masked import Hidden, HiddenBytes

if TYPE_CHECKING:
    from objstore.credentials.aws import Credential
    from objstore.credentials.chains.aws.config import AwsConfig
    from objstore.plans.effects import Plan

_WHAT = "IAM Identity Center"
_LOG_IN = "Run `aws sso login`."
_NAMES = ("accessKeyId", "secretAccessKey", "sessionToken", "expiration")
_NEEDED = ("sso_start_url", "sso_region", "sso_role_name", "sso_account_id")
_REGISTRATION = ("refreshToken", "clientId", "clientSecret", "registrationExpiresAt")


class SingleSignOn:
    """A role of an account, for whoever has logged in.

    Args:
        config: The settings.
        fields: What the profile, and the session that it names, say.
    """

    name = "sso"
    refresh_threshold = WINDOW

    def __init__(self, config: AwsConfig, fields: Mapping[str, str]) -> None:
        self._config = config
        self._fields = fields

    def fetch(self) -> Plan[Credential]:
        """Get the role's credential for the token in the cache, which is renewed if it can be."""
        token = yield Call(self._read)
        if "sso_session" in self._fields and _left(token) < WINDOW:
            token = yield from self._renewed(token)
        if _left(token) <= timedelta(0):
            raise UnauthenticatedError(f"The token of {_WHAT} has ended", hint=_LOG_IN)
        query = {"role_name": self._fields["sso_role_name"], "account_id": self._fields["sso_account_id"]}
        headers = {"x-amz-sso_bearer_token": Hidden(token["accessToken"])}
        url = f"{self._url('portal.sso', 'sso')}/federation/credentials?{urlencode(query)}"
        reply = yield from ask(_WHAT, "GET", url, self._config.connect(urlsplit(url).scheme), headers=headers)
        if reply.status != 200:
            raise refused(_WHAT, reply, hint=_LOG_IN if reply.status == 401 else None)
        found = json_object(_WHAT, bytes(reply.body)).get("roleCredentials")
        return credential(_WHAT, found if isinstance(found, Mapping) else {}, _NAMES)

    def _url(self, host: str, service: str) -> str:
        url = self._config.endpoint(service) or service_url(host, self._fields["sso_region"])
        return origin_of(url, self._config.values["allow_http"], _WHAT)

    @property
    def _file(self) -> Path:
        """Where ``aws sso login`` leaves the token."""
        name = self._fields.get("sso_session", self._fields["sso_start_url"])
        digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
        return Path(os.path.expanduser("~/.aws/sso/cache")) / f"{digest}.json"

    def _read(self) -> Mapping[str, Any]:
        try:
            token = json_object(f"The file {str(self._file)!r}", self._file.read_bytes())
        except OSError:
            raise UnauthenticatedError(f"There is no token of {_WHAT} in {str(self._file)!r}", hint=_LOG_IN) from None
        if not can_be_sent(token.get("accessToken")) or "expiresAt" not in token:
            raise UnauthenticatedError(f"The file {str(self._file)!r} holds no token", hint=_LOG_IN)
        return token

    def _renewed(self, token: Mapping[str, Any]) -> Plan[Mapping[str, Any]]:
        """Return a new token for an old one; the old one where there is none to be had."""
        if any(name not in token for name in _REGISTRATION) or _left(token, "registrationExpiresAt") <= timedelta(0):
            return token
        asked = {"grantType": "refresh_token", **{name: token[name] for name in _REGISTRATION[:3]}}
        url = f"{self._url('oidc', 'sso_oidc')}/token"
        headers, body = {"Content-Type": "application/json"}, HiddenBytes(json.dumps(asked).encode())
        try:
            settings = self._config.connect(urlsplit(url).scheme)
            reply = yield from ask(_WHAT, "POST", url, settings, headers=headers, body=body)
            if reply.status != 200:
                return token
            new = self._token(token, json_object(_WHAT, bytes(reply.body)))
        except UnauthenticatedError:
            return token
        yield Call(lambda: self._write(new))
        return new

    def _token(self, old: Mapping[str, Any], answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what the cache keeps of an answer."""
        seconds = answer.get("expiresIn")
        if not can_be_sent(answer.get("accessToken")) or not isinstance(seconds, int):
            raise UnauthenticatedError(f"{_WHAT} gave no token")
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        kept = {name: old[name] for name in _REGISTRATION[1:]}
        new = {"startUrl": self._fields["sso_start_url"], "region": self._fields["sso_region"], **kept}
        new |= {"accessToken": answer["accessToken"], "expiresAt": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return new | ({"refreshToken": answer["refreshToken"]} if "refreshToken" in answer else {})

    def _write(self, token: Mapping[str, Any]) -> None:
        """Leave the token for other programs: whole, and readable by nobody else."""
        with suppress(OSError):
            descriptor, name = tempfile.mkstemp(dir=self._file.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(token, file)
            os.replace(name, self._file)


def single_sign_on(config: AwsConfig) -> SingleSignOn | str:
    """Return the role that a profile names by single sign-on, or why there is none.

    Raises:
        UnauthenticatedError: The profile names one, but not completely.
    """
    fields = {name: value for name, value in config.profile.items() if isinstance(value, str)}
    if "sso_role_name" not in fields and "sso_account_id" not in fields:
        return f"the profile {config.name!r} has no sso_role_name and sso_account_id"
    session = text(config.profile, "sso_session")
    if session is not None:
        fields = _with_session(config, fields, session)
    missing = [name for name in _NEEDED if name not in fields]
    if missing:
        raise UnauthenticatedError(
            f"The profile {config.name!r} is to use single sign-on and lacks {', '.join(missing)}"
        )
    return SingleSignOn(config, fields)


def _with_session(config: AwsConfig, fields: Mapping[str, str], name: str) -> dict[str, str]:
    if name not in config.files.sessions:
        raise UnauthenticatedError(f"The profile {config.name!r} names the sso-session {name!r}, which is not there")
    session = {key: value for key, value in config.files.sessions[name].items() if isinstance(value, str)}
    for key, value in session.items():
        if fields.get(key, value) != value:
            raise UnauthenticatedError(f"The profile {config.name!r} and its sso-session {name!r} differ in {key}")
    return {**fields, **session}


def _left(token: Mapping[str, Any], name: str = "expiresAt") -> timedelta:
    return moment(token[name], f"{name} in the token of {_WHAT}") - datetime.now(UTC)
