"""The order in which the places of credentials are looked at, which is that of AWS's own tools.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from objstore.credentials.aws_keys import environment, nowhere
from objstore.credentials.aws_metadata import container, instance
from objstore.credentials.aws_places import OF_PROFILE
from objstore.credentials.aws_roles import assume_role

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.credentials.aws import Credential
    from objstore.credentials.aws_config import AwsConfig
    from objstore.credentials.aws_keys import Found
    from objstore.credentials.current import Source


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
    return sorted(_ALL, key=lambda place: place[0] not in config.named)
