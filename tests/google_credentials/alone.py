"""Ask both libraries where the machine's real neighbours are fakes: run by alone.sh in a network of its own."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.google_credentials import cloud
from tests.google_credentials.asking import library
from tests.google_credentials.cloud import HOSTS
from tests.google_credentials.environments import aws, named
from tests.tls_proxy import standing_in

ADDRESS = ("169.254.169.254", 80)
NEAR = ("169.254.169.254", "metadata.google.internal")


def main() -> None:
    """Print what each finds, as JSON."""
    with (
        tempfile.TemporaryDirectory() as name,
        cloud.running(ADDRESS) as services,
        standing_in(dict.fromkeys(HOSTS, services.url), Path(name)) as proxy,
        library("google-auth", proxy, *NEAR) as theirs,
        library("objstore", proxy, *NEAR) as ours,
    ):
        folder = Path(name)
        environments = {"machine": {}, "external AWS machine": named(folder, aws("http://169.254.169.254"))}
        both = (theirs, ours)
        print(json.dumps({name: [one.ask_with(v, folder) for one in both] for name, v in environments.items()}))


if __name__ == "__main__":
    main()
