"""What the tests with zarr share: stores to wrap, and how zarr's tests, which are coroutines, are run."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from itertools import chain, count
from pathlib import Path
from typing import Literal

import pytest

from objstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store, Store
from tests.conformance.conftest import QUICK, open_container
from tests.conftest import SERVICES
from tests.sample import WHY, left_to_all
from tests.servers import AzureServer, GoogleServer, S3Server

SERVERS = ("ministack", "moto")
"""Servers that obey conditions and keep an object beside those below it, which zarr's tests take for granted."""

numbers = count()


@pytest.hookimpl(trylast=True)  # a sample is of what -k has left
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the state machines: they take minutes, and what begins last is waited for by all processes but one.

    Of a sample, leave out what each server is asked with beside the others.
    """
    items.sort(key=lambda item: item.path.name != "test_machines.py")
    if config.getoption("--sample"):
        ours = [item for item in items if "zarr_suite" in item.path.parts]
        left = [left_to_all(ours, factor, QUICK, services=SERVICES) for factor in ("server", "s3_server")]
        config.pluginmanager.get_plugin("summary").leave_out(config, items, chain(*left), WHY)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Literal[True] | None:
    """Run a test that is a coroutine, on an event loop of its own: not the one on which zarr does its work."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}))
    return True


def new_bucket(server: S3Server | GoogleServer) -> S3Store | GCSStore:
    """Return a store below a prefix of a new bucket."""
    if isinstance(server, GoogleServer):
        return GCSStore(server.make_bucket(f"zarr-{next(numbers):04}"), prefix="below", emulator_host=server.endpoint)
    return S3Store(
        server.make_bucket(f"zarr-{next(numbers):04}"),
        prefix="below",
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
    )


def new_container(server: AzureServer) -> AzureStore:
    """Return a store below a prefix of a new container."""
    return open_container(server, prefix="below")


@pytest.fixture(scope="session", params=SERVERS)
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Each server that will do in turn."""
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session", params=["memory", "local", "strictgcs", *SERVERS, "azurite"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> S3Server | AzureServer | GoogleServer | Path | None:
    """Each server that will do in turn; a directory for local files, None for the memory."""
    if request.param == "local":
        return tmp_path_factory.mktemp("zarr")
    return None if request.param == "memory" else request.getfixturevalue(request.param)


@pytest.fixture
def bucket(s3_server: S3Server) -> Store:
    """An empty bucket on each server."""
    return new_bucket(s3_server)


@pytest.fixture
def place(server: S3Server | AzureServer | GoogleServer | Path | None) -> Store:
    """An empty store, in memory, on local files and on each server."""
    if isinstance(server, Path):
        return LocalStore(server / f"zarr-{next(numbers):04}", mkdir=True)
    if isinstance(server, AzureServer):
        return new_container(server)
    return MemoryStore() if server is None else new_bucket(server)


@pytest.fixture
def container(azurite: AzureServer) -> AzureStore:
    """An empty container."""
    return new_container(azurite)
