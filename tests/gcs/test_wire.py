"""What a store of Google Cloud Storage sends, and what it makes of the answers that no emulator gives."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

pytest.importorskip("google_crc32c", reason="google-crc32c is not installed")

import objstore
from objstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    CorruptResponseError,
    GenericError,
    NotFoundError,
    NotSupportedError,
    ObjectChangedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from objstore.providers.cloud import gcs_bucket
from objstore.store import GCSStore
from tests.gcs.objects import Service, Stored
from tests.gcs.server import Answer, Fault, StrictServer, error, strict_server

MIB = 1 << 20
KEYS = ["a b/ü+%?#&=.txt", "a//b", "./a/../b", "%2F%252F", "new\tline", "é" * 300]


@pytest.fixture
def server() -> Iterator[StrictServer]:
    with strict_server() as running:
        running.make_bucket("bucket")
        yield running


def open_store(server: StrictServer, **changes: Any) -> GCSStore:
    retry = {
        "max_retries": 3,
        "retry_timeout": timedelta(seconds=20),
        "backoff": {"init_backoff": timedelta(milliseconds=1)},
    }
    return GCSStore(**{"bucket": "bucket", "emulator_host": server.endpoint, "retry_config": retry, **changes})


@pytest.fixture
def store(server: StrictServer) -> GCSStore:
    return open_store(server)


@pytest.fixture
def in_sessions(server: StrictServer) -> None:
    """Let nobody delete objects: so what needs a condition is sent in sessions."""
    server.service.permissions.clear()


def headers_of(server: StrictServer, line: str) -> list[Any]:
    return [call.headers for call in server.calls if line in call.line]


# --- reads


def test_bodies_come_as_they_are_stored(store: GCSStore, server: StrictServer) -> None:
    packed = gzip.compress(b"text" * 1000)
    store.put("a", packed, attributes={"Content-Encoding": "gzip", "Content-Type": "text/plain"})
    result = store.get("a")
    assert (result.bytes(), result.meta["size"], store.head("a")["size"]) == (packed, len(packed), len(packed))
    assert result.attributes["Content-Encoding"] == "gzip"
    assert store.get_range("a", start=3, end=9) == packed[3:9]
    assert store.get_many(["a"]) == [packed]
    assert {headers["Accept-Encoding"] for headers in headers_of(server, "/bucket/a")} == {"gzip"}


def test_what_was_unpacked_is_refused(store: GCSStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", gzip.compress(b"text" * 1000), attributes={"Content-Encoding": "gzip"})
    provider: Any = store.provider
    provider.read_headers["Accept-Encoding"] = "identity"
    with pytest.raises(CorruptResponseError, match="unpacked"):
        store.get("a")


def test_no_read_is_answered_by_a_cache(store: GCSStore, server: StrictServer) -> None:
    store.put("a", b"1")
    for _ in range(3):
        store.get("a")
    lines = server.lines("GET /bucket/a")
    assert len({*lines}) == 3
    assert all(re.search(r"\?objstore=[0-9a-f]{16}$", line) for line in lines)


def test_etags_are_the_same_everywhere(store: GCSStore) -> None:
    put = store.put("a", b"1")
    metas = [store.head("a"), store.get("a").meta, store.list().collect()[0], store.head_many(["a"])[0]]
    assert metas == [metas[0]] * 4
    assert (metas[0]["e_tag"], metas[0]["version"]) == (put["e_tag"], put["version"])
    assert put["e_tag"] == f'"{put["version"]}"'


def test_etags_of_the_service_are_compared_by_it(store: GCSStore, server: StrictServer) -> None:
    store.put("a", b"1")
    own = server.service.buckets["bucket"].find("a", None).xml_tag
    assert store.get("a", options={"if_match": own}).bytes() == b"1"
    with pytest.raises(PreconditionError):
        store.get("a", options={"if_match": '"another"'})


def test_several_generations_are_refused(store: GCSStore, server: StrictServer) -> None:
    with pytest.raises(NotSupportedError, match="several generations"):
        store.get("a", options={"if_match": '"1", "2"'})
    assert server.calls == []


def test_old_generations(store: GCSStore, server: StrictServer) -> None:
    server.service.buckets["bucket"].versioned = True
    old, new = store.put("a", b"old"), store.put("a", b"new")
    assert store.get("a", options={"version": old["version"]}).bytes() == b"old"
    assert store.get("a", options={"version": new["version"]}).bytes() == b"new"
    with pytest.raises(NotFoundError):
        store.get("a", options={"version": "17"})


def test_what_was_replaced_is_told_from_what_was_deleted(store: GCSStore) -> None:
    large = bytes(12 * MIB)
    for end, kind in ((lambda: store.put("a", large), ObjectChangedError), (lambda: store.delete("a"), NotFoundError)):
        store.put("a", large)
        result, file = store.get("a"), store.open("a")
        file.read(10)
        end()
        with pytest.raises(kind):
            result.bytes()


# --- writes in one request


@pytest.mark.parametrize("key", KEYS)
def test_keys(store: GCSStore, key: str) -> None:
    store = store.with_raw_keys()
    store.put(key, b"1")
    store.put(key, b"2", attributes={"a": "b"})
    assert store.get(key).bytes() == b"2"
    assert [meta["path"] for meta in store.list().collect()] == [key]
    store.copy(key, "copy")
    store.put(key, bytes(6 * MIB), use_multipart=True, mode={"e_tag": store.head(key)["e_tag"]})
    assert store.head(key)["size"] == 6 * MIB
    store.delete([key, "copy"])
    assert store.list().collect() == []


@pytest.mark.parametrize("body", [b"", b"\r\n--x--\r\n", bytes(range(256)) * 99])
def test_attributes_go_with_the_bytes(store: GCSStore, server: StrictServer, body: bytes, tmp_path: Path) -> None:
    attributes = {"Content-Type": "text/x", "Cache-Control": "no-cache", "Content-Language": "en", "own": "v"}
    store.put("a", body, attributes=attributes)
    (tmp_path / "file").write_bytes(body)
    store.put("b", tmp_path / "file", attributes=attributes)
    for path in ("a", "b"):
        result = store.get(path)
        assert (result.bytes(), result.attributes.items() >= attributes.items()) == (body, True)
    assert len(server.lines("POST /upload")) == 2


@pytest.mark.parametrize("attributes", [{"a": "é"}, {"a": "b\nc"}, {"a b": "c"}])
@pytest.mark.parametrize("use_multipart", [None, True])
def test_attributes_that_would_not_come_back(
    store: GCSStore, server: StrictServer, attributes: dict[str, str], use_multipart: bool | None
) -> None:
    with pytest.raises(ValueError, match=r"attribute|header|line break"):
        store.put("a", b"1", attributes=attributes, use_multipart=use_multipart)
    assert server.calls == []


@pytest.mark.parametrize("use_multipart", [None, True])
def test_versions_are_replaced_by_name(store: GCSStore, use_multipart: bool | None) -> None:
    first = store.put("a", b"1")
    second = store.put("a", b"2", mode={"version": first["version"]}, use_multipart=use_multipart)
    third = store.put("a", b"3", mode={"e_tag": second["e_tag"]}, use_multipart=use_multipart)
    assert store.put("a", b"4", mode=third, use_multipart=use_multipart) != third
    for mode in (first, {"e_tag": first["e_tag"]}, {"version": first["version"]}):
        with pytest.raises(PreconditionError):
            store.put("a", b"5", mode=mode, use_multipart=use_multipart)
    with pytest.raises(AlreadyExistsError):
        store.put("a", b"5", mode="create", use_multipart=use_multipart)
    assert store.get("a").bytes() == b"4"


@pytest.mark.parametrize("mode", [{"e_tag": "etag"}, {"version": "x"}, {"e_tag": '"1"', "version": "2"}])
def test_modes_that_name_no_generation(store: GCSStore, server: StrictServer, mode: Any) -> None:
    with pytest.raises(NotSupportedError, match="one generation"):
        store.put("a", b"1", mode=mode)
    assert server.calls == []


def test_a_lost_answer_to_a_create_is_told(store: GCSStore, server: StrictServer) -> None:
    server.faults = [Fault("POST /upload", acts=True)]
    with pytest.raises(AlreadyExistsError) as failed:
        store.put("a", b"1", mode="create")
    assert failed.value.maybe_applied


@pytest.mark.parametrize("options", [{}, {"attributes": {"a": "b"}}, {"mode": "create", "use_multipart": True}])
def test_what_is_stored_damaged_is_an_error(store: GCSStore, monkeypatch: pytest.MonkeyPatch, options: Any) -> None:
    monkeypatch.setattr("tests.gcs.objects.Service.write", damaged(Service.write))
    for call in (lambda: store.put("a", b"123", **options), lambda: store.put_many({"b": b"123"})):
        with pytest.raises(CorruptResponseError, match="damaged"):
            call()


def damaged(write: Callable[..., Stored]) -> Callable[..., Stored]:
    """Return a way to write that stores one byte wrongly, and finds nothing wrong with it."""

    def wrongly(service: Service, bucket: str, name: str, data: bytes, described: Any, *others: Any) -> Stored:
        return write(service, bucket, name, b"!" + data[1:], {**described, "crc32c": None}, *others)

    return wrongly


def test_what_is_read_damaged_is_an_error(store: GCSStore, server: StrictServer) -> None:
    store.put("a", bytes(1000))
    stored = server.service.buckets["bucket"].find("a", None)
    headers = stored.headers()
    stored.headers = lambda: {**headers, "x-goog-hash": "crc32c=AAAAAA=="}  # type: ignore[method-assign]
    for call in (lambda: store.get("a"), lambda: store.get_many(["a"])):
        with pytest.raises(CorruptResponseError):
            call()


def at_once(store: GCSStore) -> bytes:
    return bytes(store.get("a").bytes())


def streamed(store: GCSStore) -> bytes:
    return b"".join(store.get("a").stream())


def opened(store: GCSStore) -> bytes:
    with store.open("a") as file:
        return bytes(file.read())


def opened_with_size(store: GCSStore) -> bytes:
    with store.open_reader("a", size=PIECES) as file:
        return bytes(file.read())


def in_ranges(store: GCSStore) -> bytes:
    return b"".join(map(bytes, store.get_ranges("a", starts=[0, 10 * MIB], ends=[10 * MIB, PIECES])))


def downloaded(store: GCSStore) -> bytes:
    with TemporaryDirectory() as folder:
        store.download("a", Path(folder) / "a", chunk_size=4 * MIB)
        return (Path(folder) / "a").read_bytes()


PIECES = 12 * MIB + 1
MENDED = (at_once, opened, opened_with_size, in_ranges, downloaded)


@pytest.mark.parametrize("read", [*MENDED, streamed])
@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_pieces_are_compared_with_what_a_range_tells(
    store: GCSStore, server: StrictServer, read: Callable[[GCSStore], bytes], damaged: int
) -> None:
    """Every range tells the checksum of the whole object; the last byte of the object is wrong, so many times."""
    body = bytes(range(256)) * (PIECES // 256) + b"!"
    store.put("a", body, use_multipart=False)
    spoil_ends(server, damaged)
    if damaged > (read in MENDED):
        with pytest.raises(CorruptResponseError, match=r"'a'.*\(crc32c\).*damaged"):
            read(store)
    else:
        assert read(store) == body


def in_small_blocks(store: GCSStore) -> bytes:
    with store.open("a") as file:
        return b"".join(iter(lambda: file.read(100), b""))


@pytest.mark.parametrize("read", [opened, in_small_blocks])
@pytest.mark.parametrize("damaged", [0, 1, 99])
def test_a_small_file_is_compared_as_it_is_opened(
    store: GCSStore, server: StrictServer, read: Callable[[GCSStore], bytes], damaged: int
) -> None:
    store.put("a", bytes(1000))
    spoil_ends(server, damaged, size=1000)
    if damaged == 99:
        with pytest.raises(CorruptResponseError):
            read(store)
    else:
        assert read(store) == bytes(1000)


def spoil_ends(server: StrictServer, times: int, size: int = PIECES) -> None:
    """Have the last byte of the object be wrong, so many times that it is sent."""
    answer, left = server.answer, iter(range(times))

    def spoilt(call: Any) -> Answer | None:
        found = answer(call)
        ends = found is not None and f"-{size - 1}/" in found.headers.get("Content-Range", "")
        if found is None or not ends or next(left, None) is None:
            return found
        return found._replace(body=found.body[:-1] + b"?")

    server.answer = spoilt  # type: ignore[method-assign]


def test_every_write_tells_its_checksum(store: GCSStore, server: StrictServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(6 * MIB))
    for source in (bytes(6 * MIB), tmp_path / "file"):
        store.put("a", source, use_multipart=False)
        store.put("a", source, use_multipart=False, attributes={"a": "b"})
        store.put("a", source, chunk_size=5 * MIB)
        store.put("b", source, mode="create", use_multipart=True)
        store.delete("b")
    bodies = [call for call in server.calls if call.method in ("PUT", "POST") and len(call.body) > 999]
    told = [call for call in bodies if call.headers["x-goog-hash"] or b'"crc32c"' in call.body[:999]]
    streamed = [call for call in bodies if "/*" in str(call.headers["Content-Range"])]
    assert len(told) == len(bodies) - len(streamed)


# --- uploads in parts


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 12 * MIB + 5])
def test_unconditional_parts_go_by_xml(store: GCSStore, server: StrictServer, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    put = store.put(
        "a", body[:size], use_multipart=True, chunk_size=5 * MIB, attributes={"Content-Type": "t/x", "k": "v"}
    )
    assert store.get("a").bytes() == body[:size]
    assert store.head("a")["e_tag"] == put["e_tag"]
    assert store.get("a").attributes["k"] == "v"
    assert len(server.lines("partNumber")) == max(-(-size // (5 * MIB)), 1)
    assert server.service.multiparts == {}
    assert "uploadType" not in "".join(server.lines())


def test_a_failed_upload_by_xml_leaves_nothing(store: GCSStore, server: StrictServer) -> None:
    server.faults = [Fault("partNumber=2", error(403, "forbidden"))]
    with pytest.raises(PermissionDeniedError):
        store.put("a", bytes(12 * MIB), use_multipart=True, chunk_size=5 * MIB)
    assert server.service.multiparts == {}


@pytest.mark.usefixtures("in_sessions")
@pytest.mark.parametrize("chunk", [5 * MIB, 5 * MIB + 77])
@pytest.mark.parametrize("size", [0, 1, 256 << 10, 10 * MIB, 12 * MIB + 5])
def test_conditional_parts_go_by_a_session(store: GCSStore, server: StrictServer, size: int, chunk: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    put = store.put("a", body[:size], use_multipart=True, chunk_size=chunk, mode="create", attributes={"k": "v"})
    result = store.get("a")
    assert (result.bytes(), result.attributes["k"], result.meta["e_tag"]) == (body[:size], "v", put["e_tag"])
    assert len(server.lines("POST /upload")) == 1
    assert server.lines("uploads") == []


BROKEN = [
    Fault("PUT /upload"),
    Fault("PUT /upload", error(503, "backendError")),
    Fault("PUT /upload", error(429, "rateLimitExceeded")),
    Fault("PUT /upload", keeps=MIB),
    Fault("PUT /upload", acts=True),
    Fault("PUT /upload", error(500, "internalError"), acts=True),
]


@pytest.mark.usefixtures("in_sessions")
@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_session_goes_on_behind_what_arrived(store: GCSStore, server: StrictServer, fault: Fault, where: int) -> None:
    body = bytes(range(251)) * 45_000
    stretches = ["bytes 0-", f"bytes {5 * MIB}-", f"/{len(body)}"]
    acts = server.answer

    def answer(call: Any) -> Any:
        if server.faults == [] and not fired and stretches[where] in str(call.headers["Content-Range"]):
            fired.append(True)
            server.faults = [fault if where < 2 or fault.keeps is None else fault._replace(keeps=5)]
        return acts(call)

    fired: list[bool] = []
    server.answer = answer  # type: ignore[method-assign]
    put = store.put("a", body, use_multipart=True, chunk_size=5 * MIB, mode="create")
    assert fired == [True]
    assert store.get("a").bytes() == body
    assert put["e_tag"] == store.head("a")["e_tag"]
    sent = sum(len(call.body) for call in server.calls if call.method == "PUT")
    if fault.acts:
        assert sent == len(body)  # nothing twice


@pytest.mark.usefixtures("in_sessions")
@pytest.mark.parametrize("memory", [True, False])
def test_a_session_that_has_ended_begins_anew_from_what_is_still_there(
    store: GCSStore, server: StrictServer, tmp_path: Path, memory: bool
) -> None:
    body = bytes(range(251)) * 45_000
    (tmp_path / "file").write_bytes(body)
    server.faults = [Fault("PUT /upload"), Fault("PUT /upload", error(410, "gone"))]
    source = body if memory else tmp_path / "file"
    store.put("a", source, use_multipart=True, chunk_size=5 * MIB, mode="create")
    assert store.get("a").bytes() == body
    assert len(server.lines("POST /upload")) == 2


@pytest.mark.usefixtures("in_sessions")
def test_a_session_that_has_ended_is_an_error_of_a_stream(store: GCSStore, server: StrictServer) -> None:
    server.faults = [Fault("PUT /upload", error(410, "gone"))]
    with pytest.raises(GenericError, match="has ended"):
        store.put("a", iter([bytes(5 * MIB)] * 3), chunk_size=5 * MIB, mode="create")
    assert server.lines("PUT /bucket") == []
    with pytest.raises(NotFoundError):
        store.head("a")


def write_and_fail(file: Any) -> None:
    with file:
        file.write(bytes(11 * MIB))
        raise RuntimeError("mine")


@pytest.mark.usefixtures("in_sessions")
def test_a_session_is_ended_with_the_upload(store: GCSStore, server: StrictServer) -> None:
    with pytest.raises(RuntimeError, match="mine"):
        write_and_fail(objstore.open_writer(store, "a", mode="create", buffer_size=5 * MIB))
    assert server.service.sessions == {}
    assert len(server.lines("DELETE /upload")) == 1


@pytest.mark.usefixtures("in_sessions")
def test_a_session_does_not_go_to_another_host(store: GCSStore, server: StrictServer) -> None:
    store.put("a", bytes(6 * MIB), use_multipart=True, mode="create")  # the fake names another in Location
    assert store.head("a")["size"] == 6 * MIB


# --- lists, deletes, copies


def test_offsets_are_exclusive(store: GCSStore, server: StrictServer) -> None:
    store.put_many(dict.fromkeys("abcd", b""))
    assert [meta["path"] for meta in store.list(offset="b").collect()] == ["c", "d"]
    assert [meta["path"] for meta in store.list(offset="bb").collect()] == ["c", "d"]


def test_folders_of_a_hierarchical_namespace_are_no_objects(store: GCSStore, server: StrictServer) -> None:
    server.service.buckets["bucket"].folders = {"a/", "a/b/", "empty/"}
    store.put("a/b/c", b"1")
    assert [meta["path"] for meta in store.list().collect()] == ["a/b/c"]
    found = store.list_with_delimiter()
    assert (found["common_prefixes"], found["objects"]) == (["a", "empty"], [])
    for path in ("a", "empty"):
        with pytest.raises(NotFoundError):
            store.head(path)


def test_deletes_go_by_hundreds(store: GCSStore, server: StrictServer) -> None:
    keys = [f"k{number:03}" for number in range(250)]
    store.put_many(dict.fromkeys(keys, b""))
    store.delete([*keys, "missing"])
    assert store.list().collect() == []
    assert len(server.lines("POST /batch")) == 3
    assert server.lines("DELETE") == []


@pytest.mark.parametrize("status", [404, 501])
def test_deletes_without_batches(store: GCSStore, server: StrictServer, status: int) -> None:
    store.put_many(dict.fromkeys("abc", b""))
    server.faults = [Fault("POST /batch", error(status, "notImplemented"))]
    store.delete(["a", "missing"])
    store.delete(["b", "c"])
    assert store.list().collect() == []
    assert len(server.lines("POST /batch")) == 1


def test_a_call_of_a_batch_is_tried_again(store: GCSStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put_many(dict.fromkeys("abc", b""))
    read = gcs_bucket.read_batch
    answers: list[int] = []

    def throttled(headers: Any, body: bytes, count: int) -> Any:
        found = read(headers, body, count)
        answers.append(len(found))
        if len(answers) == 1:
            found[1] = found[1]._replace(status=429, body=error(429, "rateLimitExceeded").body)
            found[2] = found[2]._replace(status=403, body=error(403, "forbidden").body)
        return found

    monkeypatch.setattr(gcs_bucket, "read_batch", throttled)
    with pytest.raises(PermissionDeniedError, match="'c'"):
        store.delete(["a", "b", "c"])
    assert answers == [3, 1]


def test_a_missing_bucket_is_not_an_object_that_is_gone(server: StrictServer) -> None:
    store = open_store(server, bucket="none")
    for call in (
        lambda: store.delete("a"),
        lambda: store.delete(["a", "b"]),
        lambda: store.list().collect(),
        lambda: store.put("a", b"1", mode="create"),
        lambda: store.put("a", b"1", mode={"version": "1"}),
        lambda: store.put("a", b"1", mode={"version": "1"}, use_multipart=True),
        lambda: store.copy("a", "b", overwrite={"version": "1"}),
    ):
        with pytest.raises(NotFoundError, match="bucket"):
            call()


def test_a_copy_goes_on_until_it_is_done(store: GCSStore, server: StrictServer) -> None:
    store.put("a", bytes(10), attributes={"k": "v"})
    server.service.rewritten_at_once = 3
    store.copy("a", "b")
    assert (store.get("b").bytes(), store.get("b").attributes["k"]) == (bytes(10), "v")
    assert len(server.lines("rewriteTo/")) == 4
    with pytest.raises(AlreadyExistsError):
        store.copy("a", "b", overwrite=False)
    store.rename("b", "c")
    assert [meta["path"] for meta in store.list().collect()] == ["a", "c"]
    with pytest.raises(PreconditionError):
        store.copy("a", "c", overwrite={"version": store.head("a")["version"]})
    store.copy("a", "c", overwrite={"version": (version := store.head("c")["version"])})
    assert f"ifGenerationMatch={version}" in server.lines("rewriteTo/")[-1]
    with pytest.raises(NotSupportedError, match="generation"):
        store.copy("a", "c", overwrite={"e_tag": "no generation"})


# --- errors, and who we are


CODES: list[tuple[int, str, type[BaseError]]] = [
    (400, "invalid", GenericError),
    (400, "userProjectMissing", PermissionDeniedError),
    (401, "authError", UnauthenticatedError),
    (403, "forbidden", PermissionDeniedError),
    (403, "retentionPolicyNotMet", PermissionDeniedError),
    (404, "notFound", NotFoundError),
    (409, "conflict", GenericError),
    (412, "conditionNotMet", PreconditionError),
]


@pytest.mark.parametrize(("status", "reason", "kind"), CODES)
def test_reasons(store: GCSStore, server: StrictServer, status: int, reason: str, kind: type[BaseError]) -> None:
    for line, call in (
        ("POST /upload", lambda: store.put("a", b"1")),
        ("GET /storage", lambda: store.list().collect()),
        ("GET /bucket", lambda: store.get("a")),
    ):
        server.faults = [Fault(line, error(status, reason))]
        with pytest.raises(kind) as failed:
            call()
        assert (failed.value.status, failed.value.code, failed.value.attempts) == (status, reason, 1)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(408, "requestTimeout"), (429, "rateLimitExceeded"), (500, "internalError"), (503, "backendError")],
)
def test_reasons_to_try_again(store: GCSStore, server: StrictServer, status: int, reason: str) -> None:
    store.put("a", b"1")
    server.faults = [Fault(line, error(status, reason)) for line in ("POST /upload", "GET /storage", "GET /bucket")]
    store.put("a", b"2")
    assert (len(store.list().collect()), store.get("a").bytes()) == (1, b"2")
    assert server.faults == []


def test_tokens_and_who_pays() -> None:
    with strict_server(token="secret") as server:
        server.make_bucket("bucket")
        given = [{"bearer_token": "secret"}, {"credential_provider": lambda: {"token": "secret", "expires_at": None}}]
        for who in given:
            store = open_store(
                server,
                emulator_host=None,
                base_url=server.endpoint,
                client_options={"allow_http": True},
                user_project="payer",
                **who,
            )
            store.put("a", bytes(6 * MIB), use_multipart=True, mode="overwrite")
            store.delete(["a", "b"])
        assert {call.headers["x-goog-user-project"] for call in server.calls} == {"payer"}
        with pytest.raises(UnauthenticatedError) as refused:
            open_store(server, bearer_token="wrong-secret").put("a", b"1")
        assert "wrong-secret" not in str(refused.value)


def test_a_token_that_is_refused_is_replaced() -> None:
    tokens = iter(["old", "secret"])
    with strict_server(token="secret") as server:
        server.make_bucket("bucket")
        store = open_store(server, credential_provider=lambda: {"token": next(tokens), "expires_at": None})
        store.put("a", b"1")
        assert store.get("a").bytes() == b"1"
