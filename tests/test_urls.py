"""The URLs of stores: what each says, what each is refused for, and the store that comes of it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import objstore
from objstore import exceptions
from objstore.exceptions import ConfigurationError, GenericError, UnknownConfigurationKeyError
from objstore.http.client import split_endpoint
from objstore.settings.urls import parse_scheme, read_url
from objstore.store import AzureStore, GCSStore, HTTPStore, MemoryStore, S3Store, from_url

FABRIC = {"use_fabric_endpoint": "true"}
VIRTUAL = {"virtual_hosted_style_request": "true"}
PRIVATE = "https://ws.z01.dfs.fabric.microsoft.com"

URLS: list[tuple[str, str, dict[str, str], str]] = [
    ("s3://bucket", "s3", {"bucket": "bucket"}, ""),
    ("s3://bucket/p/q", "s3", {"bucket": "bucket"}, "p/q"),
    ("S3://bucket/p/", "s3", {"bucket": "bucket"}, "p/"),
    ("s3a://B_x/p", "s3", {"bucket": "B_x"}, "p"),
    ("s3://bucket//p", "s3", {"bucket": "bucket"}, "/p"),
    ("s3://bucket/a%20b/%C3%A9/%252F", "s3", {"bucket": "bucket"}, "a b/é/%2F"),
    ("s3://bucket/a b/é", "s3", {"bucket": "bucket"}, "a b/é"),
    ("https://s3.eu-west-1.amazonaws.com/b/p", "s3", {"bucket": "b", "region": "eu-west-1"}, "p"),
    ("https://s3-eu-west-1.amazonaws.com/b/p", "s3", {"bucket": "b", "region": "eu-west-1"}, "p"),
    ("https://s3.us-gov-west-1.amazonaws.com/b", "s3", {"bucket": "b", "region": "us-gov-west-1"}, ""),
    ("https://s3.amazonaws.com/b/p/q", "s3", {"bucket": "b"}, "p/q"),
    ("https://S3.AMAZONAWS.COM/b", "s3", {"bucket": "b"}, ""),
    ("https://s3.eu-west-1.amazonaws.com", "s3", {"region": "eu-west-1"}, ""),
    ("https://b.s3.amazonaws.com/p", "s3", {"bucket": "b", **VIRTUAL}, "p"),
    ("https://b.s3.eu-west-1.amazonaws.com/p", "s3", {"bucket": "b", "region": "eu-west-1", **VIRTUAL}, "p"),
    ("https://s3.s3.eu-west-1.amazonaws.com/p", "s3", {"bucket": "s3", "region": "eu-west-1", **VIRTUAL}, "p"),
    ("https://b.c.s3.eu-west-1.amazonaws.com/p", "s3", {"bucket": "b.c", "region": "eu-west-1"}, "p"),
    (
        "https://s3.dualstack.eu-west-1.amazonaws.com/b/p",
        "s3",
        {"bucket": "b", "region": "eu-west-1", "use_dualstack_endpoint": "true"},
        "p",
    ),
    (
        "https://b.s3.dualstack.eu-west-1.amazonaws.com/p",
        "s3",
        {
            "bucket": "b",
            "region": "eu-west-1",
            "use_dualstack_endpoint": "true",
            **VIRTUAL,
        },
        "p",
    ),
    (
        "https://b.c.s3-fips.dualstack.us-east-1.amazonaws.com/p",
        "s3",
        {"bucket": "b.c", "region": "us-east-1", "use_dualstack_endpoint": "true", "use_fips_endpoint": "true"},
        "p",
    ),
    (
        "https://s3.cn-north-1.amazonaws.com.cn/b",
        "s3",
        {"bucket": "b", "region": "cn-north-1"},
        "",
    ),
    ("https://b.s3.us-isob-east-1.sc2s.sgov.gov/p", "s3", {"bucket": "b", "region": "us-isob-east-1", **VIRTUAL}, "p"),
    ("https://s3.eusc-de-east-1.amazonaws.eu/b/p", "s3", {"bucket": "b", "region": "eusc-de-east-1"}, "p"),
    (
        "https://a-point-123456789012.s3-accesspoint-fips.dualstack.us-gov-west-1.amazonaws.com/p",
        "s3",
        {
            "bucket": "arn:aws-us-gov:s3:us-gov-west-1:123456789012:accesspoint/a-point",
            "use_dualstack_endpoint": "true",
            "use_fips_endpoint": "true",
        },
        "p",
    ),
    (
        "https://a-123456789012.s3-object-lambda.us-east-1.amazonaws.com/p",
        "s3",
        {"bucket": "arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/a"},
        "p",
    ),
    (
        "https://a-123456789012.op-01ab.s3-outposts.us-east-1.amazonaws.com",
        "s3",
        {"bucket": "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01ab/accesspoint/a"},
        "",
    ),
    (
        "https://b.s3-accelerate.amazonaws.com/p",
        "s3",
        {"bucket": "b", "use_accelerate_endpoint": "true", **VIRTUAL},
        "p",
    ),
    (
        "https://acc.eu.r2.cloudflarestorage.com/b/p",
        "s3",
        {"bucket": "b", "region": "auto", "endpoint": "https://acc.eu.r2.cloudflarestorage.com"},
        "p",
    ),
    (
        "https://b.c.0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com/p/q",
        "s3",
        {
            "bucket": "b.c",
            "region": "auto",
            "endpoint": "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
        },
        "p/q",
    ),
    (
        "https://b.c.0123456789abcdef0123456789abcdef.eu.r2.cloudflarestorage.com/p/q",
        "s3",
        {
            "bucket": "b.c",
            "region": "auto",
            "endpoint": "https://0123456789abcdef0123456789abcdef.eu.r2.cloudflarestorage.com",
        },
        "p/q",
    ),
    ("gs://b/p", "gcs", {"bucket": "b"}, "p"),
    ("gcs://b", "gcs", {"bucket": "b"}, ""),
    ("https://storage.googleapis.com/b/p/q", "gcs", {"bucket": "b"}, "p/q"),
    ("https://b.c.storage.googleapis.com/p", "gcs", {"bucket": "b.c"}, "p"),
    *(
        (f"{scheme}://c/p", "azure", {"container_name": "c"}, "p")
        for scheme in ("az", "adl", "azure", "abfs", "abfss", "wasb", "wasbs")
    ),
    ("az://$web/p", "azure", {"container_name": "$web"}, "p"),
    *(
        (f"{scheme}://c@a.{kind}.core.windows.net/p", "azure", {"container_name": "c", "account_name": "a"}, "p")
        for scheme in ("az", "adl", "abfss", "wasbs")
        for kind in ("blob", "dfs")
    ),
    ("https://a.blob.core.windows.net/c/p", "azure", {"container_name": "c", "account_name": "a"}, "p"),
    ("https://a.dfs.core.windows.net", "azure", {"account_name": "a"}, ""),
    (
        "https://a.blob.core.windows.net/c/p?sv=1&sig=x%2B",
        "azure",
        {"container_name": "c", "account_name": "a", "sas_key": "sv=1&sig=x%2B"},
        "p",
    ),
    (
        "https://a.dfs.core.usgovcloudapi.net/c",
        "azure",
        {"container_name": "c", "account_name": "a", "endpoint": "https://a.blob.core.usgovcloudapi.net"},
        "",
    ),
    (
        "https://a.z12.dfs.storage.azure.net/c/p",
        "azure",
        {"container_name": "c", "account_name": "a", "endpoint": "https://a.z12.blob.storage.azure.net"},
        "p",
    ),
    (
        "abfss://My%20space@onelake.dfs.fabric.microsoft.com/x.lakehouse/Files",
        "azure",
        {"container_name": "My space", "account_name": "onelake", **FABRIC},
        "x.lakehouse/Files",
    ),
    (
        "https://onelake.blob.fabric.microsoft.com/w.x/p",
        "azure",
        {"container_name": "w.x", "account_name": "onelake", **FABRIC},
        "p",
    ),
    (
        "abfss://c@ws.z01.dfs.fabric.microsoft.com/p",
        "azure",
        {"container_name": "c", "account_name": "ws.z01", "endpoint": PRIVATE, **FABRIC},
        "p",
    ),
    (f"{PRIVATE}/c", "azure", {"container_name": "c", "account_name": "ws.z01", "endpoint": PRIVATE, **FABRIC}, ""),
    ("http://h/p", "http", {"url": "http://h/p"}, ""),
    ("https://h:8080/p%20q?x=y", "http", {"url": "https://h:8080/p%20q?x=y"}, ""),
    ("file:///a/b%20c/", "local", {}, "/a/b c/"),
    ("file:/a", "local", {}, "/a"),
    ("file://localhost/a", "local", {}, "/a"),
    ("file:///", "local", {}, "/"),
    ("memory:///", "memory", {}, ""),
    ("memory://", "memory", {}, ""),
    ("memory:/p", "memory", {}, "p"),
]


@pytest.mark.parametrize(("url", "scheme", "settings", "prefix"), URLS, ids=lambda value: str(value)[:60])
def test_what_a_url_says(url: str, scheme: str, settings: dict[str, str], prefix: str) -> None:
    assert parse_scheme(url) == scheme
    assert read_url(url) == (scheme, settings, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil-amazonaws.com/b",
        "https://amazonaws.com.evil.example/b",
        "https://evil-r2.cloudflarestorage.com.example/b",
        "https://evilstorage.googleapis.com/b",
        "https://xblob.core.windows.net/c",
        "https://a.blob.core.windows.net.evil.example/c",
        "https://a.blobxcore.windows.net/c",
        "http://b.s3.amazonaws.com/p",
        "http://a.blob.core.windows.net/c",
        "https://a.blob.core.cloudapi.de/c",
        "https://a.file.core.windows.net/s",
        "https://a.z12.web.core.windows.net/s",
        "http://storage.googleapis.com/b",
    ],
)
def test_a_host_that_only_looks_like_a_service_is_a_web_server(url: str) -> None:
    assert read_url(url) == ("http", {"url": url}, "")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "has no scheme"),
        ("foo", "has no scheme"),
        ("/tmp/x", "file://"),
        ("ftp://x/y", "The scheme ftp:// is none that objstore knows. There are: abfs://"),
        ("C:\\data", "The scheme c://"),
        ("s3://", "names no bucket. Write s3://bucket/prefix."),
        ("s3:///p", "names no bucket"),
        ("s3:b/p", "names no bucket"),
        ("gs:///p", "names no bucket"),
        ("az:///p", "names no container"),
        ("s3://b:9000/p", "has a port. Name the server in the setting endpoint"),
        ("s3://b:x/p", "the port is not a number"),
        ("s3://[b/p", "the host is malformed"),
        ("s3://bucket/p?region=x", "has a query"),
        ("s3://bucket/p#q", "has a fragment"),
        ("s3://bucket/p\nq", "control character"),
        ("s3://bucket/%FF", "no UTF-8"),
        ("https://foo.amazonaws.com/b", "is not an address of S3"),
        ("https://b.s3-website-us-east-1.amazonaws.com/b", "is not an address of S3"),
        ("https://b.s3-website.eu-central-1.amazonaws.com/b", "is not an address of S3"),
        ("https://s3.cn-north-1.amazonaws.com/b", "is not an address of S3"),
        ("https://s3.us-east-1.amazonaws.com.cn/b", "is not an address of S3"),
        ("https://vpce-1a2b.s3.us-east-1.vpce.amazonaws.com/b", "is not an address of S3"),
        ("https://a.blob.core.windows.net/c?x=y", "has a query"),
        ("https://a.b.blob.core.windows.net/c", "names no account"),
        ("https://a.privatelink.blob.core.windows.net/c", "(for a private endpoint too)"),
        ("abfss://c@a.privatelink.dfs.core.windows.net/p", "names no account"),
        ("https://a.z1.blob.storage.azure.net/c", "names no account"),
        ("https://x.onelake.fabric.microsoft.com/w", "names no account"),
        ("abfss://c@a.dfs.core.cloudapi.de/p", "names no account"),
        ("az://c@a/p", "names no account. Write container@account.blob.core.windows.net"),
        ("az://c@a.blob.core.windows.net.evil.example/p", "names no account"),
        ("http:///p", "names no host"),
        ("file://host/p", "three slashes"),
        ("file:a/b", "is not absolute"),
        ("file:///a?b", "has a query"),
        ("memory://h/p", "Write memory:///"),
    ],
)
def test_what_a_url_is_refused_for(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_url(url)
    assert said in str(caught.value)
    assert isinstance(caught.value, GenericError)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "s3://planted@b/p",
        "s3://key:planted@b/p",
        "s3://key:planted@b:x/p",
        "gs://u:planted@b/p",
        "az://c:planted@a.blob.core.windows.net/p",
        "az://planted@a/p",
        "s3://bucket/p?token=planted",
        "https://u:planted@b.s3.amazonaws.com/p",
        "ftp://u:planted@h/p",
    ],
)
def test_no_secret_of_a_url_is_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_url(url)
    assert "planted" not in str(caught.value)


def test_a_path_is_no_url() -> None:
    path: Any = Path("/tmp")
    with pytest.raises(TypeError, match="file:///path"):
        parse_scheme(path)


@given(
    st.text(max_size=30),
    st.sampled_from(["", "s3://", "az://", "https://", "file://", "https://a.blob.core.windows.net/"]),
)
def test_any_text_is_read_or_refused(text: str, beginning: str) -> None:
    url = beginning + text
    try:
        location = read_url(url)
    except ConfigurationError:
        return
    assert location.scheme == parse_scheme(url)
    assert all(isinstance(value, str) and value for value in location.settings.values())


# --- the stores that come of them


@pytest.mark.parametrize(
    ("url", "store"),
    [
        ("s3://bucket/p/q/", S3Store("bucket", prefix="p/q")),
        ("gs://b", GCSStore("b")),
        ("az://c@a.blob.core.windows.net/p", AzureStore("c", account_name="a", prefix="p")),
        (
            "https://bucket.s3.eu-west-1.amazonaws.com",
            S3Store("bucket", region="eu-west-1", virtual_hosted_style_request=True),
        ),
    ],
)
def test_the_store_of_a_url(url: str, store: Any) -> None:
    made = from_url(url)
    assert type(made) is type(store)
    assert made == store
    assert type(store).from_url(url) == store
    assert pickle.loads(pickle.dumps(made)) == store


def test_the_memory_has_no_prefix_of_its_own() -> None:
    assert type(from_url("memory:///p", client_options={"timeout": 5}, retry_config={"max_retries": 1})) is MemoryStore
    store = from_url("memory:///", raw_keys=True)
    store.put("a//b", b"1")
    assert store.get("a//b").bytes() == b"1"


def test_raw_keys_keep_the_prefix_as_it_is() -> None:
    assert S3Store.from_url("s3://bucket//p/", raw_keys=True).prefix == "/p/"
    with pytest.raises(exceptions.InvalidPathError):
        S3Store.from_url("s3://bucket//p/")


def test_config_is_stronger_than_the_url_and_a_keyword_must_not_meet_it() -> None:
    url = "https://s3.eu-west-1.amazonaws.com/bucket/p"
    store = S3Store.from_url(url, config={"AWS_BUCKET": "other", "timeout": 5}, skip_signature=True)
    assert store.config == {"bucket": "other", "region": "eu-west-1", "skip_signature": "true"}
    assert store.client_options == {"timeout": "5s"}
    assert store.prefix == "p"
    for call in (S3Store.from_url, from_url):
        with pytest.raises(ConfigurationError, match=r"'region' \(URL\) and as 'aws_region' \(keyword arguments\)"):
            call(url, aws_region="eu-west-1")  # type: ignore[operator]
        with pytest.raises(ConfigurationError, match="twice"):
            call(url, config={"skip_signature": True}, skip_signature=True)  # type: ignore[operator]


def test_the_environment_is_weaker_than_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BUCKET", "c")
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    store = S3Store.from_url("s3://bucket")
    assert store.config == {"bucket": "bucket"}
    assert store._settings["region"] == "eu-west-2"


def test_a_subclass_makes_itself() -> None:
    class Own(S3Store):
        """A store of a user's, with an attribute of its own."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.mine = True

    made = Own.from_url("s3://bucket/p")
    assert type(made) is Own
    assert (made.mine, made.prefix) == (True, "p")


