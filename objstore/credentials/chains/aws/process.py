"""Credentials that a program prints, which a profile names (``credential_process``).

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html

Its one invariant: no message quotes what the program printed, which may be secret.
"""

from __future__ import annotations

import hashlib
import shlex
from typing import TYPE_CHECKING

from objstore.credentials.chains.aws.answers import WINDOW, credential, json_object
from objstore.credentials.programs import ended
from objstore.credentials.turns import alone
from objstore.exceptions import UnauthenticatedError
from objstore.plans.work import in_steps
from objstore.settings.masked import hide

if TYPE_CHECKING:
    from objstore.credentials.aws import Credential
    from objstore.plans.effects import Plan

PATIENCE = 300.0
"""How long a program may take, in seconds: it may ask a person."""

_NAMES = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")


class Process:
    """A program that prints a credential.

    Args:
        command: The program and its arguments, as a shell would split them; none runs it.
        profile: The profile that names it, for messages.
    """

    name = "credential-process"
    refresh_threshold = WINDOW

    def __init__(self, command: str, profile: str) -> None:
        self._command = hide(command)
        self._what = f"The credential_process of the profile {profile!r}"

    def fetch(self) -> Plan[Credential]:
        """Run the program."""
        found = json_object(self._what, (yield from self._printed()))
        if found.get("Version") != 1:
            raise UnauthenticatedError(f"{self._what} answers in another version than 1")
        return credential(self._what, found, _NAMES, lasting=True)

    def _printed(self) -> Plan[bytes]:
        """Run it, with the terminal if it asks a person there, and return what it printed."""
        lock = hashlib.sha256(self._command.encode()).hexdigest()[:32]
        try:
            work = ended(hide(shlex.split(self._command)), PATIENCE, apart=False)
            found = yield from in_steps(alone(lock, PATIENCE, work))
        except (OSError, ValueError, IndexError) as error:
            raise UnauthenticatedError(f"{self._what} could not be run: {_reason(error)}") from None
        if found.status != 0:
            raise UnauthenticatedError(
                f"{self._what} ended with status {found.status}", hint="Run it by itself to see why."
            )
        return found.out


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) and error.strerror is None:
        return str(error)
    return (error.strerror if isinstance(error, OSError) else None) or "it names no program"
