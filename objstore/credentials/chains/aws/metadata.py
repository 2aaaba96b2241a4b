"""Credentials from where a program runs: the container's endpoint, or the metadata service of the instance.

Both are asked with short time limits, and never through a proxy: they are on this machine's own network.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from objstore._core import ClientSettings
from objstore.credentials.chains.aws.answers import (
    WINDOW,
    ask,
    can_be_sent,
    credential,
    json_object,
    refused,
    split_url,
)
from objstore.credentials.chains.aws.sts import read_secret_file
from objstore.exceptions import ConfigurationError, UnauthenticatedError
from objstore.http.single import send
from objstore.plans.effects import Call
from objstore.settings.masked import Hidden, HiddenBytes

if TYPE_CHECKING:
    from objstore._core import Reply
    from objstore.credentials.aws import Credential
    from objstore.credentials.chains.aws.config import AwsConfig
    from objstore.plans.effects import Plan

_NAMES = ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")

_TASK = "http://169.254.170.2"
_HOSTS = ("169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost")
_CONTAINER = "The container's credential endpoint"

_INSTANCE = "The instance metadata service (IMDS)"
_ENDPOINTS = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
_ROLES = "/latest/meta-data/iam/security-credentials/"
_REGION = "/latest/meta-data/placement/region"
_TOKEN_SECONDS = "21600"
_NO_TOKENS = (403, 404, 405)


def _nearby(user_agent: str, scheme: str, config: AwsConfig, seconds: float) -> ClientSettings:
    """Return settings for a service on this machine's own network."""
    if scheme == "https":
        return config.connect(scheme)
    return ClientSettings(
        user_agent=user_agent, connect_timeout=seconds, first_byte_timeout=seconds, stall_timeout=seconds
    )


class Container:
    """The role of a container, of ECS or EKS.

    Args:
        config: The settings.
        url: Where to ask.

    Raises:
        UnauthenticatedError: It is a host that must not be told the token.
    """

    name = "container"
    refresh_threshold = WINDOW

    def __init__(self, config: AwsConfig, url: str) -> None:
        self._config = config
        self._url = url
        parts = urlsplit(url)
        if parts.scheme != "https" and not _is_nearby(parts.hostname or ""):
            raise UnauthenticatedError(
                f"{_CONTAINER} cannot be at {parts.hostname!r} by plain http",
                hint=f"Give an https URL, a loopback address, or one of {', '.join(_HOSTS)}.",
            )

    def fetch(self) -> Plan[Credential]:
        """Ask the endpoint, with the token of now."""
        token = yield Call(self._token)
        headers = {"Accept": "application/json", **({} if token is None else {"Authorization": token})}
        settings = _nearby(self._config.user_agent, urlsplit(self._url).scheme, self._config, 2)
        reply = yield from ask(_CONTAINER, "GET", self._url, settings, headers=headers, pause=1)
        if reply.status != 200:
            raise refused(_CONTAINER, reply)
        return credential(_CONTAINER, json_object(_CONTAINER, bytes(reply.body)), _NAMES)

    def _token(self) -> str | None:
        file = self._config.values["container_authorization_token_file"]
        what = "The container's authorization token"
        token = (
            read_secret_file(file, what) if file else self._config.variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        )
        if token and not (token.isascii() and token.isprintable()):
            raise UnauthenticatedError(f"{what} has a line break, or another character that no header can carry")
        return token or None


def _is_nearby(host: str) -> bool:
    try:
        return host in _HOSTS or ip_address(host).is_loopback
    except ValueError:
        return False


def container(config: AwsConfig) -> Container | str:
    """Return the role of the container, or why there is none."""
    relative = config.values["container_credentials_relative_uri"]
    full = config.values["container_credentials_full_uri"]
    if relative:
        return Container(config, f"{_TASK}{relative}")
    return Container(config, full) if full else "no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI is set"


