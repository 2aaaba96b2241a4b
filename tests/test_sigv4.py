"""Signature Version 4 against the worked examples of its reference, and against botocore."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple
from unittest import mock
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from botocore.auth import S3ExpressAuth, S3ExpressQueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from objstore._core import Signer, checksum
from objstore.credentials.aws import Credential
from objstore.signing import sigv4

# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Examples: Signature calculations"
HOST = "examplebucket.s3.amazonaws.com"
KEY = Credential("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2013, 5, 24, tzinfo=UTC)
SCOPE = b"AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"


def derived_key() -> bytes:
    key = f"AWS4{KEY.secret_access_key}".encode()
    for part in (b"20130524", b"us-east-1", b"s3", b"aws4_request"):
        key = hmac.digest(key, part, "sha256")
    return key


def example_signer(method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b"") -> Signer:
    return sigv4.signer(
        method,
        HOST,
        headers=headers or {},
        payload_hash=hashlib.sha256(body).hexdigest(),
        credential=KEY,
        region="us-east-1",
        now=NOW,
    )


def example_url(expires: int = 86400, **changes: object) -> str:
    arguments = {"credential": KEY, "region": "us-east-1", "now": NOW, "expires": expires, "headers": {}, "query": []}
    return sigv4.presign("GET", "https", HOST, "/test.txt", **{**arguments, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "signature"),
    [
        (b"/?lifecycle=", b"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (b"/?max-keys=2&prefix=J", b"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_examples_of_the_reference(target: bytes, signature: bytes) -> None:
    signer = example_signer()
    assert signer.signature(target) == signature
    assert signer.authorization_line(target) == (
        b"Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        b"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=" + signature
    )
    assert sorted(signer.headers) == [
        b"x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        b"x-amz-date: 20130524T000000Z",
    ]


def test_the_example_of_the_reference_in_a_url() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html."""
    assert example_url() == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
        "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "signature"),
    [
        (
            b"GET",
            b"/test.txt",
            {b"host": HOST.encode(), b"range": b"bytes=0-9"},
            b"",
            b"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            b"PUT",
            b"/test%24file.text",
            {
                b"date": b"Fri, 24 May 2013 00:00:00 GMT",
                b"host": HOST.encode(),
                b"x-amz-storage-class": b"REDUCED_REDUNDANCY",
            },
            b"Welcome to Amazon S3.",
            b"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
    ],
)
def test_the_examples_that_sign_more_headers_than_this_library_does(
    method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes, signature: bytes
) -> None:
    payload_hash = hashlib.sha256(body).hexdigest().encode()
    signed = headers | {b"x-amz-content-sha256": payload_hash, b"x-amz-date": b"20130524T000000Z"}
    lines = b"".join(name + b":" + signed[name] + b"\n" for name in sorted(signed))
    tail = lines + b"\n" + b";".join(sorted(signed)) + b"\n" + payload_hash
    signer = Signer(method=method, tail=tail, scope=SCOPE, key=derived_key(), authorization=b"A: ", headers=[b"x: y"])
    assert signer.signature(target) == signature
    assert signer.authorization_line(target) == b"A: " + signature
    assert tuple(signer.headers) == (b"x: y",)


# What botocore trims as white space besides ASCII blanks is left out: it is no blank to the service.
PRINTABLE = st.characters(min_codepoint=0x21, max_codepoint=0x24FF, exclude_categories=("Z", "C"))
# Pieces are joined because a text strategy would hardly ever draw the few characters that matter.
TEXT = st.lists(st.one_of(PRINTABLE, st.sampled_from(list(" /%+&=?#:;~*'\"<>{}|^`[]🌍é"))), max_size=12).map("".join)
VALUES = st.lists(st.one_of(PRINTABLE, st.sampled_from([" ", "  ", "\t", " \t ", ",", ";"])), max_size=8).map("".join)
KEYS = st.one_of(st.sampled_from(["a//b", "/", "//", "a/./b", "a/../b", " ", "%2F", "a b/é"]), TEXT)
METHODS = st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"])
HOSTS = st.sampled_from(["bucket.s3.eu-west-1.amazonaws.com", "localhost:9000", "127.0.0.1:4566", "[::1]:9000"])
NAMES = st.from_regex(r"x-amz-(meta-[a-z0-9-]{1,8}|acl|tagging|storage-class|copy-source)", fullmatch=True)
HEADERS = st.dictionaries(st.one_of(NAMES, st.sampled_from(["Content-Type", "content-md5"])), VALUES, max_size=5)
QUERIES = st.dictionaries(TEXT.filter(bool), TEXT, max_size=5)
TOKENS = st.one_of(st.none(), st.text(st.sampled_from("ABCabc0123+/="), min_size=1, max_size=40))
TIMES = st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
REGIONS = st.sampled_from(["us-east-1", "eu-central-1", "auto"])


