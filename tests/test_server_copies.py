"""Copies that the service makes: what may replace nothing, and what is too large for one request.

The scenarios are those of tests/faults: a key SCENARIO/NAME gets the replies of that scenario.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import boto3
import pytest

from objstore import sync
from objstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    NotFoundError,
    NotSupportedError,
    ObjectChangedError,
    PreconditionError,
)
from objstore.providers.cloud import writes
from objstore.store import S3Store
from tests.conformance.conftest import Bucket
from tests.faults.client import FaultServer
from tests.faults.content import content
from tests.listener import Listener
from tests.servers import S3Server
from tests.test_following import fsspec_on
from tests.test_lost_answers import sent, store_on
from tests.tls_proxy import standing_in

GIB = 1 << 30
HEADER = "header:If-None-Match:*"
WAYS = [HEADER, "header: If-None-Match: *", "header-with-status:If-None-Match:*:412", "multipart"]


# --- what may replace nothing


@pytest.mark.parametrize("operation", ["copy", "rename"])
def test_without_a_way_that_the_service_enforces_it_is_refused(fault_server: FaultServer, operation: str) -> None:
    store = store_on(fault_server)
    store.put("a", b"1")
    with pytest.raises(NotSupportedError, match="copy_if_not_exists") as error:
        getattr(store, operation)("a", "b", overwrite=False)
    assert error.value.path == "b"
    assert [request["operation"] for request in fault_server.requests()] == ["put"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operation", ["copy", "rename"])
def test_what_the_setting_names_is_done(fault_server: FaultServer, way: str, operation: str) -> None:
    store = store_on(fault_server, copy_if_not_exists=way)
    for name in ("a", "b", "there"):
        store.put(name, name.encode())
    getattr(store, operation)("a", "new", overwrite=False)
    with pytest.raises(AlreadyExistsError) as error:
        getattr(store, operation)("b", "there", overwrite=False)
    assert (error.value.path, error.value.maybe_applied) == ("there", False)
    assert [store.get(name).bytes() for name in ("new", "b", "there")] == [b"a", b"b", b"there"]
    assert sent(fault_server, "copy" if way == "multipart" else "create") == 0


@pytest.mark.parametrize("way", WAYS)
def test_of_many_who_copy_to_one_place_one_wins(fault_server: FaultServer, way: str) -> None:
    store = store_on(fault_server, copy_if_not_exists=way)
    names = [f"from/{index}" for index in range(8)]
    store.put_many([(name, name.encode()) for name in names])

    def won(name: str) -> bool:
        try:
            store.copy(name, "to", overwrite=False)
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        winners = [name for name, has in zip(names, pool.map(won, names), strict=True) if has]
    assert [store.get("to").bytes().decode()] == winners


def test_another_status_may_say_so(fault_server: FaultServer) -> None:
    store = store_on(fault_server, copy_if_not_exists="header-with-status:x-amz-none:1:418")
    with pytest.raises(AlreadyExistsError):
        store.copy("a", "teapot/b", overwrite=False)
    with pytest.raises(GenericError) as error:
        store.copy("a", "teapot/c")
    assert not isinstance(error.value, AlreadyExistsError)
    assert fault_server.requests("teapot/b")[0]["headers"]["x-amz-none"] == "1"


@pytest.mark.parametrize(
    ("endpoint", "way"),
    [
        (None, {"If-None-Match": "*"}),
        ("https://s3.eu-west-1.amazonaws.com", {"If-None-Match": "*"}),
        ("https://bucket.s3.cn-north-1.amazonaws.com.cn", {"If-None-Match": "*"}),
        ("https://amazonaws.com.example.org", None),
        ("https://notamazonaws.com", None),
        ("https://s3.example.org", None),
    ],
)
def test_on_amazons_own_hosts_the_header_is_the_way(endpoint: str | None, way: dict[str, str] | None) -> None:
    provider: Any = S3Store("bucket", endpoint=endpoint, region="eu-west-1").provider
    assert (provider._guard and provider._guard.headers) == way


# --- what may replace one version


@pytest.fixture
def amazon(fault_server: FaultServer, tmp_path: Path) -> Iterator[S3Store]:
    """A store on the fault server, by the name of one of Amazon's hosts."""
    with standing_in({"s3.eu-west-1.amazonaws.com": fault_server.endpoint}, tmp_path) as proxy:
        yield S3Store(
            fault_server.bucket,
            endpoint="https://s3.eu-west-1.amazonaws.com",
            region="eu-west-1",
            access_key_id=fault_server.access_key_id,
            secret_access_key=fault_server.secret_access_key,
            client_options={"proxy_url": proxy.url, "root_certificate": proxy.certificates.read_bytes()},
        )