class Instance:
    """The role of an EC2 instance, by the metadata service's second version; by its first where that refuses tokens.

    Args:
        config: The settings.
    """

    name = "instance"
    refresh_threshold = WINDOW

    def __init__(self, config: AwsConfig) -> None:
        self._origin = _origin(config)
        seconds = _number(config, "AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout")
        self._tries = int(_number(config, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts"))
        self._settings = _nearby(config.user_agent, urlsplit(self._origin).scheme, config, seconds)
        asked = config.values["imdsv1_fallback"]
        disabled = config.is_true("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled")
        self._first_version = not disabled if asked is None else asked

    def fetch(self) -> Plan[Credential]:
        """Ask for the name of the role, and then for its credential."""
        headers = yield from self._token()
        role = (yield from self._get(_ROLES, headers)).split("\n")[0].strip()
        document = yield from self._get(_ROLES + quote(role), headers)
        return _lasting(credential(_INSTANCE, json_object(_INSTANCE, HiddenBytes(document.encode())), _NAMES))

    def region(self) -> Plan[str]:
        """Ask in which region the instance is."""
        return (yield from self._get(_REGION, (yield from self._token()))).strip()

    def _token(self) -> Plan[dict[str, str]]:
        """Return the header that later requests need; none, if the service knows no tokens and may do without."""
        ttl = {"x-aws-ec2-metadata-token-ttl-seconds": _TOKEN_SECONDS}
        origin, target = split_url(f"{self._origin}/latest/api/token", _INSTANCE)
        for _ in range(self._tries):
            reply = yield from send("PUT", origin, target, self._settings, headers=ttl, body=b"")
            if reply.status == 200 and reply.error is None:
                return {"x-aws-ec2-metadata-token": _sendable(bytes(reply.body))}
            if reply.status in _NO_TOKENS or (reply.curl_code == 28 and reply.sent):
                return self._without_token()
            if reply.status == 400:
                break
        raise _refusal(reply, origin)

    def _without_token(self) -> dict[str, str]:
        if self._first_version:
            return {}
        raise UnauthenticatedError(f"{_INSTANCE} gave no token, and its first version must not be used")

    def _get(self, path: str, headers: dict[str, str]) -> Plan[str]:
        reply = yield from ask(
            _INSTANCE, "GET", self._origin + path, self._settings, headers=headers, tries=self._tries
        )
        text = Hidden(bytes(reply.body).decode("utf-8", "replace"))
        if reply.status != 200 or not text.strip():
            hint = "Attach a role to the instance." if reply.status == 404 else None
            raise refused(_INSTANCE, reply, hint=hint)
        return text


def instance(config: AwsConfig) -> Instance | str:
    """Return the role of the instance, or why it must not be asked for."""
    if config.variables.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return "AWS_EC2_METADATA_DISABLED is true"
    return Instance(config)


def _lasting(found: Credential) -> Credential:
    """Return the credential; one that ends soon by a later time.

    The service hands out an old one where it cannot make a new one, and S3 may take it for longer than it says.
    """
    soon = datetime.now(UTC) + WINDOW + timedelta(seconds=random.randint(120, 600))
    return replace(found, expires_at=soon) if found.expires_at is None or found.expires_at <= soon else found


def _origin(config: AwsConfig) -> str:
    mode = config.said("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode")
    if mode is None:
        mode = "ipv6" if config.is_true("AWS_IMDS_USE_IPV6", "imds_use_ipv6") else "ipv4"
    if mode.lower() not in _ENDPOINTS:
        raise ConfigurationError(f"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE = {mode!r}", hint="Give IPv4 or IPv6.")
    named = config.values["metadata_endpoint"] or config.said(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint"
    )
    return (named or _ENDPOINTS[mode.lower()]).rstrip("/")


def _number(config: AwsConfig, variable: str, name: str) -> float:
    said = config.said(variable, name) or "1"
    try:
        return max(1, int(said))
    except ValueError:
        raise ConfigurationError(f"{variable} = {said!r} is no whole number", hint="Give one, such as 1.") from None


def _sendable(body: bytes) -> str:
    token = Hidden(body.decode("latin-1").strip())
    if not token or not can_be_sent(token):
        raise UnauthenticatedError(f"{_INSTANCE} gave a token that no header can carry")
    return token


def _refusal(reply: Reply, origin: str) -> UnauthenticatedError:
    if reply.error is None:
        return refused(_INSTANCE, reply)
    return UnauthenticatedError(f"{_INSTANCE} at {origin} could not be asked: {reply.error}")
