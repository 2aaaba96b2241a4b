"""Tell who a library says that we are to Azure, in one environment after another: each in a process of its own.

Usage: python -m tests.azure.asked azure-identity|objstore; a line of JSON with variables in, one with the answer out.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from tests.asked import in_turn
from tests.shown import shown_by, shown_of

SCOPE = "https://storage.azure.com/.default"
HERE = ("127.", "169.254.169.254", "::1", "localhost")


def by_azure_identity() -> dict[str, Any]:
    """Ask Microsoft's own library."""
    from azure.identity import DefaultAzureCredential

    token = DefaultAzureCredential().get_token(SCOPE)
    return {"token": token.token, "ends": token.expires_on}


def by_objstore() -> dict[str, Any]:
    """Ask ours."""
    from objstore.credentials.chains.azure.chain import azure_source, chosen_source
    from objstore.credentials.current import Credentials
    from objstore.exceptions import BaseError
    from objstore.plans.run import run
    from objstore.providers.cloud.azure import TABLE
    from objstore.settings.options import parse

    settings = parse(TABLE, keywords={"container_name": "c"}, environment=os.environ)
    given = settings.config.keys()
    credentials = Credentials(source=azure_source(chosen_source(settings.values, given), settings.values, given, "us"))
    try:
        run(credentials.refresh())
    except BaseError as error:
        _check(shown_by(error))
        raise
    _check(shown_of(credentials))
    token = credentials.current
    assert token is not None
    assert token.expires_at is not None
    return {"token": token.token, "ends": int(token.expires_at.timestamp()), "source": credentials.source}


def _check(shown: str) -> None:
    assert "planted" not in shown


def is_here(used: socket.socket, address: Any) -> bool:
    """Tell whether an address is one of this machine, or of its metadata service."""
    if used.family != socket.AF_INET:
        return True
    return socket.gethostbyname(address[0]).startswith(HERE)


if __name__ == "__main__":
    import azure.identity  # noqa: F401  # once for all environments: it takes long

    import objstore.credentials.chains.azure.chain
    import objstore.providers.cloud.azure  # noqa: F401

    in_turn({"azure-identity": by_azure_identity, "objstore": by_objstore}[sys.argv[1]], is_here)
