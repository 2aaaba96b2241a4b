"""Where a credential of AWS is looked for when none was given: in the places, and in the order, of AWS's own tools.

The first place that has one counts; if it then fails, that is the error. Nothing is asked over the network but the
place that counts, and the instance metadata service at last.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from objstore.credentials.aws_answers import WINDOW
from objstore.credentials.aws_keys import Fixed, environment, nowhere
from objstore.credentials.current import Credentials, spread
from objstore.exceptions import UnauthenticatedError
from objstore.plans.effects import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from objstore.credentials.aws import Credential
    from objstore.credentials.aws_config import AwsConfig
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
        from objstore.credentials.aws_order import choose  # all that asks for credentials, some 10 modules

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
    found = environment(config) if not config.named else None
    if not isinstance(found, Fixed):
        return Credentials(source=chain)
    chain.name = found.name
    return Credentials(found.credential, chain)
