"""The region of a bucket, found by itself: no server here has more than one, so these answer as Amazon's do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any, ClassVar

import pytest

from objstore.credentials.aws import Credential
from objstore.credentials.current import Credentials
from objstore.credentials.sigv4 import SigV4
from objstore.exceptions import BaseError, ConnectionFailedError
from objstore.http.client import client_settings
from objstore.http.retry import Policy
from objstore.plans.effects import Plan
from objstore.plans.run import run
from objstore.providers.cloud import s3
from objstore.providers.cloud.bucket import Bucket
from objstore.providers.cloud.region import RegionalService, ServiceToFind
from objstore.providers.cloud.s3_buckets import S3Buckets
from objstore.settings.options import RetryOptions
from objstore.store import S3Store
from tests.listener import Listener

REGION = "eu-west-9"
MALFORMED = (
    b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>The region is wrong.</Message>"
    b"<Region>eu-west-9</Region></Error>"
)


class Amazon(BaseHTTPRequestHandler):
    """A bucket in one region that knows which region a request was signed for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen: ClassVar[list[tuple[str, str, str]]] = []

    def do_HEAD(self) -> None:
        self.answer(301, b"")

    def do_PUT(self) -> None:
        self.made = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, b"")

    def do_GET(self) -> None:
        signed_for = re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers.get("Authorization", ""))
        right = signed_for is not None and signed_for[1] == REGION
        self.answer(200 if right else 400, b"body" if right else MALFORMED)

    def answer(self, status: int, body: bytes) -> None:
        told = self.made.decode() if self.command == "PUT" else self.headers.get("Authorization", "")
        self.seen.append((self.command, self.path, told))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 301:
            self.send_header("x-amz-bucket-region", REGION)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def amazon() -> Iterator[str]:
    Amazon.seen.clear()
    with Listener(("127.0.0.1", 0), Amazon) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def nobody_near() -> Plan[str | None]:
    return None
    yield


def in_china() -> Plan[str | None]:
    return "cn-north-1"
    yield


def moved_from_the_first(address: str) -> Callable[[str], str]:
    """Return what tells the addresses of regions: one for the first, and another for all others."""
    return lambda region: address if region == "us-east-1" else address.replace("127.0.0.1", "localhost")


def store_in_no_region(address: Callable[[str], str], near: Callable[[], Plan[str | None]] = nobody_near) -> S3Store:
    """Return a store whose service has yet to be found, at addresses of ours."""
    store = S3Store("bucket", access_key_id="key", secret_access_key="secret")
    assert isinstance(store.provider, Bucket)
    assert isinstance(store.provider.service, ServiceToFind)
    store.provider.service = ServiceToFind(
        dialect=s3.DIALECT,
        settings=client_settings(store._settings.values, "http", "test"),
        policy=Policy(RetryOptions(max_retries=0)),
        identity=SigV4(Credentials(Credential("key", "secret")), "us-east-1"),
        address=address,
        base="/bucket",
        near=near,
    )
    return store


def test_the_region_is_asked_for_once(amazon: str) -> None:
    store = store_in_no_region(moved_from_the_first(amazon))
    assert store.get("a").bytes() == b"body"
    assert store.get("b").bytes() == b"body"
    assert [seen[:2] for seen in Amazon.seen] == [("HEAD", "/bucket"), ("GET", "/bucket/a"), ("GET", "/bucket/b")]
    assert Amazon.seen[0][2] == ""
    assert isinstance(store.provider, Bucket)
    assert store.provider.service.origin.startswith("http://localhost:")


def test_the_region_of_this_machine_is_asked_first(amazon: str) -> None:
    """The address of us-east-1 would lead nowhere: another partition's regions know nothing of ours."""
    known = {"cn-north-1": amazon, REGION: amazon}
    store = store_in_no_region(lambda region: known.get(region, "http://127.0.0.1:9"), in_china)
    assert store.get("a").bytes() == b"body"
    assert store.provider.service.identity.region == REGION  # type: ignore[attr-defined]


