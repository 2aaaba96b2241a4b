"""Every setting does something, or is refused by name; none is taken in silence.

A store is made with a setting and without it, and what came of either is compared, down to what its requests are made
of: a setting that nothing reads makes no difference.
"""

from __future__ import annotations

import base64
import os
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from objstore.credentials import shared
from objstore.exceptions import BaseError, ConfigurationError, NotSupportedError
from objstore.http.retry import Budget
from objstore.providers.cloud.azure import AZURE
from objstore.providers.cloud.gcs import GCS
from objstore.providers.cloud.kind import BucketKind
from objstore.providers.cloud.s3 import S3
from objstore.providers.web.http import HTTP_TABLE, open_http
from objstore.settings.options import CLIENT_OPTIONS, Option, RetryOptions, Settings, Table, parse, refuse_unsupported
from objstore.settings.value_types import BOOL, BOOL_OR_REQUESTER, DURATION, URL
from objstore.store import HTTPStore, S3Store
from tests.faults.client import FaultServer
from tests.test_faults import store_on

PLANTED = base64.b64encode(bytes(32)).decode()
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

DIRECTORY: dict[str, object] = {"bucket": "b--usw2-az1--x-s3", "region": "us-west-2"}
SAMPLES: dict[str, object] = {
    "s3_express_session_mode": "ReadOnly",
    "api_version": "2025-01-05",
    "authority_host": "https://login.example",
    "account_key": PLANTED,
    "checksum_algorithm": "crc64nvme",
    "conditional_delete": "disabled",
    "conditional_put": "disabled",
    "copy_if_not_exists": "multipart",
    "connection_string": "AccountName=account;AccountKey=cGxhbnRlZA==",
    "credential_type": "azure_cli",
    "default_headers": {"X-A": "b"},
    "emulator_host": "localhost:9000",
    "encryption_key": PLANTED,
    "http2_max_frame_size": 20_000,
    "kms_key_name": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
    "max_connections": 3,
    "pool_max_idle_per_host": 0,
    "proxy_ca_certificate": CERTIFICATE,
    "proxy_url": "http://proxy.example",
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
    "root_certificate": CERTIFICATE,
    "sas_key": "sv=1&sig=x",
    "server_side_encryption": "AES256",
    "service_account": "/nowhere.json",
    "application_credentials": "/nowhere.json",
    "sse_customer_key_base64": PLANTED,
    "sse_kms_encryption_context": {"a": "b"},
    "universe_domain": "cloud.example",
    "unsigned_payload": False,
}
"""A value other than the default, where the kind of the setting does not give one."""

FABRIC = (
    "fabric_cluster_identifier",
    "fabric_session_token",
    "fabric_token_service_url",
    "fabric_workload_host",
)

BESIDE: dict[str, dict[str, object]] = {
    "allow_http": {"endpoint": "http://e.example", "base_url": "http://e.example", "url": "http://e.example"},
    "container_authorization_token_file": {"container_credentials_full_uri": "https://h.example"},
    "checksum_algorithm": {"request_checksum_calculation": "when_required"},  # else it is what Amazon gets anyway
    "authority_host": {"client_id": "c", "client_secret": "s", "tenant_id": "t"},
    "client_certificate_password": {"client_certificate_path": "/f", "client_id": "c", "tenant_id": "t"},
    "client_certificate_path": {"client_id": "c", "tenant_id": "t"},
    "client_id": {"client_secret": "s", "tenant_id": "t"},
    "client_secret": {"client_id": "c", "tenant_id": "t"},
    "client_send_certificate_chain": {"client_certificate_path": "/f", "client_id": "c", "tenant_id": "t"},
    "emulator_url": {"use_emulator": True},
    "role_arn": {"web_identity_token_file": "/token"},
    "role_session_name": {"web_identity_token_file": "/token"},
    **{name: {each: "https://h" for each in FABRIC if each != name} for name in FABRIC},
    "s3_disable_express_session_auth": DIRECTORY,
    "s3_express_session_mode": DIRECTORY,
    "s3_disable_multiregion_access_points": {"bucket": "arn:aws:s3::123456789012:accesspoint/a.mrap"},
    "s3_use_arn_region": {"bucket": "arn:aws:s3:us-east-2:123456789012:accesspoint/a", "region": "us-east-1"},
    "secret_access_key": {"access_key_id": "k"},
    "session_token": {"access_key_id": "k", "secret_access_key": "s"},
    "skip_signature": {"access_key_id": "k", "secret_access_key": "s", "bearer_token": "t", "token": "t"},
    "sse_bucket_key_enabled": {"server_side_encryption": "aws:kms"},
    "sse_kms_encryption_context": {"server_side_encryption": "aws:kms"},
    "sse_kms_key_id": {"server_side_encryption": "aws:kms"},
    "tenant_id": {"client_id": "c", "client_secret": "s"},
    "username": {"password": "p"},
    "password": {"username": "u"},
}
"""What a setting goes with, where it is nothing by itself."""

