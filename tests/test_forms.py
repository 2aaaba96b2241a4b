"""Forms for browsers (POST policies): as the vendors' own clients make them, and posted to real servers."""

from __future__ import annotations

import base64
import hmac
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from botocore.auth import S3SigV4PostAuth
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3 import encode_multipart_formdata

from objstore.exceptions import ConfigurationError, NotSupportedError, UnauthenticatedError
from objstore.store import AzureStore, GCSStore, S3Store
from objstore.types import SignedPost
from tests.gcs.test_signing import KEY as GOOGLE_KEY
from tests.servers import GoogleServer, S3Server
from tests.test_signed_urls import BY_KMS, BY_OWN_KEY, CUSTOMER, HOUR, KEYS, KMS, PAIR, TEXTS, client

CONDITIONS = st.lists(
    st.one_of(
        st.sampled_from(["acl", "x-amz-meta-a", "success_action_status"]).flatmap(
            lambda name: TEXTS.map(lambda value: {name: value})
        ),
        TEXTS.map(lambda value: ["starts-with", "$x-amz-meta-b", value]),
        TEXTS.map(lambda value: ["eq", "$Cache-Control", value]),
        st.tuples(st.integers(0, 9), st.integers(9, 1 << 40)).map(lambda sizes: ["content-length-range", *sizes]),
    ),
    max_size=4,
)
FIELDS = st.dictionaries(st.sampled_from(["Content-Type", "x-amz-meta-c", "success_action_redirect", "a-ü"]), TEXTS)


def policy(form: SignedPost) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(base64.b64decode(form["fields"]["policy"]))
    return read


