"""pyarrow over object stores: pyarrow's own tests of file systems, and what they leave out."""

from __future__ import annotations

import inspect
import os
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
pytest.importorskip("cloudpickle", reason="cloudpickle is not installed: pip install cloudpickle")

import pyarrow.tests.test_fs as theirs
from pyarrow.fs import FileSelector, LocalFileSystem, PyFileSystem, SubTreeFileSystem
from pyarrow.tests.conftest import builtin_pickle, cloudpickle, pickle_module  # noqa: F401
from pyarrow.tests.test_fs import (  # noqa: F401
    allow_append_to_file,
    allow_move_dir,
    fs,
    pathfn,
    pickle_with_and_without_subtree_filesystem,
)

from objstore.arrow import ArrowFileSystemHandler
from objstore.store import GCSStore, LocalStore, MemoryStore, S3Store, Store
from tests.conformance.conftest import open_container, open_folder
from tests.servers import AzureServer, GoogleServer, S3Server, WebDavServer

Server: TypeAlias = S3Server | AzureServer | GoogleServer | WebDavServer | Path | None

numbers = count()


def new_store(server: Server) -> Store:
    """Return an empty store on a server, in a folder, or in memory."""
    if server is None:
        return MemoryStore()
    if isinstance(server, WebDavServer):
        return open_folder(server)
    if isinstance(server, AzureServer):
        return open_container(server)
    if isinstance(server, Path):
        return LocalStore(server / f"arrow-{next(numbers):04}", mkdir=True)
    if isinstance(server, GoogleServer):
        return GCSStore(server.make_bucket(f"arrow-{next(numbers):04}"), emulator_host=server.endpoint)
    return S3Store(
        server.make_bucket(f"arrow-{next(numbers):04}"),
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        client_options={"allow_http": True},
    )


pytestmark = pytest.mark.product("server")

SERVERS = [
    "memory",
    "local",
    "webdav",
    "strictgcs",
    "ministack",
    "moto",
    "azurite",
]  # rclone's S3 refuses keys that end with a slash, which keep empty directories


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Server:
    if request.param == "memory":
        return None
    return tmp_path_factory.mktemp("arrow") if request.param == "local" else request.getfixturevalue(request.param)


@pytest.fixture
def store(server: Server) -> Store:
    return new_store(server)


@pytest.fixture
def filesystem_config(store: Store) -> dict[str, Any]:
    """What pyarrow's tests ask for."""
    return {
        "fs": PyFileSystem(ArrowFileSystemHandler(store)),
        "pathfn": "folder/".__add__,
        "allow_move_dir": False,
        "allow_append_to_file": False,
    }


globals().update(
    (name, test)
    for name, test in inspect.getmembers(theirs, inspect.isfunction)
    if name.startswith("test_") and "fs" in inspect.signature(test).parameters
)


def test_times_of_local_files_are_those_of_pyarrow_to_the_nanosecond(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    LocalStore(tmp_path).put("folder/ours", b"1")
    stamped = tmp_path / "theirs"
    stamped.write_bytes(b"2")
    os.utime(stamped, ns=(1, 1_700_000_000_123_456_789))
    selector = FileSelector("", recursive=True)
    ours = PyFileSystem(ArrowFileSystemHandler(str(tmp_path)))
    pyarrows = SubTreeFileSystem(str(tmp_path), LocalFileSystem())
    wanted = {info.path: info.mtime_ns for info in pyarrows.get_file_info(selector)}
    assert wanted["theirs"] == 1_700_000_000_123_456_789
    assert {info.path: info.mtime_ns for info in ours.get_file_info(selector)} == wanted
    assert {info.path: info.mtime_ns for info in ours.get_file_info([*wanted])} == wanted
