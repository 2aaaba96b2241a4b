"""fsspec's own suites for filesystems, on every store."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("fsspec")

from fsspec.tests import abstract

from objstore.fsspec import FsspecStore
from tests.servers import S3Server

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


class Fixtures(abstract.AbstractFixtures):
    """Each store in turn, and a folder that no other test uses."""

    @pytest.fixture(scope="class", params=["memory", "file", "ministack", "moto"])
    @classmethod
    def fs(cls, request: pytest.FixtureRequest) -> FsspecStore:
        if request.param in ("memory", "file"):
            return FsspecStore(request.param, skip_instance_cache=True)
        server: S3Server = request.getfixturevalue(request.param)
        server.make_bucket("fsspec-suite")
        return on_server(server)

    @pytest.fixture
    def fs_path(self, fs: FsspecStore, tmp_path: Path) -> str:
        if fs.service.root:
            return str(tmp_path)
        return f"{'fsspec-suite/' if fs.service.has_buckets else ''}{next(numbers)}"

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(Fixtures, abstract.AbstractCopyTests):
    """Copies."""


class TestGet(Fixtures, abstract.AbstractGetTests):
    """Downloads."""


class TestPut(Fixtures, abstract.AbstractPutTests):
    """Uploads."""


class TestOpen(Fixtures, abstract.AbstractOpenTests):
    """Modes of opening."""


class TestPipe(Fixtures, abstract.AbstractPipeTests):
    """Modes of writing."""