def time_of(form: SignedPost, vendor: str) -> datetime:
    return datetime.strptime(form["fields"][f"x-{vendor}-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@pytest.mark.parametrize("path", ["a/${filename}/b", "${filename}${filename}", "${filename}.txt"])
@pytest.mark.parametrize(
    "store",
    [S3Store("bucket", region="eu-west-3", **PAIR), GCSStore("bucket", service_account_key=GOOGLE_KEY)],
    ids=["s3", "gcs"],
)
def test_the_name_of_the_file_comes_last(store: S3Store | GCSStore, path: str) -> None:
    """A key that it stands in elsewhere is none that a condition could be for: no browser could use the form."""
    with pytest.raises(ValueError, match="elsewhere than at its end"):
        store.sign_post(path, HOUR)


def test_a_field_has_one_spelling() -> None:
    store = S3Store("bucket", region="eu-west-3", **PAIR)
    with pytest.raises(ValueError, match="content-type is given in two spellings"):
        store.sign_post("a", HOUR, fields={"Content-Type": "text/plain", "content-type": "text/html"})


# --- by the vendors' own clients


@settings(deadline=None, max_examples=60)
@given(
    key=st.one_of(KEYS, st.just("a/${filename}")),
    conditions=CONDITIONS,
    fields=FIELDS,
    token=st.none() | st.just("to/ken=+"),
    style=st.sampled_from(["path", "virtual"]),
    expires=st.integers(1, 604_800),
)
def test_amazon_makes_the_same_forms(
    key: str, conditions: list[Any], fields: dict[str, str], token: str | None, style: str, expires: int
) -> None:
    virtual = style == "virtual"
    given_: Any = {**PAIR, "session_token": token} if token else PAIR
    store = S3Store("bucket", region="eu-west-3", virtual_hosted_style_request=virtual, raw_keys=True, **given_)
    ours = store.sign_post(key, timedelta(seconds=expires), conditions=conditions, fields=fields)
    now = time_of(ours, "amz")
    told = [*conditions, *({name: value} for name, value in fields.items())]
    with (
        mock.patch("botocore.auth.get_current_datetime", return_value=now),
        mock.patch("botocore.signers.get_current_datetime", return_value=now),
    ):
        theirs = client(token, style).generate_presigned_post("bucket", key, fields, told, expires)
    assert policy(ours) == policy(theirs)
    assert ours["url"].rstrip("/") == theirs["url"].rstrip("/")
    varied = {"policy", "x-amz-signature"}  # JSON may be written in several ways
    assert ours["fields"].keys() == theirs["fields"].keys()
    assert {n: v for n, v in ours["fields"].items() if n not in varied} == {
        n: v for n, v in theirs["fields"].items() if n not in varied
    }
    assert ours["fields"]["x-amz-signature"] == by_botocore(ours["fields"]["policy"], now)


def by_botocore(text: str, now: datetime) -> str:
    who = Credentials(PAIR["access_key_id"], PAIR["secret_access_key"])
    request: Any = SimpleNamespace(context={"timestamp": now.strftime("%Y%m%dT%H%M%SZ")})
    return str(S3SigV4PostAuth(who, "s3", "eu-west-3").signature(text, request))


@settings(deadline=None, max_examples=40)
@given(key=KEYS, conditions=CONDITIONS, fields=FIELDS, expires=st.integers(1, 604_800))
def test_google_makes_the_same_forms(key: str, conditions: list[Any], fields: dict[str, str], expires: int) -> None:
    storage = pytest.importorskip("google.cloud.storage", reason="google-cloud-storage is not installed")
    from google.auth.credentials import AnonymousCredentials
    from google.oauth2.service_account import Credentials as ServiceAccount

    fields = dict(sorted(fields.items()))
    store = GCSStore("bucket", service_account_key=GOOGLE_KEY, raw_keys=True)
    ours = store.sign_post(key, timedelta(seconds=expires), conditions=conditions, fields=fields)
    now = time_of(ours, "goog")
    who = ServiceAccount.from_service_account_info({**json.loads(GOOGLE_KEY), "token_uri": "https://unused.example"})
    with (
        mock.patch("google.cloud.storage._signing._NOW", return_value=now),
        mock.patch("google.cloud.storage.client._NOW", return_value=now),
    ):
        theirs = storage.Client("p", AnonymousCredentials()).generate_signed_post_policy_v4(
            "bucket", key, timedelta(seconds=expires), [*conditions], fields, who
        )
    assert policy(ours)["expiration"] == policy(theirs)["expiration"]
    assert sorted(map(repr, policy(ours)["conditions"])) == sorted(map(repr, policy(theirs)["conditions"]))
    assert ours["url"] == theirs["url"].rstrip("/")
    varied = {"policy", "x-goog-signature"}  # the order of conditions says nothing
    assert ours["fields"].keys() == theirs["fields"].keys()
    assert {n: v for n, v in ours["fields"].items() if n not in varied} == {
        n: v for n, v in theirs["fields"].items() if n not in varied
    }
    assert ours["fields"]["x-goog-signature"] == who.sign_bytes(ours["fields"]["policy"].encode()).hex()


def test_an_hmac_key_signs_forms_of_googles() -> None:
    """https://cloud.google.com/storage/docs/authentication/signatures."""
    store = GCSStore("bucket", access_key_id="GOOG1EXAMPLE", secret_access_key="planted")
    form = store.sign_post("a", HOUR)
    fields = form["fields"]
    key = b"GOOG4planted"
    for part in (fields["x-goog-date"][:8], "auto", "storage", "goog4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert fields["x-goog-algorithm"] == "GOOG4-HMAC-SHA256"
    assert fields["x-goog-signature"] == hmac.digest(key, fields["policy"].encode(), "sha256").hex()


# --- on servers


def post(form: SignedPost, body: bytes, name: str = "file.txt", **changes: str) -> int:
    """Post a form as a browser does; return the status."""
    parts = {**form["fields"], **changes, "file": (name, body, "application/octet-stream")}
    content, kind = encode_multipart_formdata([*parts.items()])
    request = urllib.request.Request(form["url"], content, {"Content-Type": kind}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def store(ministack: S3Server) -> S3Store:
    return on(ministack)


def on(server: S3Server, **changes: Any) -> S3Store:
    usual = {
        "endpoint": server.endpoint,
        "region": server.region,
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
        "client_options": {"allow_http": True},
    }
    return S3Store(server.make_bucket("forms"), **{**usual, **changes})


def test_a_form_writes_one_object(store: S3Store) -> None:
    form = store.sign_post("a b/ü", HOUR, fields={"Content-Type": "text/x-a", "success_action_status": "201"})
    assert post(form, b"by a browser") == 201
    found = store.get("a b/ü")
    assert (found.bytes(), found.attributes["Content-Type"]) == (b"by a browser", "text/x-a")
    assert post(form, b"x", key="elsewhere") == 403
    assert post(form, b"x", **{"Content-Type": "text/html"}) == 403


def test_a_form_writes_below_a_prefix(ministack: S3Server) -> None:
    store = on(ministack, prefix="of/one")
    form = store.sign_post("up/${filename}", HOUR)
    assert form["fields"]["key"] == "of/one/up/${filename}"
    assert post(form, b"1", "mine.txt") == 204
    assert store.get("up/mine.txt").bytes() == b"1"
    assert post(form, b"1", key="of/other") == 403


def test_conditions_hold(store: S3Store) -> None:
    wanted: list[Any] = [["content-length-range", 1, 4], ["starts-with", "$Content-Type", "image/"]]
    form = store.sign_post("sized", HOUR, conditions=wanted, fields={"Content-Type": "image/png"})
    assert post(form, b"1234") == 204
    assert post(form, b"12345") == 400
    assert post(form, b"1", **{"Content-Type": "image/x"}) == 204
    assert post(form, b"1", **{"Content-Type": "text/html"}) == 403


def test_a_form_says_how_objects_are_encrypted(ministack: S3Server) -> None:
    store = on(ministack, server_side_encryption="AES256")
    form = store.sign_post("encrypted", HOUR)
    assert form["fields"]["x-amz-server-side-encryption"] == "AES256"
    assert post(form, b"1") == 204
    assert ministack.client().head_object(Bucket="forms", Key="encrypted")["ServerSideEncryption"] == "AES256"
    plain = {**form, "fields": {n: v for n, v in form["fields"].items() if "encryption" not in n}}
    assert post(plain, b"1") == 403  # type: ignore[arg-type]
    assert BY_KMS.sign_post("a", HOUR)["fields"].items() >= KMS.items()


def test_a_key_of_the_callers_is_in_no_form_unasked() -> None:
    with pytest.raises(ConfigurationError, match="customer-key") as refused:
        BY_OWN_KEY.sign_post("a", HOUR)
    assert CUSTOMER["x-amz-server-side-encryption-customer-key"] not in str(refused.value)
    assert BY_OWN_KEY.sign_post("a", HOUR, fields=CUSTOMER)["fields"].items() >= CUSTOMER.items()


def test_a_form_of_googles_is_posted(fakegcs: GoogleServer) -> None:
    bucket = fakegcs.make_bucket("forms")
    signing = GCSStore(
        bucket, base_url=fakegcs.endpoint, client_options={"allow_http": True}, service_account_key=GOOGLE_KEY
    )
    form = signing.sign_post("a/b", HOUR, fields={"success_action_status": "201"})
    assert post(form, b"by a browser") in (200, 201, 204)
    assert GCSStore(bucket, emulator_host=fakegcs.endpoint).get("a/b").bytes() == b"by a browser"


# --- what is refused


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"conditions": [{"a": 1}]}, "is none"),
        ({"conditions": [{"a": "1", "b": "2"}]}, "is none"),
        ({"conditions": [["starts-with", "key", "a"]]}, "is none"),
        ({"conditions": [["ends-with", "$key", "a"]]}, "is none"),
        ({"conditions": [["content-length-range", 5, 1]]}, "is none"),
        ({"conditions": [["content-length-range", False, True]]}, "is none"),
        ({"conditions": [{"bucket": "other"}]}, "rules out the form itself, whose bucket is 'bucket'"),
        ({"conditions": [["starts-with", "$key", "b/"]]}, "rules out the form itself, whose key is 'a'"),
        ({"conditions": [{"Key": "b"}]}, "whose Key is 'a'"),
        ({"conditions": [["eq", "$x-amz-algorithm", "AWS4-ECDSA-P256-SHA256"]]}, "whose x-amz-algorithm is"),
        *(
            ({"conditions": [condition], "fields": {"Content-Type": "image/png"}}, "whose .* is 'image/png'")
            for condition in (
                {"content-type": "image/gif"},
                ["eq", "$Content-Type", "image/"],
                ["starts-with", "$content-type", "text/"],
                ["starts-with", "$Content-Type", "image/png;"],
            )
        ),
        ({"conditions": "a"}, "give a list"),
        ({"fields": {"key": "a"}}, "key is set by what is signed"),
        ({"fields": {"X-Amz-Date": "a"}}, "x-amz-date is set by what is signed"),
        ({"fields": {"a": 1}}, "give both as str"),
        ({"fields": {"x-amz-meta-a": "${filename}.txt"}}, "elsewhere than at its end"),
        ({"expires_in": timedelta(days=8)}, "7 days"),
        ({"expires_in": timedelta(0)}, "one second"),
        ({"expires_in": 60}, "give a timedelta"),
    ],
)
def test_what_is_no_form(options: dict[str, Any], error: str) -> None:
    store = S3Store("bucket", region="eu-west-3", **PAIR)
    with pytest.raises((ValueError, TypeError), match=error):
        store.sign_post("a", options.pop("expires_in", HOUR), **options)


