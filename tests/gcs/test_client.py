"""Google's own client as the judge: it reads what a store wrote, and a store reads what it wrote."""

from __future__ import annotations

from typing import Any

import pytest

from objstore.store import GCSStore
from tests.servers import GoogleServer

pytest.importorskip("google.cloud.storage", reason="google-cloud-storage is not installed")

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

MIB = 1 << 20
ATTRIBUTES = {"Content-Type": "text/x", "Cache-Control": "no-cache", "Content-Language": "en", "own": "value"}
KEYS = ["a", "a b/ü+%?#&=.txt", "x~'()*!"]


@pytest.fixture
def bucket(google_server: GoogleServer, request: pytest.FixtureRequest) -> Any:
    client = storage.Client(
        project="tests", credentials=AnonymousCredentials(), client_options={"api_endpoint": google_server.endpoint}
    )
    name = f"judged-{abs(hash(request.node.name))}"
    google_server.make_bucket(name)
    return client.bucket(name)


@pytest.fixture
def store(google_server: GoogleServer, bucket: Any) -> GCSStore:
    return GCSStore(bucket.name, emulator_host=google_server.endpoint)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("options", [{}, {"use_multipart": True}, {"use_multipart": True, "mode": "create"}])
def test_google_reads_what_was_written(store: GCSStore, bucket: Any, key: str, options: Any) -> None:
    put = store.put(key, bytes(range(256)) * 21_000, attributes=ATTRIBUTES, chunk_size=5 * MIB, **options)
    blob = bucket.get_blob(key)
    assert blob.download_as_bytes() == bytes(range(256)) * 21_000  # compared with its checksum
    assert (blob.content_type, blob.cache_control, blob.content_language) == ("text/x", "no-cache", "en")
    assert (blob.metadata, str(blob.generation)) == ({"own": "value"}, put["version"])
    assert [each.name for each in bucket.list_blobs()] == [key]


@pytest.mark.parametrize("key", KEYS)
def test_what_google_wrote_is_read(store: GCSStore, bucket: Any, key: str) -> None:
    blob = bucket.blob(key)
    blob.cache_control, blob.metadata = "no-cache", {"own": "value"}
    blob.upload_from_string(b"body", content_type="text/x")
    result = store.get(key)
    wanted = {"Content-Type": "text/x", "Cache-Control": "no-cache", "own": "value"}
    assert (result.bytes(), result.attributes.items() >= wanted.items()) == (b"body", True)
    assert store.list().collect() == [store.head(key)] == [result.meta]
    assert result.meta["version"] == str(blob.generation)
    store.put(key, b"newer", mode={"version": str(blob.generation)})
    assert bucket.blob(key).download_as_bytes() == b"newer"


def test_copies_and_deletes(store: GCSStore, bucket: Any) -> None:
    bucket.blob("a").upload_from_string(b"body", content_type="text/x")
    store.copy("a", "b c")
    assert bucket.get_blob("b c").content_type == "text/x"
    store.delete(["a", "b c"])
    assert [*bucket.list_blobs()] == []


@pytest.mark.parametrize("key", KEYS)
def test_google_reads_what_many_hands_wrote(store: GCSStore, bucket: Any, key: str) -> None:
    upload = store.begin_upload(key, mode="create", attributes=ATTRIBUTES)
    put = upload.complete([upload.put_part(number, b"%d" % number * 1000) for number in range(1, 41)])
    blob = bucket.get_blob(key)
    assert blob.download_as_bytes() == b"".join(b"%d" % number * 1000 for number in range(1, 41))
    assert (blob.content_type, blob.metadata) == ("text/x", {"own": "value"})
    assert str(blob.generation) == put["version"]
    assert [each.name for each in bucket.list_blobs(versions=True)] == [key]


def test_what_google_composed_is_read(store: GCSStore, bucket: Any) -> None:
    for name in "ab":
        bucket.blob(name).upload_from_string(name.encode() * 1000)
    bucket.blob("c").compose([bucket.blob("a"), bucket.blob("b")])
    assert store.get("c").bytes() == b"a" * 1000 + b"b" * 1000
    assert store.get_range("c", start=999, end=1001) == b"ab"
