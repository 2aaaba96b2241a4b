"""What the tests on the fake share: it, running, and a proxy that has it stand in for an account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.azure_blob.server import ACCOUNT, StrictServer, strict_server
from tests.tls_proxy import Proxy, standing_in

pytest.importorskip("azure.storage.blob", reason="azure-storage-blob is the judge of signatures: pip install it")

HOSTS = ("blob", "dfs")


@pytest.fixture(scope="module")
def strict() -> Iterator[StrictServer]:
    with strict_server(page=3, step=2) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(strict: StrictServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    hosts = {f"{ACCOUNT}.{kind}.core.windows.net": strict.endpoint for kind in HOSTS}
    with standing_in(hosts, tmp_path_factory.mktemp("tls")) as running:
        yield running
