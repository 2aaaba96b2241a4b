"""Uploads under a condition whose parts are objects that the service composes: in parallel, and by many hands."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

pytest.importorskip("google_crc32c", reason="google-crc32c is not installed")

import objstore
from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    CorruptResponseError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
)
from objstore.providers.cloud.gcs_composed_upload import ComposedUpload
from objstore.providers.cloud.gcs_xml_upload import XmlUpload
from objstore.store import GCSStore
from tests.gcs.messages import Answer
from tests.gcs.objects import Bucket, Service, Stored
from tests.gcs.server import Fault, StrictServer, error, strict_server
from tests.gcs.test_wire import KEYS, open_store

MIB = 1 << 20


@pytest.fixture
def server() -> Iterator[StrictServer]:
    with strict_server() as running:
        running.make_bucket("bucket")
        yield running


@pytest.fixture
def store(server: StrictServer) -> GCSStore:
    return open_store(server)


def names(server: StrictServer) -> list[str]:
    bucket = server.service.buckets["bucket"]
    return sorted([*bucket.generations, *(stored.name for stored in bucket.archived)])


# --- in parallel


@pytest.mark.parametrize("size", [5 * MIB + 1, 12 * MIB + 5])
def test_parts_are_composed(store: GCSStore, server: StrictServer, size: int) -> None:
    body = (bytes(range(251)) * (size // 251 + 1))[:size]
    put = store.put("x/a", body, chunk_size=5 * MIB, mode="create", attributes={"k": "v", "Content-Type": "t/x"})
    result = store.get("x/a")
    assert (result.bytes(), result.attributes["k"], result.meta["e_tag"]) == (body, "v", put["e_tag"])
    assert result.attributes["Content-Type"] == "t/x"
    assert len(server.lines("/compose")) == 1
    assert server.lines("resumable") == []
    assert names(server) == ["x/a"]


def test_more_parts_than_one_request_takes(
    store: GCSStore, server: StrictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.provider, "smallest_part", 1024)
    old = store.put("a", b"old")
    store.put("a", bytes(range(256)) * 4 * 70, chunk_size=1024, mode={"version": old["version"]}, use_multipart=True)
    assert store.get("a").bytes() == bytes(range(256)) * 4 * 70
    assert len(server.lines("/compose")) == 3 + 1
    assert names(server) == ["a"]


@pytest.mark.parametrize("key", [*KEYS, "[foo]/", "/a", f"{'d' * 1000}/a"])
def test_keys(store: GCSStore, server: StrictServer, key: str) -> None:
    store = store.with_raw_keys()
    store.put(key, bytes(6 * MIB), chunk_size=5 * MIB, mode="create")
    upload = store.begin_upload(key, mode={"version": store.head(key)["version"]})
    upload.complete([upload.put_part(1, b"part")])
    assert (store.get(key).bytes(), names(server)) == (b"part", [key])
    assert all(len(call.query.get("name", "").encode()) <= 1024 for call in server.calls)


def test_a_versioned_bucket_keeps_no_part(store: GCSStore, server: StrictServer) -> None:
    server.service.buckets["bucket"].versioned = True
    store.put("a", bytes(6 * MIB), chunk_size=5 * MIB, mode="create")
    assert names(server) == ["a"]


@pytest.mark.parametrize(
    ("line", "kind"), [("uploadType=media", PermissionDeniedError), ("/compose", PermissionDeniedError)]
)
def test_a_failure_leaves_nothing(store: GCSStore, server: StrictServer, line: str, kind: type[BaseError]) -> None:
    server.faults = [Fault(line, error(403, "forbidden"))]
    with pytest.raises(kind):
        store.put("a", bytes(12 * MIB), chunk_size=5 * MIB, mode="create")
    assert names(server) == []


def test_a_part_that_is_under_way_when_another_fails(store: GCSStore, server: StrictServer) -> None:
    server.faults = [Fault("00001.objstore-part", error(403, "forbidden"))]
    answer, listed = server.answer, Event()

    def late(call: Any) -> Any:
        if "versions" in call.query:
            listed.set()
        elif "00002.objstore-part" in call.query.get("name", ""):
            listed.wait(1)  # which is not to come before this answer
        return answer(call)

    server.answer = late  # type: ignore[method-assign]
    with pytest.raises(PermissionDeniedError):
        store.put("a", bytes(12 * MIB), chunk_size=5 * MIB, mode="create")
    assert names(server) == []


@pytest.mark.parametrize(("mode", "kind"), [("create", AlreadyExistsError), ({"version": "17"}, PreconditionError)])
def test_a_condition_that_does_not_hold(
    store: GCSStore, server: StrictServer, mode: Any, kind: type[BaseError]
) -> None:
    store.put("a", b"another's")
    with pytest.raises(kind):
        store.put("a", bytes(6 * MIB), chunk_size=5 * MIB, mode=mode)
    assert (names(server), store.get("a").bytes()) == (["a"], b"another's")


@pytest.mark.parametrize("where", ["uploadType=media", "/compose"])
@pytest.mark.parametrize("fault", [Fault("", error(503, "backendError")), Fault("", error(429, "rateLimitExceeded"))])
def test_what_may_be_tried_again_is(store: GCSStore, server: StrictServer, where: str, fault: Fault) -> None:
    server.faults = [fault._replace(line=where)]
    store.put("a", bytes(12 * MIB), chunk_size=5 * MIB, mode="create")
    assert (store.head("a")["size"], names(server), server.faults) == (12 * MIB, ["a"], [])


def test_a_lost_answer_is_told(store: GCSStore, server: StrictServer) -> None:
    server.faults = [Fault("/compose", acts=True)]
    with pytest.raises(AlreadyExistsError) as failed:
        store.put("a", bytes(6 * MIB), chunk_size=5 * MIB, mode="create")
    assert (failed.value.maybe_applied, names(server)) == (True, ["a"])


def test_what_is_composed_wrongly_is_an_error(store: GCSStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Service.write

    def wrongly(service: Service, bucket: str, name: str, data: bytes, *others: Any) -> Stored:
        return write(service, bucket, name, b"!" + data[1:] if name == "a" else data, *others)

    monkeypatch.setattr(Service, "write", wrongly)
    with pytest.raises(CorruptResponseError, match="damaged"):
        store.put("a", bytes(6 * MIB), chunk_size=5 * MIB, mode="create")


def test_parts_that_stay_behind_are_told(
    store: GCSStore, server: StrictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(bucket: Bucket, name: str, generation: str | None = None) -> None:
        raise error_of("retentionPolicyNotMet")

    monkeypatch.setattr(Bucket, "delete", refuse)
    with pytest.warns(UserWarning, match=r"'a' is made, but of its parts"):
        store.put("a", bytes(6 * MIB), chunk_size=5 * MIB, mode="create")
    assert [meta["path"] for meta in store.list().collect()] == ["a"]


def error_of(reason: str) -> Exception:
    from tests.gcs.objects import RefusedError

    return RefusedError(403, reason)


@pytest.mark.parametrize("lacks", ["create", "delete", "get", "list"])
def test_who_may_not_delete_sends_one_part_after_the_other(store: GCSStore, server: StrictServer, lacks: str) -> None:
    server.service.permissions.remove(f"storage.objects.{lacks}")
    for key in "ab":
        store.put(key, bytes(6 * MIB), chunk_size=5 * MIB, mode="create")
    assert len(server.lines("POST /upload")) == 2
    assert len(server.lines("testPermissions")) == 1
    assert server.lines("/compose") == []


@pytest.mark.parametrize(("kind", "mode"), [(XmlUpload, "overwrite"), (ComposedUpload, "create")])
def test_parts_that_have_arrived_take_no_memory(
    store: GCSStore, monkeypatch: pytest.MonkeyPatch, kind: Any, mode: Any
) -> None:
    kept, take = [], kind.take

    def counted(upload: Any, index: int) -> Any:
        body = take(upload, index)
        kept.append(len(upload._sources))
        return body

    monkeypatch.setattr(kind, "take", counted)
    store.put("a", iter([bytes(5 * MIB)] * 6), chunk_size=5 * MIB, mode=mode, max_concurrency=2)
    assert len(kept) == 6
    assert max(kept) <= 2


def test_a_service_that_is_silent_is_not_waited_for_for_ever(
    store: GCSStore, server: StrictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("objstore.providers.cloud.gcs_parts.ABORT_SECONDS", 0.2)
    server.faults = [Fault("/compose", error(403, "forbidden"))]
    answer, released, over = server.answer, Event(), Event()

    def held(call: Any) -> Any:
        if "versions" not in call.query:
            return answer(call)
        released.wait(30)
        over.set()
        return None

    server.answer = held  # type: ignore[method-assign]
    with pytest.raises(PermissionDeniedError):
        store.put("a", bytes(6 * MIB), chunk_size=5 * MIB, mode="create")
    assert not over.is_set()
    released.set()


# --- by many hands


def test_the_handle_holds_no_secret(server: StrictServer) -> None:
    upload = objstore.begin_upload(open_store(server, bearer_token=None), "x/a", mode="create")
    assert len(pickle.dumps(upload)) < 2000
    assert upload.upload_id.startswith("composed-")


def test_a_condition_is_decided_at_the_end(store: GCSStore, server: StrictServer) -> None:
    upload = store.begin_upload("x/a", mode="create", attributes={"k": "v"})
    parts = [upload.put_part(number, bytes([number]) * 1000) for number in range(40, 0, -1)]
    assert upload.parts() == sorted(parts)
    assert store.list().collect() == []
    assert store.list_with_delimiter("x")["common_prefixes"] == []
    store.put("x/a", b"another's")
    with pytest.raises(AlreadyExistsError):
        upload.complete(parts)
    assert upload.parts() == sorted(parts)
    upload.complete(mode={"version": store.head("x/a")["version"]})
    assert store.get("x/a").bytes() == b"".join(bytes([number]) * 1000 for number in range(1, 41))
    assert (store.get("x/a").attributes["k"], names(server)) == ("v", ["x/a"])


def test_what_is_dropped_leaves_nothing_not_even_late_parts(store: GCSStore, server: StrictServer) -> None:
    server.service.buckets["bucket"].versioned = True
    upload = store.begin_upload("a", mode="create")
    for _ in range(2):
        upload.put_part(1, b"part")
    upload.abort()
    assert names(server) == []
    with pytest.raises(NotFoundError, match="has ended"):
        upload.put_part(2, b"late")
    assert names(server) == []
    for call in (upload.parts, upload.complete):
        with pytest.raises(NotFoundError, match="has ended"):
            call()
    upload.abort()


@pytest.mark.parametrize("others", [True, False], ids=["another", "one token"])
def test_what_is_no_part_is_not_deleted(store: GCSStore, server: StrictServer, others: bool) -> None:
    version = store.put("b", b"another")["version"]
    upload = store.begin_upload("a", mode="create")
    items = [{"name": "b", "generation": version}] if others else []
    page = {"kind": "storage#objects", "items": items, "nextPageToken": "" if others else "again"}
    server.faults = [Fault("prefix=", Answer(200, json.dumps(page).encode())) for _ in range(3)]
    with pytest.raises(CorruptResponseError, match="has 'b' in it" if others else "the same token came twice"):
        upload.abort()
    server.faults.clear()
    assert store.get("b").bytes() == b"another"
    upload.abort()
    assert names(server) == ["b"]


def test_a_part_that_was_sent_again_is_another(store: GCSStore) -> None:
    upload = store.begin_upload("a", mode="create")
    first, second = (upload.put_part(1, body) for body in (b"first", b"second"))
    with pytest.raises(NotFoundError):
        upload.complete([first])
    upload.complete([second])
    assert store.get("a").bytes() == b"second"


def test_a_part_whose_checksum_is_anothers(store: GCSStore) -> None:
    upload = store.begin_upload("a", mode="create")
    part = upload.put_part(1, b"part")
    with pytest.raises(CorruptResponseError, match="damaged"):
        upload.complete([part._replace(checksum="AAAAAA==")])


def test_a_mode_that_comes_too_late_is_refused(store: GCSStore, server: StrictServer) -> None:
    upload = store.begin_upload("a")
    part = upload.put_part(1, b"part")
    with pytest.raises(NotSupportedError, match="begin_upload"):
        upload.complete([part], mode="create")
    upload.complete([part])
    assert store.get("a").bytes() == b"part"
