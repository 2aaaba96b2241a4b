"""The engine's own server, and the check that every test leaves the engine at rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from objstore._core import engine_info
from tests.conftest import BY_CURL
from tests.engine import client
from tests.engine.client import Server
from tests.sample import parameters

CHOSEN = "left to ci/test --all: the test itself says who carries, and has run so beside the engine's"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a sample by libcurl's HTTP, leave out what another run has had by it."""
    if BY_CURL and config.getoption("--sample"):
        left = [item for item in items if "carrier" in parameters(item)]
        config.pluginmanager.get_plugin("summary").leave_out(config, items, left, CHOSEN)


@pytest.fixture(scope="session")
def server_process() -> Iterator[Server]:
    with client.server() as running:
        yield running


@pytest.fixture
def server(server_process: Server) -> Server:
    """The server, with nothing under way and its counts set back."""
    server_process.control("forget")
    return server_process


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server for one test alone, which leaves behind what the engine learns of a server."""
    with client.server() as running:
        yield running


@pytest.fixture(autouse=True)
def engine_at_rest() -> Iterator[None]:
    """Fail a test that leaves a transfer in flight, or that made the engine set an option wrongly."""
    yield
    after = engine_info()
    assert (after["in_flight"], after["setopt_failures"]) == (0, 0)
