"""Tell who a library says that we are to Google, in one environment after another: each in a process of its own.

Usage: python -m tests.google_credentials.asked google-auth|objstore [HOST...]; a line of JSON with variables in, one
with the answer out. Google's library goes nowhere but to loopback and these hosts.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import warnings
from typing import Any


def by_google_auth() -> dict[str, Any]:
    """Ask Google's own library."""
    import google.auth
    from google.auth.transport.requests import Request

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    credentials.refresh(Request())
    seconds = credentials.expiry.timestamp() - time.timezone - time.time()
    return {"token": credentials.token, "seconds": seconds, "quota": credentials.quota_project_id}


def by_objstore() -> dict[str, Any]:
    """Ask ours."""
    from objstore.credentials.google_chain import google_access
    from objstore.plans.run import run
    from objstore.providers.cloud.gcs import TABLE
    from objstore.settings.options import parse

    settings = parse(TABLE, keywords={"bucket": "b"}, environment=os.environ)
    access = google_access(settings.values, None, "objstore")
    run(access.credentials.refresh())
    token = access.credentials.current
    assert token is not None
    assert token.expires_at is not None
    seconds = token.expires_at.timestamp() - time.time()
    return {"token": token.token, "seconds": seconds, "quota": access.headers.get("x-goog-user-project")}


def stay_here(*also: str) -> None:
    """Fail every connection to elsewhere that Python makes."""
    here = ("127.0.0.1", "::1", "localhost", *also)
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] in here, f"went to {address}"
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign]


def answer(ask: Any, variables: dict[str, str]) -> str:
    """Ask in an environment."""
    os.environ.clear()
    os.environ.update(variables)
    try:
        found = ask()
    except AssertionError:
        raise
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    return json.dumps(found)


def main(library: str, *also: str) -> None:
    """Answer until there is nothing more to answer."""
    warnings.simplefilter("ignore")
    os.environ["TZ"] = "UTC"
    time.tzset()
    stay_here(*also)
    ask = {"google-auth": by_google_auth, "objstore": by_objstore}[library]
    for line in sys.stdin:
        if os.fork() == 0:
            print(answer(ask, json.loads(line)), flush=True)
            os._exit(0)
        _, status = os.wait()
        if status != 0:
            print(json.dumps({"broken": status}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
