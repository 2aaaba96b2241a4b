"""HTTPStore on plain servers of every awkward kind: what is read is right, whatever they leave out.

The server is that of the engine's tests. The query of the store's URL, which every request carries, says how it
behaves.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from objstore import exceptions
from objstore.interface.values import FIRST
from objstore.store import HTTPStore
from tests.conformance.conftest import Face, Mode
from tests.engine import client
from tests.engine.client import Server
from tests.faults.content import content

whole = lru_cache(maxsize=8)(lambda size: content(0, size))

SMALL = 5000
LARGE = FIRST + 500_000  # more than the first read brings

QUIRKS = {
    "none": "",
    "no ranges": "ranges=0",
    "no suffix ranges": "ranges=suffix",
    "chunks": "framing=chunked",
    "chunks without ranges": "framing=chunked&ranges=0",
    "HEAD not allowed": "head=405",
    "HEAD forbidden, as of a URL that is signed for GET": "head=403",
    "HEAD malformed, as of a URL that is signed for GET": "head=400&ranges=0",
    "HEAD not known, chunks, no ranges": "head=501&framing=chunked&ranges=0",
    "weak ETags": "weak=1",
    "no ETags": "untagged=1",
    "no ETags, no ranges": "untagged=1&ranges=0",
    "a redirect": "hops=1",
    "ten redirects": "hops=10",
}


@pytest.fixture(scope="module")
def process() -> Iterator[Server]:
    with client.server() as running:
        yield running


@pytest.fixture
def plain(process: Server) -> Server:
    """The plain server, with its counts set back."""
    process.control("forget")
    return process


@pytest.fixture
def open_at(plain: Server, mode: Mode) -> Callable[..., Face]:
    """Return a function that opens a store whose objects have a size, on a server with quirks."""

    def opened(size: int, quirk: str = "", **options: Any) -> Face:
        options = {"client_options": {"allow_http": True}, "retry_config": {"max_retries": 1}, **options}
        return mode(HTTPStore(f"{plain.origin}/{size}?{quirk}", **options))

    return opened


# --- every quirk, every way to read


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_get(open_at: Callable[..., Face], mode: Mode, size: int, quirk: str) -> None:
    result = await open_at(size, quirk).get("a")
    assert (result.meta["size"], result.range) == (size, (0, size))
    assert await mode(result).bytes() == whole(size)


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
async def test_stream(open_at: Callable[..., Face], mode: Mode, quirk: str) -> None:
    chunks = await mode.all(await open_at(LARGE, quirk).get("a"))
    assert b"".join(chunks) == whole(LARGE)


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_ranges(open_at: Callable[..., Face], mode: Mode, size: int, quirk: str) -> None:
    store = open_at(size, quirk)
    for wanted, span in [
        ((10, 2000), (10, 2000)),
        ((10, size + 5), (10, size)),
        ({"offset": 100}, (100, size)),
        ({"suffix": 3000}, (size - 3000, size)),
        ({"suffix": size + 5}, (0, size)),
    ]:
        result = await store.get("a", options={"range": wanted})
        assert (result.meta["size"], result.range) == (size, span)
        assert await mode(result).bytes() == whole(size)[slice(*span)]
    assert await store.get_range("a", start=1000, length=100) == content(1000, 1100)


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
async def test_many_ranges(open_at: Callable[..., Face], mode: Mode, quirk: str) -> None:
    store = open_at(SMALL, quirk)
    starts = [0, 4000, 10, 4999]
    wanted = [content(start, min(start + 100, SMALL)) for start in starts]
    assert await store.get_ranges("a", starts=starts, lengths=[100] * 4, coalesce=0) == wanted
    requests = [("a", start, start + 100) for start in starts]
    assert await store.get_many([*requests, "b"]) == [*wanted, content(0, SMALL)]
    out = bytearray(400)
    assert await store.get_many([("a", 0, 100), ("b", 5, 105), ("a", 200, 400)], out=out) is not None
    assert bytes(out) == content(0, 100) + content(5, 105) + content(200, 400)
    found = dict(await mode.all(store.target.iter_many([*requests, ("b", 7, None)])))
    assert found == dict(enumerate([*wanted, content(7, SMALL)]))


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
async def test_ranges_behind_the_end(open_at: Callable[..., Face], quirk: str) -> None:
    store = open_at(SMALL, quirk)
    for call in (
        lambda: store.get_range("a", start=SMALL, length=1),
        lambda: store.get("a", options={"range": (SMALL + 5, SMALL + 9)}),
        lambda: store.get_ranges("a", starts=[0, SMALL + 1], lengths=[5, 5], coalesce=0),
        lambda: store.get_many([("a", 0, 5), ("a", SMALL, SMALL + 5)]),
    ):
        with pytest.raises(exceptions.InvalidRangeError):
            await call()
    results = await store.get_many([("a", 0, 5), ("a", SMALL, None)], on_error="return")
    assert results[0] == content(0, 5)
    assert isinstance(results[1], exceptions.InvalidRangeError)


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
async def test_an_empty_object(open_at: Callable[..., Face], mode: Mode, tmp_path: Path, quirk: str) -> None:
    store = open_at(0, quirk)
    assert await mode(await store.get("a")).bytes() == b""
    assert await mode(await store.get("a", options={"range": {"suffix": 5}})).bytes() == b""
    assert (await store.head("a"))["size"] == 0
    assert await store.get_many(["a"]) == [b""]
    await store.download("a", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b""
    with pytest.raises(exceptions.InvalidRangeError):
        await store.get_range("a", start=0, length=1)


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
async def test_head(open_at: Callable[..., Face], quirk: str) -> None:
    store = open_at(SMALL, quirk)
    meta = await store.head("a")
    assert (meta["path"], meta["size"]) == ("a", SMALL)
    assert [found["size"] for found in await store.head_many(["a", "b", "c"])] == [SMALL] * 3
    assert await store.head_many([]) == []


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
async def test_download(open_at: Callable[..., Face], tmp_path: Path, quirk: str) -> None:
    await open_at(LARGE, quirk).download("a", tmp_path / "file", chunk_size=2_000_000)
    assert (tmp_path / "file").read_bytes() == whole(LARGE)


async def test_a_large_object_of_a_server_without_ranges_is_read_once(
    open_at: Callable[..., Face], plain: Server, mode: Mode, tmp_path: Path
) -> None:
    size = 100_000_000
    store = open_at(size, "ranges=0")
    await store.download("a", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == whole(size)
    assert len(plain.seen()["requests"]) <= 3  # HEAD, a look, and all
    assert await mode(await store.get("a")).bytes() == whole(size)
    assert len(plain.seen()["requests"]) <= 5
    await store.get_ranges("a", starts=range(0, size, size // 9), lengths=[10] * 9 + [1], coalesce=0)
    assert len(plain.seen()["requests"]) <= 6


async def test_a_body_that_may_have_been_cut_is_refused(open_at: Callable[..., Face]) -> None:
    with pytest.raises(exceptions.CorruptResponseError):
        await open_at(SMALL, "framing=close&ranges=0").get("a")


async def test_an_encoded_body_is_left_as_it_is(open_at: Callable[..., Face], mode: Mode) -> None:
    result = await open_at(SMALL, "header=Content-Encoding: gzip").get("a")
    assert result.attributes == {"Content-Encoding": "gzip"}
    assert await mode(result).bytes() == content(0, SMALL)


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_every_redirect_is_followed(open_at: Callable[..., Face], mode: Mode, status: int) -> None:
    store = open_at(SMALL, f"hops=2&by={status}")
    result = await store.get("a")
    assert result.meta["e_tag"] == f'"{SMALL}"'
    assert await mode(result).bytes() == content(0, SMALL)
    assert (await store.head("a"))["size"] == SMALL


async def test_redirects_have_an_end(open_at: Callable[..., Face]) -> None:
    with pytest.raises(exceptions.GenericError, match="redirect"):
        await open_at(SMALL, "hops=11").get("a")


async def test_a_credential_stays_with_its_host(open_at: Callable[..., Face], plain: Server, mode: Mode) -> None:
    to = plain.origin.replace("127.0.0.1", "localhost")
    for quirk, sent in [("echo=1", True), ("echo=1&hops=1", True), (f"echo=1&hops=1&to={to}", False)]:
        result = await open_at(SMALL, quirk, username="u", password="p").get("a")
        assert (b"Authorization" in bytes(await mode(result).bytes())) is sent


async def test_what_a_caller_sends_to_a_host_stays_with_it(
    open_at: Callable[..., Face], plain: Server, mode: Mode
) -> None:
    options = {"allow_http": True, "default_headers": {"X-Mine": "1", "Cookie": "c", "Host": "mine.example"}}
    tag = '"abc"'
    for place, sent in [("", True), ("127.0.0.1", True), ("localhost", False), ("LOCALHOST", False)]:
        to = plain.origin.replace("127.0.0.1", place) if place else ""
        store = open_at(SMALL, f"echo=1&hops=2&to={to}", client_options=options)
        result = await store.get("a", options={"if_match": tag})
        head = bytes(await mode(result).bytes())
        for line in (b"X-Mine: 1", b"Cookie: c", b"Host: mine.example"):
            assert (line in head) is sent, (place, head)
        assert b'If-Match: "abc"' in head
        assert b"Range: bytes=0-" in head
    assert {target for _, target in plain.seen()["requests"] if "hops=0" in target} != set()


@pytest.mark.parametrize(
    "location", ["ftp://localhost/a", "file:///etc/passwd", "http://", "http://a b/", "javascript:1"]
)
async def test_a_redirect_to_what_is_no_place_is_not_followed(open_at: Callable[..., Face], location: str) -> None:
    with pytest.raises(exceptions.GenericError, match="does not go to"):
        await open_at(SMALL, f"hops=1&to={quote(location + '?', safe='')}").get("a")


async def test_a_redirect_is_no_matter_of_the_next_request(
    open_at: Callable[..., Face], plain: Server, mode: Mode
) -> None:
    store = open_at(SMALL, "hops=1")
    for _ in range(3):
        await store.get("a")
        assert (await store.head("a"))["size"] == SMALL
    assert len(plain.seen()["requests"]) == 12


async def test_a_redirect_to_plain_http_is_not_followed(plain: Server, mode: Mode) -> None:
    url = f"{plain.tls_origin}/{SMALL}?hops=1&to={plain.origin}"
    options = {"allow_invalid_certificates": True}
    with pytest.raises(exceptions.GenericError, match="does not go to"):
        await mode(HTTPStore(url, client_options=options)).get("a")
    assert [target for _, target in plain.seen()["requests"] if "hops=0" in target] == []
    result = await mode(HTTPStore(url, client_options={**options, "allow_http": True})).get("a")
    assert await mode(result).bytes() == content(0, SMALL)


async def test_a_redirect_to_https_is_followed(plain: Server, mode: Mode) -> None:
    options = {"allow_http": True, "allow_invalid_certificates": True}
    store = mode(HTTPStore(f"{plain.origin}/{SMALL}?hops=1&to={plain.tls_origin}", client_options=options))
    assert await mode(await store.get("a")).bytes() == content(0, SMALL)


async def test_a_write_is_not_redirected(open_at: Callable[..., Face], plain: Server) -> None:
    with pytest.raises(exceptions.GenericError, match="elsewhere"):
        await open_at(SMALL, "hops=1&by=307").put("a", b"1")
    assert len(plain.seen()["requests"]) == 1


# --- who we are


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"username": "u", "password": "pä:ss"}, b"Basic " + base64.b64encode("u:pä:ss".encode())),
        ({"username": "u"}, b"Basic " + base64.b64encode(b"u:")),
        ({"bearer_token": "abc.def"}, b"Bearer abc.def"),
        ({}, None),
    ],
)
async def test_authorization(
    open_at: Callable[..., Face], mode: Mode, given: dict[str, str], wanted: bytes | None
) -> None:
    head = bytes(await mode(await open_at(SMALL, "echo=1", **given).get("a")).bytes())
    lines = [line.partition(b": ")[2] for line in head.split(b"\r\n") if line.startswith(b"Authorization")]
    assert lines == ([] if wanted is None else [wanted])


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_shows_no_secret(open_at: Callable[..., Face], status: int) -> None:
    store = open_at(SMALL, f"status={status}", username="u", password="S3CRET")
    with pytest.raises(PermissionError) as refused:
        await store.get("a")
    assert "S3CRET" not in str(refused.value)


# --- what a plain server cannot do


@pytest.mark.parametrize("status", [405, 501])
async def test_a_server_without_webdav(open_at: Callable[..., Face], mode: Mode, status: int) -> None:
    store = open_at(SMALL, f"status={status}")
    for call in (
        lambda: mode(store.list()).collect(),
        lambda: store.list_with_delimiter(),
        lambda: store.copy("a", "b"),
        lambda: store.rename("a", "b"),
    ):
        with pytest.raises(exceptions.NotSupportedError, match=r"WebDAV|support"):
            await call()


async def test_a_server_that_takes_every_method_for_get(open_at: Callable[..., Face], mode: Mode) -> None:
    with pytest.raises(exceptions.NotSupportedError, match="no WebDAV"):
        await mode(open_at(SMALL).list()).collect()


async def test_what_http_cannot_do(open_at: Callable[..., Face], plain: Server) -> None:
    store = open_at(SMALL)
    for call in (
        lambda: store.sign("GET", "a", timedelta(seconds=9)),
        lambda: store.put("a", b"1", attributes={"mine": "1"}),
        lambda: store.put("a", b"1", attributes={"Storage-Class": "x"}),
        lambda: store.put_many({"a": b"1"}, attributes={"mine": "1"}),
    ):
        with pytest.raises(exceptions.NotSupportedError):
            await call()
    assert plain.seen()["requests"] == []


async def test_attributes_are_sent_as_headers(open_at: Callable[..., Face], plain: Server) -> None:
    attributes = {"Content-Type": "text/x", "Cache-Control": "no-store"}
    assert await open_at(SMALL).put("a b/c", b"1", attributes=attributes) == {"e_tag": f'"{SMALL}"', "version": None}
    assert [target for _, target in plain.seen()["requests"]] == [f"/{SMALL}/a%20b/c"]


async def test_a_get_of_a_folder(open_at: Callable[..., Face]) -> None:
    with pytest.raises(exceptions.NotFoundError, match="folder"):
        await open_at(SMALL, "status=405").get("a")
