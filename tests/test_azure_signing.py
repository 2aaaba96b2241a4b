"""Shared Key and shared access signatures of Azure against the vendor's own."""

from __future__ import annotations

import base64
import string
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from objstore._core import Signer
from objstore.credentials.azure import AccountKey, SharedAccess
from objstore.credentials.current import Credentials
from objstore.credentials.storage_account import StorageAccount
from objstore.credentials.token import AccessToken
from objstore.exceptions import NotSupportedError, UnauthenticatedError
from objstore.http.shape import Shape
from objstore.signing.azure import DelegationKey, shared_key
from objstore.signing.sigv4 import canonical_query

blob = pytest.importorskip("azure.storage.blob", reason="azure-storage-blob is not installed: the vendor's signer")
authentication = pytest.importorskip("azure.storage.blob._shared.authentication")
_BlobSharedAccessHelper = pytest.importorskip("azure.storage.blob._shared_access_signature")._BlobSharedAccessHelper
HttpRequest = pytest.importorskip("azure.core.pipeline.transport").HttpRequest

KEY = base64.b64encode(bytes(range(64))).decode()
DATE = "Fri, 27 Nov 2026 07:00:00 GMT"
HOUR = timedelta(hours=1)

VALUES = st.text(string.ascii_letters + string.digits + "-_.;=/+ ", max_size=12).map(str.strip)
NAMES = st.text(string.ascii_lowercase + string.digits + "_-", min_size=1, max_size=6)
STANDARD = ("Content-Encoding", "Content-Language", "Content-MD5", "Content-Type", "If-Modified-Since", "If-Match")
KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)

RANGE_LINE = 11
"""Where a Range stands in what is signed: behind the method and ten other headers."""


def judged(method: str, target: str, headers: Mapping[str, str], account: str) -> str:
    """Return what the vendor's policy signs a request by."""
    request = HttpRequest(method, f"https://h{target}")
    request.headers.update({**headers, "x-ms-date": DATE})
    context: Any = SimpleNamespace(http_request=request, context=SimpleNamespace(transport=None))
    policy = authentication.SharedKeyCredentialPolicy(account, KEY)
    signed: list[str] = []
    policy._add_authorization_header = lambda _, text: signed.append(text)
    policy.on_request(context)
    lines = signed[0].split("\n")
    lines[RANGE_LINE] = headers.get("Range", "")  # the policy leaves it out, for its client names it x-ms-range
    return str(authentication.sign_string(KEY, "\n".join(lines)))


@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE"]),
    key=KEYS,
    query=st.dictionaries(st.sampled_from(["comp", "restype", "marker", "prefix", "blockid", "startFrom"]), KEYS),
    standard=st.dictionaries(st.sampled_from((*STANDARD, "If-None-Match", "If-Unmodified-Since")), VALUES),
    metadata=st.dictionaries(NAMES, VALUES),
    length=st.integers(-1, 1 << 40),
    range=st.none() | st.just("bytes=5-9"),
)
@example("GET", "a", {"marker": "2!==a+b&c"}, {}, {"a_b": "1", "a1": "2", "ab": "3", "a-b": "4"}, -1, None)
@example("PUT", "a", {}, {"If-Match": ""}, {"empty": ""}, 0, None)
def test_shared_key_is_the_vendors(
    method: str,
    key: str,
    query: dict[str, str],
    standard: dict[str, str],
    metadata: dict[str, str],
    length: int,
    range: str | None,
) -> None:
    headers = {"x-ms-version": "2023-11-03", **standard, **{f"x-ms-meta-{n}": v for n, v in metadata.items()}}
    path = "/account/c/" + quote(key, safe="/~")
    pairs = sorted(query.items())
    target = path + (f"?{canonical_query(pairs)}" if pairs else "")
    signer = shared_key(method, "account", KEY, headers, DATE)
    sent = {**headers, "Content-Length": str(max(length, 0))} | ({"Range": range} if range else {})
    ours = signer.signature(target.encode(), length, range.encode() if range else None)
    assert ours.decode() == judged(method, target, sent, "account")
    assert signer.headers == (f"x-ms-date: {DATE}".encode(),)
    assert signer.authorization_line(b"/").startswith(b"Authorization: SharedKey account:")


def test_a_name_that_comes_twice_is_one_line() -> None:
    signer = shared_key("GET", "a", KEY, {}, DATE)
    text = f"GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{DATE}\n/a/c\nx:1,2"
    assert signer.signature(b"/c?x=1&x=2").decode() == authentication.sign_string(KEY, text)


def test_a_condition_of_the_engine_is_signed() -> None:
    for headers, added in (({"If-Match": '"a"'}, None), ({}, b'"a"')):
        signer = shared_key("GET", "a", KEY, headers, DATE)
        assert signer.signature(b"/c", if_match=added) == shared_key(
            "GET", "a", KEY, {"if-match": '"a"'}, DATE
        ).signature(b"/c")


