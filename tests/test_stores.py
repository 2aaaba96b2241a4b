"""The stores of Google and Azure: what is checked when one is made, what it shows, whose credential it has."""

from __future__ import annotations

import copy
import json
import os
import pickle
import pprint
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from objstore.credentials import azure as azure_credentials
from objstore.credentials import google as google_credentials
from objstore.credentials.azure import AccountKey, SharedAccess
from objstore.credentials.bearer import Bearer
from objstore.credentials.storage_account import StorageAccount
from objstore.credentials.token import AccessToken
from objstore.exceptions import (
    ConfigurationError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from objstore.providers.cloud.azure import EMULATOR_KEY
from objstore.providers.cloud.azure_container import Container
from objstore.providers.cloud.gcs_bucket import GoogleBucket
from objstore.store import AzureStore, GCSStore, MemoryStore, S3Store, Store

ACCOUNT_KEY = "cGxhbnRlZA=="
SERVICE_ACCOUNT = {
    "type": "service_account",
    "client_email": "me@project.iam.gserviceaccount.com",
    "private_key": "-----BEGIN PRIVATE KEY-----planted",
    "private_key_id": "1",
}
USER = {"type": "authorized_user", "client_id": "i", "client_secret": "planted", "refresh_token": "planted"}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials of whoever runs the tests are none of their business."""
    for name in list(os.environ):
        if name.startswith(("AZURE_", "GOOGLE_")) or name in ("SERVICE_ACCOUNT", "STORAGE_EMULATOR_HOST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")


def never() -> Any:
    raise AssertionError("nobody asks for a credential here")


def gcs(**changes: Any) -> GCSStore:
    return GCSStore(**{"bucket": "b", **changes})


def azure(**changes: Any) -> AzureStore:
    return AzureStore(**{"container_name": "c", "account_name": "a", **changes})


def cloud(store: Store) -> Container | GoogleBucket:
    assert isinstance(store.provider, Container | GoogleBucket)
    return store.provider


def known(store: Store) -> tuple[str, object]:
    """Return where the credential of a store comes from, and what is known of it."""
    identity = cloud(store).service.identity
    assert isinstance(identity, StorageAccount | Bearer)
    return identity.credentials.source, identity.credentials.current


def made_of(store: Store) -> object:
    """Return what a store is made of, to be compared and shown."""
    return cloud(store).service.origin, cloud(store).base, known(store)


# --- values

FULL: list[Callable[[], Any]] = [
    lambda: GCSStore(
        "b",
        prefix="p/q",
        config={"google_skip_signature": True, "base_url": "https://h"},
        client_options={"timeout": timedelta(seconds=5), "default_headers": {"x": "planted"}},
        retry_config={"max_retries": 2},
        service_account_key=json.dumps(SERVICE_ACCOUNT),
    ),
    lambda: AzureStore(
        "c",
        prefix="p/q",
        config={"azure_storage_account_name": "a", "timeout": "5s"},
        retry_config={"max_retries": 2},
        account_key=ACCOUNT_KEY,
        sas_token="sig=planted",
        token="planted",
    ),
]


@pytest.mark.parametrize("make", FULL)
@pytest.mark.parametrize("carry", [copy.copy, copy.deepcopy, lambda store: pickle.loads(pickle.dumps(store))])
def test_a_store_is_equal_to_its_copies(make: Callable[[], Any], carry: Callable[[Any], Any]) -> None:
    store = make()
    other = carry(store)
    assert type(other) is type(store)
    assert other == store == make()
    assert hash(other) == hash(store)
    assert (other.prefix, other.config, other.client_options) == (store.prefix, store.config, store.client_options)
    assert other.retry_config == store.retry_config
    assert made_of(other) == made_of(store)


@pytest.mark.parametrize("make", FULL)
def test_no_store_shows_a_secret(make: Callable[[], Any]) -> None:
    store = make()
    shown = repr(store) + str(store) + repr(store._settings) + repr(made_of(store)) + repr(vars(store))
    for part in (store.config, store.client_options, store._settings.values):
        shown += f"{part} {part!r} {part | {'more': 1}} {copy.deepcopy(part)} {pickle.loads(pickle.dumps(part))}"
        shown += pprint.pformat(part)
    assert "planted" not in shown
    assert ACCOUNT_KEY not in shown
    assert 'prefix="p/q"' in repr(store)


@pytest.mark.parametrize("make", FULL)
def test_a_config_is_the_dict_that_it_seems_to_be(make: Callable[[], Any]) -> None:
    config = make().config
    plain = dict(config)
    assert config == plain == pickle.loads(pickle.dumps(config)) == copy.copy(config) == {**config}
    assert any("planted" in str(value) or value == ACCOUNT_KEY for value in plain.values())
    assert "***" not in map(str, config.values())
    assert json.loads(json.dumps(config)) == json.loads(json.dumps(plain))
    assert config | {"more": 1} == {**plain, "more": 1}


def test_stores_with_other_settings_differ() -> None:
    assert gcs() == GCSStore(config={"GOOGLE_BUCKET_NAME": "b"})
    assert azure() == AzureStore("c", azure_storage_account_name="a")  # type: ignore[call-arg]
    for store, others in (
        (
            gcs(),
            [gcs(bucket="c"), gcs(prefix="p"), gcs(skip_signature=True), azure(), S3Store("bucket"), MemoryStore()],
        ),
        (azure(), [azure(container_name="d"), azure(account_name="b"), azure(client_options={"timeout": 5}), "c"]),
    ):
        for other in others:
            assert store != other


def test_reprs() -> None:
    assert repr(GCSStore("b")) == 'GCSStore(bucket="b")'
    assert repr(azure()) == 'AzureStore(container_name="c", account_name="a")'
    assert repr(azure(prefix="p")) == 'AzureStore(container_name="c", account_name="a", prefix="p")'


def test_the_environment_is_read_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_BUCKET", "b")
    monkeypatch.setenv("AZURE_CONTAINER_NAME", "c")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "a")
    monkeypatch.setenv("AZURE_STORAGE_KEY", ACCOUNT_KEY)
    assert GCSStore().config == AzureStore().config == {}
    assert repr(GCSStore()) == 'GCSStore(bucket="b")'
    assert repr(AzureStore()) == 'AzureStore(container_name="c", account_name="a")'
    assert known(AzureStore()) == ("given", AccountKey(ACCOUNT_KEY))
    assert ACCOUNT_KEY.encode() not in pickle.dumps(AzureStore())


def test_a_credential_given_by_hand_is_stronger_than_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", ACCOUNT_KEY)
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "t")
    assert known(azure()) == ("given", AccountKey(ACCOUNT_KEY))
    assert known(azure(sas_token="sig=x")) == ("given", SharedAccess((("sig", "x"),)))
    assert known(gcs())[0] == "given"
    assert known(gcs(service_account_key=json.dumps(USER)))[0] == "authorized_user"


# --- what is checked


@pytest.mark.parametrize(
    "url",
    [
        "https://u:S3CRET@h",
        "http://u:S3CRET@h:9",
        "https://S3CRET@h",
        "https://u:S3CRET@",
        "https://u:S3CRET@h:port",
        "https://u:S3CRET@h/ x",
        "ftp://u:S3CRET@h",
        "http//u:S3CRET@h",
        "u:S3CRET@h",
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda url: S3Store("bucket", endpoint=url, client_options={"allow_http": True}),
        lambda url: S3Store("bucket", endpoint=url),
        lambda url: S3Store("bucket", endpoint_url_s3=url),
        lambda url: gcs(base_url=url),
        lambda url: gcs(emulator_host=url),
        lambda url: azure(endpoint=url),
    ],
)
def test_an_endpoint_with_a_user_is_refused_and_not_shown(make: Callable[[str], object], url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make(url)
    assert "S3CRET" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: GCSStore(), "GCSStore needs a bucket"),
        (lambda: AzureStore(account_name="a"), "AzureStore needs a container"),
        (lambda: AzureStore("c"), "AzureStore needs an account. Give account_name."),
        (lambda: gcs(bukket="x"), "Did you mean 'bucket'?"),
        (lambda: azure(acount_name="x"), "Did you mean 'account_name'?"),
        (lambda: gcs(bucket_name="c"), "Duplicate key bucket: the setting is given twice"),
        (
            lambda: azure(config={"AZURE_STORAGE_ACCOUNT_NAME": "a"}),
            "Duplicate key account_name: the setting",
        ),
        (lambda: gcs(base_url="http://h"), "is plain http"),
        (lambda: azure(endpoint="http://h"), "is plain http"),
        (lambda: gcs(base_url="h:80"), "Give a URL"),
        (lambda: azure(account_key="no base64"), "account_key = ***"),
        (lambda: azure(encryption_key=ACCOUNT_KEY), "encryption_key = ***"),
        (lambda: azure(credential_type="magic"), "auto | bearer_token | access_key"),
        (lambda: azure(credential_type="access_key"), "for access_key, account_key is missing"),
        (lambda: azure(client_secret="x"), "for client_secret, client_id and tenant_id is missing"),
        (lambda: azure(federated_token_file="/f", client_id="i"), "for workload_identity, tenant_id is missing"),
        (lambda: azure(fabric_session_token="t"), "fabric_token_service_url and fabric_workload_host"),
        (lambda: azure(sas_token="sv=1&sp=r"), "sas_key has no signature (sig) in it"),
        (lambda: gcs(service_account="/f", service_account_key="{}"), "service_account and service_account_key"),
        (lambda: gcs(service_account="/nowhere/key"), "service_account = '/nowhere/key' cannot be read: No such file"),
        (lambda: gcs(application_credentials="/"), "application_credentials = '/' cannot be read"),
        (lambda: gcs(service_account_key="planted"), "service_account_key is not a JSON object"),
        (lambda: gcs(service_account_key="[]"), "service_account_key is not a JSON object"),
        (lambda: gcs(service_account_key="{}"), "service_account_key has no client_email"),
        (lambda: gcs(service_account_key='{"type": "gdch_service_account"}'), "GoogleCredentialProvider()"),
        (lambda: gcs(service_account_key='{"type": "external_account"}'), "has no audience"),
        (lambda: gcs(service_account_key=json.dumps(SERVICE_ACCOUNT)), "has a private_key that cannot be used"),
        (lambda: gcs(service_account_key='{"type": "authorized_user"}'), "has no client_id"),
    ],
)
def test_settings_that_are_none(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert said in str(caught.value)
    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_credential_provider_must_be_callable() -> None:
    for make in (gcs, azure):
        with pytest.raises(TypeError, match="credential_provider must be a function"):
            make(credential_provider="key")


@pytest.mark.parametrize("means", [{"skip_signature": True}, {"credential_provider": never}, {"bearer_token": "t"}])
def test_a_file_that_is_not_needed_is_not_read(means: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "foreign").write_text('{"type": "external_account"}')
    for file in ("/nowhere", str(tmp_path / "foreign")):
        assert gcs(service_account=file, **means).prefix is None
        assert gcs(application_credentials=file, service_account_key="{}", **means).prefix is None


@pytest.mark.parametrize("means", [{"skip_signature": True}, {"credential_provider": never}])
def test_half_a_credential_does_no_harm_where_none_is_needed(means: dict[str, Any]) -> None:
    assert known(azure(client_secret="x", sas_token="no signature", **means))[1] is None


# --- where a credential comes from


def test_the_credential_of_a_google_store(tmp_path: Path) -> None:
    for name, fields in (("key", SERVICE_ACCOUNT), ("user", USER)):
        (tmp_path / name).write_text(json.dumps(fields))
    key, adc = tmp_path / "key", tmp_path / "user"
    assert known(gcs())[0] == "metadata server"
    assert known(gcs(application_credentials=adc))[0] == "authorized_user, of application_credentials"
    assert known(gcs(application_credentials=adc, service_account=adc))[0] == "authorized_user, of service_account"
    assert known(gcs(application_credentials=key, service_account_key=json.dumps(USER)))[0] == "authorized_user"
    assert known(gcs(service_account=key, bearer_token="t"))[0] == "given"
    assert known(gcs(bearer_token="t", credential_provider=never))[0] == "credential_provider"
    assert known(gcs(bearer_token="t", skip_signature=True))[0] == "none"


def test_the_credential_of_an_azure_store() -> None:
    client = {"client_id": "i", "tenant_id": "t"}
    signature = SharedAccess((("sv", "1"), ("sig", "a+b=")))
    sources: list[tuple[dict[str, Any], str, object]] = [
        ({}, "default", None),
        ({"client_id": "i"}, "default", None),
        ({"object_id": "i"}, "managed_identity", None),
        ({"use_azure_cli": True}, "azure_cli", None),
        ({"sas_token": "?sv=1&sig=a+b%3D"}, "sas_token", signature),
        ({**client, "client_certificate_path": "/f"}, "client_certificate", None),
        ({**client, "client_secret": "s"}, "client_secret", None),
        ({**client, "federated_token_file": "/f"}, "workload_identity", None),
        ({"account_key": ACCOUNT_KEY}, "access_key", AccountKey(ACCOUNT_KEY)),
        ({"token": "t"}, "bearer_token", AccessToken("t")),
        (
            {
                "fabric_session_token": "t",
                "fabric_token_service_url": "https://h",
                "fabric_workload_host": "h",
                "fabric_cluster_identifier": "c",
            },
            "fabric",
            None,
        ),
    ]
    given: dict[str, Any] = {}
    for settings, name, credential in sources:  # each is stronger than the one before
        given |= settings
        wanted = (name if credential is None else "given", credential)
        assert known(azure(**settings)) == wanted
        assert known(azure(**given)) == wanted
    for name, credential in (("access_key", AccountKey(ACCOUNT_KEY)), ("sas_token", signature)):
        assert known(azure(**given, credential_type=name)) == ("given", credential)
    for settings in (given, {}):
        assert known(azure(**settings, credential_type="azure_cli")) == ("azure_cli", None)
    assert known(azure(**given, credential_type="anonymous")) == ("none", None)
    assert known(azure(**given, skip_signature=True)) == ("none", None)


@pytest.mark.parametrize(
    ("store", "address"),
    [
        (lambda: gcs(), ("https://storage.googleapis.com", "/b")),
        (lambda: gcs(base_url="https://h:1/x/"), ("https://h:1", "/x/b")),
        (lambda: gcs(base_url="http://h", client_options={"allow_http": True}), ("http://h", "/b")),
        (lambda: gcs(emulator_host="localhost:9000"), ("http://localhost:9000", "/b")),
        (lambda: gcs(emulator_host="https://h"), ("https://h", "/b")),
        (lambda: gcs(universe_domain="cloud.example"), ("https://storage.cloud.example", "/b")),
        (lambda: gcs(service_account_key='{"disable_oauth": true, "gcs_base_url": "https://h"}'), ("https://h", "/b")),
        (lambda: azure(), ("https://a.blob.core.windows.net", "/c")),
        (lambda: azure(container_name="my space"), ("https://a.blob.core.windows.net", "/my%20space")),
        (lambda: azure(endpoint="https://a.dfs.core.chinacloudapi.cn"), ("https://a.blob.core.chinacloudapi.cn", "/c")),
        (
            lambda: azure(endpoint="https://a.privatelink.dfs.core.windows.net/"),
            ("https://a.privatelink.blob.core.windows.net", "/c"),
        ),
        (
            lambda: azure(endpoint="https://onelake.dfs.fabric.microsoft.com"),
            ("https://onelake.blob.fabric.microsoft.com", "/c"),
        ),
        (lambda: azure(endpoint="https://a.dfs.core.windows.net.evil"), ("https://a.dfs.core.windows.net.evil", "/c")),
        (lambda: azure(use_fabric_endpoint=True), ("https://a.blob.fabric.microsoft.com", "/c")),
        (lambda: azure(endpoint="https://h:1/x/", use_emulator=True), ("https://h:1", "/x/c")),
        (lambda: AzureStore("c", use_emulator=True), ("http://127.0.0.1:10000", "/devstoreaccount1/c")),
        (lambda: azure(use_emulator=True, emulator_url="http://h:1"), ("http://h:1", "/a/c")),
    ],
)
def test_the_address_of_a_store(store: Callable[[], Store], address: tuple[str, str]) -> None:
    made = cloud(store())
    assert (made.service.origin, made.base.decode()) == address


def test_emulators_need_no_credential() -> None:
    for settings in ({}, {"application_credentials": "/nowhere"}):
        assert known(gcs(emulator_host="localhost:9000", **settings))[0] == "none"
    assert known(gcs(service_account_key='{"disable_oauth": true}'))[0] == "none"
    assert known(AzureStore("c", use_emulator=True)) == ("given", AccountKey(EMULATOR_KEY))


# --- what a credential provider returns

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_google_credentials_are_read() -> None:
    assert google_credentials.from_mapping({"token": "t", "expires_at": NOON}) == AccessToken("t", NOON)
    assert google_credentials.from_mapping({"token": "t", "expires_at": None}) == AccessToken("t")


def test_azure_credentials_are_read() -> None:
    read = azure_credentials.from_mapping
    assert read({"token": "t", "expires_at": NOON}) == AccessToken("t", NOON)
    assert read({"access_key": ACCOUNT_KEY, "expires_at": None}) == AccountKey(ACCOUNT_KEY)
    pairs = (("sv", "1"), ("sig", "a+b/="))
    for form in ("sv=1&sig=a%2Bb/%3D", "?sv=1&sig=a+b/=", [*pairs], [["sv", "1"], ["sig", "a+b/="]]):
        assert read({"sas_token": form, "expires_at": NOON}) == SharedAccess(pairs, NOON)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("planted", "returned a str, not a dict"),
        ({"expires_at": None}, "returned no"),
        ({"token": "planted"}, "returned no expires_at"),
        ({"token": "planted\n", "expires_at": None}, "token empty, or with characters"),
        ({"token": b"planted", "expires_at": None}, "token as a bytes"),
        ({"token": "planted", "expires_at": datetime(2026, 1, 1)}, "not a datetime with a time zone"),
        ({"token": "planted", "expires_at": "soon"}, "expires_at = 'soon'"),
    ],
)
def test_answers_that_are_none(answer: object, said: str) -> None:
    for read in (google_credentials.from_mapping, azure_credentials.from_mapping):
        with pytest.raises(UnauthenticatedError) as caught:
            read(answer)
        assert said in str(caught.value) or "none of access_key, sas_token, token" in str(caught.value)
        assert "Return a dict of" in str(caught.value)
        assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"token": "planted", "access_key": ACCOUNT_KEY, "expires_at": None}, "returned access_key and token"),
        ({"access_key": "planted!", "expires_at": None}, "returned access_key in a form"),
        ({"access_key": 5, "expires_at": None}, "returned access_key in a form"),
        ({"sas_token": "sv=planted", "expires_at": None}, "returned sas_token in a form"),
        ({"sas_token": [("sig", 5)], "expires_at": None}, "returned sas_token in a form"),
        ({"sas_token": 5, "expires_at": None}, "returned sas_token in a form"),
        ({"sas_token": ["planted"], "expires_at": None}, "returned sas_token in a form"),
        ({"sas_token": "sig=planted"}, "returned no expires_at"),
    ],
)
def test_azure_answers_that_are_none(answer: object, said: str) -> None:
    with pytest.raises(UnauthenticatedError, match=said) as caught:
        azure_credentials.from_mapping(answer)
    assert "planted" not in str(caught.value)


def test_credentials_do_not_show_themselves() -> None:
    for credential in (
        AccessToken("planted", NOON),
        AccountKey("planted"),
        SharedAccess((("sig", "planted"),)),
    ):
        assert "planted" not in repr(credential)
    assert "2026" in repr(AccessToken("planted", NOON))


def test_unknown_settings_have_their_own_error() -> None:
    with pytest.raises(UnknownConfigurationKeyError, match="GCSStore has no setting 'account_name'"):
        gcs(account_name="a")


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"nonsense",
        b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAAA\n",
    ],
)
def test_certificates_are_looked_at_before_anything_is_sent(pem: bytes) -> None:
    with pytest.raises(ConfigurationError, match="No certificates found"):
        S3Store("bucket", client_options={"root_certificate": pem})


@pytest.mark.parametrize("name", ["a/b", "https://h/c", ".", "..", "a\\b", "/"])
@pytest.mark.parametrize(
    "made", [lambda name: GCSStore(name), lambda name: AzureStore(name, account_name="a")], ids=["gcs", "azure"]
)
def test_a_bucket_is_no_path_and_no_url(made: Callable[[str], object], name: str) -> None:
    """Requests would go elsewhere: of `a/b`, to the container `a`."""
    with pytest.raises(ConfigurationError, match="a name without slashes: from_url takes URLs, and prefix"):
        made(name)


@pytest.mark.parametrize(
    "name", ["evil.example/", "evil.example#", "x@evil.example", "a:80", "a/b", "a b", "é", "a.b", "https://a.example"]
)
def test_an_account_is_no_host(name: str) -> None:
    """It becomes a part of one, to which requests would go with a signature or a token."""
    with pytest.raises(ConfigurationError, match="the name of an account, not its host"):
        AzureStore("c", account_name=name, account_key="cGxhbnRlZA==")
    with pytest.raises(ConfigurationError, match="AccountName is not the name of an account"):
        _ = AzureStore("c", connection_string=f"AccountName={name};AccountKey=cGxhbnRlZA==").provider


def test_the_endpoint_of_an_account_has_no_container_in_it() -> None:
    with pytest.raises(ConfigurationError, match="taken for the container"):
        _ = AzureStore("c", account_name="a", endpoint="https://a.blob.core.windows.net/c", token="t").provider


@pytest.mark.parametrize(
    "settings", [{"emulator_url": "http://h:1"}, {"use_emulator": True, "use_fabric_endpoint": True}]
)
def test_the_emulator_is_used_or_not(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="use_emulator"):
        _ = AzureStore("c", account_name="a", account_key="cGxhbnRlZA==", **settings).provider


@pytest.mark.parametrize(
    "signature",
    [
        "https://a.blob.core.windows.net/c?sv=1&sig=x",
        "c?sv=1&sig=x",
        "sv=1&sig=x&sig=y",
        "restype=container&comp=list&sv=1&sig=x",
        "sv=1&sig=x&snapshot=2024-01-01T00:00:00Z",
        "sv=1&sp=r",
    ],
)
def test_a_signature_has_nothing_else_in_it(signature: str) -> None:
    """All of it goes with every request."""
    with pytest.raises(ConfigurationError, match="sas_key has") as refused:
        _ = AzureStore("c", account_name="a", sas_key=signature).provider
    assert "sig=x" not in str(refused.value)
