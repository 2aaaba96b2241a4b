"""The service, and a proxy that has it stand in for Amazon's hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.s3_express.opened import BUCKETS, host_of
from tests.s3_express.server import CONTROL, Express, express
from tests.tls_proxy import Proxy, standing_in


@pytest.fixture(scope="module")
def running() -> Iterator[Express]:
    with express() as service:
        yield service


@pytest.fixture(scope="module")
def proxy(running: Express, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    hosts = [CONTROL, *map(host_of, BUCKETS)]
    with standing_in(dict.fromkeys(hosts, running.url), tmp_path_factory.mktemp("tls")) as proxy:
        yield proxy


@pytest.fixture
def service(running: Express) -> Express:
    running.forget()
    return running
