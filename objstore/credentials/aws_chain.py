"""Where a credential of AWS is looked for when none was given: in the places, and in the order, of AWS's own tools.

The first place that has one counts; if it then fails, that is the error. Nothing is asked over the network but the
place that counts, and the instance metadata service at last.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from objstore.credentials.aws_metadata import container, instance
from objstore.credentials.aws_places import OF_PROFILE, Fixed, environment, nowhere
from objstore.credentials.aws_roles import assume_role
from objstore.credentials.aws_sts import WINDOW
from objstore.credentials.current import Credentials, spread
from objstore.exceptions import UnauthenticatedError
from objstore.plans.effects import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.credentials.aws import Credential
    from objstore.credentials.aws_config import AwsConfig
    from objstore.credentials.aws_places import Found
    from objstore.credentials.current import Source
    from objstore.plans.effects import Plan


class AwsChain:
    """All places where a credential may be.

    Args:
        read: Reads the environment and the files; it may block.
    """

    refresh_threshold: timedelta = WINDOW

    def __init__(self, read: Callable[[], AwsConfig]) -> None:
        self.name = "AWS credential chain"
        self._read = read

    def fetch(self) -> Plan[Credential]:
        """Look for a credential, everything read anew.

        Raises:
            UnauthenticatedError: There is none, or the place that has it fails.
            ConfigurationError: A file cannot be understood.
        """
        source, passed = choose((yield Call(self._read)))
        try:
            if not isinstance(source, Fixed):
                yield from spread()
            credential = yield from source.fetch()
        except UnauthenticatedError as error:
            if source.name != "instance":
                raise
            raise nowhere([*passed, ("instance", str(error).rstrip("."))]) from None
        self.name = source.name
        return credential


def aws_credentials(read: Callable[[], AwsConfig], config: AwsConfig) -> Credentials[Credential]:
    """Return the credential of the chain; a key of the environment is taken as it is now.

    Args:
        read: Reads the environment and the files.
        config: What they say now.
    """
    chain = AwsChain(read)
    first, find = _in_order(config)[0]
    found = find(config) if first == "environment" else ""
    if not isinstance(found, Fixed):
        return Credentials(source=chain)
    chain.name = found.name
    return Credentials(found.credential, chain)


def choose(config: AwsConfig) -> tuple[Source[Credential], list[tuple[str, str]]]:
    """Return the source that counts, and those before it with the reason why each does not.

    Raises:
        UnauthenticatedError: None does, or the one that does is malformed.
    """
    passed: list[tuple[str, str]] = []
    for name, find in _in_order(config):
        found = find(config)
        if not isinstance(found, str):
            return found, passed
        passed.append((name, found))
    raise nowhere(passed)


_ALL = (
    ("environment", environment),
    ("assume-role", assume_role),
    *OF_PROFILE,
    ("container", container),
    ("instance", instance),
)


def _in_order(config: AwsConfig) -> list[tuple[str, Callable[[AwsConfig], Found]]]:
    """Return all places: those first that the caller named, for what is given counts more than what is found."""
    named = set()
    if "web_identity_token_file" in config.given:
        named.add("web-identity")
    if not config.given.isdisjoint(("container_credentials_relative_uri", "container_credentials_full_uri")):
        named.add("container")
    return sorted(_ALL, key=lambda place: place[0] not in named)