def test_amazon_is_told_of_the_version_as_boto3_tells_it(fault_server: FaultServer, amazon: S3Store) -> None:
    for name in "ab":
        amazon.put(name, name.encode())
    e_tag = str(amazon.head("b")["e_tag"])
    amazon.copy("a", "b", overwrite={"e_tag": e_tag})
    theirs = boto3.client(
        "s3",
        endpoint_url=fault_server.endpoint,
        region_name="eu-west-1",
        aws_access_key_id=fault_server.access_key_id,
        aws_secret_access_key=fault_server.secret_access_key,
    )
    with pytest.raises(theirs.exceptions.ClientError, match="PreconditionFailed"):
        theirs.copy_object(Bucket="bucket", Key="b", CopySource={"Bucket": "bucket", "Key": "a"}, IfMatch=e_tag)
    copies = [request["headers"] for request in fault_server.requests("b") if request["operation"] == "copy"]
    assert [headers["if-match"] for headers in copies] == [e_tag, e_tag]


@pytest.mark.parametrize("operation", ["copy", "rename"])
def test_on_amazons_hosts_one_version_is_replaced(amazon: S3Store, operation: str) -> None:
    act = getattr(amazon, operation)
    for name in "abc":
        amazon.put(name, name.encode())
    for target in ("b", "missing-a"):
        with pytest.raises(PreconditionError) as error:
            act("a", target, overwrite={"e_tag": str(amazon.head("c")["e_tag"])})
        assert (error.value.path, error.value.maybe_applied) == (target, False)
    assert [amazon.get(name).bytes() for name in "ab"] == [b"a", b"b"]
    act("a", "b", overwrite={"e_tag": str(amazon.head("b")["e_tag"])})
    assert amazon.get("b").bytes() == b"a"
    with pytest.raises(NotSupportedError, match="ETag"):
        act("a", "b", overwrite={"version": "1"})


def test_what_is_too_large_for_one_request_replaces_one_version(fault_server: FaultServer, amazon: S3Store) -> None:
    e_tag = amazon.put("huge-object/b", b"1")["e_tag"]
    with pytest.raises(PreconditionError):
        amazon.copy("huge-object/a", "huge-object/b", overwrite={"e_tag": '"another"'})
    amazon.copy("huge-object/a", "huge-object/b", overwrite={"e_tag": e_tag})
    assert amazon.head("huge-object/b")["size"] == 6 * GIB
    ends = [request["headers"] for request in fault_server.requests() if request["operation"] == "complete"]
    assert [headers["if-match"] for headers in ends] == ['"another"', e_tag]


@pytest.mark.parametrize("way", [None, HEADER, "header-with-status:If-None-Match:*:412"])
@pytest.mark.parametrize("operation", ["copy", "rename"])
def test_where_no_version_is_known_to_be_compared_it_is_refused(
    fault_server: FaultServer, operation: str, way: str | None
) -> None:
    store = store_on(fault_server, **({} if way is None else {"copy_if_not_exists": way}))
    with pytest.raises(NotSupportedError, match="copy_if_not_exists='multipart'") as error:
        getattr(store, operation)("a", "b", overwrite={"e_tag": '"x"'})
    assert error.value.path == "b"
    assert fault_server.requests() == []


def test_a_lost_copy_over_one_version_is_sent_once(fault_server: FaultServer, amazon: S3Store) -> None:
    amazon.put("a", b"1")
    e_tag = amazon.put("lost-copy/b", b"2")["e_tag"]
    with pytest.raises(PreconditionError) as error:
        amazon.copy("a", "lost-copy/b", overwrite={"e_tag": e_tag})
    assert (error.value.maybe_applied, error.value.path) == (True, "lost-copy/b")
    assert sent(fault_server, "copy") == 1


# --- what is too large for one request


