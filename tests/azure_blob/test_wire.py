"""Listings from an offset, batches, and what else Azurite does not judge."""

from __future__ import annotations

import pytest

from objstore.exceptions import GenericError, PermissionDeniedError
from objstore.store import AzureStore
from tests.azure_blob.objects import Container, RefusedError
from tests.azure_blob.opened import failure, opened, through
from tests.azure_blob.server import Answer, Fault, StrictServer
from tests.tls_proxy import Proxy

KEYS = [f"k{at:03}" for at in range(10)]


@pytest.fixture
def container(strict: StrictServer) -> Container:
    strict.calls.clear()
    return strict.make("c")


@pytest.fixture
def store(strict: StrictServer, container: Container, proxy: Proxy) -> AzureStore:
    store = through(proxy)
    store.put_many([(key, b"1") for key in KEYS])
    strict.calls.clear()
    return store


def test_a_listing_begins_behind_its_offset(strict: StrictServer, store: AzureStore) -> None:
    """The service begins with the offset itself, and takes it with no marker."""
    for offset in ("k004", "k0045"):
        strict.calls.clear()
        found = [meta["path"] for meta in store.list(offset=offset).collect()]
        assert found == KEYS[5:]
        first, *others = strict.calls
        assert first.query["startFrom"] == offset
        assert others
        assert all("startFrom" not in call.query and call.query["marker"].endswith("=") for call in others)


def test_an_emulator_is_not_told_where_to_begin(strict: StrictServer, store: AzureStore) -> None:
    other = opened(endpoint=strict.endpoint, client_options={"allow_http": True})
    assert [meta["path"] for meta in other.list(offset="k004").collect()] == KEYS[5:]
    assert all("startFrom" not in call.query for call in strict.calls)


def test_a_level_from_an_offset(strict: StrictServer, store: AzureStore) -> None:
    store.put_many([(f"d{at}/{key}", b"") for at in range(3) for key in ("a", "b")])
    for offset, expected in (("d1/a", ["d1", "d2"]), ("d1/b", ["d2"])):
        pages = [*store.list_level(offset=offset)]
        assert [prefix for page in pages for prefix in page["common_prefixes"]] == expected
        assert [meta["path"] for page in pages for meta in page["objects"]] == KEYS


def test_batches_have_256_requests_at_the_most(strict: StrictServer, container: Container, store: AzureStore) -> None:
    keys = [f"many/{at}" for at in range(600)]
    store.put_many([(key, b"") for key in keys])
    strict.calls.clear()
    store.delete([*keys, "missing", "é b"])
    assert len(strict.lines("POST /c?comp=batch")) == 3
    assert sorted(container.blobs) == KEYS


def test_what_a_batch_does_not_delete_is_told_by_name(container: Container, store: AzureStore) -> None:
    container.held["k003"] = RefusedError(409, "BlobImmutableDueToLegalHold")
    refused = failure(store.delete, KEYS)
    assert isinstance(refused, PermissionDeniedError)
    assert (refused.path, refused.code) == ("k003", "BlobImmutableDueToLegalHold")
    assert "legal hold" in str(refused)
    assert sorted(container.blobs) == ["k003"]


def test_a_version_that_the_service_does_not_know(strict: StrictServer, proxy: Proxy, container: Container) -> None:
    refused = failure(through(proxy, api_version="2030-01-01").head, "a")
    assert isinstance(refused, GenericError)
    assert (refused.status, refused.code) == (400, "InvalidHeaderValue")


@pytest.mark.parametrize("code", ["ServerBusy", "OperationTimedOut", "InternalError"])
def test_a_busy_service_is_asked_again(strict: StrictServer, store: AzureStore, code: str) -> None:
    status = 500 if code == "InternalError" else 503
    strict.faults.append(Fault("GET /c/k001", Answer(status, b"", {"x-ms-error-code": code})))
    assert store.get_many(["k001"]) == [b"1"]


def test_a_lease_is_told(strict: StrictServer, store: AzureStore) -> None:
    strict.faults.append(Fault("DELETE /c/k001", Answer(412, b"", {"x-ms-error-code": "LeaseIdMissing"})))
    refused = failure(store.delete, "k001")
    assert "leased" in str(refused)
    assert "Wait until the lease ends" in str(refused)


def test_a_write_drops_the_blocks_that_somebody_left(container: Container, store: AzureStore) -> None:
    container.put_block("a", "AAAA", b"another's")
    assert failure(store.put, "a", bytes(1 << 20), use_multipart=True).code == "InvalidBlobOrBlock"
    store.put("a", b"", use_multipart=False)
    store.put("a", bytes(1 << 20), use_multipart=True)
    assert container.blobs["a"].data == bytes(1 << 20)
