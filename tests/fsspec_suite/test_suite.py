"""fsspec's own suites for filesystems, on every store."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("fsspec")

from fsspec.tests import abstract

from objstore.fsspec import FsspecStore
from tests.servers import AzureServer, GoogleServer, S3Server, WebDavServer

numbers = count()


def on_server(server: S3Server) -> FsspecStore:
    """Return a filesystem on a server, by the options that s3fs takes."""
    return FsspecStore(
        "s3",
        key=server.access_key_id,
        secret=server.secret_access_key,
        client_kwargs={"endpoint_url": server.endpoint, "region_name": server.region},
        skip_instance_cache=True,
    )


def on_google(server: GoogleServer) -> FsspecStore:
    """Return a filesystem on an emulator of Google Cloud Storage, by the options that gcsfs takes."""
    return FsspecStore("gs", endpoint_url=server.endpoint, token="anon", skip_instance_cache=True)


def on_azure(server: AzureServer) -> FsspecStore:
    """Return a filesystem on an account, by the options that adlfs takes."""
    return FsspecStore(
        "az",
        account_name=server.account_name,
        account_key=server.account_key,
        endpoint=server.endpoint,
        client_options={"allow_http": True},
        skip_instance_cache=True,
    )


def on_web_server(server: WebDavServer) -> FsspecStore:
    """Return a filesystem of everything on the web."""
    return FsspecStore(
        "http",
        username=server.username,
        password=server.password,
        client_options={"allow_http": True},
        skip_instance_cache=True,
    )


def open_fs(request: pytest.FixtureRequest) -> FsspecStore:
    """Return the filesystem of each store."""
    if request.param in ("memory", "file"):
        return FsspecStore(request.param, skip_instance_cache=True)
    server: S3Server | AzureServer | GoogleServer | WebDavServer = request.getfixturevalue(request.param)
    if isinstance(server, WebDavServer):
        return on_web_server(server)
    if isinstance(server, AzureServer):
        server.make_container("fsspec-suite")
        return on_azure(server)
    server.make_bucket("fsspec-suite")
    return on_google(server) if isinstance(server, GoogleServer) else on_server(server)


class Fixtures(abstract.AbstractFixtures):
    """Each store in turn, and a folder that no other test uses."""

    @pytest.fixture(
        scope="class", params=["memory", "file", "strictgcs", "ministack", "moto", "azurite", "strictazure"]
    )
    @classmethod
    def fs(cls, request: pytest.FixtureRequest) -> FsspecStore:
        return open_fs(request)

    @pytest.fixture
    def fs_path(self, request: pytest.FixtureRequest, fs: FsspecStore, tmp_path: Path) -> str:
        if fs.service.root:
            return str(tmp_path)
        if fs.protocol == "http":
            url: str = request.getfixturevalue(request.node.callspec.params["fs"]).url
            return f"{url.removeprefix('http://')}/fsspec-suite/{next(numbers)}"
        return f"{'fsspec-suite/' if fs.service.has_buckets else ''}{next(numbers)}"

    @pytest.fixture
    def supports_empty_directories(self, fs: FsspecStore) -> bool:
        return fs.service.has_folders


class WebFixtures(Fixtures):
    """WebDAV servers too. They keep a folder that has been emptied, which the suites for writing take to be gone."""

    @pytest.fixture(
        scope="class",
        params=["memory", "file", "webdav", "wsgidav", "strictgcs", "ministack", "moto", "azurite", "strictazure"],
    )
    @classmethod
    def fs(cls, request: pytest.FixtureRequest) -> FsspecStore:
        return open_fs(request)


class TestCopy(Fixtures, abstract.AbstractCopyTests):
    """Copies."""


class TestGet(WebFixtures, abstract.AbstractGetTests):
    """Downloads."""


class TestPut(Fixtures, abstract.AbstractPutTests):
    """Uploads."""


class TestOpen(WebFixtures, abstract.AbstractOpenTests):
    """Modes of opening."""


class TestPipe(WebFixtures, abstract.AbstractPipeTests):
    """Modes of writing."""
