"""URLs that bind who uses them to headers and parameters: as Amazon's own client makes them, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import urllib.error
import urllib.request
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore.exceptions import ConfigurationError, NotSupportedError
from objstore.store import AzureStore, GCSStore, MemoryStore, S3Store
from tests.gcs.test_signing import KEY as GOOGLE_KEY
from tests.servers import S3Server

HOUR = timedelta(hours=1)
PAIR = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "planted/secret+"}
OWN = base64.b64encode(bytes(range(32))).decode()
KEY_NAME = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
OWN_MD5 = base64.b64encode(hashlib.md5(bytes(range(32)), usedforsecurity=False).digest()).decode()
CUSTOMER = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": OWN,
    "x-amz-server-side-encryption-customer-key-MD5": OWN_MD5,
}
KMS = {
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "alias/mine",
}

# --- by Amazon's own client

TEXTS = st.text("abcXYZ019-_.;=/+ü ", min_size=1, max_size=12).map(str.strip).filter(bool)
ASCII = st.text("abcXYZ019-_.;=/+ ", min_size=1, max_size=12).map(lambda text: " ".join(text.split())).filter(bool)
SUMS = st.binary(min_size=4, max_size=4).map(lambda digest: base64.b64encode(digest).decode())

HEADERS = {
    "ContentType": ("Content-Type", ASCII),
    "ContentLength": ("Content-Length", st.integers(0, 1 << 40)),
    "CacheControl": ("Cache-Control", ASCII),
    "ChecksumCRC32": ("x-amz-checksum-crc32", SUMS),
    "ServerSideEncryption": ("x-amz-server-side-encryption", st.sampled_from(["AES256", "aws:kms"])),
    "SSEKMSKeyId": ("x-amz-server-side-encryption-aws-kms-key-id", ASCII),
    "RequestPayer": ("x-amz-request-payer", st.just("requester")),
    "StorageClass": ("x-amz-storage-class", st.just("GLACIER")),
    "IfNoneMatch": ("If-None-Match", st.just("*")),
}
QUERIES = {
    "VersionId": ("versionId", TEXTS),
    "ResponseContentType": ("response-content-type", TEXTS),
    "ResponseCacheControl": ("response-cache-control", TEXTS),
    "PartNumber": ("partNumber", st.integers(1, 10_000)),
}
PART = {"UploadId": ("uploadId", TEXTS), "PartNumber": ("partNumber", st.integers(1, 10_000))}
KEYS = st.one_of(st.sampled_from(["a", "a b/ü+%?#&=.txt", "x//y", "~'()*!"]), TEXTS.filter(lambda key: key[0] != "/"))


def client(token: str | None, style: str) -> Any:
    return boto3.client(
        "s3",
        region_name="eu-west-3",
        aws_access_key_id=PAIR["access_key_id"],
        aws_secret_access_key=PAIR["secret_access_key"],
        aws_session_token=token,
        config=Config(signature_version="s3v4", s3={"addressing_style": style}),
    )


def chosen(rows: dict[str, Any]) -> Any:
    return st.fixed_dictionaries({}, optional={name: values for name, (_, values) in rows.items()})


def as_told(rows: dict[str, Any], parameters: dict[str, Any]) -> dict[str, str]:
    return {rows[name][0]: str(value) for name, value in parameters.items()}


def same(ours: str, operation: str, parameters: dict[str, Any], token: str | None, style: str, expires: int) -> None:
    """Check that a URL is the one of Amazon's client, but for the order of its parameters."""
    time = datetime.strptime(parse_qs(urlsplit(ours).query)["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ")
    with mock.patch("botocore.auth.get_current_datetime", return_value=time.replace(tzinfo=UTC)):
        theirs = client(token, style).generate_presigned_url(operation, Params=parameters, ExpiresIn=expires)
    one, other = urlsplit(ours), urlsplit(theirs)
    assert one._replace(query="") == other._replace(query="")
    assert parse_qs(one.query, True) == parse_qs(other.query, True)


@settings(deadline=None, max_examples=60)
@given(
    key=KEYS,
    headers=chosen(HEADERS),
    token=st.none() | st.just("to/ken=+"),
    style=st.sampled_from(["path", "virtual"]),
    expires=st.integers(1, 604_800),
)
def test_a_write_is_bound_to_headers(
    key: str, headers: dict[str, Any], token: str | None, style: str, expires: int
) -> None:
    store = S3Store(
        "bucket",
        region="eu-west-3",
        virtual_hosted_style_request=style == "virtual",
        raw_keys=True,
        **PAIR,
        **({"session_token": token} if token else {}),
    )
    url = store.sign("PUT", key, timedelta(seconds=expires), headers=as_told(HEADERS, headers))
    same(url, "put_object", {"Bucket": "bucket", "Key": key, **headers}, token, style, expires)


@settings(deadline=None, max_examples=60)
@given(key=KEYS, query=chosen(QUERIES), part=st.none() | st.fixed_dictionaries({n: v for n, (_, v) in PART.items()}))
def test_a_version_and_a_part_are_parameters(key: str, query: dict[str, Any], part: dict[str, Any] | None) -> None:
    store = S3Store("bucket", region="eu-west-3", raw_keys=True, **PAIR)
    rows, method = (QUERIES, "GET") if part is None else (PART, "PUT")
    parameters = query if part is None else part
    url = store.sign(method, key, HOUR, query=as_told(rows, parameters))
    operation = "get_object" if part is None else "upload_part"
    same(url, operation, {"Bucket": "bucket", "Key": key, **parameters}, None, "path", 3600)


def test_who_pays_is_said_once() -> None:
    store = S3Store("bucket", region="eu-west-3", request_payer=True, **PAIR)
    assert "x-amz-request-payer=requester" in store.sign("GET", "a", HOUR)
    bound = store.sign("GET", "a", HOUR, headers={"X-Amz-Request-Payer": "requester"})
    assert "request-payer=requester" not in bound
    assert "SignedHeaders=host%3Bx-amz-request-payer" in bound
    google = GCSStore("bucket", service_account_key=GOOGLE_KEY, user_project="who-pays")
    assert "userProject=who-pays" in google.sign("GET", "a", HOUR)


# --- stores that encrypt


def encrypting(**changes: Any) -> S3Store:
    return S3Store("bucket", region="eu-west-3", **PAIR, **changes)


BY_KMS = encrypting(server_side_encryption="aws:kms", sse_kms_key_id="alias/mine")
BY_OWN_KEY = encrypting(sse_customer_key_base64=OWN)
UPLOAD = {"uploadId": "u", "partNumber": "1"}


@pytest.mark.parametrize(
    ("store", "method", "query", "headers"),
    [
        (BY_KMS, "PUT", {}, KMS),
        (BY_KMS, "POST", {"uploads": ""}, KMS),
        (BY_OWN_KEY, "PUT", {}, CUSTOMER),
        (BY_OWN_KEY, "PUT", UPLOAD, CUSTOMER),
        (BY_OWN_KEY, "GET", {}, CUSTOMER),
        (BY_OWN_KEY, "HEAD", {"versionId": "v"}, CUSTOMER),
        (encrypting(server_side_encryption="AES256"), "PUT", {}, {"x-amz-server-side-encryption": "AES256"}),
    ],
)
def test_a_store_that_encrypts_hands_out_no_url_that_does_not(
    store: S3Store, method: Any, query: dict[str, str], headers: dict[str, str]
) -> None:
    others = [{}, {name: value + "x" for name, value in headers.items()}, dict([*headers.items()][1:])]
    for given_ in others:
        with pytest.raises(ConfigurationError, match=r"would not encrypt .*x-amz-server-side-encryption") as refused:
            store.sign(method, "a", HOUR, query=query, headers=given_)
        assert OWN not in str(refused.value)
        assert OWN_MD5 not in str(refused.value)
    url = store.sign(method, "a", HOUR, query=query, headers=headers)
    assert all(name.lower() in url for name in headers)


@pytest.mark.parametrize(
    ("store", "method", "query"),
    [
        (BY_KMS, "GET", {}),
        (BY_KMS, "PUT", UPLOAD),
        (BY_KMS, "POST", {"uploadId": "u"}),
        (BY_KMS, "DELETE", {}),
        (BY_OWN_KEY, "DELETE", {}),
        (BY_KMS, "PUT", {"tagging": ""}),
    ],
)
def test_what_has_nothing_to_do_with_encryption_needs_no_headers(
    store: S3Store, method: Any, query: dict[str, str]
) -> None:
    assert "SignedHeaders=host&" in store.sign(method, "a", HOUR, query=query) + "&"


def test_a_key_of_googles_is_bound() -> None:
    for settings_, header in (
        ({"kms_key_name": KEY_NAME}, "x-goog-encryption-kms-key-name"),
        ({"encryption_key": OWN}, "x-goog-encryption-key"),
    ):
        store = GCSStore("bucket", service_account_key=GOOGLE_KEY, **settings_)
        with pytest.raises(ConfigurationError, match=header) as refused:
            store.sign("PUT", "a", HOUR)
        assert OWN not in str(refused.value)
    store = GCSStore("bucket", service_account_key=GOOGLE_KEY, kms_key_name=KEY_NAME)
    url = store.sign("PUT", "a", HOUR, headers={"X-Goog-Encryption-Kms-Key-Name": KEY_NAME})
    assert "SignedHeaders=host%3Bx-goog-encryption-kms-key-name" in url


# --- what cannot be bound


def test_azure_binds_neither_headers_nor_parameters() -> None:
    store = AzureStore("container", account_name="account", account_key="A" * 43 + "=")
    for name, where in (("x-ms-blob-type", "headers"), ("comp", "query")):
        with pytest.raises(NotSupportedError, match=f"bound to the .* {name}"):
            store.sign("PUT", "a", HOUR, **{where: {name: "x"}})
    with pytest.raises(NotSupportedError, match="without encryption_key"):
        AzureStore("container", account_name="account", account_key="A" * 43 + "=", encryption_key=OWN).sign(
            "PUT", "a", HOUR
        )


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"headers": {"Host": "elsewhere"}}, "host cannot be bound"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "transfer-encoding cannot be bound"),
        ({"headers": {"a b": "x"}}, "name of a header"),
        ({"headers": {"": "x"}}, "name of a header"),
        ({"headers": {"a": "planted\nx"}}, "encode it"),
        ({"headers": {"a": "plantedü"}}, "encode it"),
        ({"headers": {"a": 1}}, "type int"),
        ({"headers": [("a", "b")]}, "give a dict"),
        ({"headers": {"A": "x", "a": "y"}}, "two spellings"),
        ({"query": {"X-Amz-Date": "x"}}, "belongs to the signature"),
        ({"query": {"": "x"}}, "empty"),
        ({"query": {"response-Expires": "x"}, "response_headers": {"expires": "y"}}, "given twice"),
    ],
)
@pytest.mark.parametrize("vendor", ["amazon", "google"])
def test_what_no_url_can_be_bound_to(vendor: str, options: Any, error: str) -> None:
    stores = {"amazon": encrypting(), "google": GCSStore("bucket", service_account_key=GOOGLE_KEY)}
    if vendor == "google" and "X-Amz-Date" in str(options):
        options = {"query": {"X-Goog-Date": "x"}}
    with pytest.raises((ValueError, TypeError), match=error) as refused:
        stores[vendor].sign("PUT", "a", HOUR, **options)
    assert "planted" not in str(refused.value)


