"""Credentials that a program prints, which a profile names (``credential_process``).

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html

Its one invariant: no message quotes what the program printed, which may be secret.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from objstore.credentials.aws_answers import WINDOW, credential, json_object
from objstore.exceptions import UnauthenticatedError
from objstore.plans.effects import Call

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        self._command = command
        self._what = f"The credential_process of the profile {profile!r}"

    def fetch(self) -> Plan[Credential]:
        """Run the program."""
        found = json_object(self._what, (yield Call(self._run)))
        if found.get("Version") != 1:
            raise UnauthenticatedError(f"{self._what} answers in another version than 1")
        return credential(self._what, found, _NAMES, lasting=True)

    def _run(self) -> bytes:
        try:
            words = shlex.split(self._command)
            with alone(self._command):
                ended = subprocess.run(
                    words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
                )
        except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
            raise UnauthenticatedError(f"{self._what} could not be run: {_reason(error)}") from None
        if ended.returncode != 0:
            raise UnauthenticatedError(
                f"{self._what} ended with status {ended.returncode}", hint="Run it by itself to see why."
            )
        return ended.stdout


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it took more than {PATIENCE:g} seconds"
    return (error.strerror if isinstance(error, OSError) else None) or "it names no program"


@contextmanager
def alone(command: str) -> Iterator[None]:
    """Hold the lock of a command: of all processes of a user one at a time runs it.

    Where no lock can be had (a home that cannot be written to), it runs without.
    """
    try:
        import fcntl

        descriptor = os.open(_lock(command), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (ImportError, OSError, RuntimeError):
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock(command: str) -> Path:
    """Return the file whose lock a command needs; no other user can reach its folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "objstore"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(command.encode()).hexdigest()[:32]}.lock"