def test_a_bucket_is_made_in_the_region_that_was_found(amazon: str) -> None:
    """Amazon refuses a document that names another region than that of the host, or none."""
    bucket: Any = store_in_no_region(moved_from_the_first(amazon)).provider
    run(S3Buckets(bucket, bucket.service.identity, lambda: None).create(exist_ok=True))  # type: ignore[arg-type,return-value]
    method, path, document = Amazon.seen[-1]
    assert (method, path) == ("PUT", "/bucket")
    assert f"<LocationConstraint>{REGION}</LocationConstraint>" in document


def test_a_service_that_cannot_be_asked() -> None:
    with pytest.raises(ConnectionFailedError, match="could not be reached"):
        store_in_no_region(moved_from_the_first("http://127.0.0.1:9")).get("a")


def test_a_service_names_its_region(amazon: str) -> None:
    store = S3Store(
        "bucket", endpoint=amazon, access_key_id="key", secret_access_key="secret", allow_http=True, region="us-east-1"
    )
    assert store.get_many(["a", "b", "c"]) == [b"body"] * 3
    assert store.get("d").bytes() == b"body"
    assert Amazon.seen[-1][1] == "/bucket/d"
    assert f"/{REGION}/" in Amazon.seen[-1][2]


def test_a_service_that_names_the_region_it_was_asked_for(amazon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on for ever."""
    monkeypatch.setattr("tests.test_region.MALFORMED", MALFORMED.replace(b"eu-west-9", b"us-east-1"))
    store = S3Store(
        "bucket", endpoint=amazon, access_key_id="key", secret_access_key="secret", allow_http=True, region="us-east-1"
    )
    with pytest.raises(BaseError, match="signed for another region"):
        store.get("a")
    assert len(Amazon.seen) == 2


class Elsewhere(BaseHTTPRequestHandler):
    """A service whose bucket is in another region than most think: it says so in the header, in the body, or in both.

    What comes to the right host, signed for the right region or by nobody, is served.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    status = 301
    named: ClassVar[dict[str, str]] = {}
    body = b""
    right_host = "127.0.0.1"
    seen: ClassVar[list[tuple[str, str]]] = []
    asked: ClassVar[list[tuple[str, str]]] = []
    objects: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        host = self.headers["Host"].partition(":")[0]
        signed_for = re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers.get("Authorization", ""))
        self.seen.append((self.command, host))
        self.asked.append((self.path, host))
        if host != self.right_host or (signed_for is not None and signed_for[1] != REGION):
            self.send(self.status, HEADER if self.command == "HEAD" else self.named, self.body)  # HEAD has no body
        elif self.command == "PUT":
            self.objects[self.path] = sent
            self.send(200, {"ETag": '"put"'}, b"")
        else:
            self.send(200, {"ETag": '"e"'}, self.objects.get(self.path, b"body"))

    do_HEAD = do_PUT = do_DELETE = do_GET  # noqa: N815

    def send(self, status: int, fields: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>Elsewhere.</Message><Region>{REGION}</Region></Error>".encode()


HEADER = {"x-amz-bucket-region": REGION}
ANSWERS = {
    "301, header": (301, HEADER, b""),
    "301, both": (301, HEADER, error("PermanentRedirect")),
    "301, body": (301, {}, error("PermanentRedirect")),
    "400, header": (400, HEADER, b""),
    "400, body": (400, {}, error("AuthorizationHeaderMalformed")),
    "400, body of another code": (400, {}, error("IllegalLocationConstraintException")),
}


@pytest.fixture(params=ANSWERS.values(), ids=ANSWERS)
def elsewhere(request: pytest.FixtureRequest) -> Iterator[tuple[type[Elsewhere], str]]:
    status, named, body = request.param
    fields = {"status": status, "named": named, "body": body, "seen": [], "asked": [], "objects": {}}
    handler = type("Handler", (Elsewhere,), fields)
    with Listener(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def at_an_endpoint(address: str) -> S3Store:
    """Return a store with a region and an endpoint."""
    keys = {"access_key_id": "key", "secret_access_key": "secret"}
    return S3Store("bucket", endpoint=address, region="us-east-1", client_options={"allow_http": True}, **keys)  # type: ignore[arg-type]


def in_a_region(address: str, *, anonymous: bool = False) -> S3Store:
    """Return a store with a region, and a service that has a host in each."""
    store = S3Store("bucket", region="us-east-1", access_key_id="key", secret_access_key="secret")
    assert isinstance(store.provider, Bucket)
    assert isinstance(store.provider.service, RegionalService)
    store.provider.service = RegionalService(
        dialect=s3.DIALECT,
        settings=client_settings(store._settings.values, "http", "test"),
        policy=Policy(RetryOptions(max_retries=0)),
        identity=SigV4(Credentials(None if anonymous else Credential("key", "secret")), "us-east-1"),
        address=moved_from_the_first(address),
        region="us-east-1",
    )
    return store


def test_a_wrong_region_is_mended_once_and_remembered(elsewhere: tuple[type[Elsewhere], str]) -> None:
    handler, address = elsewhere
    store = at_an_endpoint(address)
    assert store.get("a").bytes() == b"body"
    assert store.head("b")["size"] == 4
    store.put("c", b"new")
    assert store.get_many(["a", "b", "c"]) == [b"body", b"body", b"new"]
    assert [method for method, _ in handler.seen[:4]] == ["GET", "GET", "HEAD", "PUT"]
    assert len(handler.seen) == 7


@pytest.mark.parametrize("anonymous", [False, True])
def test_a_wrong_region_moves_the_store_to_another_host(
    elsewhere: tuple[type[Elsewhere], str], anonymous: bool
) -> None:
    handler, address = elsewhere
    handler.right_host = "localhost"
    store = in_a_region(address, anonymous=anonymous)
    store.put("c", b"new")
    assert handler.seen == [("PUT", "127.0.0.1"), ("PUT", "localhost")]
    assert store.get_many(["a", "b", "c"]) == [b"body", b"body", b"new"]
    assert {host for _, host in handler.seen[1:]} == {"localhost"}


@pytest.mark.parametrize(
    "act",
    [
        lambda store, key: store.get(key).bytes(),
        lambda store, key: store.head(key),
        lambda store, key: store.get_many([f"{key}{n}" for n in range(200)]),
        lambda store, key: dict(store.iter_many([f"{key}{n}" for n in range(200)])),
        lambda store, key: store.head_many([f"{key}{n}" for n in range(3)]),
        lambda store, key: store.put_many({f"{key}{n}": b"%d" % n for n in range(100)}),
        lambda store, key: store.put(key, b"new", mode="create"),
        lambda store, key: store.delete(key),
        lambda store, key: store.get_ranges(key, starts=[0, 3], lengths=[1, 1], coalesce=0),
    ],
)
def test_every_operation_moves(elsewhere: tuple[type[Elsewhere], str], act: Callable[[S3Store, str], object]) -> None:
    """What the first call gives up may come to the server late: whose a request is, its key tells."""
    handler, address = elsewhere
    handler.right_host = "localhost"
    store = in_a_region(address)
    act(store, "first")
    act(store, "second")
    hosts = {call: {host for path, host in handler.asked if f"/{call}" in path} for call in ("first", "second")}
    assert hosts == {"first": {"127.0.0.1", "localhost"}, "second": {"localhost"}}


@pytest.mark.parametrize("region", ["evil.example.com/", "a@b", "", "eu west", "x" * 64])
def test_a_region_that_is_none_is_not_gone_to(region: str) -> None:
    handler = type("Handler", (Elsewhere,), {"seen": [], "named": {"x-amz-bucket-region": region}})
    with Listener(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        with pytest.raises(BaseError, match="elsewhere"):
            at_an_endpoint(f"http://127.0.0.1:{server.server_port}").get("a")
        assert len(handler.seen) == 1  # type: ignore[attr-defined]
        server.shutdown()


@pytest.mark.parametrize("given", [{"region": "eu-west-1"}, {"default_region": "eu-west-1"}, {"endpoint": "https://a"}])
def test_what_was_said_is_not_asked_for(given: dict[str, str]) -> None:
    store = S3Store("bucket", **given)  # type: ignore[arg-type]
    assert isinstance(store.provider, Bucket)
    assert not isinstance(store.provider.service, ServiceToFind)


class Losing(Elsewhere):
    """The same, but of what is sent to the wrong host one key is never answered."""

    lost = ""
    puts: ClassVar[list[tuple[str, str]]] = []

    def do_PUT(self) -> None:
        key, host = self.path.rpartition("/")[2], self.headers["Host"].partition(":")[0]
        self.puts.append((key, host))
        if (key, host) == (self.lost, "127.0.0.1"):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.close_connection = True
        else:
            self.do_GET()


@pytest.fixture
def losing() -> Iterator[tuple[type[Losing], S3Store]]:
    handler = type("Handler", (Losing,), {"seen": [], "puts": [], "objects": {}, "named": HEADER})
    handler.right_host = "localhost"
    with Listener(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        yield handler, in_a_region(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.mark.parametrize("lost", ["k0", "k1", "k5"])
@pytest.mark.parametrize("at_once", [1, 3, 6])
def test_a_lost_create_is_not_sent_to_the_right_region_as_well(
    losing: tuple[type[Losing], S3Store], lost: str, at_once: int
) -> None:
    handler, store = losing
    handler.lost = lost
    keys = [f"k{n}" for n in range(6)]
    found = store.put_many(dict.fromkeys(keys, b"1"), mode="create", max_concurrency=at_once, on_error="return")
    errors = {key: each for key, each in zip(keys, found, strict=True) if isinstance(each, BaseError)}
    assert [host for key, host in handler.puts if key == lost] == ["127.0.0.1"]
    assert [key for key, each in errors.items() if each.maybe_applied] == [lost]
    assert {key for key in keys if f"/bucket/{key}" in handler.objects} == set(keys) - set(errors)


def test_creates_of_which_none_is_lost_all_go_to_the_right_region(losing: tuple[type[Losing], S3Store]) -> None:
    handler, store = losing
    store.put_many({f"k{n}": b"1" for n in range(6)}, mode="create", max_concurrency=3)
    assert sorted(handler.objects) == [f"/bucket/k{n}" for n in range(6)]


@pytest.mark.parametrize("said", [b"", error("NobodyKnows"), b"<InitiateMultipartUploadResult>"])
def test_what_was_sent_before_the_move_counts_where_the_last_answer_is_an_error_in_a_success(
    losing: tuple[type[Losing], S3Store], monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """One to the wrong region, one to the right one, whose answer is none."""
    handler, store = losing
    monkeypatch.setattr(handler, "do_POST", handler.do_GET, raising=False)
    monkeypatch.setattr(handler, "objects", {"/bucket/a?uploads=": said})
    with pytest.raises(BaseError) as found:
        store.begin_upload("a")
    assert handler.seen == [("POST", "127.0.0.1"), ("POST", "localhost")]
    assert found.value.attempts == 2
    assert found.value.maybe_applied == (b"Error" not in said)


@pytest.mark.parametrize("act", [lambda store: store.get("a"), lambda store: store.put("a", b"1", mode="create")])
def test_what_was_sent_to_a_wrong_region_counts_as_an_attempt(
    act: Callable[[S3Store], object], losing: tuple[type[Losing], S3Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, store = losing
    monkeypatch.setattr(handler, "right_host", "nowhere")
    with pytest.raises(BaseError) as error:
        act(store)
    assert error.value.attempts == len(handler.seen) == 2
    assert not error.value.maybe_applied
