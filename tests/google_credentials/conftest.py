"""Google's services, running, and a proxy that stands in for their names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.google_credentials import cloud
from tests.google_credentials.cloud import HOSTS, Cloud
from tests.tls_proxy import Proxy, standing_in


@pytest.fixture(scope="session")
def running_services() -> Iterator[Cloud]:
    with cloud.running() as running:
        yield running


@pytest.fixture
def services(running_services: Cloud) -> Cloud:
    """The services, with nothing remembered."""
    running_services.forget()
    return running_services


@pytest.fixture(scope="session")
def proxy(running_services: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with standing_in(dict.fromkeys(HOSTS, running_services.url), tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy
