"""Tokens that a command line of Azure's prints: ``az`` for who has run ``az login``, ``azd`` for ``azd auth login``.

https://learn.microsoft.com/cli/azure/account#az-account-get-access-token

Its one invariant: no message quotes what a program printed, which may be secret.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from objstore.credentials.chains.azure.answers import REFRESH_THRESHOLD, RESOURCE, SCOPE, AbsentError, moment
from objstore.credentials.current import spread
from objstore.credentials.programs import ended
from objstore.credentials.token import AccessToken
from objstore.credentials.turns import alone
from objstore.credentials.web import sendable
from objstore.exceptions import UnauthenticatedError
from objstore.plans.work import in_steps
from objstore.settings.masked import hide

if TYPE_CHECKING:
    from objstore.plans.effects import Plan

SECONDS = 10.0
"""How long a program may take, as with azure-identity."""

_PATIENCE = 30.0
"""How long to wait for other processes that run it."""

_REASON = re.compile(r"AADSTS\d+")


class Program(NamedTuple):
    """Describe a command line.

    Args:
        name: The program.
        source: What the source is called.
        arguments: What is asked of it.
        tenant: The option for a tenant.
        login: What logs in.
        no_color: The variable that keeps colors out of what it prints.
        token: The field with the token.
    """

    name: str
    source: str
    arguments: tuple[str, ...]
    tenant: str
    login: str
    no_color: str
    token: str


AZ = Program(
    "az",
    "azure_cli",
    ("account", "get-access-token", "--output", "json", "--resource", RESOURCE),
    "--tenant",
    "az login",
    "AZURE_CORE_NO_COLOR",
    "accessToken",
)
AZD = Program(
    "azd",
    "azure_developer_cli",
    ("auth", "token", "--output", "json", "--no-prompt", "--scope", SCOPE),
    "--tenant-id",
    "azd auth login",
    "NO_COLOR",
    "token",
)


class CommandLine:
    """A command line that is logged in.

    Args:
        program: Which.
        tenant: The tenant to ask, if it is not the one that it is logged in to.
    """

    refresh_threshold = REFRESH_THRESHOLD

    def __init__(self, program: Program, tenant: str | None = None) -> None:
        self.name = program.source
        self._program = program
        self._tenant = (program.tenant, tenant) if tenant else ()

    def fetch(self) -> Plan[AccessToken]:
        """Run it.

        Raises:
            AbsentError: There is no such program, or it prints no token.
        """
        yield from spread()
        return self._read((yield from self._printed()))

    def _printed(self) -> Plan[bytes]:
        """Run it from a folder where nothing is imported, and return what it printed."""
        name = self._program.name
        found = shutil.which(name)
        if found is None:
            raise AbsentError(f"there is no program {name} on PATH")
        work = ended(
            [os.path.abspath(found), *self._program.arguments, *self._tenant],
            SECONDS,
            apart=True,
            env={**os.environ, self._program.no_color: "true"},
            cwd=os.environ.get("SYSTEMROOT") or "/",
        )
        try:
            status, out, told = yield from in_steps(alone(name, _PATIENCE, work))
        except OSError as error:
            raise AbsentError(f"{name} cannot be run: {error.strerror or error}") from None
        if status != 0:
            raise AbsentError(f"{name} {_why(self._program, status, told)}")
        return out

    def _read(self, out: bytes) -> AccessToken:
        """Take over what it printed."""
        what = self._program.name
        try:
            found = hide(json.loads(out))
        except (ValueError, RecursionError):
            found = None
        ends = _end(found) if isinstance(found, dict) else None
        if not isinstance(found, dict) or ends is None:
            raise AbsentError(f"{what} printed no JSON with a token and its end")
        try:
            return AccessToken(sendable(what, found.get(self._program.token)), ends)
        except UnauthenticatedError as error:
            raise AbsentError(str(error)) from None


def _end(found: dict[str, Any]) -> datetime | None:
    """Return when a token ends: ``expires_on`` is an epoch; ``expiresOn`` is in UTC if it says so, else local time."""
    epoch, text = found.get("expires_on"), found.get("expiresOn")
    try:
        if epoch is not None:
            return moment(float(epoch))
        local = datetime.fromisoformat(str(text))
        return local if local.tzinfo is not None else moment(local.timestamp())
    except (TypeError, ValueError, OverflowError):
        return None


def _why(program: Program, status: int, told: bytes) -> str:
    """Return why a program failed, as far as it is known to be no secret."""
    text = told.decode(errors="replace")
    reason = _REASON.search(text)
    if reason is not None:
        return f"was refused with {reason[0]} (run `{program.login}` again)"
    if program.login in text or "az account set" in text:
        return f"is not logged in (run `{program.login}`)"
    return f"ended with status {status} (run `{program.name} {' '.join(program.arguments)}` to see why)"
