"""The account that a machine of Google's runs as, told by its metadata server.

https://cloud.google.com/compute/docs/metadata/overview, https://google.aip.dev/auth/4115

Its one invariant: that the server did not answer is never remembered.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from objstore.credentials.chains.google.accounts import REFRESH_THRESHOLD, SCOPE
from objstore.credentials.chains.google.impersonation import SIGNED_BY_IAM, Iam
from objstore.credentials.web import NEARBY, Limits, access_token, failure, json_object, sendable
from objstore.exceptions import ConfigurationError, UnauthenticatedError
from objstore.plans.effects import Call

if TYPE_CHECKING:
    from objstore._core import Reply
    from objstore.credentials.current import Credentials
    from objstore.credentials.token import AccessToken
    from objstore.credentials.web import Web
    from objstore.plans.effects import Plan

_ADDRESS = "169.254.169.254"
_HEADERS = {"Metadata-Flavor": "Google"}
_ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default/"
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", re.ASCII)
_UNIVERSE = "/computeMetadata/v1/universe/universe-domain"
_PRODUCT = "/sys/class/dmi/id/product_name"
_WHAT = "The metadata server"


class MetadataAccount:
    """The machine's account.

    Args:
        web: How to ask.
        universe: The domain that services are in.
    """

    name = "metadata server"
    refresh_threshold = REFRESH_THRESHOLD

    def __init__(self, web: Web, universe: str) -> None:
        self._web = web
        self.found = False
        self._universe = universe

    def signer(self, credentials: Credentials[AccessToken]) -> MetadataSigner:
        """Return IAM, asked by the machine's account for itself."""
        return MetadataSigner(self, credentials, self._web, self._universe)

    def fetch(self) -> Plan[AccessToken]:
        """Ask for a token, where there is such a server.

        Raises:
            UnauthenticatedError: There is none; the message says how it was looked for.
            ConfigurationError: The machine is in another universe than requests go to.
        """
        if not self.found:
            yield from self._find()
            yield from self._check_universe()
            self.found = True
        query = urlencode({"scopes": SCOPE})
        return access_token(_WHAT, json_object(_WHAT, (yield from self.ask(f"{_ACCOUNT}token?{query}"))))

    def email(self) -> Plan[str]:
        """Ask who the account is."""
        reply = yield from self.ask(f"{_ACCOUNT}email")
        return sendable(_WHAT, bytes(reply.body).decode(errors="replace").strip())

    def ask(self, path: str) -> Plan[Reply]:
        """Ask the server that is known to be there."""
        url = f"http://{_host()}{path}"
        reply = yield from self._web.ask(_WHAT, "GET", url, headers=_HEADERS, limits=NEARBY)
        if not _is_google(reply):
            raise UnauthenticatedError(f"{url.partition('?')[0]} was answered by something that is not Google's")
        return reply

    def _find(self) -> Plan[None]:
        """Look whether there is a metadata server: whether it answers, else whether the machine is Google's."""
        if os.environ.get("NO_GCE_CHECK") == "true":
            raise UnauthenticatedError("NO_GCE_CHECK says not to look for it")
        url = f"http://{_checked(os.environ.get('GCE_METADATA_IP') or _host())}/"
        reply = yield from self._web.try_to_ask("GET", url, headers=_HEADERS, limits=_limits())
        if not _is_google(reply) and not (yield Call(_is_of_google)):
            if reply.error is None and reply.status == 200:
                raise UnauthenticatedError(f"what answers at {url} is none of Google's")
            raise failure(_WHAT, url, reply, [])

    def _check_universe(self) -> Plan[None]:
        """Refuse to send the token of one universe to the services of another.

        Servers that know of no universes answer with 404.
        """
        url = f"http://{_host()}{_UNIVERSE}"
        reply = yield from self._web.try_to_ask("GET", url, headers=_HEADERS, limits=_limits())
        named = bytes(reply.body).decode(errors="replace").strip() if _is_google(reply) else ""
        if named and named != self._universe:
            raise ConfigurationError(
                f"This machine is of the universe {named[:100]!r}, and requests go to {self._universe!r}",
                hint=f"Give universe_domain={named[:100]!r}, or set GOOGLE_CLOUD_UNIVERSE_DOMAIN.",
            )


def _host() -> str:
    """Return where the server is: the variables are those of Google's own libraries, the second one's name is old."""
    named = os.environ.get("GCE_METADATA_HOST") or os.environ.get("GCE_METADATA_ROOT")
    return _checked(named or os.environ.get("GCE_METADATA_IP") or _ADDRESS)


def _checked(host: str) -> str:
    """Return a host, perhaps with a port.

    Raises:
        ConfigurationError: It is none.
    """
    if not _HOST.fullmatch(host):
        raise ConfigurationError(
            "GCE_METADATA_HOST, GCE_METADATA_ROOT or GCE_METADATA_IP is no host", hint="Give host or host:port."
        )
    return host


def _limits() -> Limits:
    """Return how long to look for it: off Google's machines nobody answers, and the caller waits."""
    return Limits(_number("GCE_METADATA_TIMEOUT", 1), _number("GCE_METADATA_DETECT_RETRIES", 2))


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and 0 < int(text) <= 60 else default


def _is_google(reply: Reply) -> bool:
    return reply.error is None and reply.status == 200 and reply.headers.get("metadata-flavor") == "Google"


def _is_of_google() -> bool:
    """Tell whether the machine's firmware says that it is Google's."""
    try:
        return Path(_PRODUCT).read_text(encoding="utf-8").strip().startswith("Google")
    except (OSError, ValueError):
        return False


class MetadataSigner:
    """IAM, asked by the machine's account to sign in its name.

    Args:
        account: The account.
        credentials: Its tokens.
        web: How to ask.
        universe: The domain that IAM is in.
    """

    longest = SIGNED_BY_IAM

    def __init__(
        self, account: MetadataAccount, credentials: Credentials[AccessToken], web: Web, universe: str
    ) -> None:
        self._account = account
        self._ours = credentials
        self._web = web
        self._url = f"https://iamcredentials.{universe}/v1/projects/-/serviceAccounts/"

    def email(self) -> Plan[str]:
        """Return the account."""
        return self._account.email()

    def sign(self, data: bytes) -> Plan[bytes]:
        """Have a signature of the account's."""
        url = f"{self._url}{yield from self.email()}:generateAccessToken"
        return (yield from Iam(url, self._ours, (), None, self._web).sign(data))
