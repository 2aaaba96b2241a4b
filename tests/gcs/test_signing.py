"""URLs that carry their own signature: exact on Google's published vectors, and as Google's own client makes them."""

from __future__ import annotations

import json
import string
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore._core import sign_rs256
from objstore.exceptions import ConfigurationError, UnauthenticatedError
from objstore.signing.goog4 import unsigned_url
from objstore.store import GCSStore

VECTORS = json.loads(Path(__file__).with_name("v4_signatures.json").read_text())
ACCOUNT, PEM = VECTORS["account"], VECTORS["private_key"].encode()
KEY = json.dumps({"type": "service_account", "client_email": ACCOUNT, "private_key": PEM.decode()})
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["description"])
def test_published_vectors(case: dict[str, Any]) -> None:
    wanted = urlsplit(case["url"])
    host = wanted.netloc
    unsigned = unsigned_url(
        case["method"],
        wanted.scheme,
        host,
        wanted.path,
        case.get("queryParameters", {}).items(),
        account=ACCOUNT,
        now=datetime.fromisoformat(case["timestamp"]),
        expires=case["expiration"],
        headers=case.get("headers", {}),
    )
    assert unsigned.signed(sign_rs256(PEM, unsigned.text)) == case["url"]
    assert unquote(wanted.path).endswith(case["object"])


@pytest.mark.parametrize("expires", [0, 604_801])
def test_how_long_a_url_may_be_good(expires: int) -> None:
    with pytest.raises(ValueError, match=r"7 days|one second"):
        GCSStore("bucket", service_account_key=KEY).sign("GET", "a", timedelta(seconds=expires))


KEYS = ["a", "a b/ü+%?#&=.txt", "/path//with/slashes/", "./a/../b", "%2F~'()*!"]


def by_google(
    store_time: datetime, method: str, key: str, query: dict[str, str], headers: dict[str, str] | None = None
) -> str:
    """Return the URL that Google's own client makes."""
    pytest.importorskip("google.cloud.storage", reason="google-cloud-storage is not installed")
    from google.cloud.storage._signing import generate_signed_url_v4
    from google.oauth2.service_account import Credentials as ServiceAccount

    who = ServiceAccount.from_service_account_info({**json.loads(KEY), "token_uri": "https://unused.example"})
    url: str = generate_signed_url_v4(
        who,
        resource=f"/bucket/{quote(key, safe='/~')}",
        expiration=3600,
        api_access_endpoint="https://storage.googleapis.com",
        method=method,
        query_parameters=query,
        headers=headers,
        _request_timestamp=store_time.strftime("%Y%m%dT%H%M%SZ"),
    )
    return url


@settings(deadline=None, max_examples=50)
@given(
    key=st.one_of(st.sampled_from(KEYS), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)),
    value=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    method=st.sampled_from(["GET", "PUT", "DELETE", "HEAD"]),
)
def test_google_makes_the_same_urls(key: str, value: str, method: str) -> None:
    store = GCSStore("bucket", service_account_key=KEY, raw_keys=True)
    headers = {"Content-Type": value} if value.strip() else {}
    url = store.sign(method, key, HOUR, response_headers=headers)
    time = datetime.strptime(url.partition("X-Goog-Date=")[2][:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours, theirs = (
        urlsplit(url),
        urlsplit(by_google(time, method, key, {"response-content-type": value} if headers else {})),
    )
    assert (ours.netloc, ours.path) == (theirs.netloc, theirs.path)
    assert sorted(ours.query.split("&")) == sorted(theirs.query.split("&"))


WORDS = st.text(string.ascii_letters + "  =/+;", min_size=1, max_size=12).map(str.strip).filter(bool)
BOUND = ("Content-Type", "Content-MD5", "Content-Length", "x-goog-meta-a", "X-Goog-Acl", "x-goog-content-sha256")
ASKED = ("uploadId", "partNumber", "generation", "userProject", "response-content-type")


@settings(deadline=None, max_examples=50)
@given(
    headers=st.dictionaries(st.sampled_from(BOUND), WORDS),
    query=st.dictionaries(st.sampled_from(ASKED), WORDS),
    method=st.sampled_from(["GET", "PUT"]),
)
def test_google_binds_headers_and_parameters_alike(headers: dict[str, str], query: dict[str, str], method: Any) -> None:
    url = GCSStore("bucket", service_account_key=KEY).sign(method, "a b", HOUR, headers=headers, query=query)
    time = datetime.strptime(url.partition("X-Goog-Date=")[2][:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours, theirs = urlsplit(url), urlsplit(by_google(time, method, "a b", query, headers))
    assert ours._replace(query="") == theirs._replace(query="")
    assert sorted(ours.query.split("&")) == sorted(theirs.query.split("&"))


def test_urls_name_the_host_of_the_store() -> None:
    for given_, host in (
        ({"base_url": "https://private.example:8443"}, "private.example:8443"),
        ({"universe_domain": "cloud.example"}, "storage.cloud.example"),
    ):
        url = GCSStore("bucket", service_account_key=KEY, **given_).sign("GET", "a", HOUR)
        assert url.startswith(f"https://{host}/bucket/a?")


def test_without_a_key() -> None:
    for who in ({"bearer_token": "t"}, {"skip_signature": True}):
        with pytest.raises(UnauthenticatedError, match="service_account"):
            GCSStore("bucket", **who).sign("GET", "a", HOUR)


def test_a_key_that_is_none() -> None:
    broken = json.dumps({"client_email": ACCOUNT, "private_key": "-----BEGIN PRIVATE KEY-----\nplanted"})
    with pytest.raises(ConfigurationError) as refused:
        GCSStore("bucket", service_account_key=broken).sign("GET", "a", HOUR)
    assert "planted" not in str(refused.value)


def test_a_url_is_used(tmp_path: Path) -> None:
    pytest.importorskip("google_crc32c", reason="google-crc32c is not installed")
    from tests.gcs.server import strict_server

    with strict_server() as server:
        server.make_bucket("bucket")
        store = GCSStore("bucket", emulator_host=server.endpoint)
        store.put("a b/ü?#", b"body")
        signing = GCSStore(
            "bucket", base_url=server.endpoint, client_options={"allow_http": True}, service_account_key=KEY
        )
        with urllib.request.urlopen(signing.sign("GET", "a b/ü?#", HOUR)) as reply:
            assert reply.read() == b"body"