def test_headers_that_cannot_be_signed() -> None:
    with pytest.raises(ValueError, match="two spellings"):
        shared_key("GET", "a", KEY, {"x-ms-a": "1", "X-MS-A": "2"}, DATE)
    with pytest.raises(ValueError, match="line break"):
        shared_key("GET", "a", KEY, {"x-ms-a": "1\n2"}, DATE)


def test_a_long_key_is_hashed() -> None:
    long = base64.b64encode(bytes(100)).decode()
    text = f"GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{DATE}\n/a/c"
    signature = shared_key("GET", "a", long, {}, DATE).signature(b"/c")
    assert signature.decode() == authentication.sign_string(long, text)
    with pytest.raises(ValueError, match="64 bytes at the most"):
        Signer.shared_key(
            before_length=b"",
            before_if_match=b"",
            before_range=b"",
            resource=b"",
            key=bytes(65),
            authorization=b"",
            headers=(),
        )


# --- signed URLs

DELEGATION = DelegationKey(
    "o", "t", "2026-11-27T06:00:00Z", "2026-11-28T06:00:00Z", "b", "2023-11-03", KEY, datetime.now(UTC) + 2 * HOUR
)


def account(credential: Any, above: str = "") -> StorageAccount:
    return StorageAccount(Credentials(credential), "acc", above)


HEADERS = ("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type")


@given(
    key=KEYS,
    delegated=st.booleans(),
    https=st.booleans(),
    answers=st.dictionaries(st.sampled_from(HEADERS), VALUES.filter(bool)),
)
def test_signed_urls_are_the_vendors(key: str, delegated: bool, https: bool, answers: dict[str, str]) -> None:
    path = "/acc/c/" + quote(key, safe="/~")
    arguments: Any = ("GET", "https" if https else "http", "h", path, [*answers.items()], HOUR, {})
    identity = account(AccountKey(KEY), "/acc")
    url = identity.delegated_url(*arguments[:-1], DELEGATION) if delegated else identity.signed_url(*arguments)
    ours = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    assert ours["sig"] == signed_by_the_vendor(key, ours, delegated, answers)
    assert urlsplit(url).path == path


def signed_by_the_vendor(key: str, ours: dict[str, str], delegated: bool, answers: dict[str, str]) -> str:
    """Return the vendor's signature of the same query; without the four fields that the version of ours has not."""
    helper = _BlobSharedAccessHelper()
    helper.add_base("r", ours["se"], None, None, ours.get("spr"), ours["sv"])
    helper.add_resource("b")
    helper.add_override_response_headers(*(answers.get(name) for name in HEADERS))
    if not delegated:
        helper.add_resource_signature("acc", KEY, f"c/{key}")
        return str(dict(parse_qsl(helper.get_token()))["sig"])
    vendor = blob.UserDelegationKey()
    for name in ("oid", "tid", "start", "expiry", "service", "version"):
        setattr(vendor, f"signed_{name}", getattr(DELEGATION, name))
    vendor.value, vendor.signed_delegated_user_tid = DELEGATION.value, None
    helper.add_resource_signature("acc", None, f"c/{key}", user_delegation_key=vendor)
    lines = helper.string_to_sign.split("\n")
    return str(authentication.sign_string(KEY, "\n".join(lines[:-15] + lines[-13:-7] + lines[-5:])))


def test_a_url_does_not_outlive_what_signs_it() -> None:
    ends = datetime.now(UTC) + HOUR
    arguments: Any = ("GET", "https", "h", "/c/a", [], 3 * HOUR, {})
    for make in (
        lambda: account(AccountKey(KEY, ends)).signed_url(*arguments),
        lambda: account(None).delegated_url(*arguments[:-1], DELEGATION),
    ):
        with pytest.raises(ValueError, match=r"would be good until .* UTC\. .* ends at .* UTC"):
            make()


@pytest.mark.parametrize(
    ("credential", "method", "answers", "error"),
    [
        (None, "GET", [], UnauthenticatedError),
        (SharedAccess((("sig", "planted"),)), "GET", [], NotSupportedError),
        (AccountKey(KEY), "PATCH", [], NotSupportedError),
        (AccountKey(KEY), "GET", [("Expires", "0")], NotSupportedError),
    ],
)
def test_what_cannot_be_signed(credential: Any, method: str, answers: Any, error: Any) -> None:
    with pytest.raises(error) as caught:
        account(credential).signed_url(method, "https", "h", "/c/a", answers, HOUR, {})
    assert "planted" not in str(caught.value)


def test_what_says_who_we_are_is_lent_by_signers() -> None:
    shape = Shape("GET", {})
    assert account(None).signer(shape, "h", {}) is None
    shared = account(SharedAccess((("sv", "1"), ("sig", "a+b=")))).signer(shape, "h", {})
    assert shared is not None
    assert (shared.query, shared.headers) == (b"sig=a%2Bb%3D&sv=1", ())
    bearer = account(AccessToken("t")).signer(shape, "h", {})
    assert bearer is not None
    assert bearer.headers[0] == b"Authorization: Bearer t"
    assert bearer.headers[1].startswith(b"x-ms-date: ")