@pytest.mark.parametrize(
    ("key", "condition"),
    [
        ("a/b", {"bucket": "bucket"}),
        ("a/b", ["starts-with", "$bucket", "buck"]),
        ("a/b", ["eq", "$key", "a/b"]),
        ("a/${filename}", ["starts-with", "$key", "a/"]),
        ("a/${filename}", ["starts-with", "$key", "a/2030-"]),
        ("a/b", ["starts-with", "$Content-Type", ""]),
    ],
)
def test_conditions_may_say_what_is_signed_anyway(key: str, condition: Any) -> None:
    form = S3Store("bucket", region="eu-west-3", **PAIR).sign_post(key, HOUR, conditions=[condition])
    assert condition in policy(form)["conditions"]


def test_no_condition_allows_another_encryption() -> None:
    weaker = ["starts-with", "$x-amz-server-side-encryption", ""]
    told = policy(BY_KMS.sign_post("a", HOUR, conditions=[weaker]))["conditions"]
    assert all(condition in told for condition in [weaker, *({name: value} for name, value in KMS.items())])


def test_the_name_of_the_file_may_be_in_other_fields_too() -> None:
    """The service compares a field once it has put the name there."""
    form = S3Store("bucket", region="eu-west-3", **PAIR).sign_post(
        "a", HOUR, fields={"x-amz-meta-a": "of ${filename}", "x-amz-meta-b": "c"}
    )
    assert ["starts-with", "$x-amz-meta-a", "of "] in policy(form)["conditions"]
    assert {"x-amz-meta-b": "c"} in policy(form)["conditions"]


def test_stores_without_forms() -> None:
    paying = S3Store("bucket", region="eu-west-3", request_payer=True, **PAIR)
    arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/mine"
    encrypted = GCSStore(
        "bucket", service_account_key=GOOGLE_KEY, kms_key_name="projects/p/locations/l/keyRings/r/cryptoKeys/k"
    )
    for store, why in (
        (AzureStore("container", account_name="account", account_key="A" * 43 + "="), "takes no forms"),
        (S3Store(arn, region="us-west-2", **PAIR), "takes no forms"),
        (paying, "request_payer"),
        (GCSStore("bucket", service_account_key=GOOGLE_KEY, user_project="p-1"), "user_project"),
        (encrypted, "encrypted"),
    ):
        with pytest.raises(NotSupportedError, match=why):
            store.sign_post("a", HOUR)
    with pytest.raises(UnauthenticatedError, match="A form cannot be signed without"):
        S3Store("bucket", region="eu-west-3", skip_signature=True).sign_post("a", HOUR)
