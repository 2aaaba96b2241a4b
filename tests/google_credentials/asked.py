"""Tell who a library says that we are to Google, in one environment after another: each in a process of its own.

Usage: python -m tests.google_credentials.asked google-auth|objstore [HOST...]; a line of JSON with variables in, one
with the answer out. Google's library goes nowhere but to loopback and these hosts.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any

from tests.asked import in_turn


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
    from objstore.credentials.chains.google.chain import google_access
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


def is_here(used: socket.socket, address: Any) -> bool:
    """Tell whether an address is one of this machine, or was named."""
    return used.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost", *sys.argv[2:])


if __name__ == "__main__":
    # Once for all environments: it takes long. What reads its environment as it is imported, is not imported here.
    import google.auth.transport.requests  # noqa: F401

    import objstore.credentials.chains.google.chain
    import objstore.providers.cloud.gcs  # noqa: F401

    assert "google.auth.compute_engine" not in sys.modules
    in_turn({"google-auth": by_google_auth, "objstore": by_objstore}[sys.argv[1]], is_here)
