"""Sessions: begun when they are needed, shared, replaced in time, and asked for as the settings say."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import pytest

from objstore.credentials import shared
from objstore.credentials.cache import CredentialCache
from objstore.credentials.chains.aws.s3_session import NAME
from objstore.exceptions import NotFoundError, PermissionDeniedError
from tests.azure_fake import Asked
from tests.engine.client import wait_until
from tests.s3_express.opened import BESIDE, BUCKET, POINT, opened
from tests.s3_express.server import KEY, SECRET, Express
from tests.tls_proxy import Proxy


@pytest.fixture(autouse=True)
def _no_session_of_another_test() -> None:
    shared._known.clear()


def sessions(service: Express) -> int:
    return len(service.lines("?session="))


def test_requests_are_signed_by_a_session(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET)
    store = opened(proxy)
    store.put("a/b", b"x" * 10)
    assert bytes(store.get("a/b").bytes()) == b"x" * 10
    assert bytes(store.get_range("a/b", start=2, end=4)) == b"xx"
    assert sessions(service) == 1
    assert store.credential_info()["source"] == NAME
    ends = store.credential_info()["expires_at"]
    assert ends is not None
    assert timedelta(minutes=4) < ends - datetime.now(UTC) <= timedelta(minutes=5)


def test_stores_share_a_session(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET)
    for _ in range(3):
        opened(proxy).put("a", b"1")
    assert sessions(service) == 1
    opened(proxy, s3_express_session_mode="ReadWrite").put("a", b"1")
    assert sessions(service) == 2
    service.make(BESIDE)
    opened(proxy, BESIDE).put("a", b"1")
    assert sessions(service) == 3
    assert [session.bucket for session in service.begun] == [BUCKET, BUCKET, BESIDE]


def test_stores_of_one_credential_provider_share_a_session(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET)
    asked = []

    def provider() -> Any:
        asked.append(1)
        return {"access_key_id": KEY, "secret_access_key": SECRET, "expires_at": None}

    keyless: dict[str, Any] = {"access_key_id": None, "secret_access_key": None}
    for _ in range(3):
        opened(proxy, credential_provider=provider, **keyless).put("a", b"1")
    assert (sessions(service), len(asked)) == (1, 1)


def test_one_session_however_many_wait_for_it(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET).keep("a", b"1", {})
    stores = [opened(proxy) for _ in range(4)]
    threads = [threading.Thread(target=store.get_many, args=(["a"] * 20,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sessions(service) == 1


def test_tasks_share_a_session_too(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET)
    store = opened(proxy)

    async def work() -> None:
        await asyncio.gather(*(store.put_async(f"k{at}", b"1") for at in range(5)))

    asyncio.run(work())
    assert sessions(service) == 1


def test_a_session_that_has_ended_is_replaced_once(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET)
    store = opened(proxy)
    store.put("a", b"1")
    service.end_sessions()
    store.put_many([(f"k{at}", b"1") for at in range(20)])
    assert sessions(service) == 2


def test_a_session_is_replaced_before_it_ends(service: Express, proxy: Proxy) -> None:
    """A minute ahead, beside the work: nobody is refused, and nobody waits."""
    service.make(BUCKET)
    store = opened(proxy)
    store.put("a", b"1")
    provider: Any = store.provider
    cache: CredentialCache[Any] = provider.service.identity.credentials._cache
    now = datetime.now(UTC)
    assert not cache.needs_refresh(now + timedelta(minutes=3, seconds=30))
    later = cache.decide(now + timedelta(minutes=4, seconds=5))
    assert later.refresh
    assert later.credential is not None
    cache.fail(RuntimeError(), now)


def test_a_session_that_is_due_is_replaced_beside_the_work(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET)
    store = opened(proxy)
    store.put("a", b"1")
    provider: Any = store.provider
    cache: CredentialCache[Any] = provider.service.identity.credentials._cache
    cache._due = datetime.now(UTC)
    wait_until(lambda: store.put("a", b"1") and len(service.begun) == 2)


def test_a_short_session_is_used_all_the_same(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET)
    service.life = timedelta(seconds=-5)
    store = opened(proxy)
    store.put("a", b"1")
    store.put("b", b"1")
    assert len(service.begun) == 1, "the service is the judge of time"


def test_what_a_session_is_asked_for(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET).keep("a", b"1", {})
    kms: dict[str, Any] = {"server_side_encryption": "aws:kms", "sse_kms_key_id": "key", "sse_bucket_key_enabled": True}
    store = opened(proxy, s3_express_session_mode="ReadWrite", **kms)
    store.put("b", b"2")
    assert service.begun[0].asked == {
        "x-amz-create-session-mode": "ReadWrite",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "key",
        "x-amz-server-side-encryption-bucket-key-enabled": "true",
    }
    store.copy("a", "c")
    copy = next(asked for _, asked in service.calls if "x-amz-copy-source" in asked.headers)
    assert copy.headers["x-amz-server-side-encryption"] == "aws:kms", "of copies, each request says it"


def test_a_session_to_read(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET).keep("a", b"1", {})
    store = opened(proxy, s3_express_session_mode="ReadOnly")
    assert bytes(store.get("a").bytes()) == b"1"
    with pytest.raises(PermissionDeniedError):
        store.put("b", b"2")


def test_a_bucket_that_is_not_there_gives_no_session(service: Express, proxy: Proxy) -> None:
    with pytest.raises(NotFoundError, match="no such bucket") as caught:
        opened(proxy).get("a")
    assert "session" in str(caught.value)


def test_who_has_another_key_gets_no_session(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET)
    with pytest.raises(PermissionDeniedError) as caught:
        opened(proxy, secret_access_key="another").put("a", b"1")
    assert "another" not in str(caught.value)


def test_without_sessions(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET)
    store = opened(proxy, s3_disable_express_session_auth=True)
    store.put("a", b"1")
    assert [meta["path"] for meta in store.list().collect()] == ["a"]
    store.copy("a", "b")
    store.rename("b", "c")
    assert sessions(service) == 0
    url = store.sign("GET", "a", timedelta(hours=1))
    assert "s3express%2Faws4_request" in url
    assert "S3session" not in url


def test_without_sessions_by_the_environment(service: Express, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    service.make(BUCKET)
    monkeypatch.setenv("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "true")
    opened(proxy).put("a", b"1")
    assert sessions(service) == 0


def test_an_access_point_has_sessions_of_its_own(service: Express, proxy: Proxy) -> None:
    service.make(POINT)
    store = opened(proxy, POINT)
    store.put("a", b"1")
    assert service.begun[0].bucket == POINT
    store.copy("a", "b")
    assert not service.lines("PUT /b?"), "what no copy can name is carried"
    assert bytes(store.get("b").bytes()) == b"1"
    assert not [asked for _, asked in service.calls if "x-amz-copy-source" in asked.headers]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_signed_url_has_the_session_in_it(service: Express, proxy: Proxy, method: Literal["GET", "PUT"]) -> None:
    """The service compares it with botocore's."""
    directory = service.make(BUCKET)
    directory.keep("a b/é", b"there", {})
    url = opened(proxy).sign(method, "a b/é", timedelta(minutes=2))
    query = dict(parse_qsl(urlsplit(url).query))
    assert query["X-Amz-S3session-Token"] == service.begun[0].token
    assert "X-Amz-Security-Token" not in query
    host = urlsplit(url).hostname or ""
    target = url.partition(host)[2]
    reply = service.answer(Asked(method, target, {"host": host}, b"new"))
    assert reply.status == 200
    refused = service.answer(Asked(method, target.replace("a%20b", "c"), {"host": host}, b"new"))
    assert b"SignatureDoesNotMatch" in (refused.body or b"")


def test_a_url_does_not_outlive_its_session(service: Express, proxy: Proxy) -> None:
    service.make(BUCKET)
    with pytest.raises(ValueError, match="shorter expires_in"):
        opened(proxy).sign("GET", "a", timedelta(hours=1))
    assert opened(proxy).sign("GET", "a", "credential")
