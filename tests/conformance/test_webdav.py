"""HTTPStore on WebDAV servers: folders, and servers that say less than the RFC wants."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from objstore import exceptions
from objstore.store import HTTPStore
from tests.conformance.conftest import Face, Mode, open_folder
from tests.servers import WebDavServer

PATHS = ["a", "b/c", "b/d/e", "b/d/f/g", "bc/d", "é/ü 1"]


@pytest.fixture
def folder(webdav_server: WebDavServer, mode: Mode) -> Face:
    """A store on a folder that does not exist yet, of each server in turn."""
    return mode(open_folder(webdav_server))


async def paths(store: Face, **options: Any) -> list[str]:
    return [meta["path"] for meta in await store.mode(store.list(**options)).collect()]


async def test_a_folder_that_does_not_exist_is_empty(folder: Face) -> None:
    assert await paths(folder) == []
    assert await paths(folder, prefix="a/b") == []
    assert await folder.list_with_delimiter() == {"common_prefixes": [], "objects": []}


async def test_a_folder_is_not_deleted(folder: Face) -> None:
    await folder.put("a/b", b"1")
    await folder.put("c", b"1")
    with pytest.raises(exceptions.NotFoundError, match="folder"):
        await folder.delete(["a", "c"])
    assert await paths(folder) == ["a/b"]


async def test_what_is_written_in_the_place_of_a_folder(folder: Face) -> None:
    """It is refused, and not as if an object were missing."""
    await folder.put("a/b", b"1")
    for path in ("a", "a/b/c"):
        with pytest.raises(exceptions.BaseError, match="folder") as caught:
            await folder.put(path, b"2")
        assert not isinstance(caught.value, exceptions.NotFoundError)
    assert await paths(folder) == ["a/b"]


async def test_what_does_not_exist_cannot_be_deleted(folder: Face) -> None:
    await folder.put("a", b"1")
    with pytest.raises(exceptions.NotFoundError, match="missing"):
        await folder.delete(["missing", "a"])
    assert await paths(folder) == []


@pytest.mark.parametrize("operation", ["copy", "rename"])
async def test_a_folder_is_neither_copied_nor_replaced(folder: Face, operation: str) -> None:
    await folder.put("a/b", b"1")
    await folder.put("c", b"2")
    with pytest.raises(exceptions.NotFoundError, match="folder"):
        await getattr(folder, operation)("a", "d")
    with pytest.raises(exceptions.AlreadyExistsError, match="folder"):
        await getattr(folder, operation)("c", "a")
    assert await paths(folder) == ["a/b", "c"]


@pytest.mark.parametrize("operation", ["copy", "rename"])
async def test_missing_folders_are_made(folder: Face, operation: str) -> None:
    await folder.put("a", b"1")
    await getattr(folder, operation)("a", "x/y/z")
    assert "x/y/z" in await paths(folder)


async def test_create_and_update_look_before_they_write(folder: Face, mode: Mode) -> None:
    written = await folder.put("a", b"1", mode="create")
    with pytest.raises(exceptions.AlreadyExistsError):
        await folder.put("a", b"2", mode="create")
    with pytest.raises(exceptions.PreconditionError):
        await folder.put("a", b"3", mode={"e_tag": '"another"'})
    assert await mode(await folder.get("a")).bytes() == b"1"
    await folder.put("a", b"4", mode=written)
    assert await mode(await folder.get("a")).bytes() == b"4"


async def test_copies_between_folders_of_one_server(webdav_server: WebDavServer, mode: Mode) -> None:
    one, other = mode(open_folder(webdav_server)), mode(open_folder(webdav_server))
    await one.put("a", b"1")
    await one.copy("a", "b/c", to_store=other.target)
    assert await paths(other) == ["b/c"]


async def test_a_wrong_password(webdav_server: WebDavServer, mode: Mode) -> None:
    store = mode(open_folder(webdav_server, password="WR0NG"))
    with pytest.raises(exceptions.UnauthenticatedError) as refused:
        await mode(store.list()).collect()
    assert "WR0NG" not in str(refused.value)


# --- WsgiDAV behind something that spoils its answers

Application = Callable[[dict[str, Any], Any], Any]


def refusing(app: Application) -> Application:
    """Refuse to list whole trees, as the RFC allows (propfind-finite-depth)."""

    def answer(environ: dict[str, Any], start: Any) -> Any:
        if environ.get("HTTP_DEPTH") != "infinity":
            return app(environ, start)
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", "0")])
        return [b""]

    return answer


def shallow(app: Application) -> Application:
    """List one level where whole trees are asked for, and say nothing."""

    def answer(environ: dict[str, Any], start: Any) -> Any:
        if environ.get("HTTP_DEPTH") == "infinity":
            environ["HTTP_DEPTH"] = "1"
        return app(environ, start)

    return answer


def without_sizes(app: Application) -> Application:
    """Leave the sizes out of listings, as of what is made up when it is asked for."""

    def answer(environ: dict[str, Any], start: Any) -> Any:
        if environ["REQUEST_METHOD"] != "PROPFIND":
            return app(environ, start)
        told: list[Any] = []
        body = b"".join(app(environ, lambda status, headers, error=None: told.extend([status, headers])))
        body = re.sub(rb"<\w+:getcontentlength>\d*</\w+:getcontentlength>", b"", body)
        start(told[0], [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


def waiting(app: Application) -> Application:
    """Make a folder only once nine objects have come."""
    paths: set[str] = set()
    all_came = threading.Event()

    def answer(environ: dict[str, Any], start: Any) -> Any:
        if environ["REQUEST_METHOD"] == "PUT":
            paths.add(environ["PATH_INFO"])
        if len(paths) == 9:
            all_came.set()
        if environ["REQUEST_METHOD"] == "MKCOL" and not all_came.wait(timeout=60):
            start("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        return app(environ, start)

    return answer


@contextmanager
def serving(spoil: Callable[[Application], Application], folder: Path) -> Iterator[HTTPStore]:
    """Run WsgiDAV over a folder in this process; enter the block with a store on it."""
    wsgidav_app, wsgi = pytest.importorskip("wsgidav.wsgidav_app"), pytest.importorskip("cheroot.wsgi")
    config: dict[str, Any] = {
        "provider_mapping": {"/": str(folder)},
        "simple_dc": {"user_mapping": {"*": True}},
        "dir_browser": {"enable": False},
        "logging": {"enable": False},
    }
    app = wsgidav_app.WsgiDAVApp(config)
    server = wsgi.Server(("127.0.0.1", 0), spoil(app))
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield HTTPStore(f"http://127.0.0.1:{server.bind_addr[1]}/", client_options={"allow_http": True})
    finally:
        server.stop()
        thread.join()


@pytest.fixture(params=[refusing, shallow, without_sizes])
def spoilt(request: pytest.FixtureRequest, tmp_path: Path, mode: Mode) -> Iterator[Face]:
    """A store on WsgiDAV, spoilt in each way in turn."""
    with serving(request.param, tmp_path) as store:
        yield mode(store)


async def test_listings_are_whole_all_the_same(spoilt: Face) -> None:
    for path in PATHS:
        await spoilt.put(path, path.encode())
    metas = await spoilt.mode(spoilt.list()).collect()
    assert [(meta["path"], meta["size"]) for meta in metas] == [(path, len(path.encode())) for path in PATHS]
    assert await paths(spoilt, prefix="b") == ["b/c", "b/d/e", "b/d/f/g"]
    assert await paths(spoilt, offset="b/d/e") == ["b/d/f/g", "bc/d", "é/ü 1"]
    level = await spoilt.list_with_delimiter("b")
    assert (level["common_prefixes"], [meta["path"] for meta in level["objects"]]) == (["b/d"], ["b/c"])


async def test_writes_go_on_while_a_folder_is_made(tmp_path: Path, mode: Mode) -> None:
    with serving(waiting, tmp_path) as store:
        bodies = {f"a/{number}": b"%d" % number for number in range(9)}
        await mode(store).put_many(bodies, max_concurrency=1)
        assert await mode(store).get_many(bodies) == [*bodies.values()]
