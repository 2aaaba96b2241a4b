"""URLs that anybody can use for a while: used here by a client that knows nothing else."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import timedelta
from typing import Any

import pytest

from objstore import exceptions
from objstore.store import MemoryStore
from tests.conformance.conftest import Bucket, Face, Mode

HOUR = timedelta(hours=1)
pytestmark = pytest.mark.needs("signed URLs")


def fetch(url: str, method: str = "GET", data: bytes | None = None) -> Any:
    headers = {"x-ms-blob-type": "BlockBlob"} if method == "PUT" else {}  # which Azure wants, and nobody else minds
    return urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30)


@pytest.mark.parametrize("path", ["a", "a b/ü+%?#&=.txt"])
async def test_a_url_gets_the_object(store: Face, path: str) -> None:
    await store.put(path, b"body")
    with fetch(await store.sign("GET", path, HOUR)) as reply:
        assert reply.read() == b"body"


async def test_a_url_puts_and_deletes(store: Face) -> None:
    with fetch(await store.sign("PUT", "a", HOUR), "PUT", b"by anybody") as reply:
        assert reply.status in (200, 201)
    assert (await store.get("a")).bytes() == b"by anybody"
    with fetch(await store.sign("HEAD", "a", HOUR), "HEAD") as reply:
        assert reply.headers["Content-Length"] == "10"
    fetch(await store.sign("DELETE", "a", HOUR), "DELETE").close()
    with pytest.raises(exceptions.NotFoundError):
        await store.head("a")


async def test_many_paths_give_a_list_in_order(store: Face) -> None:
    await store.put_many([("a", b"1"), ("b", b"2")])
    urls = await store.sign("GET", ["b", "a"], HOUR)
    assert [fetch(url).read() for url in urls] == [b"2", b"1"]
    assert await store.sign("GET", [], HOUR) == []


@pytest.mark.needs("signed URLs with headers")
async def test_a_url_says_what_headers_to_answer_with(store: Face) -> None:
    await store.put("a", b"body", attributes={"Content-Type": "text/plain"})
    wanted = {"Content-Type": "image/png", "Content-Disposition": 'attachment; filename="a b.png"'}
    with fetch(await store.sign("GET", "a", HOUR, response_headers=wanted)) as reply:
        assert {name: reply.headers[name] for name in wanted} == wanted


async def test_the_prefix_of_the_store_counts(bucket: Bucket, mode: Mode) -> None:
    store = bucket.open(prefix="below/here")
    store.put("a", b"body")
    assert fetch(await mode(store).sign("GET", "a", HOUR)).read() == b"body"


async def test_a_url_for_another_object_or_method_is_refused(bucket: Bucket, mode: Mode) -> None:
    store = bucket.open()
    store.put_many([("a", b"1"), ("b", b"2")])
    url = await mode(store).sign("GET", "a", HOUR)
    with pytest.raises(urllib.error.HTTPError):
        fetch(url.replace("/a?", "/b?"))


# --- wrong input


@pytest.mark.parametrize(
    ("method", "expires_in", "options", "error"),
    [
        ("get", HOUR, {}, ValueError),
        ("LIST", HOUR, {}, ValueError),
        ("GET", 3600, {}, TypeError),
        ("GET", timedelta(0), {}, ValueError),
        ("GET", timedelta(seconds=-1), {}, ValueError),
        pytest.param(*("GET", timedelta(days=8), {}, ValueError), marks=pytest.mark.needs("an end to signed URLs")),
        ("GET", HOUR, {"response_headers": {"X-Other": "a"}}, ValueError),
        ("GET", HOUR, {"response_headers": {"Content-Type": "a\nb"}}, ValueError),
    ],
)
async def test_what_cannot_be_signed(store: Face, method: Any, expires_in: Any, options: Any, error: Any) -> None:
    with pytest.raises(error):
        await store.sign(method, "a", expires_in, **options)


async def test_without_a_credential(bucket: Bucket, mode: Mode) -> None:
    store = bucket.open(access_key_id=None, secret_access_key=None, skip_signature=True)
    with pytest.raises(exceptions.UnauthenticatedError, match="without a credential"):
        await mode(store).sign("GET", "a", HOUR)


def test_the_memory_has_no_urls() -> None:
    with pytest.raises(exceptions.NotSupportedError, match="no URLs"):
        MemoryStore().sign("GET", "a", HOUR)


# --- bound to headers and parameters


def send(url: str, data: bytes, headers: dict[str, str]) -> Any:
    return urllib.request.urlopen(urllib.request.Request(url, data, headers, method="PUT"), timeout=30)


async def test_a_url_is_good_with_its_headers_alone(bucket: Bucket, mode: Mode) -> None:
    store = bucket.open()
    bound = {"Content-Type": "text/x-a", "x-amz-meta-own": "v  w", "Content-Length": "4"}
    url = await mode(store).sign("PUT", "a b", HOUR, headers=bound)
    for other in ({"Content-Type": "text/x-b"}, {"x-amz-meta-own": "u"}):
        with pytest.raises(urllib.error.HTTPError):
            send(url, b"body", {**bound, **other})
    with pytest.raises(urllib.error.HTTPError):
        send(url, b"longer", {"Content-Type": "text/x-a", "x-amz-meta-own": "v  w"})
    send(url, b"body", {"Content-Type": "text/x-a", "x-amz-meta-own": "v  w"}).close()
    found = store.get("a b")
    assert (found.bytes(), found.attributes["Content-Type"]) == (b"body", "text/x-a")


async def test_parts_of_an_upload_are_sent_by_urls(bucket: Bucket, mode: Mode) -> None:
    store = bucket.open(prefix="below")
    upload = await mode(store).begin_upload("a")
    for number, part in enumerate((bytes(5 << 20), b"end"), 1):
        query = {"uploadId": upload.upload_id, "partNumber": str(number)}
        send(await mode(store).sign("PUT", "a", HOUR, query=query), part, {}).close()
    other = await mode(store).sign("PUT", "a", HOUR, query={"uploadId": "none", "partNumber": "1"})
    with pytest.raises(urllib.error.HTTPError):
        send(other, b"small", {})
    await mode(upload).complete(await mode(upload).parts())
    assert store.head("a")["size"] == (5 << 20) + 3
    assert store.get_range("a", start=5 << 20, length=3) == b"end"


@pytest.mark.needs("versions")
async def test_a_url_is_good_for_one_version(bucket: Bucket, mode: Mode) -> None:
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    store = bucket.open()
    old = store.put("a", b"old")["version"]
    store.put("a", b"new")
    with fetch(await mode(store).sign("GET", "a", HOUR, query={"versionId": str(old)})) as reply:
        assert reply.read() == b"old"
