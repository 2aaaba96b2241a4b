"""Where a credential of AWS is looked for when none was given: in the places, and in the order, of AWS's own tools.

The first place that has one counts; if it then fails, that is the error. Nothing is asked over the network but the
place that counts, and the instance metadata service at last.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from objstore.credentials.chains.aws.answers import WINDOW
from objstore.credentials.chains.aws.keys import Fixed, environment, nowhere
from objstore.credentials.current import Credentials, spread
from objstore.credentials.shared import shared
from objstore.exceptions import BaseError, UnauthenticatedError
from objstore.plans.effects import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from objstore.credentials.aws import Credential
    from objstore.credentials.chains.aws.config import AwsConfig
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
        self._source: Source[Credential] | None = None

    def fetch(self) -> Plan[Credential]:
        """Look for a credential, everything read anew.

        Raises:
            UnauthenticatedError: There is none, or the place that has it fails.
            ConfigurationError: A file cannot be understood.
        """
        from objstore.credentials.chains.aws.order import choose  # all that asks for credentials, some 10 modules

        source, passed = choose((yield Call(self._read)))
        try:
            if not isinstance(source, Fixed):
                yield from spread()
            credential = yield from source.fetch()
        except UnauthenticatedError as error:
            if source.name != "instance":
                raise
            raise nowhere([*passed, ("instance", str(error).rstrip("."))]) from None
        self.name, self._source = source.name, source
        return credential

    def region(self) -> Plan[str | None]:
        """Return the region of the instance, where its credential counts; None where it does not tell."""
        from objstore.credentials.chains.aws.metadata import Instance

        if not isinstance(self._source, Instance):
            return None
        try:
            return (yield from self._source.region())
        except BaseError:
            return None


def aws_credentials(
    read: Callable[[], AwsConfig], config: AwsConfig, client: Mapping[str, Any]
) -> Credentials[Credential]:
    """Return the credential of the chain; a key of the environment is taken as it is now.

    Args:
        read: Reads the environment and the files.
        config: What they say now.
        client: The settings of the HTTP client.
    """
    found = environment(config) if not config.named else None
    if not isinstance(found, Fixed):
        import objstore.credentials.chains.aws.order  # noqa: F401  now: see stores/base.ready

        return shared(lambda: AwsChain(read), (config.told, client), lambda: (read().told, client))
    chain = AwsChain(read)
    chain.name = found.name
    return Credentials(found.credential, chain)
