"""Buckets of Google's: in which project they are made and listed, whole lists of them, and answers that were lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("google_crc32c", reason="google-crc32c is not installed")

from objstore.exceptions import AlreadyExistsError, ConfigurationError, NotFoundError, NotSupportedError
from objstore.store import GCSStore
from tests.gcs import server as fake
from tests.gcs.server import Answer, Fault, StrictServer, error, strict_server
from tests.gcs.test_wire import open_store


@pytest.fixture
def server() -> Iterator[StrictServer]:
    with strict_server() as running:
        yield running


def test_a_project_is_named(server: StrictServer, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(server)
    for call in (store.create_bucket, store.list_buckets):
        with pytest.raises(ConfigurationError, match="Give project_id"):
            call()
    assert not server.calls
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "from-environment")
    open_store(server).list_buckets()
    open_store(server, project_id="given").create_bucket()
    assert [call.query["project"] for call in server.calls if call.query] == ["from-environment", "given"]


def test_long_lists_come_in_pages(server: StrictServer) -> None:
    names = [f"paged-{number}" for number in range(2 * fake.BUCKETS_AT_ONCE + 1)]
    for name in names:
        server.make_bucket(name)
    rows = open_store(server, project_id="p").list_buckets()
    assert [row["name"] for row in rows] == names
    assert all(row["created"] is not None and row["created"].tzinfo is not None for row in rows)
    assert len(server.lines()) == 3


def test_a_list_that_does_not_go_on_ends(server: StrictServer) -> None:
    same = Answer(200, b'{"items": [], "nextPageToken": "again"}')
    server.faults += [Fault("GET /storage/v1/b?", same)] * 3
    with pytest.raises(Exception, match="does not go on"):
        open_store(server, project_id="p").list_buckets()


def test_what_was_done_by_a_request_whose_answer_was_lost(server: StrictServer) -> None:
    store = open_store(server, project_id="p")
    server.faults.append(Fault("POST /storage/v1/b?", None, acts=True))
    store.create_bucket()
    with pytest.raises(AlreadyExistsError) as refused:
        store.create_bucket()
    assert refused.value.bucket == "bucket"
    server.faults.append(Fault("DELETE /storage/v1/b/bucket", None, acts=True))
    store.delete_bucket()
    with pytest.raises(NotFoundError):
        store.delete_bucket()


def test_a_bucket_that_was_there_is_not_taken_for_one_whose_answer_was_lost(server: StrictServer) -> None:
    server.make_bucket("bucket")
    server.faults.append(Fault("POST /storage/v1/b?", None))
    with pytest.raises(AlreadyExistsError):
        open_store(server, project_id="p").create_bucket()


def test_a_bucket_is_made_by_who_may_not_look(server: StrictServer) -> None:
    server.faults.append(Fault("GET /storage/v1/b/bucket", error(403, "forbidden")))
    open_store(server, project_id="p").create_bucket()


def test_a_bucket_of_somebody_else_is_not_taken(server: StrictServer) -> None:
    server.make_bucket("bucket")
    server.faults.append(Fault("GET /storage/v1/b/bucket", error(403, "forbidden")))
    with pytest.raises(PermissionError):
        open_store(server, project_id="p").create_bucket(exist_ok=True)


def test_an_hmac_key_makes_no_buckets() -> None:
    store: Any = GCSStore("bucket", access_key_id="k", secret_access_key="s", project_id="p")
    for call in (store.create_bucket, store.delete_bucket, store.list_buckets):
        with pytest.raises(NotSupportedError, match="cannot make, delete or list buckets"):
            call()
