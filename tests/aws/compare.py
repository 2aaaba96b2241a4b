"""Put ours and botocore into each environment, and print what either ends with, as JSON.

To be run in a network namespace of its own: it gives itself the addresses at which containers and instances are told
who they are, and nothing else can be reached.

Usage: python -m tests.aws.compare HOME
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objstore.credentials import shared
from objstore.exceptions import BaseError
from objstore.plans.run import run
from objstore.store import S3Store
from tests.aws.environments import ENVIRONMENTS, Environment
from tests.aws.odd import ODD
from tests.aws.services import Behaviour, services
from tests.shown import shown_by, shown_of

ADDRESSES = ("169.254.169.254/32", "169.254.170.2/32", "fd00:ec2::254/128")
PLACES = [("127.0.0.1", 8080), ("169.254.169.254", 80), ("169.254.170.2", 80), ("fd00:ec2::254", 80)]
EVERYWHERE = {
    **{f"AWS_ENDPOINT_URL_{name}": "http://127.0.0.1:8080" for name in ("STS", "SSO", "SSO_OIDC")},
    "AWS_ALLOW_HTTP": "true",
    "PATH": os.environ["PATH"],
}


def set_up(environment: Environment, home: Path, behaviour: Behaviour) -> None:
    """Make the files and variables of an environment, and nothing else."""
    for child in home.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()
    cache = {
        f".aws/sso/cache/{hashlib.sha1(n.encode()).hexdigest()}.json": json.dumps(t) for n, t in environment.sso.items()
    }
    own = {".aws/config": environment.config, ".aws/credentials": environment.credentials}
    for name, text in {**own, **cache, **environment.files}.items():
        if text:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text.replace("{home}", str(home)))
    os.environ.clear()
    os.environ.update(EVERYWHERE, HOME=str(home))
    os.environ.update({name: value.replace("{home}", str(home)) for name, value in environment.variables.items()})
    here = {"role": "", "token_status": 400} if environment.instance is None else environment.instance
    behaviour.__dict__.update(vars(Behaviour(**here)))
    shared._known.clear()  # what was found in another environment, at the same places, says nothing of this one


SECRETS = re.compile(
    "secret-A|token-A|(env|base|proc|client)-secret|(env|proc|imds|web|sso-access|renewed-access)-token|from-file"
)


def _check(shown: str) -> None:
    assert (found := SECRETS.search(shown)) is None, f"it shows {found}"


def ours(environment: Environment) -> dict[str, Any]:
    try:
        store = S3Store("bucket", **({"profile": environment.profile} if environment.profile else {}))
        identity = store.provider.service.identity
        run(identity.refresh())
    except BaseError as error:
        _check(shown_by(error))
        raise
    _check(shown_of(store))
    found = identity.credentials.current
    return told(found.access_key_id, found.secret_access_key, found.token, found.expires_at, identity.region)


def theirs(environment: Environment) -> dict[str, Any]:
    import botocore.session  # after there are addresses: it looks once whether there is IPv6

    session = botocore.session.Session(profile=environment.profile)
    session.get_scoped_config()  # as whoever makes a client does
    credentials = session.get_credentials()
    if credentials is None:
        raise LookupError("no credential")
    found = credentials.get_frozen_credentials()
    ends = getattr(credentials, "_expiry_time", None)
    region = session.get_config_variable("region") or "us-east-1"
    return told(found.access_key, found.secret_key, found.token, ends, region)


def told(key: str, secret: str, token: str | None, ends: datetime | None, region: str) -> dict[str, Any]:
    seconds = None if ends is None else ends.astimezone(UTC).timestamp()
    return {"key": key, "secret": secret, "token": token, "ends": seconds, "region": region}


def outcome(find: Any, environment: Environment) -> dict[str, Any]:
    try:
        return dict(find(environment))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main(home: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ADDRESSES:
        subprocess.run(["ip", "addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else [])], check=True)
    results = {}
    with services(*PLACES) as (behaviour, _):
        for name, environment in {**ENVIRONMENTS, **ODD}.items():
            results[name] = {}
            for who, find in (("ours", ours), ("theirs", theirs)):
                set_up(environment, home, behaviour)
                results[name][who] = outcome(find, environment)
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