REFUSED = {
    "http2_keep_alive_interval",
    "http2_keep_alive_timeout",
    "http2_keep_alive_while_idle",
    "http2_max_frame_size",
}
"""What this version does not do, and says so."""

HTTP = "HTTPStore"
Maker = BucketKind | str


def table_of(maker: Maker) -> Table:
    return maker.table if isinstance(maker, BucketKind) else HTTP_TABLE


def needed(maker: Maker) -> dict[str, object]:
    """Return what a store cannot be without."""
    if not isinstance(maker, BucketKind):
        return {"url": "https://h.example"}
    return {maker.bucket: "bucket", **({"account_name": "account"} if maker is AZURE else {})}


def made(maker: Maker, given: dict[str, object]) -> object:
    """Return all that a store is made of, or the message of the error that refuses to make it."""
    names = {option.name for option in (*table_of(maker).options, *CLIENT_OPTIONS)}
    fit = {name: value for name, value in {**needed(maker), **given}.items() if name in names}
    settings = parse(table_of(maker), keywords=fit)
    shared._known.clear()  # a source that another store asks was made of that one's settings
    try:
        refuse_unsupported(table_of(maker), settings)
        return parts(opened(maker, settings), {id(settings.values)})  # to keep them all is not to use one
    except BaseError as error:
        return str(error)


def opened(maker: Maker, settings: Settings) -> object:
    if isinstance(maker, BucketKind):
        return maker.open(settings, RetryOptions(), None, "agent", "")
    return open_http(settings, RetryOptions(), "agent")


