"""Buckets (or containers) as such: made, listed and deleted, on every server that has them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from objstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, NotSupportedError
from objstore.store import GCSStore, HTTPStore, LocalStore, MemoryStore
from tests.conformance.conftest import Face, Mode, Server, new_store
from tests.servers import AzureServer, WebDavServer

numbers = count()


def store_of(server: Server, mode: Mode, name: str) -> Any:
    """Return a store on a bucket that need not be there."""
    if server is None or isinstance(server, Path | WebDavServer):
        pytest.skip("it has no buckets")
    known: Any = new_store(server)
    config = {**known.config, "container_name" if isinstance(server, AzureServer) else "bucket": name}
    if isinstance(known, GCSStore):
        config["project_id"] = "tests"
    kind = type(known)
    options = {"client_options": known.client_options, "retry_config": known.retry_config}
    return Face(kind(config=config, **options), mode)


@pytest.fixture
def fresh(server: Server, mode: Mode) -> Any:
    """A store on a bucket that is not there."""
    return store_of(server, mode, f"made-here-{next(numbers)}")


def name_of(store: Any) -> str:
    return str(store.target.provider.service.bucket)


@pytest.mark.needs("buckets")
async def test_a_bucket_is_made_listed_and_deleted(fresh: Any) -> None:
    with pytest.raises(NotFoundError):
        await fresh.delete_bucket()
    await fresh.create_bucket()
    await fresh.put("a", b"body")
    assert (await fresh.get("a")).bytes() == b"body"
    rows = {row["name"]: row["created"] for row in await fresh.list_buckets()}
    made = rows[name_of(fresh)]
    assert made is None or abs((datetime.now(UTC) - made).total_seconds()) < 86400
    await fresh.delete("a")
    await fresh.delete_bucket()
    assert name_of(fresh) not in [row["name"] for row in await fresh.list_buckets()]
    with pytest.raises(NotFoundError):
        await fresh.get("a")


@pytest.mark.needs("buckets")
async def test_a_bucket_that_is_there(fresh: Any) -> None:
    await fresh.create_bucket(exist_ok=True)
    await fresh.create_bucket(exist_ok=True)
    with pytest.raises(AlreadyExistsError) as caught:
        await fresh.create_bucket()
    assert caught.value.bucket == name_of(fresh)
    await fresh.delete_bucket()


@pytest.mark.needs("buckets")
async def test_a_bucket_that_is_not_empty_stays(server: Server, fresh: Any) -> None:
    if isinstance(server, AzureServer):
        pytest.skip("Azure deletes a container with what is in it")
    await fresh.create_bucket()
    await fresh.put("a", b"body")
    with pytest.raises(BaseError, match="empty"):
        await fresh.delete_bucket()
    assert (await fresh.get("a")).bytes() == b"body"


@pytest.mark.parametrize("name", ["create_bucket", "delete_bucket", "list_buckets"])
@pytest.mark.parametrize("make", [MemoryStore, LocalStore, lambda: HTTPStore("https://h.example")])
def test_stores_without_buckets(make: Any, name: str) -> None:
    with pytest.raises(NotSupportedError, match="cannot make, delete or list buckets"):
        getattr(make(), name)()
