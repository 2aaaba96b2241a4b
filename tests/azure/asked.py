"""Tell who a library says that we are to Azure, in one environment after another: each in a process of its own.

Usage: python -m tests.azure.asked azure-identity|objstore; a line of JSON with variables in, one with the answer out.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

SCOPE = "https://storage.azure.com/.default"
HERE = ("127.", "169.254.169.254", "::1", "localhost")


def by_azure_identity() -> dict[str, Any]:
    """Ask Microsoft's own library."""
    from azure.identity import DefaultAzureCredential

    token = DefaultAzureCredential().get_token(SCOPE)
    return {"token": token.token, "ends": token.expires_on}


def by_objstore() -> dict[str, Any]:
    """Ask ours."""
    from objstore.credentials.azure_chain import azure_source, chosen_source
    from objstore.credentials.current import Credentials
    from objstore.plans.run import run
    from objstore.providers.cloud.azure import TABLE
    from objstore.settings.options import parse

    settings = parse(TABLE, keywords={"container_name": "c"}, environment=os.environ)
    given = settings.config.keys()
    credentials = Credentials(source=azure_source(chosen_source(settings.values, given), settings.values, given, "us"))
    run(credentials.refresh())
    token = credentials.current
    assert token is not None
    assert token.expires_at is not None
    return {"token": token.token, "ends": int(token.expires_at.timestamp()), "source": credentials.source}


def stay_here() -> None:
    """Fail every connection to elsewhere that Python makes."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        names = {socket.gethostbyname(address[0])} if self.family == socket.AF_INET else {"127.0.0.1"}
        assert all(name.startswith(HERE) for name in names), f"went to {address}"
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign]


def answer(ask: Callable[[], dict[str, Any]], variables: dict[str, str]) -> str:
    """Ask in an environment."""
    os.environ.clear()
    os.environ.update(variables)
    begun = time.monotonic()
    try:
        found = ask()
    except AssertionError:
        raise
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    return json.dumps({**found, "took": time.monotonic() - begun})


def main(library: str) -> None:
    """Answer until there is nothing more to answer."""
    warnings.simplefilter("ignore")
    os.environ["TZ"] = "UTC"
    time.tzset()
    stay_here()
    ask = {"azure-identity": by_azure_identity, "objstore": by_objstore}[library]
    for line in sys.stdin:
        if os.fork() == 0:
            print(answer(ask, json.loads(line)), flush=True)
            os._exit(0)
        _, status = os.wait()
        if status != 0:
            print(json.dumps({"broken": status}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
