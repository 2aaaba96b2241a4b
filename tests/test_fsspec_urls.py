"""What fsspec opens by a URL is what the URL names, queries and percent-escapes; fsspec's own client is the judge."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import fsspec
import pytest

from objstore.exceptions import BaseError, ConfigurationError
from objstore.fsspec import FsspecStore
from tests.listener import Listener
from tests.servers import WebDavServer

BODY = bytes(range(100))
SECRET = "geheim"


class Pages(BaseHTTPRequestHandler):
    """Has one body under every path without 'none' in it, and signs for GET alone where the query says so."""

    seen: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path))
        status = 404 if "none" in self.path else 403 if "denied" in self.path else 200
        if "signature" in self.path and self.command == "HEAD":
            status = 403
        body = BODY if status == 200 else b""
        range_ = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if range_ and body:
            start, end = int(range_[1]), min(int(range_[2] or 99) + 1, 100)
            status, body = 206, BODY[start:end]
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/100")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def seen() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def pages(seen: list[tuple[str, str]]) -> Iterator[str]:
    with Listener(("127.0.0.1", 0), type("Handler", (Pages,), {"seen": seen})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def fs() -> FsspecStore:
    return FsspecStore("http", client_options={"allow_http": True}, skip_instance_cache=True)


PATHS = [
    "/a",
    "/a%20b",
    "/a b",
    "/%C3%BC",
    "/100%25",
    "/100%",
    "/a%2Fb",
    "/a//b",
    "/a+b",
    "/a=b,c;d:e@f!g$h&i'j(k)l",
    "/a?x=1&y=a/b%20c",
    "/a?b",
    "/a?x=[1]*",
    "/a%20b?signature=a%2Bb%3D",
    "/dir/a?x=b/",
    "/a*b",
    "/a[1-2].txt",
    "/",
    "/?x=1",
    "/a#part",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_url_is_sent_as_fsspecs_own_client_sends_it(
    pages: str, seen: list[tuple[str, str]], fs: FsspecStore, path: str, tmp_path: Path
) -> None:
    url, theirs = pages + path, fsspec.filesystem("http", skip_instance_cache=True)
    assert theirs.cat_file(url) == BODY
    (wanted,) = {target for _, target in seen}
    seen.clear()
    assert fs.cat(url) == BODY
    assert fs.exists(url)
    assert fs.isfile(url)
    assert (fs.info(url)["size"], fs.info(url)["type"]) == (100, "file")
    assert fs.info(url)["name"] == fs._strip_protocol(url)
    with fs.open(url) as file:
        assert file.read() == BODY
    fs.get(url, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == BODY
    assert fs.cat_ranges([url], [5], [9]) == [BODY[5:9]]
    assert fs.sizes([url]) == [100]
    assert fs.glob(url) == [fs._strip_protocol(url)]
    assert {target for method, target in seen if method in ("GET", "HEAD")} == {wanted}


def test_many_signed_urls_at_once(pages: str, fs: FsspecStore, tmp_path: Path) -> None:
    urls = [f"{pages}/dir/{number}?signature={number}" for number in range(40)]
    found = fs.cat(urls)
    assert found == dict.fromkeys(map(fs._strip_protocol, urls), BODY)
    fs.get(urls, str(tmp_path) + "/")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, range(40)))


def test_fsspecs_open_takes_them(pages: str) -> None:
    options: dict[str, Any] = {"client_options": {"allow_http": True}}
    with fsspec.open(f"obj{pages}/a%20b?x=[1]", **options) as file:
        assert file.read() == BODY


READS: list[Callable[[FsspecStore, str], object]] = [
    lambda fs, url: fs.cat(url),
    lambda fs, url: fs.cat_file(url, 1, 5),
    lambda fs, url: fs.info(url),
    lambda fs, url: fs.open(url),
    lambda fs, url: fs.get(url, "/nowhere/at/all"),
    lambda fs, url: fs.ls(url),
    lambda fs, url: fs.sizes([url]),
    lambda fs, url: fs.rm(url, recursive=True),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("path", ["/none", "/denied"])
def test_a_query_is_in_no_error(
    pages: str, fs: FsspecStore, read: Callable[[FsspecStore, str], object], path: str
) -> None:
    with pytest.raises((BaseError, OSError)) as caught:
        read(fs, f"{pages}{path}?signature={SECRET}")
    error = caught.value
    assert SECRET not in f"{error!r} {error} {vars(error)}"
    assert path[1:] in f"{error} {getattr(error, 'url', '')}"


def test_nothing_there(pages: str, fs: FsspecStore) -> None:
    for path in ("/none?x=1", "/none*", "/none%20", "/none+"):
        assert not fs.exists(pages + path)
        with pytest.raises(FileNotFoundError):
            fs.cat(pages + path)


def test_names_in_listings_are_urls(webdav: WebDavServer) -> None:
    fs = FsspecStore(
        "http",
        username=webdav.username,
        password=webdav.password,
        client_options={"allow_http": True},
        skip_instance_cache=True,
    )
    base = fs._strip_protocol(f"{webdav.url}/urls/x=1")
    names = ["a%2520b", "a%20c", "d%3Fe", "f+g", "h%23i", "plain"]
    fs.pipe({f"{base}/{name}": name.encode() for name in names})
    listed = [f"{base}/{name}" for name in ["a b", "a%2520b", "a c", "d%3Fe", "f+g", "h%23i", "plain"]]
    fs.pipe(listed[0], b"a b")
    assert fs.ls(base) == fs.find(base) == sorted(listed)
    assert fs.cat(fs.ls(base)) == {name: name.rpartition("/")[2].encode() for name in listed} | {
        f"{base}/a c": b"a%20c"
    }
    assert fs.isdir(base)
    assert fs.glob(f"{base}/[f]+g") == [f"{base}/f+g"]
    fs.rm(base, recursive=True)
    assert fs.find(base) == []


def test_headers_are_given_as_to_the_filesystem_of_fsspec() -> None:
    for given in ({"headers": {"A": "b"}}, {"client_kwargs": {"headers": {"A": "b"}}}):
        fs = FsspecStore("https", block_size=1 << 20, **given)
        assert fs._construct_store("host").client_options["default_headers"] == {"A": b"b"}
    with pytest.raises(ConfigurationError, match="has no meaning here"):
        FsspecStore("https", client_kwargs={"timeout": 5})
