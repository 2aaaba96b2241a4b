"""Roles of AWS: assumed with a key, or with the token of another identity (Security Token Service).

https://docs.aws.amazon.com/STS/latest/APIReference/
"""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from objstore.credentials.aws import Credential
from objstore.credentials.chains.aws.answers import WINDOW, ask, credential, origin_of, refused
from objstore.credentials.chains.aws.config import service_url
from objstore.exceptions import ConfigurationError, CorruptResponseError, UnauthenticatedError
from objstore.http.xml import Element, parse
from objstore.plans.effects import Call
from objstore.settings.masked import Hidden, HiddenBytes
from objstore.signing import sigv4

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore._core import Reply, Signer
    from objstore.credentials.chains.aws.config import AwsConfig
    from objstore.credentials.current import Source
    from objstore.plans.effects import Plan

FIRST_REGION = "us-east-1"
_OLD_REGIONS = frozenset(
    f"{place}-{number}"
    for place, numbers in {
        **dict.fromkeys(("ap-northeast", "ap-south", "ca-central", "eu-central", "eu-north", "sa-east"), "1"),
        **dict.fromkeys(("ap-southeast", "us-east", "us-west"), "12"),
        "eu-west": "123",
    }.items()
    for number in numbers
)
"""The regions whose part the one service for all of them plays, where ``legacy`` endpoints are asked for."""

_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_NAMES = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
_WHAT = "The security token service (STS)"


class AssumedRole:
    """A role, assumed with the credential of another source.

    Args:
        config: Where the service is.
        source: Whose credential signs the request.
        parameters: The parameters of AssumeRole.
    """

    name = "assume-role"
    refresh_threshold = WINDOW

    def __init__(self, config: AwsConfig, source: Source[Credential], parameters: Mapping[str, str]) -> None:
        self._config = config
        self._source = source
        self._parameters = parameters

    def fetch(self) -> Plan[Credential]:
        """Get the source's credential, and with it the role's."""
        by = yield from self._source.fetch()
        return (yield from _assume(self._config, "AssumeRole", self._parameters, by))


class WebIdentity:
    """A role, assumed with a token in a file, which is read anew each time.

    Args:
        config: Where the service is.
        token_file: The file.
        parameters: The parameters of AssumeRoleWithWebIdentity, but for the token.
    """

    name = "web-identity"
    refresh_threshold = WINDOW

    def __init__(self, config: AwsConfig, token_file: str, parameters: Mapping[str, str]) -> None:
        self._config = config
        self._file = token_file
        self._parameters = parameters

    def fetch(self) -> Plan[Credential]:
        """Read the token, and get the role's credential for it."""
        token = yield Call(self._token)
        parameters = {**self._parameters, "WebIdentityToken": token}
        return (yield from _assume(self._config, "AssumeRoleWithWebIdentity", parameters, None))

    def _token(self) -> str:
        return read_secret_file(self._file, "The web identity token")


def read_secret_file(path: str, what: str) -> str:
    """Read a small file that holds a secret.

    Raises:
        UnauthenticatedError: It cannot be read.
    """
    try:
        return Hidden(Path(os.path.expanduser(path)).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UnauthenticatedError(f"{what} in {path!r} cannot be read: {reason}") from None


def session_name() -> str:
    """Return the name of a role session that nobody named."""
    return f"objstore-session-{int(time.time())}"


def _assume(config: AwsConfig, action: str, parameters: Mapping[str, str], by: Credential | None) -> Plan[Credential]:
    """Ask for a role's credential, signed by a key or by nobody."""
    url, region = token_service(config)
    url = origin_of(url, config.values["allow_http"], _WHAT)
    body = HiddenBytes(urlencode({"Action": action, "Version": "2011-06-15", **parameters}).encode())
    plain, signer = {"Content-Type": _FORM}, None
    if by is not None:
        plain, signer = {}, _signer(url, body, by, region)
    settings = config.connect(urlsplit(url).scheme)
    reply = yield from ask(_WHAT, "POST", url, settings, headers=plain, body=body, signer=signer)
    return _read(reply, action)


def token_service(config: AwsConfig) -> tuple[str, str]:
    """Return where the service is, and the region in signatures.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html
    """
    region = config.region or FIRST_REGION
    named = config.values["endpoint_url_sts"] or config.endpoint("sts")
    way = (config.said("AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints") or "regional").lower()
    if way not in ("regional", "legacy"):
        raise ConfigurationError(f"sts_regional_endpoints = {way!r}", hint="Give regional or legacy.")
    if named:
        return named, region
    if config.values["use_fips_endpoint"] or config.is_true("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"):
        return service_url("sts" if region.startswith("us-gov-") else "sts-fips", region), region
    if region == "aws-global" or (way == "legacy" and region in _OLD_REGIONS):
        return "https://sts.amazonaws.com", FIRST_REGION
    return service_url("sts", region), region


def _signer(url: str, body: bytes, by: Credential, region: str) -> Signer:
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}[parts.scheme]
    host = parts.netloc.removesuffix(f":{usual}")
    return sigv4.signer(
        "POST",
        host,
        headers={"Content-Type": _FORM},
        payload_hash=hashlib.sha256(body).hexdigest(),
        credential=by,
        region=region,
        service="sts",
        now=datetime.now(UTC),
    )


def _read(reply: Reply, action: str) -> Credential:
    document = _document(bytes(reply.body), (f"{action}Response", "ErrorResponse"))
    if reply.status != 200 or document is None or document.tag == "ErrorResponse":
        code = _child(document, "Error").find_text("Code") if document is not None else ""
        raise refused(f"{_WHAT}, asked for {action},", reply, code, "Look at the role, and at who may assume it.")
    found = _child(_child(document, f"{action}Result"), "Credentials")
    return credential(_WHAT, {child.tag: Hidden(child.text) for child in found.children}, _NAMES)


def _document(body: bytes, roots: tuple[str, ...]) -> Element | None:
    try:
        return parse(body, roots)
    except CorruptResponseError:
        return None


def _child(element: Element, name: str) -> Element:
    return next(iter(element.find_all(name)), Element(name, "", []))