def parts(value: Any, seen: set[int]) -> object:
    """Return what a value is made of, as something that can be compared."""
    if isinstance(value, str | bytes | int | float | type(None)):
        return value
    if id(value) in seen or isinstance(value, Budget):  # that of retries has the time in it
        return "..."
    seen = seen | {id(value)}
    if isinstance(value, dict):
        return {name: parts(each, seen) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [parts(each, seen) for each in value]
    if isinstance(value, partial):
        return [value.func.__qualname__, parts(value.args, seen), parts(value.keywords, seen)]
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    inner = {name: getattr(value, name, None) for name in slots} | dict(getattr(value, "__dict__", {}))
    return [type(value).__qualname__, {name: parts(each, seen) for name, each in inner.items()}]


def sample(option: Option) -> object:
    if option.name in SAMPLES:
        return SAMPLES[option.name]
    if option.kind in (BOOL, BOOL_OR_REQUESTER):
        return not option.default
    return 7 if option.kind is DURATION else "https://h.example/x" if option.kind is URL else "text"


def makes_no_difference(maker: Maker, option: Option) -> bool:
    beside = BESIDE.get(option.name, {})
    without = made(maker, beside)
    assert without == made(maker, beside)
    return without == made(maker, {**beside, option.name: sample(option)})


@pytest.fixture
def _open_to_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make what a store is made of such that it can be compared."""
    monkeypatch.setattr("objstore.http.client.ClientSettings", SimpleNamespace)
    for variable in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)


EVERY = [
    pytest.param(maker, option, id=f"{table_of(maker).store}-{option.name}")
    for maker in (S3, GCS, AZURE, HTTP)
    for option in (*table_of(maker).options, *CLIENT_OPTIONS)
]


@pytest.mark.usefixtures("_open_to_view")
@pytest.mark.parametrize(("maker", "option"), EVERY)
def test_a_setting_is_used_or_refused(maker: Maker, option: Option) -> None:
    if option.name in REFUSED:
        assert f"does not support the setting {option.name} yet" in str(made(maker, {option.name: sample(option)}))
    elif makes_no_difference(maker, option):
        pytest.fail(f"nothing reads {option.name}")


def test_only_what_is_refused_is_marked_so() -> None:
    assert not [option.name for option in S3.table.options if option.unsupported]
    assert {option.name for option in CLIENT_OPTIONS if option.unsupported} == REFUSED


@pytest.mark.usefixtures("_open_to_view")
@pytest.mark.parametrize("maker", [S3, HTTP], ids=lambda maker: table_of(maker).store)
def test_a_setting_that_nothing_reads_is_found(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    ghost = Option("ghost", "Nothing reads it.")
    table = table_of(maker)
    monkeypatch.setitem(
        globals(), "table_of", lambda maker: Table(table.store, table.prefixes, (*table.options, ghost))
    )
    assert makes_no_difference(maker, ghost)
    assert not makes_no_difference(maker, next(o for o in CLIENT_OPTIONS if o.name == "timeout"))


# --- what is refused


KEYS = {"access_key_id": "k", "secret_access_key": "s"}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_client_options_without_effect_are_refused(name: str) -> None:
    option = next(option for option in CLIENT_OPTIONS if option.name == name)
    for make in (partial(HTTPStore, "https://h.example"), partial(S3Store, "bucket")):
        with pytest.raises(NotSupportedError, match=name):
            make(client_options={name: sample(option)})


def test_what_the_environment_asks_of_requests_counts_whoever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_EXPRESS", "true")
    with pytest.raises(ConfigurationError, match="NAME--ZONE--x-s3"):
        S3Store("bucket", **KEYS)


@pytest.mark.parametrize(
    "given",
    [
        {"sse_kms_key_id": "id"},
        {"sse_kms_key_id": "id", "server_side_encryption": "AES256"},
        {"sse_bucket_key_enabled": True},
        {"sse_bucket_key_enabled": False},
        {"sse_bucket_key_enabled": True, "server_side_encryption": "aws:kms:dsse"},
        {"sse_kms_encryption_context": {"a": "b"}, "server_side_encryption": "AES256"},
        {"server_side_encryption": "sse-c"},
        {"server_side_encryption": "aws:kms", "sse_customer_key_base64": PLANTED},
    ],
)
def test_objects_are_encrypted_as_was_said_or_not_at_all(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"sse_|sse-c") as caught:
        S3Store("bucket", **given)
    assert PLANTED not in str(caught.value)


# --- what is done


@pytest.mark.parametrize("mode", ["create", {"e_tag": '"a"'}], ids=str)
def test_without_conditional_writes_none_is_sent(fault_server: FaultServer, mode: Any) -> None:
    config = store_on(fault_server).config
    store = S3Store(config=config | {"conditional_put": "disabled"}, client_options={"allow_http": True})
    for write in (
        lambda: store.put("a", b"1", mode=mode),
        lambda: store.put("a", b"1", mode=mode, use_multipart=True),
        lambda: store.put_many({"a": b"1"}, mode=mode),
        lambda: store.open_writer("a", mode=mode).close(),
    ):
        with pytest.raises(NotSupportedError, match="conditional_put"):
            write()
    assert fault_server.requests("a") == []
    assert store.put("a", b"1")["e_tag"]


@pytest.mark.parametrize("said", [None, "disabled"])
def test_without_conditional_deletes_none_is_sent(fault_server: FaultServer, said: str | None) -> None:
    config = store_on(fault_server).config | ({} if said is None else {"conditional_delete": said})
    store = S3Store(config=config, client_options={"allow_http": True})
    e_tag = store.put("a", b"1")["e_tag"]
    with pytest.raises(NotSupportedError, match="conditional_delete='etag'"):
        store.delete("a", if_match=e_tag)
    assert [request["operation"] for request in fault_server.requests("a")] == ["put"]


@pytest.mark.parametrize(
    ("given", "has"),
    [
        ({}, True),
        ({"conditional_delete": "disabled"}, False),
        ({"region": "cn-north-1"}, True),
        ({"use_accelerate_endpoint": True}, True),
        (DIRECTORY, True),
        ({"bucket": "arn:aws:s3:us-east-1:123456789012:accesspoint/a"}, True),
        ({"bucket": "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-1/accesspoint/a"}, False),
        ({"bucket": "arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/a"}, False),
        ({"endpoint": "https://s3.example"}, False),
        ({"endpoint": "https://s3.example", "conditional_delete": "etag"}, True),
        ({"endpoint": "https://amazonaws.com.example"}, False),
        ({"endpoint": "https://s3.eu-west-1.amazonaws.com"}, True),
    ],
)
def test_deletes_are_conditional_where_that_is_known(given: dict[str, Any], has: bool) -> None:
    store = S3Store(given.get("bucket", "bucket"), **{name: given[name] for name in given if name != "bucket"}, **KEYS)
    assert store.provider._conditional_deletes is has