def test_an_object_of_6_gib_is_copied_in_ranges_of_one_version(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    store.copy("huge-object/a", "huge-object/b")
    assert store.head("huge-object/b")["size"] == 6 * GIB
    assert sent(fault_server, "copy") == 0
    copied = [request["headers"] for request in fault_server.requests() if request["operation"] == "part-copy"]
    ranges = [headers["x-amz-copy-source-range"].removeprefix("bytes=").split("-") for headers in copied]
    spans = sorted((int(start), int(end) + 1) for start, end in ranges)
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == 6 * GIB
    assert len({end - start for start, end in spans[:-1]}) == 1
    assert {headers["x-amz-copy-source-if-match"] for headers in copied} == {'"generated-v1"'}
    assert store.get_range("huge-object/b", start=GIB - 10, end=GIB + 10) == content(GIB - 10, GIB + 10)


def test_a_part_that_is_answered_200_with_an_error_is_copied_again(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    store.copy("copied-part-error/a", "copied-part-error/b")
    assert store.head("copied-part-error/b")["size"] == 6 * GIB


def test_where_the_service_refuses_what_is_too_large_it_is_not_asked_how_large_an_object_is(
    fault_server: FaultServer, amazon: S3Store
) -> None:
    amazon.put("a", b"1")
    amazon.copy("a", "b")
    amazon.copy("a", "c", overwrite=False)
    assert [amazon.get(name).bytes() for name in "bc"] == [b"1", b"1"]
    assert (sent(fault_server, "head"), sent(fault_server, "copy")) == (0, 2)
    with pytest.raises(AlreadyExistsError) as there:
        amazon.copy("a", "c", overwrite=False)
    assert (there.value.path, sent(fault_server, "head")) == ("c", 0)
    with pytest.raises(NotFoundError) as missing:
        amazon.copy("nothing", "missing/b")
    assert (missing.value.path, sent(fault_server, "head")) == ("nothing", 0)


@pytest.mark.parametrize("overwrite", [True, False])
def test_what_is_refused_as_too_large_is_copied_in_parts(
    fault_server: FaultServer, amazon: S3Store, overwrite: bool
) -> None:
    amazon.copy("huge-object/a", "huge-object/b", overwrite=overwrite)
    assert amazon.head("huge-object/b")["size"] == 6 * GIB
    copied = [request["headers"] for request in fault_server.requests() if request["operation"] == "part-copy"]
    assert {headers["x-amz-copy-source-if-match"] for headers in copied} == {'"generated-v1"'}
    assert (sent(fault_server, "copy"), sent(fault_server, "complete")) == (1, 1)


def test_what_is_refused_for_another_reason_is_not_copied_in_parts(fault_server: FaultServer, amazon: S3Store) -> None:
    amazon.put("a", b"1")
    with pytest.raises(GenericError, match="teapot") as error:
        amazon.copy("a", "refused-copy/b")
    assert (error.value.status, error.value.code) == (400, "InvalidRequest")
    assert (sent(fault_server, "copy"), sent(fault_server, "head"), sent(fault_server, "part-copy")) == (1, 1, 0)


@pytest.mark.parametrize("overwrite", [True, False])
def test_what_was_listed_as_small_is_copied_by_one_request(fault_server: FaultServer, overwrite: bool) -> None:
    store = store_on(fault_server, copy_if_not_exists=HEADER)
    store.put_many([(name, name.encode()) for name in "ab"])
    listed = store.list().collect()
    store.copy_many([(meta, f"to/{meta['path']}") for meta in listed], overwrite=overwrite)
    assert [store.get(f"to/{name}").bytes() for name in "ab"] == [b"a", b"b"]
    assert (sent(fault_server, "head"), sent(fault_server, "copy") + sent(fault_server, "create")) == (0, 2)


def test_what_is_synced_is_not_asked_for_again(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    store.put_many([(f"from/{name}", name.encode()) for name in "ab"])
    store.copy("from/a", "to/a")
    heads = sent(fault_server, "head")
    synced = sync(store, store, prefix="from", to_prefix="into")
    assert (synced.copied, sent(fault_server, "head") - heads, heads) == (2, 0, 1)


@pytest.mark.parametrize("operation", ["copy", "mv"])
def test_what_fsspec_has_listed_is_not_asked_for_again(fault_server: FaultServer, operation: str) -> None:
    store = store_on(fault_server)
    store.put_many([(f"from/{name}", name.encode()) for name in "abc"])
    fs = fsspec_on(fault_server)
    getattr(fs, operation)(f"{fault_server.bucket}/from/*", f"{fault_server.bucket}/to/")
    assert [store.get(f"to/{name}").bytes() for name in "abc"] == [b"a", b"b", b"c"]
    assert (sent(fault_server, "head"), sent(fault_server, "copy")) == (0, 3)


@pytest.mark.parametrize("size", [(1 << 30) + 1, 6 * GIB])
def test_what_was_listed_as_large_is_asked_how_large_it_is(fault_server: FaultServer, size: int) -> None:
    store = store_on(fault_server)
    store.copy_many([({"path": "huge-object/a", "size": size}, "huge-object/b")])
    assert store.head("huge-object/b")["size"] == 6 * GIB
    assert (sent(fault_server, "copy"), sent(fault_server, "part-copy") > 0) == (0, True)


def test_what_was_listed_as_small_and_is_refused_as_too_large_is_copied_in_parts(fault_server: FaultServer) -> None:
    store = store_on(fault_server)
    store.copy_many([({"path": "huge-object/a", "size": 1}, "huge-object/b")])
    assert store.head("huge-object/b")["size"] == 6 * GIB
    assert sent(fault_server, "copy") == 1


@pytest.mark.parametrize("source", [{"path": "a"}, {"path": "a", "size": -1}, {"path": "a", "size": "1"}, {"size": 1}])
def test_an_object_that_is_not_as_it_was_listed_is_refused(fault_server: FaultServer, source: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="size"):
        store_on(fault_server).copy_many([(source, "b")])
    assert fault_server.requests() == []


@pytest.mark.parametrize("most", [1, 4])
def test_no_more_parts_are_copied_at_a_time_than_the_caller_allows(most: int) -> None:
    with counting() as (endpoint, counts):
        store = S3Store("b", access_key_id="a", secret_access_key="b", endpoint=endpoint, allow_http=True)
        store.copy_many([("a", "c"), ("a", "d")], max_concurrency=most)
    assert counts["part"] == 24
    assert counts["most"] <= most


@contextmanager
def counting() -> Iterator[tuple[str, Counter[str]]]:
    """Serve an object of 6 GiB whose parts take a moment to copy, and count how many are copied at once."""
    counts: Counter[str] = Counter()
    changed = threading.Lock()

    class Counting(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(size=6 * GIB)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            ended = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
            self.answer(begun if self.path.endswith("?uploads=") else ended)

        def do_PUT(self) -> None:
            with changed:
                counts["part"] += 1
                counts["now"] += 1
                counts["most"] = max(counts["most"], counts["now"])
            time.sleep(0.02)
            with changed:
                counts["now"] -= 1
            self.answer("<CopyPartResult><ETag>e</ETag></CopyPartResult>")

        def answer(self, body: str = "", size: int | None = None) -> None:
            self.send_response(200)
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
            self.send_header("Content-Length", str(len(body) if size is None else size))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with Listener(("127.0.0.1", 0), Counting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", counts
        server.shutdown()


def test_an_object_that_is_replaced_meanwhile_is_not_copied(fault_server: FaultServer) -> None:
    with pytest.raises(ObjectChangedError) as error:
        store_on(fault_server).copy("replaced-in-copy/a", "replaced-in-copy/b")
    assert error.value.path == "replaced-in-copy/a"
    assert (sent(fault_server, "complete"), sent(fault_server, "abort")) == (0, 1)


@pytest.fixture(params=["ministack", "moto"])
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of a real server, where more than 6 MiB are too large for one request."""
    monkeypatch.setattr(writes, "COPY_AT_ONCE", 6 << 20)
    server: S3Server = request.getfixturevalue(request.param)
    return Bucket(server)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_large_copy_is_a_whole_copy(real: Bucket, overwrite: bool) -> None:
    store = real.open()
    body = content(0, 13 << 20)
    store.put(
        "a", body, attributes={"Content-Type": "text/x-test", "mine": "1"}, tags={"of": "mine"}, use_multipart=False
    )
    store.copy("a", "b/c d", overwrite=overwrite)
    result = store.get("b/c d")
    assert (result.attributes["Content-Type"], result.attributes["mine"]) == ("text/x-test", "1")
    assert result.bytes() == body
    assert result.meta["e_tag"].endswith('-3"')  # type: ignore[union-attr]
    assert real.unfinished() == []


@pytest.mark.parametrize("size", [13 << 20, 10])
def test_a_copy_in_parts_expires_when_its_source_does(real: Bucket, size: int) -> None:
    """As a copy by one request does; a header that is no attribute here."""
    body, ends = content(0, size), datetime(2030, 1, 31, 12, 0, tzinfo=UTC)
    real.client.put_object(Bucket=real.name, Key="a", Body=body, Expires=ends)
    store = real.open()
    store.copy("a", "b", overwrite=False)
    told = [real.client.head_object(Bucket=real.name, Key=key)["ExpiresString"] for key in "ab"]
    assert told == ["Thu, 31 Jan 2030 12:00:00 GMT"] * 2
    assert store.get("b").bytes() == body


def test_a_large_copy_does_not_replace_what_is_there(real: Bucket) -> None:
    store = real.open()
    store.put("a", content(0, 13 << 20))
    store.put("b", b"there")
    with pytest.raises(AlreadyExistsError):
        store.copy("a", "b", overwrite=False)
    assert store.get("b").bytes() == b"there"
    assert real.unfinished() == []


# --- who is named


VIRTUAL: dict[str, Any] = {"virtual_hosted_style_request": True}
ELSEWHERE = {**VIRTUAL, "endpoint": "https://h.example"}
POINT = "arn:aws:s3:us-west-2:123456789012:accesspoint/point"


@pytest.mark.parametrize(
    ("source", "target", "copies"),
    [
        (("one", {}), ("two", {}), True),
        (("one", VIRTUAL), ("two", VIRTUAL), True),
        (("one", ELSEWHERE), ("two", ELSEWHERE), True),
        (("one", ELSEWHERE), ("two", VIRTUAL), False),
        (("one", {**VIRTUAL, "region": "eu-west-1"}), ("two", VIRTUAL), False),
        (("one", {**VIRTUAL, "secret_access_key": "other"}), ("two", VIRTUAL), False),
        (("one", {"use_accelerate_endpoint": True}), ("two", {"use_accelerate_endpoint": True}), False),
        ((POINT, {}), (f"{POINT}2", {}), False),
    ],
)
def test_buckets_of_one_service_are_copied_between_by_it(
    source: tuple[str, dict[str, Any]], target: tuple[str, dict[str, Any]], copies: bool
) -> None:
    usual = {"region": "us-west-2", "access_key_id": "k", "secret_access_key": "s"}
    origin, there = (S3Store(bucket, **{**usual, **more}) for bucket, more in (source, target))
    assert there.provider.can_copy_from(origin.provider) is copies


def test_errors_of_a_copy_name_source_and_target(s3_server: S3Server) -> None:
    bucket, other = Bucket(s3_server), Bucket(s3_server)
    source, target = bucket.open(prefix="in"), other.open(prefix="out")
    with pytest.raises(NotFoundError, match="in/missing") as missing:
        source.copy("missing", "b", to_store=target)
    assert missing.value.path == "missing"
    source.put("a", b"1")
    nowhere = bucket.open(bucket="no-such-bucket-anywhere", prefix="out")
    with pytest.raises(NotFoundError, match="'out/b' from 'in/a'") as no_bucket:
        source.copy("a", "b", to_store=nowhere)
    assert no_bucket.value.path == "b"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_copy_of_another_version_shows_where_the_service_ignores_which_is_meant(
    fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The fault server ignores the condition of a copy by one request: what is there is looked at on either side."""
    store = store_on(fault_server)
    e_tag = store.put("a", b"1")["e_tag"]
    provider: Any = store.provider
    copy = provider._copy_at_once

    def replaced(*arguments: Any) -> Any:
        store.put("a", b"2")
        return copy(*arguments)

    if when == "before":
        store.put("a", b"2")
    else:
        monkeypatch.setattr(provider, "_copy_at_once", replaced)
    with pytest.raises(PreconditionError, match="not what was to be copied") as error:
        store.copy("a", "b", if_match=e_tag)
    assert error.value.maybe_applied is (when == "after")
    sent = [request["headers"] for request in fault_server.requests() if request["operation"] == "copy"]
    assert [headers["x-amz-copy-source-if-match"] for headers in sent] == ([e_tag] if when == "after" else [])