def test_the_class_and_the_url_must_agree() -> None:
    with pytest.raises(ConfigurationError, match="S3Store cannot be made of a URL of the kind gcs"):
        S3Store.from_url("gs://b")
    with pytest.raises(ConfigurationError, match="from_url makes the right store"):
        AzureStore.from_url("https://h/p")
    with pytest.raises(ConfigurationError, match="MemoryStore cannot be made of a URL of the kind s3"):
        MemoryStore.from_url("s3://bucket")


def test_the_provider_may_know_the_rest_of_an_azure_store() -> None:
    class Provider:
        def __init__(self) -> None:
            self.config = {"account_name": "a"}
            self.prefix = "given/by/provider"

        def __call__(self) -> Any:
            raise AssertionError("nobody asks")

    provider = Provider()
    assert AzureStore("c", credential_provider=provider).prefix == "given/by/provider"
    assert AzureStore("c", prefix="mine", credential_provider=provider).prefix == "mine"
    assert AzureStore.from_url("az://c", credential_provider=provider).prefix == "given/by/provider"
    assert AzureStore.from_url("az://c/p", credential_provider=provider).prefix == "p"
    assert repr(AzureStore("c", credential_provider=provider, prefix="p")) == (
        'AzureStore(container_name="c", account_name="a", prefix="p")'
    )


