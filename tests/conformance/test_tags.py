"""The tags of objects that are there already."""

from __future__ import annotations

from typing import Any

import pytest

from objstore.exceptions import BaseError, NotFoundError, NotSupportedError
from objstore.store import GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store
from tests.conformance.conftest import Bucket, Face, Mode

TAGS = {"plain": "1", "with space": "a+b / c=d"}


@pytest.mark.needs("tags", "tags afterwards")
async def test_tags_are_read_replaced_and_removed(store: Face) -> None:
    path = "a b/ü"
    await store.put(path, b"body", tags={"old": "1"})
    before = await store.head(path)
    assert await store.get_tags(path) == {"old": "1"}
    await store.put_tags(path, TAGS)
    assert await store.get_tags(path) == TAGS
    await store.delete_tags(path)
    assert await store.get_tags(path) == {}
    assert (await store.head(path))["size"] == before["size"]


@pytest.mark.needs("tags", "versions")
async def test_the_tags_of_a_version(bucket: Bucket, mode: Mode) -> None:
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    store = mode(bucket.open())
    old = (await store.put("a", b"old", tags={"of": "old"}))["version"]
    new = (await store.put("a", b"new", tags={"of": "new"}))["version"]
    assert await store.get_tags("a", version=old) == {"of": "old"}
    assert await store.get_tags("a", version=new) == await store.get_tags("a") == {"of": "new"}
    await store.put_tags("a", TAGS, version=old)
    assert (await store.get_tags("a", version=old), await store.get_tags("a")) == (TAGS, {"of": "new"})
    await store.delete_tags("a", version=old)
    assert (await store.get_tags("a", version=old), await store.get_tags("a")) == ({}, {"of": "new"})
    with pytest.raises(BaseError):
        await store.get_tags("a", version="none-such")


@pytest.mark.needs("tags", "tags afterwards")
async def test_there_is_no_object(store: Face) -> None:
    with pytest.raises(NotFoundError):
        await store.get_tags("none")
    with pytest.raises(NotFoundError):
        await store.put_tags("none", {"a": "b"})


@pytest.mark.parametrize("tags", [{"a": 1}, {"": "b"}, {"a": "b\nc"}])
def test_what_is_no_tag_is_not_sent(tags: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="the tag"):
        S3Store("bucket", endpoint="https://127.0.0.1:1").put_tags("a", tags)


@pytest.mark.parametrize(
    "make",
    [
        MemoryStore,
        LocalStore,
        lambda: HTTPStore("https://h.example"),
        lambda: GCSStore("bucket", skip_signature=True),
        lambda: S3Store("bucket", disable_tagging=True),
    ],
)
def test_stores_without_tags(make: Any) -> None:
    store = make()
    for call in (lambda: store.get_tags("a"), lambda: store.put_tags("a", {"b": "c"}), lambda: store.delete_tags("a")):
        with pytest.raises(NotSupportedError, match="keeps no tags"):
            call()