def encode_key(key: str) -> str:
    return quote(key, safe="/~")


def oracle(auth: type[SigV4Auth], request: AWSRequest, token: str | None, now: datetime, *arguments: object) -> None:
    """Let botocore sign the request, at the time `now`."""
    more = {"identity_cache": None} if issubclass(auth, S3ExpressAuth) else {}
    if len(arguments) > 2:
        arguments, more = arguments[:2], {**more, "expires": arguments[2]}
    with mock.patch("botocore.auth.get_current_datetime", return_value=now.replace(tzinfo=None)):
        auth(Credentials(KEY.access_key_id, KEY.secret_access_key, token), *arguments, **more).add_auth(request)


class Way(NamedTuple):
    """A way to sign: botocore's two classes, the service, and ours."""

    header: type[SigV4Auth]
    query: type[SigV4Auth]
    service: str
    kind: sigv4.Kind


USUAL = Way(S3SigV4Auth, S3SigV4QueryAuth, "s3", sigv4.AMAZON)
BY_KEY = Way(S3SigV4Auth, S3SigV4QueryAuth, "s3express", sigv4.AMAZON)
BY_SESSION = Way(S3ExpressAuth, S3ExpressQueryAuth, "s3express", sigv4.SESSION)
WAYS = pytest.mark.parametrize("way", [USUAL, BY_KEY, BY_SESSION], ids=["s3", "s3express", "session"])


@WAYS
@settings(deadline=None, max_examples=100)
@given(METHODS, HOSTS, KEYS, QUERIES, HEADERS, TOKENS, st.binary(max_size=9), TIMES, REGIONS)
def test_a_request_is_signed_as_botocore_signs_it(
    way: Way,
    method: str,
    host: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    token: str | None,
    body: bytes,
    now: datetime,
    region: str,
) -> None:
    target = f"/{encode_key(key)}?{sigv4.canonical_query(query.items())}".removesuffix("?")
    request = AWSRequest(method, f"http://{host}{target}", headers, body)
    token = token or ("T" if way is BY_SESSION else None)  # every session has one
    oracle(way.header, request, token, now, way.service, region)
    signer = sigv4.signer(
        method,
        host,
        headers=headers,
        payload_hash=hashlib.sha256(body).hexdigest(),
        credential=Credential(KEY.access_key_id, KEY.secret_access_key, token),
        region=region,
        service=way.service,
        now=now,
        kind=way.kind,
    )
    assert signer.authorization_line(target.encode()).decode() == f"Authorization: {request.headers['Authorization']}"
    sent = {name.lower(): value.strip(" \t") for name, value in request.headers.items()}
    del sent["authorization"]
    assert sorted(signer.headers) == sorted(f"{n}: {v}".encode() if v else f"{n};".encode() for n, v in sent.items())