TAKES_NOTHING: list[tuple[str, str, dict[str, Any]]] = [
    ("MemoryStore", "memory:///", {"config": {"region": "x"}}),
    ("MemoryStore", "memory:///", {"region": "x"}),
    ("MemoryStore", "memory:///", {"credential_provider": dict}),
    ("HTTPStore", "https://h/p", {"config": {"region": "x"}}),
    ("HTTPStore", "https://h/p", {"region": "x"}),
    ("HTTPStore", "https://h/p", {"credential_provider": dict}),
    ("LocalStore", "file:///", {"config": {"region": "x"}}),
    ("LocalStore", "file:///", {"region": "x"}),
    ("LocalStore", "file:///", {"credential_provider": dict}),
]


@pytest.mark.parametrize(("name", "url", "arguments"), TAKES_NOTHING)
def test_a_store_refuses_what_it_does_not_take(name: str, url: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(UnknownConfigurationKeyError, match=f"{name} takes no {next(iter(arguments))}"):
        from_url(url, **arguments)


@pytest.mark.parametrize(("name", "url"), [("HTTPStore", "https://h/p"), ("LocalStore", "file:///")])
def test_each_kind_of_url_has_its_store(name: str, url: str) -> None:
    made = from_url(url, config={}, client_options={"timeout": 5}, retry_config={"max_retries": 1})
    assert type(made) is getattr(objstore.store, name)


def test_the_public_name() -> None:
    assert objstore.parse_scheme is parse_scheme


@pytest.mark.parametrize(
    ("host", "asked"),
    [("bücher.example:8080", "xn--bcher-kva.example:8080"), ("Bücher.example", "xn--bcher-kva.example")],
)
def test_a_host_of_other_letters_is_asked_for_in_ascii(host: str, asked: str) -> None:
    assert split_endpoint(f"http://{host}/a", allow_http=True) == (f"http://{asked}", "/a")


@pytest.mark.parametrize("host", ["straße.example", "ex%61mple.test", "ü" * 64, "a..ü"])
def test_a_host_that_can_be_read_in_two_ways_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be looked up as it is. Give it in ASCII"):
        HTTPStore(f"https://{host}")


@pytest.mark.parametrize("behind", ["?sig=SECRET", "#there", "?"])
@pytest.mark.parametrize(
    "made",
    [
        lambda url: S3Store("bucket", region="r", endpoint=url),
        lambda url: GCSStore("bucket", base_url=url),
        lambda url: AzureStore("container", account_name="a", endpoint=url),
    ],
    ids=["s3", "gcs", "azure"],
)
def test_an_endpoint_has_nothing_behind_its_path(made: Callable[[str], Any], behind: str) -> None:
    """No request would carry it."""
    with pytest.raises(ConfigurationError, match="a query or a fragment") as refused:
        made(f"https://host.example/{behind}")
    assert "SECRET" not in str(refused.value)
