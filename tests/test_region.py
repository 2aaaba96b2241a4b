"""The region of a bucket, found by itself: no server here has more than one, so these answer as Amazon's do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest

from objstore.credentials.aws import Credential
from objstore.credentials.sigv4 import SigV4
from objstore.exceptions import BaseError, ConnectionFailedError
from objstore.http.client import client_settings
from objstore.http.retry import Policy
from objstore.providers.cloud import s3
from objstore.providers.cloud.bucket import Bucket
from objstore.providers.cloud.region import ServiceToFind
from objstore.settings.options import RetryOptions
from objstore.store import S3Store

REGION = "eu-west-9"
MALFORMED = (
    b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>The region is wrong.</Message>"
    b"<Region>eu-west-9</Region></Error>"
)


class Amazon(BaseHTTPRequestHandler):
    """A bucket in one region that knows which region a request was signed for."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, str, str]]] = []

    def do_HEAD(self) -> None:
        self.answer(301, b"")

    def do_GET(self) -> None:
        signed_for = re.search(r"Credential=[^/]+/\d+/([^/]+)/", self.headers.get("Authorization", ""))
        right = signed_for is not None and signed_for[1] == REGION
        self.answer(200 if right else 400, b"body" if right else MALFORMED)

    def answer(self, status: int, body: bytes) -> None:
        self.seen.append((self.command, self.path, self.headers.get("Authorization", "")))
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
    with ThreadingHTTPServer(("127.0.0.1", 0), Amazon) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def store_in_no_region(address: str) -> S3Store:
    """Return a store whose service has yet to be found, at an address of ours."""
    store = S3Store("bucket", access_key_id="key", secret_access_key="secret")
    assert isinstance(store.provider, Bucket)
    assert isinstance(store.provider.service, ServiceToFind)
    store.provider.service = ServiceToFind(
        dialect=s3.DIALECT,
        settings=client_settings(store._settings.values, "http", "test"),
        policy=Policy(RetryOptions(max_retries=0)),
        identity=SigV4(Credential("key", "secret"), None, "us-east-1"),
        address=lambda region: address if region == "us-east-1" else address.replace("127.0.0.1", "localhost"),
        bucket="/bucket",
    )
    return store


def test_the_region_is_asked_for_once(amazon: str) -> None:
    store = store_in_no_region(amazon)
    assert store.get("a").bytes() == b"body"
    assert store.get("b").bytes() == b"body"
    assert [seen[:2] for seen in Amazon.seen] == [("HEAD", "/bucket"), ("GET", "/bucket/a"), ("GET", "/bucket/b")]
    assert Amazon.seen[0][2] == ""
    assert isinstance(store.provider, Bucket)
    assert store.provider.service.origin.startswith("http://localhost:")


def test_a_service_that_cannot_be_asked() -> None:
    with pytest.raises(ConnectionFailedError, match="could not be reached"):
        store_in_no_region("http://127.0.0.1:9").get("a")


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


@pytest.mark.parametrize("given", [{"region": "eu-west-1"}, {"default_region": "eu-west-1"}, {"endpoint": "https://a"}])
def test_what_was_said_is_not_asked_for(given: dict[str, str]) -> None:
    store = S3Store("bucket", **given)  # type: ignore[arg-type]
    assert isinstance(store.provider, Bucket)
    assert not isinstance(store.provider.service, ServiceToFind)