@settings(deadline=None, max_examples=100)
@given(HOSTS, KEYS, HEADERS, TOKENS, st.binary(max_size=9), st.sampled_from(["crc32", "crc32c", "crc64nvme"]))
def test_a_checksum_that_comes_later_is_signed_as_botocore_signs_it(
    host: str, key: str, headers: dict[str, str], token: str | None, body: bytes, algorithm: str
) -> None:
    name, told = f"x-amz-checksum-{algorithm}", b64encode(checksum(algorithm, body)).decode()
    target = f"/{encode_key(key)}"
    request = AWSRequest("PUT", f"http://{host}{target}", headers | {name: told}, body)
    oracle(S3SigV4Auth, request, token, NOW, "s3", "us-east-1")
    signer = sigv4.signer(
        "PUT",
        host,
        headers=headers,
        payload_hash=hashlib.sha256(body).hexdigest(),
        credential=Credential(KEY.access_key_id, KEY.secret_access_key, token),
        region="us-east-1",
        now=NOW,
        body_sum=sigv4.BodySum(name, algorithm),
    )
    signature = signer.signature(target.encode(), sum=told.encode()).decode()
    assert request.headers["Authorization"].endswith(f", Signature={signature}")
    assert not [line for line in signer.headers if line.startswith(name.encode())], "it is the engine's to send"


@WAYS
@settings(deadline=None, max_examples=100)
@given(HOSTS, KEYS, HEADERS, TOKENS, st.integers(0, 5 << 30), st.sampled_from(["crc32", "crc32c", "crc64nvme"]), TIMES)
def test_a_request_with_a_trailer_is_signed_as_botocore_signs_it(
    way: Way,
    host: str,
    key: str,
    headers: dict[str, str],
    token: str | None,
    length: int,
    algorithm: str,
    now: datetime,
) -> None:
    """But for Content-Encoding, which goes unsigned as all that proxies may change."""
    target, name = f"/{encode_key(key)}", f"x-amz-checksum-{algorithm}"
    token = token or ("T" if way is BY_SESSION else None)
    signer = sigv4.signer(
        "PUT",
        host,
        headers=headers | {"content-encoding": "aws-chunked", "x-amz-trailer": name},
        payload_hash=sigv4.UNSIGNED_WITH_TRAILER,
        credential=Credential(KEY.access_key_id, KEY.secret_access_key, token),
        region="us-east-1",
        service=way.service,
        now=now,
        kind=way.kind,
        body_sum=sigv4.BodySum("x-amz-decoded-content-length", algorithm, trailer=name),
    )
    told = {"x-amz-trailer": name, "x-amz-decoded-content-length": str(length)}
    request = AWSRequest("PUT", f"https://{host}{target}", headers | told)
    request.context["checksum"] = {"request_algorithm": {"algorithm": algorithm, "in": "trailer", "name": name}}
    oracle(way.header, request, token, now, way.service, "us-east-1")
    signature = signer.signature(target.encode(), sum=str(length).encode()).decode()
    assert request.headers["Authorization"].endswith(f", Signature={signature}")
    assert (
        signer.authorization_line(target.encode())
        .decode()
        .rpartition("=")[0]
        .endswith(request.headers["Authorization"].rpartition("=")[0])
    )
    assert b"x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER" in signer.headers


def test_a_header_with_a_checksum_has_a_name_of_bounded_length() -> None:
    with pytest.raises(ValueError, match="64 bytes at the most, not 65"):
        Signer.unsigned(sum=(b"x" * 65, "crc32"))
    with pytest.raises(ValueError, match="64 bytes at the most, not 65"):
        Signer(
            method=b"PUT",
            tail=b"",
            scope=b"",
            key=b"k" * 32,
            authorization=b"",
            headers=[],
            sum=(b"x", "crc32"),
            trailer=b"x" * 65,
        )
    with pytest.raises(ValueError, match="no checksum 'md5'"):
        Signer.unsigned(sum=(b"x", "md5"))