def test_the_memory_has_neither_urls_nor_forms() -> None:
    with pytest.raises(NotSupportedError, match="no URLs"):
        MemoryStore().sign("GET", "a", HOUR, headers={"Content-Type": "a"})
    with pytest.raises(NotSupportedError, match="takes no forms"):
        MemoryStore().sign_post("a", HOUR)


# --- used


def on(server: S3Server, **changes: Any) -> S3Store:
    """Return a store on a server."""
    usual = {
        "bucket": "signed",
        "endpoint": server.endpoint,
        "region": server.region,
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
        "client_options": {"allow_http": True},
    }
    given_ = {**usual, **changes}
    return S3Store(server.make_bucket(given_.pop("bucket")), **given_)


def send(url: str, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, body, {"Content-Type": "a/b", **headers}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_checksum_is_bound(ministack: S3Server) -> None:
    store = on(ministack)
    bound = {"x-amz-checksum-crc32": base64.b64encode(zlib.crc32(b"body").to_bytes(4, "big")).decode()}
    url = store.sign("PUT", "summed", HOUR, headers=bound)
    assert send(url, b"body", {}) == 403
    assert send(url, b"body", {"x-amz-checksum-crc32": "AAAAAA=="}) == 403
    assert send(url, b"bodz", bound) == 400
    assert send(url, b"body", bound) == 200
    assert store.get("summed").bytes() == b"body"


def test_an_encryption_is_bound(ministack: S3Server) -> None:
    bound = {"x-amz-server-side-encryption": "AES256"}
    url = on(ministack, server_side_encryption="AES256").sign("PUT", "encrypted", HOUR, headers=bound)
    assert send(url, b"body", {}) == 403
    assert send(url, b"body", bound) == 200
    assert ministack.client().head_object(Bucket="signed", Key="encrypted")["ServerSideEncryption"] == "AES256"


def test_the_filesystem_binds_headers_too(ministack: S3Server) -> None:
    from objstore.fsspec import FsspecStore

    store = on(ministack)
    given_ = {**store.config, "client_options": {"allow_http": True}}
    given_.pop("bucket")
    fs = FsspecStore("s3", skip_instance_cache=True, **given_)
    headers, query = {"Content-Type": "text/x-a"}, {"versionId": "v"}
    url = fs.sign("signed/a", method="PUT", headers=headers, query=query)
    assert ("SignedHeaders=content-type%3Bhost" in url, "versionId=v" in url) == (True, True)
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["100"]