@WAYS
@settings(deadline=None, max_examples=100)
@given(METHODS, HOSTS, KEYS, QUERIES, HEADERS, TOKENS, TIMES, REGIONS, st.integers(1, 604800))
def test_a_url_is_signed_as_botocore_signs_it(
    way: Way,
    method: str,
    host: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    token: str | None,
    now: datetime,
    region: str,
    expires: int,
) -> None:
    request = AWSRequest(method, f"http://{host}/{encode_key(key)}", headers, params=dict(query))
    oracle(way.query, request, token, now, way.service, region, expires)
    url = sigv4.presign(
        method,
        "http",
        host,
        f"/{encode_key(key)}",
        query.items(),
        credential=Credential(KEY.access_key_id, KEY.secret_access_key, token),
        region=region,
        service=way.service,
        now=now,
        expires=expires,
        headers=headers,
        kind=way.kind,
    )
    ours, theirs = urlsplit(url), urlsplit(request.url)
    assert ours._replace(query="") == theirs._replace(query="")
    assert sorted(parse_qsl(ours.query, True)) == sorted(parse_qsl(theirs.query, True))


def test_another_service_is_signed_as_botocore_signs_it() -> None:
    payload_hash = hashlib.sha256(b"Action=GetCallerIdentity").hexdigest()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "x-amz-content-sha256": payload_hash}
    request = AWSRequest("POST", "https://sts.amazonaws.com/", headers, b"Action=GetCallerIdentity")
    oracle(SigV4Auth, request, "T", NOW, "sts", "us-east-1")
    signer = sigv4.signer(
        "POST",
        "sts.amazonaws.com",
        headers=headers,
        payload_hash=payload_hash,
        credential=Credential(KEY.access_key_id, KEY.secret_access_key, "T"),
        region="us-east-1",
        service="sts",
        now=NOW,
    )
    assert signer.authorization_line(b"/").decode() == f"Authorization: {request.headers['Authorization']}"


def test_headers_that_others_may_change_are_neither_signed_nor_sent_by_the_signer() -> None:
    others = ["Expect", "Accept-Encoding", "Connection", "TE", "User-Agent", "Content-Length", "Range", "If-Match"]
    signer = example_signer(headers=dict.fromkeys(others, "x"))
    assert tuple(signer.headers) == tuple(example_signer().headers)
    assert signer.signature(b"/k") == example_signer().signature(b"/k")


def test_one_signer_serves_many_targets() -> None:
    signer = example_signer()
    targets = [f"/k{number}?partNumber={number}".encode() for number in range(50)]
    assert [signer.signature(target) for target in targets] == [example_signer().signature(t) for t in targets]
    assert len({signer.signature(target) for target in targets}) == 50


def test_any_time_zone_is_the_same_time() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert example_url(now=tokyo) == example_url()


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ([], ""),
        ([("uploads", "")], "uploads="),
        ([("b", "2"), ("a", "1"), ("a", "0")], "a=0&a=1&b=2"),
        ([("prefix", "a b/é+~")], "prefix=a%20b%2F%C3%A9%2B~"),
        ([("a-b", "1"), ("a", "1"), ("é", "1")], "%C3%A9=1&a=1&a-b=1"),
    ],
)
def test_the_canonical_query(parameters: list[tuple[str, str]], query: str) -> None:
    assert sigv4.canonical_query(parameters) == query


@pytest.mark.parametrize("expires", [0, -1, 604_801])
def test_a_url_is_good_for_a_week_at_most(expires: int) -> None:
    with pytest.raises(ValueError, match=f"expires is {expires} seconds"):
        example_url(expires)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query": [("X-Amz-Date", "x")]}, "X-Amz-Date belongs to the signature"),
        ({"query": [("x-amz-signature", "x")]}, "x-amz-signature belongs to the signature"),
        ({"headers": {"User-Agent": "x"}}, "user-agent cannot be bound"),
        ({"headers": {"x-amz-acl": "a\r\nb"}}, "x-amz-acl has a line break"),
        ({"headers": {"X-Amz-Acl": "a", "x-amz-acl": "b"}}, "two spellings: X-Amz-Acl, x-amz-acl"),
        ({"now": datetime(2013, 5, 24)}, "no time zone"),
    ],
)
def test_what_cannot_be_signed_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        example_url(**changes)  # type: ignore[arg-type]


def test_a_parameter_for_the_service_may_be_bound() -> None:
    query = dict(parse_qsl(urlsplit(example_url(query=[("x-amz-request-payer", "requester")])).query))
    assert query["x-amz-request-payer"] == "requester"
